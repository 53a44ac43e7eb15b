"""
What a consult came to: layers against an oracle, switches, freezes, what was lost of voices.

Pure: reads a world that has run. docs/simulator.md defines each figure.
"""

import itertools
from typing import Any

import numpy as np

from telerelay.sim import voice_figures
from telerelay.sim.clock import SECOND_US
from telerelay.sim.consult import ConsultWorld
from telerelay.sim.feedback import BIN_US, binned
from telerelay.sim.figures import Figures
from telerelay.sim.track import freezes

GRACE_US = SECOND_US
"""A layer may be the oracle's of any moment of the last second."""

STABLE_US = 5 * SECOND_US
"""The top layer is reached when it is kept for so long."""

QUICK_US = 4 * SECOND_US
"""Nobody wants to see two switches within that time, unless the line falls and falls."""

OUTAGE_BPS, AFTER_OUTAGE_US = 64_000, SECOND_US
"""While the line carries less than a voice, and a second after, freezes and lost voices are not held against anyone."""


def figures(world: ConsultWorld) -> Figures:
    """Every figure of one run."""
    case, stop_us = world.case, round(world.case.duration_s * SECOND_US)
    down = _outages(world)
    queues = np.frombuffer(world.receiver.queue_us, dtype=np.int64) / 1_000
    cameras = range(_moving(world))
    paused = [_paused(world, at, stop_us) for at in cameras]
    frozen_us = sum(
        length
        for at in cameras
        for start, length in freezes(world.tracks[at].shown_us)
        if not _overlaps(start, start + length, down + paused[at])
    )
    paused_us = sum(high - low for each in paused for low, high in each)
    watched_us = sum(stop_us - _covered_us(down + each, stop_us) for each in paused)
    switches = sum(len([each for each in forward.switches if each[0] > GRACE_US]) for forward in world.forwards)
    sent = max(1, world.sender.sent_bytes)
    return {
        "rate_kbps": world.receiver.total_bytes * 8 / case.duration_s / 1_000,
        "queue_p95_ms": float(np.percentile(queues, 95)) if len(queues) else None,
        "queue_p99_ms": float(np.percentile(queues, 99)) if len(queues) else None,
        "own_loss": world.link.dropped_packets / max(1, world.link.taken_packets),
        "top_s": top_s(world, stop_us) if "join" in case.tags else None,
        "first_s": _first_s(world, stop_us) if "join" in case.tags else None,
        # A picture that follows its line has no layers to choose from.
        "wrong_layer": None if any(plan.is_following for plan in case.tracks) else _wrong(world),
        **squeezed(world, stop_us),
        "switches_per_min": switches / len(world.forwards) / case.duration_s * 60,
        "quick_switches": float(sum(quick_switches(forward.switches) for forward in world.forwards)),
        "paused": paused_us / (len(cameras) * stop_us),
        "freeze_s_per_10_min": frozen_us / watched_us * 600 if watched_us else 0.0,
        **voice_figures.figures(world.voices, stop_us - 2 * SECOND_US, down, GRACE_US),
        "key_requests": float(sum(publisher.key_requests for publisher in world.publishers)),
        "padding_share": world.sender.pacer.padding_bytes / sent,
        "feedback_share": world.receiver.feedback_bytes / max(1, world.receiver.total_bytes),
    }


