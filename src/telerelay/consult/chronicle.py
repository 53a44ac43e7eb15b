"""
A consult's record, and what may be noted in it by whoever runs it: time, links, consents, failures, measurements.

Sans-I/O, as consult.py is, which adds what people do.
"""

import hmac
from collections.abc import Iterable
from dataclasses import replace
from typing import Self

from telerelay.consult.draft import Draft, Facts
from telerelay.consult.effects import Effect, effects_between
from telerelay.consult.facts import (
    CONSENTS,
    Attested,
    BypassTried,
    CameraMoved,
    ClockJumped,
    Consent,
    Degraded,
    Fact,
    HookFailed,
    LinkMade,
    LinkUsed,
    Measured,
    Noted,
    RecordingSet,
    Restarted,
    SamplesCounted,
    Scheduled,
    TimerCleared,
    TimerSet,
    check_note,
    check_word,
)
from telerelay.consult.plan import is_unix_s
from telerelay.consult.record import Record, begin, fold, replay
from telerelay.consult.timers import OWN, closes_at, next_due
from telerelay.errors import LocalProtocolError, RemoteProtocolError

LINK_AGAIN_S = 30.0
"""A reload, or a relay that is killed and starts again, takes some seconds; whoever is slower asks for another link."""

MAX_TIMERS = 16
"""A host's own in one consult: each is written down."""

MAX_LINKS = 64
"""Twice what may be invited: each may lose one."""

MAX_BYPASSES = 256
"""After that many different attempts another one is counted, and tells nothing new."""


MAX_CAMERA_MOVES = 1024
"""An hour of a command every four seconds; after that they are counted and not written down."""


