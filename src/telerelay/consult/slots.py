"""
Who has which time at whose desk, until it is booked: of two who hold the same one, the first wins.

Pure. What is booked follows from the consults' records; a hold is a matter of minutes, and is lost with the process,
which loses nobody a consult.
"""

from dataclasses import dataclass

from telerelay.consult.plan import ConsultPlan
from telerelay.consult.record import Record
from telerelay.errors import RemoteProtocolError

HOLD_S = 300.0
"""As long as somebody needs to fill in a form; after that another may have it."""

Slot = tuple[str, float]
"""A queue and a start, Unix seconds. Slots are alike or apart: that they do not overlap is the host's."""


@dataclass(frozen=True, slots=True)
class Hold:
    by: str
    until: float


class Slots:
    """The slots of one relay that are held, or booked."""

    def __init__(self) -> None:
        self._held: dict[Slot, Hold] = {}
        self._booked: dict[Slot, str] = {}
        self._slots: dict[str, Slot] = {}  # by consult

    def see(self, record: Record) -> None:
        """What is so now of one consult; one that is over, or has no start, has no slot."""
        consult = record.plan.consult
        before = self._slots.pop(consult, None)
        if before is not None and self._booked.get(before) == consult:
            del self._booked[before]
        if record.is_over or record.starts_at is None or not record.plan.queue:
            return
        slot = (record.plan.queue, record.starts_at)
        self._slots[consult] = slot
        self._booked.setdefault(slot, consult)

    def hold(self, now: float, slot: Slot, by: str, for_s: float = HOLD_S) -> Hold:
        """
        `by` (an opaque id) has it for a while; asked again by the same, for that while anew.

        Raises RemoteProtocolError conflict: another has it.
        """
        self.check(now, slot, by)
        self._held = {each: hold for each, hold in self._held.items() if hold.until > now}
        self._held[slot] = hold = Hold(by, now + for_s)
        return hold

    def release(self, slot: Slot, by: str) -> None:
        """Nothing, where another has it."""
        hold = self._held.get(slot)
        if hold is not None and hold.by == by:
            del self._held[slot]

    def check(self, now: float, slot: Slot, by: str) -> None:
        """Whether `by` may book it: nobody else holds it, nor has booked it. Raises RemoteProtocolError conflict."""
        hold = self._held.get(slot)
        if slot in self._booked or (hold is not None and hold.until > now and hold.by != by):
            raise RemoteProtocolError("conflict", "another has that time")

    # ---------------------------------------------------------------- while a consult is written down

    def book(self, now: float, plan: ConsultPlan, holder: str) -> Slot:
        """
        The plan's consult has the time that `holder` holds, from now on; `see` of its record says the same, or `unbook`
        that it came to nothing. Raises RemoteProtocolError conflict, bad_message (no desk, or no start).
        """
        slot = _slot_of(plan)
        hold = self._held.get(slot)
        if hold is None or hold.by != holder or hold.until <= now:
            raise RemoteProtocolError("conflict", "the time is not held: hold it first")
        return self.take(now, plan, holder)

    def take(self, now: float, plan: ConsultPlan, holder: str) -> Slot:
        """As `book`, of a time that need not be held, if nobody else holds or has it."""
        slot = _slot_of(plan)
        self.check(now, slot, holder)
        self._held.pop(slot, None)
        self._booked[slot] = plan.consult
        return slot

    def unbook(self, slot: Slot, consult: str) -> None:
        """That consult does not have it after all. Nothing, where its record says that it does."""
        if self._booked.get(slot) == consult and self._slots.get(consult) != slot:
            del self._booked[slot]


def _slot_of(plan: ConsultPlan) -> Slot:
    if not plan.queue or plan.starts_at is None:
        raise RemoteProtocolError("bad_message", "a time that is booked has a queue and a start")
    return plan.queue, plan.starts_at
