"""
What a run comes to: one dictionary with every figure, the same that --json prints and the page shows.

Pure. docs/load.md says what each figure means. Nothing is hidden: sums that are off, and a generator that was the
limit, are warnings in it.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import PurePath
from typing import Any

from telerelay.load import slo
from telerelay.load.measure import Histogram, Tally, Totals, quantile
from telerelay.load.measurement import JOIN_TIMEOUT_S, Measurement, RunSettings, Sample, Visit
from telerelay.load.profiles import as_values

FORMAT = 1
"""Of the report; another number when a field changes its meaning."""

# Past this share of one processor there is no time left for what comes unevenly, and packets leave late.
LIMIT_CPU_SHARE = 0.9

# Frames that leave later than this by plan make bursts that no camera would make.
LIMIT_LATE_US = 10_000

# Joins that start later than this by plan are not the profile's any more.
LIMIT_STEP_LATE_S = 1.0

# Of one processor: what others may use beside server and generator before it shows in the figures.
LIMIT_OTHERS = 0.25

_SECRET_FLAGS = ("--token", "--token-command")

# Of these the file's name is enough: where it lies says whose machine it is.
_FILE_FLAGS = ("--key-file", "--html", "--profile")


def build(
    settings: RunSettings,
    seen: Measurement,
    *,
    bounds: tuple[slo.Bound, ...],
    target: str,
    command: Sequence[str],
    machine: str,
    version: str,
    started_at: str,
) -> dict[str, Any]:
    """The report of one run."""
    media, latency = seen.after.media.since(seen.before.media), seen.latency["audio"] + seen.latency["video"]
    wall_s = (seen.end.now_ns - seen.before.now_ns) / 1e9
    joins = _joins(seen)
    generator = _generator(settings, seen, wall_s)
    server = _server(seen, media)
    report: dict[str, Any] = {
        "tool": "telerelay load",
        "format": FORMAT,
        "sent": media.sent,
        "received": media.received,
        "lost": media.lost,
        "in_flight": media.in_flight,
        "duplicates": media.duplicates,
        "reordered": media.reordered,
        "auth_failures": media.auth_failures,
        "unaccounted": media.unaccounted,
        "loss": media.loss,
        "latency_us": _latency(latency),
        "join_ms": joins["first_media_ms"],
        "server_cpu_ns_per_packet": server["cpu_ns_per_packet"] if server else None,
        "generator_cpu_ns_per_packet": generator["cpu_ns_per_packet"],
        "generator_limited": bool(generator["limits"]),
        "slo_met": False,
        "slo": [],
        "joins": joins,
        "freezes": {"count": media.freezes, "ms": media.freeze_us / 1e3},
        "media": asdict(media),
        "audio": {**asdict(seen.after.audio.since(seen.before.audio)), "latency_us": _latency(seen.latency["audio"])},
        "video": {**asdict(seen.after.video.since(seen.before.video)), "latency_us": _latency(seen.latency["video"])},
        "resent_latency_us": _latency(seen.latency["resent"]),
        "server": server,
        "generator": generator,
        "set_up": {
            "target": target,
            "profile": settings.profile.name,
            "values": as_values(settings.profile),
            "seed": settings.seed,
            "gso": settings.engine.has_gso,
            "gro": settings.engine.has_gro,
            "machine": machine,
            "version": version,
            "crypto": seen.crypto,
            "command": redacted(command),
        },
        "others_cpu": _others(seen, wall_s),
        "started_at": started_at,
        "measured_s": wall_s,
        "is_interrupted": seen.is_interrupted,
        "people": seen.people_full,
        "series": _series(seen),
        "latency_cdf": [[value, round(share, 6)] for value, share in latency.distribution()],
        "worst": _worst(seen),
    }
    figures = figures_of(report)
    verdicts = slo.judge(bounds, figures)
    report["slo"] = [
        {
            "bound": each.bound.text,
            "value": each.value,
            "shown": slo.shown(each.bound, each.value),
            "is_met": each.is_met,
        }
        for each in verdicts
    ]
    report["slo_met"] = slo.is_met(verdicts)
    report["warnings"] = _warnings(seen, report)
    return report


def figures_of(report: dict[str, Any]) -> dict[str, float | None]:
    """A report's figures as an SLO may bound them: microseconds, fractions, counts."""
    latency, joins = report["latency_us"], report["joins"]
    sent = report["sent"] - report["in_flight"]

    def us(milliseconds: float | None) -> float | None:
        return None if milliseconds is None else milliseconds * 1e3

    return {
        "loss": report["loss"],
        "p50": latency["p50"],
        "p99": latency["p99"],
        "p999": latency["p999"],
        "max": latency["max"],
        "join_p50": us(joins["first_media_ms"]["p50"]),
        "join_p99": us(joins["first_media_ms"]["p99"]),
        "join_max": us(joins["both_ways_ms"]["max"]),
        "back_max": us(joins["back_ms"]["max"] if joins["back_ms"] else None),
        "freezes": report["freezes"]["count"],
        "failed_joins": joins["failed"],
        "auth_failures": report["auth_failures"],
        "duplicates": report["duplicates"],
        "reordered": report["reordered"] / sent if sent > 0 else None,
    }


