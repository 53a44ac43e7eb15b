"""
What is known of a consult: a fold over its facts. The same facts give an equal record, in whatever process.

Pure: a record is never changed; `fold` makes the next. It refuses a fact that cannot follow on the ones before, so that
two decisions made of one record cannot both come true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from telerelay.consult import states
from telerelay.consult.facts import (
    FINAL_KINDS,
    Admitted,
    Arrived,
    Attested,
    Back,
    BypassTried,
    CameraMoved,
    Cancelled,
    ClockJumped,
    Closed,
    Consent,
    Denied,
    DocumentReceived,
    Ended,
    Entered,
    Fact,
    Failed,
    Held,
    HookFailed,
    InProgress,
    Left,
    LinkMade,
    LinkUsed,
    Lost,
    Measured,
    NoShow,
    Noted,
    PrioritySet,
    RecordingSet,
    Released,
    Rescheduled,
    Restarted,
    Returned,
    RingEnded,
    Routed,
    Rung,
    SamplesCounted,
    Scheduled,
    StillAnswered,
    StillRequested,
    Taken,
    TimerCleared,
    TimerFired,
    TimerSet,
)
from telerelay.consult.plan import ConsultPlan
from telerelay.consult.recording import Recording
from telerelay.consult.recording import take as take_recording
from telerelay.consult.rota import Rota
from telerelay.errors import LocalProtocolError
from telerelay.states import after

SEAT_LOSSES = frozenset({"socket", "transport"})
"""What a seat is given up for in the end. Somebody without a camera is there."""

_AFTER_THE_END = (Measured, SamplesCounted, HookFailed, Noted, BypassTried, ClockJumped, Restarted, Attested)


@dataclass(frozen=True, slots=True)
class Person:
    """
    One sub, be it there or not. Times are the consult's (Unix seconds). `since` is when it came to wait, `seat_at` when
    the seat's time began to run, None: it does not.
    """

    sub: str
    role: str
    status: str = states.ABSENT
    since: float = 0.0
    lost: frozenset[str] = frozenset()
    seat_at: float | None = None
    held_at: int = 0
    """Where in line, when it was told to wait for room in the relay; 0: not held."""

    @property
    def is_there(self) -> bool:
        return self.status in states.THERE

    @property
    def is_admitted(self) -> bool:
        return self.status in (states.LET_IN, states.INSIDE)


@dataclass(frozen=True, slots=True)
class Link:
    """
    `schedule`: the number of the schedule it was made under; under another one it is dead. `used_at` and `nonce`: when
    it was used, and the digest of what its user's browser made up for that.
    """

    sub: str
    role: str
    schedule: int
    is_used: bool = False
    used_at: float = 0.0
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Still:
    """
    A still that was asked for. `state`: asked, allowed, or how it ended: taken, or an answer but `allowed`. `until` is
    how long it may take from where it is, None: it is over. `document` is what came of it.
    """

    request: StillRequested
    state: str = "asked"
    until: float | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """All that follows from a consult's facts. Mappings are never written to."""

    plan: ConsultPlan
    scheduled_at: float
    at: float
    """Of the last fact."""

    count: int = 1
    """Facts so far: the number of the last one."""

    state: str = states.SCHEDULED
    starts_at: float | None = None
    schedule: int = 1
    is_emergency: bool = False
    people: Mapping[str, Person] = field(default_factory=dict)
    has_come: bool = False
    """Somebody who has to be admitted has come, since it was scheduled."""

    was_no_show: bool = False
    in_progress_at: float | None = None
    is_overrun: bool = False
    gone_at: float | None = None
    """When nobody was there any more; None: somebody is, or nobody ever was."""

    last_left: Left | None = None
    taken_by: str = ""
    taken_at: float = 0.0
    rota: Rota = field(default_factory=Rota)
    timers: Mapping[str, float] = field(default_factory=dict)
    """The host's, not fired yet: when they are due."""

    fired: Mapping[str, float] = field(default_factory=dict)
    """The host's that have fired: when each was due the last time."""

    links: Mapping[str, Link] = field(default_factory=dict)
    consents: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    bypasses: frozenset[tuple[str, str]] = frozenset()
    documents: Mapping[str, DocumentReceived] = field(default_factory=dict)
    """Documents and stills that are here, in order, by their ids."""

    stills: Mapping[str, Still] = field(default_factory=dict)
    """Stills that were asked for, in order, by the request."""

    recording: Recording | None = None
    """The one that was asked for last."""

    recordings: int = 0
    """How often one was asked for."""

    measured: Measured | None = None
    samples: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """By sub, device and series: handed over so far."""

    camera_moves: int = 0
    ended: Ended | None = None
    is_closed: bool = False
    """There is nothing more to come: attested, or over without that."""

    @property
    def is_over(self) -> bool:
        """Nobody comes in any more; an attestation may be owed yet."""
        return self.ended is not None or self.is_closed

    @property
    def there(self) -> tuple[Person, ...]:
        """Who has a seat, oldest first."""
        return () if self.is_over else tuple(person for person in self.people.values() if person.is_there)

    @property
    def waiting(self) -> tuple[Person, ...]:
        """Who waits to be admitted, longest first."""
        return tuple(person for person in self.there if person.status == states.AT_DOOR)

    @property
    def unheard(self) -> tuple[Person, ...]:
        """Patients who are in and do not consent to third parties."""
        patients = (each for each in self.there if each.role == "patient" and each.is_admitted)
        return tuple(each for each in patients if not self.consents.get((each.sub, "third_party")))

    @property
    def unconsented(self) -> tuple[Person, ...]:
        """Third parties who are in though a patient does not, or no longer, consent to that."""
        if not self.plan.third_parties or not self.unheard:
            return ()
        return tuple(each for each in self.there if each.role in self.plan.third_parties and each.is_admitted)

    @property
    def can_be_taken(self) -> bool:
        """Somebody waits who could be let in, and nobody is there, or on the way, who could do that."""
        is_waited = any(self.is_emergency or not each.held_at for each in self.waiting)
        has_decider = any(self.is_decider(each.role) for each in self.there)
        return self.state == states.WAITING and is_waited and not has_decider and not self.taken_by

    @property
    def awaits_answer(self) -> bool:
        """The people of its rota are to be rung until one of them answers."""
        if self.is_over or not self.rota.people:
            return False
        return not self.rota.is_accepted if self.rota.is_now else self.can_be_taken

    def is_decider(self, role: str) -> bool:
        return role in self.plan.deciders


