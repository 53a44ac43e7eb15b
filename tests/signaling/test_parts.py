"""The small parts of signalling, alone: buckets, the event log, a socket's queue."""

import asyncio
import json
from typing import Any

import pytest

from telerelay.events import MuteChanged
from telerelay.signaling import socket as sockets
from telerelay.signaling.eventlog import MAX_KEPT_BYTES, EventLog
from telerelay.signaling.limits import Bucket, FailureLimit

# ---------------------------------------------------------------------- limits


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """
    Three at once, then two a second, never more than the burst again.
    """
    bucket = Bucket(3, 2, now=100)

    assert [True, True, True, False] == [bucket.take(100) for _ in range(4)]
    assert [True, False] == [bucket.take(100.5) for _ in range(2)]
    assert [True, True, True, False] == [bucket.take(1000) for _ in range(4)]


def test_a_refusal_uses_nothing_up() -> None:
    """
    Who asks too often is not punished for asking.
    """
    bucket = Bucket(1, 1, now=0)
    bucket.take(0)
    for tenth in range(1, 10):
        assert not bucket.take(tenth / 10)

    assert bucket.take(1.0)


def test_failures_are_counted_by_source() -> None:
    """
    One address's failures are not another's.
    """
    limit = FailureLimit(2, 1)

    assert [False, False, True] == [limit.is_over("192.0.2.1", 0) for _ in range(3)]
    assert not limit.is_over("192.0.2.2", 0)
    assert not limit.is_over("192.0.2.1", 2)


def test_remembered_sources_have_a_bound() -> None:
    """
    A flood from many addresses takes no more memory than so many of them.
    """
    limit = FailureLimit(1, 0.001)
    for source in range(limit.MAX_SOURCES + 10):
        limit.is_over(str(source), 0)

    assert limit.MAX_SOURCES == len(limit._buckets)
    assert limit.is_over(str(limit.MAX_SOURCES + 9), 0)
    assert not limit.is_over("0", 0)


# ---------------------------------------------------------------------- the event log


def log_of(count: int, max_kept: int = 4) -> EventLog:
    log = EventLog(max_kept)
    for number in range(count):
        log.add(MuteChanged("p", str(number), True))
    return log


@pytest.mark.parametrize(
    ("count", "since", "expected"),
    [
        (0, 0, []),
        (3, 0, [1, 2, 3]),
        (3, 2, [3]),
        (3, 3, []),
        (6, 2, [3, 4, 5, 6]),
        (6, 1, None),
        (3, 4, None),
        (0, 1, None),
    ],
)
def test_missed_events_are_all_or_nothing(count: int, since: int, expected: list[int] | None) -> None:
    """
    Every event after a number, in order; None if one of them is gone, or if the number was never reached.
    """
    missed = log_of(count).since(since)

    assert expected == (None if missed is None else [json.loads(text)["seq"] for text in missed])


@pytest.mark.parametrize(
    ("confirmed", "since", "expected"),
    [
        ([2], 2, [3, 4]),
        ([2], 1, None),
        ([4], 4, []),
        ([4], 3, None),
        ([2, 1], 2, [3, 4]),
        ([0], 0, [1, 2, 3, 4]),
        ([1, 3], 3, [4]),
    ],
)
def test_what_a_client_is_known_to_have_is_not_kept_for_it(
    confirmed: list[int], since: int, expected: list[int] | None
) -> None:
    """
    All after it is, and its bytes are counted right.
    """
    log = log_of(4)
    for seq in confirmed:
        log.confirm(seq)
    missed = log.since(since)

    assert expected == (None if missed is None else [json.loads(text)["seq"] for text in missed])
    assert log._kept_bytes == sum(map(len, log._kept))
    assert json.loads(log.add(MuteChanged("p", "4", True)))["seq"] == 5


def test_a_log_is_bound_in_bytes_too() -> None:
    """
    All of it fits into a socket's queue.
    """
    log = EventLog(1000)
    for _ in range(100):
        log.add(MuteChanged("p" * 10_000, "x", True))

    assert MAX_KEPT_BYTES < sockets.MAX_QUEUED_BYTES
    assert log._kept_bytes <= MAX_KEPT_BYTES
    assert log._kept_bytes == sum(map(len, log._kept))
    assert log.since(0) is None
    assert log.since(99) is not None


# ---------------------------------------------------------------------- a socket's queue


class FakeTransport:
    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class FakeWs:
    """Takes frames while its gate is open."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_str(self, text: str) -> None:
        await self.gate.wait()
        self.sent.append(text)

    async def ping(self, data: bytes) -> None:
        await self.gate.wait()
        self.sent.append("ping")

    async def close(self, *, code: int, message: bytes) -> None:
        await self.gate.wait()
        self.sent.append((code, message))


def socket_of() -> tuple[sockets.Socket, FakeWs, FakeTransport]:
    ws, transport = FakeWs(), FakeTransport()
    return sockets.Socket(ws, transport), ws, transport  # type: ignore[arg-type]


async def test_a_peer_that_does_not_read_is_cut() -> None:
    """
    At the bound exactly it still lives, one byte more and it is gone; sending never waits.
    """
    socket, ws, transport = socket_of()
    ws.gate.clear()
    socket.send("x" * sockets.MAX_QUEUED_BYTES)
    assert not transport.is_aborted
    socket.send("x")

    assert transport.is_aborted
    assert socket.is_lost


async def test_what_is_queued_goes_out_before_the_close() -> None:
    """
    A reason is worth nothing if it does not arrive; what comes after it is not sent.
    """
    socket, ws, transport = socket_of()
    socket.send("why")
    socket.close(4009, "duplicate_join")
    socket.send("too late")
    await socket.run()

    assert ["why", (4009, b"duplicate_join")] == ws.sent
    assert not transport.is_aborted


async def test_a_close_that_hangs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The old one of two joins is gone within a second, whatever it does.
    """
    monkeypatch.setattr(sockets, "CLOSE_DEADLINE_S", 0.01)
    socket, ws, transport = socket_of()
    ws.gate.clear()
    running = asyncio.ensure_future(socket.run())
    socket.close(4009, "duplicate_join")
    async with asyncio.timeout(1):
        while not transport.is_aborted:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
    running.cancel()


async def test_a_peer_that_never_answers_pings_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Ten seconds without a whole frame, though it was asked: dead, or dripping one frame for ever (A47).
    """
    assert sockets.PULSE_S * sockets.MAX_MISSED <= 10
    monkeypatch.setattr(sockets, "PULSE_S", 0.005)
    socket, ws, transport = socket_of()
    async with asyncio.timeout(1):
        await socket.run()

    assert transport.is_aborted
    assert ["ping"] == ws.sent
