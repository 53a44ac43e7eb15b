"""
Made-up measurements and the reports of them: what pure tests of reports have in common.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

from telerelay.load import report, schedule, slo
from telerelay.load.measure import Histogram, Tally, Totals
from telerelay.load.measurement import Leg, Measurement, Moments, RunSettings, Sample, Visit
from telerelay.load.procfs import Usage
from telerelay.load.profiles import PROFILES, with_values

SECOND_NS = 1_000_000_000
EMPTY = Histogram((0,) * 1408)


def latency(*buckets: int) -> Histogram:
    """One value in each of those buckets, a microsecond wide each."""
    counts = [0] * 1408
    for bucket in buckets:
        counts[bucket] += 1
    return Histogram(tuple(counts), sum(buckets), max(buckets, default=0))


def settings(**sections: Any) -> RunSettings:
    profile = with_values(PROFILES["consult"], {"shape": {"rooms": 1}, **sections})
    return RunSettings(profile=profile, seed=5)


def measurement(given: RunSettings | None = None, **changes: Any) -> Measurement:
    """Two people who saw each other after 100 and 200 ms, and a thousand packets of which one was lost."""
    given = given or settings()
    plan = schedule.make(given.profile, given.seed)
    media = Tally(sent=1000, received=999, lost=1, bytes=1_000_000)
    visits = []
    for person, wait_ms in zip(plan.people, (100, 200), strict=False):
        moments = Moments(click_ns=SECOND_NS, signalled_ns=SECOND_NS + 50_000_000)
        moments.first_packet_ns = SECOND_NS + wait_ms * 1_000_000
        moments.first_frame_ns = moments.first_packet_ns + 10_000_000
        moments.seen_ns = moments.first_packet_ns + 5_000_000
        visits.append(Visit(person, moments, base_ns=SECOND_NS, receives=True))
    after = Totals(media, Tally(), media, cpu_ns=500_000_000, now_ns=11 * SECOND_NS, tx_packets=1000)
    before = Totals(Tally(), Tally(), Tally(), now_ns=SECOND_NS)
    empty, full = Usage(0, 10 << 20, 3), Usage(2 * SECOND_NS, 11 << 20, 4)
    base = Measurement(
        schedule=plan,
        before=before,
        end=replace(after, send_messages=400),
        after=after,
        latency={"audio": EMPTY, "video": latency(10, 20, 30, 40), "resent": EMPTY},
        server_before=empty,
        server_after=full,
        server_empty=empty,
        own_cpu_before_ns=0,
        own_cpu_after_ns=700_000_000,
        machine_before_ns=0,
        machine_after_ns=3 * SECOND_NS,
        samples=[
            Sample(1.0, before, EMPTY, empty, 0, 1, 1, 0),
            Sample(2.0, after, latency(10, 20), full, 700_000_000, 2, 2, 0),
        ],
        visits=visits,
        legs=(Leg(0, "video", media),),
        who={0: plan.people[0]},
        failures=Counter(),
        late_s=0.0,
        people_full=2,
        began_ns=SECOND_NS,
        crypto="none",
    )
    return replace(base, **changes)


def build(
    seen: Measurement | None = None, given: RunSettings | None = None, objective: str = "loss<=1%"
) -> dict[str, Any]:
    given = given or settings()
    return report.build(
        given,
        seen or measurement(given),
        bounds=slo.parse(objective),
        target="telerelay http://127.0.0.1:8080",
        command=["telerelay", "load", "http://127.0.0.1:8080", "--token", "secret-word", "--json"],
        machine="a machine",
        version="0.1.0",
        started_at="2026-01-01T00:00:00+00:00",
    )
