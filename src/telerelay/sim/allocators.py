"""
Who gets which layer of what there is: the policies of others, and one that knows the line.

Pure. Each is written from what is published of a server's behaviour, and is that server's in the essentials only:
docs/simulator.md lists what is left out.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from telerelay.errors import ConfigError
from telerelay.sim.choices import NONE, Choice, best, cost_bps
from telerelay.sim.clock import MS_US, SECOND_US
from telerelay.sim.laddered import Laddered
from telerelay.sim.simulcast import TEMPORAL_SHARES, TrackPlan


class Allocator(Protocol):
    """Asked every 100 ms; answers with a choice for each track, in their order."""

    def allocate(
        self, now_us: int, estimate_bps: int, loss: float, ahead_bps: Sequence[int], queue_us: int = 0
    ) -> list[Choice]:
        """
        `loss` is the share lost of late; `ahead_bps` is the truth: what the line carries in each second to come;
        `queue_us` is the standing queue on the line, where the controller knows it.
        """

    def wanted_bps(self) -> int:
        """What it could use, for the controller to probe for."""


class LiveKit:
    """
    LiveKit-like: everything at its best until the line is too small, then layer by layer over all tracks.

    Stable: every track has its best layer, and the estimate is looked at only for being too small. Deficient: the
    estimate is handed out spatial layer by spatial layer, temporal within, shared screens first; then every 100 ms the
    track that is farthest from its best gets a step where there is room. Audio is not counted.
    """

    USAGE = 0.95
    TICK_US = 100 * MS_US

    def __init__(self, plans: Sequence[TrackPlan]) -> None:
        self._plans = plans
        self._order = sorted(range(len(plans)), key=lambda at: -plans[at].priority)
        self._choices = [best(plan) for plan in plans]
        self._is_deficient = False

    def wanted_bps(self) -> int:
        """Everything at its best."""
        return sum(cost_bps(plan, best(plan)) for plan in self._plans)

    def allocate(
        self, now_us: int, estimate_bps: int, loss: float, ahead_bps: Sequence[int], queue_us: int = 0
    ) -> list[Choice]:
        """One tick."""
        used = sum(map(cost_bps, self._plans, self._choices))
        if used * self.USAGE > estimate_bps:
            self._is_deficient = True
            self._hand_out(estimate_bps)
        elif self._is_deficient:
            self._boost(estimate_bps - used)
            self._is_deficient = self._choices != [best(plan) for plan in self._plans]
        return list(self._choices)

    def _hand_out(self, left_bps: int) -> None:
        choices = [NONE] * len(self._plans)
        for spatial in range(max(len(plan.layers_kbps) for plan in self._plans)):
            for temporal in range(len(TEMPORAL_SHARES)):
                for at in self._order:
                    plan = self._plans[at]
                    if spatial >= len(plan.layers_kbps) or (plan.is_slides and temporal < 2):
                        continue
                    step = Choice(spatial, temporal)
                    more = cost_bps(plan, step) - cost_bps(plan, choices[at])
                    if more <= left_bps and step != choices[at] and more > 0:
                        left_bps -= more
                        choices[at] = step
        self._choices = choices

    def _boost(self, left_bps: int) -> None:
        """One step for the track that is farthest from what it should be."""

        def distance(at: int) -> int:
            wanted, has = best(self._plans[at]), self._choices[at]
            return (wanted.spatial - has.spatial) * 3 + wanted.temporal - (has.temporal if has.spatial >= 0 else -1)

        for at in sorted(self._order, key=distance, reverse=True):
            step = _next(self._plans[at], self._choices[at])
            if step is not None:
                more = cost_bps(self._plans[at], step) - cost_bps(self._plans[at], self._choices[at])
                if more <= left_bps:
                    self._choices[at] = step
                    return


class Mediasoup:
    """
    mediasoup-like: the base layer of all in order of priority, then rounds in which each gets up to as many steps.

    The estimate counts 8 % more where under 2 % are lost, and less by half the loss above 10 %. Who was moved down by
    the estimate gets no higher spatial layer for ten seconds. Estimates are looked at once a second.
    """

    EVENT_US = SECOND_US
    HOLD_US = 10 * SECOND_US
    BONUS, LOW_LOSS, HIGH_LOSS = 1.08, 0.02, 0.10
    WANTED = 1.35

    def __init__(self, plans: Sequence[TrackPlan]) -> None:
        self._plans = plans
        self._order = sorted(range(len(plans)), key=lambda at: -plans[at].priority)
        self._choices = [NONE] * len(plans)
        self._down_us = [-self.HOLD_US] * len(plans)
        self._looked_us = -self.EVENT_US

    def wanted_bps(self) -> int:
        """Everything at its best, and a third more."""
        return round(self.WANTED * sum(cost_bps(plan, best(plan)) for plan in self._plans))

    def allocate(
        self, now_us: int, estimate_bps: int, loss: float, ahead_bps: Sequence[int], queue_us: int = 0
    ) -> list[Choice]:
        """Once a second."""
        if now_us - self._looked_us < self.EVENT_US:
            return list(self._choices)
        self._looked_us = now_us
        left: float = estimate_bps
        if loss < self.LOW_LOSS:
            left *= self.BONUS
        elif loss > self.HIGH_LOSS:
            left *= 1 - 0.5 * loss
        choices = [NONE] * len(self._plans)
        steps = [1] * len(self._plans)
        while True:
            is_moved = False
            for at in self._order:
                for _ in range(steps[at]):
                    step = _next(self._plans[at], choices[at])
                    if step is None or not self._may(now_us, at, step):
                        break
                    more = cost_bps(self._plans[at], step) - cost_bps(self._plans[at], choices[at])
                    if more > left:
                        break
                    left -= more
                    choices[at] = step
                    is_moved = True
            if not is_moved:
                break
            steps = [min(plan.priority, 9) for plan in self._plans]
        for at, (before, now) in enumerate(zip(self._choices, choices, strict=True)):
            if now.spatial < before.spatial:
                self._down_us[at] = now_us
        self._choices = choices
        return list(choices)

    def _may(self, now_us: int, at: int, step: Choice) -> bool:
        is_held = now_us - self._down_us[at] < self.HOLD_US
        return not (is_held and step.spatial > max(0, self._choices[at].spatial))


class Oracle:
    """
    Knows the line, and wants what a consult wants: everybody's face small, the patient's larger, the image, then more.

    It leaves 5 % of the line and the audio's share. It keeps what it has while the next second carries it, and takes
    more only where the seconds after it do too: a switch every second is nobody's wish.
    """

    SHARE = 0.95

    def __init__(self, plans: Sequence[TrackPlan], audio_bps: int = 0) -> None:
        self._plans = plans
        self._audio_bps = audio_bps
        self._choices = [NONE] * len(plans)

    def wanted_bps(self) -> int:
        """Everything at its best."""
        return sum(cost_bps(plan, best(plan)) for plan in self._plans)

    def allocate(
        self, now_us: int, estimate_bps: int, loss: float, ahead_bps: Sequence[int], queue_us: int = 0
    ) -> list[Choice]:
        """By the truth alone."""
        fits_now, fits_on = (
            each * self.SHARE * (1 - loss) - self._audio_bps for each in (ahead_bps[0], min(ahead_bps))
        )
        safe = self._fitting(fits_on)
        has_bps, safe_bps = (sum(map(cost_bps, self._plans, each)) for each in (self._choices, safe))
        if has_bps > fits_now or safe_bps > has_bps:
            self._choices = safe
        return list(self._choices)

    def _fitting(self, left: float) -> list[Choice]:
        choices = [NONE] * len(self._plans)
        # The lowest of each person, then the middle of the first, the image, the middle of others, the top.
        wishes = sorted(
            ((1, -1.5, at, spatial) if plan.is_slides else (spatial, -float(plan.priority), at, spatial))
            for at, plan in enumerate(self._plans)
            for spatial in range(len(plan.layers_kbps))
        )
        for _, _, at, spatial in wishes:
            more = cost_bps(self._plans[at], Choice(spatial)) - cost_bps(self._plans[at], choices[at])
            if choices[at].spatial == spatial - 1 and more <= left:
                left -= more
                choices[at] = Choice(spatial)
        return choices


def _next(plan: TrackPlan, choice: Choice) -> Choice | None:
    """The next dearer choice."""
    if plan.is_slides:
        return Choice(0, 2) if choice.spatial < 0 else None
    if choice.spatial < 0:
        return Choice(0, 0)
    if choice.temporal < 2:
        return Choice(choice.spatial, choice.temporal + 1)
    if choice.spatial + 1 >= len(plan.layers_kbps):
        return None
    # A higher picture at the temporal layer that costs more than what there is now.
    for temporal in range(3):
        step = Choice(choice.spatial + 1, temporal)
        if cost_bps(plan, step) > cost_bps(plan, choice):
            return step
    return None


OWN = "telerelay"
"""The relay's own: its allocator, and its compiled ladder."""

MAKERS: dict[str, Callable[[Sequence[TrackPlan]], Allocator]] = {
    OWN: Laddered,
    "livekit": LiveKit,
    "mediasoup": Mediasoup,
}

ORACLE = "oracle"
"""Needs no controller: it is a contender by itself, the best there could be."""

NAMES = (*MAKERS, ORACLE)


def make(name: str, plans: Sequence[TrackPlan], voices: int) -> Allocator:
    """The allocator of that name; only the relay's own counts voices."""
    return Laddered(plans, voices) if name == OWN else MAKERS[name](plans)


def check(name: str) -> None:
    """Raises ConfigError where there is none of that name."""
    if name not in NAMES:
        raise ConfigError("bad_value", f"there is no allocator {name}; there are {', '.join(NAMES)}")
