"""
SCTP over a transport's DTLS (RFC 9260, RFC 8261): aiortc's association, with bounds that it does not have.

Event loop's thread. An association never waits: sending is handing a record to the worker, so each of its coroutines
runs to its end at once (`run_now`), and packets are taken strictly in order.

What a hostile peer may cost is bounded here (A45, A46): bytes and chunks held for reassembly, streams, how far ahead of
the sequence a chunk may lie, gap blocks of an acknowledgement, and the size of a message, which is swallowed past it.
"""

from collections import deque
from collections.abc import Coroutine
from struct import error as StructError
from struct import pack
from typing import Any, Protocol, cast

from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.utils import uint16_add, uint32_gte

from telerelay.protocol.data import MAX_MESSAGE_BYTES

# With SCTP's headers (28), the DTLS record (at most 37) and UDP over IPv6 (48) a datagram stays below 1,200 bytes.
MAX_CHUNK_BYTES = 1084

WINDOW_BYTES = 262144
"""Taken from a peer and not yet passed on, at most; what the peer is told it may send."""
MAX_STREAMS = 1024
MAX_HELD_CHUNKS = 4096
MAX_AHEAD = 1024
MAX_GAPS = 128

# So much a queued message costs beside its bytes: many small ones are not free.
MESSAGE_OVERHEAD_BYTES = 64

# The relay's own channels take their streams from here on, so that they do not meet those that two clients agreed upon.
FIRST_STREAM = 100

_TSN_MODULO = 2**32


class Line(Protocol):
    """What an association runs over: the part of aiortc's RTCDtlsTransport that it uses."""

    state: str
    _role: str

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...
    async def _send_data(self, data: bytes) -> None: ...


class Owner(Protocol):
    """Who is told what happens on an association."""

    def on_user_message(self, stream: int, protocol: int, payload: bytes, *, is_ordered: bool) -> None: ...
    def on_too_large(self, stream: int) -> None: ...
    def on_acknowledged(self) -> None: ...
    def on_association(self, state: str) -> None: ...


