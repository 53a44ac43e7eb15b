"""
A consult's recording: who has to agree to it, and when it runs.

Pure. A recording runs while everybody who is in has agreed to it, and by nothing else: it begins,
pauses and stops by facts that follow from those of people (draft.py asks `follows`), in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from telerelay.consult.facts import Consent, RecordingSet

if TYPE_CHECKING:
    from telerelay.consult.record import Person, Record

RECORDER = "telerelay.recorder"
"""The recorder's sub in the room: no token has it."""

WHAT = "recording"
"""What is consented to."""

ACTIVE = frozenset({"asked", "running", "paused"})

UNASKED = frozenset({"device", "recorder"})
"""Roles that are nobody: whoever an instrument shows is in under another role."""


@dataclass(frozen=True, slots=True)
class Recording:
    """
    One that was asked for, in this state since then (Unix seconds), and why, of facts.RECORDING_REASONS. `agreed` are
    those who consented since, and did not take it back; `refused` said no last, `withdrew`
    of them after a yes.
    """

    id: str
    by: str
    state: str
    since: float = 0.0
    why: str = ""
    agreed: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    withdrew: frozenset[str] = frozenset()

    @property
    def is_active(self) -> bool:
        """It may run yet."""
        return self.state in ACTIVE


def take(recording: Recording | None, fact: RecordingSet | Consent) -> Recording | None:
    """What the fact makes of a consult's latest recording."""
    match fact:
        case RecordingSet(at, id, state, by, why):
            if recording is None or recording.id != id:
                return Recording(id, by, state, at, why)
            return replace(recording, state=state, since=at, why=why)
        case Consent(_, sub, what, is_given) if what == WHAT and recording is not None and recording.is_active:
            agreed = recording.agreed | {sub} if is_given else recording.agreed - {sub}
            refused = recording.refused - {sub} if is_given else recording.refused | {sub}
            has_turned = {sub} if not is_given and sub in recording.agreed | recording.withdrew else set()
            withdrew = recording.withdrew - {sub} | has_turned
            return replace(recording, agreed=agreed, refused=refused, withdrew=withdrew)
    return recording


def asked(record: Record) -> tuple[Person, ...]:
    """Everybody who has to agree: all who are in."""
    return tuple(each for each in record.there if each.is_admitted and each.role not in UNASKED)


def follows(record: Record, now: float) -> RecordingSet | None:
    """What a recording comes to by itself, as people are now."""
    found = record.recording
    if found is None or not found.is_active or record.is_over:
        return None
    people = {each.sub for each in asked(record)}
    if not people:
        return RecordingSet(now, found.id, "stopped", why="left")
    if people & found.refused:
        return RecordingSet(now, found.id, "stopped", why="withdrawn" if people & found.withdrew else "refused")
    is_agreed = people <= found.agreed
    if is_agreed and found.state != "running":
        return RecordingSet(now, found.id, "running")
    if not is_agreed and found.state == "running":
        return RecordingSet(now, found.id, "paused", why="joined")
    return None
