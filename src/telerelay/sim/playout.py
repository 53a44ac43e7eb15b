"""
A receiver's playout of a voice, as NetEq does it: when each frame is heard, and how much had to be made up.

Pure: from what arrived when to what was heard when, after the run; playout moves nothing on the line. Written from the
published behaviour of libwebrtc's NetEq: a target from how late packets came, a second one from how late resends came,
time stretched in between. What is made up is counted in steps of 10 ms, not heard.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from telerelay.sim.clock import MS_US, SECOND_US
from telerelay.sim.steady import AUDIO_FRAME_US

STEP_US = 10 * MS_US
"""NetEq is asked for sound so often; what is made up comes in such pieces."""

START_US = 80 * MS_US
"""The target before anything is known."""

HISTORY_US = 2 * SECOND_US
"""Lateness is measured against the earliest packet of this long."""

BUCKET_US, BUCKETS = 20 * MS_US, 100
"""Lateness is told apart by a frame, up to two seconds."""

QUANTILE = 0.95
"""So many of the packets shall be in time."""

FORGET, REORDER_FORGET = 0.983, 0.9993
"""How much of what was known is left after half a second's worst packet, and after one packet."""

WORST_OF_US = SECOND_US // 2
"""Of each half second the latest packet counts."""

LOSS_PRICE_US = 20 * MS_US * 100
"""Waiting 20 ms longer is worth one frame in a hundred."""

LEVEL_KEEP = 0.9
"""How much of the filtered level of the buffer is left with each frame."""

SLACK_US = 20 * MS_US
"""Between too little and too much in the buffer."""

LOW_SHARE, LOW_BELOW_US = 0.75, 85 * MS_US
"""Too little is below three quarters of the target, or so far below it, whichever is more."""

FASTER_US, SLOWER_US, FASTEST_US = 17 * MS_US, 23 * MS_US, 12 * MS_US
"""A frame's length where one pitch period in 60 ms is taken out, put in, or several are taken out."""

FASTEST_FROM = 4
"""So many times too much is played out as fast as it can be."""

WAIT_MOST_US = 100 * MS_US
"""No longer is waited for a packet while later ones are there."""


class Arrival(NamedTuple):
    """Frame `number`, sent at `sent_us`, came at `when_us`; `is_copy` where another frame's packet carried it."""

    when_us: int
    number: int
    sent_us: int
    is_copy: bool = False


@dataclass(slots=True)
class Heard:
    """(when, how late behind its sending) of each frame that was heard, and when a step of 10 ms was made up."""

    frames: list[tuple[int, int]] = field(default_factory=list)
    made_up_us: list[int] = field(default_factory=list)


class _Histogram:
    """Shares of buckets, older ones forgotten: increments grow instead of what is there shrinking."""

    __slots__ = ("_forget", "_increment", "_total", "_weights")

    def __init__(self, forget: float) -> None:
        self._forget = forget
        self._weights = [0.0] * BUCKETS
        self._increment = 1.0
        self._total = 0.0

    @property
    def is_empty(self) -> bool:
        return not self._total

    def add(self, bucket: int) -> None:
        self._weights[min(bucket, BUCKETS - 1)] += self._increment
        self._total += self._increment
        self._increment /= self._forget
        if self._increment > 1e9:
            self._weights = [each / self._increment for each in self._weights]
            self._total /= self._increment
            self._increment = 1.0

    def quantile(self, share: float) -> int:
        """The bucket that holds that share."""
        left = share * self._total
        for bucket, weight in enumerate(self._weights):
            left -= weight
            if left <= 0:
                return bucket
        return BUCKETS - 1

    def cheapest(self, base_us: int) -> int:
        """The bucket where waiting longer than `base_us` and what is lost cost least together."""
        lost, best, least = 1.0, 0, float("inf")
        for bucket, weight in enumerate(self._weights):
            lost -= weight / self._total
            cost = max(0, bucket * BUCKET_US - base_us) + lost * LOSS_PRICE_US
            if cost < least - 1e-9:
                best, least = bucket, cost
            if bucket * BUCKET_US - base_us > least:
                break
        return best


