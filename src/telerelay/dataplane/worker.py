"""
One worker of C, driven from asyncio: commands go into its ring, results and events come out of it.

Every method runs on the event loop's thread; the worker's own thread is C and never takes the GIL. A command is
answered once and in order; each command here is posted when it is called, and its result can be awaited then or later:
several can be under way, and who needs them all awaits one after the other.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from telerelay._native import ffi, lib
from telerelay.allocator.ladder import Rung
from telerelay.dataplane import events
from telerelay.dataplane.certificate import Certificate
from telerelay.dataplane.counts import (
    Count,
    CountsPage,
    Rate,
    RatesPage,
    Seen,
    SeenPage,
    counts_page,
    rates_page,
    seen_page,
)
from telerelay.dataplane.hosts import NoteStore, Running, ThreadHost, WorkerHost
from telerelay.dataplane.ids import MAX_INDEXES, IdPool
from telerelay.dataplane.inventory import Found, Inventory, ReceiverFound, SenderFound, TransportFound
from telerelay.dataplane.settings import WorkerSettings
from telerelay.dataplane.stats import (
    ReceiverStats,
    SenderStats,
    StatsReport,
    TransportStats,
    WorkerStats,
    receiver_stats,
    sender_stats,
    transport_stats,
    worker_stats,
)
from telerelay.dataplane.status import check
from telerelay.errors import LocalProtocolError, NativeError
from telerelay.protocol.parameters import NegotiatedCodec, ReceiveParameters, RemoteTransport, SendParameters

# Records taken in one turn of the loop: signalling gets its turn even in a storm of events.
EVENTS_PER_TURN = 256

ANY_LAYER: int = lib.TR_LAYER_ANY
"""In place of a layer's number: the best there is."""
MAX_LIMIT_BPS = (1 << 32) - 1

_KINDS = {"audio": lib.TR_AUDIO, "video": lib.TR_VIDEO}
_CODECS = {
    "opus": lib.TR_CODEC_OPUS,
    "vp8": lib.TR_CODEC_VP8,
    "vp9": lib.TR_CODEC_VP9,
    "h264": lib.TR_CODEC_H264,
    "av1": lib.TR_CODEC_AV1,
    "h265": lib.TR_CODEC_H265,
    "red": lib.TR_CODEC_RED,
}

Report = TransportStats | ReceiverStats | SenderStats | Found | CountsPage | RatesPage | SeenPage | int

Posted = asyncio.Future[list[Report]]
"""The result of a command: a NativeError where it was refused, or could not be posted."""


