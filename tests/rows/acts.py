"""
Activity of two months, made up: so many acts by so many professionals in nine regions, few at first and a peak on the
last day (as D0 tells of Medicam: from a few dozen to 2,000 a day). `python -m rows.acts FOLDER ACTS PEOPLE PEAK`.

What is made up are the facts. They are journalled, attested and signed as a relay does it, by a clock that is an
argument: FOLDER/journal.db and FOLDER/signing.key.pub are what `telerelay report` and `telerelay attest` read.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows.commands import rules_of
from rows.told import Call, facts_of
from telerelay import ConsultPlan
from telerelay.attest import Attestor
from telerelay.attest.attestation import draft_of
from telerelay.attest.sign import write_new_key
from telerelay.journal import Journal, canonical

DAY_S = 86_400.0
DAYS = 61
FIRST_DAY = 1_583_020_800.0
"""1 March 2020, UTC."""
OPENS_S, OPEN_S = 7 * 3600.0, 12 * 3600.0
"""From seven in the morning, for twelve hours: an act of this length ends on its day, in Paris too."""
LENGTH_S = 1200.0
AT_ONCE = 200
"""Consults that one commit writes: what the disk takes is not what is measured."""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it was written once, with other names and at another time."""

    at: float
    kind: str
    clear: dict[str, Any]

    def to_json(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        return self.kind, self.clear, {}


def per_day(acts: int, peak: int, days: int = DAYS) -> list[int]:
    """How many acts each day has: a straight climb that leaves the last day its peak, and no other day as many."""
    rest, others = acts - peak, days - 1
    first = max(1, rest // others // 25)
    last = 2 * rest // others - first
    climb = [first + (last - first) * day // (others - 1) for day in range(others)]
    missing = rest - sum(climb)
    for n in range(missing):
        climb[n % others] += 1
    if max(climb) >= peak or min(climb) < 0 or missing < 0:
        raise ValueError("so many acts make another day the peak")
    return [*climb, peak]


def moments(acts: int, peak: int) -> Iterator[float]:
    """When each act begins, Unix seconds: spread over the hours of its day."""
    for day, count in enumerate(per_day(acts, peak)):
        for n in range(count):
            yield FIRST_DAY + day * DAY_S + OPENS_S + round(OPEN_S * n / count)


def _template(region: str) -> str:
    """The facts of an act in that region, with names that are replaced; times from its beginning."""
    plan = ConsultPlan("CONSULT", region=region, policy=f"region-{region}", policy_date="2014-07-01")
    call = Call(plan, 1000.0, LENGTH_S, 0.9 * LENGTH_S, LENGTH_S, patient="PATIENT", doctor="DOCTOR")
    facts = [(fact.at - 1000.0, *fact.to_json()[:2]) for fact in facts_of(call)]
    return canonical.dumps([[at, kind, clear] for at, kind, clear in facts]).decode()


async def write(folder: Path, acts: int, professionals: int, peak: int) -> None:
    """All of it, into a folder."""
    rules = rules_of("regions")
    regions = list(rules.REGIONS.values())
    templates = [_template(region.name) for region in regions]
    key = write_new_key(folder / "signing.key")
    journal = await Journal.of_file(str(folder / "journal.db"), lambda: FIRST_DAY, key)
    attestor = Attestor(journal, key, lambda: FIRST_DAY + DAYS * DAY_S)
    await attestor.open()

    async def act(number: int, begins_at: float) -> None:
        region = regions[number % len(regions)]
        plain = templates[number % len(regions)].replace("CONSULT", f"act-{number}")
        plain = plain.replace("DOCTOR", f"pro-{number % professionals}").replace("PATIENT", f"p-{number}")
        facts = [Told(begins_at + at, kind, clear) for at, kind, clear in canonical.loads(plain)]
        draft = draft_of(f"act-{number}", await journal.append(f"act-{number}", facts))
        await attestor.attest(draft, dataclasses.asdict(rules.judge(region, draft)))

    try:
        waiting: list[tuple[int, float]] = []
        for numbered in enumerate(moments(acts, peak)):
            waiting.append(numbered)
            if len(waiting) == AT_ONCE:
                await asyncio.gather(*(act(*each) for each in waiting))
                waiting.clear()
        await asyncio.gather(*(act(*each) for each in waiting))
    finally:
        await journal.store.close()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
