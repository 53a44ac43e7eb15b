"""
Nine regions try teleconsultation out, each by a dated policy of its own; the relay knows none of them.

Pure but for the hooks, which a relay runs by `hooks.entry_point = "rules:Regions"`. The regions are those of the
experiments of 2014; what each of them asks for and pays is made up, to be different.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telerelay import AttestRequest, Hooks, PolicyResult, Route, RouteRequest


@dataclass(frozen=True, slots=True)
class Region:
    """What a region asks for: so much two-way video, somebody beside the patient; and what it pays then."""

    name: str
    date: str
    tariff_cents: int
    video_s: float
    needs_assistant: bool = False

    @property
    def policy(self) -> str:
        return f"region-{self.name}"


REGIONS: Mapping[str, Region] = {
    each.name: each
    for each in (
        Region("alsace", "2014-07-01", 2800, 1.0),
        Region("basse-normandie", "2014-07-01", 2800, 1.0, needs_assistant=True),
        Region("bourgogne", "2014-09-01", 2500, 1.0),
        Region("centre", "2014-07-01", 2300, 2.0),
        Region("haute-normandie", "2014-07-01", 2800, 1.0, needs_assistant=True),
        Region("languedoc-roussillon", "2014-10-01", 2600, 1.0),
        Region("martinique", "2014-09-01", 3300, 0.0),
        Region("pays-de-la-loire", "2014-07-01", 2600, 2.0),
        Region("picardie", "2014-10-01", 2800, 1.0, needs_assistant=True),
    )
}


def judge(region: Region, attestation: Mapping[str, Any]) -> PolicyResult:
    """What a region's policy says of what was attested."""
    roles = {each["role"] for each in attestation["people"] if each["present"]}
    refusals = []
    if attestation["two_way_video_s"] < region.video_s:
        refusals.append(f"{region.video_s:.0f} s of two-way video are required")
    if region.needs_assistant and not roles & {"assistant", "companion"}:
        refusals.append("nobody was beside the patient")
    outcome = "refused" if refusals else "paid"
    reason = "; ".join(refusals) or f"{region.tariff_cents / 100:.2f} EUR"
    claims = {"amount_cents": 0 if refusals else region.tariff_cents}
    return PolicyResult(region.policy, region.date, outcome, claims, reason)


class Regions(Hooks):
    async def route(self, request: RouteRequest) -> Route:
        """Each region has a desk; of a region without an experiment the plan's holds."""
        return Route(f"desk-{request.region}" if request.region in REGIONS else request.queue)

    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        """Of a region without an experiment nothing is said."""
        region = REGIONS.get(request.attestation["region"])
        return None if region is None else judge(region, request.attestation)