class Worker:
    """One thread of C with its UDP port, transports and clock."""

    def __init__(self, settings: WorkerSettings, host: WorkerHost | Certificate) -> None:
        self.settings = settings
        self.index = settings.index
        self.on_event: Callable[[events.WorkerEvent], None] = lambda event: None
        """Told of every event that no listener of a transport took."""
        self.wall_offset_s = 0.0
        """
        Makes monotonic seconds the Unix time of the worker's sender reports, which it fixes when it starts. Of a worker
        that was found it is as its notes say, if the wall clock was set since.
        """
        self.on_end: Callable[[Worker], None] = lambda worker: None
        """Told once when the worker ended without having been told to."""
        self.transports = IdPool(settings.max_transports)
        self.receivers = IdPool(MAX_INDEXES)
        self.senders = IdPool(MAX_INDEXES)
        self._listeners: dict[int, Callable[[events.WorkerEvent], None]] = {}
        self._host = ThreadHost(host) if isinstance(host, Certificate) else host
        self._running: Running | None = None
        self._native: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = ffi.new("tr_event *")
        self._data = ffi.new("tr_data *")
        self._tag = 0
        self._waiting: dict[int, tuple[str, Posted]] = {}
        self._reports: list[Report] = []
        self._ending: asyncio.Future[None] | None = None

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """
        Run, or attach to what runs; `settings` are those it runs with from then on. Raises NativeError, before anything
        runs, when an address cannot be bound.
        """
        self._host.on_end = self._ended
        self._running = await self._host.start(self.settings)
        self.settings = self._running.settings
        self.wall_offset_s = time.time() - time.monotonic()
        self.transports = IdPool(self.settings.max_transports)
        self._native = self._running.native
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(lib.tr_worker_event_fd(self._native), self._take)

    async def stop(self) -> None:
        """Say goodbye on every transport, end the worker, free the memory. Safe twice."""
        self._let_go()
        await self._host.stop()

    def leave(self) -> None:
        """Let go of a worker that is to go on without us."""
        self._let_go()
        self._host.leave()

    def _ended(self) -> None:
        """The worker is gone, and all that was on it."""
        self._let_go()
        self._host.leave()
        self.on_end(self)

    async def _end(self) -> None:
        await self._host.stop()
        self.on_end(self)

    def _let_go(self) -> None:
        if self._native is None or self._loop is None:
            return
        native, self._native = self._native, None
        self._loop.remove_reader(lib.tr_worker_event_fd(native))
        waiting, self._waiting = self._waiting, {}
        for _doing, future in waiting.values():
            if not future.done():
                future.set_exception(NativeError(lib.TR_ERR_STATE, f"worker {self.index} has stopped", code="state"))

    @property
    def is_running(self) -> bool:
        return self._native is not None

    @property
    def is_found(self) -> bool:
        """It ran before this process did: there may be transports and notes."""
        return self._about.is_found

    @property
    def pid(self) -> int:
        """Of the process it lives in."""
        return self._about.pid

    @property
    def fingerprint(self) -> bytes:
        """Of its certificate: sha-256."""
        return self._about.fingerprint

    @property
    def notes(self) -> NoteStore:
        """Where a successor of this process will find what it must know."""
        return self._host.notes

    async def read_notes(self) -> dict[str, bytes]:
        """What a predecessor left."""
        return await self._host.read_notes()

    @property
    def ports(self) -> tuple[int, ...]:
        """The UDP port of each bind, as the kernel gave it."""
        return self._about.ports

    @property
    def binds(self) -> tuple[tuple[str, int], ...]:
        """Where media is taken: each address with its port."""
        return tuple((address, port) for (address, _), port in zip(self.settings.binds, self.ports, strict=True))

    @property
    def _about(self) -> Running:
        if self._running is None:
            raise NativeError(lib.TR_ERR_STATE, f"worker {self.index} does not run", code="state")
        return self._running

    def stats(self) -> WorkerStats:
        """The worker's counters, some milliseconds old at most."""
        raw = ffi.new("tr_stats *")
        lib.tr_worker_stats(self._live(), raw)
        return worker_stats(raw, int(lib.tr_worker_thread_cpu_ns(self._live())))

    def packets(self) -> int:
        """Datagrams taken and sent so far: what it has had to do."""
        raw = ffi.new("tr_stats *")
        lib.tr_worker_stats(self._live(), raw)
        return int(raw.rx_packets + raw.tx_packets)

    def listen(self, transport: int, listener: Callable[[events.WorkerEvent], None]) -> None:
        """Tell `listener` of this transport's events from now on; `unlisten` ends it."""
        self._listeners[transport] = listener

    def unlisten(self, transport: int) -> None:
        self._listeners.pop(transport, None)

    # ---------------------------------------------------------------- commands

    def add_transport(
        self,
        *,
        transport: int,
        room: int,
        participant: int,
        is_admitted: bool,
        ufrag: str,
        pwd: str,
        is_tap: bool = False,
    ) -> Posted:
        """
        A tap has no peer and is connected at once: what its senders send is told as Tapped, as long as the ring of
        events is less than half full.
        """
        body = ffi.new("tr_add_transport *")
        body.transport = transport
        body.room = room
        body.participant = participant
        body.is_admitted = is_admitted
        body.is_tap = is_tap
        body.local_ufrag = ufrag.encode("ascii")
        body.local_pwd = pwd.encode("ascii")
        return self._command(lib.TR_CMD_ADD_TRANSPORT, body, "add a transport")

    def set_remote(self, transport: int, remote: RemoteTransport) -> Posted:
        body = ffi.new("tr_set_remote *")
        body.transport = transport
        body.is_dtls_client = remote.is_dtls_client
        body.ufrag = remote.ice.ufrag.encode("ascii")
        body.pwd = remote.ice.pwd.encode("ascii")
        for slot, fingerprint in zip(body.fingerprints, remote.dtls.fingerprints, strict=False):
            slot.size = len(fingerprint.value)
            ffi.buffer(slot.bytes)[: len(fingerprint.value)] = fingerprint.value
        return self._command(lib.TR_CMD_SET_REMOTE, body, "set the peer of a transport")

    def restart_ice(self, transport: int, *, ufrag: str, pwd: str) -> Posted:
        """
        New credentials of ours (RFC 8445, 9); the peer's follow by `set_remote`. The path in use goes on until the peer
        nominates one under the new ones.
        """
        body = ffi.new("tr_restart_ice *")
        body.transport = transport
        body.local_ufrag = ufrag.encode("ascii")
        body.local_pwd = pwd.encode("ascii")
        return self._command(lib.TR_CMD_RESTART_ICE, body, "restart the ICE of a transport")

    def set_admitted(self, transport: int, is_admitted: bool) -> Posted:
        body = ffi.new("tr_set_admitted *", {"transport": transport, "is_admitted": is_admitted})
        return self._command(lib.TR_CMD_SET_ADMITTED, body, "admit a transport")

    def set_downlink(self, transport: int, *, start_bps: int, least_bps: int, most_bps: int) -> Posted:
        """
        Estimate what the transport's peer can be sent, between these rates on the wire, beginning with `start_bps`,
        what is remembered of the line; let pictures go at that pace, and tell of it as LineEstimate. Where an estimate
        runs the start has no say once something was sent. Without transport-wide numbers negotiated for any sender
        nothing comes of it. Refused unless 1 <= least <= start <= most.
        """
        body = ffi.new("tr_set_downlink *")
        body.transport = transport
        body.is_on = True
        body.start_bps, body.least_bps, body.most_bps = start_bps, least_bps, most_bps
        return self._command(lib.TR_CMD_SET_DOWNLINK, body, "set a downlink")

    def leave_downlink(self, transport: int) -> Posted:
        """
        Estimate nothing for this transport and hold nothing back; what leaves is numbered still, where that was
        negotiated.
        """
        body = ffi.new("tr_set_downlink *", {"transport": transport})
        return self._command(lib.TR_CMD_SET_DOWNLINK, body, "leave a downlink alone")

    def remove_transport(self, transport: int) -> Posted:
        """With all its receivers and senders."""
        return self._on_one(lib.TR_CMD_REMOVE_TRANSPORT, transport, "remove a transport")

    def add_receiver(self, receiver: int, transport: int, params: ReceiveParameters) -> Posted:
        body = ffi.new("tr_add_receiver *")
        body.receiver = receiver
        body.transport = transport
        body.kind = _KINDS[params.kind]
        body.mid = params.mid.encode("ascii")
        body.codec_count = len(params.codecs)
        for slot, codec in zip(body.codecs, params.codecs, strict=False):
            _fill_codec(slot, codec)
        # A section without encodings has one: what it carries is learned from the MID extension.
        body.encoding_count = max(1, len(params.encodings))
        for slot, encoding in zip(body.encodings, params.encodings, strict=False):
            slot.rid = encoding.rid.encode("ascii")
            slot.ssrc = encoding.ssrc
            slot.rtx_ssrc = encoding.rtx_ssrc
        _fill_extensions(body.extensions, params.extensions)
        return self._command(lib.TR_CMD_ADD_RECEIVER, body, "add a receiver")

    def remove_receiver(self, receiver: int) -> Posted:
        return self._on_one(lib.TR_CMD_REMOVE_RECEIVER, receiver, "remove a receiver")

    def add_sender(self, sender: int, transport: int, params: SendParameters) -> Posted:
        body = ffi.new("tr_add_sender *")
        body.sender = sender
        body.transport = transport
        body.kind = _KINDS[params.kind]
        body.may_pad = params.may_pad
        body.ssrc = params.ssrc
        body.rtx_ssrc = params.rtx_ssrc
        body.mid = params.mid.encode("ascii")
        body.cname = params.cname.encode("ascii")
        _fill_extensions(body.extensions, params.extensions)
        return self._command(lib.TR_CMD_ADD_SENDER, body, "add a sender")

    def bind_sender(
        self,
        sender: int,
        receiver: int,
        pts: Sequence[int] = (),
        rtx_pts: Sequence[int] = (),
        *,
        red_pt: int = 0,
        may_join: bool = False,
    ) -> Posted:
        """
        Forward `receiver` (0: nothing) to `sender`; the tables run parallel to the receiver's codecs, 255: cannot. The
        rest is for Opus in the clear alone: as which the peer takes RED around it, 0 where no copies are to be added,
        and whether packets may be joined.
        """
        body = ffi.new(
            "tr_bind_sender *", {"sender": sender, "receiver": receiver, "red_pt": red_pt, "may_join": may_join}
        )
        for table, given in ((body.pts, pts), (body.rtx_pts, rtx_pts)):
            ffi.buffer(table)[:] = bytes([lib.TR_NO_PT]) * lib.TR_MAX_CODECS
            ffi.buffer(table)[: len(given)] = bytes(given)
        return self._command(lib.TR_CMD_BIND_SENDER, body, "bind a sender")

    def pause_sender(self, sender: int, is_paused: bool) -> Posted:
        body = ffi.new("tr_pause_sender *", {"sender": sender, "is_paused": is_paused})
        return self._command(lib.TR_CMD_PAUSE_SENDER, body, "pause a sender")

    def set_layer(
        self, sender: int, *, encoding: int = ANY_LAYER, spatial: int = ANY_LAYER, temporal: int = ANY_LAYER
    ) -> Posted:
        """
        Forward at most these of what the sender's receiver has, each counted from the lowest; ANY_LAYER: the best there
        is. Encodings change at a keyframe, which is asked for; layers at the next frame that allows it.
        """
        body = ffi.new(
            "tr_set_layer *", {"sender": sender, "encoding": encoding, "spatial": spatial, "temporal": temporal}
        )
        return self._command(lib.TR_CMD_SET_LAYER, body, "set the layer of a sender")

    def set_redundancy(self, sender: int, distances: Sequence[int] = ()) -> Posted:
        """
        Have each packet of Opus bring copies of those so many packets before it (RFC 2198): up to two distances, rising
        each up to 16; none: no copies. A copy takes the rate of the sound once more. Nothing comes of it where the
        sender was bound without a `red_pt`, and while packets are joined. Holds over bindings.
        """
        if len(distances) > lib.TR_MAX_COPIES:
            raise LocalProtocolError("bad_distances", f"a packet brings at most {lib.TR_MAX_COPIES} copies")
        body = ffi.new("tr_set_redundancy *", {"sender": sender, "count": len(distances)})
        ffi.buffer(body.distances)[: len(distances)] = bytes(distances)
        return self._command(lib.TR_CMD_SET_REDUNDANCY, body, "set the redundancy of a sender")

    def set_packet_time(self, sender: int, ms: int = 0) -> Posted:
        """
        Have packets of Opus leave joined, up to `ms` of sound in one (at most 120); 0: as they come. Three of 20 ms in
        one save two headers: 12 to 14 kbit/s; they come 40 ms later. Nothing comes of it where the sender was bound
        without `may_join`. Holds over bindings.
        """
        body = ffi.new("tr_set_packet_time *", {"sender": sender, "ms": ms})
        return self._command(lib.TR_CMD_SET_PACKET_TIME, body, "set the packet time of a sender")

    def set_ladder(self, transport: int, rungs: Sequence[Rung]) -> Posted:
        """
        What the transport's senders get of what its line carries, from the ground up; climbed by the worker alone, with
        the estimate. Senders on no rung get the best there is. Refused: more than MAX_RUNGS, or costs that fall.
        """
        body = ffi.new("tr_set_ladder *")
        body.transport = transport
        body.count = min(len(rungs), lib.TR_MAX_RUNGS + 1)
        for slot, rung in zip(body.rungs, rungs, strict=False):
            slot.sender, slot.cost_bps, slot.is_paused = rung.sender, min(rung.cost_bps, MAX_LIMIT_BPS), rung.is_paused
            slot.encoding, slot.spatial, slot.temporal = rung.encoding, rung.spatial, rung.temporal
        return self._command(lib.TR_CMD_SET_LADDER, body, "set a ladder")

    def set_limit(self, transport: int, bps: int) -> Posted:
        """What the transport's peer may send in all, told by REMB where that was negotiated; 0: no limit."""
        body = ffi.new("tr_set_limit *", {"transport": transport, "bps": min(bps, MAX_LIMIT_BPS)})
        return self._command(lib.TR_CMD_SET_LIMIT, body, "set a limit")

    def remove_sender(self, sender: int) -> Posted:
        return self._on_one(lib.TR_CMD_REMOVE_SENDER, sender, "remove a sender")

    def send_data(self, transport: int, data: bytes) -> None:
        """
        Send one record's worth of application data. It is lost, as on any network, where there is no room for it or the
        transport is not connected.
        """
        native = self._native
        if native is None or not 1 <= len(data) <= ffi.sizeof(self._data.bytes):
            return
        self._host.notes.flush()  # the peer learns of something
        self._data.transport = transport
        self._data.size = len(data)
        ffi.memmove(self._data.bytes, data, len(data))
        lib.tr_worker_post(native, lib.TR_CMD_SEND_DATA, 0, self._data, ffi.offsetof("tr_data", "bytes") + len(data))

    def request_keyframe(self, receiver: int) -> Posted:
        return self._on_one(lib.TR_CMD_REQUEST_KEYFRAME, receiver, "request a keyframe")

    async def transport_stats(self, transport: int) -> StatsReport:
        """Counters of one transport, its receivers and its senders, as they are now."""
        reports = await self._on_one(lib.TR_CMD_GET_STATS, transport, "read statistics")
        return StatsReport(
            transport=next(report for report in reports if isinstance(report, TransportStats)),
            receivers=tuple(report for report in reports if isinstance(report, ReceiverStats)),
            senders=tuple(report for report in reports if isinstance(report, SenderStats)),
        )

    async def counts(self) -> list[Count]:
        """
        What is counted of every stream, page by page: while it is asked for, streams may come and go, so one may be
        missing or be there twice.
        """
        found: list[Count] = []
        place = 0
        while True:
            body = ffi.new("tr_get_counts *", {"from": place})
            (page,) = await self._command(lib.TR_CMD_GET_COUNTS, body, "count")
            assert isinstance(page, CountsPage)
            found.extend(page.rows())
            place = page.next
            if not place:
                return found

    async def rates(self) -> list[Rate]:
        """What each layer takes that arrives, page by page, as `counts`."""
        found: list[Rate] = []
        place = 0
        while True:
            body = ffi.new("tr_get_rates *", {"from": place})
            (page,) = await self._command(lib.TR_CMD_GET_RATES, body, "read rates")
            assert isinstance(page, RatesPage)
            found.extend(page.rows())
            place = page.next
            if not place:
                return found

    async def seen(self, transports: Sequence[int]) -> list[Seen]:
        """
        What the peers of these transports were shown, of each of their senders; page by page, as `counts`. A transport
        that is gone has no rows.
        """
        found: list[Seen] = []
        for at in range(0, len(transports), lib.TR_MAX_SEEN_TRANSPORTS):
            some = list(transports[at : at + lib.TR_MAX_SEEN_TRANSPORTS])
            place = 0
            while True:
                body = ffi.new("tr_get_seen *", {"from": place, "count": len(some), "transports": some})
                (page,) = await self._command(lib.TR_CMD_GET_SEEN, body, "read what was seen")
                assert isinstance(page, SeenPage)
                found.extend(page.rows())
                place = page.next
                if not place:
                    break
        return found

    async def inventory(self) -> Inventory:
        """All transports, receivers and senders there are."""
        found: list[Report] = []
        for kind in (lib.TR_INVENTORY_TRANSPORT, lib.TR_INVENTORY_RECEIVER, lib.TR_INVENTORY_SENDER):
            index = 0
            while True:
                body = ffi.new("tr_get_inventory *", {"kind": kind, "from": index})
                *page, end = await self._command(lib.TR_CMD_GET_INVENTORY, body, "take the inventory")
                found += page
                if not isinstance(end, int) or not end:
                    break
                index = end
        return Inventory.of(each for each in found if isinstance(each, Found))

    # ---------------------------------------------------------------- the rings

    def _live(self) -> Any:
        if self._native is None:
            raise NativeError(lib.TR_ERR_STATE, f"worker {self.index} does not run", code="state")
        return self._native

    def _on_one(self, command: int, subject: int, doing: str) -> Posted:
        return self._command(command, ffi.new("tr_one_id *", {"id": subject}), doing)

    def _command(self, command: int, body: Any, doing: str) -> Posted:
        """Post one record. Its result: the statistics that came with it, if it asked for any."""
        future: Posted = asyncio.get_running_loop().create_future()
        try:
            native = self._live()
            self._tag += 1
            status = lib.tr_worker_post(native, command, self._tag, body, ffi.sizeof(body[0]))
            # Keys and passwords pass through here: no copy outlives the call.
            ffi.buffer(body)[:] = bytes(ffi.sizeof(body[0]))
            check(status, doing)
        except NativeError as error:
            future.set_exception(error)
        else:
            self._waiting[self._tag] = (doing, future)
        return future

    def _take(self) -> None:
        for _ in range(EVENTS_PER_TURN):
            if self._native is None:
                return
            taken = lib.tr_worker_take(self._native, self._event)
            if taken < 0:  # what it wrote cannot be read: as good as gone
                self._let_go()
                self._ending = asyncio.ensure_future(self._end())
            if taken != 1:
                return
            self._on_record(self._event.type, self._event.tag, self._event.body)

    def _on_record(self, record: int, tag: int, body: Any) -> None:
        if record == lib.TR_EVENT_RESULT:
            self._on_result(tag, int(ffi.cast("tr_result *", body).status))
        elif record in _REPORTS:
            name, read = _REPORTS[record]
            self._reports.append(read(ffi.cast(name, body)))
        elif record in _EVENTS:
            name, tell = _EVENTS[record]
            event = tell(ffi.cast(name, body))
            self._listeners.get(getattr(event, "transport", 0), self._unheard)(event)

    def _unheard(self, event: events.WorkerEvent) -> None:
        self.on_event(event)

    def _on_result(self, tag: int, status: int) -> None:
        # The worker answers in order, so what was reported since the last result belongs to this one.
        reports, self._reports = self._reports, []
        if not tag:  # nobody asked: data was sent
            return
        doing, future = self._waiting.pop(tag)
        if future.done():  # whoever asked was cancelled
            return
        try:
            check(status, doing)
        except NativeError as error:
            future.set_exception(error)
        else:
            future.set_result(reports)


