"""Beside a call a document goes no faster than it may; without one, and of a still, as fast as it can."""

import asyncio
import socket
import time
from typing import Any

import pytest

from support.uploads import Call, some_bytes
from telerelay.documents.pace import (
    FIRST_BPS,
    GIVEN_BACK_BYTES,
    LEAST_BPS,
    LEAST_WINDOW_BYTES,
    NEAR_BYTES,
    SEGMENT_BYTES,
    SO_MAX_PACING_RATE,
    Pace,
    Trip,
    spread,
)


def test_a_pace_is_kept_over_any_pieces() -> None:
    """
    Of whatever sizes, and not made good for after a pause.
    """
    pace = Pace(8_000.0, 0.0)  # less than what a line is tried with
    waits = [pace.delay_s(0.0, 500), pace.delay_s(0.5, 1000), pace.delay_s(1.5, 1), pace.delay_s(100.0, 1000)]

    assert [0.5, 1.0, 0.001, 1.0] == [pytest.approx(each) for each in waits]


def heard(*trips_ms: tuple[float, float]) -> Pace:
    """A pace of 600 kbit/s that was told of such round trips, and the least ones, a second apart."""
    pace = Pace(600_000.0, 0.0)
    for now, (rtt_ms, least_ms) in enumerate(trips_ms, 1):
        pace.hear(float(now), Trip(rtt_ms / 1e3, least_ms / 1e3))
    return pace


@pytest.mark.parametrize(
    ("trips_ms", "expected_bps"),
    [
        ([(55, 50)], 105_000),
        ([(55, 50)] * 99, 600_000),  # and no more than that
        ([(100, 50)] * 9, FIRST_BPS),  # no more than a voice can wait for
        ([(111, 50)], 70_000),
        ([(800, 50)] * 99, LEAST_BPS),
        ([(111, 50), (55, 50)], 73_500),
        ([(50, 0), (111, 0)], 73_500),  # the least is what was seen, where nothing else says it
        ([(0, 0)], 600_000),  # nobody knows
        ([(1, 1)], 600_000),  # a proxy's connection, or a house's own net
        ([(0, 50)] * 99, 600_000),
    ],
)
def test_a_document_gives_way_where_a_queue_stands(trips_ms: list[tuple[float, float]], expected_bps: float) -> None:
    """
    A round trip that is 60 ms longer than the least takes three tenths of the rate; one of less than 30 ms gives a
    twentieth.
    """
    assert pytest.approx(expected_bps) == heard(*trips_ms).bps


def test_what_is_sent_one_by_one_is_acknowledged_with_the_next_and_that_is_no_queue() -> None:
    """
    At 100 kbit/s one segment is 116 ms behind the other; a queue is what a round trip is longer by than that.
    """
    rates = []
    for stands_ms in (0.0, 45.0, 61.0):
        pace = Pace(600_000.0, 0.0, is_sender=True)
        held_ms = SEGMENT_BYTES * 8 / pace.bps * 1e3
        pace.hear(0.0, Trip((50.0 + held_ms + stands_ms) / 1e3, 0.05))
        rates.append(pace.bps)

    assert [105_000, 100_000, 70_000] == [pytest.approx(each) for each in rates]


def test_the_round_trip_is_looked_at_once_in_itself() -> None:
    """
    What is under way was sent at the rate before: the answer to a change comes a round trip later.
    """
    pace = Pace(600_000.0, 0.0)
    rates = []
    for now in (0.0, 0.4, 0.6, 0.9, 1.2):
        pace.hear(now, Trip(0.5, 0.05))
        rates.append(pace.bps)

    assert [70_000, 70_000, 50_000, 50_000, 50_000] == [pytest.approx(each) for each in rates]


@pytest.mark.parametrize(
    ("trips_ms", "expected"),
    [
        ([(50, 50)] * 99, 3750 + SEGMENT_BYTES),
        ([(200, 200)] * 99, 15_000 + SEGMENT_BYTES),
        ([(10, 10)] * 99, LEAST_WINDOW_BYTES),
        ([(50, 50)], LEAST_WINDOW_BYTES),
        ([(800, 50)] * 99, LEAST_WINDOW_BYTES),
        ([(1, 1)], NEAR_BYTES),
        ([(0, 0)], NEAR_BYTES),
    ],
)
def test_no_more_is_under_way_than_the_pace_needs(trips_ms: list[tuple[float, float]], expected: int) -> None:
    """
    Of an empty line, and one segment; what is more stands in the queue of the line.
    """
    assert expected == heard(*trips_ms).window_bytes


class Connection:
    """A request on a connection of this machine's, as far as `spread` looks at it."""

    def __init__(self, sock: socket.socket) -> None:
        self.transport, self._sock = self, sock

    def get_extra_info(self, name: str) -> Any:
        assert name == "socket"
        return self._sock

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        """Nothing was written."""
        return 0

    def buffer_and_rate(self) -> tuple[int, int]:
        size = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        return size, self._sock.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE)


async def test_a_connection_is_given_back_as_it_was() -> None:
    """
    A still that comes next on it is not held back.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        connection = Connection(client)
        _, unpaced = connection.buffer_and_rate()
        async with spread(connection, 600_000.0):  # type: ignore[arg-type]
            await asyncio.sleep(0)
            held, rate = connection.buffer_and_rate()
        size, rate_after = connection.buffer_and_rate()

    assert 75_000 == rate
    assert unpaced == rate_after
    assert held <= 2 * NEAR_BYTES < GIVEN_BACK_BYTES <= size


@pytest.fixture
def calling(call: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Everybody's media is connected."""
    seats = call.live.relay._rooms.hosts[0].seats.values()
    for seat in seats:
        assert seat.subscribing is not None
        monkeypatch.setattr(seat.subscribing.transport, "state", "connected")
    return call


async def timed(doing: Any) -> tuple[float, Any]:
    began = time.monotonic()
    result = await doing
    return time.monotonic() - began, result


async def test_a_document_is_held_back_beside_a_call(calling: Call) -> None:
    """
    Both ways: 150 kB at 600 kbit/s are two seconds, of which a buffer may take a part; a still is not held back.
    """
    documents = calling.live.relay.consults.documents
    data = some_bytes(150_000)
    up_s, document = await timed(calling.pat.send(data))
    item = documents._works[document].item
    access = documents.host_access("r1")

    assert 1.0 < up_s
    assert data == (await calling.doc.ask("GET", document)).body
    assert 0.0 == documents.pace_bps(access, item.id)  # the host has no call


async def test_without_a_call_nothing_is_held_back(call: Call) -> None:
    """
    As with a device that only sends.
    """
    documents = call.live.relay.consults.documents
    document = await call.pat.send(some_bytes(10))
    grant = call.live.relay._keys.verify(call.live.token("pat", role="patient"), time.time())

    assert 0.0 == documents.pace_bps(documents.access(grant), document)
    assert 200 == (await call.doc.ask("GET", document)).status