def series(world: ConsultWorld) -> dict[str, Any]:
    """For plots, a second each: as figures.series, and the layers."""
    stop_us = round(world.case.duration_s * SECOND_US)
    step = SECOND_US // BIN_US
    count = stop_us // SECOND_US

    def thinned(values: list[int] | list[float], *, peak: bool = False) -> list[int]:
        chunks = [values[at * step : (at + 1) * step] for at in range(count)]
        return [round(max(each) if peak else sum(each) / len(each)) if each else 0 for each in chunks]

    rates = binned(world.receiver.received_us, world.receiver.received_bytes, stop_us)
    capacity = [world.link.capacity.bits(at * SECOND_US, (at + 1) * SECOND_US) // 1_000 for at in range(count)]
    return {
        "seconds": [float(at + 1) for at in range(count)],
        "capacity_kbps": capacity,
        "rates_kbps": [[value // 1_000 for value in thinned(rates)]],
        "targets_kbps": [[value // 1_000 for value in thinned(list(world.sender.target_bps))]],
        "tcp_kbps": None,
        "queue_ms": [value // 1_000 for value in thinned(world.waiting_us, peak=True)],
        "layers": [
            (plan.name, [each + 1 for each in _each_second(has)], [each + 1 for each in _each_second(truth)])
            for plan, has, truth in zip(world.case.tracks, world.layers, world.oracle_layers, strict=True)
        ]
        if count
        else [],
    }


def _each_second(values: list[int]) -> list[int]:
    step = SECOND_US // BIN_US
    found = values[step - 1 :: step]
    return found + [found[-1] if found else -1] * (len(values) // step + 1 - len(found) if len(values) % step else 0)


def quick_switches(switches: list[tuple[int, int]]) -> int:
    """How often a track was switched twice within QUICK_US; twice down does not count, the beginning neither."""
    found = 0
    moves = [(-GRACE_US, -1), *switches]
    ways = [(when, after > before) for (_, before), (when, after) in itertools.pairwise(moves)]
    for (before_us, was_up), (now_us, is_up) in itertools.pairwise(ways):
        if now_us - before_us < QUICK_US and before_us > GRACE_US and (was_up or is_up):
            found += 1
    return found


def _moving(world: ConsultWorld) -> int:
    """How many tracks are cameras: they come first, and only they can freeze."""
    return sum(not plan.is_slides for plan in world.case.tracks)


def _overlaps(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    return any(low < end and start < high for low, high in spans)


def _covered_us(spans: list[tuple[int, int]], stop_us: int) -> int:
    """How long at least one of them lasts, before the end."""
    total = until = 0
    for low, high in sorted(spans):
        total += max(0, min(high, stop_us) - max(low, until))
        until = max(until, high)
    return total


def _paused(world: ConsultWorld, at: int, stop_us: int) -> list[tuple[int, int]]:
    """When a track was not forwarded, by choice."""
    moves = [(0, -1), *world.forwards[at].switches, (stop_us, 0)]
    return [(when, after) for (when, layer), (after, _) in itertools.pairwise(moves) if layer < 0 and after > when]


def _outages(world: ConsultWorld) -> list[tuple[int, int]]:
    steps = [*world.link.capacity.steps, (round(world.case.duration_s * SECOND_US), 0)]
    return [
        (start, end + AFTER_OUTAGE_US) for (start, rate), (end, _) in itertools.pairwise(steps) if rate < OUTAGE_BPS
    ]


def _wrong(world: ConsultWorld) -> float:
    """Share of time in which a layer is not the oracle's; a layer that is too high counts twice. Mean over tracks."""
    grace = GRACE_US // BIN_US
    wrong = total = 0
    for has, truth in zip(world.layers, world.oracle_layers, strict=True):
        for at in range(grace, len(has)):
            allowed = truth[at - grace : at + 1]
            total += 1
            if has[at] not in allowed:
                wrong += 2 if has[at] > max(allowed) else 1
    return wrong / max(1, total)


def top_s(world: ConsultWorld, stop_us: int) -> float:
    """From the join until the first track has its top layer for good."""
    top = len(world.case.tracks[0].layers_kbps) - 1
    moves = [*world.forwards[0].switches, (stop_us, -1)]
    for (when, layer), (until, _) in itertools.pairwise(moves):
        if layer == top and until - when >= STABLE_US:
            return (when - world.join_us) / SECOND_US
    return (stop_us - world.join_us) / SECOND_US


def squeezed(world: ConsultWorld, stop_us: int) -> Figures:
    """Of a line that is cut once and comes back: from the cut to the pause, from its return to the picture's."""
    if "squeeze" not in world.case.tags:
        return {"pause_s": None, "back_s": None}
    (cut_us, _), (back_us, _) = world.link.capacity.steps[1:3]
    paused = [(max(low, cut_us), high) for low, high in _paused(world, 0, stop_us) if high > cut_us and low < back_us]
    # One that was never paused has stood in the way of the voice all the time; one that never ends lasts to the end.
    first_us = paused[0][0] if paused else back_us
    until_us = max((high for _, high in _paused(world, 0, stop_us) if high > back_us), default=back_us)
    return {"pause_s": (first_us - cut_us) / SECOND_US, "back_s": (until_us - back_us) / SECOND_US}


def _first_s(world: ConsultWorld, stop_us: int) -> float:
    """From the join until the first picture of the first track is shown, less a round trip of the doctor's line."""
    shown_us = min(world.tracks[0].shown_us, default=stop_us)
    return (shown_us - world.join_us - 2 * world.link.delay_us) / SECOND_US
