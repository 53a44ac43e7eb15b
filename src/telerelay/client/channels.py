"""
Data channels of the Python client: a label shared with everyone else in the room.

One RoomChannel stands for all that carries its label: the channel we opened, and those the relay opened to us. Event
loop of the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiortc import RTCDataChannel, RTCPeerConnection, RTCSctpTransport
from aiortc.rtcsctptransport import WEBRTC_DCEP, InitChunk

from telerelay.errors import LocalProtocolError

MAX_MESSAGE_BYTES = 65536
"""What the relay takes; it answers `too_large` to more."""

BUFFER_BYTES = 262144
"""`drained` waits until less than this waits to be sent."""


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """At most one of the last two; neither: reliable. `max_packet_life_time` in milliseconds (W3C's names)."""

    ordered: bool = True
    protocol: str = ""
    max_retransmits: int | None = None
    max_packet_life_time: int | None = None


class RoomChannel:
    """
    Messages to and from everyone in the room under one label. `on_message(data)` is called with str or bytes; without
    one, `receive` hands them out.
    """

    def __init__(self, label: str, on_message: Callable[[str | bytes], None] | None = None) -> None:
        self.label = label
        self.on_message = on_message
        self.options: ChannelOptions | None = None
        """What it was asked for with; None as long as only others use the label."""
        self._lines: list[RTCDataChannel] = []
        self._chosen: RTCDataChannel | None = None
        self._received: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._changed = asyncio.Event()

    def open_on(self, pc: RTCPeerConnection) -> None:
        """Open it on a connection of ours."""
        options = self.options or ChannelOptions()
        self.add(
            pc.createDataChannel(
                self.label,
                ordered=options.ordered,
                protocol=options.protocol,
                maxRetransmits=options.max_retransmits,
                maxPacketLifeTime=options.max_packet_life_time,
            )
        )

    def add(self, line: RTCDataChannel) -> None:
        """Something that carries this label."""
        self._lines.append(line)
        line.on("message", self._on_message)
        line.on("open", self._changed.set)
        line.on("bufferedamountlow", self._changed.set)
        line.on("close", lambda: self._on_close(line))
        self._changed.set()

    @property
    def is_open(self) -> bool:
        return self._line() is not None

    @property
    def line(self) -> RTCDataChannel | None:
        """What carries it now; another one after a connection was begun anew."""
        return self._line()

    @property
    def is_carried(self) -> bool:
        """Whether anything carries this label, open or about to be."""
        return any(line.readyState in ("connecting", "open") for line in self._lines)

    @property
    def buffered_bytes(self) -> int:
        """Queued here and not yet handed to SCTP."""
        line = self._line()
        return 0 if line is None else int(line.bufferedAmount)

    async def opened(self, timeout_s: float = 10.0) -> None:
        """Wait until messages can be sent. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not self.is_open:
                self._changed.clear()
                await self._changed.wait()

    def send(self, data: str | bytes) -> None:
        """Queue a message. Raises LocalProtocolError: too_large, or not_open."""
        if len(data.encode() if isinstance(data, str) else data) > MAX_MESSAGE_BYTES:
            raise LocalProtocolError("too_large", f"a message may have {MAX_MESSAGE_BYTES} bytes")
        line = self._line()
        if line is None:
            raise LocalProtocolError("not_open", "the channel is not open")
        line.send(data)

    async def drained(self, below_bytes: int = BUFFER_BYTES) -> None:
        """Wait until less than that is queued; the way to send much."""
        while (line := self._line()) is not None and line.bufferedAmount > below_bytes:
            line.bufferedAmountLowThreshold = below_bytes
            self._changed.clear()
            await self._changed.wait()

    async def receive(self) -> str | bytes:
        """The next message."""
        return await self._received.get()

    def close(self) -> None:
        """Close it for ourselves; the others' go on."""
        self.options = None
        for line in list(self._lines):
            line.close()

    def _line(self) -> RTCDataChannel | None:
        # One and the same as long as it is open: what goes over two lines may arrive in another order.
        if self._chosen is None or self._chosen.readyState != "open":
            self._chosen = next((line for line in self._lines if line.readyState == "open"), None)
        return self._chosen

    def _on_message(self, data: str | bytes) -> None:
        if self.on_message is not None:
            self.on_message(data)
        else:
            self._received.put_nowait(data)

    def _on_close(self, line: RTCDataChannel) -> None:
        if line in self._lines:
            self._lines.remove(line)
        self._changed.set()


def follow_restarts(association: RTCSctpTransport | None) -> None:
    """
    A relay whose control process began anew begins its association anew (RFC 9260, 5.2.2). aiortc answers, and goes on
    counting where it was; here it begins anew too, as browsers do: channels stay, what was under way is lost, and a
    channel whose opening was under way is announced again.
    """
    if association is None or "_receive_chunk" in vars(association):
        return
    receive = association._receive_chunk
    first_tsn: int | None = None  # what our answer to the relay's latest INIT named

    async def receive_chunk(chunk: Any) -> None:
        nonlocal first_tsn
        if not isinstance(chunk, InitChunk):
            await receive(chunk)
        elif chunk.initiate_tag != association._remote_verification_tag:
            if association._association_state == association.State.ESTABLISHED:
                _begin_anew(association)
            first_tsn = association._local_tsn
            await receive(chunk)
        else:
            # It comes again: our answer was lost, or is late. The relay may take either, so this one says the same,
            # though aiortc has gone on counting; and an INIT that was known says nothing new of what has come.
            kept = association._last_received_tsn, association._reconfig_response_seq, association._ssthresh
            local_tsn = association._local_tsn
            association._local_tsn = local_tsn if first_tsn is None else first_tsn
            await receive(chunk)
            association._local_tsn = local_tsn
            association._last_received_tsn, association._reconfig_response_seq, association._ssthresh = kept

    association._receive_chunk = receive_chunk  # type: ignore[method-assign]


def _begin_anew(association: RTCSctpTransport) -> None:
    association._t3_cancel()
    for queue in (association._sent_queue, association._outbound_queue, association._sack_misordered):
        queue.clear()
    association._inbound_streams.clear()
    association._outbound_stream_seq.clear()
    association._flight_size = 0
    association._fast_recovery_exit = None
    association._last_sacked_tsn = (association._local_tsn - 1) % 2**32
    association._advanced_peer_ack_tsn = association._last_sacked_tsn
    waiting = {channel for channel, protocol, _ in association._data_channel_queue if protocol == WEBRTC_DCEP}
    for stream, channel in list(association._data_channels.items()):
        if channel.readyState == "connecting" and channel not in waiting:
            del association._data_channels[stream]
            association._data_channel_open(channel)
