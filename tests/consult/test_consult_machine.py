"""
A consult under whatever order of people, losses, refusals, restarts and clocks that are set.

Beside it stands the rest of the relay, as a model: facts become durable some time after they were applied, effects are
carried out only then, and a process that is killed loses what was not durable, with nobody having been told of it.
"""

import itertools
from collections.abc import Callable, Iterable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.courses import START, plan
from telerelay.consult import states
from telerelay.consult.clock import ConsultClock
from telerelay.consult.consult import Consult, schedule
from telerelay.consult.draft import broken, is_call
from telerelay.consult.effects import Admit, Attest, Effect, EndRoom, Forget, Remove, owed
from telerelay.consult.facts import (
    Admitted,
    Arrived,
    Attested,
    Back,
    Ended,
    Fact,
    InProgress,
    Left,
    Lost,
    Measured,
    Rescheduled,
    Restarted,
    TimerFired,
    from_json,
)
from telerelay.consult.timers import timers_of
from telerelay.errors import RemoteProtocolError

SEAT_S = 120.0
ROLES = {"doc": "practitioner", "rem": "practitioner", "pat": "patient", "com": "companion", "obs": "observer"}
SUBS = st.sampled_from(sorted(ROLES))
WHATS = st.sampled_from(["socket", "transport", "camera"])
REFUSALS = {"conflict", "consult_over", "denied", "forbidden", "no_capacity", "not_found", "too_early", "too_late"}


class Written:
    """A fact as the journal keeps it."""

    def __init__(self, fact: Fact) -> None:
        self.at = fact.at
        self.parts = fact.to_json()

    def read(self) -> Fact:
        kind, clear, personal = self.parts
        return from_json(kind, self.at, clear, personal)


class ConsultMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.monotonic = 0.0
        self.wall_ahead = START - 60.0
        self.clock = ConsultClock(self.wall_ahead, 0.0)
        first = schedule(self.now, plan(overrun_after_s=300.0, queue="desk"), "host")
        self.journal = [Written(first)]
        self.consult = Consult(first)
        self.pending: list[tuple[tuple[Fact, ...], tuple[Effect, ...]]] = []
        self.may_media: set[str] = set()
        """Whom the worker lets send and receive."""
        self.attestations = 0
        self.starts = itertools.count(1)

    @property
    def now(self) -> float:
        return self.clock.now(self.monotonic)

    def do(self, command: Callable[[], Iterable[Fact]]) -> None:
        """A command, as the relay runs it; a refused one has changed nothing."""
        before = self.consult.record
        facts: tuple[Fact, ...] = ()
        code = ""
        try:
            facts = tuple(command())
        except RemoteProtocolError as error:
            code = error.code
        assert code == "" or code in REFUSALS
        assert before is self.consult.record, "a command changes nothing by itself"
        if facts:
            self.pending.append((facts, self.consult.apply(*facts)))

    # ---------------------------------------------------------------- what becomes of it

    @rule(count=st.integers(1, 5))
    def becomes_durable(self, count: int) -> None:
        done, self.pending = self.pending[:count], self.pending[count:]
        for facts, effects in done:
            self.journal.extend(map(Written, facts))
            self.carry_out(effects)

    def carry_out(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Admit(sub):
                    self.may_media.add(sub)
                case Remove(sub):
                    self.may_media.discard(sub)
                case EndRoom():
                    self.may_media.clear()
                case Attest():
                    self.attestations += 1
                    assert 1 == self.attestations, "attested once by each process"
                    self.do(lambda: self.consult.attested(self.now, "ab" * 32, "key"))
                case Forget():
                    assert self.consult.record.is_closed

    @rule(stopped_s=st.sampled_from([0.0, 5.0, 100.0, 700.0]), was_set_s=st.sampled_from([0.0, 0.0, 3600.0, -3600.0]))
    def is_killed(self, stopped_s: float, was_set_s: float) -> None:
        """What was not durable is lost; another process reads the rest, and everybody's socket is lost."""
        self.pending.clear()
        self.attestations = 0
        self.monotonic += stopped_s
        self.wall_ahead += was_set_s
        self.clock = ConsultClock(self.monotonic + self.wall_ahead, self.monotonic)
        self.consult = Consult.replay(each.read() for each in self.journal)
        self.may_media.clear()
        self.carry_out(owed(self.consult.record))
        self.do(lambda: self.consult.restart(self.now))
        for person in self.consult.record.there:
            self.do(lambda sub=person.sub: self.consult.lose(self.now, sub, "socket"))
        self.do(lambda: self.consult.tick(self.now))

    # ---------------------------------------------------------------- people

    @initialize(depth=st.integers(0, 5))
    def has_begun(self, depth: int) -> None:
        """Most of what can go wrong does so in a call: as far into one as chance has it."""
        steps = (
            lambda: self.consult.arrive(self.now, "pat", "patient", "socket"),
            lambda: self.consult.arrive(self.now, "doc", "practitioner", "socket"),
            lambda: self.consult.enter(self.now, "doc"),
            lambda: self.consult.admit(self.now, "pat", "doc"),
            lambda: self.consult.enter(self.now, "pat"),
        )
        for step in steps[:depth]:
            self.do(step)
        self.becomes_durable(depth)

    @rule(sub=SUBS)
    def is_seen_by_the_doctor(self, sub: str) -> None:
        """All that it takes, in one go."""
        self.arrive("doc", "socket")
        self.connect("doc")
        self.arrive(sub, "socket")
        self.admit(sub, "doc", False)
        self.becomes_durable(10)
        self.connect(sub)

    @rule(sub=SUBS, attachment=st.sampled_from(["socket", "whip"]))
    def arrive(self, sub: str, attachment: str) -> None:
        self.do(lambda: self.consult.arrive(self.now, sub, ROLES[sub], attachment))

    @rule(sub=SUBS)
    def arrive_as_a_doctor_by_message(self, sub: str) -> None:
        """Who is there in one role is not in another."""
        before = self.consult.record.people.get(sub)
        if before is not None and before.is_there and before.role != "practitioner":
            self.do(lambda: self.consult.arrive(self.now, sub, "practitioner", "socket"))
            assert before == self.consult.record.people[sub]

    @rule(sub=SUBS)
    def connect(self, sub: str) -> None:
        self.do(lambda: self.consult.enter(self.now, sub))

    @rule(sub=SUBS, by=SUBS, is_host=st.booleans())
    def admit(self, sub: str, by: str, is_host: bool) -> None:
        record = self.consult.record
        decider = record.people.get(by)
        may = is_host or (decider is not None and decider.is_admitted and decider.role == "practitioner")
        count = record.count
        self.do(lambda: self.consult.admit(self.now, sub, by, is_host=is_host))
        assert may or count == self.consult.record.count, "by a decider who is in, or by the host"

    @rule(sub=SUBS, by=SUBS)
    def two_admit_the_same(self, sub: str, by: str) -> None:
        """One wins; the other is told so."""
        self.do(lambda: self.consult.admit(self.now, sub, "first", is_host=True))
        count = self.consult.record.count
        self.do(lambda: self.consult.admit(self.now, sub, by, is_host=True))
        assert count == self.consult.record.count

    @rule(sub=SUBS, by=st.sampled_from(["doc", "hook"]))
    def deny(self, sub: str, by: str) -> None:
        self.do(lambda: self.consult.deny(self.now, sub, by, is_host=by == "hook", reason="hook"))

    @rule(sub=SUBS, what=WHATS)
    def lose(self, sub: str, what: str) -> None:
        self.do(lambda: self.consult.lose(self.now, sub, what))

    @rule(sub=SUBS, what=WHATS)
    def come_back(self, sub: str, what: str) -> None:
        self.do(lambda: self.consult.back(self.now, sub, what))

    @rule(sub=SUBS)
    def leave(self, sub: str) -> None:
        self.do(lambda: self.consult.leave(self.now, sub))

    @rule(sub=SUBS, by=SUBS)
    def remove(self, sub: str, by: str) -> None:
        self.do(lambda: self.consult.remove(self.now, sub, by))

    # ---------------------------------------------------------------- the whole

    @precondition(lambda self: self.consult.record.count > 30)
    @rule(by=st.sampled_from(["doc", "pat", "host"]))
    def end(self, by: str) -> None:
        self.do(lambda: self.consult.end(self.now, by, is_host=by == "host"))

    @precondition(lambda self: self.consult.record.count > 30)
    @rule()
    def cancel(self) -> None:
        self.do(lambda: self.consult.cancel(self.now, "host"))

    @precondition(lambda self: self.consult.record.count > 40)
    @rule()
    def fail(self) -> None:
        self.do(lambda: self.consult.fail(self.now, "no_worker"))

    @rule()
    def reschedule(self) -> None:
        number = next(self.starts)
        self.do(lambda: self.consult.reschedule(self.now, self.now + 300.0 + number / 8, "host"))

    @rule(sub=SUBS)
    def hold(self, sub: str) -> None:
        self.do(lambda: self.consult.hold(self.now, sub, 3))

    @rule(sub=SUBS)
    def release(self, sub: str) -> None:
        self.do(lambda: self.consult.release(self.now, sub))

    @rule(by=st.sampled_from(["doc", "rem"]), is_back=st.booleans())
    def hand_out(self, by: str, is_back: bool) -> None:
        self.do(lambda: (self.consult.give_back if is_back else self.consult.take)(self.now, by))

    @rule(is_emergency=st.booleans())
    def set_priority(self, is_emergency: bool) -> None:
        self.do(lambda: self.consult.set_priority(self.now, is_emergency, "host", is_host=True))

    @rule()
    def set_timer(self) -> None:
        number = next(self.starts)
        if not self.consult.record.is_over and len(self.consult.record.timers) < 4:
            self.do(lambda: self.consult.set_timer(self.now, f"own.{number}", self.now + 90.0, "host"))

    @rule(sub=SUBS, seconds=st.integers(0, 60))
    def what_is_only_noted(self, sub: str, seconds: int) -> None:
        self.do(lambda: self.consult.bypass(self.now, sub, "media"))
        self.do(lambda: self.consult.consent(self.now, sub, "recording", True))
        self.do(lambda: self.consult.hook_failed(self.now, "admit", "timeout"))
        self.do(lambda: self.consult.measure(Measured(self.now, float(seconds))))

    # ---------------------------------------------------------------- time

    @rule(seconds=st.sampled_from([1.0, 59.0, 119.0, 120.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.do(lambda: self.consult.tick(self.now))
        due_at = self.consult.next_due()
        assert due_at is None or due_at > self.now, "nothing that is due is left"
        self.do(lambda: self.consult.tick(self.now))

    @rule(by_s=st.sampled_from([3600.0, -3600.0, 31_536_000.0, -31_536_000.0]))
    def the_wall_clock_is_set(self, by_s: float) -> None:
        """No timer fires for it, and none is put off."""
        before = timers_of(self.consult.record)
        self.wall_ahead += by_s
        jumped_s = self.clock.watch(self.monotonic + self.wall_ahead, self.monotonic)
        assert abs(by_s - jumped_s) < 0.001
        self.do(lambda: self.consult.jump(self.now, jumped_s))
        assert before == timers_of(self.consult.record)

    # ---------------------------------------------------------------- what holds always

    def facts(self) -> list[Fact]:
        """All there are, durable or not yet."""
        return [each.read() for each in self.journal] + [fact for facts, _ in self.pending for fact in facts]

    @invariant()
    def the_facts_make_the_consult(self) -> None:
        assert Consult.replay(self.facts()).record == self.consult.record
        assert len(self.facts()) == self.consult.record.count

    @invariant()
    def nobody_has_media_who_was_not_let_in(self) -> None:
        """By what is durable alone, told apart from the machine: a decision, or a decider's own coming."""
        let_in: set[str] = set()
        for fact in (each.read() for each in self.journal):
            match fact:
                case Arrived(_, sub, role):
                    if role == "practitioner":
                        let_in.add(sub)
                case Admitted(_, sub):
                    assert sub not in let_in, "nobody is let in twice"
                    let_in.add(sub)
                case Left(_, sub):
                    let_in.discard(sub)
                case Rescheduled() | Ended() | Attested():
                    let_in.clear()
        assert self.may_media <= let_in

    @invariant()
    def no_seat_is_lost_within_its_time(self) -> None:
        lost_at: dict[str, dict[str, float]] = {}
        for fact in self.facts():
            match fact:
                case Lost(at, sub, what) if what != "camera":
                    lost_at.setdefault(sub, {})[what] = at
                case Back(_, sub, what):
                    lost_at.get(sub, {}).pop(what, None)
                case Restarted(at):
                    lost_at = {sub: dict.fromkeys(whats, at) for sub, whats in lost_at.items()}
                case Left(at, sub, reason):
                    if reason == "timeout":
                        assert at >= min(lost_at[sub].values()) + SEAT_S
                    lost_at.pop(sub, None)

    @invariant()
    def each_timer_fires_once(self) -> None:
        fired = [(each.timer, each.due_at, each.sub) for each in self.facts() if isinstance(each, TimerFired)]
        assert len(set(fired)) == len(fired)
        assert all(each.due_at <= each.at for each in self.facts() if isinstance(each, TimerFired))

    @invariant()
    def it_is_attested_once_and_only_when_it_has_ended(self) -> None:
        kinds = [type(each) for each in self.facts()]
        assert kinds.count(Attested) <= kinds.count(Ended) <= 1
        assert kinds.count(InProgress) <= 1
        if self.consult.state == states.ENDED and not self.pending:
            assert self.attestations == 1 or Attested in kinds

    @invariant()
    def it_is_what_it_says(self) -> None:
        record = self.consult.record
        if record.is_over:
            assert () == record.there == timers_of(record)
        elif record.state == states.IN_PROGRESS:
            assert is_call(record)
            assert broken(record) is None
        elif record.state in (states.INTERRUPTED, states.ADMITTED, states.WAITING):
            assert not is_call(record) or (record.state == states.INTERRUPTED and broken(record) is not None)

    def teardown(self) -> None:
        """Whatever has happened, it comes to an end by itself once everybody has gone."""
        for sub in ROLES:
            self.do(lambda sub=sub: self.consult.leave(self.now, sub))
        for _ in range(3):
            self.monotonic += 5000.0
            self.do(lambda: self.consult.tick(self.now))
            self.becomes_durable(len(self.pending))
        self.becomes_durable(len(self.pending))
        assert self.consult.record.is_closed
        assert set() == self.may_media
        assert (self.consult.state == states.ENDED) == any(isinstance(each, Attested) for each in self.facts())


ConsultMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestConsultMachine = ConsultMachine.TestCase


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_consults_of_all_kinds() -> None:
    """
    The same, longer and more of them.
    """
    run_state_machine_as_test(
        ConsultMachine, settings=settings(max_examples=250, stateful_step_count=50, deadline=None)
    )
