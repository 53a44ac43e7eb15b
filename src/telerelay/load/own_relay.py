"""
A relay of one's own to try the load on: `telerelay serve` in a process, pinned, on free ports of loopback.

Event loop's thread. It ends with the run.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from telerelay.errors import TelerelayError
from telerelay.load.profiles import Profile
from telerelay.protocol.grants import write_key

# From the start of the interpreter to the ready line, on a machine that is busy.
_READY_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 5.0

_SOURCE = str(Path(__file__).resolve().parents[2])


class OwnRelay:
    """`async with OwnRelay(profile, cpu=0) as relay:` and load `relay.url` with tokens of `relay.key_file`."""

    def __init__(
        self,
        profile: Profile,
        *,
        cpu: int | None,
        arguments: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`cpu` pins all of it, None nothing; `arguments` of serve; `settings` as environment (TELERELAY_…)."""
        self._profile = profile
        self._cpu = cpu
        self._arguments = arguments
        self._settings = dict(settings or {})
        self._folder = tempfile.TemporaryDirectory(prefix="telerelay-load-")
        self._process: asyncio.subprocess.Process | None = None
        self.key_file = Path(self._folder.name) / "key"
        self.url = ""
        self.pid = 0
        self.has_worker_processes = False

    async def __aenter__(self) -> "OwnRelay":
        write_key(self.key_file)
        people = self._profile.shape.publishers + self._profile.shape.viewers
        env = {
            **os.environ,
            # The relay of this very package, wherever that is; what it imports may lie elsewhere.
            "PYTHONPATH": os.pathsep.join(filter(None, (_SOURCE, os.environ.get("PYTHONPATH")))),
            "TELERELAY_ROOMS_MAX_PARTICIPANTS": str(max(16, people)),
            "TELERELAY_WORKERS_MAX_TRANSPORTS": str(min(65535, max(4096, 4 * self._profile.people))),
            "TELERELAY_LOG_LEVEL": "error",
            **self._settings,
        }
        command = ["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--key-file", str(self.key_file)]
        if self._cpu is not None:
            command += ["--cpus", str(self._cpu)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "telerelay.cli", *command, *self._arguments, stdout=asyncio.subprocess.PIPE, env=env
        )
        if self._cpu is not None:
            # Before its threads exist: they inherit it.
            os.sched_setaffinity(self._process.pid, {self._cpu})
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                ready = await self._ready(self._process)
        except BaseException:
            await self.__aexit__()
            raise
        self.url, self.pid = str(ready["http"]), int(str(ready["pid"]))
        self.has_worker_processes = bool(ready.get("worker_pids"))
        return self

    @staticmethod
    async def _ready(process: asyncio.subprocess.Process) -> dict[str, object]:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):
                message: dict[str, object] = json.loads(line)
                if message.get("event") == "ready":
                    return message
        raise TelerelayError("no_relay", "the relay to try the load on did not start")

    async def __aexit__(self, *_failure: object) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            # The first ends it once it is empty, the second at once.
            for _ in range(2):
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_END_TIMEOUT_S):
                        await process.wait()
                        break
            else:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._folder.cleanup()
