"""
How good a layer is for a task, and which layers of a track are worth a rung.

Pure. Only the order of these numbers and their gain for each bit matter, never their size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from telerelay.allocator.tracks import Layer, Profile, Track


class Taste(NamedTuple):
    """
    A picture's worth is sharpness^a x smoothness^b, each going from 0 to 1.

    It is half sharp at `half_height` pixels. The target is what the task needs: at least so high, so often a second.
    """

    half_height: int
    sharpness: float
    smoothness: float
    target_height: int
    target_rate: float


HALF_RATE = 10.0
"""At ten frames a second movement is half as smooth as it can be: lips still go with the voice."""

TASTES = {
    # A face is recognized at 180 lines; more than 360 adds little.
    Profile.TALK: Taste(180, 1.0, 1.0, 180, 15),
    # 24 frames a second are the least that shows a tremor of 12 Hz.
    Profile.MOTION: Taste(180, 0.5, 2.0, 360, 24),
    # Skin and documents are read from 720 lines on; five frames a second follow a pointing finger.
    Profile.DETAIL: Taste(720, 2.0, 0.5, 720, 5),
}

NOMINAL_HEIGHT, NOMINAL_RATE = 180, 30.0
"""Of the lowest layer, each further one twice as high, and of the uppermost temporal one: what browsers send."""


class Step(NamedTuple):
    """A layer that is worth having, its cost and what it is worth."""

    layer: Layer
    cost_bps: int
    worth: float


def steps(track: Track) -> tuple[Step, ...]:
    """The layers of a track that are worth more than any cheaper one, cheapest first; at least one where it has any."""
    taste = TASTES[track.task]
    sizes = _heights(track.layers)
    most_height = min(
        (each for each in sizes.values() if each >= track.shown_height > 0), default=max(sizes.values(), default=0)
    )
    fills = {each for each in track.layers if sizes[_level(each)] <= most_height}
    # What is larger than it is shown costs nothing that could be saved where it is the cheapest there is.
    least_bps = min((each.cost_bps for each in fills), default=0)
    rated = [
        Step(layer, layer.cost_bps, _worth(taste, sizes[_level(layer)], _frame_rate(layer, track.layers)))
        for layer in track.layers
        if layer in fills or layer.cost_bps <= least_bps
    ]
    found: list[Step] = []
    for each in sorted(rated, key=lambda step: (step.cost_bps, -step.worth, _key(step.layer))):
        if not found or each.worth > found[-1].worth:
            found.append(each)
    return tuple(found)


def target(track: Track, found: Sequence[Step]) -> int:
    """Which of its steps is the first that does for the task; the last one where none does."""
    taste = TASTES[track.task]
    sizes = _heights(track.layers)
    for at, step in enumerate(found):
        height, rate = sizes[_level(step.layer)], _frame_rate(step.layer, track.layers)
        wanted = min(taste.target_height, track.shown_height or taste.target_height)
        if height >= wanted and rate >= taste.target_rate:
            return at
    return len(found) - 1


def _worth(taste: Taste, height: int, rate: float) -> float:
    sharp, smooth = height / (height + taste.half_height), rate / (rate + HALF_RATE)
    return float(sharp**taste.sharpness * smooth**taste.smoothness)


def _level(layer: Layer) -> tuple[int, int]:
    return layer.encoding, layer.spatial


def _key(layer: Layer) -> tuple[int, int, int]:
    return layer.encoding, layer.spatial, layer.temporal


def _heights(layers: Sequence[Layer]) -> dict[tuple[int, int], int]:
    """Of each encoding and spatial layer: as told, or by its rank."""
    told = {_level(layer): layer.height for layer in layers}
    return {level: told[level] or NOMINAL_HEIGHT << min(rank, 4) for rank, level in enumerate(sorted(told))}


def _frame_rate(layer: Layer, layers: Sequence[Layer]) -> float:
    """As told, or half of the one above it."""
    if layer.frame_rate:
        return layer.frame_rate
    top = max(other.temporal for other in layers if _level(other) == _level(layer))
    return NOMINAL_RATE / (1 << min(top - layer.temporal, 8))
