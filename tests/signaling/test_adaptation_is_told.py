"""
What adaptation decides, as workers and people hear it: ladders, what is remembered of a line, notices, limits and who
speaks. Real worker and signalling; what the worker would tell of a line is told in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.live_relay import Live, MakeLive, Peer, answer_to
from telerelay.allocator import Ladder, Rung, Track
from telerelay.connection import Connection
from telerelay.dataplane import LineEstimate, Rate, SenderHeld
from telerelay.signaling.adapting import START_BPS
from telerelay.signaling.host import RoomHost

ON = {"media": {"adaptation": True}}


def host_of(live: Live) -> RoomHost:
    (host,) = live.relay._rooms.hosts
    return host


def told(peer: Peer, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in peer.events if event["type"] in kinds]


async def answered(peer: Peer, after: int = 0) -> int:
    """The number of the offer it has taken, the first above `after`."""
    offer = await peer.event("offer", after)
    await peer.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    return int(offer["seq"])


async def call(live: Live) -> tuple[Peer, Peer, str]:
    """Alice publishes, bob has answered; and the name of her picture."""
    alice, bob = await live.join("alice"), await live.join("bob")
    _, picture = (each["id"] for each in (await alice.publish())["publications"])
    await answered(bob)
    return alice, bob, picture


def line_of(live: Live, peer: Peer) -> Connection:
    subscribing = host_of(live).seats[peer.id].subscribing
    assert subscribing is not None
    return subscribing.transport


def sender_of(live: Live, peer: Peer, publication: str) -> int:
    subscribing = host_of(live).seats[peer.id].subscribing
    assert subscribing is not None
    return next(sender for sender, carried in subscribing.carried().items() if carried == publication)


def estimate(transport: int, bps: int) -> LineEstimate:
    return LineEstimate(
        transport=transport, target_bps=bps, queue_us=0, rtt_us=0, loss=0.0, mode="free", estimate_bps=bps, rung=1
    )


async def test_what_is_remembered_of_a_line_is_where_its_next_connection_begins(make_live: MakeLive) -> None:
    """
    At first what any line may carry; then what was told last, bounded, as long as the seat is.
    """
    live = await make_live(ON)
    begun: list[dict[str, int]] = []
    (worker,) = live.relay._workers
    set_downlink = worker.set_downlink

    def noted(transport: int, **rates: int) -> Any:
        begun.append(rates)
        return set_downlink(transport, **rates)

    worker.set_downlink = noted  # type: ignore[method-assign]
    _, bob, _ = await call(live)
    line = line_of(live, bob)
    line._on_event(estimate(line.id, 640_000))
    await bob.ask("reconnect", connection="subscribe")
    bob.events.clear()
    await answered(bob)

    assert [START_BPS, 640_000] == [each["start_bps"] for each in begun]
    assert line.id != line_of(live, bob).id


async def test_both_ends_hear_of_a_picture_that_is_held_back(make_live: MakeLive) -> None:
    """
    Once; who comes back to his seat hears it again; its end is told too, and by whoever has gone nobody is bothered.
    """
    live = await make_live(ON)
    alice, bob, picture = await call(live)
    line, sender = line_of(live, bob), sender_of(live, bob, picture)
    for _ in range(2):
        line._on_event(SenderHeld(line.id, sender, is_held=True))
    for peer in (alice, bob):
        await peer.ask("stats")
    paused = {"publication": picture, "state": "paused"}
    assert [{"type": "track_state", **paused, "reason": "line"}] == told(bob, "track_state", "seen_by")
    assert [{"type": "seen_by", **paused, "participant": bob.id}] == told(alice, "track_state", "seen_by")
    assert 1 == host_of(live).adapter.held_count

    kept = {"media": "keep", "last_seq": bob.seq}
    await bob.ws.close()
    again = await live.join("bob", resume=bob.joined["resume"], **kept)
    line._on_event(SenderHeld(line.id, sender, is_held=False))
    for peer in (alice, again):
        await peer.ask("stats")

    assert ["paused", "live"] == [each["state"] for each in told(again, "track_state")]
    assert ["paused", "live"] == [each["state"] for each in told(alice, "seen_by")]
    assert 0 == host_of(live).adapter.held_count
    metrics = await (await live.http.get(f"{live.url}/metrics")).text()
    assert "telerelay_holds_total 1.0" in metrics


async def test_a_picture_that_its_receiver_has_paused_is_not_told_of(make_live: MakeLive) -> None:
    """
    Its client knows.
    """
    live = await make_live(ON)
    alice, bob, picture = await call(live)
    await bob.ask("pause", publication=picture, paused=True)
    line, sender = line_of(live, bob), sender_of(live, bob, picture)
    line._on_event(SenderHeld(line.id, sender, is_held=True))
    for peer in (alice, bob):
        await peer.ask("stats")

    assert [] == told(bob, "track_state") + told(alice, "seen_by")


async def test_the_only_receivers_line_limits_its_publisher(make_live: MakeLive) -> None:
    """
    At once where it falls; the same again is not told again; and with a second receiver there is no limit.
    """
    live = await make_live(ON)
    alice, bob, picture = await call(live)
    host, line = host_of(live), line_of(live, bob)
    source = host.source(picture)
    assert source is not None
    host.adapter.room.on_rate(Rate(source.receiver, 0, 0, 0, 0, 1_500_000, 1_500_000), 1)
    for bps in (500_000, 499_000):
        line._on_event(estimate(line.id, bps))
    await alice.ask("stats")
    (limited,) = told(alice, "limits")
    cem = await live.join("cem")
    await answered(cem)
    host.adapter.decide()
    await alice.ask("stats")

    assert [picture] == [each["publication"] for each in limited["tracks"]]
    assert limited["tracks"][0]["max_bps"] < 475_000
    assert [] == told(alice, "limits")[-1]["tracks"]


async def test_an_applications_own_allocator_decides(make_live: MakeLive) -> None:
    """
    It is given the tracks of each receiver, and what it answers is what the worker climbs.
    """
    seen: list[Sequence[Track]] = []

    class Own:
        def allocate(self, tracks: Sequence[Track]) -> Ladder:
            seen.append(tracks)
            return Ladder(tuple(Rung(each.sender, 1_000 + at) for at, each in enumerate(tracks)))

    live = await make_live(ON, allocator=Own())
    _, bob, picture = await call(live)
    given = host_of(live).adapter.room._lines[line_of(live, bob).id]

    assert {"audio", "video"} == {each.kind for each in seen[-1]}
    assert sender_of(live, bob, picture) in {each.sender for each in seen[-1]}
    assert [1_000, 1_001] == [each.cost_bps for each in given.rungs or ()]


async def test_three_people_hear_who_speaks(make_live: MakeLive) -> None:
    """
    Who comes later, too.
    """
    live = await make_live(ON)
    alice, bob, _ = await call(live)
    cem = await live.join("cem")
    await bob.publish()
    host = host_of(live)
    (sound,) = (each.id for each in host.seats[bob.id].participant.publications.values() if each.kind == "audio")
    source = host.source(sound)
    assert source is not None
    (worker,) = live.relay._workers

    async def rates() -> list[Rate]:
        return [Rate(source.receiver, 0, 0, 0, 100, 30_000, 30_000)]

    worker.rates = rates  # type: ignore[method-assign]
    await live.relay._rooms.adaptation.look()
    late = await live.join("dan")
    for peer in (alice, bob, cem, late):
        await peer.ask("stats")

    expected = [{"type": "speaker", "participant": bob.id}]
    assert [expected] * 4 == [told(peer, "speaker") for peer in (alice, bob, cem, late)]


async def test_nothing_is_adapted_where_it_is_off(make_live: MakeLive) -> None:
    """
    No ladder, no limit, nothing estimated.
    """
    live = await make_live({"media": {"adaptation": False}})
    alice, bob, _ = await call(live)
    await live.relay._rooms.adaptation.look()
    for peer in (alice, bob):
        await peer.ask("stats")
    metrics = await (await live.http.get(f"{live.url}/metrics")).text()

    assert "telerelay_ladders_total 0.0" in metrics
    assert [] == told(alice, "limits", "speaker") + told(bob, "track_state")
