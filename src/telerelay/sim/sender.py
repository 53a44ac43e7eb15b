"""
The near end of a transport: a pacer, a controller, and what both need to know of packets on their way.

Sans-I/O. It owns the transport-wide numbers; what a packet carries is the caller's.
"""

from array import array
from typing import Any

from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.controller import LOST, TICK_US, Controller, Result
from telerelay.sim.feedback import BIN_US
from telerelay.sim.pacer import VIDEO, MakePacer, Pacer, Pacing
from telerelay.sim.packet import Hop, Packet

KEPT_PACKETS = 8_192
"""Packets no feedback spoke of are forgotten after so many more: a feedback that was lost never comes again."""


class TransportSender:
    """`route` ends in the FeedbackReceiver; feedback comes in by `take`."""

    def __init__(
        self,
        clock: Clock,
        controller: Controller,
        route: tuple[Hop, ...],
        *,
        extra_us: int = 0,
        make_pacer: MakePacer = Pacer,
    ) -> None:
        self.controller = controller
        self.pacer: Pacing = make_pacer(clock, controller, self._send)
        self.sent_packets = 0
        self.sent_bytes = 0
        self.lost_packets = 0
        self.target_bps = array("q")
        self.sent_bps = array("q")
        self.pacer_us = array("q")
        self.rtt_us = 200_000
        self._clock = clock
        self._route = route
        self._extra_us = extra_us
        self._put_us: dict[int, int] = {}
        self._seq = 0
        self._out: dict[int, tuple[int, int, int]] = {}
        self._forgotten = 0
        self._start_us = self._stop_us = 0
        self._tick_bytes = 0
        self._bin_bytes = 0

    def run(self, start_us: int, stop_us: int) -> None:
        """Give the controller the time between those moments."""
        self._start_us, self._stop_us = start_us, stop_us
        self._clock.at(start_us, self._tick)

    def put(self, now_us: int, size_bytes: int, content: Any, rank: int = VIDEO, stream: int = 0) -> None:
        """Send one packet, as soon as the pacer lets it."""
        # Who waits is alive, so its id is its own.
        self._put_us[id(content)] = now_us
        self.pacer.put(now_us, size_bytes, content, rank, stream)

    def demand(self, now_us: int, wanted_bps: int) -> None:
        """Tell the controller how much could be used."""
        self.controller.on_demand(now_us, wanted_bps)
        self._probe(now_us)

    def take(self, now_us: int, packet: Packet) -> None:
        """Feedback has come."""
        out, results = self._out, []
        newest_us = -1
        for seq, received_us in packet.content:
            sent = out.get(seq)
            if sent is None:
                continue
            size_bytes, sent_us, probe_id = sent
            if received_us == LOST:
                self.lost_packets += 1
            else:
                del out[seq]
                newest_us = sent_us
            results.append(Result(seq, size_bytes, sent_us, received_us, probe_id))
        if newest_us >= 0:
            # What waited for the feedback's turn is in it, as it is for a sender that knows no better.
            self.rtt_us = now_us - newest_us
        if results:
            self.controller.on_feedback(now_us, results)
            self._probe(now_us)

    def _send(self, now_us: int, size_bytes: int, content: Any, probe_id: int) -> None:
        self._seq = seq = self._seq + 1
        put_us = self._put_us.pop(id(content), None)
        if put_us is not None:
            self.pacer_us.append(now_us - put_us)
        self._out[seq] = (size_bytes, now_us, probe_id)
        self.sent_packets += 1
        self.sent_bytes += size_bytes
        self._tick_bytes += size_bytes
        self.controller.on_packet_sent(now_us, seq, size_bytes, probe_id)
        Packet(self._route, size_bytes, now_us, seq, content, self._extra_us).start(now_us)

    def _tick(self, now_us: int, _: None) -> None:
        if now_us >= self._stop_us:
            return
        self._clock.at(now_us + TICK_US, self._tick)
        controller, pacer = self.controller, self.pacer
        controller.on_time(now_us, pacer.queued_bytes)
        self._probe(now_us)
        if controller.padding_bps:
            pacer.pad(now_us, controller.padding_bps * TICK_US // SECOND_US // 8 - self._tick_bytes)
        self._bin_bytes += self._tick_bytes
        self._tick_bytes = 0
        if (now_us - self._start_us) % BIN_US == 0:
            self.target_bps.append(controller.target_bps)
            self.sent_bps.append(self._bin_bytes * 8 * SECOND_US // BIN_US)
            self._bin_bytes = 0
            while self._forgotten < self._seq - KEPT_PACKETS:
                self._forgotten += 1
                self._out.pop(self._forgotten, None)

    def _probe(self, now_us: int) -> None:
        if not self.pacer.is_probing:
            probe = self.controller.next_probe()
            if probe is not None:
                self.pacer.start_probe(now_us, probe)