def _text(value: Any) -> str:
    return str(ffi.string(value).decode("ascii", "replace"))


def _fill_codec(slot: Any, negotiated: NegotiatedCodec) -> None:
    feedback = negotiated.codec.feedback
    slot.pt = negotiated.pt
    slot.rtx_pt = lib.TR_NO_PT if negotiated.rtx_pt is None else negotiated.rtx_pt
    slot.codec = _CODECS.get(negotiated.codec.name.lower(), lib.TR_CODEC_OTHER)
    slot.clock_rate = negotiated.codec.clock_rate
    slot.has_nack = "nack" in feedback
    slot.has_pli = "nack pli" in feedback
    slot.has_fir = "ccm fir" in feedback
    slot.has_twcc = "transport-cc" in feedback
    slot.has_remb = "goog-remb" in feedback


def _fill_extensions(slots: Any, extensions: Mapping[int, int]) -> None:
    for extension, negotiated_id in extensions.items():
        slots[extension] = negotiated_id


def _state_changed(raw: Any) -> events.TransportStateChanged:
    return events.TransportStateChanged(
        transport=raw.transport,
        state=events.TRANSPORT_STATES[raw.state],
        srtp_profile=events.SRTP_PROFILES.get(raw.srtp_profile, ""),
        reason=_text(raw.reason),
    )