class _Target:
    """How much shall be in the buffer."""

    __slots__ = ("_late", "_newest", "_recent", "_reordered", "_since_us", "_worst_us", "us")

    def __init__(self) -> None:
        self.us = START_US
        self._late = _Histogram(FORGET)
        self._reordered = _Histogram(REORDER_FORGET)
        # (when, one-way delay), delays rising: the first is the least of the last two seconds.
        self._recent: deque[tuple[int, int]] = deque()
        self._newest = -1
        self._since_us = 0
        self._worst_us = 0

    def take(self, arrival: Arrival) -> None:
        if arrival.is_copy:
            return
        delay_us = arrival.when_us - arrival.sent_us
        recent = self._recent
        while recent and recent[0][0] < arrival.when_us - HISTORY_US:
            recent.popleft()
        while recent and recent[-1][1] >= delay_us:
            recent.pop()
        recent.append((arrival.when_us, delay_us))
        late_us = delay_us - recent[0][1]
        is_reordered = arrival.number < self._newest
        self._newest = max(self._newest, arrival.number)
        if not is_reordered:
            self._worst_us = max(self._worst_us, late_us)
            if arrival.when_us - self._since_us >= WORST_OF_US:
                self._late.add(self._worst_us // BUCKET_US)
                self._since_us, self._worst_us = arrival.when_us, 0
        self._reordered.add(late_us // BUCKET_US if is_reordered else 0)
        if not self._since_us:
            self._since_us = arrival.when_us
        base_us = START_US if self._late.is_empty else (1 + self._late.quantile(QUANTILE)) * BUCKET_US
        self.us = max(base_us, (1 + self._reordered.cheapest(base_us)) * BUCKET_US)


class _Playout:
    """The buffer of one voice, and where in it one is."""

    __slots__ = ("_arrivals", "_at", "_expected", "_frames", "_level_us", "_made_up_us", "_target", "heard")

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.heard = Heard()
        self._arrivals = arrivals
        self._at = 0
        self._frames: dict[int, int] = {}
        self._expected = arrivals[0].number
        self._level_us = 0.0
        self._made_up_us = 0
        self._target = _Target()

    def step(self, now_us: int) -> int:
        """Hear what is next; for how long that lasts."""
        self._take_until(now_us)
        frames = self._frames
        ahead_us = len(frames) * AUDIO_FRAME_US
        self._level_us = LEVEL_KEEP * self._level_us + (1 - LEVEL_KEEP) * ahead_us
        if self._expected not in frames and frames and self._jumps(min(frames), ahead_us):
            self._expected = min(frames)
        sent_us = frames.pop(self._expected, None)
        if sent_us is None:
            self.heard.made_up_us.append(now_us)
            self._made_up_us += STEP_US
            return STEP_US
        self._expected += 1
        self._made_up_us = 0
        self.heard.frames.append((now_us, now_us - sent_us))
        target_us = self._target.us
        low_us = max(round(LOW_SHARE * target_us), target_us - LOW_BELOW_US)
        high_us = max(target_us, low_us + SLACK_US)
        if self._level_us >= FASTEST_FROM * high_us:
            return FASTEST_US
        if self._level_us >= high_us:
            return FASTER_US
        return SLOWER_US if self._level_us < low_us else AUDIO_FRAME_US

    def _take_until(self, now_us: int) -> None:
        arrivals = self._arrivals
        while self._at < len(arrivals) and arrivals[self._at].when_us <= now_us:
            arrival = arrivals[self._at]
            self._at += 1
            self._target.take(arrival)
            if arrival.number >= self._expected:
                self._frames.setdefault(arrival.number, arrival.sent_us)

    def _jumps(self, first: int, ahead_us: int) -> bool:
        """Whether to go on with a later frame: what is between them has been made up, or is not worth waiting for."""
        missing_us = (first - self._expected) * AUDIO_FRAME_US
        made_up_us = self._made_up_us
        return made_up_us >= min(missing_us, WAIT_MOST_US) or (made_up_us > 0 and ahead_us >= self._target.us)


def play(arrivals: Sequence[Arrival], stop_us: int) -> Heard:
    """
    What is heard of one voice until then. `arrivals` by rising time; nothing is heard before the first.
    """
    if not arrivals:
        return Heard()
    playout = _Playout(arrivals)
    now_us = arrivals[0].when_us + START_US
    while now_us < stop_us:
        now_us += playout.step(now_us)
    return playout.heard