def run_now(step: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        step.send(None)
    except StopIteration:
        return
    step.close()
    raise RuntimeError("an association waited for something")


def chunk_count(packet: bytes) -> int:
    """How many chunks a packet claims to have, 1 at least: what it costs to take it."""
    count, at = 0, 12
    while at + 4 <= len(packet):
        count += 1
        at += max(4, int.from_bytes(packet[at + 2 : at + 4], "big") + 3 & ~3)
    return max(count, 1)


class _Inbound(sctp.InboundStream):  # type: ignore[misc,unused-ignore]
    """One stream's reassembly; `skip` is the TSN of the next fragment of a message that is too large to be taken."""

    def __init__(self) -> None:
        super().__init__()
        self.skip: int | None = None

    def shed(self) -> tuple[int, bool]:
        """Let go of a message past the limit: the bytes freed, and whether it is one we had not noticed before."""
        is_new = False
        if self.skip is None:
            self.skip = self._too_large()
            if self.skip is None:
                return 0, False
            is_new = True
        freed = 0
        position = next((i for i, chunk in enumerate(self.reassembly) if chunk.tsn == self.skip), len(self.reassembly))
        while position < len(self.reassembly) and self.reassembly[position].tsn == self.skip:
            chunk = self.reassembly.pop(position)
            freed += len(chunk.user_data)
            self.skip = (chunk.tsn + 1) % _TSN_MODULO
            if chunk.flags & sctp.SCTP_DATA_LAST_FRAG:
                if not chunk.flags & sctp.SCTP_DATA_UNORDERED:
                    self.sequence_number = uint16_add(self.sequence_number, 1)
                self.skip = None
                break
        return freed, is_new

    def _too_large(self) -> int | None:
        """The TSN of the first fragment of a message past the limit."""
        first, expected, size = 0, None, 0
        for chunk in self.reassembly:
            if chunk.flags & sctp.SCTP_DATA_FIRST_FRAG:
                first, size, expected = chunk.tsn, 0, chunk.tsn
            if chunk.tsn != expected:
                expected = None
                continue
            size += len(chunk.user_data)
            expected = (chunk.tsn + 1) % _TSN_MODULO
            if size > MAX_MESSAGE_BYTES:
                return int(first)
        return None


class Association(sctp.RTCSctpTransport):  # type: ignore[misc,unused-ignore]
    """
    One association. `queued_bytes` is what waits to be acknowledged by the peer, with its overhead. What its owner
    holds back (`held`) shrinks the window that the peer is told.
    """

    def __init__(self, line: Line, owner: Owner) -> None:
        super().__init__(line)  # type: ignore[arg-type,unused-ignore]
        self._owner = owner
        self._advertised_rwnd = WINDOW_BYTES
        self._inbound_streams_max = MAX_STREAMS
        self._outbound_streams_count = MAX_STREAMS
        self._held_chunks = 0
        self._unacknowledged: deque[tuple[int, int]] = deque()
        self._is_ordered = True
        self._peer_window = WINDOW_BYTES
        self.queued_bytes = 0

    # ---------------------------------------------------------------- in

    def feed(self, packet: bytes) -> None:
        """Take one packet. One that is malformed is passed over; one that breaks the association aborts it."""
        try:
            run_now(self._handle_data(packet))
        except StructError:
            return
        except (AssertionError, LookupError, ValueError, TypeError, AttributeError):
            self.abort()

    def abort(self) -> None:
        """End the association now; the peer is told."""
        run_now(self.stop())

    def begin(self, port: int) -> None:
        """Begin the association towards the peer's SCTP port."""
        run_now(self.start(None, port))
        first = FIRST_STREAM + (1 if self.is_server else 0)
        # Streams of channels from before a restart are the peer's and ours still.
        taken = [each + 2 for each in self._data_channels if each >= first and (each - first) % 2 == 0]
        self._data_channel_id = max([first, *taken])

    def held(self, size: int) -> None:
        """So many bytes wait for the owner to take them (negative: he did)."""
        self._advertised_rwnd -= size
        # A peer that was told of a closed window waits for this.
        if size < 0 and self._association_state == self.State.ESTABLISHED:
            run_now(self._send_sack())

    @property
    def _inbound(self) -> dict[int, _Inbound]:
        return cast(dict[int, _Inbound], self._inbound_streams)

    def _received(self) -> int:
        return cast(int, self._last_received_tsn)

    def _get_inbound_stream(self, stream_id: int) -> _Inbound:
        stream = self._inbound.get(stream_id)
        if stream is None:
            stream = _Inbound()
            if stream_id < MAX_STREAMS:
                self._inbound[stream_id] = stream
        return stream

    async def _receive_data_chunk(self, chunk: Any) -> None:
        if self._last_received_tsn is None or not chunk.user_data:
            return
        self._sack_needed = True
        ahead = (chunk.tsn - self._last_received_tsn) % _TSN_MODULO
        is_full = self._advertised_rwnd < len(chunk.user_data)
        if ahead < _TSN_MODULO // 2 and (ahead > MAX_AHEAD or (is_full and (ahead > 1 or self._is_waiting()))):
            return  # not acknowledged: the peer sends it again
        if self._mark_received(chunk.tsn) or chunk.stream_id >= MAX_STREAMS:
            return
        stream = self._get_inbound_stream(chunk.stream_id)
        stream.add_chunk(chunk)
        self._held_chunks += 1
        before = len(stream.reassembly)
        self._advertised_rwnd -= len(chunk.user_data)
        if self._held_chunks > MAX_HELD_CHUNKS or self._advertised_rwnd < -MAX_MESSAGE_BYTES:
            self.abort()
            return
        self._is_ordered = not chunk.flags & sctp.SCTP_DATA_UNORDERED
        await self._deliver(stream)
        freed, is_new = stream.shed()
        if freed:
            self._advertised_rwnd += freed
            await self._deliver(stream)
        if is_new:
            self._owner.on_too_large(chunk.stream_id)
        self._held_chunks += len(stream.reassembly) - before
        await self._reset_deferred_streams()

    async def _deliver(self, stream: _Inbound) -> None:
        for message in stream.pop_messages():
            self._advertised_rwnd += len(message[2])
            await self._receive(*message)

    def _is_waiting(self) -> bool:
        """Whether whole messages are held because nobody takes them: then there is no hurry for more."""
        return bool(getattr(self._owner, "is_paused", False))

    async def _receive_forward_tsn_chunk(self, chunk: Any) -> None:
        self._is_ordered = True
        await super()._receive_forward_tsn_chunk(chunk)
        self._held_chunks = sum(len(each.reassembly) for each in self._inbound.values())
        for stream in self._inbound.values():
            if stream.skip is not None and uint32_gte(self._received(), stream.skip):
                stream.skip = None

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        self._owner.on_user_message(stream_id, pp_id, data, is_ordered=self._is_ordered)

    async def _receive_sack_chunk(self, chunk: Any) -> None:
        outstanding = (self._local_tsn - 1 - chunk.cumulative_tsn) % _TSN_MODULO
        if outstanding >= _TSN_MODULO // 2:
            return  # acknowledges what was never sent
        # Blocks come in order and lie within what is outstanding; aiortc would walk whatever they claim.
        end, gaps = 0, []
        for first, last in chunk.gaps:
            if not end < first <= last <= outstanding:
                break
            gaps.append((first, last))
            end = last
        chunk.gaps = gaps
        self._peer_window = chunk.advertised_rwnd
        await super()._receive_sack_chunk(chunk)
        before = self.queued_bytes
        while self._unacknowledged and uint32_gte(self._last_sacked_tsn, self._unacknowledged[0][0]):
            self.queued_bytes -= self._unacknowledged.popleft()[1]
        if self.queued_bytes != before:
            self._owner.on_acknowledged()

    async def _send_sack(self) -> None:
        if len(self._sack_misordered) > MAX_GAPS:
            # What is left out here is acknowledged once what is missing has come.
            kept, self._sack_misordered = self._sack_misordered, set(self._nearest(MAX_GAPS))
            await super()._send_sack()
            self._sack_misordered = kept
            return
        del self._sack_duplicates[MAX_GAPS:]
        await super()._send_sack()

    def _nearest(self, count: int) -> list[int]:
        return sorted(self._sack_misordered, key=lambda tsn: (tsn - self._received()) % _TSN_MODULO)[:count]

    # ---------------------------------------------------------------- out

    def cost(self, payload: bytes) -> int:
        """What a message adds to `queued_bytes`."""
        return len(payload) + MESSAGE_OVERHEAD_BYTES

    def post(self, channel: RTCDataChannel, protocol: int, payload: bytes) -> None:
        """Queue a message on a channel and send what may be sent."""
        self.queued_bytes += self.cost(payload)
        channel._addBufferedAmount(len(payload))
        self._data_channel_queue.append((channel, protocol, payload))
        run_now(self._data_channel_flush())

    def drop_queued(self, channel: RTCDataChannel) -> None:
        """Forget what waits on a channel and has not begun to be sent."""
        kept = [entry for entry in self._data_channel_queue if entry[0] is not channel]
        self.queued_bytes -= sum(self.cost(entry[2]) for entry in self._data_channel_queue if entry[0] is channel)
        self._data_channel_queue = deque(kept)

    def announce(self, channel: RTCDataChannel) -> None:
        """Open a channel in-band (RFC 8832, 5.1)."""
        self._data_channel_open(channel)

    def acknowledge(self, channel: RTCDataChannel) -> None:
        self.post(channel, sctp.WEBRTC_DCEP, bytes([sctp.DATA_CHANNEL_ACK]))
        channel._addBufferedAmount(-1)

    def adopt(self, channel: RTCDataChannel) -> None:
        """A channel that the peer opened, or agreed upon with others."""
        assert channel.id is not None
        self._data_channels[channel.id] = channel

    def channel_at(self, stream: int) -> RTCDataChannel | None:
        found: RTCDataChannel | None = self._data_channels.get(stream)
        return found

    def _data_channel_open(self, channel: RTCDataChannel) -> None:
        label, protocol = channel.label.encode(), channel.protocol.encode()
        kind, reliability = 0, 0
        if channel.maxRetransmits is not None:
            kind, reliability = 1, channel.maxRetransmits
        elif channel.maxPacketLifeTime is not None:
            kind, reliability = 2, channel.maxPacketLifeTime
        kind |= 0 if channel.ordered else 0x80
        header = pack("!BBHLHH", sctp.DATA_CHANNEL_OPEN, kind, 256, reliability, len(label), len(protocol))
        opening = header + label + protocol
        self.queued_bytes += self.cost(opening)
        self._data_channel_queue.append((channel, sctp.WEBRTC_DCEP, opening))
        run_now(self._data_channel_flush())

    def _data_channel_close(self, channel: RTCDataChannel) -> None:
        if self._association_state != self.State.ESTABLISHED or channel.id is None:
            self.drop_queued(channel)
        super()._data_channel_close(channel)

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
            chunk = sctp.DataChunk()
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
            self._local_tsn = (self._local_tsn + 1) % _TSN_MODULO
            self._outbound_queue.append(chunk)
        if ordered:
            self._outbound_stream_seq[stream_id] = uint16_add(sequence, 1)
        self._unacknowledged.append(((self._local_tsn - 1) % _TSN_MODULO, self.cost(user_data)))
        await self._transmit()

    async def _transmit(self) -> None:
        # aiortc looks at its own window alone. One chunk may always go: it asks whether the peer's has opened.
        window = self._cwnd
        self._cwnd = min(window, max(self._peer_window, MAX_CHUNK_BYTES))
        await super()._transmit()
        self._cwnd = window

    # ---------------------------------------------------------------- life

    def _set_state(self, state: Any) -> None:
        before = self.state
        super()._set_state(state)
        if self.state != before and self.state in ("connected", "closed"):
            if self.state == "closed":
                self.queued_bytes = 0
                self._unacknowledged.clear()
                self._outbound_queue.clear()
                self._sent_queue.clear()
                self._data_channel_queue.clear()
                self._inbound_streams.clear()
            self._owner.on_association(self.state)