def redacted(command: Sequence[str]) -> str:
    """The command line as it may be kept: without what opens a room, and without the ways to files."""
    words, flag = [], ""
    for word in command:
        name, equals, value = word.partition("=")
        if name.startswith("--") and equals:
            words.append(f"{name}={_kept(name, value)}")
            flag = ""
        else:
            words.append(_kept(flag, word))
            flag = word
    return " ".join(words)


def _kept(flag: str, value: str) -> str:
    """What may be kept of a word, by the flag before it: of a URL neither userinfo nor query."""
    if flag in _SECRET_FLAGS:
        return "…"
    if flag in _FILE_FLAGS:
        return shlex.quote(PurePath(value).name)
    scheme, separator, rest = value.partition("://")
    if not separator:
        return shlex.quote(value)
    place, *query = re.split("[?#]", rest, maxsplit=1)
    host, slash, path = place.partition("/")
    return shlex.quote(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}") + ("?…" if query else "")


def _latency(histogram: Histogram) -> dict[str, float | None]:
    return {
        "p50": histogram.value(0.5),
        "p99": histogram.value(0.99),
        "p999": histogram.value(0.999),
        "max": histogram.max_us if histogram.count else None,
        "mean": histogram.mean_us,
        "count": histogram.count,
    }


# -------------------------------------------------------------------- joins


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "p50": quantile(values, 0.5),
        "p99": quantile(values, 0.99),
        "max": max(values, default=None),
        "count": len(values),
    }


def both_ways_ns(visit: Visit) -> int:
    """When a participant saw, and (who publishes) was seen: 0 while that is not so."""
    moments = visit.moments
    wanted = [moments.first_frame_ns] if visit.receives else []
    wanted += [moments.seen_ns] if visit.person.publishes else []
    return max(wanted) if wanted and all(wanted) else 0


def _joins(seen: Measurement) -> dict[str, Any]:
    visits = [visit for visit in seen.visits if not visit.moments.failure]
    first = [
        (visit.moments.first_packet_ns - visit.base_ns) / 1e6
        for visit in visits
        if visit.base_ns and visit.moments.first_packet_ns
    ]
    # What an early picture of somebody who then left looks like must not count as faster than light.
    both = [(both_ways_ns(visit) - visit.base_ns) / 1e6 for visit in visits if visit.base_ns and both_ways_ns(visit)]
    signalled = [(v.moments.signalled_ns - v.moments.click_ns) / 1e6 for v in visits if v.moments.signalled_ns]
    seconds = _join_rate_seconds(seen)
    return {
        "attempted": len(seen.visits),
        "failed": sum(bool(visit.moments.failure) for visit in seen.visits),
        "failures": dict(seen.failures.most_common()),
        "first_media_ms": _spread([value for value in first if value >= 0]),
        "both_ways_ms": _spread([value for value in both if value >= 0]),
        "signalled_ms": _spread(signalled),
        "per_s": len(both) / seconds if seconds else None,
        "handshakes_per_s": _handshake_rate(seen),
        "back_ms": _back(seen),
    }


def _join_rate_seconds(seen: Measurement) -> float:
    """From the first click to the last participant being there: what a rate of complete joins is over."""
    done = [both_ways_ns(visit) for visit in seen.visits if both_ways_ns(visit)]
    clicks = [visit.moments.click_ns for visit in seen.visits]
    return (max(done) - min(clicks)) / 1e9 if done and max(done) > min(clicks) else 0.0


def _handshake_rate(seen: Measurement) -> float | None:
    """DTLS handshakes a second, from the first click to the last one that finished."""
    found = [
        at_ns
        for v in seen.visits
        for at_ns in (v.moments.publish_connected_ns, v.moments.receive_connected_ns)
        if at_ns
    ]
    begun = min((visit.moments.click_ns for visit in seen.visits), default=0)
    return len(found) / ((max(found) - begun) / 1e9) if found and max(found) > begun else None


