"""
R07, Livi: 200 patients at one desk, 20 doctors who all call for the next one, and nobody is handed out twice.

What is measured is what patients and doctors tell, who are processes of their own, and what attestations say. Of most
calls the patient is let in and the end follows at once; each fiftieth is held.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from rows.commands import attestations, lines_of, telerelay, verified
from rows.figures import EXAMPLES, Figure, tries

HERE = EXAMPLES / "livi"

Told = dict[str, Any]


async def measure() -> list[Figure]:
    """Plays the example with a crowd, and holds what everybody saw against each other."""
    patients, doctors = tries(200), tries(20)
    with tempfile.TemporaryDirectory(prefix="telerelay-rows-") as name:
        folder = Path(name)
        told = await lines_of(HERE / "play.py", str(patients), str(doctors), folder)
        await telerelay("attest", "export", "--journal", folder / "journal.db", "--out", folder / "out")
        files = sorted((folder / "out").glob("*.json"))
        verdicts = await verified(folder / "signing.key.pub", *files) if files else []
        attested = attestations(*files)
    waits, calls = _of(told, "waits"), _of(told, "call")
    seen, seeing = _of(told, "patient"), _of(told, "doctor")
    given = [each for each in calls if each["status"] == 200]
    talked = [each for each in seeing if each["talking_at"] is not None]
    return [
        _figure("patients who wait together", len(waits), patients, is_least=True),
        _figure("patients who were let in and saw the end", sum(map(_is_over, seen)), patients, is_least=True),
        _figure("doctors who had a patient", len({each["doctor"] for each in given}), doctors, is_least=True),
        _figure("patients handed out after one who came behind them", _overtaken(waits, given)),
        _figure("patients handed out twice", len(given) - len({each["consult"] for each in given})),
        _figure("doctors with two patients at one moment", _doubled(given, seeing)),
        _figure(
            "calls for the next patient that a doctor who has one made, and was refused",
            sum(each["status"] == 409 for each in calls),
            patients,
            is_least=True,
        ),
        _figure("people whom something went wrong for", sum(bool(each["error"]) for each in [*seen, *seeing])),
        _figure("calls held with sound and pictures", len(talked), max(1, patients // 50), is_least=True),
        _figure("attestations that verify", sum(each["is_good"] for each in verdicts), patients, is_least=True),
        _figure("attestations with reimbursable=false", sum(map(_is_unpaid, attested)), patients, is_least=True),
        _figure("attestations that name more than one doctor", sum(_doctors(each) != 1 for each in attested)),
        _figure("doctors in two calls at one moment, by the attestations", _overlaps(attested)),
    ]


def _of(told: list[Told], kind: str) -> list[Told]:
    return [each for each in told if each["kind"] == kind]


def _is_over(patient: Told) -> bool:
    return patient["admitted_at"] is not None and patient["ended_at"] is not None


def _is_unpaid(attestation: Told) -> bool:
    policy = attestation["policy"]
    return bool(policy["policy"] == "livi" and policy["claims"]["reimbursable"] is False and policy["reason"])


def _overtaken(waits: list[Told], given: list[Told]) -> int:
    """
    How often a patient who is due first was handed out by a call that began after another call, which handed out one
    who is due later, had its answer. Of calls at one moment either may come first. Who was never handed out counts too.
    """
    handed = {each["consult"]: each for each in given}
    line = sorted(enumerate(waits), key=lambda each: (not each[1]["emergency"], each[0]))
    never = sum(each["consult"] not in handed for _, each in line)
    due = [handed[each["consult"]] for _, each in line if each["consult"] in handed]
    wrong, first_answered_at = 0, float("inf")
    for each in reversed(due):
        wrong += first_answered_at < each["asked_at"]
        first_answered_at = min(first_answered_at, each["answered_at"])
    return wrong + never


def _doubled(given: list[Told], seeing: list[Told]) -> int:
    """How often a doctor was handed a patient before the one before was over, by the doctor's own clock."""
    over = {each["consult"]: each["ended_at"] for each in seeing}
    doubled = 0
    for doctor in {each["doctor"] for each in given}:
        own = sorted((each for each in given if each["doctor"] == doctor), key=lambda each: each["answered_at"])
        for before, after in pairwise(own):
            ended_at = over.get(before["consult"])
            doubled += ended_at is None or after["answered_at"] < ended_at
    return doubled


def _doctors(attestation: Told) -> int:
    return sum(each["role"] == "practitioner" for each in attestation["people"])


def _overlaps(attested: list[Told]) -> int:
    """Pairs of times next to each other that one doctor was present at, and that share a moment."""
    times: dict[str, list[list[float]]] = {}
    for attestation in attested:
        for person in attestation["people"]:
            if person["role"] == "practitioner":
                times.setdefault(person["sub"], []).extend(person["present"])
    return sum(after[0] < before[1] for each in times.values() for before, after in pairwise(sorted(each)))


def _figure(what: str, value: float, bound: float = 0, *, is_least: bool = False) -> Figure:
    return Figure("R07", what, value, "", bound, is_least, "livi")
