"""
Two-way video, and its kin, in seconds: what an attestation says was forwarded between the two sides of a consult.

Sans-I/O: what the relay has counted comes in once a second, totals go out. docs/seconds.md has the definition; in doubt
a second does not count.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal["audio", "video"]
Side = Literal["patient", "practitioner"]

SIDES: Mapping[str, Side] = {
    "patient": "patient",
    "companion": "patient",
    "practitioner": "practitioner",
    "requester": "practitioner",
    "expert": "practitioner",
}
"""The side each role is on. Who helps, interprets, watches or records is on neither: two of them make no consult."""

WRAP = 1 << 32
"""Counters are told modulo this."""
LEAST_FRAMES = 5
"""Complete pictures of a second that shows somebody (the acceptance scenarios): fewer is a slide show."""
LEAST_PACKETS = 1
"""Of sound: who says nothing sends two or three packets a second where the codec leaves silence out (DTX)."""
MOST_LOST = 0.20
"""The share of packets, of 1, from which on a receiver's report says that it could not make much of that second."""
LOST_OF = 256
"""`fraction_lost` counts in parts of this (RFC 3550, 6.4.1)."""
REPORT_WAIT_S = 7.5
"""Reports on sound come every 5 s at the most, each half of that early or late (RFC 3550, 6.3.1): later than this none
comes."""
SHORTEST_S = 0.5
"""Looks that are closer together than this are one: a frame or two more or less would decide."""
LONGEST_S = 1.5
"""Looks that are further apart have a gap between them, of which nobody knows how it was filled."""
LONGEST_GAP_S = 10.0
"""A control process that was held up for five seconds, and as much again; what is longer is not judged at all."""
HEIGHTS = (0, 90, 120, 180, 240, 270, 360, 480, 540, 720, 1080, 1440, 2160)
"""Pixels of the shorter side that are told apart; a picture counts for the highest that it reaches. Publishers scale
to any height, and each would be a line of an attestation."""


@dataclass(frozen=True, slots=True)
class Track:
    """
    What the relay has sent so far of one person's track to another person. `counter` is another thing where the
    counters begin anew (another connection, another worker); they run on modulo WRAP. `frames`: complete pictures
    behind a complete keyframe, or, where `has_keyframes` is false because nobody can tell (end-to-end encryption),
    complete pictures. `height`: pixels of the shorter side, 0: unknown. `fraction_lost`: of the latest of the
    receiver's `reports`, in parts of LOST_OF. What is muted at its source is no track.
    """

    counter: Hashable
    kind: Kind
    source: str
    source_role: str
    target: str
    target_role: str
    packets: int
    frames: int = 0
    has_keyframes: bool = True
    height: int = 0
    reports: int = 0
    fraction_lost: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """
    Seconds so far. `by_height`: in which somebody on the practitioner's side was sent the picture of somebody on the
    patient's, by lines of HEIGHTS (0: unknown), rising. `has_unknown_keyframes`: some of two_way_video_s rests on
    pictures of which nobody could tell whether a keyframe was before them. `missed_s`: of which nothing is known.
    `first_at` and `last_at` (Unix seconds) are when the first second of two-way video or sound began, and the last
    ended.
    """

    two_way_video_s: float = 0.0
    two_way_audio_s: float = 0.0
    audio_only_s: float = 0.0
    by_height: tuple[tuple[int, float], ...] = ()
    has_unknown_keyframes: bool = False
    missed_s: float = 0.0
    first_at: float | None = None
    last_at: float | None = None


@dataclass(slots=True)
class _Showing:
    """One track in one second: for how much of it there was enough, and what its receiver said of that."""

    track: Track
    seconds: float
    is_received: bool | None = None


@dataclass(slots=True)
class _Second:
    """What is between two looks. `since`, `until`: monotonic seconds; `at`: Unix seconds at its end."""

    since: float
    until: float
    at: float
    showings: dict[Hashable, _Showing] = field(default_factory=dict)

    @property
    def is_judged(self) -> bool:
        return all(each.is_received is not None for each in self.showings.values())


@dataclass(slots=True)
class _Known:
    """A track as it was at the last look: how much came in a second of late, and when its receiver last reported."""

    track: Track
    per_s: float = 0.0
    reported: float | None = None