def _back(seen: Measurement) -> dict[str, Any] | None:
    """After all left at once: how long until each was back, both ways; `missing` never were."""
    if not seen.returns_ns:
        return None
    waits, missing = [], 0
    edges = [*seen.returns_ns[1:], 1 << 63]
    for begin, end in zip(seen.returns_ns, edges, strict=True):
        for visit in seen.visits:
            if begin <= visit.moments.click_ns < end:
                there = both_ways_ns(visit)
                waits += [(there - begin) / 1e6] if there else []
                missing += not there
    return {**_spread(waits), "missing": missing}


# -------------------------------------------------------------------- who used what


def _server(seen: Measurement, media: Tally) -> dict[str, Any] | None:
    before, after, empty = seen.server_before, seen.server_after, seen.server_empty
    if before is None or after is None or empty is None:
        return None
    forwarded = media.received + media.duplicates
    people = seen.people_full
    grown = after.memory_bytes - empty.memory_bytes
    return {
        "cpu_ns": after.cpu_ns - before.cpu_ns,
        "cpu_share": (after.cpu_ns - before.cpu_ns) / max(1, seen.end.now_ns - seen.before.now_ns),
        "forwarded_packets": forwarded,
        "cpu_ns_per_packet": (after.cpu_ns - before.cpu_ns) / forwarded if forwarded else None,
        "memory_empty_bytes": empty.memory_bytes,
        "memory_before_bytes": before.memory_bytes,
        "memory_after_bytes": after.memory_bytes,
        "memory_per_participant_bytes": grown / people if people else None,
        "threads": after.threads,
    }


def _others(seen: Measurement, wall_s: float) -> float | None:
    """Processors that others on this machine kept busy meanwhile; None where the server's own part is not known."""
    if seen.server_before is None or seen.server_after is None or wall_s <= 0:
        return None
    own = seen.own_cpu_after_ns - seen.own_cpu_before_ns + seen.server_after.cpu_ns - seen.server_before.cpu_ns
    return max(0.0, (seen.machine_after_ns - seen.machine_before_ns - own) / (wall_s * 1e9))


def _generator(settings: RunSettings, seen: Measurement, wall_s: float) -> dict[str, Any]:
    before, after = seen.before, seen.end
    media = seen.after.media.since(before.media)
    cpu_ns = after.cpu_ns - before.cpu_ns
    messages, sent = after.send_messages - before.send_messages, after.tx_packets - before.tx_packets
    share = cpu_ns / (wall_s * 1e9) if wall_s > 0 else 0.0
    overflows = after.receive_overflows - before.receive_overflows
    behind_handshakes = after.handshake_overflows - before.handshake_overflows
    errors = after.send_errors - before.send_errors
    limits = []
    if share >= LIMIT_CPU_SHARE:
        limits.append(f"its thread was busy {share:.0%} of the time")
    if overflows:
        limits.append(f"it read too late: the kernel dropped {overflows} packets before it")
    if behind_handshakes:
        limits.append(f"{behind_handshakes} datagrams found no room behind handshakes")
    if errors:
        limits.append(f"the kernel did not take {errors} of its packets")
    if after.late_p99_us > LIMIT_LATE_US:
        limits.append(f"1 in 100 frames left more than {after.late_p99_us / 1e3:.1f} ms late")
    if seen.late_s > LIMIT_STEP_LATE_S:
        limits.append(f"a join began {seen.late_s:.1f} s late")
    if after.events_lost > before.events_lost:
        limits.append("events of the engine were lost")
    return {
        "cpu_ns": cpu_ns,
        "cpu_share": share,
        "cpu_ns_per_packet": cpu_ns / media.received if media.received else None,
        "control_cpu_ns": seen.own_cpu_after_ns - seen.own_cpu_before_ns - cpu_ns,
        "has_gso": settings.engine.has_gso,
        "has_gro": settings.engine.has_gro,
        "packets_per_message": sent / messages if messages else None,
        "published_packets": after.published_packets - before.published_packets,
        "published_bps": (after.published_bytes - before.published_bytes) * 8 / wall_s if wall_s > 0 else None,
        "tx_packets": sent,
        "rx_packets": after.rx_packets - before.rx_packets,
        "receive_overflows": overflows,
        "handshake_overflows": behind_handshakes,
        "send_errors": errors,
        "unknown_packets": after.unknown_packets - before.unknown_packets,
        "unstamped_packets": after.unstamped_packets - before.unstamped_packets,
        "rtcp_rx": after.rtcp_rx - before.rtcp_rx,
        "rtcp_tx": after.rtcp_tx - before.rtcp_tx,
        "buffer_bytes": after.buffer_bytes,
        "late_us": {"p50": after.late_p50_us, "p99": after.late_p99_us, "max": after.late_max_us},
        "step_late_s": seen.late_s,
        "limits": limits,
    }


