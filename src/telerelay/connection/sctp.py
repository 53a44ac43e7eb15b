"""
An SCTP association over a transport's DTLS (RFC 9260, RFC 8261): how it begins and ends, what it takes, and when it
says so. The other half, what it sends and sends again, is sending.py's.

Event loop's thread. aiortc keeps the state and parses. An association never waits: sending is handing a record to the
worker, so each of its coroutines runs to its end at once (`run_now`), and packets are taken strictly in order.

What a hostile peer may cost is bounded here (A45, A46): bytes and chunks held for reassembly, streams, how far ahead of
the sequence a chunk may lie, gap blocks of an acknowledgement, and the size of a message, which is swallowed past it.
"""

import asyncio
from struct import error as StructError
from struct import pack
from typing import Any, Protocol, cast

from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.utils import uint16_add, uint32_gte

from telerelay.connection.sending import TSN_MODULO, Sending, run_now
from telerelay.protocol.data import MAX_MESSAGE_BYTES

WINDOW_BYTES = 262144
"""Taken from a peer and not yet passed on, at most."""
# So much less is what the peer is told. Some do not look at it (aiortc) and slow down for loss alone: past what it was
# told a peer loses one chunk and no more until that has come again, so that it notices before all of a flight is lost.
SLACK_BYTES = 98304
# Of that, kept for chunks that fill a gap.
RESERVE_BYTES = 16384
MAX_STREAMS = 1024
MAX_HELD_CHUNKS = 4096
MAX_AHEAD = 1024
MAX_GAPS = 128

# Every second packet is acknowledged, or the first after that long (RFC 9260, 6.2 allows 200 ms); at once if one is
# missing. Half the acknowledgements are half their cost, here and at the peer.
SACK_DELAY_S = 0.02
# As DTLS server the relay lets the peer begin, which has its last flight then. What comes before a lost one is there
# again spoils aiortc: it takes one record for each datagram, so each is read when the next one comes, from then on. A
# peer that waits for us (RFC 8841, 9.3 has both begin) is kept waiting as long as DTLS takes for three lost flights.
PATIENCE_S = 8.0
_IMMEDIATE = 0x08  # RFC 7053: the sender asks for it

# The relay's own channels take their streams from here on, so that they do not meet those that two clients agreed upon.
FIRST_STREAM = 100


class Line(Protocol):
    """What an association runs over: the part of aiortc's RTCDtlsTransport that it uses."""

    state: str
    _role: str

    def _register_data_receiver(self, receiver: object) -> None: ...
    def _unregister_data_receiver(self, receiver: object) -> None: ...
    async def _send_data(self, data: bytes) -> None: ...


class Owner(Protocol):
    """Who is told what happens on an association. `is_paused`: whole messages are held because nobody takes them."""

    @property
    def is_paused(self) -> bool: ...
    def on_user_message(self, stream: int, protocol: int, payload: bytes, *, is_ordered: bool) -> None: ...
    def on_too_large(self, stream: int) -> None: ...
    def on_acknowledged(self) -> None: ...
    def on_association(self, state: str) -> None: ...


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
            self.skip = (chunk.tsn + 1) % TSN_MODULO
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
            expected = (chunk.tsn + 1) % TSN_MODULO
            if size > MAX_MESSAGE_BYTES:
                return int(first)
        return None


