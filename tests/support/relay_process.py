"""
A relay in a process of its own, as an operator runs it: `telerelay serve` on free ports of 127.0.0.1.

`with RelayProcess() as relay:` waits for the ready line and ends the process afterwards, by its own id.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

# A machine with ten things going on takes its time over the imports.
READY_TIMEOUT_S = 180.0
# Whoever went without a word keeps a seat for a while: a test does not wait for that.
DRAIN_S = 0.5
MAIN = "import sys; from telerelay.cli import main; sys.exit(main())"


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RelayProcess:
    """One `telerelay serve`. `arguments` are added to its command line, `program` replaces what Python runs."""

    def __init__(self, *arguments: str, program: Sequence[str] | None = None, http: str = "", udp: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="telerelay-test-")
        self.key_file = Path(self._folder.name) / "key"
        self.run_dir = Path(self._folder.name) / "run"
        self._arguments = arguments
        self._program = list(program or [sys.executable, "-c", MAIN])
        self._http = http or f"127.0.0.1:{free_port()}"
        self._udp = udp or f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        self._process: subprocess.Popen[str] | None = None
        self._workers: dict[int, int] = {}  # pid to pidfd, of worker processes
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.log: deque[str] = deque(maxlen=2000)
        self.ready: dict[str, Any] = {}
        self.worker_pids_before: list[int] = []

    # ------------------------------------------------------------------ life

    def __enter__(self) -> RelayProcess:
        self.run("token", "--new-key", str(self.key_file))
        self.start()
        return self

    def start(self) -> None:
        """Start the control process; again, with the same command, after `kill`."""
        command = [*self._program, "serve", "--http", self._http, "--udp", self._udp]
        command += ["--key-file", str(self.key_file), *self._arguments]
        environment = {**os.environ, "TELERELAY_SERVE_RUN_DIR": str(self.run_dir)}
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        for pump in (
            (self._process.stdout, self._lines.put, lambda: self._lines.put(None)),
            (self._process.stderr, self.log.append, lambda: None),
        ):
            threading.Thread(target=_pump, args=pump, daemon=True).start()
        try:
            self.ready = self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        self.worker_pids_before = self.worker_pids
        for pid in self.worker_pids:
            self.watch(pid)

    def watch(self, pid: int) -> None:
        """See to it that this worker process has ended when the test has."""
        if pid not in self._workers:
            self._workers[pid] = os.pidfd_open(pid)

    def kill(self) -> None:
        """SIGKILL to the control process alone: its workers go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(DRAIN_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)  # the second one ends without draining
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                if process.poll() is None:
                    process.kill()
                    process.wait()
        for pidfd in self._workers.values():  # what should have ended, and did not
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)
        self._workers.clear()
        self._folder.cleanup()

    def _wait_ready(self) -> dict[str, Any]:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                raise RuntimeError("the relay ended before it was ready:\n" + "".join(self.log))
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if message.get("event") == "ready":
                    return dict(message)
        raise RuntimeError("the relay did not say that it is ready:\n" + "".join(self.log))

    # ------------------------------------------------------------------ talking to it

    def run(self, *arguments: str) -> str:
        """Run another telerelay command; its stdout without the last newline."""
        command = [sys.executable, "-c", MAIN, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        if done.returncode != 0:
            raise RuntimeError(f"telerelay {arguments[0]} exited {done.returncode}: {done.stderr}")
        return done.stdout.rstrip("\n")

    @property
    def pid(self) -> int:
        """Of the control process."""
        assert self._process is not None
        return self._process.pid

    @property
    def worker_pids(self) -> list[int]:
        """Of worker processes, worker by worker; none where they are threads."""
        return [pid for pid in self.ready.get("worker_pids", []) if pid != self.pid]

    @property
    def url(self) -> str:
        """Of the page: http://127.0.0.1:port."""
        return str(self.ready.get("http", f"http://{self._http}")).rstrip("/")

    @property
    def udp_address(self) -> tuple[str, int]:
        """Where the first worker takes media."""
        host, _, port = str(self.ready["udp"][0]).rpartition(":")
        return host.strip("[]"), int(port)

    def token(self, room: str, sub: str, role: str = "practitioner", ttl_s: int = 600) -> str:
        """A token signed with the relay's own key, made in this process."""
        from telerelay.protocol.grants import load_key

        return load_key(self.key_file).sign(room=room, sub=sub, role=role, ttl_s=ttl_s, now=time.time())

    def metrics(self) -> dict[str, float]:
        """/metrics, with the labels in the key: {'telerelay_drops_total{reason="srtp_auth"}': 3.0, …}."""
        return read_metrics(f"{self.url}/metrics")

    def drops(self) -> dict[str, int]:
        """Packets dropped so far by reason, those with none left out."""
        result = {}
        for key, value in self.metrics().items():
            if key.startswith("telerelay_drops_total{") and value:
                result[key.split('"')[1]] = int(value)
        return result

    def cpu_s(self) -> float:
        """CPU that the relay has used so far, all its processes and threads."""
        ticks = 0
        for pid in (self.pid, *self.worker_pids):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def read_metrics(url: str) -> dict[str, float]:
    """Samples of a Prometheus page by name and labels."""
    with urllib.request.urlopen(url, timeout=5) as response:
        text = response.read().decode()
    result = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            result[sample.name + (f"{{{labels}}}" if labels else "")] = float(sample.value)
    return result


def _pump(stream: IO[str], take: Callable[[str], None], end: Callable[[], None]) -> None:
    with contextlib.suppress(ValueError):  # closed under our hands
        for line in stream:
            take(line)
    end()
