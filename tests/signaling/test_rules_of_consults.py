"""What an application decides of consults, and what it is told of them: out of the journal, beside everything else."""

import asyncio
import time

from support.live_relay import Live, MakeLive
from telerelay import Hooks
from telerelay.hooks import (
    Admission,
    AdmitRequest,
    EndEvent,
    FactEvent,
    JoinRequest,
    PersonEvent,
    Route,
    RouteRequest,
    StateEvent,
    SurgeAnswer,
    SurgeRequest,
    WaitingContent,
    WaitingItem,
    WaitingRequest,
)


class Rules(Hooks):
    """Says what it is told to say, and writes down what it is asked and told."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.told: list[PersonEvent | StateEvent | FactEvent | EndEvent] = []
        self.admission = Admission("wait")
        self.surge_answer: SurgeAnswer = "hold"
        self.delay_s = 0.0

    async def authorize_join(self, request: JoinRequest) -> bool:
        self.asked.append(request)
        return True

    async def admit(self, request: AdmitRequest) -> Admission:
        self.asked.append(request)
        await asyncio.sleep(self.delay_s)
        return self.admission

    async def route(self, request: RouteRequest) -> Route:
        return Route("dr-7")

    async def surge(self, request: SurgeRequest) -> SurgeAnswer:
        return self.surge_answer

    async def waiting_content(self, request: WaitingRequest) -> WaitingContent:
        return WaitingContent((WaitingItem("c1", "video", "/c1.mp4"),))

    async def on_person(self, event: PersonEvent) -> None:
        self.told.append(event)

    async def on_state(self, event: StateEvent) -> None:
        self.told.append(event)

    async def on_end(self, event: EndEvent) -> None:
        self.told.append(event)


async def test_a_rule_lets_in_in_its_own_name(make_live: MakeLive) -> None:
    """
    It is asked once, with the place in line; the journal has the name it gave.
    """
    rules = Rules()
    rules.admission = Admission("admit", "rule-12")
    live = await make_live(hooks=rules)
    await live.schedule(tenant="t1")
    patient = await live.join("pat", role="patient")
    await patient.event("admitted")
    admitted = [entry for entry in await live.entries() if entry.kind == "admitted"]

    assert JoinRequest("r1", "pat", "patient", "t1") == rules.asked[0]
    (request,) = [each for each in rules.asked if isinstance(each, AdmitRequest)]
    assert ("pat", "patient", 1, "dr-7") == (request.sub, request.role, request.position, request.queue)
    assert [("pat", "rule-12", True)] == [
        (each.clear["sub"], each.clear["by"], each.clear["is_host"]) for each in admitted
    ]


async def test_a_rule_that_hangs_is_cut_and_named_and_holds_nobody(make_live: MakeLive) -> None:
    """
    The patient waits for a decider as without a rule, and the doctor admits meanwhile.
    """
    rules = Rules()
    rules.delay_s = 60
    live = await make_live({"hooks": {"decision_timeout_s": 0.2}}, hooks=rules)
    await live.schedule()
    began = time.monotonic()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    reply = await doctor.ask("admit", participant=patient.id)
    took_s = time.monotonic() - began
    await live.until(lambda: bool(live.relay._hooks.failures))
    failed = [entry.clear for entry in await live.entries() if entry.kind == "hook_failed"]

    assert ("reply", True) == (reply["type"], took_s < 2.1)
    assert [{"hook": "admit", "why": "timeout"}] == failed


async def test_whom_a_rule_denies_is_sent_away(make_live: MakeLive) -> None:
    """
    As a decider would.
    """
    rules = Rules()
    rules.admission = Admission("deny", "rule-12")
    live = await make_live(hooks=rules)
    await live.schedule()
    patient = await live.join("pat", role="patient")

    assert "denied" == (await patient.event("ended"))["reason"]
    assert 4010 == await patient.close_code()


async def test_an_answer_is_of_who_waited_then_and_not_of_a_later_arrival(make_live: MakeLive) -> None:
    """
    A patient goes while the rule thinks, and the same person comes again as an observer: the yes was to the patient.
    """
    answered = asyncio.Event()

    class Slow(Rules):
        async def admit(self, request: AdmitRequest) -> Admission:
            self.asked.append(request)
            if request.role != "patient":
                return Admission("wait")
            await answered.wait()
            return Admission("admit", "rule-12")

    rules = Slow()
    live = await make_live(hooks=rules)
    await live.schedule()
    patient = await live.join("pat", role="patient")
    await live.until(lambda: any(isinstance(each, AdmitRequest) for each in rules.asked))
    await patient.ask("leave")
    observer = await live.join("pat", role="observer")
    answered.set()
    late = await live.join("late", role="patient")
    await late.event("admitted")
    admitted = [entry.clear["sub"] for entry in await live.entries() if entry.kind == "admitted"]

    assert ["late"] == admitted
    assert "reply" == (await observer.ask("stats"))["type"]
    assert ["patient", "observer", "patient"] == [each.role for each in rules.asked if isinstance(each, AdmitRequest)]


async def test_who_waits_is_shown_what_the_application_has_for_him(make_live: MakeLive) -> None:
    """
    And nobody else is.
    """
    live = await make_live(hooks=Rules())
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    sign = await patient.sign("waiting_content")
    await doctor.ask("stats")

    assert [{"id": "c1", "kind": "video", "url": "/c1.mp4", "title": ""}] == sign["items"]
    assert [] == [event for event in doctor.events if event["type"] == "waiting_content"]


async def test_whom_there_is_no_room_for_may_be_refused(make_live: MakeLive) -> None:
    """
    Where the application would rather not have people wait.
    """
    rules = Rules()
    rules.surge_answer = "refuse"
    live = await make_live({"consults": {"capacity_packets_per_s": 500}}, hooks=rules)
    for name in ("r1", "r2"):
        await live.schedule(name)
    first = await live.join("p1", "r1", role="patient")
    second = await live.connect()
    refusal = await second.ask("join", room="r2", token=live.token("p2", "r2", role="patient"))

    assert "denied" == refusal["code"]
    assert not (await first.sign("waiting"))["held"]


async def test_events_come_out_of_the_journal_in_order_and_once(make_live: MakeLive) -> None:
    """
    Numbers are the facts' own, without a gap where everything is listened to, and no event of the room comes besides.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    await live.schedule()
    patient = await live.join("pat", role="patient")
    doctor = await live.join("doc")
    await doctor.ask("admit", participant=patient.id)
    await doctor.ask("end")
    assert 4010 == await patient.close_code()
    await live.until(lambda: any(isinstance(each, EndEvent) for each in rules.told))
    people = [(each.sub, each.what) for each in rules.told if isinstance(each, PersonEvent)]

    assert [("pat", "arrived"), ("doc", "arrived"), ("pat", "admitted")] == people
    states = [each.state for each in rules.told if isinstance(each, StateEvent)]
    assert ["scheduled", "waiting", "admitted", "ended"] == [state.lower() for state in states]
    assert sorted(each.sequence for each in rules.told) == [each.sequence for each in rules.told]


async def test_a_draining_relay_keeps_a_consult_of_its_own(live: Live) -> None:
    """
    Who is in goes on; a consult whose room nobody has entered yet is another relay's.
    """
    await live.schedule()
    doctor = await live.join("doc")
    live.relay.drain()
    await doctor.event("draining")

    assert not (await live.join("pat", role="patient")).joined["admitted"]
