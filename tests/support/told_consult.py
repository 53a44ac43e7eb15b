"""
The facts of one consult as its journal has them, for tests of attestations and reports.
"""

from __future__ import annotations

from support.journal import Said

START = 1_764_000_000.0


def told_consult(
    consult: str = "c1",
    *,
    start: float = START,
    practitioner: str = "d1",
    patient: str = "p1",
    video_s: float = 600.0,
    outcome: str = "completed",
    region: str = "occitanie",
    is_emergency: bool = False,
    length_s: float = 1200.0,
    note: str = "a note",
) -> list[Said]:
    """A patient waits 30 s, is let in, loses his socket for 10 s in between, and the practitioner ends it."""
    plan = {"consult": consult, "policy": "2020", "policy_date": "2020-03-09", "region": region, "queue": "desk"}
    if is_emergency:
        plan["is_emergency"] = True
    told: list[tuple[float, str, dict[str, object]]] = [
        (0.0, "scheduled", {"plan": plan}),
        (10.0, "arrived", {"sub": patient, "role": "patient", "attachment": "socket", "is_waiting": True}),
        (20.0, "arrived", {"sub": practitioner, "role": "practitioner", "attachment": "socket", "is_waiting": False}),
        (22.0, "entered", {"sub": practitioner}),
        (40.0, "admitted", {"sub": patient, "by": practitioner}),
        (41.0, "entered", {"sub": patient}),
        (41.0, "in_progress", {}),
        (100.0, "consent", {"sub": patient, "what": "third_party", "is_given": True}),
        (300.0, "lost", {"sub": patient, "what": "socket"}),
        (300.0, "interrupted", {"sub": patient, "what": "socket"}),
        (310.0, "back", {"sub": patient, "what": "socket"}),
        (310.0, "resumed", {}),
        (length_s, "measured", {"two_way_video_s": video_s, "two_way_audio_s": 1100.0, "by_height": ((720, 500.0),)}),
        (length_s, "ended", {"by": practitioner, "outcome": outcome}),
    ]
    facts = [Said(start + at, kind, clear) for at, kind, clear in told]
    last = facts[-1]
    return [*facts[:-1], Said(last.at, last.kind, last.clear, {"note": note} if note else {})]
