"""
A TCP sender and its receiver, as competitors on a line: NewReno or CUBIC, with selective acknowledgement.

Sans-I/O. Segments, not bytes; every segment is acknowledged (no delayed acknowledgement), as in the published RMCAT
runs. RFC 5681, 6582 and 6675 in short, RFC 9438 for CUBIC, RFC 6298 for the timer.
"""

from telerelay.sim.clock import MS_US, SECOND_US, Clock
from telerelay.sim.packet import Hop, Packet

SEGMENT_BYTES = 1_500
"""A full segment on the wire."""

ACK_BYTES = 52
"""IP and TCP headers with time stamps."""

INITIAL_WINDOW = 10
"""RFC 6928."""

REORDERING = 3
"""A segment is lost when one sent so many after it has arrived (RFC 6675)."""

MIN_RTO_MARGIN_US, MAX_RTO_US = 200 * MS_US, 60 * SECOND_US
"""Linux waits at least so long past the round trip; RFC 6298 asks for a second in all, which nobody does any more."""

CUBIC_C, CUBIC_BETA = 0.4, 0.7
"""RFC 9438, 5."""

RENO_BETA = 0.5


class Tcp:
    """
    One transfer: `segments` of it, or without end. It is its own receiver: the data's route ends in `data_end`, the
    acknowledgements' route in `ack_end`.
    """

    def __init__(self, clock: Clock, *, is_cubic: bool = False, segments: int | None = None, extra_us: int = 0) -> None:
        self.ack_end = _AckEnd(self)
        self.data_end = _DataEnd(self)
        self.received_bytes = 0
        self.sent_segments = 0
        self.resent_segments = 0
        self.finished_us: int | None = None
        self.began_us: int | None = None
        self.cwnd = float(INITIAL_WINDOW)
        self._clock = clock
        self._is_cubic = is_cubic
        self._beta = CUBIC_BETA if is_cubic else RENO_BETA
        self._segments = segments
        self._extra_us = extra_us
        self._data_route: tuple[Hop, ...] = ()
        self._ack_route: tuple[Hop, ...] = ()
        self._is_stopped = False
        # The sender: what is out, by number, with the time it left; what is known to have arrived of it.
        self._next = 0
        self._una = 0
        self._sacked: set[int] = set()
        self._lost: set[int] = set()
        self._sent_us: dict[int, int] = {}
        self._highest_sacked = -1
        self._scanned = 0
        self._pipe = 0
        self._recover = -1
        self._ssthresh = float("inf")
        self._srtt_us = 0.0
        self._rttvar_us = 0.0
        self._rto_us = SECOND_US
        self._timer_us = 0
        self._is_timer_set = False
        self._w_max = 0.0
        self._epoch_us = -1
        self._k_s = 0.0
        self._reno_window = 0.0
        # The receiver.
        self._expected = 0
        self._above: set[int] = set()

    def connect(self, data_route: tuple[Hop, ...], ack_route: tuple[Hop, ...]) -> None:
        """The hops of both directions; the ends are added here."""
        self._data_route = (*data_route, self.data_end)
        self._ack_route = (*ack_route, self.ack_end)

    def start(self, now_us: int, _: None = None) -> None:
        """Begin sending."""
        self.began_us = now_us
        self._send(now_us)

    def stop(self, now_us: int, _: None = None) -> None:
        """Send nothing new."""
        self._is_stopped = True

    # ---------------------------------------------------------------- receiver

    def on_data(self, now_us: int, packet: Packet) -> None:
        """A segment has arrived; acknowledge it."""
        seq = packet.seq
        if seq >= self._expected and seq not in self._above:
            self.received_bytes += packet.size_bytes
            self._above.add(seq)
            while self._expected in self._above:
                self._above.discard(self._expected)
                self._expected += 1
        content = (self._expected, seq, packet.content)
        Packet(self._ack_route, ACK_BYTES, now_us, content=content, extra_us=self._extra_us).start(now_us)

    # ---------------------------------------------------------------- sender

    def on_ack(self, now_us: int, packet: Packet) -> None:
        """An acknowledgement has arrived."""
        una, seq, echo_us = packet.content
        self._sample_rtt(now_us - echo_us)
        newly = 0
        if seq >= self._una and seq not in self._sacked and seq in self._sent_us:
            self._sacked.add(seq)
            self._highest_sacked = max(self._highest_sacked, seq)
            newly = 1
            if seq in self._lost:
                self._lost.discard(seq)
            else:
                self._pipe -= 1
        if una > self._una:
            for each in range(self._una, una):
                if each not in self._sacked:
                    newly += 1
                    if each in self._lost:
                        self._lost.discard(each)
                    else:
                        self._pipe -= 1
                self._sacked.discard(each)
                self._sent_us.pop(each, None)
            self._una = una
            self._scanned = max(self._scanned, una)
            self._arm(now_us)
        if self._segments is not None and self._una >= self._segments:
            if self.finished_us is None:
                self.finished_us = now_us
            return
        self._find_lost(now_us)
        if newly and self._una > self._recover:
            self._grow(now_us, newly)
        self._send(now_us)

    def _find_lost(self, now_us: int) -> None:
        limit = self._highest_sacked - REORDERING
        while self._scanned <= limit:
            seq = self._scanned
            self._scanned += 1
            if seq < self._una or seq in self._sacked or seq in self._lost:
                continue
            self._lost.add(seq)
            self._pipe -= 1
            if seq > self._recover:
                self._reduce(now_us)

    def _reduce(self, now_us: int) -> None:
        """One loss event: at most once for what is out now."""
        self._recover = self._next - 1
        if self._is_cubic:
            # Fast convergence (RFC 9438, 4.7): who is shrinking leaves room.
            self._w_max = self.cwnd * (1 + CUBIC_BETA) / 2 if self.cwnd < self._w_max else self.cwnd
            self._epoch_us = -1
        self._ssthresh = max(2.0, self.cwnd * self._beta)
        self.cwnd = self._ssthresh

    def _grow(self, now_us: int, acked: int) -> None:
        if self.cwnd < self._ssthresh:
            self.cwnd += acked
            return
        if not self._is_cubic:
            self.cwnd += acked / self.cwnd
            return
        if self._epoch_us < 0:
            self._epoch_us = now_us
            self._k_s = ((max(self._w_max, self.cwnd) - self.cwnd) / CUBIC_C) ** (1 / 3)
            self._w_max = max(self._w_max, self.cwnd)
            self._reno_window = self.cwnd
        since_s = (now_us - self._epoch_us + self._srtt_us) / SECOND_US
        wanted = CUBIC_C * (since_s - self._k_s) ** 3 + self._w_max
        self._reno_window += 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA) * acked / self.cwnd
        wanted = min(max(wanted, self._reno_window), 1.5 * self.cwnd)
        if wanted > self.cwnd:
            self.cwnd += (wanted - self.cwnd) / self.cwnd * acked

    def _sample_rtt(self, rtt_us: int) -> None:
        if self._srtt_us == 0:
            self._srtt_us, self._rttvar_us = float(rtt_us), rtt_us / 2
        else:
            self._rttvar_us += (abs(self._srtt_us - rtt_us) - self._rttvar_us) / 4
            self._srtt_us += (rtt_us - self._srtt_us) / 8
        self._rto_us = min(MAX_RTO_US, round(self._srtt_us + max(MIN_RTO_MARGIN_US, 4 * self._rttvar_us)))

    def _send(self, now_us: int) -> None:
        while self._pipe < int(self.cwnd):
            if self._lost:
                seq = min(self._lost)
                self._lost.discard(seq)
                self.resent_segments += 1
            elif not self._is_stopped and (self._segments is None or self._next < self._segments):
                seq = self._next
                self._next += 1
            else:
                return
            self._pipe += 1
            self.sent_segments += 1
            self._sent_us[seq] = now_us
            if not self._is_timer_set:
                self._arm(now_us)
            Packet(self._data_route, SEGMENT_BYTES, now_us, seq, now_us, self._extra_us).start(now_us)

    def _arm(self, now_us: int) -> None:
        self._timer_us = now_us + self._rto_us
        if not self._is_timer_set and self._una < self._next:
            self._is_timer_set = True
            self._clock.at(self._timer_us, self._on_timer)

    def _on_timer(self, now_us: int, _: None) -> None:
        self._is_timer_set = False
        if self._una >= self._next:
            return
        if now_us < self._timer_us:
            self._is_timer_set = True
            self._clock.at(self._timer_us, self._on_timer)
            return
        # Everything that is out counts as lost; begin with one segment (RFC 5681, 3.1).
        self._ssthresh = max(2.0, self.cwnd * self._beta)
        self._w_max = self.cwnd
        self._epoch_us = -1
        self.cwnd = 1.0
        # Slow start grows again at once; what is out is scanned already and cannot reduce the window a second time.
        self._recover = -1
        self._lost = {seq for seq in range(self._una, self._next) if seq not in self._sacked}
        self._scanned = self._next
        self._pipe = 0
        self._rto_us = min(MAX_RTO_US, self._rto_us * 2)
        self._send(now_us)


class _DataEnd:
    __slots__ = ("_tcp",)

    def __init__(self, tcp: Tcp) -> None:
        self._tcp = tcp

    def take(self, now_us: int, packet: Packet) -> None:
        self._tcp.on_data(now_us, packet)


class _AckEnd:
    __slots__ = ("_tcp",)

    def __init__(self, tcp: Tcp) -> None:
        self._tcp = tcp

    def take(self, now_us: int, packet: Packet) -> None:
        self._tcp.on_ack(now_us, packet)