def _path_changed(raw: Any) -> events.PathChanged:
    return events.PathChanged(transport=raw.transport, local=_text(raw.local), remote=_text(raw.remote))


def _receiver_active(raw: Any) -> events.ReceiverActive:
    return events.ReceiverActive(receiver=raw.receiver, encoding=raw.encoding, ssrc=raw.ssrc)


def _receiver_idle(raw: Any) -> events.ReceiverIdle:
    return events.ReceiverIdle(receiver=raw.receiver, encoding=raw.encoding, ssrc=raw.ssrc)


def _data_received(raw: Any) -> events.DataReceived:
    return events.DataReceived(transport=raw.transport, data=bytes(ffi.buffer(raw.bytes)[: raw.size]))


def _tapped(raw: Any) -> events.Tapped:
    return events.Tapped(raw.transport, bool(raw.is_rtcp), bytes(ffi.buffer(raw.bytes)[: raw.size]))


def _line_estimate(raw: Any) -> events.LineEstimate:
    return events.LineEstimate(
        transport=raw.transport,
        target_bps=raw.target_bps,
        queue_us=raw.queue_us,
        pacer_us=raw.pacer_us,
        rtt_us=raw.rtt_us,
        loss=raw.loss_q16 / 65536,
        mode=events.ESTIMATE_MODES[raw.mode],
        estimate_bps=raw.estimate_bps,
        rung=raw.rung,
    )


