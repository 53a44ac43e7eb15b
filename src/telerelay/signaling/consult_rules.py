"""
The application's rules for consults, asked beside what happens and never in its way: who is let in without a decider,
what becomes of whoever there is no room for, what is shown to who waits, whose desk a consult waits at.

Event loop's thread. Each answer is in time or closed (hooks/runner.py); what it changes becomes facts like any other's,
in the name that the rule gives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from telerelay.config import ConsultsConfig
from telerelay.consult import facts
from telerelay.consult.draft import Facts
from telerelay.consult.plan import ConsultPlan
from telerelay.consult.surge import Surge
from telerelay.errors import RemoteProtocolError
from telerelay.events import ContentItem, WaitingContentChanged
from telerelay.hooks import (
    AdmitRequest,
    HookFailure,
    HookRunner,
    RouteRequest,
    SurgeRequest,
    WaitingRequest,
)
from telerelay.signaling.consult_live import LiveConsult

# Denied because the application turns people away whom there is no room for.
FULL = "full"


class Rules:
    """
    `now` is the consults' clock; `spawn` has something done by a task; `position` tells somebody's place in line;
    `limits` say what a consult counts for.
    """

    def __init__(
        self,
        hooks: HookRunner,
        limits: ConsultsConfig,
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        position: Callable[[LiveConsult, str], int],
    ) -> None:
        self._hooks = hooks
        self._limits = limits
        self._now = now
        self._spawn = spawn
        self._position = position
        self._routing: set[str] = set()
        """Of these it is asked whom to ring."""

    async def routed(self, plan: ConsultPlan) -> tuple[ConsultPlan, tuple[str, ...]]:
        """The plan, with the desk that the application gives it, and whom it is to ring."""
        if not self._hooks.hears("route", plan.consult):
            return plan, ()
        request = RouteRequest(plan.consult, plan.tenant, plan.queue, plan.region, plan.is_emergency)
        answer = await self._hooks.route(request)
        return dataclasses.replace(plan, queue=answer.queue), tuple(dict.fromkeys(answer.people))

    def unanswered(self, live: LiveConsult) -> None:
        """All who were named were rung, and nobody answered: whom else?"""
        if self._hooks.hears("route", live.id) and live.id not in self._routing:
            self._routing.add(live.id)
            self._spawn(self._ask_route(live), "route_rule")

    def waits(self, live: LiveConsult, sub: str) -> None:
        """Somebody waits, from now on or still: durably."""
        if self._hooks.hears("admit", live.id):
            self._spawn(self._ask_admit(live, sub), "admit_rule")
        if self._hooks.hears("waiting_content", live.id):
            self._spawn(self._ask_content(live, sub), "waiting_content")

    def held(self, live: LiveConsult, surge: Surge, release: Callable[[Iterable[str]], None]) -> None:
        """There is no room for a consult: what becomes of it?"""
        if self._hooks.hears("surge", live.id):
            self._spawn(self._ask_surge(live, surge, release), "surge_rule")

    async def _ask_route(self, live: LiveConsult) -> None:
        record = live.consult.record
        plan, attempt = record.plan, record.rota.attempt + 1
        tried = (*(queue for queue in record.rota.queues if queue != plan.queue), plan.queue)  # the latest one last
        try:
            answer = await self._hooks.route(
                RouteRequest(live.id, plan.tenant, plan.queue, plan.region, record.is_emergency, attempt, tried)
            )
        finally:
            self._routing.discard(live.id)
        people = tuple(dict.fromkeys(answer.people))
        if live.consult.is_unanswered:
            await _taken(live, lambda: live.consult.route(self._now(), answer.queue, people, attempt=attempt))

    async def _ask_admit(self, live: LiveConsult, sub: str) -> None:
        person, plan = live.durable.people.get(sub), live.durable.plan
        if person is None or person not in live.durable.waiting:
            return
        answer = await self._hooks.admit(
            AdmitRequest(
                room=live.id,
                tenant=plan.tenant,
                queue=plan.queue,
                sub=sub,
                role=person.role,
                since=person.since,
                position=self._position(live, sub),
                is_emergency=live.durable.is_emergency,
            )
        )
        waiting = live.consult.record.people.get(sub)
        if waiting is None or (waiting.role, waiting.since) != (person.role, person.since):
            return  # whoever came again meanwhile is asked about anew, and may be it in another role
        if answer.answer == "admit":
            await _taken(live, lambda: live.consult.admit(self._now(), sub, answer.by, is_host=True))
        elif answer.answer == "deny":
            await _taken(live, lambda: live.consult.deny(self._now(), sub, answer.by, is_host=True, reason="hook"))

    async def _ask_content(self, live: LiveConsult, sub: str) -> None:
        person, plan = live.durable.people.get(sub), live.durable.plan
        if person is None:
            return
        content = await self._hooks.waiting_content(
            WaitingRequest(live.id, plan.tenant, plan.queue, plan.region, sub, person.role)
        )
        items = tuple(ContentItem(each.id, each.kind, each.url, each.title) for each in content.items)
        live.set_content(sub, WaitingContentChanged(items))

    async def _ask_surge(self, live: LiveConsult, surge: Surge, release: Callable[[Iterable[str]], None]) -> None:
        plan = live.durable.plan
        answer = await self._hooks.surge(
            SurgeRequest(
                room=live.id,
                tenant=plan.tenant,
                queue=plan.queue,
                is_emergency=live.durable.is_emergency,
                costs_packets_per_s=self._limits.packets_per_s,
                used_packets_per_s=surge.used_packets_per_s,
                capacity_packets_per_s=self._limits.capacity_packets_per_s,
                held=len(surge.line()),
            )
        )
        if answer == "take":  # of what is kept for emergencies: counted as one, and no emergency
            release(surge.set_priority(live.id, True))
        elif answer == "refuse":
            for person in live.consult.record.waiting:
                await self._refuse(live, person.sub)

    async def _refuse(self, live: LiveConsult, sub: str) -> None:
        await _taken(live, lambda: live.consult.deny(self._now(), sub, facts.RELAY, is_host=True, reason=FULL))


async def _taken(live: LiveConsult, decide: Callable[[], Facts]) -> None:
    """Carry an answer out, unless it was decided otherwise while the rule thought."""
    try:
        made = decide()
    except RemoteProtocolError:
        return
    await live.take(made)


def failed(consults: Callable[[str], LiveConsult | None], now: Callable[[], float]) -> Callable[[HookFailure], None]:
    """What notes a hook's failure in its consult."""

    def note(failure: HookFailure) -> None:
        live = consults(failure.room)
        if live is not None:
            live.note(live.consult.hook_failed(now(), failure.hook, failure.fault))

    return note
