"""
One room: its publications and its receivers' lines become ladders, limits for publishers, and who speaks.

Sans-I/O: times are arguments, microseconds; nothing waits, and an allocator that raises is passed over once. What comes
in is only noted; `decide` says what follows from it, and nothing twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from telerelay.adaptation.degrading import How, Lack, degraded
from telerelay.adaptation.speaker import Speaker
from telerelay.adaptation.yielding import YIELD_BPS, Yielding
from telerelay.allocator import (
    MAX_RUNGS,
    PRIORITY_OF,
    Allocator,
    Dynacast,
    Layer,
    Profile,
    Purpose,
    Rung,
    SoleLimit,
    SteadyRates,
    Track,
    following,
)
from telerelay.events import Limit

ANY = 255
"""In place of the uppermost layer's number: whatever there is above, too (TR_LAYER_ANY)."""

BACK_BPS = 300_000
"""
What a ladder waits for before a paused picture comes back: its publisher is told no less meanwhile. An encoder that has
come down to a tenth makes small pictures, and larger ones again in front of everybody's eyes.
"""

NOMINAL_BPS: Mapping[int, tuple[int, ...]] = {
    1: (300_000,),
    2: (200_000, 1_200_000),
    3: (150_000, 500_000, 1_700_000),
    4: (100_000, 300_000, 800_000, 2_000_000),
}
"""What encodings are taken to cost until they have been measured, by how many there are: what browsers give them."""

VOICE_LEAST_BPS, VOICE_AROUND_BPS = 40_000, 17_600
"""A voice is kept room for while it is silent (DTX), and has 44 bytes around each of 50 packets a second."""

FLOOR_BPS = 100_000
"""What a picture that follows one receiver's line is worth at least; below it is the ladder's to pause it."""

CEILING_BPS = 4_000_000
"""A limit that no camera's encoder reaches in a call is none."""

NEAR_PERCENT = 115
"""A limit begins where the line has less room than so much of what the source sends: else it only slows it down."""

OBEYS_US, OBEYS_PERCENT = 3_000_000, 150
"""A source that sends so much of its limit so long after it was told does not follow it, and is paid for in full."""

LOOK_PERCENT = 150
"""An encoding is kept on up to so much of the estimate: a climb needs 112, and its encoder half a second before."""

UNHEARD_US = 3_000_000
"""An encoding that its publisher stopped by itself so long ago is none, until it is heard again."""

FULL_BPS = 2_500_000
"""What a browser sends of one picture in 1280x720 that nobody limits."""

FILLED_PERCENT = 75
"""A source that sends so much of its limit would send more without."""

LESS_PERCENT, MORE_PERCENT = 97, 125
"""An estimate so far from what was decided by last is not to wait for the next look."""

SMALL_ROOM = 3
"""In a room of so many everybody is on stage; in larger ones who speaks, and what is shown to all."""

PURPOSES = {each.value: each for each in Purpose} | {"camera": Purpose.FACE}
SHOWN = frozenset({Purpose.SCOPE, Purpose.SCREEN, Purpose.DOCUMENT})
EXAMINED = frozenset({Purpose.SCOPE, Purpose.DOCUMENT})


