"""What is given up on a line that does not carry everything is the application's to say, beside the media path."""

import asyncio
import time

from test_adaptation_is_told import ON, answered, host_of, line_of, sender_of

from support.live_relay import Live, MakeLive, Peer
from telerelay import Hooks
from telerelay.adaptation.degrading import CARRYING_US, LACKING_US, How
from telerelay.hooks import DegradeRequest


class Rules(Hooks):
    """Says what it is told to say, after a while."""

    def __init__(self, how: How, delay_s: float = 0.0) -> None:
        self.how: How = how
        self.delay_s = delay_s
        self.asked: list[DegradeRequest] = []

    async def degrade(self, request: DegradeRequest) -> How:
        self.asked.append(request)
        await asyncio.sleep(self.delay_s)
        return self.how


async def consult(live: Live) -> tuple[Peer, Peer, str]:
    """A doctor publishes, a patient who was let in has answered; and the name of the doctor's picture."""
    await live.schedule()
    doctor = await live.join("doc")
    patient = await live.join("pat", role="patient")
    await doctor.ask("admit", participant=patient.id)
    _, picture = (each["id"] for each in (await doctor.publish())["publications"])
    await answered(patient)
    return doctor, patient, picture


def stand(live: Live, peer: Peer, rung: int, *at_us: int) -> None:
    """What is decided at these times while the peer's line stands on that rung."""
    adapter = host_of(live).adapter
    now_us = int(time.monotonic() * 1e6)
    for later_us in at_us:
        adapter.room.on_estimate(line_of(live, peer).id, 300_000, rung)
        adapter._apply(adapter.room.decide(now_us + later_us))


async def degrades(live: Live) -> list[tuple[str, str, str]]:
    return [
        (each.clear["sub"], each.clear["direction"], each.clear["how"])
        for each in await live.entries()
        if each.kind == "degraded"
    ]


async def test_it_is_asked_written_down_and_done(make_live: MakeLive) -> None:
    """
    Sound alone: the patient's ladder has pauses alone until everything is carried again.
    """
    rules = Rules("audio_only")
    live = await make_live(ON, hooks=rules)
    _, patient, picture = await consult(live)
    stand(live, patient, 0, 0, LACKING_US)
    adapter, line = host_of(live).adapter, line_of(live, patient).id
    await live.until(lambda: adapter.room._lines[line].how == "audio_only")
    rungs = adapter.room._lines[line].rungs or ()

    assert [DegradeRequest("r1", "pat", "patient", "down", "camera", 300_000)] == rules.asked
    assert {True} == {each.is_paused for each in rungs if each.sender == sender_of(live, patient, picture)}
    assert [("pat", "down", "audio_only")] == await degrades(live)
    stand(live, patient, 64, LACKING_US, LACKING_US + CARRYING_US)
    assert [("pat", "down", "audio_only"), ("pat", "down", "usual")] == await degrades(live)


async def test_a_rule_that_hangs_changes_nothing(make_live: MakeLive) -> None:
    """
    It is cut, named in the journal, and the allocator's order holds; everything else goes on meanwhile.
    """
    rules = Rules("audio_only", delay_s=60)
    live = await make_live({**ON, "hooks": {"decision_timeout_s": 0.2}}, hooks=rules)
    _, patient, _ = await consult(live)
    began = time.monotonic()
    stand(live, patient, 0, 0, LACKING_US)
    await patient.ask("stats")
    took_s = time.monotonic() - began
    await live.until(lambda: bool(live.relay._hooks.failures))
    failed = [each.clear for each in await live.entries() if each.kind == "hook_failed"]

    assert [{"hook": "degrade", "why": "timeout"}] == failed
    assert [("pat", "down", "usual")] == await degrades(live)
    assert took_s < 0.2


async def test_without_a_rule_nobody_is_asked(make_live: MakeLive) -> None:
    """
    And nothing is written down.
    """
    live = await make_live(ON)
    _, patient, _ = await consult(live)
    stand(live, patient, 0, 0, LACKING_US)

    assert [] == await degrades(live)


async def test_a_picture_given_up_at_its_source_is_told_to_both(make_live: MakeLive) -> None:
    """
    Its client is told to send nothing of it, and each that nobody sees it.
    """
    live = await make_live(ON, hooks=Rules("audio_only"))
    doctor, patient, picture = await consult(live)
    adapter = host_of(live).adapter
    now_us = int(time.monotonic() * 1e6)
    for later_us in (0, LACKING_US):
        adapter.room.on_reported(picture, True)
        adapter._apply(adapter.room.decide(now_us + later_us))
    limits = await doctor.sign("limits", lambda sign: bool(sign["tracks"]))
    seen = await doctor.sign("seen_by")
    shown = await patient.sign("track_state")

    assert [(picture, [])] == [(each["publication"], each["rids"]) for each in limits["tracks"]]
    assert (picture, "paused", patient.id) == (seen["publication"], seen["state"], seen["participant"])
    assert (picture, "paused", "line") == (shown["publication"], shown["state"], shown["reason"])
    assert [("doc", "up", "audio_only")] == await degrades(live)
