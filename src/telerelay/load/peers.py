"""
One participant's transports at the generator: what an adapter negotiates by, and what the engine then runs.

Event loop's thread. SDP in and out by offers.py, packets by the engine; no clock but the engine's own stamps.
"""

import functools
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from telerelay.errors import NativeError, RemoteProtocolError
from telerelay.load import engine as events
from telerelay.load import offers
from telerelay.load.engine import Engine, Event
from telerelay.load.measurement import Moments, Network
from telerelay.load.offers import LocalEnd, ReceiveTrack, RemoteEnd, SendTrack
from telerelay.load.profiles import Profile
from telerelay.protocol.parameters import Candidate


@functools.cache
def _is_ours(address: str) -> bool:
    """Whether it is an address of this machine: nothing else can be bound."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class _Peer:
    """What both directions share: a peer of the engine, made on first use, and its one server candidate."""

    def __init__(self, engine: Engine, profile: Profile, network: Network, on_failed: Callable[[str], None]) -> None:
        self._engine = engine
        self._profile = profile
        self._network = network
        self._on_failed = on_failed
        self._peer: int | None = None
        self._local: LocalEnd | None = None
        self._has_remote = False

    @property
    def peer(self) -> int | None:
        """The engine's id, while there is one."""
        return self._peer

    def _begin(self, extensions: Mapping[int, int], *, is_controlling: bool = True) -> LocalEnd:
        """The offerer controls ICE, and whoever talks to a lite agent does (RFC 8445, 6.1.1)."""
        if self._local is None:
            self._peer, self._local = self._engine.add_peer(
                is_controlling=is_controlling, extensions=extensions, listener=self._on_event
            )
        return self._local

    async def _connect(self, remote: RemoteEnd) -> None:
        if self._has_remote or self._peer is None:
            return
        self._has_remote = True
        await self._engine.set_remote(self._peer, remote, self._candidate(remote))

    def _candidate(self, remote: RemoteEnd) -> Candidate:
        """The best the server has that our sockets reach."""
        usable = [each for each in remote.candidates if not (each.is_ipv6 and self._network.is_ipv4_only)]
        if not usable:
            raise RemoteProtocolError("no_candidate", "the server's SDP has no UDP candidate that can be reached")
        best = max(usable, key=lambda each: each.priority)
        address = self._network.media_host or best.address
        if self._network.is_local_only and not _is_ours(address):
            raise RemoteProtocolError("media_elsewhere", "the server's media is on another machine: give --bind")
        return Candidate(
            best.foundation,
            best.component,
            best.protocol,
            best.priority,
            address,
            self._network.media_port or best.port,
            best.type,
        )

    async def close(self, *, vanish: bool = False) -> None:
        """Leave the engine; safe twice."""
        peer, self._peer = self._peer, None
        if peer is not None:
            await self._engine.remove_peer(peer, vanish=vanish)

    def _on_event(self, event: Event) -> None:
        if event.type == events.CONNECTED:
            self._on_connected(event)
        elif event.type == events.FAILED:
            self._on_failed(event.reason)
        elif event.type == events.CLOSED:
            self._on_failed("closed_by_server")
        elif event.type == events.CONSENT_LOST:
            self._on_failed("consent_lost")
        else:
            self._on_media(event)

    def _on_connected(self, event: Event) -> None:
        raise NotImplementedError

    def _on_media(self, event: Event) -> None:
        pass