# -------------------------------------------------------------------- over time


def _series(seen: Measurement) -> list[dict[str, Any]]:
    # Before the first second there was nothing.
    began = Sample(0.0, Totals(Tally(), Tally(), Tally()), Histogram(()), None, 0, 0, 0, 0)
    return [_second(before, now) for before, now in pairwise([began, *seen.samples])]


def _second(before: Sample, now: Sample) -> dict[str, Any]:
    media = now.totals.media.since(before.totals.media)
    wall_s = max(1e-6, now.at_s - before.at_s)

    def share(ns: int) -> float:
        return round(ns / (wall_s * 1e9), 4)

    own_ns = now.own_cpu_ns - before.own_cpu_ns - (now.totals.cpu_ns - before.totals.cpu_ns)
    has_server = now.server is not None and before.server is not None
    return {
        "t": round(now.at_s, 3),
        "people": now.people,
        "joins": now.joins - before.joins,
        "failed_joins": now.failed_joins - before.failed_joins,
        "sent": media.sent,
        "received": media.received,
        "lost": media.lost,
        "rate_bps": round(media.bytes * 8 / wall_s),
        "latency_p50_us": now.latency.value(0.5),
        "latency_p99_us": now.latency.value(0.99),
        "server_cpu": share(now.server.cpu_ns - before.server.cpu_ns) if now.server and before.server else None,
        "server_memory_bytes": now.server.memory_bytes if has_server and now.server else None,
        "generator_cpu": share(now.totals.cpu_ns - before.totals.cpu_ns) if before.at_s else None,
        "control_cpu": share(own_ns) if before.at_s else None,
    }


def _worst(seen: Measurement, most: int = 5) -> list[dict[str, Any]]:
    """The tracks that lost most, by room and participant, so that one bad path does not hide in a mean."""
    legs = sorted(seen.legs, key=lambda leg: -leg.tally.lost)[:most]
    return [
        {
            "room": person.room if (person := seen.who.get(leg.peer)) else None,
            "participant": person.name if person else None,
            "kind": leg.kind,
            "sent": leg.tally.sent,
            "lost": leg.tally.lost,
            "latency_max_us": leg.tally.latency_max_us,
        }
        for leg in legs
        if leg.tally.lost
    ]


def _warnings(seen: Measurement, report: dict[str, Any]) -> list[str]:
    found = []
    if report["unaccounted"]:
        found.append(
            f"the sum is off by {report['unaccounted']} packets: sent is not received + lost + in flight; "
            "do not trust this report"
        )
    if report["generator"]["limits"]:
        found.append("the generator was the limit, not the server: " + "; ".join(report["generator"]["limits"]))
    if (report["others_cpu"] or 0) > LIMIT_OTHERS:
        found.append(
            f"others on this machine kept {report['others_cpu']:.1f} processors busy meanwhile: figures of time are "
            "theirs as much as the server's"
        )
    if not report["sent"]:
        found.append("nothing was sent to anybody who could receive it")
    if report["joins"]["failed"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report["joins"]["failures"].items())
        found.append(f"{report['joins']['failed']} of {report['joins']['attempted']} joins failed: {reasons}")
    if "media_elsewhere" in report["joins"]["failures"]:
        found.append(
            "the server answers here and has its media on another machine: give --bind with an address of ours"
        )
    if report["media"]["corrupted"]:
        found.append(f"{report['media']['corrupted']} packets were authentic and yet not what was sent")
    if report["generator"]["unstamped_packets"]:
        found.append(
            f"{report['generator']['unstamped_packets']} media packets were not of this load: the server changes "
            "payloads, or others are in its rooms"
        )
    back = report["joins"]["back_ms"]
    if back and back["missing"]:
        found.append(f"{back['missing']} people were not back within {JOIN_TIMEOUT_S:g} s, or before the end")
    if seen.is_interrupted:
        found.append("ended early by hand")
    return found
