"""
The engine of C, driven from asyncio: peers and streams go in, events and counts come out.

The only importer of telerelay._load. Every method runs on the event loop's thread; the engine's own thread is C and
never takes the GIL. A question waits for the engine's next turn, a millisecond or so.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from telerelay._load import ffi, lib
from telerelay.errors import NativeError
from telerelay.load.measure import Histogram, Tally, Totals
from telerelay.load.measurement import EngineSettings, Leg
from telerelay.load.offers import LocalEnd, ReceiveTrack, RemoteEnd, SendTrack
from telerelay.load.profiles import Profile
from telerelay.protocol.parameters import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    MID,
    REPAIRED_RID,
    RID,
    TWCC,
    Candidate,
    Fingerprint,
    IceParameters,
)

CONNECTED: int = lib.TL_EVENT_CONNECTED
FAILED: int = lib.TL_EVENT_FAILED
CLOSED: int = lib.TL_EVENT_CLOSED
GONE: int = lib.TL_EVENT_GONE
FIRST_PACKET: int = lib.TL_EVENT_FIRST_PACKET
FIRST_FRAME: int = lib.TL_EVENT_FIRST_FRAME
CONSENT_LOST: int = lib.TL_EVENT_CONSENT_LOST

# Events taken in one turn of the loop: signalling gets its turn even in a storm of them.
_EVENTS_PER_TURN = 256

# A full ring empties in a turn of the engine; one that stays full for so long has no engine behind it.
_FULL_PATIENCE_S = 5.0

_KINDS = {"audio": lib.TL_AUDIO, "video": lib.TL_VIDEO}
_CODECS = {"opus": lib.TL_CODEC_OPUS, "vp8": lib.TL_CODEC_VP8, "h264": lib.TL_CODEC_H264}
_PATTERNS = {"camera": lib.TL_PATTERN_BURST, "smooth": lib.TL_PATTERN_SMOOTH}
_EXTENSIONS = {
    MID: lib.TL_EXT_MID,
    RID: lib.TL_EXT_RID,
    REPAIRED_RID: lib.TL_EXT_REPAIRED_RID,
    AUDIO_LEVEL: lib.TL_EXT_AUDIO_LEVEL,
    TWCC: lib.TL_EXT_TWCC,
    ABS_SEND_TIME: lib.TL_EXT_ABS_SEND_TIME,
}

# Of a frame that begins a group to a mean one. Encoders give a keyframe four to eight times as much; the mean stays.
_KEYFRAME_RATIO_MILLI = 4000
_JITTER_MILLI = 200


@dataclass(frozen=True, slots=True)
class Event:
    """As tl_event; `at_ns` is CLOCK_MONOTONIC."""

    type: int
    peer: int
    section: int
    stream: int
    at_ns: int
    reason: str


class Engine:
    """`start()`, then peers; `stop()` ends the thread and all of them."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self._native: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fingerprint: Fingerprint | None = None
        self._listeners: dict[int, Callable[[Event], None]] = {}
        self._stream_listeners: dict[int, Callable[[Event], None]] = {}
        self._streams: dict[int, list[int]] = {}
        self._free: list[int] = list(range(settings.max_peers - 1, -1, -1))
        self._next_stream = 0
        self._event = ffi.new("tl_event *")

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        """Open the sockets and run. Raises NativeError."""
        config = ffi.new("tl_config *")
        lib.tl_config_init(config)
        config.seed = self.settings.seed
        config.max_peers = self.settings.max_peers
        config.has_gso = self.settings.has_gso
        config.has_gro = self.settings.has_gro
        config.flight_us = self.settings.flight_us
        if self.settings.bind_address:
            config.sockets = lib.TL_SOCKETS_EACH
            config.bind_address = self.settings.bind_address.encode("ascii")
        out = ffi.new("tl_engine **")
        _check(lib.tl_engine_new(config, out), "open the load engine")
        self._native = ffi.gc(out[0], lib.tl_engine_free)
        text = ffi.new("char[96]")
        lib.tl_engine_fingerprint(self._native, text)
        self._fingerprint = Fingerprint("sha-256", bytes.fromhex(ffi.string(text).decode("ascii").replace(":", "")))
        _check(lib.tl_engine_start(self._native), "start the load engine")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(lib.tl_engine_event_fd(self._native), self._take)

    async def stop(self) -> None:
        """Join the thread, free the memory. Safe twice."""
        if self._native is None or self._loop is None:
            return
        native, self._native = self._native, None
        self._loop.remove_reader(lib.tl_engine_event_fd(native))
        await self._loop.run_in_executor(None, lib.tl_engine_stop, native)
        ffi.release(native)

    @property
    def crypto_name(self) -> str:
        """The library that protects packets, with its version."""
        return str(ffi.string(lib.tl_crypto_name(self._native)).decode("ascii"))

    # ---------------------------------------------------------------- peers

    def add_peer(
        self, *, is_controlling: bool, extensions: Mapping[int, int], listener: Callable[[Event], None]
    ) -> tuple[int, LocalEnd]:
        """A new peer, which waits for its remote. Raises NativeError when all ids are taken."""
        if not self._free:
            raise NativeError(lib.TL_ERR_FULL, f"all {self.settings.max_peers} peers of the engine are in use")
        peer = self._free.pop()
        body = ffi.new("tl_peer *")
        ice = IceParameters(secrets.token_hex(4), secrets.token_hex(16))
        body.peer = peer
        body.local_ufrag = ice.ufrag.encode("ascii")
        body.local_pwd = ice.pwd.encode("ascii")
        body.is_controlling = is_controlling
        _fill_extensions(body.extensions, extensions)
        address, port = ffi.new("char[46]"), ffi.new("uint16_t *")
        status = lib.tl_engine_add_peer(self._native, body, address, port)
        if status < 0:
            self._free.append(peer)
        _check(status, "add a peer")
        self._listeners[peer] = listener
        assert self._fingerprint is not None
        candidate = Candidate("1", 1, "udp", 2130706431, ffi.string(address).decode("ascii"), int(port[0]), "host")
        return peer, LocalEnd(ice, self._fingerprint, (candidate,))

    async def set_remote(self, peer: int, remote: RemoteEnd, candidate: Candidate) -> None:
        """Checks begin, to that one candidate of the server's."""
        body = ffi.new("tl_remote *")
        body.peer = peer
        body.ufrag = remote.ice.ufrag.encode("ascii")
        body.pwd = remote.ice.pwd.encode("ascii")
        body.address = candidate.address.encode("ascii")
        body.port = candidate.port
        fingerprint = remote.fingerprints[0]
        body.fingerprint_size = len(fingerprint.value)
        ffi.buffer(body.fingerprint)[: len(fingerprint.value)] = fingerprint.value
        body.is_dtls_client = not remote.is_dtls_client
        await self._post(lib.tl_engine_set_remote, body, doing="set the server of a peer")

    async def add_send(self, peer: int, track: SendTrack, profile: Profile, cname: str, group: int) -> tuple[int, ...]:
        """The streams of one track, one for each encoding; their ids. Nothing leaves before `start_sending`."""
        assert track.codec is not None
        streams = []
        for index, (ssrc, rtx_ssrc) in enumerate(track.ssrcs):
            body = ffi.new("tl_send *")
            body.peer, body.stream = peer, self._next_stream
            body.kind, body.codec = _KINDS[track.kind], _CODECS[track.codec.codec.name.lower()]
            body.pt = track.codec.pt
            has_rtx = track.codec.rtx_pt is not None and rtx_ssrc
            body.rtx_pt = track.codec.rtx_pt if has_rtx else lib.TL_NO_PT
            body.ssrc, body.rtx_ssrc = ssrc, rtx_ssrc if has_rtx else 0
            body.clock_rate = track.codec.codec.clock_rate
            body.mid = track.mid.encode("ascii")
            body.rid = track.rids[index].encode("ascii") if track.rids else b""
            _fill_extensions(body.extensions, track.extensions)
            body.cname = cname.encode("ascii")[:32]
            body.group = group if len(track.ssrcs) > 1 else 0
            if track.kind == "audio":
                body.pattern = lib.TL_PATTERN_SMOOTH
                body.bitrate_bps = profile.audio.bitrate_bps
                body.frames_per_s_milli = round(1_000_000 / profile.audio.packet_ms)
            else:
                video = profile.video
                share = encoding_share(index, len(track.ssrcs))
                body.pattern = _PATTERNS[video.pattern]
                body.bitrate_bps = round(video.bitrate_bps * share)
                body.frames_per_s_milli = round(video.fps * 1000)
                body.keyframe_interval_ms = round(video.keyframe_s * 1000)
                body.keyframe_ratio_milli = _KEYFRAME_RATIO_MILLI if video.is_jittered else 1000
                body.jitter_milli = _JITTER_MILLI if video.is_jittered else 0
                body.width, body.height = (
                    (1280 >> (len(track.ssrcs) - 1 - index)),
                    (720 >> (len(track.ssrcs) - 1 - index)),
                )
            await self._post(lib.tl_engine_add_send, body, doing="add a stream")
            streams.append(self._next_stream)
            self._streams.setdefault(peer, []).append(self._next_stream)
            self._next_stream += 1
        return tuple(streams)

    async def add_receive(self, peer: int, section: int, track: ReceiveTrack, *, has_rtx: bool) -> None:
        """A section that may carry media to us from now on."""
        body = ffi.new("tl_receive *")
        body.peer, body.section = peer, section
        body.kind = _KINDS[track.kind]
        body.ssrc, body.rtx_ssrc = track.ssrc, track.rtx_ssrc if has_rtx else 0
        body.mid = track.mid.encode("ascii")
        known = [each for each in track.codecs if each.codec.name.lower() in _CODECS][: lib.TL_MAX_PAYLOADS]
        body.payload_count = len(known)
        for slot, each in zip(body.payloads, known, strict=False):
            slot.pt = each.pt
            slot.rtx_pt = each.rtx_pt if has_rtx and each.rtx_pt is not None else lib.TL_NO_PT
            slot.has_nack = "nack" in each.codec.feedback
            slot.has_pli = "nack pli" in each.codec.feedback
            slot.clock_rate = each.codec.clock_rate
        await self._post(lib.tl_engine_add_receive, body, doing="add a section")

    async def remove_receive(self, peer: int, section: int) -> None:
        await self._post(lib.tl_engine_remove_receive, peer, section, doing="remove a section")

    def on_stream(self, stream: int, listener: Callable[[Event], None]) -> None:
        """
        Tell `listener` when somebody receives this stream for the first time (FIRST_PACKET, FIRST_FRAME).

        It is forgotten with the peer.
        """
        self._stream_listeners[stream] = listener

    async def start_sending(self, peer: int, at_ns: int) -> None:
        await self._post(lib.tl_engine_start_sending, peer, at_ns, doing="start to send")

    async def stop_sending(self, peer: int) -> None:
        await self._post(lib.tl_engine_stop_sending, peer, doing="stop sending")

    async def remove_peer(self, peer: int, *, vanish: bool = False) -> None:
        """Its id is free again once it is gone."""
        how = lib.TL_LEAVE_VANISH if vanish else lib.TL_LEAVE_CLOSE
        await self._post(lib.tl_engine_remove_peer, peer, how, doing="remove a peer")

    # ---------------------------------------------------------------- counts

    def totals(self) -> Totals:
        """All counters, of one moment."""
        raw = ffi.new("tl_totals *")
        _check(lib.tl_engine_totals(self._native, raw), "count")
        counters = {name: int(getattr(raw, name)) for name in Totals.counters()}
        return Totals(media=_tally(raw.media), audio=_tally(raw.audio), video=_tally(raw.video), **counters)

    def latency(self, kind: str) -> Histogram:
        """One-way latency since the last reset: "audio", "video" or "resent"."""
        kinds = {"audio": lib.TL_HISTOGRAM_AUDIO, "video": lib.TL_HISTOGRAM_VIDEO, "resent": lib.TL_HISTOGRAM_RESENT}
        return self._histogram(kinds[kind], resets=False)

    def reset_histograms(self) -> None:
        """Counting begins: what was measured before is forgotten."""
        for kind in range(lib.TL_HISTOGRAM_COUNT):
            self._histogram(kind, resets=True)

    def legs(self) -> tuple[Leg, ...]:
        """Every track to every receiver that there is now."""
        count = lib.tl_engine_legs(self._native, ffi.NULL, 0)
        if count <= 0:
            return ()
        raw = ffi.new("tl_leg[]", count)
        count = min(count, lib.tl_engine_legs(self._native, raw, count))
        kinds = {number: kind for kind, number in _KINDS.items()}
        return tuple(Leg(int(each.peer), kinds.get(each.kind, ""), _tally(each.tally)) for each in raw[0:count])

    def _histogram(self, kind: int, *, resets: bool) -> Histogram:
        raw = ffi.new("tl_histogram *")
        _check(lib.tl_engine_histogram(self._native, kind, raw, resets), "read a histogram")
        return Histogram(tuple(ffi.unpack(raw.buckets, lib.TL_BUCKETS)), int(raw.sum_us), int(raw.max_us))

    # ---------------------------------------------------------------- inside

    async def _post(self, call: Callable[..., int], *arguments: Any, doing: str) -> None:
        patience = _FULL_PATIENCE_S
        while True:
            if self._native is None:
                raise NativeError(lib.TL_ERR_STATE, "the load engine has stopped", code="state")
            status = call(self._native, *arguments)
            if status != lib.TL_ERR_FULL or patience <= 0:
                _check(status, doing)
                return
            patience -= 0.001
            await asyncio.sleep(0.001)

    def _take(self) -> None:
        for _ in range(_EVENTS_PER_TURN):
            raw = self._event
            if self._native is None:
                return
            if lib.tl_engine_take(self._native, raw) != 1:
                return
            reason = ffi.string(raw.reason).decode("ascii", "replace")
            event = Event(raw.type, raw.peer, raw.section, raw.stream, raw.at_ns, reason)
            listener = self._listeners.get(event.peer)
            if event.type == GONE:
                self._listeners.pop(event.peer, None)
                self._free.append(event.peer)
                for stream in self._streams.pop(event.peer, ()):
                    self._stream_listeners.pop(stream, None)
            if event.type in (FIRST_PACKET, FIRST_FRAME):
                published = self._stream_listeners.get(event.stream)
                if published is not None:
                    published(event)
            if listener is not None:
                listener(event)


