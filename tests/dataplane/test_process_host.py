"""A worker in a process of its own: who may attach, what it keeps, when it ends, what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from telerelay._native import ffi, lib

from support.processes import ended, is_alive
from support.waiting import until
from telerelay.dataplane import ProcessHost, Worker, WorkerSettings, make_certificate
from telerelay.dataplane import hosts as module
from telerelay.dataplane.frames import MAX_BODY_BYTES, PROTOCOL, Decoder, Frame, Kind, encode
from telerelay.dataplane.hosts import Link, end_surplus
from telerelay.dataplane.process import NOTE_OVERHEAD_BYTES, Notes
from telerelay.dataplane.rundir import RunDir
from telerelay.errors import ConfigError, NativeError, RemoteProtocolError

SETTINGS = WorkerSettings(index=3, binds=(("127.0.0.1", 0),), max_transports=64)


class Hosts:
    """Workers of one run directory; none of them outlives the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pidfds: list[int] = []

    async def start(self, orphan_s: float = 60.0, settings: WorkerSettings = SETTINGS) -> Worker:
        worker = Worker(settings, ProcessHost(self.path, orphan_s))
        await worker.start()
        self._pidfds.append(os.pidfd_open(worker.pid))
        return worker

    def close(self) -> None:
        for pidfd in self._pidfds:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


@pytest.fixture
async def hosts(tmp_path: Path) -> AsyncIterator[Hosts]:
    made = Hosts(tmp_path)
    yield made
    made.close()


async def add(worker: Worker, **fields: object) -> int:
    """A transport; its id."""
    taken = worker.transports.take()
    values = {"room": 7, "participant": 8, "is_admitted": True, "ufrag": f"03{taken:014d}", "pwd": "p" * 24, **fields}
    await worker.add_transport(transport=taken, **values)  # type: ignore[arg-type]
    return taken


def say(path: Path, *frames: bytes) -> socket.socket:
    """A connection of a stranger who says this."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(str(path / "worker-3.sock"))
    for frame in frames:
        connection.sendall(frame)
    return connection


HELLO = encode(Kind.HELLO, body=json.dumps({"protocol": PROTOCOL}).encode())


# ---------------------------------------------------------------------- life


async def test_a_worker_process_starts_and_ends_with_its_control(hosts: Hosts) -> None:
    """
    It has a session of its own and a socket for its user alone; told to stop, it is gone, and so is its socket.
    """
    worker = await hosts.start()
    path = hosts.path / "worker-3.sock"

    assert os.getsid(worker.pid) == worker.pid != os.getpid()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 1 == len(worker.ports) and 32 == len(worker.fingerprint)  # noqa: PT018
    assert False is worker.is_found
    pid = worker.pid
    await worker.stop()
    assert False is is_alive(pid)
    assert False is path.exists()


async def test_a_worker_that_is_left_is_found_again_as_it_was(hosts: Hosts) -> None:
    """
    Same process, same port, same certificate; what it has is in its inventory, what was noted in its notes.
    """
    first = await hosts.start()
    transport = await add(first)
    first.notes.put("a", b"1")
    first.notes.put("b", b"2")
    first.notes.put("a/x", b"3")
    first.notes.put("a/y", b"4")
    first.notes.put("b", b"two")
    first.notes.delete_under("a/")
    first.leave()
    second = await hosts.start()

    assert (first.pid, first.ports, first.fingerprint) == (second.pid, second.ports, second.fingerprint)
    assert True is second.is_found
    assert {"a": b"1", "b": b"two"} == await second.read_notes()
    inventory = await second.inventory()
    assert [(transport, 7, 8, "new", True)] == [
        (each.transport, each.room, each.participant, each.state, each.is_admitted)
        for each in inventory.transports.values()
    ]
    assert 1 == second.stats().transports["new"]
    await second.stop()


async def test_a_worker_that_is_found_keeps_the_settings_it_was_started_with(hosts: Hosts) -> None:
    """
    Asked for one bind more and for more transports, it has those it has; nobody is given an id that it would refuse.
    """
    first = await hosts.start(settings=dataclasses.replace(SETTINGS, max_transports=4))
    await add(first)
    first.leave()
    wanted = dataclasses.replace(SETTINGS, binds=(("127.0.0.1", 0), ("127.0.0.1", 0)), max_transports=8)
    second = await hosts.start(settings=wanted)
    second.transports.adopt((await second.inventory()).transports)
    for _ in range(3):
        await add(second)
    with pytest.raises(RemoteProtocolError) as error:
        await add(second)

    assert "room_full" == error.value.code
    assert first.settings == second.settings
    assert (("127.0.0.1", first.ports[0]),) == second.binds
    assert ("binds", "max_transports") == wanted.differences(second.settings)
    await second.stop()


async def test_an_address_in_use_is_named(hosts: Hosts) -> None:
    """
    The error is that of a worker in a thread, and nothing is left running.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        settings = WorkerSettings(index=3, binds=(("127.0.0.1", port),))
        worker = Worker(settings, ProcessHost(hosts.path))
        with pytest.raises(NativeError, match=f"worker 3 on 127.0.0.1 port {port}: Address already in use"):
            await worker.start()
    await until(lambda: not list(hosts.path.iterdir()))


