"""
What a relay has to choose from: tracks in several layers, each encoded all the time, key frames only on request.

Sans-I/O.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from telerelay.sim.clock import MS_US, Clock
from telerelay.sim.encoder import Encoder, Frame, SlideShow

REQUEST_US = 20 * MS_US
"""Half a round trip from the relay to the publisher: uplinks are good here."""

ENCODE_US = 10 * MS_US
"""A frame is encoded so long before it leaves."""

KEY_REQUEST_GAP_US = 500 * MS_US
"""A layer is asked for a key frame no more often: what servers of others do for the lowest layer."""

FOLLOWING_START_BPS, FOLLOWING_LEAST_BPS = 300_000, 50_000
"""What a browser's encoder of one picture begins with, and the least it makes."""

OFF_LOOK_US = 33 * MS_US
"""A layer that is off begins with the camera's next frame."""

TEMPORAL_PATTERN = (0, 2, 1, 2)
"""The temporal layer of each of four frames."""

TEMPORAL_SHARES = (0.4, 0.6, 1.0)
"""Of the rate, with each layer those below: what libwebrtc gives three temporal layers."""

TEMPORAL_SIZES = (1.6, 0.8, 0.8)
"""A frame's size by its temporal layer, of the mean: one, one and two of four frames then have those shares."""


SLIDES_MEAN_BPS = 129_000
"""What small frames and now and then a whole picture of up to 200 kB come to; its layer is announced at its peak."""


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """
    One track: the rates of its spatial layers in kbit/s, lowest first. `priority` as servers count it: higher first.

    `is_slides` makes it a shared image of one layer. `is_following`: of one layer, too, and its publisher sends what
    the line of its one receiver has room for, up to that layer's rate.
    """

    name: str
    layers_kbps: tuple[int, ...]
    priority: int = 1
    is_slides: bool = False
    is_following: bool = False


PATIENT = TrackPlan("patient", (150, 500, 2_500), priority=2)
RELATIVE = TrackPlan("relative", (150, 500))
IMAGE = TrackPlan("image", (1_000,), priority=255, is_slides=True)
"""Scenario R5: whom and what a doctor receives. A shared screen comes first at LiveKit."""

TakeFrame = Callable[[int, int, int, Frame], None]
"""Called with the time, the track, the spatial layer and the frame."""


class Publisher:
    """Makes the frames of all layers of one track, and hands them to `take`."""

    def __init__(self, clock: Clock, track: int, plan: TrackPlan, source: random.Random, take: TakeFrame) -> None:
        self.plan = plan
        self.key_requests = 0
        self._clock = clock
        self._track = track
        self._take = take
        self._asked_us = [-KEY_REQUEST_GAP_US] * len(plan.layers_kbps)
        self._stop_us = 0
        self._off: set[int] = set()
        self._limit_bps: int | None = None
        self._sources: list[Encoder | SlideShow] = []
        for kbps in plan.layers_kbps:
            seeded = random.Random(source.getrandbits(64))
            if plan.is_slides:
                self._sources.append(SlideShow(seeded, target_bps=SLIDES_MEAN_BPS))
            elif plan.is_following:
                self._sources.append(
                    Encoder(seeded, start_bps=FOLLOWING_START_BPS, min_bps=FOLLOWING_LEAST_BPS, max_bps=kbps * 1_000)
                )
            else:
                rate = kbps * 1_000
                self._sources.append(Encoder(seeded, start_bps=rate, min_bps=rate, max_bps=rate))

    def run(self, start_us: int, stop_us: int) -> None:
        """Make frames between those moments."""
        self._stop_us = stop_us
        for layer in range(len(self._sources)):
            self._clock.at(start_us, self._capture, layer)

    def want_key_frame(self, now_us: int, layer: int) -> None:
        """The relay asks for one; too soon after the last request it does not."""
        if now_us - self._asked_us[layer] < KEY_REQUEST_GAP_US:
            return
        self._asked_us[layer] = now_us
        self.key_requests += 1
        self._clock.at(now_us + REQUEST_US, self._on_request, layer)

    def want_all_key_frames(self, now_us: int) -> None:
        """The relay asks once for all layers: a browser answers a request for one of them on each."""
        self.key_requests += 1
        for layer in range(len(self._sources)):
            self._clock.at(now_us + REQUEST_US, self._on_request, layer)

    def switch(self, now_us: int, layer: int, *, is_on: bool) -> None:
        """Tell the publisher that a layer is wanted or not; it begins again with a key frame."""
        self._clock.at(now_us + REQUEST_US, self._on_switch, (layer, is_on))

    def limit(self, now_us: int, bps: int) -> None:
        """Tell the publisher that more payload than that is not wanted."""
        self._clock.at(now_us + REQUEST_US, self._on_limit, bps)

    def _on_limit(self, now_us: int, bps: int) -> None:
        self._limit_bps = bps

    def _on_switch(self, now_us: int, told: tuple[int, bool]) -> None:
        layer, is_on = told
        if is_on:
            self._off.discard(layer)
            self._sources[layer].want_key_frame()
        else:
            self._off.add(layer)

    def _on_request(self, now_us: int, layer: int) -> None:
        self._sources[layer].want_key_frame()

    def _capture(self, now_us: int, layer: int) -> None:
        if now_us >= self._stop_us:
            return
        if layer in self._off:
            self._clock.at(now_us + OFF_LOOK_US, self._capture, layer)
            return
        if self._limit_bps is not None:
            self._sources[layer].set_target(now_us, self._limit_bps)
        frame, gap_us = self._sources[layer].next_frame(now_us)
        if not self.plan.is_slides and not frame.is_key:
            factor = TEMPORAL_SIZES[TEMPORAL_PATTERN[frame.number % 4]]
            frame = Frame(frame.number, frame.captured_us, max(1, round(frame.size_bytes * factor)), False)
        self._clock.at(now_us + gap_us, self._capture, layer)
        self._clock.at(now_us + ENCODE_US + REQUEST_US, self._deliver, (layer, frame))

    def _deliver(self, now_us: int, content: tuple[int, Frame]) -> None:
        self._take(now_us, self._track, *content)


def rate_bps(plan: TrackPlan, spatial: int, temporal: int = 2) -> int:
    """What that layer costs on average, headers left out."""
    share = 1.0 if plan.is_slides else TEMPORAL_SHARES[temporal]
    return round(plan.layers_kbps[spatial] * 1_000 * share)


def is_forwarded(frame: Frame, temporal: int) -> bool:
    """Whether a frame belongs to that temporal layer or a lower one; a key frame always does."""
    return frame.is_key or TEMPORAL_PATTERN[frame.number % 4] <= temporal