def encoding_share(index: int, count: int) -> float:
    """Of the whole bit rate: each encoding is twice as wide and high as the last, and gets three times its bits."""
    weights = [3.0**each for each in range(count)]
    return weights[index] / sum(weights)


def bucket_lows() -> tuple[int, ...]:
    """The least value of each bucket of a histogram, microseconds."""
    return tuple(int(lib.tl_bucket_low(bucket)) for bucket in range(lib.TL_BUCKETS))


def _tally(raw: Any) -> Tally:
    return Tally(**{name: int(getattr(raw, name)) for name in Tally.__slots__})


def _fill_extensions(slots: Any, extensions: Mapping[int, int]) -> None:
    for extension, number in extensions.items():
        if extension in _EXTENSIONS:
            slots[_EXTENSIONS[extension]] = number


_STATUSES = {
    lib.TL_ERR_ARGUMENT: ("argument", "a value is out of its range"),
    lib.TL_ERR_NO_MEMORY: ("no_memory", "out of memory"),
    lib.TL_ERR_SYSTEM: ("system", "a system call failed"),
    lib.TL_ERR_NOT_FOUND: ("not_found", "there is none"),
    lib.TL_ERR_EXISTS: ("exists", "there is one already"),
    lib.TL_ERR_FULL: ("full", "the ring stays full"),
    lib.TL_ERR_STATE: ("state", "not in this state"),
    lib.TL_ERR_CRYPTO: ("crypto", "the crypto library refused"),
}
"""What each is called in codes, and in words."""


def _check(status: int, doing: str) -> None:
    if status < 0:
        code, words = _STATUSES.get(status, (str(status), f"status {status}"))
        detail = f" ({ffi.errno})" if status == lib.TL_ERR_SYSTEM else ""
        raise NativeError(status, f"cannot {doing}: {words}{detail}", code=f"engine_{code}")