async def test_a_killed_worker_is_noticed_and_its_commands_fail(hosts: Hosts) -> None:
    """
    Whoever waits for an answer is told, and so is the relay; a later stop has nothing left to do.
    """
    worker = await hosts.start()
    ended: list[Worker] = []
    worker.on_end = ended.append
    os.kill(worker.pid, signal.SIGSTOP)
    # Its thread goes on for a moment on another core, and might answer.
    await asyncio.to_thread(os.waitid, os.P_PID, worker.pid, os.WSTOPPED)
    waiting = asyncio.ensure_future(add(worker))
    await asyncio.sleep(0)
    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(NativeError, match="has stopped"):
        await waiting
    assert [worker] == ended
    assert False is worker.is_running
    await worker.stop()
    assert [worker] == ended


async def test_left_alone_a_worker_ends_when_its_patience_does(hosts: Hosts) -> None:
    """
    While there is a control, however long, it goes on; without one for `orphan_s` it ends, and takes its socket along.
    """
    worker = await hosts.start(orphan_s=0.3)
    pid = worker.pid
    assert [] == await asyncio.to_thread(ended, [pid], within_s=0.6)
    await add(worker)
    worker.leave()

    assert [pid] == await asyncio.to_thread(ended, [pid])
    assert [] == list(hosts.path.iterdir())


@pytest.mark.parametrize(("number", "ends"), [(signal.SIGINT, False), (signal.SIGHUP, False), (signal.SIGTERM, True)])
async def test_signals(hosts: Hosts, number: signal.Signals, ends: bool) -> None:
    """
    A terminal's Ctrl-C is not for it; SIGTERM, as an operator or the system's shutdown sends it, ends it cleanly.
    """
    worker = await hosts.start()
    gone: list[Worker] = []
    worker.on_end = gone.append
    os.kill(worker.pid, number)
    if ends:
        await until(lambda: gone)
        assert False is (hosts.path / "worker-3.sock").exists()
        return
    await add(worker)
    assert [] == gone
    await worker.stop()


async def test_a_worker_is_pinned_to_its_cpu(hosts: Hosts) -> None:
    """
    The thread that carries media, in whatever process it is; the one beside it may run where there is room.
    """
    cpu = max(os.sched_getaffinity(0))
    worker = await hosts.start(settings=dataclasses.replace(SETTINGS, cpu=cpu))
    await add(worker)
    thread = Worker(dataclasses.replace(SETTINGS, index=4, cpu=cpu), make_certificate())
    await thread.start()
    await add(thread)

    assert {cpu} == os.sched_getaffinity(thread_of(worker.pid))
    assert {cpu} == os.sched_getaffinity(thread_of(os.getpid()))
    assert os.sched_getaffinity(0) == os.sched_getaffinity(worker.pid)
    await thread.stop()
    await worker.stop()