class PublishPeer(_Peer):
    """What a participant sends. `streams` are the engine's ids of what is published once the server has answered."""

    def __init__(
        self,
        engine: Engine,
        profile: Profile,
        network: Network,
        moments: Moments,
        *,
        cname: str,
        chance: random.Random,
        on_failed: Callable[[str], None],
    ) -> None:
        super().__init__(engine, profile, network, on_failed)
        self._moments = moments
        self._cname = cname
        # 0 is no SSRC, and the greatest half keeps clear of those servers make up from small numbers.
        self._tracks = offers.publish_tracks(profile, iter(lambda: chance.randrange(1 << 16, 1 << 32), None))
        self.streams: tuple[int, ...] = ()

    async def offer(self) -> str:
        return offers.publish_offer(self._begin({}), self._tracks, self._profile, self._cname)

    async def take_answer(self, sdp: str) -> None:
        remote, tracks = offers.on_publish_answer(self._tracks, sdp)
        await self._connect(remote)
        if self._peer is not None:
            await self._send(self._peer, tracks)

    async def answer(self, sdp: str) -> str:
        raise RemoteProtocolError("unsupported_sdp", "a publisher offers; the server may not")

    async def _send(self, peer: int, tracks: tuple[SendTrack, ...]) -> None:
        streams: list[int] = []
        for track in tracks:
            if not track.is_taken:
                raise RemoteProtocolError("no_common_codec", f"the server does not take {track.kind}")
            group = peer + 1
            found = await self._engine.add_send(peer, track, self._profile, self._cname, group)
            for stream in found:
                self._engine.on_stream(stream, self._on_seen)
            streams += found
        self.streams = tuple(streams)
        # Cameras do not tick together: the engine begins each somewhere within its frame's time.
        await self._engine.start_sending(peer, time.monotonic_ns())

    def _on_seen(self, event: Event) -> None:
        if event.type == events.FIRST_FRAME and not self._moments.seen_ns:
            self._moments.seen_ns = event.at_ns

    def _on_connected(self, event: Event) -> None:
        self._moments.publish_connected_ns = event.at_ns


@dataclass(slots=True)
class _Section:
    """One m-line that is or was in use."""

    number: int
    track: ReceiveTrack = field(default_factory=lambda: ReceiveTrack("", "audio", ()))


class ReceivePeer(_Peer):
    """What a participant receives: by an offer of ours (WHEP), or by a server's offers, one after the other."""

    def __init__(
        self,
        engine: Engine,
        profile: Profile,
        network: Network,
        moments: Moments,
        *,
        others: int,
        on_failed: Callable[[str], None],
    ) -> None:
        super().__init__(engine, profile, network, on_failed)
        self._moments = moments
        self._others = others
        self._sections: dict[str, _Section] = {}
        self._answers = 0

    async def offer(self) -> str:
        kinds = offers.receive_kinds(self._profile, self._others)
        return offers.receive_offer(self._begin(offers.received_extensions(self._profile)), kinds, self._profile)

    async def take_answer(self, sdp: str) -> None:
        remote, tracks = offers.on_receive_answer(sdp)
        await self._receive(tracks)
        await self._connect(remote)

    async def answer(self, sdp: str) -> str:
        try:
            offered = offers.read_offer(sdp, self._profile)
            local = self._begin(offered.extensions, is_controlling=offered.is_lite)
            self._answers += 1
            result = offers.answer_offer(local, offered, self._profile, self._answers)
            await self._receive(result.tracks)
            await self._connect(result.remote)
        except (RemoteProtocolError, NativeError) as error:
            self._on_failed(error.code)
            raise
        return result.answer

    async def _receive(self, tracks: tuple[ReceiveTrack, ...]) -> None:
        """All there is to receive from now on: sections that are gone are removed, changed ones made anew."""
        if self._peer is None:
            return
        wanted = {track.mid: track for track in tracks}
        for mid, section in list(self._sections.items()):
            if section.track != wanted.get(mid):
                await self._engine.remove_receive(self._peer, section.number)
                del self._sections[mid]
        free = sorted(set(range(offers.MAX_SECTIONS)) - {section.number for section in self._sections.values()})
        for mid, track in wanted.items():
            if mid not in self._sections:
                if not free:
                    raise RemoteProtocolError("too_many_sections", f"more than {offers.MAX_SECTIONS} sections")
                section = self._sections[mid] = _Section(free.pop(0), track)
                has_rtx = self._profile.repair.uses_rtx
                await self._engine.add_receive(self._peer, section.number, track, has_rtx=has_rtx)

    def _on_connected(self, event: Event) -> None:
        self._moments.receive_connected_ns = event.at_ns

    def _on_media(self, event: Event) -> None:
        if event.type == events.FIRST_PACKET and not self._moments.first_packet_ns:
            self._moments.first_packet_ns = event.at_ns
        elif event.type == events.FIRST_FRAME and not self._moments.first_frame_ns and self._is_picture(event):
            self._moments.first_frame_ns = event.at_ns

    def _is_picture(self, event: Event) -> bool:
        """A frame of video, or of sound where there is no video."""
        kinds = {section.number: section.track.kind for section in self._sections.values()}
        return kinds.get(event.section) == "video" or not self._profile.video.is_on