class Chronicle:
    """One consult, as far as its facts have come."""

    def __init__(self, scheduled: Scheduled) -> None:
        self._record = begin(scheduled)
        self._ahead_s = 0.0

    @classmethod
    def replay(cls, facts: Iterable[Fact]) -> Self:
        """What these facts, all that there are, made of it. Raises LocalProtocolError bad_fact."""
        made = cls.__new__(cls)
        made._record = replay(facts)
        made._ahead_s = 0.0
        return made

    @property
    def record(self) -> Record:
        """What is known of it: a value, which stays what it is."""
        return self._record

    @property
    def state(self) -> str:
        return self._record.state

    def apply(self, *facts: Fact) -> tuple[Effect, ...]:
        """
        These facts are the next ones. What is to be done when they are durable, in order.

        Raises LocalProtocolError bad_fact, and has applied nothing, where one cannot follow: another command was
        applied since they were made.
        """
        record, effects = self._record, list[Effect]()
        for fact in facts:
            following = fold(record, fact)
            effects.extend(effects_between(record, fact, following))
            record = following
        self._record = record
        return tuple(effects)

    def is_admitted(self, sub: str, role: str) -> bool:
        """Whether this person, who has arrived, enters the room without waiting: the door of rooms.lobby."""
        person = self._record.people.get(sub)
        return not self._record.is_over and person is not None and person.role == role and person.is_admitted

    def next_due(self) -> float | None:
        """When `tick` has something to do: by the same clock as every `now`."""
        due_at = next_due(self._record)
        return None if due_at is None else due_at - self._ahead_s

    # ---------------------------------------------------------------- links

    def make_link(self, now: float, link: str, sub: str, role: str) -> Facts:
        """
        A link for one person, good once, until the consult has another time. `link` is the digest of its secret.

        Raises RemoteProtocolError forbidden (not invited), conflict (there is that link), too_many_requests,
        consult_over.
        """
        record = self._live()
        self._check_may_come(sub, role)
        if link in record.links:
            raise RemoteProtocolError("conflict", "there is such a link")
        if len(record.links) >= MAX_LINKS:
            raise RemoteProtocolError("too_many_requests", "this consult has as many links as it may have")
        draft = self._draft(now)
        return draft.add(LinkMade(draft.now, link, sub, role)).settle()

    def use_link(self, now: float, link: str, nonce: str = "") -> Facts:
        """
        Somebody shows a link's secret; whose it is, and as what, is in `record.links`. Whoever shows the same `nonce`
        within LINK_AGAIN_S of the first time is the same browser, whose answer was lost: it is answered again, and
        nothing is added.

        Raises RemoteProtocolError forbidden (there is none, or it was used, or is of another time), too_early,
        too_late, consult_over.
        """
        record = self._live()
        found = record.links.get(link)
        is_dead = found is None or found.schedule != record.schedule
        draft = self._draft(now)
        if found is not None and not is_dead and found.is_used:
            is_again = nonce != "" and hmac.compare_digest(nonce, found.nonce)
            if is_again and draft.now - found.used_at <= LINK_AGAIN_S:
                return ()
            is_dead = True
        if is_dead:
            raise RemoteProtocolError("forbidden", "the link is not valid")
        self._check_window(now, is_late_allowed=False)
        return draft.add(LinkUsed(draft.now, link, nonce)).settle()

    # ---------------------------------------------------------------- time

    def tick(self, now: float) -> Facts:
        """What has fallen due, each once, whenever this is called."""
        return self._draft(now).tick()

    def set_timer(self, now: float, timer: str, due_at: float, by: str) -> Facts:
        """
        A timer of the host's: told when it is due, once, be the relay running then or not. Set to another time it is
        another one; set to the same time it is the same, also where it has fired: a host whose first request was
        answered by nobody, for the relay was killed, says it again and is told once.

        Raises LocalProtocolError bad_timer (a name of the relay's own), RemoteProtocolError too_many_requests,
        consult_over.
        """
        record = self._live()
        if timer in OWN or not timer or not is_unix_s(due_at):
            raise LocalProtocolError("bad_timer", "not a name, or not a time, that a timer may have")
        due_at += self._ahead_s
        if due_at in (record.timers.get(timer), record.fired.get(timer)):
            return ()
        if timer not in record.timers and len(record.timers) >= MAX_TIMERS:
            raise RemoteProtocolError("too_many_requests", "this consult has as many timers as it may have")
        draft = self._draft(now)
        return draft.add(TimerSet(draft.now, timer, due_at, by)).settle()

    def clear_timer(self, now: float, timer: str) -> Facts:
        """Nothing, where it does not run."""
        if timer not in self._record.timers:
            return ()
        draft = self._draft(now)
        return draft.add(TimerCleared(draft.now, timer)).settle()

    def restart(self, now: float) -> Facts:
        """
        Another process goes on. Say first who is lost by that, then `tick`.

        Where its clock is behind the last fact, for the wall clock was set back, this consult is that much ahead of it
        from here on: its time never goes back, nor does it stand still until the clock has come so far again.
        """
        self._ahead_s = max(0.0, self._record.at - now)
        if self._record.is_over or (not self._record.there and self._record.gone_at is None):
            return ()
        draft = self._draft(now)
        recording = self._record.recording
        if recording is not None and recording.is_active:  # what was being written ends with the process that wrote it
            draft.add(RecordingSet(draft.now, recording.id, "stopped", why="restarted"))
        return draft.add(Restarted(draft.now)).settle()

    def jump(self, now: float, by_s: float) -> Facts:
        """The wall clock was set (clock.py)."""
        if self._record.is_closed:
            return ()
        draft = self._draft(now)
        return draft.add(ClockJumped(draft.now, by_s)).settle()

    # ---------------------------------------------------------------- what is only noted

    def consent(self, now: float, sub: str, what: str, is_given: bool, by: str = "") -> Facts:
        """
        Somebody who is in consents, or no longer; `by` says so for that person. A consent to third parties that is
        taken back puts them out. Raises RemoteProtocolError bad_message (no such consent), forbidden, consult_over.
        """
        record = self._live()
        check_word("what", what, CONSENTS)
        person = record.people.get(sub)
        if person is None or not person.is_admitted:
            raise RemoteProtocolError("forbidden", "only who is in can consent")
        if record.consents.get((sub, what)) is is_given:
            return ()
        draft = self._draft(now)
        return draft.add(Consent(draft.now, sub, what, is_given, by)).settle()

    def bypass(self, now: float, sub: str, what: str) -> Facts:
        """Somebody tried what it may not. Nothing, where the same was noted before, or enough was."""
        record = self._record
        if record.is_closed or (sub, what) in record.bypasses or len(record.bypasses) >= MAX_BYPASSES:
            return ()
        draft = self._draft(now)
        return draft.add(BypassTried(draft.now, sub, what)).settle()

    def hook_failed(self, now: float, hook: str, why: str) -> Facts:
        """A hook of the host's did not answer as it should. Nothing, after the last fact."""
        if self._record.is_closed:
            return ()
        draft = self._draft(now)
        return draft.add(HookFailed(draft.now, hook, why)).settle()

    def degraded(self, now: float, sub: str, direction: str, how: str) -> Facts:
        """What the host has given up on somebody's line. Nothing, where that person is not there."""
        if self._record.is_over or not any(each.sub == sub for each in self._record.there):
            return ()
        draft = self._draft(now)
        return draft.add(Degraded(draft.now, sub, direction, how)).settle()

    def note(self, now: float, by: str, note: str) -> Facts:
        """The host's own words: personal. Raises RemoteProtocolError consult_over."""
        if self._record.is_closed:
            raise over()
        check_note(note)
        draft = self._draft(now)
        return draft.add(Noted(draft.now, by, note)).settle()

    def measure(self, measured: Measured) -> Facts:
        """What was measured so far. Nothing, where nothing has changed, or after the last fact."""
        record = self._record
        draft = self._draft(measured.at)
        fact = replace(measured, at=draft.now)
        if record.is_closed or (record.measured is not None and replace(record.measured, at=draft.now) == fact):
            return ()
        return draft.add(fact).settle()

    def count_samples(self, now: float, counts: Iterable[SamplesCounted]) -> Facts:
        """How many samples of which series were handed over so far. Of what has not changed nothing is noted."""
        record = self._record
        if record.is_closed:
            return ()
        draft = self._draft(now)
        for each in counts:
            fact = replace(each, at=draft.now)
            if record.samples.get((each.sub, each.device, each.series), 0) < each.samples:
                draft.add(fact)
        return draft.settle()

    def move_camera(self, now: float, sub: str, by: str, outcome: str) -> Facts:
        """Somebody's camera was moved by somebody, or not. Nothing, where enough was noted of that, or it is over."""
        record = self._record
        if record.is_over or record.camera_moves >= MAX_CAMERA_MOVES:
            return ()
        draft = self._draft(now)
        return draft.add(CameraMoved(draft.now, sub, by, outcome)).settle()

    def attested(self, now: float, digest: str, key_id: str) -> Facts:
        """The attestation is made and kept. Nothing, where it was: there is one."""
        if self._record.is_closed or self._record.ended is None:
            return ()
        draft = self._draft(now)
        return draft.add(Attested(draft.now, digest, key_id)).settle()

    # ---------------------------------------------------------------- within

    def _draft(self, now: float) -> Draft:
        return Draft(self._record, now + self._ahead_s)

    def _live(self) -> Record:
        """The record, of a consult that is not over."""
        if self._record.is_over:
            raise over()
        return self._record

    def _check_may_come(self, sub: str, role: str) -> None:
        invited, rota = self._record.plan.invited, self._record.rota
        if sub in rota.people and self._record.is_decider(role):
            return  # the host has this person rung
        if invited and not any(each.sub == sub and each.role == role for each in invited):
            raise RemoteProtocolError("forbidden", "this person is not invited")

    def _check_window(self, now: float, *, is_late_allowed: bool) -> None:
        record = self._record
        if record.starts_at is None:
            return
        now += self._ahead_s
        if now < record.starts_at - record.plan.opens_before_s:
            raise RemoteProtocolError("too_early", "it is too early to come")
        if now > closes_at(record) and not is_late_allowed:
            raise RemoteProtocolError("too_late", "it is too late to come")


def over() -> RemoteProtocolError:
    return RemoteProtocolError("consult_over", "the consult is over")