def begin(fact: Scheduled) -> Record:
    """The record of a consult of which this is the first fact."""
    plan = fact.plan
    return Record(plan, fact.at, fact.at, starts_at=plan.starts_at, is_emergency=plan.is_emergency)


def fold(record: Record, fact: Fact) -> Record:
    """The record after this fact. Raises LocalProtocolError bad_fact if it cannot be the next one."""
    _check(record, fact)
    changed = replace(
        record,
        at=fact.at,
        count=record.count + 1,
        state=after(states.CONSULT, record.state, states.event_of(fact)),
        is_closed=fact.kind in FINAL_KINDS,
    )
    return _settle_rota(record, _settle_there(record, _take(changed, fact)))


def replay(facts: Iterable[Fact]) -> Record:
    """The record of all these facts, the first of which must be Scheduled. Raises LocalProtocolError bad_fact."""
    following = iter(facts)
    first = next(following, None)
    if not isinstance(first, Scheduled):
        raise LocalProtocolError("bad_fact", "a consult begins by being scheduled")
    record = begin(first)
    for fact in following:
        record = fold(record, fact)
    return record


# -------------------------------------------------------------------- what may follow


def _check(record: Record, fact: Fact) -> None:
    if record.is_closed:
        raise _misfit(fact, "nothing follows on the last fact")
    if fact.at < record.at:
        raise _misfit(fact, "it is older than the fact before it")
    if record.ended is not None and not isinstance(fact, _AFTER_THE_END):
        raise _misfit(fact, "the consult has ended")
    match fact:
        case Scheduled():
            raise _misfit(fact, "a consult is scheduled once")
        case Arrived() | Admitted() | Denied() | Entered() | Left():
            _check_person(record, fact)
        case Lost(_, sub) | Back(_, sub) | Held(_, sub) | Released(_, sub):
            if not _person(record, sub).is_there:
                raise _misfit(fact, "that person is not there")
        case InProgress() | NoShow() | Ended() | Cancelled() | Failed() | Rescheduled():
            is_same = after(states.CONSULT, record.state, fact.kind) == record.state
            if is_same and not (isinstance(fact, Rescheduled) and record.state == states.SCHEDULED):
                raise _misfit(fact, f"not of a consult that is {record.state}")
        case Rung(_, sub) if record.rota.ringing or not record.awaits_answer or sub not in record.rota.people:
            raise _misfit(fact, "nobody, or somebody else, is to be rung")
        case RingEnded(_, sub) if sub not in record.rota.people:
            raise _misfit(fact, "it does not ring for that person")
        case Taken() if record.taken_by:
            raise _misfit(fact, "it is taken")
        case LinkUsed(_, link) if link not in record.links or record.links[link].is_used:
            raise _misfit(fact, "there is no such link to use")
        case LinkMade(_, link) if link in record.links:
            raise _misfit(fact, "there is such a link")
        case DocumentReceived() if fact.document in record.documents:
            raise _misfit(fact, "there is that document")
        case StillRequested() if fact.request in record.stills:
            raise _misfit(fact, "there is that request")
        case RecordingSet(_, recording, state):
            _check_recording(record, fact, recording, state)
        case StillAnswered() if fact.request not in record.stills or record.stills[fact.request].until is None:
            raise _misfit(fact, "nothing is asked that this answers")
        case Attested() if record.ended is None:
            raise _misfit(fact, "only what has ended is attested")


