"""
The data channels of one connection (RFC 8831): opened by the peer or by the relay, messages in and out.

Event loop's thread. What a message is worth is the listener's to decide; here it is only kept in order and in bounds.
A listener that cannot take a message leaves it here: the peer's window closes, and `resume` offers it again.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from struct import unpack_from

from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters

from telerelay.connection.sctp import MAX_STREAMS, Association
from telerelay.connection.state import ChannelState
from telerelay.protocol.data import MAX_LABEL_BYTES, MAX_MESSAGE_BYTES, ChannelParameters, DataParameters

_TEXT = frozenset({sctp.WEBRTC_STRING, sctp.WEBRTC_STRING_EMPTY})
_MESSAGES = _TEXT | {sctp.WEBRTC_BINARY, sctp.WEBRTC_BINARY_EMPTY}
_OPEN_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message as it came. `protocol` is the payload protocol id of RFC 8831, 8: text or binary, empty or not.
    """

    protocol: int
    payload: bytes = field(repr=False)

    @property
    def is_text(self) -> bool:
        return self.protocol in _TEXT


class Channel:
    """One channel of one connection. `is_own`: the peer opened it; else the relay did, to pass messages on."""

    def __init__(self, data: "DataTransport", parameters: ChannelParameters, *, is_own: bool) -> None:
        self.data = data
        self.parameters = parameters
        self.is_own = is_own
        self.is_closed = False

    def send(self, message: Message) -> None:
        """Queue a message; `data.has_room` tells beforehand whether it may be. Nothing once closed."""
        self.data.send(self, message)

    @property
    def is_busy(self) -> bool:
        """Whether anything sent on it is not yet acknowledged by the peer."""
        return self.data.is_busy(self)

    def close(self, *, is_dropping: bool = False) -> None:
        """Close it after what is queued, or without what has not begun to be sent."""
        self.data.close_channel(self, is_dropping=is_dropping)


class DataListener:
    """What a connection's data channels are told to; this one takes nothing."""

    def on_channel(self, channel: Channel) -> bool:
        """The peer opened a channel; False refuses it."""
        return False

    def on_resumed(self, channel: Channel) -> None:
        """A channel that was open when another process was here; its association begins anew."""

    def on_message(self, channel: Channel, message: Message) -> bool:
        """False: cannot be taken now. It comes again after `resume`."""
        return True

    def on_closed(self, channel: Channel) -> None:
        """A channel is gone."""

    def on_refused(self, label: str, code: str) -> None:
        """Something of the peer's was not taken: too_large, bad_message."""

    def on_drained(self, data: "DataTransport") -> None:
        """The peer acknowledged some of what waited."""

    def on_changed(self, data: "DataTransport") -> None:
        """The association came up, or is gone; or the peer has taken a channel of ours, which has its stream now."""


class _Stream(RTCDataChannel):  # type: ignore[misc,unused-ignore]
    """aiortc's half of a channel, which tells of its end."""

    def __init__(self, association: Association, parameters: RTCDataChannelParameters, on_end: Callable[[], None]):
        self._on_end = on_end
        super().__init__(association, parameters, False)

    def _setReadyState(self, state: str) -> None:
        super()._setReadyState(state)
        if state in ("closing", "closed"):
            self._on_end()


