"""
What health insurance pays for a teleconsultation: dated rules of the host, none of which the relay knows.

Pure but for `main`, which explains a file: `python examples/assurance_maladie/rules.py FILE`. 2018: 25 EUR, video
required, a doctor whom the patient knows, and the care path. 2020: all of it is paid, to any doctor; video still
required. Livi: a service that is not reimbursed at all. What share is paid in 2018 is the usual one of the care path.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telerelay import PolicyResult

# A minute in which both saw each other is more than a picture that flickered once; of a call that is shorter than two
# minutes, half.
VIDEO_S = 60.0
PROFESSIONALS = frozenset({"practitioner", "expert"})


@dataclass(frozen=True, slots=True)
class Policy:
    """One dated rule. `share_percent` of `tariff_cents` is paid; 0: nothing ever is."""

    name: str
    date: str
    tariff_cents: int
    share_percent: int
    needs_known_doctor: bool
    needs_care_path: bool


POLICIES: Mapping[str, Policy] = {
    each.name: each
    for each in (
        Policy("2018", "2018-09-15", 2500, 70, needs_known_doctor=True, needs_care_path=True),
        Policy("2020", "2020-03-20", 2500, 100, needs_known_doctor=False, needs_care_path=False),
        Policy("livi", "2018-09-15", 2500, 0, needs_known_doctor=False, needs_care_path=False),
    )
}


@dataclass(frozen=True, slots=True)
class Register:
    """What the insurer knows of people, by opaque ids: (patient, doctor) pairs."""

    known: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """Seen in person within the last twelve months."""
    care_path: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    """The patient's own doctor, or one that doctor sent him to."""


def judge(policy: Policy, register: Register, attestation: Mapping[str, Any]) -> PolicyResult:
    """What a policy says of what was attested."""
    pair = _pair(attestation)
    needed_s = min(VIDEO_S, _call_s(attestation) / 2)
    has_video = 0 < needed_s <= attestation["two_way_video_s"]
    refusals = []
    if not has_video:
        refusals.append(f"{attestation['two_way_video_s']:.0f} s of two-way video, {needed_s:.0f} s are required")
    if policy.needs_known_doctor and pair not in register.known:
        refusals.append("the doctor did not see this patient in the last twelve months")
    if policy.needs_care_path and pair not in register.care_path:
        refusals.append("it was outside the care path")
    if not policy.share_percent:
        outcome, reason = "not_reimbursed", "this service is not reimbursed, whatever the call was"
    elif refusals:
        outcome, reason = "refused", "; ".join(refusals)
    else:
        outcome, reason = "reimbursed", f"{policy.share_percent} % of {policy.tariff_cents / 100:.2f} EUR"
    amount_cents = policy.tariff_cents * policy.share_percent // 100 if outcome == "reimbursed" else 0
    claims = {"reimbursable": outcome == "reimbursed", "video_met": has_video, "amount_cents": amount_cents}
    return PolicyResult(policy.name, policy.date, outcome, claims, reason)


def _pair(attestation: Mapping[str, Any]) -> tuple[str, str]:
    """Patient and doctor, of those who were in the call; "" for nobody."""
    present = [each for each in attestation["people"] if each["present"]]
    patient = next((each["sub"] for each in present if each["role"] == "patient"), "")
    return patient, next((each["sub"] for each in present if each["role"] in PROFESSIONALS), "")


def _call_s(attestation: Mapping[str, Any]) -> float:
    states = attestation["states"]
    begun = next((each["at"] for each in states if each["state"] == "in_progress"), None)
    return 0.0 if begun is None else float(states[-1]["at"] - begun)


def read_register(path: Path) -> Register:
    """Of a JSON file with lists of pairs, `known` and `care_path`."""
    plain = json.loads(path.read_text())
    return Register(*(frozenset((patient, doctor) for patient, doctor in plain[name]) for name in Register.__slots__))


def main(file: str) -> None:
    """Print what each policy says of one attestation, as a line of JSON."""
    attestation = json.loads(Path(file).read_text())["attestation"]
    register = read_register(Path(__file__).with_name("register.json"))
    results = [judge(policy, register, attestation) for policy in POLICIES.values()]
    print(json.dumps({each.policy: {"outcome": each.outcome, "reason": each.reason} for each in results}))


if __name__ == "__main__":
    main(sys.argv[1])
