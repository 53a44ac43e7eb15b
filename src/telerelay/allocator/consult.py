"""
The relay's own allocator: voices, then faces, then what the task needs, then whatever is worth most for each bit.

Sans-I/O; keeps nothing between calls.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from telerelay.allocator.ladder import MAX_RUNGS, Ladder, Rung
from telerelay.allocator.quality import Step, steps, target
from telerelay.allocator.tracks import Track

AUDIO_PERCENT = 110
"""Voices and a tenth: comfort noise ends, somebody laughs, a packet is sent twice."""

LEAST_LINE_BPS = 150_000
"""Below it there is no picture: what is left beside two voices would be a slide show that delays them."""

DEAR_BPS = 300_000
"""A least layer that costs more (a shared screen in one piece) does not keep others on stage from a small one."""

FILL_LEAST_BPS, FILL_PERCENT = 500_000, 125
"""
Below a step of half a megabit the room is used for what comes later, up to four fifths of where the step ends: it would
lie empty otherwise. Smaller ones are not worth two switches.
"""

STAGE_WEIGHT = 2.0
"""An improvement on stage is worth twice what it is elsewhere."""


@dataclass(slots=True)
class _Candidate:
    """A track with its steps; `at` is the step it has, -1: paused."""

    track: Track
    steps: tuple[Step, ...]
    target: int
    at: int = -1
    weight: float = 1.0

    @property
    def cost_bps(self) -> int:
        return self.steps[self.at].cost_bps if self.at >= 0 else 0

    def best(self, most: int) -> tuple[float, int]:
        """(gain for each bit, step) of the step worth most for what it costs more, none above `most`; (0, -1): none."""
        has = self.steps[self.at].worth if self.at >= 0 else 0.0
        found = (0.0, -1)
        for at in range(self.at + 1, most + 1):
            gain = (self.steps[at].worth - has) * self.weight / max(1, self.steps[at].cost_bps - self.cost_bps)
            if gain > found[0]:
                found = (gain, at)
        return found


@dataclass(slots=True)
class _Builder:
    """The ladder as far as it is built."""

    candidates: list[_Candidate]
    audio_bps: int
    fills: bool
    rungs: list[Rung] = field(default_factory=list)

    @property
    def total_bps(self) -> int:
        return self.audio_bps + sum(each.cost_bps for each in self.candidates)

    def put(self, candidate: _Candidate, at: int, stated_bps: int = 0) -> None:
        """One rung: that candidate at that step, or paused."""
        candidate.at = at
        cost_bps = max(self.total_bps, stated_bps, LEAST_LINE_BPS)
        if at < 0:
            self.rungs.append(Rung(candidate.track.sender, cost_bps, is_paused=True))
            return
        layer = candidate.steps[at].layer
        self.rungs.append(Rung(candidate.track.sender, cost_bps, layer.encoding, layer.spatial, layer.temporal))

    def take(self, candidate: _Candidate, at: int) -> None:
        """The same, with what fits into the room below it, which is given back on the way."""
        after_bps = self.total_bps + candidate.steps[at].cost_bps - candidate.cost_bps
        before = [each.at for each in self.candidates]
        if self.fills and self.rungs and after_bps - self.total_bps >= FILL_LEAST_BPS:
            self._fill(candidate, after_bps * 100 // FILL_PERCENT)
        for other, was in zip(self.candidates, before, strict=True):
            if other.at != was:
                self.put(other, was, after_bps)
        self.put(candidate, at)

    def take_up_to(self, candidate: _Candidate, at: int) -> None:
        """With all that lies between: on the way down a picture loses frames before it loses size."""
        for step in range(candidate.at + 1, at + 1):
            self.take(candidate, step)

    def _fill(self, but: _Candidate, most_bps: int) -> None:
        while True:
            found: tuple[float, int, int] | None = None
            for number, each in enumerate(self.candidates):
                if each is but:
                    continue
                left_bps = most_bps - self.total_bps
                fits = [at for at in range(each.at + 1, len(each.steps)) if self._more(each, at) <= left_bps]
                gain, at = each.best(max(fits, default=-1))
                if at >= 0 and (found is None or gain > found[0]):
                    found = (gain, number, at)
            if found is None:
                return
            self.put(self.candidates[found[1]], found[2])

    @staticmethod
    def _more(candidate: _Candidate, at: int) -> int:
        return candidate.steps[at].cost_bps - candidate.cost_bps


class ConsultAllocator:
    """
    In this order, whatever the line: voices with their copies; the least layer of each picture on stage; what its task
    needs of it; the least layer of the others; then steps by what they are worth for each bit.
    """

    def allocate(self, tracks: Sequence[Track]) -> Ladder:
        """Raises nothing: a track without layers gets no rung."""
        ladder: tuple[Rung, ...] = ()
        # With many people: first without what is given back on the way, then without temporal layers in between.
        for fills, thins in ((True, False), (False, False), (False, True)):
            ladder = _build(tracks, fills=fills, thins=thins)
            if len(ladder) <= MAX_RUNGS:
                break
        return Ladder(ladder[:MAX_RUNGS])


def _build(tracks: Sequence[Track], *, fills: bool, thins: bool) -> tuple[Rung, ...]:
    audio_bps = sum(
        track.layers[0].cost_bps + track.redundancy_bps for track in tracks if track.kind == "audio" and track.layers
    )
    videos = sorted((each for each in tracks if each.kind == "video" and each.layers), key=lambda each: each.sender)
    builder = _Builder([_candidate(each, thins) for each in videos], audio_bps * AUDIO_PERCENT // 100, fills)
    if not builder.candidates:
        return ()
    pause = Rung(builder.candidates[0].track.sender, builder.audio_bps, is_paused=True)
    on_stage = [each for each in builder.candidates if each.track.is_on_stage]
    others = [each for each in builder.candidates if not each.track.is_on_stage]
    for candidate in _cheap_first(on_stage):
        builder.take(candidate, 0)
    for candidate, at in _by_gain(on_stage, to_target=True):
        builder.take_up_to(candidate, at)
    for candidate in _cheap_first(others):
        builder.take(candidate, 0)
    for candidate, at in _by_gain(builder.candidates, to_target=False):
        builder.take_up_to(candidate, at)
    return (pause, *builder.rungs)


def _candidate(track: Track, thins: bool) -> _Candidate:
    found = steps(track)
    if thins:
        tops = {(each.layer.encoding, each.layer.spatial): each.layer.temporal for each in found}
        found = tuple(each for each in found if each.layer.temporal == tops[(each.layer.encoding, each.layer.spatial)])
    weight = (1.0 + max(0, track.priority)) * (STAGE_WEIGHT if track.is_on_stage else 1.0)
    return _Candidate(track, found, target(track, found), weight=weight)


def _cheap_first(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """By priority, but what is dear after all that is not."""
    return sorted(
        candidates,
        key=lambda each: (each.steps[0].cost_bps > DEAR_BPS, -each.track.priority, each.steps[0].cost_bps),
    )


def _by_gain(candidates: Sequence[_Candidate], *, to_target: bool) -> Iterator[tuple[_Candidate, int]]:
    """Steps, the best for each bit first, up to each one's target or to the top; the caller takes each."""
    while True:
        best: tuple[float, _Candidate, int] | None = None
        for each in candidates:
            gain, at = each.best(each.target if to_target else len(each.steps) - 1)
            if at >= 0 and (best is None or gain > best[0]):
                best = (gain, each, at)
        if best is None:
            return
        yield best[1], best[2]
