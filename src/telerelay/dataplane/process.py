"""
A worker as a process of its own: `python -m telerelay.dataplane.process FD`, with its settings on standard input.

Two threads. One is the worker's, in C, and knows nothing of all this. The other waits here: for a control process to
attach (the newest wins), for the notes it leaves, and for the end. Nothing but the standard library and the extension
is imported, so that it runs within a tenth of a second and costs twelve megabytes.

It has a session of its own, so neither a terminal's Ctrl-C nor the death of its control ends it; a control that stays
away longer than `orphan_s` does. The private key is made here and never leaves.
"""

import json
import os
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from telerelay._native import ffi, lib
from telerelay.crash import say_no_words
from telerelay.dataplane import heap
from telerelay.dataplane.frames import PROTOCOL, Decoder, Frame, Kind, encode
from telerelay.dataplane.settings import WorkerSettings, native_config
from telerelay.dataplane.status import why
from telerelay.departures import Departures

# Of all notes together: four thousand transports with 16 KiB each.
MAX_NOTES_BYTES = 64 << 20
NOTE_OVERHEAD_BYTES = 128
# A control that does not take what it asked for by then is as good as dead.
SEND_TIMEOUT_S = 10.0
# From its connection to its first frame.
HELLO_TIMEOUT_S = 5.0
# From a note that is forgotten, as somebody's is who goes, to a look at who is still there.
LOOK_AFTER_S = 5.0
_UCRED = struct.Struct("3i")


class Notes:
    """What control wants its successor to know. Opaque here; lives as long as the transports do, and on no disk."""

    def __init__(self, max_bytes: int = MAX_NOTES_BYTES) -> None:
        self._max_bytes = max_bytes
        self._notes: dict[bytes, bytes] = {}
        self._bytes = 0

    def put(self, key: bytes, body: bytes) -> bool:
        """False: there is no room for it; what was kept under this key before is gone, for it is no longer true."""
        self.delete(key)
        cost = _cost(key, body)
        if self._bytes + cost > self._max_bytes:
            return False
        self._notes[key] = body
        self._bytes += cost
        return True

    def delete(self, key: bytes) -> None:
        body = self._notes.pop(key, None)
        if body is not None:
            self._bytes -= _cost(key, body)

    def delete_under(self, prefix: bytes) -> None:
        for key in [key for key in self._notes if key.startswith(prefix)]:
            self.delete(key)

    def items(self) -> list[tuple[bytes, bytes]]:
        return list(self._notes.items())


def _cost(key: bytes, body: bytes) -> int:
    return len(key) + len(body) + NOTE_OVERHEAD_BYTES


