"""
Times at a desk, for hosts that have people choose one: held while a form is filled in, booked, moved.

Event loop's thread. Of two who want one time the first has it (consult/slots.py). Hosts that keep times themselves need
nothing of this: `schedule` asks nobody about slots, for many may begin at one desk at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable

from telerelay.consult.plan import ConsultPlan
from telerelay.consult.record import Record
from telerelay.consult.slots import Slots


class Booking:
    """
    `Relay.consults.booking`. `now` is the consults' clock; `schedule` and `reschedule` are what Consults has, `record`
    what is known of a consult that is not over (raises not_found). `holder` is an opaque id of whoever chooses.
    """

    def __init__(
        self,
        now: Callable[[], float],
        schedule: Callable[[ConsultPlan, str], Awaitable[None]],
        reschedule: Callable[[str, float, str], Awaitable[None]],
        record: Callable[[str], Record],
    ) -> None:
        self._now = now
        self._schedule = schedule
        self._reschedule = reschedule
        self._record = record
        self._slots = Slots()

    def see(self, record: Record) -> None:
        """A consult has changed: what time it has follows from its facts, after a restart too."""
        self._slots.see(record)

    def hold(self, queue: str, starts_at: float, holder: str) -> float:
        """
        This time is kept for `holder`, for five minutes; asked again by the same, for five more. Until when, Unix
        seconds. Raises RemoteProtocolError conflict: another holds it, or has it.
        """
        return self._slots.hold(self._now(), (queue, starts_at), holder).until

    def release(self, queue: str, starts_at: float, holder: str) -> None:
        """It is not kept any longer. Nothing, where another holds it."""
        self._slots.release((queue, starts_at), holder)

    async def book(self, plan: ConsultPlan, holder: str, by: str) -> None:
        """
        As `schedule`, of a time that `holder` holds. Raises RemoteProtocolError conflict where it is not held, or
        another has it, bad_message for a plan without desk or start, and what Consults.schedule raises.
        """
        slot = self._slots.book(self._now(), plan, holder)
        try:
            await self._schedule(plan, by)
        except BaseException:
            self._slots.unbook(slot, plan.consult)
            raise

    async def move(self, consult: str, starts_at: float, holder: str, by: str) -> None:
        """
        As `reschedule`, to a time that nobody else holds or has. Links from before are dead, and the time from before
        is free. Raises RemoteProtocolError conflict, and what Consult.reschedule raises; nothing has changed then.
        """
        record = self._record(consult)
        slot = self._slots.take(self._now(), dataclasses.replace(record.plan, starts_at=starts_at), holder)
        try:
            await self._reschedule(record.plan.consult, starts_at, by)
        except BaseException:
            self._slots.unbook(slot, record.plan.consult)
            raise
