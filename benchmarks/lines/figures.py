"""
From what a run's clients counted to its figures, to medians of runs, and to what was asked of the case. Pure.

`down` is towards the browser on the bad line, `up` is from it. Times are seconds.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from lines.cases import CASES, Case
from lines.recording import ONE_HEIGHT, TOP_HEIGHT, Recording, Sample, Watched

# What a rate or a frame rate is taken over.
WINDOW_S = 1.0
# Two samples and a little: a picture at five frames a second does not stand still.
STILL_S = 0.6
# The line itself must have been on time, and no client short of processor: else a run is void.
MOST_LATE_P99_MS, MOST_LATE_MS = 5.0, 250.0
# What a thread waits for a processor each time it has something to do comes on top of what its line does. The shortest
# line takes 25 ms one way; browsers look at their clocks in steps of 1 to 10 ms.
MOST_WAIT_MS = 2.0
# The fake camera gives 30 frames a second, wrtc's as well; a machine that is short of time lets some fall.
LEAST_CAMERA_FPS = 25.0
# Samples come four times a second, later where somebody is busy; a gap like this means that they did not run at all.
MOST_GAP_S = 3.0

# Both must be told; on a line that is full of what was sent before, a word takes its time.
NEVER_S = 30.0

LIMITS: dict[str, dict[str, tuple[str, float]]] = {
    "squeeze": {
        "paused_after_s": ("<=", 3.0),
        "told_after_s": ("<=", NEVER_S),
        "told_other_after_s": ("<=", NEVER_S),
        "concealed_down_pct": ("<=", 2.0),
        "back_after_s": ("<=", 12.0),
        "switches_per_min": ("<=", 2.0),
    },
    "join": {"full_after_s": ("<=", 3.0)},
    "apart": {"others_top_pct": (">=", 99.0), "others_switches": ("<=", 0.0)},
    "good": {
        "top_after_s": ("<=", 3.0),
        "frozen_s_per_min": ("<=", 0.5),
        "paused_s_per_min": ("<=", 0.0),
        "switches_after_top": ("<=", 0.0),
    },
}
"""What is asked of a case, by kind; of the others nothing is asked but that they are told."""

JOIN_SHARE = 0.9

Figures = dict[str, float | None]


def _rows(sample: Sample, kind: str, media: str) -> list[dict[str, Any]]:
    return [row for row in sample[1] if row["type"] == kind and row.get("kind") == media]


def series(watched: Watched, kind: str, media: str) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Statistics of each stream over time, by its id."""
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for sample in watched.samples:
        for row in _rows(sample, kind, media):
            found.setdefault(str(row["id"]), []).append((sample[0], row))
    return found


def grown(rows: Sequence[tuple[float, dict[str, Any]]], member: str, since: float, until: float) -> float:
    """How much a counter grew between two times; what came before the first sample counts from nothing."""
    before = [row.get(member, 0) for at, row in rows if at <= since]
    within = [row.get(member, 0) for at, row in rows if at <= until]
    return float(within[-1]) - float(before[-1] if before else 0) if within else 0.0


def rates(rows: Sequence[tuple[float, dict[str, Any]]], member: str) -> Iterator[tuple[float, float]]:
    """A counter's growth per second over WINDOW_S, at the end of each window."""
    start = 0
    for index, (at, row) in enumerate(rows):
        while at - rows[start][0] > WINDOW_S and start < index - 1:
            start += 1
        began, first = rows[start]
        if at > began:
            yield at, (float(row.get(member, 0)) - float(first.get(member, 0))) / (at - began)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def concealed_pct(watched: Watched, since: float, until: float) -> float | None:
    """Of the sound that was played, what was made up for what did not come; of several streams the worst."""
    shares = []
    for rows in series(watched, "inbound-rtp", "audio").values():
        played = grown(rows, "totalSamplesReceived", since, until)
        made_up = grown(rows, "concealedSamples", since, until) - grown(rows, "silentConcealedSamples", since, until)
        if played > 0:
            shares.append(100 * made_up / played)
    return max(shares, default=None)


def heights(rows: Sequence[tuple[float, dict[str, Any]]], since: float, until: float) -> list[int]:
    """The picture's height at each sample."""
    return [int(row.get("frameHeight", 0)) for at, row in rows if since <= at <= until]


def changes(values: Sequence[int]) -> int:
    """How often it is another, from its first picture on."""
    seen = [each for each in values if each]
    return sum(a != b for a, b in itertools.pairwise(seen))