class _Control:
    """One connection of a control process, attached or about to be."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.decoder = Decoder()
        self.since = time.monotonic()
        self.is_attached = False


class WorkerProcess:
    """The thread that waits."""

    def __init__(self, settings: WorkerSettings, listener: socket.socket, path: Path, orphan_s: float) -> None:
        self._settings = settings
        self._path = path
        self._orphan_s = orphan_s
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._controls: dict[socket.socket, _Control] = {}
        self._notes = Notes()
        # One for all that comes: a new one for each reading would be memory mapped and unmapped for it.
        self._buffer = memoryview(bytearray(1 << 18))
        self._certificate = ffi.new("tr_certificate *")
        self._native: Any = None
        self._was_attached = False
        self._alone_since = time.monotonic()
        self._is_over = False
        self._counters = ffi.new("tr_stats *")
        self._departures = Departures(heap.WORTH_IT)
        self._went_at = 0.0  # when a note was forgotten last, as somebody's is who goes
        self._look_at: float | None = None  # when to see whether most have gone; None: nobody went since

    def run(self) -> int:
        """Until told to stop, or left alone too long."""
        status, reason = self._open()
        if status != 0:
            return self._fail(status, reason)
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._selector.register(woken, selectors.EVENT_READ, self._terminated)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        while not self._is_over:
            for key, _ in self._selector.select(self._patience()):
                key.data(key.fileobj)
            self._look_at_the_clock()
        self._unlink()
        lib.tr_worker_stop(self._native)
        lib.tr_worker_free(self._native)
        return 0

    # ---------------------------------------------------------------- the worker

    def _open(self) -> tuple[int, str]:
        """(0, ""), or why there is no worker."""
        status = lib.tr_certificate_make(self._certificate)
        if status != 0:
            return status, "make a certificate"
        config = native_config(self._settings, self._certificate[0])
        out = ffi.new("tr_worker **")
        status = lib.tr_worker_new(config, out)
        reason = why(status)
        ffi.buffer(config)[:] = bytes(ffi.sizeof("tr_worker_config"))
        ffi.buffer(self._certificate.key_pem)[:] = bytes(ffi.sizeof(self._certificate.key_pem))
        if status == 0:
            self._native = out[0]
            status = lib.tr_worker_start(self._native)
            reason = "start a thread"
        return status, reason

    def _fail(self, status: int, reason: str) -> int:
        """Tell whoever started us; there is nobody else."""
        self._listener.settimeout(HELLO_TIMEOUT_S)
        with suppress(OSError):
            connection, _ = self._listener.accept()
            connection.sendall(encode(Kind.FAILED, body=_json({"status": status, "reason": reason})))
            connection.settimeout(HELLO_TIMEOUT_S)
            while connection.recv(4096):  # until it has read that
                pass
        self._unlink()
        return 1

    # ---------------------------------------------------------------- who controls it

    def _accept(self, _listener: object) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            if _UCRED.unpack(peer)[1] != os.geteuid():
                connection.close()
                return
            connection.settimeout(SEND_TIMEOUT_S)
            self._controls[connection] = _Control(connection)
            self._selector.register(connection, selectors.EVENT_READ, self._read)

    def _read(self, connection: Any) -> None:
        control = self._controls.get(connection)
        if control is None:  # dropped by another, in the same turn
            return
        try:
            size = connection.recv_into(self._buffer)
            if not size:
                raise ConnectionError
            for frame in control.decoder.feed(self._buffer[:size]):
                self._take(control, frame)
        except (OSError, ValueError, KeyError):
            self._drop(control)

    def _drop(self, control: _Control) -> None:
        if self._controls.pop(control.connection, None) is None:
            return
        self._selector.unregister(control.connection)
        control.connection.close()
        if control.is_attached:
            self._alone_since = time.monotonic()

    def _attach(self, control: _Control) -> None:
        """From now on this one is in control: new rings, so that no other has a hand in it."""
        for other in [other for other in self._controls.values() if other is not control and other.is_attached]:
            self._drop(other)
        if self._was_attached and lib.tr_worker_renew(self._native) != 0:
            raise ConnectionError
        self._was_attached = control.is_attached = True
        fds = ffi.new("int[3]")
        lib.tr_worker_fds(self._native, fds)
        about = {
            "protocol": PROTOCOL,
            "pid": os.getpid(),
            "ports": [lib.tr_worker_port(self._native, bind) for bind in range(len(self._settings.binds))],
            "fingerprint": ffi.string(self._certificate.fingerprint).decode("ascii"),
            "settings": asdict(self._settings),
        }
        socket.send_fds(control.connection, [encode(Kind.WELCOME, body=_json(about))], list(fds))

    def _take(self, control: _Control, frame: Frame) -> None:
        if not control.is_attached:
            if frame.kind != Kind.HELLO or json.loads(frame.body)["protocol"] != PROTOCOL:
                raise ConnectionError
            self._attach(control)
            return
        match frame.kind:
            case Kind.PUT:
                if not self._notes.put(frame.key, frame.body):
                    control.connection.sendall(encode(Kind.REFUSED, frame.key))
            case Kind.DELETE:
                self._notes.delete(frame.key)
                self._somebody_went()
            case Kind.DELETE_UNDER:
                self._notes.delete_under(frame.key)
                self._somebody_went()
            case Kind.LIST:
                for key, body in self._notes.items():
                    control.connection.sendall(encode(Kind.NOTE, key, body))
                control.connection.sendall(encode(Kind.LISTED))
            case Kind.STOP:
                self._is_over = True
            case _:
                raise ConnectionError

    # ---------------------------------------------------------------- the end

    def _patience(self) -> float | None:
        """How long nothing has to be looked at."""
        now = time.monotonic()
        due = [control.since + HELLO_TIMEOUT_S for control in self._controls.values() if not control.is_attached]
        if not any(control.is_attached for control in self._controls.values()):
            due.append(self._alone_since + self._orphan_s)
        if self._look_at is not None:
            due.append(self._look_at)
        return max(0.0, min(due) - now) if due else None

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        for control in list(self._controls.values()):
            if not control.is_attached and control.since + HELLO_TIMEOUT_S <= now:
                self._drop(control)
        is_alone = not any(control.is_attached for control in self._controls.values())
        if is_alone and self._alone_since + self._orphan_s <= now:
            self._is_over = True
        if self._look_at is not None and self._look_at <= now:
            again_at = self._went_at + LOOK_AFTER_S
            self._look_at = again_at if again_at > now else None
            self._look_who_is_there()

    def _somebody_went(self) -> None:
        """A look while others may be going still, and one when the last of them are gone."""
        self._went_at = time.monotonic()
        if self._look_at is None:
            self._look_at = self._went_at + LOOK_AFTER_S

    def _look_who_is_there(self) -> None:
        """Handshakes leave holes in the heap of the worker's thread, some hundred kilobytes for each at a time."""
        lib.tr_worker_stats(self._native, self._counters)
        present = self._counters.transports[lib.TR_TRANSPORT_CONNECTED]
        if self._departures.is_look_due(self._counters.dtls_handshakes, present):
            heap.give_back()

    def _terminated(self, woken: Any) -> None:
        with suppress(BlockingIOError):
            if signal.SIGTERM in os.read(woken, 64):
                self._is_over = True

    def _unlink(self) -> None:
        with suppress(OSError):
            self._path.unlink()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def main() -> int:
    """
    Settings come on standard input, with the path of the listening socket and `orphan_s`; the socket itself as the
    descriptor that the one argument names.
    """
    say_no_words()
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    given = json.load(sys.stdin)
    settings = WorkerSettings.of(given)
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.set_inheritable(False)
    with suppress(OSError):
        Path("/proc/self/comm").write_text(f"telerelay-w{settings.index}")
    # Standard output belongs to the control, whose reader waits for its end.
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    return WorkerProcess(settings, listener, Path(given["socket"]), given["orphan_s"]).run()


if __name__ == "__main__":
    sys.exit(main())
