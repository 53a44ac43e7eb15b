"""
Rings for consults: who is next, what rings at whose desk, and who answers.

Event loop's thread. Who is rung is decided by the consult (consult/rota.py) from who is at a desk now; each step is a
fact, and is shown when it is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from telerelay.protocol.desks import Call

if TYPE_CHECKING:
    from telerelay.signaling.consult_live import LiveConsult

MAX_ATTEMPTS = 8
"""So often a host is asked for others to ring; whoever names the same ones for ever rings for ever."""


class Ringing:
    """
    Of all consults of one relay. `statuses` has of each sub whether it is at a desk; `route` asks the host whom else to
    ring, and carries its answer out.
    """

    def __init__(
        self,
        now: Callable[[], float],
        statuses: Callable[[Sequence[str]], Mapping[str, str]],
        route: Callable[[LiveConsult], None],
    ) -> None:
        self._now = now
        self._statuses = statuses
        self._route = route
        self._awaiting: dict[str, LiveConsult] = {}

    def see(self, live: LiveConsult) -> None:
        """A consult has changed: whoever is next is rung."""
        record = live.consult.record
        if not record.awaits_answer:
            self._awaiting.pop(live.id, None)
            return
        self._awaiting[live.id] = live
        if live.is_settling or record.rota.ringing:
            return
        if made := live.consult.ring(self._now(), self._statuses(record.rota.people)):
            live.note(made)
        elif live.consult.is_unanswered and record.rota.attempt < MAX_ATTEMPTS:
            self._route(live)

    def reached(self, subs: frozenset[str]) -> None:
        """These are at a desk now, or free, who were not: whom it is to ring for may be rung."""
        for live in tuple(self._awaiting.values()):
            if subs.intersection(live.consult.record.rota.people):
                self.see(live)

    def forget(self, live: LiveConsult) -> None:
        self._awaiting.pop(live.id, None)

    def calls_for(self, sub: str) -> list[Call]:
        """What rings for somebody, as far as it is durable: emergencies first, then what rings longest."""
        calls = []
        for live in self._awaiting.values():
            record = live.durable
            rota = record.rota
            if not record.awaits_answer or not rota.may_accept(sub):
                continue
            is_missed = rota.ringing != sub
            since = 0.0 if is_missed else rota.since
            until = 0.0 if is_missed else rota.since + record.plan.ring_s
            calls.append(Call(live.id, record.plan.queue, since, until, record.is_emergency, is_missed))
        return sorted(calls, key=lambda each: (each.is_missed, not each.is_emergency, each.since, each.consult))
