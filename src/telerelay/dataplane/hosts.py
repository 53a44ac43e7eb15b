"""
Where a worker lives: in a thread of this process, or in a process of its own that outlives this one.

Event loop's thread; what blocks (starting, the first words) runs in the loop's executor. Either way the worker is
driven through the same two rings, by telerelay.dataplane.worker.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from telerelay._native import ffi, lib
from telerelay.dataplane.certificate import Certificate
from telerelay.dataplane.frames import PROTOCOL, Decoder, Frame, Kind, encode
from telerelay.dataplane.settings import WorkerSettings, native_config
from telerelay.dataplane.status import check
from telerelay.errors import ConfigError, NativeError

# A worker process is up within a tenth of a second; a machine that is overloaded gets this much.
START_TIMEOUT_S = 15.0
# From the word to stop until it is killed: its goodbyes are a few datagrams.
STOP_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Running:
    """
    A worker that runs: its border, the settings it was started with, the UDP port of each bind, its certificate's
    sha-256, and its process.
    """

    native: Any
    settings: WorkerSettings
    ports: tuple[int, ...]
    fingerprint: bytes
    pid: int
    is_found: bool
    """It ran before this process did, maybe with other settings than were asked for: it has transports and notes."""


class NoteStore(Protocol):
    """
    Where what a successor must know is kept: as long as the worker lives. Nothing here waits. What was said is safe
    from the end of this process after the turn of the loop it was said in; `flush` makes it so at once, and has to come
    before anyone outside is told what follows from it. `later` has something called then that puts notes: whatever is
    said of one thing in one turn is one note.
    """

    def put(self, key: str, body: bytes) -> None: ...
    def delete(self, key: str) -> None: ...
    def delete_under(self, prefix: str) -> None: ...
    def later(self, put: Callable[[], None]) -> None: ...
    def flush(self) -> None: ...


class NoNotes:
    """A worker in a thread dies with its control: there is no successor."""

    def put(self, key: str, body: bytes) -> None:
        """Nowhere."""

    def delete(self, key: str) -> None:
        """Nothing."""

    def delete_under(self, prefix: str) -> None:
        """Nothing."""

    def later(self, put: Callable[[], None]) -> None:
        """Never."""

    def flush(self) -> None:
        """Nothing."""


class WorkerHost(Protocol):
    """One worker's place. `on_end` is called once if it ends without having been told to."""

    on_end: Callable[[], None]
    notes: NoteStore

    async def start(self, settings: WorkerSettings) -> Running: ...
    async def stop(self) -> None: ...
    def leave(self) -> None: ...
    async def read_notes(self) -> dict[str, bytes]: ...


def _where(settings: WorkerSettings) -> str:
    binds = ", ".join(f"{address} port {port}" for address, port in settings.binds)
    return f"open worker {settings.index} on {binds}"


# -------------------------------------------------------------------- a thread


class ThreadHost:
    """A thread of this process, made by C; the interpreter's lock cannot stop it."""

    def __init__(self, certificate: Certificate) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self.notes: NoteStore = NoNotes()
        self._certificate = certificate
        self._native: Any = None

    async def start(self, settings: WorkerSettings) -> Running:
        """Bind and run. Raises NativeError, before anything runs, when an address cannot be bound."""
        config = native_config(settings, self._certificate.raw[0])
        out = ffi.new("tr_worker **")
        try:
            check(lib.tr_worker_new(config, out), _where(settings))
        finally:
            ffi.buffer(config)[:] = bytes(ffi.sizeof("tr_worker_config"))
        self._native = native = ffi.gc(out[0], lib.tr_worker_free)
        check(lib.tr_worker_start(native), f"start worker {settings.index}")
        ports = tuple(lib.tr_worker_port(native, bind) for bind in range(len(settings.binds)))
        return Running(native, settings, ports, self._certificate.fingerprint, os.getpid(), is_found=False)

    async def stop(self) -> None:
        native, self._native = self._native, None
        if native is not None:
            await asyncio.get_running_loop().run_in_executor(None, lib.tr_worker_stop, native)
            ffi.release(native)

    def leave(self) -> None:
        """There is no leaving a thread behind."""

    async def read_notes(self) -> dict[str, bytes]:
        return {}


# -------------------------------------------------------------------- a process