def resized(watched: Watched, rows: Sequence[tuple[float, dict[str, Any]]], since: float, until: float) -> int:
    """
    How often a picture became another size before somebody's eyes: one that comes back from a pause as another has come
    back, once.
    """
    held = pauses_of(watched, since, until)
    count, frames, shown = 0, None, None
    for at, row in rows:
        decoded, height = row.get("framesDecoded", 0), int(row.get("frameHeight", 0))
        if since <= at <= until and height and decoded != frames:
            is_back = shown is not None and any(shown[0] < end <= at for _, end in held)
            if shown is not None and shown[1] != height and not is_back:
                count += 1
            shown = (at, height)
        frames = decoded
    return count


def _signs(watched: Watched, kind: str, since: float, until: float) -> list[tuple[float, dict[str, Any]]]:
    return [(at, sign) for at, sign in watched.signs if sign["type"] == kind and since <= at <= until]


def stopped_at(rows: Sequence[tuple[float, dict[str, Any]]], since: float, until: float) -> float | None:
    """When the last frame came before at least two seconds without any; None: it never stopped."""
    last, frames = since, None
    for at, row in rows:
        if not since <= at <= until:
            continue
        if frames is not None and row.get("framesDecoded", 0) == frames and at - last >= 2.0:
            return last
        if row.get("framesDecoded", 0) != frames:
            last, frames = at, row.get("framesDecoded", 0)
    return None


def pauses_of(watched: Watched, since: float, until: float) -> list[tuple[float, float]]:
    """When a picture was held back and the browser had been told so, of any publication."""
    begun: dict[str, float] = {}
    found = []
    for at, sign in watched.signs:
        if sign["type"] == "track_state" and sign["state"] == "paused":
            begun.setdefault(sign["publication"], at)
        elif sign["type"] == "track_state" and sign["publication"] in begun:
            found.append((begun.pop(sign["publication"]), at))
    found += [(at, until) for at in begun.values()]
    return [(max(a, since), min(b, until)) for a, b in found if b > since and a < until]


def frozen_s(watched: Watched, rows: Sequence[tuple[float, dict[str, Any]]], since: float, until: float) -> float:
    """Seconds without a new frame for more than STILL_S, while nobody was told that the picture is held back."""
    held = pauses_of(watched, since, until)
    last, frames, total = since, None, 0.0
    for at, row in rows:
        if row.get("framesDecoded", 0) != frames:
            if frames is not None and since < at <= until and at - last > STILL_S:
                total += _without(max(last, since), at, held)
            last, frames = at, row.get("framesDecoded", 0)
    if until - last > STILL_S:
        total += _without(max(last, since), until, held)
    return total


def _without(a: float, b: float, held: Sequence[tuple[float, float]]) -> float:
    return max(0.0, b - a - sum(max(0.0, min(b, until) - max(a, since)) for since, until in held))


def flows_from(rows: Sequence[tuple[float, dict[str, Any]]], since: float) -> float | None:
    """When a picture came again, and went on: five frames at least in each of the two seconds from then."""
    counts = [(at, row.get("framesDecoded", 0)) for at, row in rows if at >= since]

    def at_most(until: float) -> float:
        return max(frames for at, frames in counts if at <= until)

    for (_, before), (at, frames) in itertools.pairwise(counts):
        if frames > before and counts[-1][0] >= at + 2.0:
            middle = at_most(at + WINDOW_S)
            if middle - before >= 5 and at_most(at + 2 * WINDOW_S) - middle >= 5:
                return at
    return None


def _link_figures(run: Recording, since: float, until: float) -> Figures:
    found: Figures = {}
    rows = [each for each in run.link if since <= each["at"] <= until]
    for name, key in (("down", "a_to_b"), ("up", "b_to_a")):
        # At a rate of nothing a queue has no length in time: outages are not counted.
        waits_ms = sorted(
            8000 * each[key]["queued_bytes"] / each[key]["rate_bps"] for each in rows if each[key]["rate_bps"] > 1
        )
        found[f"queue_{name}_p95_ms"] = waits_ms[int(0.95 * (len(waits_ms) - 1))] if waits_ms else None
        if len(rows) > 1:
            first, last = rows[0][key], rows[-1][key]
            entered = last.get("in", 0) - first.get("in", 0)
            dropped = last.get("queue_drop", 0) - first.get("queue_drop", 0)
            found[f"dropped_{name}_pct"] = 100 * dropped / entered if entered else 0.0
            sent = 8 * (last.get("out_bytes", 0) - first.get("out_bytes", 0))
            found[f"carried_{name}_kbps"] = sent / (rows[-1]["at"] - rows[0]["at"]) / 1000
    return found


