"""
A consult: what may be done with it, by whom, and when.

Sans-I/O: each command returns the facts that it would add, or raises and adds nothing; it changes nothing either way.
Whoever calls it applies the facts at once, before another command, has them written down in one piece, and carries the
effects out, and answers, when they are durable. Nothing here awaits, logs or reads the time: `now` is the consult's
clock (clock.py), Unix seconds.
"""

from collections.abc import Mapping

from telerelay.consult import states
from telerelay.consult.draft import Facts
from telerelay.consult.facts import (
    CANCEL_REASONS,
    DENY_REASONS,
    MAX_RUNG,
    OUTCOMES,
    RELAY,
    Admitted,
    Arrived,
    Back,
    Cancelled,
    Closed,
    Denied,
    Ended,
    Entered,
    Failed,
    Held,
    Left,
    Lost,
    PrioritySet,
    Released,
    Rescheduled,
    Returned,
    RingEnded,
    Routed,
    Rung,
    Scheduled,
    Taken,
    check_note,
    check_word,
)
from telerelay.consult.plan import ConsultPlan, is_unix_s
from telerelay.consult.record import SEAT_LOSSES, Person, Record
from telerelay.consult.recorded import Recorded
from telerelay.consult.recording import RECORDER
from telerelay.consult.rota import UNREACHED
from telerelay.errors import RemoteProtocolError
from telerelay.rooms import policy

_BROUGHT_BACK = {"socket": "socket", "whip": "transport", "whep": "transport"}
"""By what somebody comes again who is there already: what is not lost any more."""

_LATE = states.CALLS | {states.ADMITTED}

_GUESTS = frozenset({"patient", "requester"})
"""Whom a consult is held for: without any of them, it is not held."""


def schedule(now: float, plan: ConsultPlan, by: str = RELAY) -> Scheduled:
    """A consult's first fact. Raises RemoteProtocolError too_late: nobody could come any more."""
    if plan.closes_at is not None and plan.closes_at < now:
        raise RemoteProtocolError("too_late", "the time in which people could come is over")
    return Scheduled(now, plan, by)


