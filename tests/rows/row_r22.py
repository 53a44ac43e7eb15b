"""
R22, regional experiments and activity figures: nine policies, and a report that is counted from attestations.

A consult in each region is real, if short: people in processes of their own, at a relay that runs by itself. The acts
of two months are made up (acts.py), journalled and signed as a relay does it; the report is `telerelay report`'s.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rows.commands import TELERELAY, attestations, lines_of, rules_of, telerelay, verified
from rows.figures import EXAMPLES, Figure, is_short, tries

HERE = EXAMPLES / "regions"
PAYING = {"alsace", "bourgogne", "centre", "languedoc-roussillon", "martinique", "pays-de-la-loire"}
"""Those that ask for nobody beside the patient: two people are in each call that is played."""
SAMPLE = 20
"""Acts whose files are verified one by one; the report verifies each signature."""


async def measure() -> list[Figure]:
    """Plays the example, then counts two months."""
    with (
        tempfile.TemporaryDirectory(prefix="telerelay-rows-") as real,
        tempfile.TemporaryDirectory(prefix="telerelay-rows-") as told,
    ):
        return [*await _regions(Path(real)), *await _activity(Path(told))]


async def _regions(folder: Path) -> list[Figure]:
    regions = rules_of("regions").REGIONS
    played = await lines_of(HERE / "play.py", "4" if is_short() else "8", folder)
    files, verdicts = await _exported(folder)
    attested = {each["region"]: each for each in attestations(*files)}
    by_policy = {name: each["policy"] for name, each in attested.items()}
    outcomes = {name: by_policy[name]["outcome"] for name in regions if name in by_policy}
    report = await telerelay("report", "--journal", folder / "journal.db", "--key", folder / "signing.key.pub")
    ends = [each[side] for each in played for side in ("patient", "doctor")]
    return [
        _figure("people of real calls who saw pictures for a second or more", sum(map(_saw, ends)), 20),
        _figure("real calls whose attestation verifies", sum(each["is_good"] for each in verdicts), 10),
        _figure("regions with their own policy in the attestation", _own(regions, by_policy), 9),
        _figure("regions whose desk it was", sum(attested[name]["queue"] == f"desk-{name}" for name in outcomes), 9),
        _figure("regions that pay", sum(outcomes[name] == "paid" for name in outcomes if name in PAYING), 6),
        _figure("regions that refuse and say why", sum(map(_refuses, by_policy.values())), 3),
        _figure("policies applied where there is no experiment", int("outcome" in by_policy["bretagne"]), 0, most=True),
        _figure("acts of the real calls in the report", report["acts"], 10),
        _figure("professionals of the real calls in the report", report["professionals"], 10),
    ]


async def _activity(folder: Path) -> list[Figure]:
    acts, people, peak = tries(50_000), tries(3_750), tries(2_000)
    await lines_of("-m", "rows.acts", folder, str(acts), str(people), str(peak))
    key = folder / "signing.key.pub"
    report = await telerelay("report", "--journal", folder / "journal.db", "--key", key, "--zone", "Europe/Paris")
    consults = [argument for n in range(SAMPLE) for argument in ("--consult", f"act-{n * acts // SAMPLE}")]
    _, verdicts = await _exported(folder, *consults)
    shares = report["share"]["region"]
    return [
        *_exactly("acts that the report counts", report["acts"], acts),
        *_exactly("professionals that the report counts", report["professionals"], people),
        *_exactly("acts on the peak day", report["peak"]["acts"], peak),
        _figure("days from the first act to the last", len(report["days"]), 61),
        _figure("acts of all its days", sum(each["acts"] for each in report["days"]), acts),
        _figure("regions with a share", sum(name in shares for name in rules_of("regions").REGIONS), 9),
        _figure("what all shares come to, off the whole", abs(1.0 - sum(shares.values())), 0.001, most=True),
        _figure(f"of {SAMPLE} acts, files that verify", sum(each["is_good"] for each in verdicts), SAMPLE),
    ]


async def _exported(folder: Path, *consults: str) -> tuple[list[Path], list[dict[str, Any]]]:
    """Attestations as files, and the verdict on each."""
    out = folder / "out"
    await lines_of(*TELERELAY, "attest", "export", "--journal", folder / "journal.db", "--out", out, *consults)
    files = sorted(out.glob("*.json"))
    return files, await verified(folder / "signing.key.pub", *files) if files else []


def _saw(person: dict[str, Any]) -> bool:
    return bool(person["video_s"] and not person["error"])


def _own(regions: Any, by_policy: dict[str, dict[str, Any]]) -> int:
    return sum(
        (by_policy.get(name, {}).get("policy"), by_policy.get(name, {}).get("date")) == (region.policy, region.date)
        for name, region in regions.items()
    )


def _refuses(policy: dict[str, Any]) -> bool:
    return bool(policy.get("outcome") == "refused" and policy["reason"])


def _exactly(what: str, value: float, bound: float) -> list[Figure]:
    return [_figure(what, value, bound), _figure(f"{what}, at the most", value, bound, most=True)]


def _figure(what: str, value: float, bound: float, *, most: bool = False) -> Figure:
    return Figure("R22", what, value, "", bound, not most, "regions")