def full_after(run: Recording, rate_bps: float, share: float = JOIN_SHARE) -> float | None:
    """How long after the join the line carried that share of its rate, over half a second."""
    rows = [each for each in run.link if each["at"] >= run.joined_at]
    for index, row in enumerate(rows):
        start = next((each for each in rows[:index] if row["at"] - each["at"] <= 0.55), None)
        if start is None or row["at"] - start["at"] < 0.4:
            continue
        bits = 8 * (row["a_to_b"].get("out_bytes", 0) - start["a_to_b"].get("out_bytes", 0))
        if bits / (row["at"] - start["at"]) >= share * rate_bps:
            return float(row["at"] - run.joined_at)
    return None


def squeeze_figures(run: Recording, cut: float, back: float) -> Figures:
    """
    What happened when the line was cut at `cut`, and whole again at `back`. The relay pauses a picture when it tells
    whoever hears of it first.
    """
    videos = list(series(run.browser, "inbound-rtp", "video").values())
    paused = [at for at, sign in _signs(run.browser, "track_state", cut, back) if sign["state"] == "paused"]
    told = [
        at
        for peer in run.peers.values()
        for at, sign in _signs(peer, "seen_by", cut, back)
        if sign["state"] == "paused"
    ]
    stopped = [at for at in (stopped_at(rows, cut, back) for rows in videos) if at is not None]
    again = [flows_from(rows, back) for rows in videos]
    said = [at for at, words in run.browser.words if cut <= at <= back + 60 and "too weak for a picture" in words]
    came_back = [each for each in again if each is not None]
    return {
        "paused_after_s": min([*paused, *told]) - cut if paused or told else None,
        "told_after_s": min(paused) - cut if paused else None,
        "told_other_after_s": min(told) - cut if told else None,
        "said_after_s": min(said) - cut if said else None,
        "stopped_after_s": min(stopped) - cut if stopped else None,
        "back_after_s": max(came_back) - back if came_back and len(came_back) == len(again) else None,
        "concealed_cut_down_pct": concealed_pct(run.browser, cut, back),
    }


def _good_figures(run: Recording, case: Case, until: float) -> Figures:
    """When the browser had the largest picture of everybody, and how often one was another after that."""
    top = TOP_HEIGHT if case.is_simulcast else ONE_HEIGHT
    videos = list(series(run.browser, "inbound-rtp", "video").values())
    first = [next((at for at, row in rows if int(row.get("frameHeight", 0)) == top), None) for rows in videos]
    reached = [at for at in first if at is not None]
    if not reached or len(reached) < len(first):
        return {"top_after_s": None, "switches_after_top": None}
    after = [changes(heights(rows, max(reached), until)) for rows in videos]
    return {"top_after_s": max(reached) - run.joined_at, "switches_after_top": float(sum(after))}


def _others_figures(run: Recording, since: float, until: float) -> Figures:
    """Whether people with good lines got the largest picture of each other all the time."""
    tops: list[int] = []
    switched = 0
    fps: list[float] = []
    for name, peer in run.peers.items():
        for track, rows in series(peer, "inbound-rtp", "video").items():
            if peer.tracks.get(track) not in run.peers or peer.tracks.get(track) == name:
                continue
            seen = heights(rows, since, until)
            tops += [100 * (each == TOP_HEIGHT) for each in seen]
            switched += changes(seen)
            fps.append(grown(rows, "framesDecoded", since, until) / (until - since))
    return {
        "others_top_pct": _mean(tops),
        "others_switches": float(switched) if tops else None,
        "others_fps": _mean(fps),
    }


