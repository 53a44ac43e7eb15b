"""
One video flow from an encoder to a receiver, rate set by a controller: what the RFC's cases are made of.

Sans-I/O.
"""

import random
from typing import Any

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.controller import Bounds, Controller
from telerelay.sim.encoder import Encoder
from telerelay.sim.feedback import FIXED_BYTES, FeedbackReceiver
from telerelay.sim.pacer import DRAIN_US, RESEND, VIDEO, MakePacer, Pacer
from telerelay.sim.packet import OVERHEAD_BYTES, Hop, Packet
from telerelay.sim.sender import TransportSender
from telerelay.sim.track import PAYLOAD_BYTES, Piece, TrackReceiver, cut

REPAIR_GAP_US = 20_000
"""How often a receiver looks for what to ask for."""

CACHE_PIECES = 1_024
"""What can be sent again: some seconds of video."""

RESEND_SHARE_GAP_US = 500_000
"""Over this time what is resent is counted, to be taken from the encoder's share."""


class VideoFlow:
    """`connect` once, then `run`. With `repairs` what is lost is asked for and sent again."""

    def __init__(
        self,
        clock: Clock,
        controller: Controller,
        source: random.Random,
        bounds: Bounds,
        *,
        extra_us: int = 0,
        repairs: bool = False,
        make_pacer: MakePacer = Pacer,
    ) -> None:
        self.bounds = bounds
        self.start_us = 0
        self.stop_us = 0
        self.track = TrackReceiver()
        self.receiver = FeedbackReceiver(clock, listener=self, extra_us=extra_us)
        self.resent_bytes = 0
        self.dropped_frames = 0
        self.repairs = repairs
        self._clock = clock
        self._controller = controller
        self._extra_us = extra_us
        self._make_pacer = make_pacer
        self._encoder = Encoder(source, start_bps=bounds.start_bps, min_bps=bounds.min_bps // 4, max_bps=bounds.max_bps)
        self._sender: TransportSender | None = None
        self._back: tuple[Hop, ...] = ()
        self._seq = 0
        self._frame = 0
        self._cache: dict[int, tuple[Piece, int]] = {}
        self._resend_marks: list[tuple[int, int]] = []
        self._silent: tuple[int, int] | None = None

    def connect(self, forward: tuple[Hop, ...], backward: tuple[Hop, ...]) -> None:
        """The hops of both directions without their ends."""
        self._sender = TransportSender(
            self._clock,
            self._controller,
            (*forward, self.receiver),
            extra_us=self._extra_us,
            make_pacer=self._make_pacer,
        )
        self.receiver.connect((*backward, self._sender))
        self._back = (*backward, _Requests(self))

    @property
    def sender(self) -> TransportSender:
        """Its near end. Only after connect."""
        assert self._sender is not None
        return self._sender

    def run(self, start_us: int, stop_us: int, silent: tuple[int, int] | None = None) -> None:
        """Send between those moments; `silent` is a stretch in which the camera is off."""
        self.start_us, self.stop_us, self._silent = start_us, stop_us, silent
        self._clock.at(start_us, self._begin)

    # ---------------------------------------------------------------- sending

    def _begin(self, now_us: int, _: None) -> None:
        sender = self.sender
        sender.run(now_us, self.stop_us)
        self.receiver.run(now_us, self.stop_us + SECOND_US)
        sender.demand(now_us, self.bounds.max_bps)
        self._capture(now_us, None)
        if self.repairs:
            self._clock.at(now_us + REPAIR_GAP_US, self._repair)

    def _capture(self, now_us: int, _: None) -> None:
        if now_us >= self.stop_us:
            return
        if self._silent and self._silent[0] <= now_us < self._silent[1]:
            self.sender.demand(now_us, 0)
            self._clock.at(self._silent[1], self._resume)
            return
        encoder, sender = self._encoder, self.sender
        encoder.set_target(now_us, self._payload_bps(now_us))
        frame, gap_us = encoder.next_frame(now_us)
        self._clock.at(now_us + gap_us, self._capture)
        pace_bps = max(1, self._controller.pacing_bps)
        if sender.pacer.queued_bytes * 8 * SECOND_US // pace_bps > DRAIN_US:
            # libwebrtc stops its encoder when the pacer's queue is two seconds long.
            self.dropped_frames += 1
            encoder.want_key_frame()
            return
        count, payload = cut(frame.size_bytes)
        number = self._frame
        self._frame += 1
        for index in range(count):
            seq = self._seq
            self._seq += 1
            piece = Piece(0, seq, number, now_us, index, count, payload + OVERHEAD_BYTES, frame.is_key)
            if self.repairs:
                self._cache[seq] = (piece, 0)
                self._cache.pop(seq - CACHE_PIECES, None)
            sender.put(now_us, piece.size_bytes, piece, VIDEO)

    def _resume(self, now_us: int, _: None) -> None:
        self.sender.demand(now_us, self.bounds.max_bps)
        self._encoder.want_key_frame()
        self._capture(now_us, None)

    def _payload_bps(self, now_us: int) -> int:
        """What is left of the target for payload: without headers and what is sent again."""
        target = self._controller.target_bps
        marks = self._resend_marks
        while marks and marks[0][0] < now_us - RESEND_SHARE_GAP_US:
            marks.pop(0)
        if marks:
            target -= min(target // 2, sum(size for _, size in marks) * 8 * SECOND_US // RESEND_SHARE_GAP_US)
        packets = -(-(target // 8) // round(self._encoder.fps * (PAYLOAD_BYTES + OVERHEAD_BYTES)))
        return target - round(max(1, packets) * self._encoder.fps) * OVERHEAD_BYTES * 8

    # ---------------------------------------------------------------- receiving and repair

    def on_content(self, now_us: int, content: Any) -> None:
        """A packet of media has arrived."""
        self.track.on_piece(now_us, content)

    def _repair(self, now_us: int, _: None) -> None:
        if now_us >= self.stop_us + SECOND_US:
            return
        self._clock.at(now_us + REPAIR_GAP_US, self._repair)
        seqs = self.track.next_nacks(now_us, self.sender.rtt_us)
        wants_key = self.track.wants_key(now_us)
        if seqs or wants_key:
            Packet(self._back, FIXED_BYTES + 4 * len(seqs), now_us, content=(seqs, wants_key)).start(now_us)

    def on_requests(self, now_us: int, seqs: list[int], wants_key: bool) -> None:
        """The receiver misses these, or needs a key frame."""
        sender = self.sender
        for seq in seqs:
            kept = self._cache.get(seq)
            if kept is None or now_us - kept[1] < min(sender.rtt_us, RESEND_SHARE_GAP_US):
                continue
            self._cache[seq] = (kept[0], now_us)
            self.resent_bytes += kept[0].size_bytes
            self._resend_marks.append((now_us, kept[0].size_bytes))
            sender.put(now_us, kept[0].size_bytes, kept[0], RESEND)
        if wants_key:
            self._encoder.want_key_frame()


class _Requests:
    """The near end of the way back for requests."""

    __slots__ = ("_flow",)

    def __init__(self, flow: VideoFlow) -> None:
        self._flow = flow

    def take(self, now_us: int, packet: Packet) -> None:
        self._flow.on_requests(now_us, *packet.content)