def _check_person(record: Record, fact: Arrived | Admitted | Denied | Entered | Left) -> None:
    status = _person(record, fact.sub).status
    if after(states.PERSON, status, states.person_event_of(fact)) == status:
        raise _misfit(fact, f"not of somebody who is {status}")


def _check_recording(record: Record, fact: Fact, recording: str, state: str) -> None:
    found = record.recording
    is_active = found is not None and found.is_active
    if state == "forbidden" and not is_active:
        return
    if state == "asked" if is_active else state != "asked":
        raise _misfit(fact, "a recording is under way" if is_active else "there is no such recording")
    if found is not None and is_active and (found.id != recording or found.state == state):
        raise _misfit(fact, "not of the recording that is under way")


def _misfit(fact: Fact, why: str) -> LocalProtocolError:
    return LocalProtocolError("bad_fact", f"{fact.kind}: {why}")


# -------------------------------------------------------------------- what follows


def _take(record: Record, fact: Fact) -> Record:
    """All but the state of the consult, and what of all kinds of facts is the same."""
    match fact:
        case Arrived(at, sub, role, _, is_waiting):
            person = Person(sub, role, _next(record, fact, sub), since=at)
            return replace(_with(record, person), has_come=record.has_come or is_waiting)
        case Admitted(_, sub) | Denied(_, sub) | Entered(_, sub):
            return _with(record, replace(_person(record, sub), status=_next(record, fact, sub), held_at=0))
        case Left(_, sub):
            gone = Person(sub, _person(record, sub).role, _next(record, fact, sub))
            return replace(_with(record, gone), last_left=fact)
        case Lost(at, sub, what):
            return _with(record, _losing(_person(record, sub), at, what))
        case Back(_, sub, what):
            return _with(record, _finding(_person(record, sub), what))
        case Held(_, sub, position):
            return _with(record, replace(_person(record, sub), held_at=position))
        case Released(_, sub):
            return _with(record, replace(_person(record, sub), held_at=0))
        case _:
            return _take_of_consult(record, fact)


