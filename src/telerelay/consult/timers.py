"""
What of a consult is due without anybody's doing, and when.

Pure: which timers run, and when each is due, follows from the record alone. So they outlive a process, and what fell
due while none ran is due at once when one does, with the time it was due.
"""

from dataclasses import dataclass

from telerelay.consult import states
from telerelay.consult.record import Record

NO_SHOW, CLOSE, EMPTY, SEAT, OVERRUN, TAKE, RING = "no_show", "close", "empty", "seat", "overrun", "take", "ring"
STILL = "still"
OWN = (NO_SHOW, CLOSE, EMPTY, SEAT, OVERRUN, TAKE, RING, STILL)
"""A consult's own timers, whose names no host may use."""

TAKE_UP_S = 60.0
"""A doctor whom the queue gave a patient is there within a minute, or was called away: another doctor is next."""


@dataclass(frozen=True, slots=True, order=True)
class Timer:
    """`due_at` in Unix seconds by the consult's clock; `sub` is whose seat or ring, `key` the still's request."""

    due_at: float
    name: str
    sub: str = ""
    key: str = ""


def timers_of(record: Record) -> tuple[Timer, ...]:
    """All that run, the first one due first."""
    if record.is_over:
        return ()
    return tuple(sorted([*_seats(record), *_of_call(record), *_of_window(record), *_others(record), *_stills(record)]))


def next_due(record: Record) -> float | None:
    """When there is something to do, or None: when something else happens."""
    timers = timers_of(record)
    return timers[0].due_at if timers else None


def _seats(record: Record) -> list[Timer]:
    seat_s = record.plan.seat_s
    return [Timer(each.seat_at + seat_s, SEAT, each.sub) for each in record.there if each.seat_at is not None]


def _stills(record: Record) -> list[Timer]:
    return [
        Timer(each.until, STILL, each.request.sub, key) for key, each in record.stills.items() if each.until is not None
    ]


def _of_window(record: Record) -> list[Timer]:
    """Before anybody was let in: the no-show, and the end of the time in which people may come."""
    if record.state not in (states.SCHEDULED, states.WAITING, states.NO_SHOW):
        return []
    timers = []
    if record.starts_at is not None and not record.has_come and not record.was_no_show:
        timers.append(Timer(record.starts_at + record.plan.no_show_after_s, NO_SHOW))
    if not record.there:
        timers.append(Timer(closes_at(record), CLOSE))
    return timers


def _of_call(record: Record) -> list[Timer]:
    timers = []
    overrun_s = record.plan.overrun_after_s
    if record.in_progress_at is not None and overrun_s is not None and not record.is_overrun:
        timers.append(Timer(record.in_progress_at + overrun_s, OVERRUN))
    is_call = record.state in states.CALLS or record.state == states.ADMITTED
    if is_call and record.gone_at is not None:
        # As long as a seat is kept: whoever went by mistake, or to come back with another device, does within that.
        timers.append(Timer(record.gone_at + record.plan.seat_s, EMPTY))
    return timers


def _others(record: Record) -> list[Timer]:
    timers = [Timer(due_at, name) for name, due_at in record.timers.items()]
    is_awaited = record.taken_by and not any(each.sub == record.taken_by for each in record.there)
    if is_awaited and record.state in (states.SCHEDULED, states.WAITING, states.NO_SHOW):
        timers.append(Timer(record.taken_at + TAKE_UP_S, TAKE))
    if record.rota.ringing:
        timers.append(Timer(record.rota.since + record.plan.ring_s, RING, record.rota.ringing))
    return timers


def closes_at(record: Record) -> float:
    """Until when people may come for the first time; of a consult without a start, from when it was scheduled."""
    begins_at = record.scheduled_at if record.starts_at is None else record.starts_at
    return begins_at + record.plan.closes_after_s