def _sender_held(raw: Any) -> events.SenderHeld:
    return events.SenderHeld(transport=raw.transport, sender=raw.sender, is_held=bool(raw.is_held))


def _found(raw: Any) -> Found:
    if raw.kind == lib.TR_INVENTORY_RECEIVER:
        return ReceiverFound(raw.id, raw.transport)
    if raw.kind == lib.TR_INVENTORY_SENDER:
        return SenderFound(raw.id, raw.transport, raw.receiver, bool(raw.is_held))
    return TransportFound(
        transport=raw.id,
        room=raw.room,
        participant=raw.participant,
        state=events.TRANSPORT_STATES[raw.state],
        is_admitted=bool(raw.is_admitted),
        srtp_profile=events.SRTP_PROFILES.get(raw.srtp_profile, ""),
        local_ufrag=_text(raw.local_ufrag),
    )


_REPORTS: Mapping[int, tuple[str, Callable[[Any], Report]]] = {
    lib.TR_EVENT_TRANSPORT_STATS: ("tr_transport_stats *", transport_stats),
    lib.TR_EVENT_RECEIVER_STATS: ("tr_receiver_stats *", receiver_stats),
    lib.TR_EVENT_SENDER_STATS: ("tr_sender_stats *", sender_stats),
    lib.TR_EVENT_INVENTORY: ("tr_inventory *", _found),
    lib.TR_EVENT_COUNTS: ("tr_counts *", counts_page),
    lib.TR_EVENT_RATES: ("tr_rate_page *", rates_page),
    lib.TR_EVENT_SEEN: ("tr_seen_page *", seen_page),
    lib.TR_EVENT_INVENTORY_END: ("tr_inventory_end *", lambda raw: int(raw.next)),
}
_EVENTS: Mapping[int, tuple[str, Callable[[Any], events.WorkerEvent]]] = {
    lib.TR_EVENT_TRANSPORT_STATE: ("tr_transport_changed *", _state_changed),
    lib.TR_EVENT_PATH: ("tr_path_changed *", _path_changed),
    lib.TR_EVENT_RECEIVER_ACTIVE: ("tr_receiver_event *", _receiver_active),
    lib.TR_EVENT_RECEIVER_IDLE: ("tr_receiver_event *", _receiver_idle),
    lib.TR_EVENT_DATA: ("tr_data *", _data_received),
    lib.TR_EVENT_TAPPED: ("tr_tapped *", _tapped),
    lib.TR_EVENT_ESTIMATE: ("tr_estimate *", _line_estimate),
    lib.TR_EVENT_SENDER_HELD: ("tr_sender_held *", _sender_held),
    lib.TR_EVENT_STOPPED: ("void *", lambda raw: events.WorkerStopped()),
}