def figures(run: Recording) -> Figures:
    """All of one run."""
    case = CASES[run.case]
    since, until = run.began_at, run.ended_at
    minutes = (until - since) / 60
    videos = list(series(run.browser, "inbound-rtp", "video").values())
    found: Figures = {"setup_s": run.began_at - run.joined_at if run.is_seen else None}
    found["fps_down"] = _mean([grown(rows, "framesDecoded", since, until) / (until - since) for rows in videos])
    found["height_down"] = _mean([each for rows in videos for each in heights(rows, since, until) if each])
    # Browsers count a freeze once it is over; one that never ends is none to them.
    frozen = [frozen_s(run.browser, rows, since, until) for rows in videos]
    found["frozen_s_per_min"] = max(frozen, default=until - since) / minutes
    found["paused_s_per_min"] = sum(b - a for a, b in pauses_of(run.browser, since, until)) / minutes
    found["concealed_down_pct"] = concealed_pct(run.browser, since, until)
    states = _signs(run.browser, "track_state", since, until)
    pauses = [sum(sign["publication"] == each for _, sign in states) for each in {s["publication"] for _, s in states}]
    sizes = [resized(run.browser, rows, since, until) for rows in videos]
    found["switches_per_min"] = (max(pauses, default=0) + max(sizes, default=0)) / minutes
    own = [
        rows
        for peer in run.peers.values()
        for track, rows in series(peer, "inbound-rtp", "video").items()
        if peer.tracks.get(track) not in run.peers
    ]
    found["fps_up"] = _mean([grown(rows, "framesDecoded", since, until) / (until - since) for rows in own])
    heard = [each for each in (concealed_pct(peer, since, until) for peer in run.peers.values()) if each is not None]
    found["concealed_up_pct"] = max(heard, default=None)
    found |= _link_figures(run, since, until)
    if case.kind == "join":
        found["full_after_s"] = full_after(run, case.schedule.first.down.rate_bps)
    if case.kind == "good":
        found |= _good_figures(run, case, until)
    if case.kind in ("squeeze", "apart"):
        found |= squeeze_figures(run, *(run.began_at + each.at_s for each in case.schedule.steps[1:3]))
    if case.others > 1:
        found |= _others_figures(run, since, until)
    return found


def camera_fps(watched: Watched, since: float, until: float) -> float | None:
    """Frames a second that a client's camera gave its encoder, over the whole run."""
    found = [
        grown(rows, "frames", since, until) / (until - since)
        for rows in series(watched, "media-source", "video").values()
        if any("frames" in row for _, row in rows)
    ]
    return min(found, default=None)


def void_reasons(run: Recording) -> list[str]:
    """Why a run says nothing: the line was late, or a client was short of processor."""
    found = []
    late, most = (run.link_report.get(key) for key in ("late_ms_p99", "late_ms_most"))
    if late is None or late > MOST_LATE_P99_MS or most > MOST_LATE_MS:
        found.append(f"the line was late: p99 {late} ms, at most {most} ms")
    for name, (_ran_s, waited_s, turns) in run.processor.items():
        wait_ms = 1e3 * waited_s / max(1, turns)
        if wait_ms > MOST_WAIT_MS:
            found.append(f"{name} waited {wait_ms:.1f} ms for each turn of a processor")
    clients = {"the browser": run.browser} | {f"peer {n}": peer for n, peer in enumerate(run.peers.values())}
    for name, watched in clients.items():
        fps = camera_fps(watched, run.began_at, run.ended_at)
        if fps is not None and fps < LEAST_CAMERA_FPS:
            found.append(f"{name}'s camera gave {fps:.1f} frames/s")
        times = [at for at, _ in watched.samples if run.joined_at <= at <= run.ended_at]
        gap_s = max((b - a for a, b in itertools.pairwise(times)), default=float("inf"))
        if gap_s > MOST_GAP_S:
            found.append(f"{name} did not run for {gap_s:.1f} s")
        rows = [row for _, entries in watched.samples for row in entries if row["type"] == "outbound-rtp"]
        busy = sum(row.get("qualityLimitationReason") == "cpu" for row in rows)
        if busy > 0.05 * max(1, sum(row.get("kind") == "video" for row in rows)):
            found.append(f"{name}'s encoder was short of processor")
    return found


def median(runs: Sequence[Figures]) -> Figures:
    """Of each figure over the runs; None, what never happened, is worse than any number, and so is its median."""
    found: Figures = {}
    for name in runs[0] if runs else ():
        values = sorted(float("inf") if run.get(name) is None else float(run[name] or 0) for run in runs)
        middle = statistics.median(values)
        found[name] = None if middle == float("inf") else middle
    return found


def failures(case: Case, found: Figures) -> list[str]:
    """What the case asks for and did not get."""
    missed = []
    for name, (sign, limit) in LIMITS.get(case.kind, {}).items():
        value = found.get(name)
        is_met = value is not None and (value <= limit if sign == "<=" else value >= limit)
        if not is_met:
            missed.append(f"{name} {'never' if value is None else round(value, 2)} ({sign} {limit:g})")
    return missed
