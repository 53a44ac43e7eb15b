"""
A consult over one bad downlink: a relay that forwards layers of three tracks and two voices to one doctor.

Sans-I/O. Publishers' lines are good; what is tried is a controller together with an allocator, on the doctor's line.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from telerelay.sim import allocators, controllers, world
from telerelay.sim.allocators import Oracle
from telerelay.sim.case import LinePlan
from telerelay.sim.choices import NONE, Choice
from telerelay.sim.clock import MS_US, SECOND_US, Clock, randomness
from telerelay.sim.controller import Bounds, Controller
from telerelay.sim.encoder import Frame
from telerelay.sim.feedback import BIN_US, FIXED_BYTES, FeedbackReceiver
from telerelay.sim.fixed import FixedRate
from telerelay.sim.follower import Follower
from telerelay.sim.laddered import Laddered
from telerelay.sim.own_pacer import OwnPacer
from telerelay.sim.pacer import AUDIO, RESEND, VIDEO, Pacer
from telerelay.sim.packet import OVERHEAD_BYTES, Packet
from telerelay.sim.sender import TransportSender
from telerelay.sim.simulcast import IMAGE, PATIENT, RELATIVE, Publisher, TrackPlan, is_forwarded
from telerelay.sim.steady import AUDIO_FRAME_US
from telerelay.sim.track import Piece, TrackReceiver, cut
from telerelay.sim.voice import VOICE_BPS, Repair, Voice, VoicePiece

VOICES = 2
"""Those of the patient and of the relative."""

BOUNDS = Bounds(start_bps=1_000_000, min_bps=30_000, max_bps=6_000_000)
"""What servers start a receiver with, and more than all layers together cost."""

RED = "red"
"""Third part of a contender's name: with redundancy of voices, where adaptation is on."""

ALLOCATE_US = 100 * MS_US
REPAIR_US = 20 * MS_US
LOSS_WINDOW = 20
"""Loss is looked at over the last two seconds: twenty ticks."""

CACHE_PIECES = 1_024
QUEUE_MOST_US = 1 * SECOND_US
"""What waits longer in the pacer is too late to be worth sending: the frame of a camera is skipped."""

LEAST_PACE_BPS = 64_000
"""An oracle in an outage lets go of what it has slowly: it would be queued anyway."""

ORACLE_AHEAD_S = 4
"""The oracle sees so many seconds of the line: two switches within four seconds are one too many."""


@dataclass(frozen=True, slots=True)
class ConsultCase:
    """
    One consult: the doctor's line, and how long.

    `back` is the way back; without it, one that limits nothing. The doctor joins at a moment between the two of
    `joins_s`; the others are there from the beginning. `voices` of them speak all the time.
    """

    suite: str
    name: str
    title: str
    duration_s: float
    line: LinePlan
    back: LinePlan | None = None
    tracks: tuple[TrackPlan, ...] = (PATIENT, RELATIVE, IMAGE)
    joins_s: tuple[float, float] = (0.0, 0.0)
    voices: int = VOICES
    tags: frozenset[str] = field(default_factory=frozenset)


class _Forward:
    """One track as the relay forwards it."""

    __slots__ = ("cache", "choice", "frames", "layer", "needs_key", "pending", "seq", "switches")

    def __init__(self) -> None:
        self.choice = NONE
        self.layer = -1
        self.pending = -1
        self.seq = 0
        self.frames = 0
        self.switches: list[tuple[int, int]] = []
        self.needs_key = False
        self.cache: dict[int, tuple[Piece, int]] = {}


class _Asks(Protocol):
    """Whatever misses packets."""

    def next_nacks(self, now_us: int, rtt_us: int) -> list[int]:
        """What to ask for now."""


class Source(Protocol):
    """What a receiver needs of a publisher."""

    @property
    def key_requests(self) -> int:
        """How many reached it."""

    def want_key_frame(self, now_us: int, layer: int) -> None:
        """Ask it for a key frame."""