class Link(NoteStore):
    """
    The Unix socket beside the rings. Notes are gathered, for each that is sent by itself wakes the other process, and a
    join has many; after `flush` they are in the worker's kernel buffer, which outlives this process, and only past that
    buffer do they wait here.
    """

    def __init__(self, connection: socket.socket, on_frame: Callable[[Frame], None]) -> None:
        self._connection = connection
        self._on_frame = on_frame
        self._waiting = bytearray()
        self._later: dict[Callable[[], None], None] = {}
        self._is_due = False
        self._is_blocked = False
        self._decoder = Decoder()
        self._loop = asyncio.get_running_loop()
        connection.setblocking(False)
        self._loop.add_reader(connection.fileno(), self._read)

    def put(self, key: str, body: bytes) -> None:
        self._gather(Kind.PUT, key, body)

    def delete(self, key: str) -> None:
        self._gather(Kind.DELETE, key)

    def delete_under(self, prefix: str) -> None:
        self._gather(Kind.DELETE_UNDER, prefix)

    def send(self, kind: Kind) -> None:
        """At once, behind the notes so far."""
        self._gather(kind)
        self.flush()

    def later(self, put: Callable[[], None]) -> None:
        self._flush_this_turn()
        self._later[put] = None

    def flush(self) -> None:
        while self._later:
            put, _ = self._later.popitem()
            put()
        if self._waiting and not self._is_blocked:
            self._write()
            if self._waiting:
                self._is_blocked = True
                self._loop.add_writer(self._connection.fileno(), self._on_writable)

    def close(self) -> None:
        self.flush()
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection.fileno())
            self._loop.remove_writer(self._connection.fileno())
            self._connection.close()

    def _gather(self, kind: Kind, key: str = "", body: bytes = b"") -> None:
        """Nothing once the worker is gone."""
        if self._connection.fileno() < 0:
            return
        frame = encode(kind, key.encode("ascii"), body)
        self._flush_this_turn()
        self._waiting += frame

    def _flush_this_turn(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._is_due = False
        self.flush()

    def _write(self) -> None:
        try:
            del self._waiting[: self._connection.send(self._waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()  # it is gone: the reader tells

    def _on_writable(self) -> None:
        self._write()
        if not self._waiting:
            self._is_blocked = False
            self._loop.remove_writer(self._connection.fileno())

    def _read(self) -> None:
        try:
            data = self._connection.recv(1 << 18)
            frames = list(self._decoder.feed(data))
        except BlockingIOError:
            return
        except (OSError, ValueError):
            data, frames = b"", []
        for frame in frames:
            self._on_frame(frame)
        if not data:
            self.close()  # its end is told by the pidfd


class ProcessHost:
    """
    A process of the worker's own. One that runs already, whose socket is in `run_dir`, is attached to; else one is
    started there. `orphan_s`: how long it goes on without any control.
    """

    def __init__(self, run_dir: Path, orphan_s: float = 600.0, on_refused: Callable[[], None] = lambda: None) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self.notes: NoteStore = NoNotes()
        self._run_dir = run_dir
        self._orphan_s = orphan_s
        self._on_refused = on_refused
        self._link: Link | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._ended = asyncio.Event()
        self._listed: asyncio.Future[dict[str, bytes]] | None = None
        self._notes: dict[str, bytes] = {}
        self._native: Any = None

    async def start(self, settings: WorkerSettings) -> Running:
        """
        Raises NativeError: an address that cannot be bound, a worker of another version, one that does not answer.
        """
        loop = asyncio.get_running_loop()
        connection, about, fds, is_found = await loop.run_in_executor(None, self._find_or_start, settings)
        out = ffi.new("tr_worker **")
        try:
            check(lib.tr_worker_attach(*fds, out), f"attach to worker {settings.index}")
            found = WorkerSettings.of(about["settings"])
            self._pidfd = os.pidfd_open(about["pid"])
        except BaseException:
            connection.close()
            if out[0] == ffi.NULL:
                for fd in fds:
                    os.close(fd)
            else:
                lib.tr_worker_free(out[0])
            raise
        self._native = ffi.gc(out[0], lib.tr_worker_free)
        self._link = self.notes = Link(connection, self._on_frame)
        loop.add_reader(self._pidfd, self._on_exit)
        return Running(
            self._native,
            found,
            tuple(about["ports"]),
            bytes.fromhex(about["fingerprint"].replace(":", "")),
            about["pid"],
            is_found,
        )

    async def stop(self) -> None:
        """The worker says goodbye and ends; killed if it does not."""
        self.on_end = lambda: None
        if self._link is not None:
            self._link.send(Kind.STOP)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._ended.wait()
        if self._pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            await self._ended.wait()
        self.leave()

    def leave(self) -> None:
        """Let go of it; a worker that lives goes on."""
        self.on_end = lambda: None
        if self._link is not None:
            self._link.close()
            self._link, self.notes = None, NoNotes()
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
        native, self._native = self._native, None
        if native is not None:
            ffi.release(native)

    async def read_notes(self) -> dict[str, bytes]:
        """All notes the worker keeps, by key."""
        assert self._link is not None
        self._listed = asyncio.get_running_loop().create_future()
        self._link.send(Kind.LIST)
        async with asyncio.timeout(START_TIMEOUT_S):
            return await self._listed

    # ---------------------------------------------------------------- within

    def _on_frame(self, frame: Frame) -> None:
        match frame.kind:
            case Kind.NOTE:
                self._notes[frame.key.decode("ascii")] = frame.body
            case Kind.LISTED if self._listed is not None and not self._listed.done():
                self._listed.set_result(self._notes)
                self._notes = {}
            case Kind.REFUSED:
                self._on_refused()

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._process is not None:
            self._process.wait()  # it has ended: this takes its exit code, and its entry out of the process table
        if self._listed is not None and not self._listed.done():
            self._listed.set_exception(NativeError(lib.TR_ERR_STATE, "the worker has ended", code="state"))
        self._ended.set()
        self.on_end()

    def _find_or_start(self, settings: WorkerSettings) -> tuple[socket.socket, dict[str, Any], list[int], bool]:
        """In the executor. The connection, what the worker says of itself, and the border's descriptors."""
        path = self._run_dir / f"worker-{settings.index}.sock"
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(START_TIMEOUT_S)
        try:
            connection.connect(str(path))
            is_found = True
        except (FileNotFoundError, ConnectionRefusedError):
            self._spawn(settings, path)
            connection.connect(str(path))
            is_found = False
        try:
            about, fds = _greet(connection, settings)
        except BaseException:
            connection.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                path.unlink(missing_ok=True)
            raise
        return connection, about, fds, is_found

    def _spawn(self, settings: WorkerSettings, path: Path) -> None:
        """The socket is ours until the process has it: so it can be connected to at once."""
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            try:
                listener.bind(str(path))
            except OSError as error:
                raise ConfigError("bad_value", f"serve.run_dir: no socket at {path}: {error}") from None
            path.chmod(0o600)
            listener.listen(8)
            given = {**asdict(settings), "socket": str(path), "orphan_s": self._orphan_s}
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "telerelay.dataplane.process", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(json.dumps(given).encode())


def end_surplus(run_dir: Path, index: int) -> bool:
    """
    End a worker that ran before this process and is one more than is wanted; False where there is none. Blocks: for an
    executor. Raises NativeError where one lives and does not answer: it keeps its socket, so it can be tried again.
    """
    path = run_dir / f"worker-{index}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(START_TIMEOUT_S)
        try:
            connection.connect(str(path))
            _, fds = _greet(connection, WorkerSettings(index, ()))
            for fd in fds:
                os.close(fd)
            connection.sendall(encode(Kind.STOP))
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass
        except (FileNotFoundError, ConnectionRefusedError):
            path.unlink(missing_ok=True)
            return False
        except OSError as error:
            raise _silent(index) from error
    return True


def _silent(index: int) -> NativeError:
    return NativeError(lib.TR_ERR_STATE, f"worker {index} does not answer", code="state")


def _greet(connection: socket.socket, settings: WorkerSettings) -> tuple[dict[str, Any], list[int]]:
    """The first words with a worker process. Raises NativeError."""
    decoder, fds = Decoder(), list[int]()
    deadline = time.monotonic() + START_TIMEOUT_S
    try:
        connection.sendall(encode(Kind.HELLO, body=json.dumps({"protocol": PROTOCOL}).encode()))
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            data, got, _, _ = socket.recv_fds(connection, 65536, 3)
            fds += got
            for frame in decoder.feed(data):
                about = json.loads(frame.body)
                if frame.kind == Kind.FAILED:
                    raise NativeError(about["status"], f"{_where(settings)}: {about['reason']}", code="system")
                if frame.kind == Kind.WELCOME and len(fds) == 3:
                    return about, fds
                raise _silent(settings.index)
            if not data:
                raise NativeError(
                    lib.TR_ERR_VERSION, f"worker {settings.index} refuses this version of telerelay", code="version"
                )
    except (OSError, ValueError) as error:
        raise _silent(settings.index) from error
    finally:
        if len(fds) not in (0, 3):
            for fd in fds:
                os.close(fd)
