"""
The sending half of an SCTP association: what may leave when, and what is sent again (RFC 9260, 6.1 to 6.3 and 7.2).

Event loop's thread. aiortc keeps the state; the rules are these, since its own resend each lost chunk once for every
third acknowledgement that was under way meanwhile, resend what had arrived, and begin anew with three seconds of wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, cast

from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.utils import uint16_add, uint32_gt, uint32_gte

# With SCTP's headers (28), the DTLS record (at most 37) and UDP over IPv6 (48) a datagram stays below 1,200 bytes.
MAX_CHUNK_BYTES = 1084

# So much a queued message costs beside its bytes: many small ones are not free.
MESSAGE_OVERHEAD_BYTES = 64

# RFC 9260, 7.2.1 allows 4,404 bytes; ten packets are what TCP begins with (RFC 6928), and browsers with SCTP.
INITIAL_WINDOW_BYTES = 10 * MAX_CHUNK_BYTES
# At once after an acknowledgement (RFC 9260, 6.1 D): more would stand in line before somebody's voice.
MAX_BURST_BYTES = 4 * MAX_CHUNK_BYTES
MIN_THRESHOLD_BYTES = 4 * MAX_CHUNK_BYTES
# So many acknowledgements of later chunks make a chunk a lost one (RFC 9260, 7.2.4).
MISSES_OF_A_LOSS = 3

# What browsers begin with and never go below. RFC 9260, 16 has 1 s, which a call feels as an interruption.
INITIAL_TIMEOUT_S = 0.5
MIN_TIMEOUT_S = 0.4
# A path that is back after an ICE restart is used within that. Liveness is ICE's to judge (RFC 7675): nobody gives up.
MAX_TIMEOUT_S = 2.0
# Of a handshake: half a minute in all, as long as DTLS has.
MAX_HANDSHAKE_SENDS = 17

TSN_MODULO = 2**32


def run_now(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("an association waited for something")


class _Chunk(sctp.DataChunk):  # type: ignore[misc,unused-ignore]
    """Of a message of ours. `_resent_after` is the newest TSN that had left when it was sent again."""

    _resent_after: int | None


class Sending(sctp.RTCSctpTransport):  # type: ignore[misc,unused-ignore]
    """
    `queued_bytes` is what waits to be acknowledged by the peer, with its overhead.
    """

    _ssthresh: int

    def __init__(self, line: object) -> None:
        super().__init__(line)  # type: ignore[arg-type,unused-ignore]
        self.queued_bytes = 0
        self.resends = 0
        """Chunks sent again."""
        self._cwnd = INITIAL_WINDOW_BYTES
        self._rto = INITIAL_TIMEOUT_S
        self._peer_window = MAX_CHUNK_BYTES
        self._timeouts = 0  # in a row
        self._has_lost = False  # something in the sent queue waits to be sent again
        self._unacknowledged: deque[tuple[int, int, int]] = deque()  # of each message: last TSN, cost, stream

    # ---------------------------------------------------------------- messages

    def cost(self, payload: bytes) -> int:
        """What a message adds to `queued_bytes`."""
        return len(payload) + MESSAGE_OVERHEAD_BYTES

    def post(self, channel: RTCDataChannel, protocol: int, payload: bytes) -> None:
        """Queue a message on a channel and send what may be sent."""
        channel._addBufferedAmount(len(payload))  # taken off when it leaves the queue
        self.queue(channel, protocol, payload)

    def queue(self, channel: RTCDataChannel, protocol: int, payload: bytes) -> None:
        """The same for what is no message of the application's (RFC 8832, 5): its buffered amount does not count it."""
        self.queued_bytes += self.cost(payload)
        self._data_channel_queue.append((channel, protocol, payload))
        run_now(self._data_channel_flush())

    def drop_queued(self, channel: RTCDataChannel) -> None:
        """Forget what waits on a channel and has not begun to be sent."""
        kept = [entry for entry in self._data_channel_queue if entry[0] is not channel]
        self.queued_bytes -= sum(self.cost(entry[2]) for entry in self._data_channel_queue if entry[0] is channel)
        self._data_channel_queue = deque(kept)

    def is_busy(self, channel: RTCDataChannel) -> bool:
        """Whether a message on a channel waits to be sent or acknowledged."""
        return any(entry[0] is channel for entry in self._data_channel_queue) or any(
            entry[2] == channel.id for entry in self._unacknowledged
        )

    def forget(self) -> None:
        """The association is over."""
        self.queued_bytes = 0
        for queue in (self._unacknowledged, self._outbound_queue, self._sent_queue, self._data_channel_queue):
            queue.clear()

    async def _send(
        self,
        stream_id: int,
        pp_id: int,
        user_data: bytes,
        expiry: float | None = None,
        max_retransmits: int | None = None,
        ordered: bool = True,
    ) -> None:
        """Cut a message into chunks of our size, not aiortc's, and note when it will be off our hands."""
        sequence = self._outbound_stream_seq.get(stream_id, 0) if ordered else 0
        for start in range(0, len(user_data), MAX_CHUNK_BYTES):
            chunk = _Chunk()
            chunk.user_data = user_data[start : start + MAX_CHUNK_BYTES]
            chunk.flags = 0 if ordered else sctp.SCTP_DATA_UNORDERED
            chunk.flags |= sctp.SCTP_DATA_FIRST_FRAG if start == 0 else 0
            chunk.flags |= sctp.SCTP_DATA_LAST_FRAG if start + MAX_CHUNK_BYTES >= len(user_data) else 0
            chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = (
                self._local_tsn,
                stream_id,
                sequence,
                pp_id,
            )
            chunk._abandoned = chunk._acked = chunk._in_flight = chunk._retransmit = False
            chunk._book_size = len(chunk.user_data)
            chunk._expiry, chunk._max_retransmits = expiry, max_retransmits
            chunk._misses = chunk._sent_count = 0
            chunk._sent_time = None
            chunk._resent_after = None
            self._local_tsn = (self._local_tsn + 1) % TSN_MODULO
            self._outbound_queue.append(chunk)
        if ordered:
            self._outbound_stream_seq[stream_id] = uint16_add(sequence, 1)
        self._unacknowledged.append(((self._local_tsn - 1) % TSN_MODULO, self.cost(user_data), stream_id))
        await self._transmit()

    # ---------------------------------------------------------------- what may leave

    async def _transmit(self) -> None:
        if self._forward_tsn_chunk is not None:
            await self._send_chunk(self._forward_tsn_chunk)
            self._forward_tsn_chunk = None
            self._watch()
        # One chunk may always go: where the peer's window is closed it asks whether it has opened.
        window = min(self._flight_size + MAX_BURST_BYTES, self._cwnd, max(self._peer_window, MAX_CHUNK_BYTES))
        if self._has_lost and not await self._transmit_lost(window):
            return
        while self._outbound_queue and self._flight_size < window:
            chunk = self._outbound_queue.popleft()
            self._sent_queue.append(chunk)
            self._flight_size_increase(chunk)
            chunk._sent_count += 1
            chunk._sent_time = time.time()
            await self._send_chunk(chunk)
            self._watch()

    async def _transmit_lost(self, window: int) -> bool:
        """Send again what was lost; False if some of it has to wait."""
        for chunk in cast(deque[_Chunk], self._sent_queue):
            if not chunk._retransmit:
                continue
            if self._fast_recovery_transmit:
                self._fast_recovery_transmit = False  # RFC 9260, 7.2.4, rule 3: one goes whatever the window
            elif self._flight_size >= window:
                return False
            self._flight_size_increase(chunk)
            chunk._misses = 0
            chunk._retransmit = False
            chunk._resent_after = self._sent_queue[-1].tsn
            chunk._sent_count += 1
            self.resends += 1
            await self._send_chunk(chunk)
            if chunk is self._sent_queue[0]:
                self._t3_restart()
            self._watch()
        self._has_lost = False
        return True

    # ---------------------------------------------------------------- what has arrived

    async def _receive_sack_chunk(self, chunk: Any) -> None:
        outstanding = (self._local_tsn - 1 - chunk.cumulative_tsn) % TSN_MODULO
        if outstanding >= TSN_MODULO // 2 or uint32_gt(self._last_sacked_tsn, chunk.cumulative_tsn):
            return  # acknowledges what was never sent, or is older than the last one
        was_full = self._flight_size >= min(self._cwnd, max(self._peer_window, MAX_CHUNK_BYTES))
        self._peer_window = chunk.advertised_rwnd
        has_advanced, done_bytes = self._take_cumulative(chunk.cumulative_tsn)
        gap_bytes, has_lost = self._take_gaps(chunk.cumulative_tsn, _sound_gaps(chunk.gaps, outstanding))
        self._adjust(chunk.cumulative_tsn, done_bytes + gap_bytes, was_full and has_advanced, has_lost)
        if not self._sent_queue:
            self._t3_cancel()
        elif has_advanced:
            self._t3_restart()
        self._update_advanced_peer_ack_point()
        while self._unacknowledged and uint32_gte(self._last_sacked_tsn, self._unacknowledged[0][0]):
            self.queued_bytes -= self._unacknowledged.popleft()[1]
        await self._transmit()
        await self._data_channel_flush()

    def _take_cumulative(self, tsn: int) -> tuple[bool, int]:
        """Whether it acknowledges more than the last one did, and how many bytes more."""
        done_bytes, count = 0, 0
        while self._sent_queue and uint32_gte(tsn, self._sent_queue[0].tsn):
            chunk = self._sent_queue.popleft()
            count += 1
            if not chunk._acked:
                done_bytes += chunk._book_size
            self._flight_size_decrease(chunk)
            is_sample = count == 1 and chunk._sent_count == 1 and not chunk._acked  # RFC 9260, 6.3.1, C5
            if is_sample and chunk._sent_time is not None:
                self._update_rto(time.time() - chunk._sent_time)
        has_advanced = tsn != self._last_sacked_tsn
        self._last_sacked_tsn = tsn
        if has_advanced:
            self._timeouts = 0
        return has_advanced, done_bytes

    def _take_gaps(self, cumulative_tsn: int, gaps: list[tuple[int, int]]) -> tuple[int, bool]:
        """How many bytes were acknowledged for the first time, and whether a chunk has to be taken for lost."""
        if not gaps:
            return 0, False
        done_bytes, has_lost, newest = 0, False, None
        missing: list[_Chunk] = []
        at = 0
        for chunk in cast(deque[_Chunk], self._sent_queue):
            offset = (chunk.tsn - cumulative_tsn) % TSN_MODULO
            while at < len(gaps) and gaps[at][1] < offset:
                at += 1
            if at == len(gaps):
                break
            if offset < gaps[at][0]:
                if not chunk._acked and not chunk._abandoned:
                    missing.append(chunk)
            elif not chunk._acked:
                chunk._acked, chunk._retransmit = True, False
                done_bytes += chunk._book_size
                newest = chunk.tsn
                self._flight_size_decrease(chunk)
        for chunk in missing:
            # What was sent again is missing only once something that left after it has arrived.
            after = chunk.tsn if chunk._resent_after is None else chunk._resent_after
            if newest is None or chunk._retransmit or not uint32_gt(newest, after):
                continue
            chunk._misses += 1
            if chunk._misses >= MISSES_OF_A_LOSS:
                self._lose(chunk)
                has_lost = True
        return done_bytes, has_lost

    def _lose(self, chunk: Any) -> None:
        chunk._misses = 0
        if not self._maybe_abandon(chunk):
            chunk._retransmit = self._has_lost = True
        self._flight_size_decrease(chunk)

    def _adjust(self, cumulative_tsn: int, done_bytes: int, may_grow: bool, has_lost: bool) -> None:
        """The congestion window (RFC 9260, 7.2.1, 7.2.2 and 7.2.4)."""
        if self._fast_recovery_exit is not None:
            if uint32_gte(cumulative_tsn, self._fast_recovery_exit):
                self._fast_recovery_exit = None
            return
        if may_grow and self._cwnd <= self._ssthresh:
            self._cwnd += min(done_bytes, MAX_CHUNK_BYTES)
        elif may_grow:
            self._partial_bytes_acked += done_bytes
            if self._partial_bytes_acked >= self._cwnd:
                self._partial_bytes_acked -= self._cwnd
                self._cwnd += MAX_CHUNK_BYTES
        if has_lost and self._sent_queue:
            self._cwnd = self._ssthresh = max(self._cwnd // 2, MIN_THRESHOLD_BYTES)
            self._partial_bytes_acked = 0
            self._fast_recovery_exit = self._sent_queue[-1].tsn
            self._fast_recovery_transmit = True

    # ---------------------------------------------------------------- timers

    def _update_rto(self, R: float) -> None:
        super()._update_rto(max(R, 0.0))
        assert self._srtt is not None
        assert self._rttvar is not None
        self._rto = min(max(self._srtt + 4 * self._rttvar, MIN_TIMEOUT_S), MAX_TIMEOUT_S)

    def _watch(self) -> None:
        if self._t3_handle is None:
            self._t3_start()

    def _t3_start(self) -> None:
        assert self._t3_handle is None
        delay_s = min(self._rto * 2.0 ** min(self._timeouts, 4), MAX_TIMEOUT_S)
        self._t3_handle = asyncio.get_running_loop().call_later(delay_s, self._t3_expired)

    def _t3_restart(self) -> None:
        if self._t3_handle is not None:
            self._t3_handle.cancel()
            self._t3_handle = None
        self._t3_start()

    def _t3_expired(self) -> None:
        """Nothing was acknowledged for too long (RFC 9260, 6.3.3)."""
        self._t3_handle = None
        self._timeouts += 1
        for chunk in list(self._sent_queue):
            # A peer may drop again what it acknowledged in a gap block (6.2), so the second time all goes again.
            if chunk._acked and self._timeouts == 1:
                continue
            chunk._acked = False
            if not chunk._abandoned:
                self._lose(chunk)
        self._update_advanced_peer_ack_point()
        self._fast_recovery_exit = None
        self._partial_bytes_acked = 0
        self._ssthresh = max(self._cwnd // 2, MIN_THRESHOLD_BYTES)
        self._cwnd = MAX_CHUNK_BYTES
        run_now(self._transmit())

    def _t1_expired(self) -> None:
        """The peer did not answer a step of the handshake (RFC 9260, 4.5.1)."""
        self._t1_failures += 1
        self._t1_handle = None
        if self._t1_failures >= MAX_HANDSHAKE_SENDS:
            self._set_state(self.State.CLOSED)
            return
        assert self._t1_chunk is not None
        run_now(self._send_chunk(self._t1_chunk))
        delay_s = min(INITIAL_TIMEOUT_S * 2.0 ** min(self._t1_failures, 4), MAX_TIMEOUT_S)
        self._t1_handle = asyncio.get_running_loop().call_later(delay_s, self._t1_expired)


def _sound_gaps(gaps: list[tuple[int, int]], outstanding: int) -> list[tuple[int, int]]:
    """Blocks come in order and lie within what is outstanding; aiortc would walk whatever they claim."""
    end, sound = 0, []
    for first, last in gaps:
        if not end < first <= last <= outstanding:
            break
        sound.append((first, last))
        end = last
    return sound
