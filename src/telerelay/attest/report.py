"""
What many attestations come to: acts a day, professionals, the peak, shares. Counts, and no ids.

Pure.
"""

import datetime
import zoneinfo
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from telerelay import document, plots

PROFESSIONALS = frozenset({"practitioner", "requester", "expert"})
"""Roles whose people are counted as professionals."""

SHARES = ("outcome", "region", "policy", "policy_outcome")


class NotOne(ValueError):
    """What was to be counted is no attestation."""


@dataclass(slots=True)
class Day:
    acts: int = 0
    professionals: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Report:
    """
    An act is an attested consult in which a call came about; `attestations` counts the others too.

    Days are those of the time zone, by when the act ended. `concurrent`: the most calls at one moment.
    """

    zone: str
    attestations: int = 0
    acts: int = 0
    professionals: set[str] = field(default_factory=set)
    days: dict[str, Day] = field(default_factory=dict)
    shares: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SHARES})
    with_video: int = 0
    emergencies: int = 0
    two_way_video_s: float = 0.0
    concurrent: int = 0

    @property
    def peak(self) -> tuple[str, int]:
        """The day with the most acts, the first of them; and how many."""
        if not self.days:
            return "", 0
        day = max(sorted(self.days), key=lambda each: self.days[each].acts)
        return day, self.days[day].acts

    def to_json(self) -> dict[str, Any]:
        day, acts = self.peak
        return {
            "zone": self.zone,
            "attestations": self.attestations,
            "acts": self.acts,
            "professionals": len(self.professionals),
            "peak": {"day": day, "acts": acts},
            "concurrent": self.concurrent,
            "two_way_video_h": round(self.two_way_video_s / 3600, 3),
            "share": {
                "two_way_video": _share(self.with_video, self.acts),
                "emergency": _share(self.emergencies, self.acts),
                **{
                    name: {word or "none": _share(count, self.acts) for word, count in counts.most_common()}
                    for name, counts in self.shares.items()
                },
            },
            "days": [
                {"day": name, "acts": each.acts, "professionals": len(each.professionals)}
                for name, each in sorted(self.days.items())
            ],
        }


def report(attestations: Iterable[Mapping[str, Any]], zone: str = "UTC") -> Report:
    """
    Count what is attested. Raises ValueError for a time zone there is not, NotOne for what is no attestation.
    """
    try:
        clock = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"there is no time zone {zone!r}") from None
    result = Report(zone)
    changes: defaultdict[float, int] = defaultdict(int)
    for each in attestations:
        result.attestations += 1
        try:
            _count(result, each, clock, changes)
        except (KeyError, TypeError, IndexError, AttributeError, ValueError, ArithmeticError, OSError) as error:
            # The last three are of times: no number, past what a calendar has, past what the system's has.
            raise NotOne(f"attestation {result.attestations} is none") from error
    running = 0
    for at in sorted(changes):
        running += changes[at]
        result.concurrent = max(result.concurrent, running)
    return result


def _count(
    result: Report, attestation: Mapping[str, Any], clock: zoneinfo.ZoneInfo, changes: defaultdict[float, int]
) -> None:
    states = attestation["states"]
    begun = next((each["at"] for each in states if each["state"] == "in_progress"), None)
    if begun is None:
        return
    ended = states[-1]["at"]
    professionals = {each["sub"] for each in attestation["people"] if each["role"] in PROFESSIONALS and each["present"]}
    day = result.days.setdefault(datetime.datetime.fromtimestamp(ended, clock).date().isoformat(), Day())
    result.acts += 1
    day.acts += 1
    day.professionals |= professionals
    result.professionals |= professionals
    result.with_video += attestation["two_way_video_s"] > 0
    result.two_way_video_s += attestation["two_way_video_s"]
    result.emergencies += bool(attestation["is_emergency"])
    policy = attestation["policy"]
    for name, word in (
        ("outcome", attestation["outcome"]),
        ("region", attestation["region"]),
        ("policy", policy["policy"]),
        ("policy_outcome", policy.get("outcome", "")),
    ):
        result.shares[name][word] += 1
    changes[begun] += 1
    changes[ended] -= 1


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


# -------------------------------------------------------------------- for people


def text(result: Report) -> list[str]:
    """The report as lines for a terminal; the busiest days first, twenty at the most."""
    plain = result.to_json()
    lines = [
        f"acts           {result.acts}",
        f"professionals  {len(result.professionals)}",
        f"peak           {plain['peak']['acts']} on {plain['peak']['day'] or 'no day'}",
        f"at one moment  {result.concurrent}",
        f"two-way video  {plain['two_way_video_h']:.1f} h, in {100 * plain['share']['two_way_video']:.1f} % of acts",
        f"emergencies    {100 * plain['share']['emergency']:.1f} %",
        f"without a call {result.attestations - result.acts}",
    ]
    for name in SHARES:
        shares = plain["share"][name]
        if set(shares) - {"none"}:
            words = ", ".join(f"{word} {100 * share:.1f} %" for word, share in shares.items())
            lines.append(f"{name.replace('_', ' '):<14} {words}")
    busiest = sorted(plain["days"], key=lambda each: (-each["acts"], each["day"]))[:20]
    if busiest:
        lines += ["", "day          acts  professionals"]
        lines += [f"{each['day']}  {each['acts']:>5}  {each['professionals']:>13}" for each in busiest]
    return lines


def page(result: Report) -> str:
    """The report as one page of HTML, with acts and professionals by day."""
    plain = result.to_json()
    days = plain["days"]
    first = datetime.date.fromisoformat(days[0]["day"]) if days else datetime.date.min
    at = {each["day"]: (datetime.date.fromisoformat(each["day"]) - first).days for each in days}

    def line(name: str, style: str) -> plots.Line:
        # A day without an act is a day with none.
        values = {at[each["day"]]: float(each[name]) for each in days}
        return plots.Line(
            name, tuple((float(x), values.get(x, 0.0)) for x in range(max(values, default=-1) + 1)), style
        )

    x_label = f"days since {first.isoformat()}" if days else "days"
    rows = "".join(f"<tr><td>{each}</td></tr>" for each in map(_escaped, text(result)[:7]))
    return document.document(
        "Consults",
        [
            f'<p class="dim">Counted from attestations; days of {_escaped(result.zone)}.</p>',
            f"<table>{rows}</table>",
            '<div class="plots">',
            plots.plot("Acts a day", [line("acts", "a")], x_label=x_label, y_label="acts"),
            plots.plot("Professionals a day", [line("professionals", "b")], x_label=x_label, y_label="professionals"),
            "</div>",
        ],
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