class Consult(Recorded):
    """One consult, and what people do with it."""

    # ---------------------------------------------------------------- coming and going

    def arrive(self, now: float, sub: str, role: str, attachment: str) -> Facts:
        """
        Somebody with a valid token is at the door: over a socket, or by whip or whep. Nobody is made anything by being
        first: who is not of a decider's role waits.

        Raises RemoteProtocolError forbidden (not invited, or a role there is not), too_early, too_late, denied,
        consult_over, conflict (there in another role).
        """
        record = self._live()
        policy.check_role(role)
        if sub == RECORDER:
            raise RemoteProtocolError("forbidden", "this name is the relay's own")
        person = record.people.get(sub)
        if person is not None and person.is_there:
            if person.role != role:
                raise RemoteProtocolError("conflict", "this person is here in another role")
            return self.back(now, sub, _BROUGHT_BACK[attachment])
        self._check_may_come(sub, role)
        # The window is for who comes for the first time, and a call that runs is its own.
        is_late_allowed = person is not None or record.is_decider(role) or record.state in _LATE
        self._check_window(now, is_late_allowed=is_late_allowed)
        if person is not None and person.status == states.REFUSED:
            raise RemoteProtocolError("denied", "this person was denied")
        draft = self._draft(now)
        return draft.add(Arrived(draft.now, sub, role, attachment, not record.is_decider(role))).settle()

    def enter(self, now: float, sub: str) -> Facts:
        """
        A transport of somebody's is connected. Of who is admitted, and was not inside, this is the entrance; of anybody
        else it is nothing. Whoever is connected while still waiting is told of again once Admit was carried out.
        """
        person = self._record.people.get(sub)
        if self._record.is_over or person is None or person.status != states.LET_IN:
            return ()
        draft = self._draft(now)
        return draft.add(Entered(draft.now, sub)).settle()

    def admit(self, now: float, sub: str, by: str, *, is_host: bool = False) -> Facts:
        """
        One person is let in, by a decider who is in, or by the host, which names who it was.

        Raises RemoteProtocolError forbidden (no decider), not_found (nobody of that name has come), conflict (decided
        already), no_consent (a third party, and no patient is in or one has not consented), no_capacity (held),
        consult_over.
        """
        person = self._decided(sub, by, is_host)
        if person.role in self._record.plan.third_parties:
            self._check_third_party()
        if person.held_at and not self._record.is_emergency:
            raise RemoteProtocolError("no_capacity", "the relay has no room for another call yet")
        draft = self._draft(now)
        return draft.add(Admitted(draft.now, sub, by, is_host)).settle()

    def deny(self, now: float, sub: str, by: str, *, is_host: bool = False, reason: str = "", note: str = "") -> Facts:
        """
        One person is turned away, for this consult. If nobody is left whom it could be held with, it is over.

        Raises as `admit` does.
        """
        person = self._decided(sub, by, is_host)
        check_word("reason", reason, DENY_REASONS)
        check_note(note)
        draft = self._draft(now)
        is_last = self._record.state == states.WAITING and self._is_last_guest(person)
        draft.add(Denied(draft.now, sub, by, reason, is_host, is_last, note))
        if is_last:
            draft.add(Closed(draft.now))
        return draft.settle()

    def lose(self, now: float, sub: str, what: str) -> Facts:
        """
        Somebody's socket, transport or camera is lost. Of who waits a camera is nothing; nor is what was lost before,
        or of who is not there.
        """
        person = self._there(sub)
        if person is None or what in person.lost or (what not in SEAT_LOSSES and not person.is_admitted):
            return ()
        draft = self._draft(now)
        return draft.add(Lost(draft.now, sub, what)).settle()

    def back(self, now: float, sub: str, what: str) -> Facts:
        """What was lost is there again; no new admission is needed. Nothing, where it was not lost."""
        person = self._there(sub)
        if person is None or what not in person.lost:
            return ()
        draft = self._draft(now)
        return draft.add(Back(draft.now, sub, what)).settle()

    def leave(self, now: float, sub: str) -> Facts:
        """Somebody goes of its own will. Nothing, where it is not there."""
        return self._leave(now, sub, "left")

    def remove(self, now: float, sub: str, by: str, *, is_host: bool = False) -> Facts:
        """
        Somebody is put out: by a decider, whom only the host can put out. It may come again, and waits then.

        Raises RemoteProtocolError forbidden, not_found, consult_over.
        """
        self._live()
        self._check_decider(by, is_host)
        person = self._there(sub)
        if person is None:
            raise RemoteProtocolError("not_found", "nobody of that name is here")
        if self._record.is_decider(person.role) and not is_host:
            raise RemoteProtocolError("forbidden", "only the host can remove a decider")
        return self._leave(now, sub, "removed")

    # ---------------------------------------------------------------- the whole

    def end(self, now: float, by: str, outcome: str = "completed", *, is_host: bool = False, note: str = "") -> Facts:
        """
        It is over: everyone goes, and what it was is attested.

        Raises RemoteProtocolError forbidden (no decider), conflict (nobody has come: cancel it), consult_over.
        """
        record = self._live()
        self._check_decider(by, is_host)
        check_word("outcome", outcome, OUTCOMES)
        check_note(note)
        if record.state in (states.SCHEDULED, states.NO_SHOW):
            raise RemoteProtocolError("conflict", "it has not begun: it can be cancelled")
        draft = self._draft(now)
        return draft.add(Ended(draft.now, by, outcome, is_host, note)).settle()

    def cancel(self, now: float, by: str, reason: str = "", note: str = "") -> Facts:
        """The host calls it off. Raises RemoteProtocolError conflict (somebody was let in: end it), consult_over."""
        self._before_admission()
        check_word("reason", reason, CANCEL_REASONS)
        check_note(note)
        draft = self._draft(now)
        return draft.add(Cancelled(draft.now, by, reason, note), Closed(draft.now)).settle()

    def reschedule(self, now: float, starts_at: float, by: str) -> Facts:
        """
        The host gives it another time. Who waits is removed, links from before are dead, a denial is forgotten.

        Raises RemoteProtocolError bad_message (no time), too_late, conflict (somebody was let in), consult_over.
        """
        record = self._before_admission()
        if not is_unix_s(starts_at):
            raise RemoteProtocolError("bad_message", "starts_at must be Unix seconds")
        draft = self._draft(now)
        if starts_at + record.plan.closes_after_s < draft.now:
            raise RemoteProtocolError("too_late", "the time in which people could come is over")
        for person in record.there:
            draft.add(Left(draft.now, person.sub, "removed"))
        return draft.add(Rescheduled(draft.now, float(starts_at), by)).settle()

    def fail(self, now: float, reason: str) -> Facts:
        """It cannot go on. A call that was one ends as any other, and is attested. Nothing, where it is over."""
        if self._record.is_over:
            return ()
        draft = self._draft(now)
        if self._record.state in states.CALLS:
            return draft.add(Ended(draft.now, RELAY, "technical_failure")).settle()
        return draft.add(Failed(draft.now, reason), Closed(draft.now)).settle()

    def set_priority(self, now: float, is_emergency: bool, by: str, *, is_host: bool = False) -> Facts:
        """It is an emergency, or no longer. Raises RemoteProtocolError forbidden (no decider), consult_over."""
        record = self._live()
        self._check_decider(by, is_host)
        if record.is_emergency == is_emergency:
            return ()
        draft = self._draft(now)
        return draft.add(PrioritySet(draft.now, is_emergency, by, is_host)).settle()

    # ---------------------------------------------------------------- standing in line

    def hold(self, now: float, sub: str, position: int) -> Facts:
        """Who waits stands in line for room in the relay (surge.py). Nothing, where it does already."""
        person = self._there(sub)
        if person is None or person.status != states.AT_DOOR or person.held_at:
            return ()
        draft = self._draft(now)
        return draft.add(Held(draft.now, sub, position)).settle()

    def release(self, now: float, sub: str) -> Facts:
        """There is room: it waits for a decider only. Nothing, where it was not held."""
        person = self._there(sub)
        if person is None or not person.held_at:
            return ()
        draft = self._draft(now)
        return draft.add(Released(draft.now, sub)).settle()

    def take(self, now: float, by: str) -> Facts:
        """
        The queue hands it out (waiting.py). Nothing, where `by` has it. Raises RemoteProtocolError conflict (somebody
        else has it, or nobody waits), consult_over.
        """
        record = self._live()
        if record.taken_by == by:
            return ()
        others = [each for each in record.there if record.is_decider(each.role) and each.sub != by]
        if record.taken_by or others or not record.waiting or record.state != states.WAITING:
            raise RemoteProtocolError("conflict", "this consult is not to be handed out")
        draft = self._draft(now)
        return draft.add(Taken(draft.now, by)).settle()

    def give_back(self, now: float, by: str) -> Facts:
        """It goes back to the queue. Nothing, where `by` has not got it, or somebody was let in."""
        record = self._record
        if record.is_over or record.taken_by != by or record.state != states.WAITING:
            return ()
        draft = self._draft(now)
        return draft.add(Returned(draft.now, by)).settle()

    # ---------------------------------------------------------------- ringing

    def route(
        self,
        now: float,
        queue: str,
        people: tuple[str, ...],
        by: str = RELAY,
        *,
        attempt: int = 1,
        is_now: bool = False,
    ) -> Facts:
        """
        It is for that desk, and these are rung for it; `is_now`: whether or not anybody waits, to the end of the call.

        Raises RemoteProtocolError bad_message (more people than may be), consult_over.
        """
        self._live()
        if len(people) > MAX_RUNG or len(set(people)) < len(people):
            raise RemoteProtocolError("bad_message", f"people must be at most {MAX_RUNG}, each named once")
        draft = self._draft(now)
        return draft.add(Routed(draft.now, queue, people, attempt, by, is_now)).settle()

    def ring(self, now: float, presence: Mapping[str, str]) -> Facts:
        """
        The next one is rung, if somebody is to be and nobody is. `presence` has of each what presence.py says; who is
        not there, or not for this, is passed over, and is next again once that has changed. Nothing, where it rings.
        """
        record, draft = self._record, self._draft(now)
        if not record.awaits_answer or record.rota.ringing:
            return ()
        fresh = [sub for sub in record.rota.people if sub not in record.rota.ended]
        for sub in fresh:
            if why := self._unreachable(sub, presence):
                draft.add(RingEnded(draft.now, sub, why))
            else:
                return draft.add(Rung(draft.now, sub)).settle()
        for sub in record.rota.people:
            if record.rota.ended.get(sub) in UNREACHED and not self._unreachable(sub, presence):
                return draft.add(Rung(draft.now, sub)).settle()
        return draft.settle()

    def accept(self, now: float, by: str, role: str) -> Facts:
        """
        Somebody answers whose desk rings, or rang. Who does so first gets it. Nothing, where it was `by`.

        Raises RemoteProtocolError not_found (it does not ring for this person), forbidden (no decider), conflict
        (somebody else was first, or nobody waits any more), consult_over.
        """
        record = self._live()
        if by not in record.rota.people:
            raise RemoteProtocolError("not_found", "no such consult rings here")
        self.check_decider(by, role)
        if record.rota.ended.get(by) == "accepted":
            return ()
        if not record.awaits_answer or not record.rota.may_accept(by):
            raise RemoteProtocolError("conflict", "somebody else has answered, or nobody waits any more")
        draft = self._draft(now)
        draft.add(RingEnded(draft.now, by, "accepted"))
        if record.can_be_taken:
            draft.add(Taken(draft.now, by))
        return draft.settle()

    def decline(self, now: float, by: str) -> Facts:
        """Somebody whose desk rings, or rang, will not. Nothing, where it does not ring for `by`."""
        record = self._record
        if not record.awaits_answer or not record.rota.may_accept(by):
            return ()
        draft = self._draft(now)
        return draft.add(RingEnded(draft.now, by, "declined")).settle()

    def check_decider(self, sub: str, role: str) -> None:
        """Whether somebody who has not come may come and decide. Raises RemoteProtocolError forbidden."""
        self._check_may_come(sub, role)
        if not self._record.is_decider(role):
            raise RemoteProtocolError("forbidden", "only a decider may answer")

    @property
    def is_unanswered(self) -> bool:
        """All were rung, nobody answered, and the host may know of others."""
        record = self._record
        return record.awaits_answer and record.rota.is_through and not record.rota.is_last

    def _unreachable(self, sub: str, presence: Mapping[str, str]) -> str:
        """Why this one is passed over; "": is not. An emergency rings wherever a desk is open."""
        status = presence.get(sub, "gone")
        if status == "gone":
            return "absent"
        if any(each.sub == sub for each in self._record.there):
            return "busy"
        return status if status in UNREACHED and not self._record.is_emergency else ""

    # ---------------------------------------------------------------- within

    def _there(self, sub: str) -> Person | None:
        """Somebody with a seat, in a consult that is not over."""
        return next((each for each in self._record.there if each.sub == sub), None)

    def _leave(self, now: float, sub: str, reason: str) -> Facts:
        if self._there(sub) is None:
            return ()
        draft = self._draft(now)
        return draft.add(Left(draft.now, sub, reason)).settle()

    def _check_decider(self, by: str, is_host: bool) -> None:
        person = self._record.people.get(by)
        if not is_host and (person is None or not person.is_admitted or not self._record.is_decider(person.role)):
            raise RemoteProtocolError("forbidden", "only a decider who is in may do this")

    def _decided(self, sub: str, by: str, is_host: bool) -> Person:
        """Somebody who waits, to be decided of by somebody who may."""
        record = self._live()
        self._check_decider(by, is_host)
        person = record.people.get(sub)
        if person is None or person.status == states.ABSENT:
            raise RemoteProtocolError("not_found", "nobody of that name waits")
        if person.status != states.AT_DOOR:
            raise RemoteProtocolError("conflict", "this person was decided of already")
        return person

    def _check_third_party(self) -> None:
        record = self._record
        if record.unheard or not any(each.role == "patient" and each.is_admitted for each in record.there):
            raise RemoteProtocolError("no_consent", "the patient has not agreed to somebody else's being there")

    def _before_admission(self) -> Record:
        record = self._live()
        if record.state not in (states.SCHEDULED, states.WAITING, states.NO_SHOW):
            raise RemoteProtocolError("conflict", "somebody was let in already: it can be ended")
        return record

    def _is_last_guest(self, person: Person) -> bool:
        """Whether, without this one, nobody is there or may come whom the consult is held for."""
        record = self._record
        if person.role not in _GUESTS:
            return False
        others = [each for each in record.there if each.role in _GUESTS and each.sub != person.sub]
        gone = {each.sub for each in record.people.values() if each.status == states.REFUSED} | {person.sub}
        return not others and all(each.sub in gone for each in record.plan.invited if each.role in _GUESTS)