class ConsultWorld:
    """Everything of one run, to be read after `run`."""

    def __init__(
        self,
        case: ConsultCase,
        contender: str,
        seed: int,
        *,
        clock: Clock | None = None,
        publishers: Sequence[Source] | None = None,
    ) -> None:
        """With a clock and publishers of others it is one receiver among several, who runs them: `join` begins it."""
        controller_name, _, rest = contender.partition("+")
        allocator_name, _, repair = rest.partition("+")
        self.case = case
        self.clock = clock = clock or Clock()
        plans = case.tracks
        self._audio_bps = case.voices * VOICE_BPS
        # The measure is an oracle of its own, asked at the times of the samples.
        self._oracle = Oracle(plans, self._audio_bps)
        self.controller: Controller
        self._knowing: FixedRate | None = None
        self.allocator: allocators.Allocator
        if contender == allocators.ORACLE:
            self._knowing = FixedRate(BOUNDS.max_bps)
            self.controller, self.allocator = self._knowing, Oracle(plans, self._audio_bps)
        else:
            self.controller = controllers.make(controller_name, BOUNDS)
            self.allocator = allocators.make(allocator_name, plans, case.voices)
        self.link = world.make_link(clock, case.line, seed, "forward", 0)
        back = world.make_link(clock, case.back or LinePlan(delay_ms=case.line.delay_ms), seed, "backward", 0)
        self.receiver = FeedbackReceiver(clock, listener=self)
        is_own = allocator_name == allocators.OWN
        make_pacer = OwnPacer if is_own else controllers.PACERS.get(controller_name, Pacer)
        self.sender = TransportSender(clock, self.controller, (self.link, self.receiver), make_pacer=make_pacer)
        self.receiver.connect((back, self.sender))
        self._back: tuple[Any, ...] = (back, self)
        self.tracks = [TrackReceiver() for _ in plans]
        self._own = (
            []
            if publishers is not None
            else [
                Publisher(clock, at, plan, randomness(seed, "publisher", plan.name), self.on_frame)
                for at, plan in enumerate(plans)
            ]
        )
        self.publishers: Sequence[Source] = self._own if publishers is None else publishers
        self._followers = [
            (at, Follower(publisher, self._audio_bps))
            for at, publisher in enumerate(self._own)
            if plans[at].is_following
        ]
        self.forwards = [_Forward() for _ in plans]
        self.voices = [
            Voice(clock, at, Repair(has_red=repair == RED), self._put_voice, lambda: self.controller.target_bps)
            for at in range(case.voices)
        ]
        self.most_spatial = 99
        self.layers: list[list[int]] = [[] for _ in plans]
        self.oracle_layers: list[list[int]] = [[] for _ in plans]
        self.waiting_us: list[int] = []
        self.padding_bytes: list[int] = []
        self._lost_marks: list[tuple[int, int]] = []
        self._stop_us = world.seconds(case.duration_s)
        self.join_us = world.seconds(randomness(seed, "join").uniform(*case.joins_s))
        self._wanted_bps = 0

    def run(self) -> None:
        """Let it all happen."""
        for publisher in self._own:
            publisher.run(0, self._stop_us)
        self.clock.at(self.join_us, self.join)
        self.clock.run(self._stop_us)

    def join(self, now_us: int, _: None) -> None:
        """The doctor is there from now on."""
        clock, stop_us = self.clock, self._stop_us
        self.sender.run(now_us, stop_us)
        self.receiver.run(now_us, stop_us)
        self._wanted_bps = self.allocator.wanted_bps() + self._audio_bps
        self.sender.demand(now_us, self._wanted_bps)
        for at, voice in enumerate(self.voices):
            voice.run(now_us + at * AUDIO_FRAME_US // self.case.voices, stop_us - 2 * SECOND_US)
        clock.at(now_us, self._allocate)
        clock.at(now_us + REPAIR_US, self._repair)
        clock.at(now_us + BIN_US, self._sample)

    # ---------------------------------------------------------------- the relay

    def _allocate(self, now_us: int, _: None) -> None:
        self.clock.at(now_us + ALLOCATE_US, self._allocate)
        marks, sender = self._lost_marks, self.sender
        marks.append((sender.lost_packets, sender.sent_packets))
        if len(marks) > LOSS_WINDOW:
            marks.pop(0)
        sent = marks[-1][1] - marks[0][1]
        loss = (marks[-1][0] - marks[0][0]) / sent if sent else 0.0
        ahead_bps = self._ahead_bps(now_us)
        if self._knowing is not None:
            # Who knows the line paces by it, and takes no loss for a sign.
            self._knowing.pacing_bps = max(LEAST_PACE_BPS, round(Oracle.SHARE * ahead_bps[0]) - self._audio_bps)
            loss = self.case.line.loss
        # A controller that knows the line apart from what waits in the pacer says so.
        estimate_bps = getattr(self.controller, "estimate_bps", self.controller.target_bps)
        queue_us = getattr(self.controller, "queue_us", 0)
        for at, choice in enumerate(self.allocator.allocate(now_us, estimate_bps, loss, ahead_bps, queue_us)):
            self._choose(now_us, at, choice)
        for at, follower in self._followers:
            follower.on_estimate(now_us, estimate_bps, is_paused=self.forwards[at].choice.spatial < 0)
        if isinstance(self.allocator, Laddered) and self.allocator.wanted_bps() != self._wanted_bps:
            self._wanted_bps = self.allocator.wanted_bps()
            self.sender.demand(now_us, self._wanted_bps)

    def _ahead_bps(self, now_us: int) -> list[int]:
        capacity = self.link.capacity
        starts = range(now_us, now_us + ORACLE_AHEAD_S * SECOND_US, SECOND_US)
        return [capacity.bits(start, start + SECOND_US) for start in starts]

    def _choose(self, now_us: int, at: int, choice: Choice) -> None:
        forward = self.forwards[at]
        if choice.spatial > self.most_spatial:
            choice = Choice(self.most_spatial, choice.temporal)
        forward.choice = choice
        if choice.spatial < 0:
            if forward.layer >= 0:
                forward.layer = -1
                self._drop(at)
                forward.switches.append((now_us, -1))
            forward.pending = -1
        elif choice.spatial != forward.layer or forward.needs_key:
            forward.pending = choice.spatial
            self.publishers[at].want_key_frame(now_us, choice.spatial)
        else:
            forward.pending = -1

    def _drop(self, at: int) -> None:
        """What waits of a track is not sent any more, where the pacer can do so: numbers are given at release."""
        dropped = self.sender.pacer.drop(at) if isinstance(self.sender.pacer, OwnPacer) else []
        if not dropped:
            return
        forward, first = self.forwards[at], dropped[0]
        for piece in dropped:
            forward.cache.pop(piece.seq, None)
        forward.seq = first.seq
        forward.frames = first.frame + (1 if first.index else 0)

    def on_frame(self, now_us: int, at: int, layer: int, frame: Frame) -> None:
        """A frame of that track and layer has come from its publisher."""
        forward = self.forwards[at]
        if layer == forward.pending and frame.is_key:
            if layer < forward.layer or forward.needs_key:
                self._drop(at)
            if layer != forward.layer:
                forward.switches.append((now_us, layer))
            forward.layer, forward.pending, forward.needs_key = layer, -1, False
        if layer != forward.layer or forward.needs_key or not is_forwarded(frame, forward.choice.temporal):
            return
        pace_bps = max(1, self.controller.pacing_bps)
        waiting_us = self.sender.pacer.waiting_bytes(at) * 8 * SECOND_US // pace_bps
        if waiting_us > QUEUE_MOST_US and not self.case.tracks[at].is_slides:
            forward.needs_key = True
            return
        count, payload = cut(frame.size_bytes)
        for index in range(count):
            size = payload + OVERHEAD_BYTES
            piece = Piece(at, forward.seq, forward.frames, frame.captured_us, index, count, size, frame.is_key, layer)
            forward.cache[forward.seq] = (piece, 0)
            forward.cache.pop(forward.seq - CACHE_PIECES, None)
            forward.seq += 1
            self.sender.put(now_us, size, piece, VIDEO, at)
        forward.frames += 1

    def _put_voice(self, now_us: int, piece: VoicePiece) -> None:
        self.sender.put(now_us, piece.size_bytes, piece, AUDIO)

    def take(self, now_us: int, packet: Packet) -> None:
        """The doctor's requests have come: what to send again, and for which tracks a key frame."""
        nacks, keys = packet.content
        for at, seqs in nacks:
            if at < 0:
                self.voices[-1 - at].on_request(now_us, seqs, self.sender.rtt_us)
                continue
            cache = self.forwards[at].cache
            for seq in seqs:
                kept = cache.get(seq)
                if kept is None or now_us - kept[1] < min(self.sender.rtt_us, SECOND_US // 2):
                    continue
                cache[seq] = (kept[0], now_us)
                self.sender.put(now_us, kept[0].size_bytes, kept[0], RESEND)
        for at in keys:
            forward = self.forwards[at]
            if forward.layer >= 0:
                forward.pending = forward.layer if forward.pending < 0 else forward.pending
                self.publishers[at].want_key_frame(now_us, forward.pending)

    # ---------------------------------------------------------------- the doctor

    def on_content(self, now_us: int, content: Any) -> None:
        """A packet has arrived."""
        if content.track < 0:
            self.voices[-1 - content.track].on_piece(now_us, content, self.link.delay_us)
        else:
            self.tracks[content.track].on_piece(now_us, content)

    def _repair(self, now_us: int, _: None) -> None:
        self.clock.at(now_us + REPAIR_US, self._repair)
        rtt_us = self.sender.rtt_us
        receivers: list[tuple[int, _Asks]] = [
            *((-1 - at, voice) for at, voice in enumerate(self.voices)),
            *enumerate(self.tracks),
        ]
        nacks = [(at, seqs) for at, track in receivers if (seqs := track.next_nacks(now_us, rtt_us))]
        keys = [at for at, track in enumerate(self.tracks) if track.wants_key(now_us)]
        if nacks or keys:
            size = FIXED_BYTES + 4 * sum(len(seqs) for _, seqs in nacks)
            Packet(self._back, size, now_us, content=(nacks, keys)).start(now_us)

    def _sample(self, now_us: int, _: None) -> None:
        self.clock.at(now_us + BIN_US, self._sample)
        self.waiting_us.append(self.link.waiting_us(now_us))
        self.padding_bytes.append(self.sender.pacer.padding_bytes)
        truth = self._oracle.allocate(now_us, 0, self.case.line.loss, self._ahead_bps(now_us))
        for at, forward in enumerate(self.forwards):
            self.layers[at].append(forward.layer)
            self.oracle_layers[at].append(truth[at].spatial)