def thread_of(pid: int) -> int:
    """The thread of C in a process."""
    (found,) = [
        int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text() == "telerelay\n"
    ]
    return found


def children_of(pid: int) -> set[int]:
    """The processes that are one's own; ended ones too, until they are waited for."""
    return {
        int(child) for each in Path(f"/proc/{pid}/task").iterdir() for child in (each / "children").read_text().split()
    }


async def test_twenty_controls_leave_no_descriptor_and_no_process(hosts: Hosts) -> None:
    """
    Neither here nor in the worker.
    """
    worker = await hosts.start()
    await add(worker)
    worker.leave()

    def descriptors() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{worker.pid}/fd"))

    before, children = descriptors(), children_of(os.getpid())
    for _ in range(20):
        again = Worker(SETTINGS, ProcessHost(hosts.path))
        await again.start()
        assert worker.pid == again.pid
        assert 1 == len((await again.inventory()).transports)
        again.leave()
    await until(lambda: all(now <= then for now, then in zip(descriptors(), before, strict=True)))
    assert worker.pid in children
    await until(lambda: children_of(os.getpid()) <= children)  # one of an earlier test may still be ending


# ---------------------------------------------------------------------- who may attach


async def test_the_newest_control_wins(hosts: Hosts) -> None:
    """
    The former one is disconnected, and what it posts reaches nobody.
    """
    first = await hosts.start()
    await add(first)
    second = Worker(SETTINGS, ProcessHost(hosts.path))
    await second.start()
    stale = asyncio.ensure_future(add(first))
    await asyncio.sleep(0)

    assert 1 == len((await second.inventory()).transports)
    assert False is stale.done()
    stale.cancel()
    first.leave()
    assert 1 == len((await second.inventory()).transports)
    await second.stop()


@pytest.mark.parametrize(
    "words",
    [
        [encode(Kind.HELLO, body=json.dumps({"protocol": PROTOCOL + 1}).encode())],
        [encode(Kind.HELLO, body=b"{}")],
        [encode(Kind.HELLO, body=b"[1")],
        [encode(Kind.LIST)],
        [encode(Kind.STOP)],
        [b"\xff" * 64],
        [HELLO, encode(Kind.NOTE)],
    ],
)
async def test_whoever_breaks_the_protocol_is_disconnected(hosts: Hosts, words: list[bytes]) -> None:
    """
    Another version, a command before the greeting, noise. The worker goes on.
    """
    worker = await hosts.start()
    worker.leave()
    connection = say(hosts.path, *words)
    while connection.recv(65536):
        pass
    connection.close()

    again = Worker(SETTINGS, ProcessHost(hosts.path))
    await again.start()
    assert worker.pid == again.pid
    await again.stop()


async def test_a_border_of_another_version_is_refused(tmp_path: Path) -> None:
    """
    A worker of another build: the memory it hands over is not what this one would have made. Nothing is changed there.
    """
    config = ffi.new("tr_worker_config *")
    lib.tr_worker_config_init(config)
    config.certificate = make_certificate().raw[0]
    out, fds = ffi.new("tr_worker **"), ffi.new("int[3]")
    assert 0 == lib.tr_worker_new(config, out)
    lib.tr_worker_fds(out[0], fds)
    os.pwrite(fds[0], (lib.tr_version() + 1).to_bytes(4, sys.byteorder), 0)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "worker-3.sock"))
    listener.listen()
    about = {"protocol": PROTOCOL, "pid": os.getpid(), "ports": [1], "fingerprint": "AB", "settings": {}}

    def serve() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        socket.send_fds(connection, [encode(Kind.WELCOME, body=json.dumps(about).encode())], list(fds))
        connection.recv(65536)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(NativeError) as error:
        await Worker(SETTINGS, ProcessHost(tmp_path)).start()
    assert "version" == error.value.code
    thread.join(5)
    listener.close()
    lib.tr_worker_free(out[0])