class DataTransport:
    """One association and its channels. Channels may be opened before it is up: their messages wait."""

    def __init__(self, send: Callable[[bytes], None], listener: DataListener) -> None:
        self.state = "connecting"
        self._role = "auto"
        self._send = send
        self._listener = listener
        self._association = Association(self, self)
        self._remote: DataParameters | None = None
        self._is_started = False
        self._must_begin = False
        self._channels: dict[RTCDataChannel, Channel] = {}
        self._streams: dict[Channel, RTCDataChannel] = {}
        self._refused: set[int] = set()
        self._held: deque[tuple[int, int, bytes, bool]] = deque()
        self._is_delivering = False

    # ---------------------------------------------------------------- life

    @property
    def is_up(self) -> bool:
        return str(self._association.state) == "connected"

    @property
    def remote(self) -> DataParameters | None:
        """The peer's end, once it was described."""
        return self._remote

    @property
    def is_gone(self) -> bool:
        return self.state == "closed"

    @property
    def queued_bytes(self) -> int:
        """Sent or to be sent, and not yet acknowledged."""
        return self._association.queued_bytes

    @property
    def held_bytes(self) -> int:
        """Received and not yet taken by the listener."""
        return sum(len(entry[2]) for entry in self._held)

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(self._streams)

    def describe(self, remote: DataParameters, *, is_dtls_client: bool) -> None:
        """Who the peer is; the same for the association's life."""
        self._remote = self._remote or remote
        self._role = "client" if is_dtls_client else "server"

    def start(self) -> None:
        """DTLS is up. Nothing happens before the peer is described, or twice."""
        if self._remote is not None and not self._is_started and not self.is_gone:
            self._is_started = True
            self._association.begin(self._remote.port, at_once=self._must_begin)

    def feed(self, packet: bytes) -> None:
        if not self._is_started:
            self._must_begin = True  # the peer began before we could; it would say so again in a second or three
        elif not self.is_gone:
            self._association.feed(packet)

    def close(self) -> None:
        if not self.is_gone:
            self._association.abort()
            self._end()

    # ---------------------------------------------------------------- from one process to the next

    def snapshot(self) -> tuple[ChannelState, ...]:
        """The channels, open or about to be. Of the association nothing is kept: it changes with every packet."""
        return tuple(
            ChannelState(stream.id, channel.parameters, channel.is_own)
            for channel, stream in self._streams.items()
            if stream.id is not None and not channel.is_closed
        )

    def go_on(self, channels: Iterable[ChannelState]) -> None:
        """
        Go on with these. The association is begun anew with the same peer, whose SCTP takes it for a restart of ours
        (RFC 9260, 5.2.2): its channels stay open, and what was under way on them is lost.
        """
        self._must_begin = True
        for each in channels:
            channel = Channel(self, each.parameters, is_own=each.is_own)
            stream = self._make(channel, each.stream)
            self._association.adopt(stream)
            stream._setReadyState("open")
            self._listener.on_resumed(channel)

    # ---------------------------------------------------------------- channels

    def open(self, parameters: ChannelParameters) -> Channel:
        """Open a channel towards the peer, in-band but where two clients agreed on its stream."""
        channel = Channel(self, parameters, is_own=False)
        stream = self._make(channel, parameters.negotiated_id)
        if parameters.negotiated_id is not None:
            self._association.adopt(stream)
            stream._setReadyState("open")
        else:
            self._association.announce(stream)
        return channel

    def has_room(self, message: Message, limit_bytes: int) -> bool:
        """Whether a message may be queued within the limit."""
        return self.queued_bytes + self._association.cost(message.payload) <= limit_bytes

    def fits(self, message: Message) -> bool:
        """Whether the peer takes messages of this size."""
        limit = self._remote.max_message_bytes if self._remote is not None else 0
        return not limit or len(message.payload) <= limit

    def send(self, channel: Channel, message: Message) -> None:
        stream = self._streams.get(channel)
        if stream is not None and not channel.is_closed and not self.is_gone:
            self._association.post(stream, message.protocol, message.payload)

    def is_busy(self, channel: Channel) -> bool:
        stream = self._streams.get(channel)
        return stream is not None and self._association.is_busy(stream)

    def close_channel(self, channel: Channel, *, is_dropping: bool) -> None:
        stream = self._streams.get(channel)
        if stream is None:
            return
        if is_dropping:
            self._association.drop_queued(stream)
        stream.close()

    def _make(self, channel: Channel, stream_id: int | None) -> RTCDataChannel:
        wanted = channel.parameters
        parameters = RTCDataChannelParameters(
            label=wanted.label,
            protocol=wanted.protocol,
            ordered=wanted.is_ordered,
            maxRetransmits=wanted.max_retransmits,
            maxPacketLifeTime=wanted.max_lifetime_ms,
            id=stream_id,
        )
        stream = _Stream(self._association, parameters, lambda: self._ended(channel))
        self._channels[stream] = channel
        self._streams[channel] = stream
        return stream

    def _ended(self, channel: Channel) -> None:
        if channel.is_closed:
            return
        channel.is_closed = True
        stream = self._streams.pop(channel, None)
        if stream is not None:
            del self._channels[stream]
        self._listener.on_closed(channel)

    # ---------------------------------------------------------------- what the peer sends

    @property
    def is_paused(self) -> bool:
        """Messages wait for the listener."""
        return bool(self._held)

    def resume(self) -> None:
        """Offer the listener what it could not take."""
        if self._is_delivering:
            return
        self._is_delivering = True
        freed = 0
        try:
            while self._held and not self.is_gone:
                stream, protocol, payload, is_ordered = self._held[0]
                if not self._take(stream, protocol, payload, is_ordered):
                    break
                self._held.popleft()
                freed += len(payload)
        finally:
            self._is_delivering = False
        if freed and not self.is_gone:
            self._association.held(-freed)

    def on_user_message(self, stream: int, protocol: int, payload: bytes, *, is_ordered: bool) -> None:
        if self._held or self._is_delivering or not self._take(stream, protocol, payload, is_ordered):
            self._held.append((stream, protocol, payload, is_ordered))
            self._association.held(len(payload))

    def _take(self, stream: int, protocol: int, payload: bytes, is_ordered: bool) -> bool:
        if protocol == sctp.WEBRTC_DCEP:
            self._control(stream, payload)
            return True
        if protocol not in _MESSAGES or stream in self._refused:
            return True
        known = self._association.channel_at(stream)
        channel = self._channels.get(known) if known is not None else None
        if channel is None:
            if known is not None:
                return True  # it is closing
            channel = self._agreed(stream, is_ordered)
            if channel is None:
                return True
        if len(payload) > MAX_MESSAGE_BYTES:
            self._listener.on_refused(channel.parameters.label, "too_large")
            return True
        message = Message(protocol, payload)
        if message.is_text and not _is_utf8(payload):
            self._listener.on_refused(channel.parameters.label, "bad_message")
            return True
        return self._listener.on_message(channel, message)

    def on_too_large(self, stream: int) -> None:
        known = self._association.channel_at(stream)
        self._listener.on_refused(known.label if known is not None else "", "too_large")

    def on_acknowledged(self) -> None:
        self._listener.on_drained(self)

    def on_association(self, state: str) -> None:
        if state == "closed":
            self._end()
        else:
            self._listener.on_changed(self)

    def _control(self, stream: int, payload: bytes) -> None:
        """A message of the Data Channel Establishment Protocol (RFC 8832, 5)."""
        known = self._association.channel_at(stream)
        if payload[:1] == bytes([sctp.DATA_CHANNEL_ACK]):
            if known is not None and known.readyState == "connecting":
                known._setReadyState("open")
                self._listener.on_changed(self)
            return
        parameters = _opening(payload)
        own = self._channels.get(known) if known is not None else None
        if own is not None and own.is_own and own.parameters == parameters:
            # It was opened to a process before this one, whose answer was lost.
            if not self.is_busy(own):
                self._association.acknowledge(self._streams[own])
            return
        if known is not None or stream >= MAX_STREAMS or parameters is None:
            self._listener.on_refused("", "bad_message")
            return
        self._refused.discard(stream)
        channel = Channel(self, parameters, is_own=True)
        self._adopt(channel, stream)
        if not channel.is_closed:
            self._association.acknowledge(self._streams[channel])

    def _agreed(self, stream: int, is_ordered: bool) -> Channel | None:
        """Somebody sends on a stream that was never opened: a channel that the clients agreed on among themselves."""
        channel = Channel(self, ChannelParameters("", is_ordered=is_ordered, negotiated_id=stream), is_own=True)
        self._adopt(channel, stream)
        return None if channel.is_closed else channel

    def _adopt(self, channel: Channel, stream_id: int) -> None:
        stream = self._make(channel, stream_id)
        self._association.adopt(stream)
        stream._setReadyState("open")
        if not self._listener.on_channel(channel):
            self._refused.add(stream_id)
            channel.is_closed = True
            del self._channels[self._streams.pop(channel)]
            stream.close()

    def _end(self) -> None:
        if self.is_gone:
            return
        self.state = "closed"
        self._held.clear()
        for channel in list(self._streams):
            self._ended(channel)
        self._listener.on_changed(self)

    # ---------------------------------------------------------------- what an association runs over

    def _register_data_receiver(self, receiver: object) -> None:
        """Packets are fed by the connection."""

    def _unregister_data_receiver(self, receiver: object) -> None:
        """They no longer are once it is gone."""

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _opening(payload: bytes) -> ChannelParameters | None:
    """What a DATA_CHANNEL_OPEN says; None if it is malformed."""
    if len(payload) < _OPEN_HEADER_BYTES or payload[0] != sctp.DATA_CHANNEL_OPEN:
        return None
    _, kind, _, reliability, label_bytes, protocol_bytes = unpack_from("!BBHLHH", payload)
    text = payload[_OPEN_HEADER_BYTES:]
    if max(label_bytes, protocol_bytes) > MAX_LABEL_BYTES or kind & 0x7F not in (0, 1, 2):
        return None
    # aiortc counts characters where the RFC counts bytes: a length that is too short is its label with accents.
    if label_bytes + protocol_bytes != len(text) and protocol_bytes == 0:
        label_bytes = len(text)
    label, protocol = text[:label_bytes], text[label_bytes : label_bytes + protocol_bytes]
    if len(label) > MAX_LABEL_BYTES or not (_is_utf8(label) and _is_utf8(protocol)):
        return None
    kind, is_ordered = kind & 0x7F, not kind & 0x80
    return ChannelParameters(
        label=label.decode(),
        protocol=protocol.decode(),
        is_ordered=is_ordered,
        max_retransmits=min(reliability, 65535) if kind == 1 else None,
        max_lifetime_ms=min(reliability, 65535) if kind == 2 else None,
    )
