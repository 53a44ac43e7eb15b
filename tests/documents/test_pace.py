"""Beside a call a document goes no faster than it may; without one, and of a still, as fast as it can."""

import time
from typing import Any

import pytest

from support.uploads import Call, some_bytes
from telerelay.documents.pace import Pace


def test_a_pace_is_kept_over_any_pieces() -> None:
    """
    Of whatever sizes, and not made good for after a pause.
    """
    pace = Pace(8_000.0, 0.0)
    waits = [pace.delay_s(0.0, 500), pace.delay_s(0.5, 1000), pace.delay_s(1.5, 1), pace.delay_s(100.0, 1000)]

    assert [0.5, 1.0, 0.001, 1.0] == [pytest.approx(each) for each in waits]


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
