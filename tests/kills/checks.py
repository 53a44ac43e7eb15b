"""
What must hold on the disk and at the webhook after all kills. Each check returns what is wrong, in words; none is good.

Reads the journal's file with SQLite alone, apart from the code that wrote it; chains, anchors and attestations are for
the commands that an operator has.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kills.ledger import Told

Clear = Mapping[str, Any]
Journal = dict[str, list[tuple[str, Clear]]]
"""By consult its facts in order, as (kind, clear parts)."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the file holds."""

    journal: Journal
    gaps: list[str]
    attestations: Counter[str]

    @classmethod
    def read(cls, path: Path) -> Kept:
        journal: Journal = defaultdict(list)
        gaps = []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT consult, seq, kind, clear FROM entries ORDER BY consult, seq")
            for consult, seq, kind, clear in rows:
                if seq != len(journal[consult]) + 1:
                    gaps.append(f"{consult}: number {seq} follows on {len(journal[consult])}")
                journal[consult].append((kind, json.loads(clear)))
            attested = Counter(row[0] for row in connection.execute("SELECT consult FROM attestations"))
        journal.pop("", None)  # the journal's own
        return cls(dict(journal), gaps, attested)


def lost(told: Iterable[Told], journal: Journal) -> list[str]:
    """What somebody was told, and is not there."""
    return [
        f"{each.consult}: {each.kind} {dict(each.members)} was acknowledged after {each.after_kills} kills, and is lost"
        for each in told
        if not each.is_in(journal.get(each.consult, []))
    ]


def timers(taken: Iterable[tuple[str, str, float]], journal: Journal) -> list[str]:
    """Each timer that was taken fired once, unless its consult was over before; no other fired twice."""
    wrong = []
    for consult, timer, due_at in taken:
        facts = journal.get(consult, [])
        fired = [clear for kind, clear in facts if kind == "timer_fired" and _is(clear, timer, due_at)]
        over = [kind for kind, _ in facts if kind in ("ended", "closed", "cancelled")]
        if len(fired) != 1 and not (not fired and over):
            wrong.append(f"{consult}: {timer} fired {len(fired)} times")
    for consult, facts in journal.items():
        all_fired = Counter(json.dumps(clear, sort_keys=True) for kind, clear in facts if kind == "timer_fired")
        wrong += [f"{consult}: {what} fired {count} times" for what, count in all_fired.items() if count > 1]
    return wrong


def _is(clear: Clear, timer: str, due_at: float) -> bool:
    return bool(clear["timer"] == timer and abs(clear["due_at"] - due_at) < 0.001)


def attested(ended: Iterable[str], kept: Kept) -> list[str]:
    """Each consult that ended once, with one attestation as its last fact; no other has one."""
    wrong = []
    for consult, facts in kept.journal.items():
        kinds = Counter(kind for kind, _ in facts)
        if kinds["ended"] > 1 or kinds["attested"] != kinds["ended"] or kept.attestations[consult] != kinds["ended"]:
            wrong.append(
                f"{consult}: ended {kinds['ended']} times, attested {kinds['attested']} times,"
                f" {kept.attestations[consult]} attestations"
            )
        if kinds["attested"] and facts[-1][0] != "attested":
            wrong.append(f"{consult}: {facts[-1][0]} follows on its attestation")
    return wrong + [
        f"{consult}: was ended and is not" for consult in ended if "ended" not in dict(kept.journal.get(consult, []))
    ]


def seats(journal: Journal) -> list[str]:
    """Nobody was let in twice without having left, and nobody lost a seat by time: all came back."""
    wrong = []
    for consult, facts in journal.items():
        inside: set[str] = set()
        for kind, clear in facts:
            if kind == "admitted":
                if clear["sub"] in inside:
                    wrong.append(f"{consult}: {clear['sub']} was let in twice")
                inside.add(clear["sub"])
            elif kind == "left":
                inside.discard(clear["sub"])
                if clear.get("reason") == "timeout":
                    wrong.append(f"{consult}: {clear['sub']} lost the seat")
    return wrong


def webhook(taken: Sequence[Mapping[str, Any]], journal: Journal) -> tuple[list[str], int]:
    """
    What is wrong with what the application took, and how much it took twice: of each consult all numbers from 1 on, in
    order, none that the disk does not have; the same key the same words.
    """
    wrong: list[str] = []
    bodies: dict[str, Mapping[str, Any]] = {}
    latest: dict[str, int] = defaultdict(int)
    again = 0
    for body in taken:
        consult, number, key = body["room"], body["sequence"], body["key"]
        if key != f"{consult}:{number}":
            wrong.append(f"{key}: is the key of {consult}, {number}")
        if key in bodies:
            again += 1
            if bodies[key] != body:
                wrong.append(f"{key}: told twice in other words")
            continue
        bodies[key] = body
        if number != latest[consult] + 1:
            wrong.append(f"{consult}: {number} was told behind {latest[consult]}")
        latest[consult] = max(latest[consult], number)
    for consult in {*latest, *journal}:
        if latest[consult] != len(journal.get(consult, [])):
            wrong.append(f"{consult}: {latest[consult]} facts told of {len(journal.get(consult, []))}")
    for consult, facts in journal.items():
        for number, (kind, clear) in enumerate(facts, 1):
            told = bodies.get(f"{consult}:{number}", {}).get("events", [])
            if kind == "timer_fired" and clear["timer"].startswith("own.") and not any(map(_has_fired, told)):
                wrong.append(f"{consult}:{number}: {clear['timer']} fired, and was told as {told}")
    return wrong, again


def _has_fired(told: Mapping[str, Any]) -> bool:
    return bool(told["hook"] == "on_timer" and told["event"]["what"] == "fired")