def _take_of_consult(record: Record, fact: Fact) -> Record:
    match fact:
        case Rescheduled(_, starts_at):
            return _rescheduled(record, fact, starts_at)
        case InProgress(at):
            return replace(record, in_progress_at=at)
        case PrioritySet(_, is_emergency):
            return replace(record, is_emergency=is_emergency)
        case NoShow():
            return replace(record, was_no_show=True)
        case Ended():
            return replace(record, ended=fact, timers={})
        case Taken(at, by):
            return replace(record, taken_by=by, taken_at=at)
        case Returned():
            return replace(record, taken_by="", taken_at=0.0, rota=record.rota.returned(record.taken_by))
        case Routed(_, queue):
            rota = record.rota.after_routed(fact, record.plan.queue)
            return replace(record, plan=replace(record.plan, queue=queue), rota=rota)
        case Rung():
            return replace(record, rota=record.rota.after_rung(fact))
        case RingEnded():
            return replace(record, rota=record.rota.after_ended(fact))
        case TimerSet(_, timer, due_at):
            return replace(record, timers={**record.timers, timer: due_at})
        case TimerCleared(_, timer) | TimerFired(_, timer):
            left = {name: due_at for name, due_at in record.timers.items() if name != timer}
            fired = record.fired
            if isinstance(fact, TimerFired) and timer in record.timers:
                fired = {**fired, timer: record.timers[timer]}
            is_overrun = record.is_overrun or timer == "overrun"
            return replace(record, timers=left, fired=fired, is_overrun=is_overrun)
        case Restarted(at):
            people = {sub: _kept_anew(person, at) for sub, person in record.people.items()}
            return replace(record, people=people, gone_at=at if record.gone_at is not None else None)
        case LinkMade(_, link, sub, role):
            return replace(record, links={**record.links, link: Link(sub, role, record.schedule)})
        case LinkUsed(at, link, nonce):
            used = replace(record.links[link], is_used=True, used_at=at, nonce=nonce)
            return replace(record, links={**record.links, link: used})
        case Consent(_, sub, what, is_given, _):
            consents = {**record.consents, (sub, what): is_given}
            return replace(record, consents=consents, recording=take_recording(record.recording, fact))
        case RecordingSet(_, _, state):
            is_new = state in ("asked", "forbidden")
            recording = take_recording(record.recording, fact)
            return replace(record, recording=recording, recordings=record.recordings + is_new)
        case BypassTried(_, sub, what):
            return replace(record, bypasses=record.bypasses | {(sub, what)})
        case Measured():
            return replace(record, measured=fact)
        case SamplesCounted(_, sub, device, series, _, samples):
            return replace(record, samples={**record.samples, (sub, device, series): samples})
        case CameraMoved():
            return replace(record, camera_moves=record.camera_moves + 1)
        case DocumentReceived() | StillRequested() | StillAnswered():
            return _take_of_objects(record, fact)
        case Closed() | Attested():
            return replace(record, timers={})
    return record


def _take_of_objects(record: Record, fact: DocumentReceived | StillRequested | StillAnswered) -> Record:
    stills = dict(record.stills)
    match fact:
        case StillRequested():
            stills[fact.request] = Still(fact, until=fact.until)
            return replace(record, stills=stills)
        case StillAnswered():
            until = fact.until if fact.answer == "allowed" else None
            stills[fact.request] = replace(stills[fact.request], state=fact.answer, until=until)
            return replace(record, stills=stills)
        case DocumentReceived():
            if fact.request in stills:
                taken = replace(stills[fact.request], state="taken", until=None, document=fact.document)
                stills[fact.request] = taken
            return replace(record, documents={**record.documents, fact.document: fact}, stills=stills)


def _settle_there(before: Record, record: Record) -> Record:
    """Since when nobody is there."""
    if record.is_over or record.there:
        return record if record.gone_at is None else replace(record, gone_at=None)
    return replace(record, gone_at=record.at) if before.there else record


def _settle_rota(before: Record, record: Record) -> Record:
    """Where nobody is to be rung, nobody rings; and whoever comes to wait where nobody did is rung for anew."""
    rota = record.rota if record.awaits_answer else record.rota.silent()
    if not rota.is_now and record.waiting and not before.waiting and not before.is_over:
        rota = rota.anew()
    return record if rota is record.rota else replace(record, rota=rota)


def _rescheduled(record: Record, fact: Rescheduled, starts_at: float) -> Record:
    people = {
        sub: person
        for sub, person in record.people.items()
        if after(states.PERSON, person.status, fact.kind) != states.ABSENT
    }
    return replace(
        record, starts_at=starts_at, schedule=record.schedule + 1, people=people, has_come=False, was_no_show=False
    )


def _person(record: Record, sub: str) -> Person:
    return record.people.get(sub) or Person(sub, "")


def _next(record: Record, fact: Fact, sub: str) -> str:
    return after(states.PERSON, _person(record, sub).status, states.person_event_of(fact))


def _with(record: Record, person: Person) -> Record:
    people = dict(record.people)
    if people.get(person.sub) is None or not people[person.sub].is_there:
        people.pop(person.sub, None)  # who comes again stands behind who is there
    people[person.sub] = person
    return replace(record, people=people)


def _losing(person: Person, at: float, what: str) -> Person:
    seat_at = at if person.seat_at is None and what in SEAT_LOSSES else person.seat_at
    return replace(person, lost=person.lost | {what}, seat_at=seat_at)


def _finding(person: Person, what: str) -> Person:
    lost = person.lost - {what}
    return replace(person, lost=lost, seat_at=person.seat_at if lost & SEAT_LOSSES else None)


def _kept_anew(person: Person, at: float) -> Person:
    return person if person.seat_at is None else replace(person, seat_at=at)
