"""
The relay's own allocator in a consult: tracks become a ladder once, and the compiled ladder climbs it by the estimate.

Sans-I/O. What a host would say of a consult is here: both cameras are on stage and must move, the image is read.
"""

from collections.abc import Sequence
from dataclasses import replace

from telerelay.adaptation.room import FLOOR_BPS, FULL_BPS
from telerelay.allocator import ConsultAllocator, Layer, Profile, Purpose, Rung, Track, following
from telerelay.dataplane.ladder import Climber
from telerelay.sim.choices import NONE, Choice, cost_bps
from telerelay.sim.clock import SECOND_US
from telerelay.sim.simulcast import TEMPORAL_SHARES, TrackPlan
from telerelay.sim.steady import AUDIO_BYTES, AUDIO_FRAME_US

VOICE = 1_000
"""The sender of the first voice; tracks have their own numbers."""

LOWEST_HEIGHT, FRAME_RATE = 180, 30.0
"""Of the lowest layer, twice as high each; at the uppermost temporal one, half at each below."""

IMAGE_HEIGHT, IMAGE_RATE = 1_080, 5.0


class Laddered:
    """The `telerelay` allocator. `voices` of them come first."""

    def __init__(self, plans: Sequence[TrackPlan], voices: int = 2) -> None:
        self._choices = [NONE] * len(plans)
        self._climber = Climber()
        tracks = [_voice(each) for each in range(voices)] + [_track(at, plan) for at, plan in enumerate(plans)]
        rungs = ConsultAllocator().allocate(tracks).rungs
        wish_bps = sum(plan.is_following for plan in plans) * (FULL_BPS - FLOOR_BPS)
        if wish_bps:
            # Changes nothing for anyone, but is looked for; see RoomAdaptation.
            rungs = (*rungs, replace(rungs[-1], cost_bps=rungs[-1].cost_bps + wish_bps))
        self._take(self._climber.set(rungs, 0))

    def wanted_bps(self) -> int:
        """What the next step needs, voices included."""
        return self._climber.wanted_bps

    def allocate(
        self, now_us: int, estimate_bps: int, loss: float, ahead_bps: Sequence[int], queue_us: int = 0
    ) -> list[Choice]:
        """One tick: all of it is the ladder's."""
        self._take(self._climber.on_estimate(estimate_bps, queue_us, now_us))
        return list(self._choices)

    def _take(self, changes: Sequence[Rung]) -> None:
        for each in changes:
            self._choices[each.sender] = NONE if each.is_paused else Choice(each.encoding, each.temporal)


def _voice(number: int) -> Track:
    layer = Layer(0, 0, 0, rate_bps=AUDIO_BYTES * 8 * SECOND_US // AUDIO_FRAME_US)
    return Track(VOICE + number, "audio", (layer,))


def _track(at: int, plan: TrackPlan) -> Track:
    if plan.is_slides:
        layer = Layer(
            0, 0, 2, rate_bps=0, target_bps=cost_bps(plan, Choice(0)), height=IMAGE_HEIGHT, frame_rate=IMAGE_RATE
        )
        return Track(at, "video", (layer,), purpose=Purpose.DOCUMENT)
    if plan.is_following:
        whole = Layer(
            0, 0, 2, rate_bps=0, target_bps=cost_bps(plan, Choice(0)), height=LOWEST_HEIGHT << 1, frame_rate=FRAME_RATE
        )
        return Track(at, "video", (following(whole, FLOOR_BPS),), is_on_stage=True)
    layers = tuple(
        Layer(
            spatial,
            0,
            temporal,
            rate_bps=0,
            target_bps=cost_bps(plan, Choice(spatial, temporal)),
            height=LOWEST_HEIGHT << spatial,
            frame_rate=FRAME_RATE / (1 << (len(TEMPORAL_SHARES) - 1 - temporal)),
        )
        for spatial in range(len(plan.layers_kbps))
        for temporal in range(len(TEMPORAL_SHARES))
    )
    # Whom the doctor examines must move well; beside that person everybody has a face first.
    profile = Profile.MOTION if plan.priority > 1 else Profile.TALK
    return Track(at, "video", layers, profile=profile, priority=plan.priority, is_on_stage=True)