class LayerRate(Protocol):
    """
    What one layer of a receiver takes now, with all it needs below it, as a worker counts it (dataplane.Rate): bit/s on
    the wire, of sound without the headers of IP and UDP; `loudness` is of sound, 0 to 127.
    """

    @property
    def receiver(self) -> int: ...
    @property
    def encoding(self) -> int: ...
    @property
    def spatial(self) -> int: ...
    @property
    def temporal(self) -> int: ...
    @property
    def loudness(self) -> int: ...
    @property
    def rate_bps(self) -> int: ...
    @property
    def peak_bps(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Feed:
    """
    A publication as it arrives: `receiver` is its id on the worker, `rids` the names of its encodings, the least first;
    without RIDs there is one. `uplink` is the same word of all that comes over one line; "": nobody knows. `profile` is
    what its publisher says that its picture must not lose; None: nothing.
    """

    publication: str
    participant: str
    kind: str
    source: str
    receiver: int
    rids: tuple[str, ...] = ()
    is_muted: bool = False
    uplink: str = ""
    profile: Profile | None = None

    @property
    def encodings(self) -> int:
        return max(1, len(self.rids))

    @property
    def purpose(self) -> Purpose:
        return PURPOSES.get(self.source, Purpose.OTHER)


@dataclass(frozen=True, slots=True)
class Line:
    """
    A connection that something is sent on: `carried` are the publications of its senders, `paused` those that its
    client holds back itself. `is_found`: from before this process; its worker has a ladder already.
    """

    transport: int
    participant: str
    carried: Mapping[int, str]
    paused: frozenset[str] = frozenset()
    is_estimated: bool = True
    is_found: bool = False


@dataclass(frozen=True, slots=True)
class Lacking:
    """
    Not everything goes over a line any more: to `participant` (`direction` "down"), or from it. `publication` is the
    picture that is missed first, `bps` what the line is taken to carry; `transport` is 0 of "up".
    """

    participant: str
    direction: Literal["up", "down"]
    publication: str
    source: str
    bps: int
    transport: int = 0


@dataclass(slots=True)
class Decisions:
    """What is another than before: ladders by transport, limits by publisher, and who speaks."""

    ladders: dict[int, tuple[Rung, ...]] = field(default_factory=dict)
    limits: dict[str, dict[str, Limit]] = field(default_factory=dict)
    has_speaker_changed: bool = False
    lacking: list[Lacking] = field(default_factory=list)
    """Where the application is to be asked what is given up."""
    restored: list[tuple[str, Literal["up", "down"]]] = field(default_factory=list)
    """Whose line carries again what was given up on it."""


@dataclass(slots=True)
class _FeedState:
    feed: Feed
    rates: dict[tuple[int, int, int], SteadyRates] = field(default_factory=dict)
    latest_bps: dict[int, int] = field(default_factory=dict)
    """By encoding, what the whole of it took when last heard."""
    heard_us: dict[int, int] = field(default_factory=dict)
    loudness: int = 0
    encodings: int = field(init=False)
    voice_bps: int = VOICE_LEAST_BPS
    carrying: list["_LineState"] = field(default_factory=list)
    """The lines that have a sender for it."""
    receiving: list["_LineState"] = field(default_factory=list)
    """Those of them whose clients want it."""
    dynacast: Dynacast = field(init=False)
    sole: SoleLimit = field(default_factory=lambda: SoleLimit(FLOOR_BPS))
    gone: int = 0
    """How many encodings have not been heard of late."""
    told_us: int = 0
    """When `sole` last said something new."""
    follows: bool = False
    """One line alone gets it, and its source goes by that line."""
    lack: Lack = field(default_factory=Lack)
    """Of the line that it comes over."""
    is_held_back: bool | None = None
    """Whether its client says that its line holds it back; None: it says nothing of late."""
    yields: bool = False
    """It makes room on its line for what is examined."""

    def __post_init__(self) -> None:
        self.encodings = self.feed.encodings
        self.dynacast = Dynacast(self.encodings)

    @property
    def sole_line(self) -> "_LineState | None":
        """The one line that gets it, where that is estimated."""
        return self.receiving[0] if len(self.receiving) == 1 and self.receiving[0].estimate_bps is not None else None


@dataclass(slots=True)
class _LineState:
    line: Line
    tracks: tuple[Track, ...] | None = None
    wish_bps: int = 0
    how: How = "usual"
    lack: Lack = field(default_factory=Lack)
    rungs: tuple[Rung, ...] | None = None
    """As posted; None: nothing was yet."""
    estimate_bps: int | None = None
    decided_bps: int | None = None
    """The estimate that was decided by last."""
    rung: int = 0


class RoomAdaptation:
    """The people of one room, and what each is sent of the others."""

    def __init__(self, allocator: Allocator) -> None:
        self._allocator = allocator
        self._feeds: dict[str, _FeedState] = {}
        self._by_receiver: dict[int, _FeedState] = {}
        self._lines: dict[int, _LineState] = {}
        self._people: frozenset[str] = frozenset()
        self._limits: dict[str, dict[str, Limit]] = {}
        self._is_changed = False
        """Ladders may be others."""
        self._are_wants_changed = False
        """What encodings somebody has use for may be others."""
        self._are_limits_changed = False
        self._has_rates = False
        self._copies_bps: dict[int, int] = {}
        self._yieldings: dict[str, Yielding] = {}
        """By uplink, of those that an examined picture comes over beside others."""
        self.has_examined = False
        """Whether something examined is shown: else it is of no use to know who shares an uplink."""
        self.speaker = Speaker()
        self._failures = 0
        self.asks = False
        """Whether anybody is to be asked what is given up on a line."""

    # ---------------------------------------------------------------- what is so

    def arrange(self, people: Iterable[str], feeds: Iterable[Feed], lines: Iterable[Line]) -> None:
        """The room as it is now. What is known of what stays is kept."""
        self._people = frozenset(people)
        before, self._feeds = self._feeds, {}
        for feed in feeds:
            state = before.get(feed.publication)
            if state is None or (state.feed.receiver, state.feed.rids) != (feed.receiver, feed.rids):
                state = _FeedState(feed)
            state.feed = feed
            self._feeds[feed.publication] = state
        self._by_receiver = {state.feed.receiver: state for state in self._feeds.values()}
        lines_before, self._lines = self._lines, {}
        for line in lines:
            line_state = lines_before.get(line.transport) or _LineState(line)
            line_state.line = line
            self._lines[line.transport] = line_state
        for state in self._feeds.values():
            state.carrying, state.receiving = [], []
        for line_state in self._lines.values():
            for publication in line_state.line.carried.values():
                if (found := self._feeds.get(publication)) is not None:
                    found.carrying.append(line_state)
                    if publication not in line_state.line.paused:
                        found.receiving.append(line_state)
        self._find_shared_uplinks()
        self._is_changed = self._are_wants_changed = self._are_limits_changed = True

    def _find_shared_uplinks(self) -> None:
        examined, others = set(), set()
        self.has_examined = False
        for state in self._feeds.values():
            feed = state.feed
            self.has_examined |= feed.kind == "video" and feed.purpose in EXAMINED
            if feed.kind == "video" and feed.uplink and not feed.is_muted:
                if feed.purpose in EXAMINED:
                    examined.add(feed.uplink)
                elif feed.purpose not in SHOWN:
                    others.add(feed.uplink)
        self._yieldings = {each: self._yieldings.get(each) or Yielding() for each in examined & others}

    @property
    def wants_reports(self) -> bool:
        """Whether what clients say of their own pictures is of use."""
        return self.asks or bool(self._yieldings)

    @property
    def receivers(self) -> Iterable[int]:
        """Whose rates are wanted."""
        return self._by_receiver

    def take_failures(self) -> int:
        """How often the allocator has raised since this was asked."""
        failures, self._failures = self._failures, 0
        return failures

    def on_rate(self, row: LayerRate, now_us: int) -> None:
        """What one layer takes that arrives now."""
        state = self._by_receiver.get(row.receiver)
        if state is None:
            return
        encoding, rate_bps = row.encoding, row.rate_bps
        key = (encoding, row.spatial, row.temporal)
        rates = state.rates.get(key)
        if rates is None:
            rates = state.rates[key] = SteadyRates()
        if state.feed.kind == "audio":
            state.loudness = row.loudness
            rate_bps += VOICE_AROUND_BPS
        elif not state.heard_us:
            # Of several the larger ones come a moment later, and are not to be missed meanwhile.
            state.heard_us = dict.fromkeys(range(state.encodings), now_us)
            self._is_changed = self._are_wants_changed = True
        elif now_us - state.heard_us.get(encoding, -UNHEARD_US) >= UNHEARD_US:
            self._is_changed = self._are_wants_changed = True  # it is there again, or for the first time
        state.heard_us[encoding] = now_us
        state.latest_bps[encoding] = rate_bps
        peak_bps = row.peak_bps
        if rates.on_rate(rate_bps if rate_bps > peak_bps else peak_bps, now_us):
            self._is_changed = True
            state.voice_bps = max(VOICE_LEAST_BPS, *(each.bps for each in state.rates.values()))

    def on_rates_read(self) -> None:
        """All that is counted now has come: what is measured is known from now on."""
        if not self._has_rates:
            self._has_rates = self._is_changed = True

    def on_estimate(self, transport: int, estimate_bps: int, rung: int) -> bool:
        """What a worker says of a line; whether something is to be decided at once."""
        state = self._lines.get(transport)
        if state is None:
            return False
        if (state.estimate_bps, state.rung) != (estimate_bps, rung):
            state.estimate_bps, state.rung = estimate_bps, rung
            self._are_wants_changed = True
        before_bps = state.decided_bps
        return before_bps is None or not before_bps * LESS_PERCENT < estimate_bps * 100 < before_bps * MORE_PERCENT

    def on_copies(self, copies_bps: Mapping[int, int]) -> None:
        """What copies of voices take, by sender; a change of a tenth counts."""
        if copies_bps.keys() == self._copies_bps.keys() and all(
            10 * abs(bps - self._copies_bps[sender]) <= self._copies_bps[sender] for sender, bps in copies_bps.items()
        ):
            return
        self._copies_bps = dict(copies_bps)
        self._is_changed = True

    def estimates(self) -> dict[int, int]:
        """What each line carries, where its worker has said so, bit/s."""
        return {each: state.estimate_bps for each, state in self._lines.items() if state.estimate_bps is not None}

    def on_reported(self, publication: str, is_limited: bool | None) -> None:
        """What a client says of a picture that it sends: whether its line holds the encoder back; None: nothing."""
        if (state := self._feeds.get(publication)) is not None:
            state.is_held_back = is_limited

    def on_degrade(self, lacking: Lacking, how: How, now_us: int) -> bool:
        """What the application wants given up, once it was asked; whether that changes anything."""
        if lacking.direction == "down":
            line = self._lines.get(lacking.transport)
            is_changed = line is not None and line.lack.on_answer(how, now_us)
        else:
            feed = self._feeds.get(lacking.publication)
            is_changed = feed is not None and feed.lack.on_answer(how, now_us)
            self._are_limits_changed |= is_changed
        self._is_changed |= is_changed
        return is_changed

    @property
    def given_up(self) -> frozenset[str]:
        """Pictures that are not to be sent at all."""
        return frozenset(each for each, state in self._feeds.items() if state.lack.how == "audio_only")

    # ---------------------------------------------------------------- what follows

    def decide(self, now_us: int) -> Decisions:
        """Each half second, and whenever something has changed that is not to wait so long."""
        decisions = Decisions()
        if len(self._people) >= SMALL_ROOM and self.speaker.on_levels(self._levels(now_us), now_us):
            decisions.has_speaker_changed = self._is_changed = True
        self._notice_gone(now_us)
        self._limit_soles(now_us)
        self._make_way(now_us)
        if self.asks:
            self._look_for_lacks(now_us, decisions)
        if self._is_changed:
            self._is_changed = False
            for state in self._lines.values():
                if state.line.is_estimated and (self._has_rates or not state.line.is_found):
                    self._ladder(state, now_us, decisions)
        self._turn_off(now_us)
        if self._are_limits_changed:
            self._are_limits_changed = False
            self._tell_limits(decisions)
        return decisions

    def _notice_gone(self, now_us: int) -> None:
        """Nobody tells of an encoding that it comes no more."""
        for state in self._feeds.values():
            if state.feed.kind == "video":
                gone = sum(now_us - heard_us >= UNHEARD_US for heard_us in state.heard_us.values())
                if gone != state.gone:
                    state.gone = gone
                    self._is_changed = self._are_wants_changed = True

    def _levels(self, now_us: int) -> dict[str, int]:
        levels = dict.fromkeys(self._people, 0)
        for state in self._feeds.values():
            feed = state.feed
            is_heard = feed.kind == "audio" and not feed.is_muted and now_us - state.heard_us.get(0, 0) < UNHEARD_US
            if is_heard and feed.participant in levels:
                levels[feed.participant] = max(levels[feed.participant], state.loudness)
        return levels

    # ---------------------------------------------------------------- what is given up

    def _look_for_lacks(self, now_us: int, decisions: Decisions) -> None:
        for state in self._lines.values():
            rungs = state.rungs
            if state.estimate_bps is None or not rungs:
                continue
            if state.rung >= len(rungs):
                if state.lack.on_carried(now_us):
                    self._is_changed = True
                    decisions.restored.append((state.line.participant, "down"))
            elif state.lack.on_lacking(now_us):
                publication = state.line.carried.get(rungs[state.rung].sender, "")
                source = self._feeds[publication].feed.source if publication in self._feeds else ""
                decisions.lacking.append(
                    Lacking(
                        state.line.participant, "down", publication, source, state.estimate_bps, state.line.transport
                    )
                )
        for feed_state in self._feeds.values():
            self._look_for_lack_of(feed_state, now_us, decisions)

    def _look_for_lack_of(self, state: _FeedState, now_us: int, decisions: Decisions) -> None:
        """A picture whose client says that its own line holds it back; not one that is limited by us."""
        feed, lack = state.feed, state.lack
        if feed.kind != "video":
            return
        if lack.how == "audio_only":  # its client has nothing to say of what it does not send
            is_over = lack.on_blind(now_us)
        elif state.is_held_back and state.sole.limit_bps is None and not state.yields and not feed.is_muted:
            is_over = False
            if lack.on_lacking(now_us):
                bps = sum(state.latest_bps.values())
                decisions.lacking.append(Lacking(feed.participant, "up", feed.publication, feed.source, bps))
        else:
            is_over = lack.on_carried(now_us)
        if is_over:
            self._are_limits_changed = True
            decisions.restored.append((feed.participant, "up"))

    # ---------------------------------------------------------------- ladders

    def _ladder(self, state: _LineState, now_us: int, decisions: Decisions) -> None:
        tracks = tuple(self._tracks(state, now_us))
        wish_bps = self._wish_bps(state)
        how = state.lack.how
        if (tracks, wish_bps, how) == (state.tracks, state.wish_bps, state.how):
            return
        try:
            ladder = self._allocator.allocate(tracks)
        except Exception:  # a host's own; the ladder there is holds
            self._failures += 1
            return
        state.tracks, state.wish_bps, state.how = tracks, wish_bps, how
        rungs = _opened(ladder.rungs, tracks)
        if wish_bps and rungs and len(rungs) < MAX_RUNGS:
            rungs += (replace(rungs[-1], cost_bps=rungs[-1].cost_bps + wish_bps),)
        rungs = degraded(rungs, how)
        if rungs != (state.rungs or ()):
            self._are_wants_changed = True
            state.rungs = decisions.ladders[state.line.transport] = rungs

    def _wish_bps(self, line: _LineState) -> int:
        """
        What sources that this line alone holds back would send besides. It makes a last rung that changes nothing for
        anyone, but is looked for: a source that follows costs its floor, and no more would ever be tried for it.
        """
        held_back = [
            state
            for publication in line.line.carried.values()
            if (state := self._feeds.get(publication)) is not None
            and state.follows
            and state.sole_line is line
            and state.sole.limit_bps is not None
            and max(state.latest_bps.values(), default=0) * 100 >= state.sole.limit_bps * FILLED_PERCENT
        ]
        return len(held_back) * (FULL_BPS - FLOOR_BPS)

    def _tracks(self, line: _LineState, now_us: int) -> Iterable[Track]:
        for sender, publication in line.line.carried.items():
            state = self._feeds.get(publication)
            if state is None or publication in line.line.paused:
                continue
            feed = state.feed
            if feed.kind == "audio":
                copies_bps = self._copies_bps.get(sender, 0)
                yield Track(sender, "audio", (Layer(0, 0, 0, state.voice_bps),), redundancy_bps=copies_bps)
                continue
            layers = self._layers(state, now_us)
            if layers:
                is_on_stage = (
                    len(self._people) <= SMALL_ROOM
                    or feed.participant == self.speaker.participant
                    or feed.purpose in SHOWN
                )
                yield Track(
                    sender,
                    "video",
                    layers,
                    purpose=feed.purpose,
                    profile=feed.profile,
                    priority=PRIORITY_OF[feed.purpose],
                    is_on_stage=is_on_stage,
                )

    def _layers(self, state: _FeedState, now_us: int) -> tuple[Layer, ...]:
        """What there is to choose from; none: nothing comes, and nothing is to be kept room for."""
        feed = state.feed
        if not state.heard_us and feed.is_muted:
            return ()
        measured = {key: rates.bps for key, rates in state.rates.items() if rates.bps}
        known = {encoding for encoding, _, _ in measured}
        for encoding, bps in enumerate(NOMINAL_BPS[feed.encodings]):
            if encoding not in known:
                measured[encoding, 0, 0] = bps
        layers = tuple(
            Layer(*key, bps)
            for key, bps in sorted(measured.items())
            if not state.heard_us or self._is_there(state, key[0], now_us)
        )
        if state.follows:
            return tuple(following(each, FLOOR_BPS) for each in layers[-1:])
        return layers

    @staticmethod
    def _is_there(state: _FeedState, encoding: int, now_us: int) -> bool:
        """It comes, or would if it were asked for."""
        return now_us - state.heard_us.get(encoding, -UNHEARD_US) < UNHEARD_US or encoding not in state.dynacast.active

    # ---------------------------------------------------------------- limits

    def _obeys(self, state: _FeedState, now_us: int) -> bool:
        limit_bps, rate_bps = state.sole.limit_bps, state.latest_bps.get(0, 0)
        if limit_bps is None or now_us - state.told_us < OBEYS_US:
            return True
        return rate_bps * 100 <= limit_bps * OBEYS_PERCENT

    def _limit_soles(self, now_us: int) -> None:
        for state in self._feeds.values():
            if state.encodings != 1 or state.feed.kind != "video":
                continue
            line = state.sole_line
            follows = line is not None and self._obeys(state, now_us)
            if follows != state.follows:
                state.follows, self._is_changed = follows, True
            if line is None or line.estimate_bps is None:
                self._are_limits_changed |= state.sole.on_receivers(0)
                continue
            others_bps = self._others_bps(line, state)
            rate_bps = state.latest_bps.get(0, 0)
            estimate_bps = line.estimate_bps
            if self._is_held(line, state):
                estimate_bps = max(estimate_bps, BACK_BPS + others_bps)
            room_bps = estimate_bps - others_bps
            if state.sole.limit_bps is None and room_bps * 100 >= rate_bps * NEAR_PERCENT:
                continue
            if room_bps >= CEILING_BPS:
                self._are_limits_changed |= state.sole.on_receivers(0)
            elif state.sole.on_estimate(estimate_bps, others_bps, now_us):
                state.told_us, self._are_limits_changed, self._is_changed = now_us, True, True

    def _make_way(self, now_us: int) -> None:
        """Of one line that leaves a home what is examined comes first: other pictures of it are told to send less."""
        if not self._yieldings and not any(state.yields for state in self._feeds.values()):
            return
        for uplink, yielding in self._yieldings.items():
            examined, others = [], []
            for state in self._feeds.values():
                feed = state.feed
                if feed.uplink == uplink and feed.kind == "video" and not feed.is_muted:
                    if feed.purpose in EXAMINED:
                        examined.append(state)
                    elif feed.purpose not in SHOWN:
                        others.append(state)
            held_back = [each for each in examined if each.is_held_back and _is_free(each)]
            yielding.look(
                now_us,
                examined_bps=min((sum(each.latest_bps.values()) for each in held_back), default=0),
                is_held_back=bool(held_back),
                are_others_held_back=any(each.is_held_back for each in others),
            )
        for state in self._feeds.values():
            feed = state.feed
            found = self._yieldings.get(feed.uplink) if feed.kind == "video" and feed.purpose not in SHOWN else None
            yields = found is not None and found.is_on
            if yields != state.yields:
                state.yields, self._are_limits_changed = yields, True

    @staticmethod
    def _is_held(line: _LineState, state: _FeedState) -> bool:
        """Its picture is paused for lack of room: the rung the line is on has none of it."""
        taken = (line.rungs or ())[: line.rung]
        own = [each for each in taken if line.line.carried.get(each.sender) == state.feed.publication]
        return bool(line.rungs) and (not own or own[-1].is_paused)

    def _others_bps(self, line: _LineState, but: _FeedState) -> int:
        """What else goes over that line."""
        total_bps = 0
        for publication in line.line.carried.values():
            state = self._feeds.get(publication)
            if state is None or state is but or publication in line.line.paused:
                continue
            if state.feed.kind == "audio":
                total_bps += state.voice_bps
            else:
                total_bps += max(state.latest_bps.values(), default=0)
        return total_bps

    def _turn_off(self, now_us: int) -> None:
        """What encodings of each picture somebody has use for."""
        are_changed, self._are_wants_changed = self._are_wants_changed, False
        for state in self._feeds.values():
            if state.feed.kind != "video":
                continue
            before = state.dynacast.active
            if not state.carrying:
                state.dynacast = Dynacast(state.encodings)  # nobody is there: all of it, for who comes next
            elif are_changed:
                for transport in state.dynacast.receivers - {each.line.transport for each in state.carrying}:
                    state.dynacast.on_left(transport, now_us)
                for line in state.carrying:
                    state.dynacast.on_wanted(line.line.transport, self._wanted(line, state, now_us), now_us)
            elif state.dynacast.is_waiting:
                state.dynacast.on_time(now_us)
            self._are_limits_changed |= state.dynacast.active != before
        for line in self._lines.values():
            line.decided_bps = line.estimate_bps

    def _wanted(self, line: _LineState, state: _FeedState, now_us: int) -> frozenset[int]:
        """Which encodings this line has use for."""
        publication = state.feed.publication
        if publication in line.line.paused:
            return frozenset()
        everything = frozenset(range(state.encodings))
        if line.rungs is None or line.estimate_bps is None or state.encodings == 1:
            return everything
        has_bps = line.rungs[line.rung - 1].cost_bps if 0 < line.rung <= len(line.rungs) else 0
        most_bps = max(has_bps, line.estimate_bps * LOOK_PERCENT // 100)
        (sender,) = (each for each, carried in line.line.carried.items() if carried == publication)
        rungs = [each for each in line.rungs if each.sender == sender and not each.is_paused]
        wanted = {each.encoding for each in rungs if each.cost_bps <= most_bps}
        if rungs:
            wanted.add(rungs[0].encoding)  # the least, to come back with
        # What does not come although it is on is on no rung: not left off for that, where all below is wanted.
        for encoding in sorted(everything):
            if not self._is_there(state, encoding, now_us) and wanted.issuperset(range(encoding)):
                wanted.add(encoding)
        return frozenset(wanted)

    def _tell_limits(self, decisions: Decisions) -> None:
        limits: dict[str, dict[str, Limit]] = {each: {} for each in self._limits}
        for publication, state in self._feeds.items():
            rids = () if state.lack.how == "audio_only" else _rids(state)
            limit_bps = state.sole.limit_bps
            if state.yields:
                limit_bps = YIELD_BPS if limit_bps is None else min(YIELD_BPS, limit_bps)
            limit = Limit(limit_bps, rids)
            if limit != Limit():
                limits.setdefault(state.feed.participant, {})[publication] = limit
        decisions.limits = {who: each for who, each in limits.items() if each != self._limits.get(who, {})}
        self._limits = {who: each for who, each in limits.items() if each}


def _is_free(state: _FeedState) -> bool:
    """Nothing but its line holds it back: not we."""
    return state.sole.limit_bps is None and len(state.dynacast.active) == state.feed.encodings


def _rids(state: _FeedState) -> tuple[str, ...] | None:
    """Those to be sent; None: all, empty: nothing of it."""
    active = state.dynacast.active
    if len(active) == state.feed.encodings:
        return None
    return tuple(rid for index, rid in enumerate(state.feed.rids) if index in active)


def _opened(rungs: Iterable[Rung], tracks: Iterable[Track]) -> tuple[Rung, ...]:
    """The rungs as a worker takes them: the uppermost layer there is now stands for all that may come above."""
    tops = {
        (track.sender, layer.encoding): (layer.spatial, layer.temporal)
        for track in tracks
        for layer in sorted(track.layers, key=lambda each: (each.encoding, each.spatial, each.temporal))
    }
    found = []
    for rung in rungs:
        spatial, temporal = tops.get((rung.sender, rung.encoding), (0, 0))
        if not rung.is_paused:
            rung = replace(
                rung,
                spatial=ANY if rung.spatial == spatial else rung.spatial,
                temporal=ANY if (rung.spatial, rung.temporal) == (spatial, temporal) else rung.temporal,
            )
        found.append(rung)
    return tuple(found)