class Association(Sending):
    """One association. What its owner holds back (`held`) shrinks the window that the peer is told."""

    def __init__(self, line: Line, owner: Owner) -> None:
        super().__init__(line)
        self._owner = owner
        self._advertised_rwnd = WINDOW_BYTES
        self._inbound_streams_max = MAX_STREAMS
        self._outbound_streams_count = MAX_STREAMS
        self._held_chunks = 0
        self._is_ordered = True
        self._unsacked = 0  # packets of data since the last acknowledgement
        self._is_urgent = False
        self._begins_at_once = False
        self._sack_handle: asyncio.TimerHandle | None = None
        self._init_handle: asyncio.TimerHandle | None = None

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

    def begin(self, port: int, *, at_once: bool = False) -> None:
        """
        Begin the association towards the peer's SCTP port. `at_once`: as DTLS server too, for the peer has an
        association already, or has begun before this.
        """
        self._begins_at_once = at_once
        run_now(self.start(None, port))
        first = FIRST_STREAM + (1 if self.is_server else 0)
        # Streams of channels from before a restart are the peer's and ours still.
        taken = [each + 2 for each in self._data_channels if each >= first and (each - first) % 2 == 0]
        self._data_channel_id = max([first, *taken])

    async def _init(self) -> None:
        if self.is_server and not self._begins_at_once:
            self._init_handle = asyncio.get_running_loop().call_later(PATIENCE_S, self._init_is_due)
        else:
            await super()._init()

    def _init_is_due(self) -> None:
        if self._association_state == self.State.CLOSED:
            run_now(super()._init())

    def held(self, size: int) -> None:
        """So many bytes wait for the owner to take them (negative: he did)."""
        self._advertised_rwnd -= size
        # A peer that was told of a closed window waits for this.
        if size < 0 and self._association_state == self.State.ESTABLISHED:
            run_now(self._acknowledge())

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
        self._is_urgent |= bool(chunk.flags & _IMMEDIATE)
        ahead = (chunk.tsn - self._last_received_tsn) % TSN_MODULO
        room = self._advertised_rwnd - len(chunk.user_data)
        if ahead < TSN_MODULO // 2 and (ahead > MAX_AHEAD or self._is_too_much(ahead, room)):
            self._is_urgent = True
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

    def _is_too_much(self, ahead: int, room: int) -> bool:
        if room >= SLACK_BYTES or (ahead == 1 and not self._owner.is_paused):
            return False  # what is missing in the sequence may be what all else waits for
        if ahead > 1:
            return room < RESERVE_BYTES
        return room < 0 or not self._sack_misordered

    async def _deliver(self, stream: _Inbound) -> None:
        for message in stream.pop_messages():
            self._advertised_rwnd += len(message[2])
            await self._receive(*message)

    async def _receive_forward_tsn_chunk(self, chunk: Any) -> None:
        self._is_ordered = self._is_urgent = True
        await super()._receive_forward_tsn_chunk(chunk)
        self._advance()
        await self._reset_deferred_streams()
        self._held_chunks = sum(len(each.reassembly) for each in self._inbound.values())
        for stream in self._inbound.values():
            if stream.skip is not None and uint32_gte(self._received(), stream.skip):
                stream.skip = None

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        self._owner.on_user_message(stream_id, pp_id, data, is_ordered=self._is_ordered)

    async def _receive_sack_chunk(self, chunk: Any) -> None:
        before = self.queued_bytes
        await super()._receive_sack_chunk(chunk)
        if self.queued_bytes != before:
            self._owner.on_acknowledged()

    async def _receive_chunk(self, chunk: Any) -> None:
        # An INIT that comes again, late or doubled, says nothing new (RFC 9260, 5.2.2). aiortc would count from its
        # first TSN once more, and never again agree with the peer on what has arrived.
        is_known = self._last_received_tsn is not None and isinstance(chunk, sctp.InitChunk)
        if not is_known or chunk.initiate_tag != self._remote_verification_tag:
            await super()._receive_chunk(chunk)
            return
        kept = self._last_received_tsn, self._reconfig_response_seq, self._ssthresh
        await super()._receive_chunk(chunk)
        self._last_received_tsn, self._reconfig_response_seq, self._ssthresh = kept

    def _mark_received(self, tsn: int) -> bool:
        """Whether it came before. Unlike aiortc's it counts past 2^32, and costs the same however much is missing."""
        if uint32_gte(self._received(), tsn) or tsn in self._sack_misordered:
            self._sack_duplicates.append(tsn)
            return True
        self._sack_misordered.add(tsn)
        self._advance()
        return False

    def _advance(self) -> None:
        while (following := (self._received() + 1) % TSN_MODULO) in self._sack_misordered:
            self._sack_misordered.discard(following)
            self._last_received_tsn = following

    async def _send_sack(self) -> None:
        """A packet with data was taken: acknowledge it, now or with the next one."""
        self._unsacked += 1
        can_wait = not (self._is_urgent or self._sack_misordered or self._sack_duplicates)
        if can_wait and self._unsacked < 2 and self._advertised_rwnd > WINDOW_BYTES // 2:
            self._sack_needed = False
            if self._sack_handle is None:
                self._sack_handle = asyncio.get_running_loop().call_later(SACK_DELAY_S, self._sack_is_due)
            return
        await self._acknowledge()

    def _sack_is_due(self) -> None:
        self._sack_handle = None
        if self._unsacked:
            run_now(self._acknowledge())

    async def _acknowledge(self) -> None:
        self._unsacked, self._is_urgent, self._sack_needed = 0, False, False
        gaps: list[list[int]] = []
        for offset in sorted((tsn - self._received()) % TSN_MODULO for tsn in self._sack_misordered):
            if gaps and offset == gaps[-1][1] + 1:
                gaps[-1][1] = offset
            elif len(gaps) == MAX_GAPS:
                break  # what is left out is acknowledged once what is missing has come
            else:
                gaps.append([offset, offset])
        sack = sctp.SackChunk()
        sack.cumulative_tsn = self._received()
        sack.advertised_rwnd = max(0, self._advertised_rwnd - SLACK_BYTES)
        sack.duplicates = self._sack_duplicates[:MAX_GAPS]
        sack.gaps = [(first, last) for first, last in gaps]
        self._sack_duplicates.clear()
        await self._send_chunk(sack)

    # ---------------------------------------------------------------- out

    def announce(self, channel: RTCDataChannel) -> None:
        """Open a channel in-band (RFC 8832, 5.1)."""
        self._data_channel_open(channel)

    def acknowledge(self, channel: RTCDataChannel) -> None:
        """Say that a channel of the peer's is open (RFC 8832, 5.2)."""
        self.queue(channel, sctp.WEBRTC_DCEP, bytes([sctp.DATA_CHANNEL_ACK]))

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
        self.queue(channel, sctp.WEBRTC_DCEP, header + label + protocol)

    def _data_channel_close(self, channel: RTCDataChannel) -> None:
        if self._association_state != self.State.ESTABLISHED or channel.id is None:
            self.drop_queued(channel)
        super()._data_channel_close(channel)

    # ---------------------------------------------------------------- life

    def _set_state(self, state: Any) -> None:
        before = self.state
        super()._set_state(state)
        if self.state != before and self.state in ("connected", "closed"):
            if self.state == "closed":
                self.forget()
                self._inbound_streams.clear()
                for handle in (self._sack_handle, self._init_handle):
                    if handle is not None:
                        handle.cancel()
            self._owner.on_association(self.state)