# ---------------------------------------------------------------------- one too many


async def test_a_worker_too_many_is_ended(hosts: Hosts) -> None:
    """
    And what a dead one left of itself goes too.
    """
    worker = await hosts.start()
    pid, path = worker.pid, hosts.path / "worker-3.sock"
    worker.leave()
    assert True is await asyncio.to_thread(end_surplus, hosts.path, 3)
    await until(lambda: not is_alive(pid))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert False is await asyncio.to_thread(end_surplus, hosts.path, 3)
    assert False is path.exists()
    assert False is await asyncio.to_thread(end_surplus, hosts.path, 3)


async def test_a_worker_too_many_that_does_not_answer_keeps_its_socket(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without it nobody could ever end it but by hand.
    """
    worker = await hosts.start()
    worker.leave()
    os.kill(worker.pid, signal.SIGSTOP)
    monkeypatch.setattr(module, "START_TIMEOUT_S", 0.2)
    with pytest.raises(NativeError, match="worker 3 does not answer"):
        await asyncio.to_thread(end_surplus, hosts.path, 3)
    assert True is (hosts.path / "worker-3.sock").exists()
    os.kill(worker.pid, signal.SIGCONT)
    monkeypatch.setattr(module, "START_TIMEOUT_S", 15.0)
    assert True is await asyncio.to_thread(end_surplus, hosts.path, 3)


# ---------------------------------------------------------------------- the run directory


def test_the_run_directory_is_its_users_alone(tmp_path: Path) -> None:
    """
    Made with 0700; one that others may look into, or that is a link, is not used.
    """
    run_dir = RunDir.open(str(tmp_path / "run"), [("127.0.0.1", 40000)])
    assert 0o700 == stat.S_IMODE(run_dir.path.stat().st_mode)
    run_dir.close()
    run_dir.path.chmod(0o750)
    with pytest.raises(ConfigError, match="mode 0700"):
        RunDir.open(str(run_dir.path), [("127.0.0.1", 40000)])
    run_dir.path.chmod(0o700)
    (tmp_path / "link").symlink_to(run_dir.path)
    with pytest.raises(ConfigError, match="mode 0700"):
        RunDir.open(str(tmp_path / "link"), [("127.0.0.1", 40000)])


def test_two_relays_do_not_share_a_run_directory(tmp_path: Path) -> None:
    """
    The second is refused by name as long as the first holds it.
    """
    first = RunDir.open(str(tmp_path / "run"), [])
    with pytest.raises(ConfigError) as error:
        RunDir.open(str(tmp_path / "run"), [])
    assert "already_running" == error.value.code
    first.close()
    RunDir.open(str(tmp_path / "run"), []).close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory for sockets, whose paths are at most 107 bytes; pytest's own may be longer."""
    with tempfile.TemporaryDirectory(prefix="tr-") as path:
        yield Path(path)


def test_the_run_directory_is_named_after_the_first_bind(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    So the same command finds the same workers; ports that the system chooses lead to a directory that nobody finds.
    """
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    named = RunDir.open("", [("127.0.0.1", 40000), ("::1", 40000)])
    six = RunDir.open("", [("::1", 40000)])
    nameless = RunDir.open("", [("127.0.0.1", 0)])

    assert short_path / "telerelay" / "127.0.0.1-40000" == named.path
    assert short_path / "telerelay" / "__1-40000" == six.path
    assert nameless.path.name.startswith("telerelay-")
    assert 0o700 == stat.S_IMODE(nameless.path.stat().st_mode)
    for each in (named, six, nameless):
        each.close()
    assert [True, False] == [named.path.exists(), nameless.path.exists()]


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """
    sockaddr_un has room for 107 bytes.
    """
    with pytest.raises(ConfigError, match="too long"):
        RunDir.open(str(tmp_path / ("x" * 100)), [])


# ---------------------------------------------------------------------- frames and notes


def test_frames_come_out_as_they_went_in_however_they_are_cut() -> None:
    """
    Byte by byte, and all at once.
    """
    frames = [Frame(Kind.PUT, b"key", b"body"), Frame(Kind.LIST), Frame(Kind.NOTE, b"", b"\x00" * 300)]
    data = b"".join(encode(Kind(each.kind), each.key, each.body) for each in frames)
    whole, cut = Decoder(), Decoder()

    assert frames == list(whole.feed(data))
    assert frames == [frame for at in range(len(data)) for frame in cut.feed(data[at : at + 1])]


def test_a_frame_past_its_bounds_is_refused_on_both_sides() -> None:
    """
    A key of 256 bytes, a body of more than a mebibyte.
    """
    with pytest.raises(ValueError, match="bounds"):
        encode(Kind.PUT, b"k" * 256)
    with pytest.raises(ValueError, match="bounds"):
        encode(Kind.PUT, b"k", bytes(MAX_BODY_BYTES + 1))
    with pytest.raises(ValueError, match="bounds"):
        list(Decoder().feed((MAX_BODY_BYTES + 1).to_bytes(4, "big") + b"\x04\x00"))


async def test_notes_of_one_turn_leave_together_and_in_order() -> None:
    """
    At the end of the turn, or at once when somebody is about to be told what follows from them; what is past the
    socket's buffer follows as room is made.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    far.setblocking(False)
    link = Link(near, lambda frame: None)
    link.put("a", b"1")
    link.delete("b")
    with pytest.raises(BlockingIOError):
        far.recv(1)
    link.flush()
    together = far.recv(1 << 16)
    link.put("c", b"2")
    await asyncio.sleep(0)
    assert [encode(Kind.PUT, b"a", b"1") + encode(Kind.DELETE, b"b"), encode(Kind.PUT, b"c", b"2")] == [
        together,
        far.recv(1 << 16),
    ]

    def put_once() -> None:
        link.put("once", b"3")

    for _ in range(3):
        link.later(put_once)
    link.flush()
    await asyncio.sleep(0)
    assert encode(Kind.PUT, b"once", b"3") == far.recv(1 << 16)

    large = bytes(MAX_BODY_BYTES)
    for name in ("d", "e"):
        link.put(name, large)
        link.flush()
    decoder, found = Decoder(), list[Frame]()
    async with asyncio.timeout(10):
        while len(found) < 2:
            found += decoder.feed(await asyncio.get_running_loop().sock_recv(far, 1 << 20))
    link.close()
    far.close()

    assert [(b"d", large), (b"e", large)] == [(each.key, each.body) for each in found]


def test_notes_are_bounded_together() -> None:
    """
    What does not fit is refused, and takes along what it would have replaced: a stale note is worse than none.
    """
    notes = Notes(max_bytes=3 * (NOTE_OVERHEAD_BYTES + 11))

    assert [True, True, True] == [notes.put(name, b"0123456789") for name in (b"a", b"b", b"c")]
    assert False is notes.put(b"d", b"")
    assert False is notes.put(b"a", b"0123456789+")
    assert {b"b": b"0123456789", b"c": b"0123456789"} == dict(notes.items())
    notes.delete(b"b")
    notes.delete(b"b")
    assert True is notes.put(b"d", b"0123456789")
    notes.delete_under(b"")
    assert [] == notes.items()


async def test_control_hears_of_a_note_that_was_refused(tmp_path: Path) -> None:
    """
    So that an operator can.
    """
    refused: list[int] = []
    host = ProcessHost(tmp_path, on_refused=lambda: refused.append(1))
    worker = Worker(SETTINGS, host)
    await worker.start()
    for number in range(65):
        worker.notes.put(f"{number}", bytes(1 << 20))
    await worker.read_notes()

    assert len(refused) >= 1
    await worker.stop()