class Seconds:
    """
    The seconds of one consult. `before`: totals of earlier, from its journal; `missed_s`: how long nobody has looked
    since those.
    """

    def __init__(self, before: Totals | None = None, missed_s: float = 0.0) -> None:
        before = before or Totals()
        self._totals = replace(before, missed_s=before.missed_s + max(0.0, missed_s))
        self._known: dict[Hashable, _Known] = {}
        self._waiting: deque[_Second] = deque()
        self._now: float | None = None

    @property
    def totals(self) -> Totals:
        """All that is judged; the last seconds wait for a report of those who received them."""
        return self._totals

    def look(self, now: float, at: float, tracks: Iterable[Track]) -> None:
        """
        What is counted now, of all tracks from one side to the other; others are passed over. `now`: monotonic seconds,
        `at`: Unix seconds. About once a second; looks may be late or left out, never made twice for one moment.
        """
        if self._now is not None and now - self._now < SHORTEST_S:
            return
        there = {each.counter: each for each in tracks if _way(each) is not None}
        if self._now is not None:
            self._judge(now, there)
            self._measure(_Second(self._now, now, at), there)
        self._remember(now, there)
        self._now = now
        self._settle()

    def close(self) -> Totals:
        """The end: what waits for a report is judged by the last one that came, if that was not long before."""
        self._judge_gone(set())
        self._settle()
        self._known.clear()
        return self._totals

    # ---------------------------------------------------------------- one look

    def _measure(self, second: _Second, there: Mapping[Hashable, Track]) -> None:
        """How much of each track came since the last look."""
        length = second.until - second.since
        if length > LONGEST_GAP_S:
            self._totals = replace(self._totals, missed_s=self._totals.missed_s + length)
            return
        for counter, track in there.items():
            known = self._known.get(counter)
            came = None if known is None else _came(known.track, track)
            if known is None or came is None:
                continue
            least = LEAST_FRAMES if track.kind == "video" else LEAST_PACKETS
            enough = int(least * max(1.0, length))
            if length > LONGEST_S:
                # Nobody knows when in the gap it came: for as long as it would have taken at the pace before.
                shown = min(length, came / known.per_s) if known.per_s >= least <= came else 0.0
            else:
                shown = length if came >= enough else 0.0
                known.per_s = came / length
            if shown:
                second.showings[counter] = _Showing(track, shown, _said(known.track, track))
        if second.showings:
            self._waiting.append(second)

    def _judge(self, now: float, there: Mapping[Hashable, Track]) -> None:
        """What the reports say that came since: each is of all that waits for one."""
        for second in self._waiting:
            for counter, showing in second.showings.items():
                if showing.is_received is not None:
                    continue
                known, track = self._known.get(counter), there.get(counter)
                if now - second.until > REPORT_WAIT_S:
                    showing.is_received = False
                elif known is not None and track is not None:
                    showing.is_received = _said(known.track, track)
        self._judge_gone(there.keys())

    def _judge_gone(self, there: Iterable[Hashable]) -> None:
        """No report will come of what is gone: the last one stands, unless it is too old to say anything."""
        gone = self._known.keys() - set(there)
        for second in self._waiting:
            for counter, showing in second.showings.items():
                if showing.is_received is not None or counter not in gone:
                    continue
                known = self._known[counter]
                is_fresh = known.reported is not None and second.until - known.reported <= REPORT_WAIT_S
                showing.is_received = is_fresh and _is_fine(known.track)

    def _remember(self, now: float, there: Mapping[Hashable, Track]) -> None:
        known: dict[Hashable, _Known] = {}
        for counter, track in there.items():
            before = self._known.get(counter)
            if before is None or _came(before.track, track) is None:
                known[counter] = _Known(track)  # what it sent before is another's, or of before we looked
                continue
            reported = now if track.reports != before.track.reports else before.reported
            known[counter] = _Known(track, before.per_s, reported)
        self._known = known

    # ---------------------------------------------------------------- totals

    def _settle(self) -> None:
        """Add what is judged; in any order, for sums do not mind."""
        judged = [each for each in self._waiting if each.is_judged]
        if not judged:
            return
        self._waiting = deque(each for each in self._waiting if not each.is_judged)
        for second in judged:
            self._add(second)

    def _add(self, second: _Second) -> None:
        received = [each for each in second.showings.values() if each.is_received]
        video = _two_way(each for each in received if each.track.kind == "video")
        known = _two_way(each for each in received if each.track.kind == "video" and each.track.has_keyframes)
        audio = _two_way(each for each in received if each.track.kind == "audio")
        before = self._totals
        heights = dict(before.by_height)
        if height := max((_height(each) for each in received if _is_seen_by_practitioner(each)), default=None):
            heights[height[0]] = heights.get(height[0], 0.0) + height[1]
        is_any = bool(video or audio)
        self._totals = replace(
            before,
            two_way_video_s=before.two_way_video_s + video,
            two_way_audio_s=before.two_way_audio_s + audio,
            audio_only_s=before.audio_only_s + max(0.0, audio - video),
            by_height=tuple(sorted(heights.items())),
            has_unknown_keyframes=before.has_unknown_keyframes or video > known,
            first_at=before.first_at if before.first_at is not None or not is_any else second.at - _length(second),
            last_at=max(before.last_at or 0.0, second.at) if is_any else before.last_at,
        )


def _length(second: _Second) -> float:
    return second.until - second.since


def _way(track: Track) -> Side | None:
    """The side it comes from, if it goes to the other one."""
    source, target = SIDES.get(track.source_role), SIDES.get(track.target_role)
    return source if source is not None and target is not None and source != target else None


def _came(before: Track, now: Track) -> int | None:
    """Pictures or packets since; None: counters that go back are others'."""
    if now.kind == "audio":
        came = (now.packets - before.packets) % WRAP
    else:
        came = (now.frames - before.frames) % WRAP if before.has_keyframes == now.has_keyframes else 0
    return came if came < WRAP // 2 else None


def _said(before: Track, now: Track) -> bool | None:
    """What the receiver says of the time between; None: it has said nothing since."""
    return None if now.reports == before.reports else _is_fine(now)


def _is_fine(track: Track) -> bool:
    return track.fraction_lost / LOST_OF < MOST_LOST


def _two_way(showings: Iterable[_Showing]) -> float:
    """How long two people, one on each side, were sent each other's tracks: of several pairs the longest."""
    to: dict[tuple[str, str], float] = {}
    patients: set[tuple[str, str]] = set()
    for each in showings:
        way = (each.track.source, each.track.target)
        to[way] = max(to.get(way, 0.0), each.seconds)
        if _way(each.track) == "patient":
            patients.add(way)
    return max((min(to[way], to.get((way[1], way[0]), 0.0)) for way in patients), default=0.0)


def _is_seen_by_practitioner(showing: _Showing) -> bool:
    return showing.track.kind == "video" and _way(showing.track) == "patient"


def _height(showing: _Showing) -> tuple[int, float]:
    """Of HEIGHTS, and for how long."""
    return max(each for each in HEIGHTS if each <= max(0, showing.track.height)), showing.seconds
