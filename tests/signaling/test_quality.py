"""
What people, the application and an operator hear of how good the call is. Real media of two clients, over a line that
loses.
"""

import asyncio

import pytest

from support.impairment import Impairment, UdpImpairment
from support.live_relay import Live, MakeLive
from telerelay import Hooks, QualityEvent
from telerelay.client import Client, Tone
from telerelay.quality.meter import LEAST_S

LOSING = Impairment(loss=0.25)


class Listener(Hooks):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[QualityEvent] = []

    async def on_quality(self, event: QualityEvent) -> None:
        self.told.append(event)


def signs(client: Client) -> list[dict[str, object]]:
    return [event for event in client.events if event["type"] == "quality"]


def cause_up(client: Client) -> object:
    """Of what it sends, as it was told last."""
    told = [event["up"] for event in client.events if event["type"] == "quality" and event["up"]]
    return told[-1]["cause"] if told else "none yet"


async def test_a_bad_line_is_told_to_whose_it_is(make_live: MakeLive) -> None:
    """
    A quarter of what alice sends is lost: she reads that it is hers, with loss as its cause, and the application hears
    it; bob, who hears it broken, is told that his own line is good. Metrics count scores, and name nobody.
    """
    listener = Listener()
    live = await make_live(hooks=listener)
    (host, port), *_ = [address.rsplit(":", 1) for address in live.relay.udp_addresses]
    with UdpImpairment((host, int(port)), up=LOSING, seed=3) as line:
        async with (
            await Client.join(live.url, live.token("alice"), "r1", relay_port=line.port) as alice,
            await Client.join(live.url, live.token("bob", role="patient"), "r1") as bob,
        ):
            line.up.impairment = Impairment()
            await asyncio.gather(alice.publish([Tone()]), bob.publish([Tone(330)]))
            for client in (alice, bob):
                await client.wait_for(lambda each: any(t.rx_packets > 50 for t in each.track_stats()))
            await alice.wait_for(lambda each: cause_up(each) is None)
            await bob.wait_for(lambda each: bool(signs(each)))
            good = signs(alice)[-1]
            line.up.impairment = LOSING
            await alice.wait_for(lambda each: cause_up(each) == "loss")
            bad, of_bob = signs(alice)[-1], signs(bob)[-1]
            await live.until(lambda: any(event.cause == "loss" for event in listener.told))
            metrics = await (await live.http.get(f"{live.url}/metrics")).text()

    assert {"score": 5, "cause": None} == good["up"]
    assert isinstance(bad["up"], dict)
    assert "loss" == bad["up"]["cause"]
    assert bad["up"]["score"] in (1, 2, 3, 4)
    assert isinstance(of_bob["down"], dict)
    assert of_bob["down"]["score"] >= 4
    assert "seq" not in bad
    lost = next(event for event in listener.told if event.cause == "loss" and event.sub == "alice")
    assert ("alice", "up", "practitioner") == (lost.sub, lost.direction, lost.role)
    assert lost.audio_mos is not None
    assert [] == [event for event in listener.told if event.sub == "bob" and 0 < event.score <= 3]
    assert 'telerelay_quality_total{cause="loss",direction="up"' in metrics
    quality = [row for row in metrics.splitlines() if row.startswith("telerelay_quality_total")]
    assert [] == [row for row in quality if "alice" in row or "r1" in row or lost.participant in row]


async def test_who_sends_and_is_sent_nothing_has_no_score(live: Live) -> None:
    """
    Somebody who is alone, or whose connection is not up, is told nothing.
    """
    alice = await live.join("alice")
    await alice.publish()
    await live.relay._rooms.quality.look()
    await asyncio.sleep(LEAST_S)
    await live.relay._rooms.quality.look()
    await alice.ask("stats")

    assert [] == [event for event in alice.events if event["type"] == "quality"]


@pytest.mark.parametrize("tracks", [[], [{"publication": "gone", "concealed": 0.5}]])
async def test_a_report_is_taken_whatever_it_speaks_of(live: Live, tracks: list[dict[str, object]]) -> None:
    """
    A publication that is gone meanwhile, or is none, is no reason to refuse what is said of others.
    """
    alice = await live.join("alice")

    assert {"type": "reply", "id": 2} == await alice.ask("report", tracks=tracks)
