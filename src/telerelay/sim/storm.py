"""
Twenty people join one publisher within a second, five of them on country lines: what that asks of the publisher.

Sans-I/O. Each of them is a consult of one track with a line, a controller and an allocator of its own; the publisher
and the clock are shared. Layers that nobody wants are switched off at the publisher, by a rule of the simulator's own.
"""

from dataclasses import dataclass, field

from telerelay.sim import controllers, world
from telerelay.sim.allocators import ORACLE
from telerelay.sim.case import LinePlan
from telerelay.sim.clock import MS_US, SECOND_US, Clock, randomness
from telerelay.sim.consult import ConsultCase, ConsultWorld
from telerelay.sim.encoder import Frame
from telerelay.sim.simulcast import PATIENT, REQUEST_US, Publisher, TrackPlan

KEY_GAP_US = 500 * MS_US
"""The relay asks a publisher no more often, for all layers together: TR_KEYFRAME_INTERVAL_US."""

OFF_US = 4 * SECOND_US
"""A layer that nobody wanted for so long is switched off: within five seconds with the way to the publisher."""

WATCH_US = 100 * MS_US
"""How often it is looked at what is wanted."""


@dataclass(frozen=True, slots=True)
class StormCase:
    """
    `lines` are the receivers', forward and back; they join within `joins_s`. Between the two of `small_s` everybody
    shows the lowest layer only.
    """

    suite: str
    name: str
    title: str
    duration_s: float
    lines: tuple[tuple[LinePlan, LinePlan], ...]
    joins_s: tuple[float, float] = (3.0, 4.0)
    small_s: tuple[float, float] = (18.0, 28.0)
    track: TrackPlan = PATIENT
    tags: frozenset[str] = field(default_factory=frozenset)


class _Door:
    """One receiver's way to the publisher: whom a group of frames that is still young is handed to is not asked for."""

    def __init__(self, storm: "StormWorld", seat: int) -> None:
        self._storm = storm
        self._seat = seat

    @property
    def key_requests(self) -> int:
        return self._storm.publisher.key_requests

    def want_key_frame(self, now_us: int, layer: int) -> None:
        self._storm.want_key_frame(now_us, self._seat, layer)


class StormWorld:
    """Everything of one run, to be read after `run`."""

    def __init__(self, case: StormCase, contender: str, seed: int) -> None:
        self.case = case
        self.clock = clock = Clock()
        layers = range(len(case.track.layers_kbps))
        self._is_relay = contender.partition("+")[0] == controllers.OWN or contender == ORACLE
        self.publisher = Publisher(clock, 0, case.track, randomness(seed, "publisher"), self._on_frame)
        self.seats = [
            ConsultWorld(
                ConsultCase(
                    case.suite, case.name, case.title, case.duration_s, line, back, (case.track,), case.joins_s
                ),
                contender,
                seed * 1_000 + at,
                clock=clock,
                publishers=[_Door(self, at)],
            )
            for at, (line, back) in enumerate(case.lines)
        ]
        self.keys_at_us: list[int] = []
        self.off_s: list[float] = []
        self.on_s: list[float] = []
        self._asked_us = -KEY_GAP_US
        self._group: dict[int, tuple[int, list[Frame]]] = {}
        self._used_us = [0 for _ in layers]
        self._is_off = [False for _ in layers]
        self._wanted_us: dict[int, int] = {}
        self._stop_us = world.seconds(case.duration_s)

    def run(self) -> None:
        """Let it all happen."""
        clock, case = self.clock, self.case
        self.publisher.run(0, self._stop_us)
        for seat in self.seats:
            clock.at(seat.join_us, seat.join)
        for when_s, most in zip(case.small_s, (0, 99), strict=True):
            clock.at(world.seconds(when_s), self._limit, most)
        clock.at(0, self._watch)
        clock.run(self._stop_us)

    @property
    def joined_us(self) -> int:
        """When the last one came."""
        return max(seat.join_us for seat in self.seats)

    # ---------------------------------------------------------------- key frames

    def want_key_frame(self, now_us: int, seat: int, layer: int) -> None:
        """A receiver needs one: from the group at hand where it is the relay's and young, else from the publisher."""
        if not self._is_relay:
            before = self.publisher.key_requests
            self.publisher.want_key_frame(now_us, layer)
            self.keys_at_us += [now_us] * (self.publisher.key_requests - before)
            return
        key_us, frames = self._group.get(layer, (-KEY_GAP_US, []))
        if now_us - key_us < KEY_GAP_US:
            for frame in frames:
                self.seats[seat].on_frame(now_us, 0, layer, frame)
            return
        if now_us - self._asked_us >= KEY_GAP_US:
            self._asked_us = now_us
            self.keys_at_us.append(now_us)
            self.publisher.want_all_key_frames(now_us)

    def _on_frame(self, now_us: int, at: int, layer: int, frame: Frame) -> None:
        wanted_us = self._wanted_us.pop(layer, None)
        if wanted_us is not None:
            self.on_s.append((now_us - wanted_us) / SECOND_US)
        if frame.is_key:
            self._group[layer] = (now_us, [frame])
        elif layer in self._group:
            self._group[layer][1].append(frame)
        for seat in self.seats:
            if now_us >= seat.join_us:
                seat.on_frame(now_us, at, layer, frame)

    # ---------------------------------------------------------------- layers off and on

    def _limit(self, now_us: int, most: int) -> None:
        for seat in self.seats:
            seat.most_spatial = most

    def _watch(self, now_us: int, _: None) -> None:
        self.clock.at(now_us + WATCH_US, self._watch)
        wanted = {seat.forwards[0].choice.spatial for seat in self.seats} | {
            seat.forwards[0].layer for seat in self.seats
        }
        for layer, is_off in enumerate(self._is_off):
            if layer in wanted:
                self._used_us[layer] = now_us
                if is_off:
                    self._is_off[layer] = False
                    self._wanted_us[layer] = now_us
                    self.publisher.switch(now_us, layer, is_on=True)
            elif not is_off and now_us - self._used_us[layer] >= OFF_US:
                self._is_off[layer] = True
                self.publisher.switch(now_us, layer, is_on=False)
                self.off_s.append((now_us + REQUEST_US - self._used_us[layer]) / SECOND_US)
