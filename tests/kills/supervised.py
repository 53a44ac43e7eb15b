"""
`telerelay serve` under a supervisor, as systemd would run it: killed, and started again at once with the same command.

Event loop of whoever plays; every process is ended by its pidfd, also those that a killed control left behind.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from support.hook_hosts import KEY
from support.processes import waited_s
from support.relay_process import MAIN, free_port
from telerelay.attest.sign import write_new_key
from telerelay.protocol.grants import TokenKeys, load_key

READY_TIMEOUT_S = 1200.0


class Supervised:
    """
    `async with Supervised(folder, hook_url) as relay:` it is ready then. `starts_s` are the seconds that each start
    took from the process to the ready line, `pids` those of now: control first, then its workers.
    """

    def __init__(self, folder: Path, hook_url: str, **settings: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.journal = folder / "journal.db"
        self.public_key = folder / "attest.key.pub"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._admin_port = free_port()
        self.admin_url = f"http://127.0.0.1:{self._admin_port}"
        self._udp = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        self._hook_url = hook_url
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._pidfds: dict[int, int] = {}
        self._workers: list[int] = []
        self.keys: TokenKeys | None = None
        self.starts_s: list[float] = []
        self.waited_s: list[float] = []
        """Of each start, what its first thread stood ready to run and had no processor for (proc(5), schedstat)."""

    async def __aenter__(self) -> Supervised:
        key_file = self.folder / "token.key"
        self._write(key_file, os.urandom(32))
        self._write(self.folder / "webhook.key", KEY)
        write_new_key(self.folder / "attest.key")
        self.keys = load_key(key_file)
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pidfd in self._pidfds.values():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self._pidfds.clear()
        if self._process is not None:
            await self._process.wait()

    @staticmethod
    def _write(path: Path, key: bytes) -> None:
        path.touch(0o600)
        path.write_bytes(base64.urlsafe_b64encode(key).rstrip(b"="))

    # ---------------------------------------------------------------- its processes

    @property
    def pids(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid, *self._workers]

    async def spawn(self) -> None:
        """Have it begin; `ready` is when it has."""
        names = {
            "SERVE_RUN_DIR": self.folder / "run",
            "HTTP_ADMIN_PORT": self._admin_port,
            "JOURNAL_PATH": self.journal,
            "ATTEST_KEY_FILE": self.folder / "attest.key",
            "HOOKS_WEBHOOK_URL": self._hook_url,
            "HOOKS_WEBHOOK_KEY_FILE": self.folder / "webhook.key",
            "HOOKS_WEBHOOK_DECISIONS": "authorize_join,admit,attest",
            **self._settings,
        }
        command = [sys.executable, "-c", MAIN, "serve", "--http", self.url.removeprefix("http://"), "--udp", self._udp]
        command += ["--key-file", str(self.folder / "token.key")]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **{f"TELERELAY_{name}": str(value) for name, value in names.items()}},
            )
        self._began = time.monotonic()
        self._watch(self._process.pid)

    async def ready(self) -> None:
        """Returns when it takes requests. Raises RuntimeError with its log's end where it ends instead."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_TIMEOUT_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the relay ended before it was ready:\n" + self.log.read_text(errors="replace")[-3000:])
        message: dict[str, Any] = json.loads(line)
        self.starts_s.append(time.monotonic() - self._began)
        self.waited_s.append(waited_s(self._process.pid))
        self._workers = [pid for pid in message["worker_pids"] if pid != self._process.pid]
        for pid in self._workers:
            self._watch(pid)

    async def start(self) -> None:
        await self.spawn()
        await self.ready()

    async def kill(self, *, with_workers: bool) -> float:
        """SIGKILL to control, and to its workers too; when that was, monotonic seconds."""
        assert self._process is not None
        pids = self.pids if with_workers else self.pids[:1]
        for worker in self._replaced():
            self._watch(worker)
            pids += [worker] if with_workers else []
        at = time.monotonic()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfds[pid], signal.SIGKILL)
        await self._process.wait()
        return at

    async def stop(self) -> int | None:
        """
        SIGTERM, and once more if it still drains: its exit code, which is -SIGTERM where the second one met a process
        that had closed everything and was about to exit.
        """
        assert self._process is not None
        for _ in range(2):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10.0):
                    await self._process.wait()
        async with asyncio.timeout(60.0):
            return await self._process.wait()

    def _replaced(self) -> list[int]:
        """Workers that took the place of others since the ready line."""
        found = re.findall(r"event=worker_replaced worker=\d+ pid=(\d+)", self.log.read_text(errors="replace"))
        return [pid for pid in map(int, found) if pid not in self._pidfds and _is_there(pid)]

    def _watch(self, pid: int) -> None:
        if pid not in self._pidfds:
            with contextlib.suppress(ProcessLookupError):
                self._pidfds[pid] = os.pidfd_open(pid)


def _is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
