"""
A participant in Python: signalling over the WebSocket, media by aiortc. The bots of the demo and the tests are made
of it.

Two peer connections, as the relay's signalling wants them: one on which the client offers what it publishes, one on
which the relay offers what there is to receive. Event loop of the client; nothing here is safe to call from another
thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiortc import (
    InvalidStateError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from telerelay.client.channels import ChannelOptions, RoomChannel, follow_restarts
from telerelay.client.ice import host_addresses, local_addresses
from telerelay.client.tap import StreamCount, Tap
from telerelay.client.ws import Message, Socket, websocket_url
from telerelay.errors import LocalProtocolError, RemoteProtocolError, TelerelayError

CONNECT_TIMEOUT_S = 10.0
# Packets of a picture for so long, and none decoded: a keyframe is asked for, and again after as long.
FIRST_PICTURE_S = 2.0

# From a lost signalling connection to the tries to come back: a control process is there again within some seconds, and
# whoever sleeps for three beside it is not back within five. Then less often.
COMEBACK_DELAYS_S = (0.1, 0.2, 0.4, 0.8, *(1.0,) * 20, 3.0)
# As long as the relay keeps a seat, by default.
COMEBACK_TIMEOUT_S = 120.0
# The relay takes five offers at once, then one in two seconds.
REFUSED_PAUSE_S = 2.0
FINAL_CLOSES = frozenset({1000, 1003, 1009, 4001, 4003, 4009, 4010, 4011})
"""Close codes after which the seat is gone or somebody else's (docs/signaling.md)."""
FINAL_ERRORS = frozenset(
    [
        "unauthorized",
        "token_expired",
        "forbidden",
        "duplicate_join",
        "room_full",
        "conflict",
        "denied",
        "consult_over",
        "too_early",
        "too_late",
    ]
)
"""Refusals of a join that will not be another the next time; a relay that is overloaded says others."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One of our own tracks, as the relay knows it."""

    id: str
    mid: str
    kind: str
    source: str


@dataclass(slots=True)
class RemoteTrack:
    """A track of somebody else's that the relay sends us. `frames` counts those decoded and thrown away."""

    publication: str
    participant: str
    kind: str
    source: str
    mid: str
    ssrc: int
    track: MediaStreamTrack
    frames: int = 0


@dataclass(frozen=True, slots=True)
class TrackStats:
    """What came of one remote track: packets unless it says otherwise."""

    publication: str
    kind: str
    rx_packets: int
    lost_packets: int
    repaired_packets: int
    duplicate_packets: int
    rx_bytes: int
    frames: int


@dataclass(slots=True)
class _Draining:
    """The task that takes the frames of one receiver, so that they do not pile up, and whom it counts them for."""

    counts_for: RemoteTrack
    receiver: RTCRtpReceiver
    task: asyncio.Task[None] | None = field(default=None)


class Client:
    """
    One participant. `async with await Client.join(url, token, room) as client:` leaves at the end.

    `on_track(remote)` is called when a remote track starts, `on_event(message)` for every event of the relay. Without
    an `on_track` the client decodes and throws away. `relay_port` replaces the UDP port in the relay's candidates:
    the way through an impairment proxy.
    """

    def __init__(
        self,
        *,
        on_track: Callable[[RemoteTrack], None] | None = None,
        on_event: Callable[[Message], None] | None = None,
        addresses: Sequence[str] = (),
        relay_port: int | None = None,
    ) -> None:
        self._socket = Socket(self._on_event)
        self._on_track = on_track
        self._on_message = on_event
        self._addresses = tuple(addresses)
        self._relay_port = relay_port
        self._publish: RTCPeerConnection | None = None
        self._subscribe: RTCPeerConnection | None = None
        self._session = ""
        self._sources: dict[str, str] = {}
        self._tracks: dict[str, MediaStreamTrack] = {}
        self._publishing = asyncio.Lock()
        self._draining: dict[str, _Draining] = {}
        self.channels: dict[str, RoomChannel] = {}
        self.tap = Tap()
        self.participant = ""
        self.resume_secret = ""
        self.publications: dict[str, Publication] = {}
        self.remote_tracks: dict[str, RemoteTrack] = {}
        self.participants: dict[str, Message] = {}
        self.events: list[Message] = []
        self.connection_states: dict[str, str] = {}
        self.limits: dict[str, Message] = {}
        """What is worth sending of our publications, by id; aiortc cannot be told, so they are for the application."""
        self.held_back: dict[str, str] = {}
        """Remote pictures that the relay sends nothing of, by publication, with the reason."""
        self.unseen: set[tuple[str, str]] = set()
        """(publication, participant) of our pictures that do not reach somebody whose line is too weak."""
        self.speaker: str | None = None
        """The participant who speaks, as far as it was told."""
        self.is_admitted = True
        """Whether we are in, or wait to be let in."""
        self.waiting: Message = {}
        """Our place among those who wait, as it was told last."""
        self.waiting_room: list[Message] = []
        """Who waits, if we decide over that."""
        self.consult: Message = {}
        """Where the consult is, as it was told last."""
        self.comebacks = 0
        """How often the signalling connection was lost and the seat found again."""
        self._way_in: tuple[str, str, str] = ("", "", "")
        self._unanswered: tuple[int, str] | None = None
        self._is_offer_open = False
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    @classmethod
    async def join(cls, url: str, token: str, room: str, **options: Any) -> Client:
        """
        Join `room` at the relay whose page is at `url`. Raises RemoteProtocolError with the relay's code (unauthorized,
        forbidden, room_full …), TelerelayError "connection_lost" if there is no relay.
        """
        options.setdefault("addresses", local_addresses(url))
        client = cls(**options)
        try:
            await client._socket.open(websocket_url(url))
            reply = await client._socket.request("join", room=room, token=token)
        except BaseException:
            await client.leave()
            raise
        client._way_in = (websocket_url(url), token, room)
        client._take_seat(reply)
        client._keeper = asyncio.create_task(client._keep_seat())
        return client

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    # ------------------------------------------------------------------ the seat

    def _take_seat(self, reply: Message) -> None:
        self.participant, self.resume_secret = reply["participant"], reply["resume"]
        self.participants = {each["id"]: each for each in reply["participants"]}
        self.is_admitted = bool(reply.get("admitted", True))

    async def _keep_seat(self) -> None:
        """As long as we are in: whenever the signalling connection is lost, come back to the seat over another one."""
        while True:
            lost = self._socket
            await lost.closed.wait()
            self._wake()
            if self._socket is not lost:
                continue
            if lost.close_code in FINAL_CLOSES or not await self._come_back(lost):
                return

    async def _come_back(self, lost: Socket) -> bool:
        """
        False: the relay does not have us back. Media needs nothing, where the seat and all it was told are still known.
        """
        await lost.handled()
        delays = itertools.chain(COMEBACK_DELAYS_S, itertools.repeat(COMEBACK_DELAYS_S[-1]))
        deadline = time.monotonic() + COMEBACK_TIMEOUT_S
        while time.monotonic() < deadline:
            await asyncio.sleep(next(delays) * random.uniform(0.5, 1.0))
            url, token, room = self._way_in
            socket = Socket(self._on_event)
            try:
                await socket.open(url)
                reply = await socket.request(
                    "join", room=room, token=token, resume=self.resume_secret, media="keep", last_seq=lost.last_seq
                )
            except TelerelayError as error:
                await socket.close()
                if error.code in FINAL_ERRORS:
                    return False
                continue
            except BaseException:  # we leave while we come back
                await socket.close()
                raise
            # Nothing is awaited until what we had is put aside: the new seat's offer is answered beside this.
            self._socket = socket
            self._take_seat(reply)
            gone = None
            if reply["resumed"]:
                socket.last_seq = max(socket.last_seq, lost.last_seq)
            else:
                gone = self._let_subscribe_go()
            try:
                await lost.close()
            finally:  # we may leave meanwhile
                if gone is not None:
                    await gone.close()
            self.comebacks += 1
            with contextlib.suppress(TelerelayError):  # lost once more: the next time
                if reply["resumed"]:
                    await self._answer_again()
                    await self._offer_again()
                else:
                    await self._begin_anew()
            self._wake()
            return True
        return False

    async def _begin_anew(self) -> None:
        """The seat is another one: what we published is gone there."""
        async with self._publishing:  # one that is being begun anew is not begun twice
            if self._publish is not None:
                await self._publish_again(self._publish)

    async def _offer_again(self) -> None:
        """Say the offer whose answer was lost with the socket."""
        async with self._publishing:
            if self._is_offer_open and self._publish is not None:
                await self._say_offer(self._publish)

    def _renew(self, connection: str) -> None:
        """The relay lost one of our connections: begin it anew, once."""
        if connection == "publish" and self._publish is None:
            return
        if connection not in self._renewals or self._renewals[connection].done():
            self._renewals[connection] = asyncio.create_task(self._reconnect(connection))

    async def _reconnect(self, connection: str) -> None:
        while self.is_connected:
            try:
                await self.reconnect(connection)
            except RemoteProtocolError as error:
                if error.code != "too_many_requests":
                    return
                await asyncio.sleep(REFUSED_PAUSE_S)
            except TelerelayError:
                return
            else:
                return

    # ------------------------------------------------------------------ publishing

    async def publish(self, tracks: Sequence[MediaStreamTrack], sources: Sequence[str] = ()) -> list[Publication]:
        """
        Publish these tracks beside those already published; `sources` names them ("camera", "microphone" by default).
        Raises RemoteProtocolError (no_common_codec, bad_sdp …), and TelerelayError connection_lost where the answer was
        lost with the socket: they are published then as soon as the seat is found again.
        """
        named = [*sources, *("camera" if track.kind == "video" else "microphone" for track in tracks[len(sources) :])]
        async with self._publishing:
            await self._mend_publish()
            known = set(self.publications)
            await self._publish_beside(list(zip(tracks, named, strict=True)))
            return [publication for id, publication in self.publications.items() if id not in known]

    async def _publish_beside(self, tracks: Sequence[tuple[MediaStreamTrack, str]]) -> None:
        pc = self._publish = self._publish or self._connection()
        await self._offer(pc, {pc.addTransceiver(_Lent(each[0]), direction="sendonly"): each for each in tracks})

    async def unpublish(self, publication_id: str) -> None:
        """Take one of our publications back. Raises LocalProtocolError if it is not ours."""
        async with self._publishing:
            publication = self._own(publication_id)
            assert self._publish is not None
            for transceiver in self._publish.getTransceivers():
                if transceiver.mid == publication.mid:
                    transceiver.sender.replaceTrack(None)
                    transceiver.direction = "inactive"
            self._sources.pop(publication.mid)
            self._tracks.pop(publication.mid)
            await self._offer(self._publish, {})

    # ------------------------------------------------------------------ messages

    async def channel(
        self,
        label: str,
        options: ChannelOptions = ChannelOptions(),  # noqa: B008 - frozen
        on_message: Callable[[str | bytes], None] | None = None,
    ) -> RoomChannel:
        """
        The data channel of that label, opened if nobody in the room has; wait for `opened` before sending. What others
        open is in `channels`. Raises RemoteProtocolError.
        """
        channel = self._channel(label)
        if on_message is not None:
            channel.on_message = on_message
        channel.options = options
        async with self._publishing:
            await self._mend_publish()
            await self._open_channels()
        return channel

    async def _open_channels(self) -> None:
        """Open the channels that were asked for and that nothing carries; the first of a connection takes an offer."""
        wanted = [each for each in self.channels.values() if each.options is not None and not each.is_carried]
        if not wanted:
            return
        pc = self._publish = self._publish or self._connection()
        has_data = pc.sctp is not None
        for channel in wanted:
            channel.open_on(pc)
        if not has_data:
            await self._offer(pc, {})

    def _channel(self, label: str) -> RoomChannel:
        return self.channels.setdefault(label, RoomChannel(label))

    def _on_channel(self, line: RTCDataChannel) -> None:
        self._channel(line.label).add(line)
        self._wake()

    async def _offer(self, pc: RTCPeerConnection, added: dict[Any, tuple[MediaStreamTrack, str]]) -> None:
        with host_addresses(*self._addresses):
            await pc.setLocalDescription(await pc.createOffer())
        self._sources.update({transceiver.mid: source for transceiver, (_, source) in added.items()})
        self._tracks.update({transceiver.mid: track for transceiver, (track, _) in added.items()})
        follow_restarts(pc.sctp)
        await self._say_offer(pc)

    async def _say_offer(self, pc: RTCPeerConnection) -> None:
        """Say the offer that the connection has made: again, where its answer was lost with the socket."""
        self._is_offer_open = True
        described = [
            {"mid": mid, "source": source, "muted": False, "encrypted": False} for mid, source in self._sources.items()
        ]
        try:
            reply = await self._socket.request("publish", sdp=pc.localDescription.sdp, tracks=described)
        except RemoteProtocolError:
            self._is_offer_open = False  # this is an answer, too
            raise
        self._is_offer_open = False
        try:
            await pc.setRemoteDescription(RTCSessionDescription(self._through(reply["sdp"]), "answer"))
        except InvalidStateError:  # aiortc gave it up meanwhile, and the relay does not know
            self._renew("publish")
            return
        self.publications = {
            each["id"]: Publication(each["id"], each["mid"], each["kind"], each["source"])
            for each in reply["publications"]
        }

    def _own(self, publication_id: str) -> Publication:
        try:
            return self.publications[publication_id]
        except KeyError:
            raise LocalProtocolError("not_found", "not a publication of this client") from None

    async def reconnect(self, connection: str) -> None:
        """
        Begin the "publish" or the "subscribe" connection anew, after a change of network: aiortc cannot restart ICE.

        What was published is published again under other ids, data channels are opened again. What is received comes
        with the relay's next offer.
        """
        if connection != "publish" or self._publish is None:
            await self._socket.request("reconnect", connection=connection)
            return
        async with self._publishing:
            if (before := self._publish) is not None:
                await self._socket.request("reconnect", connection=connection)
                await self._publish_again(before)

    async def _mend_publish(self) -> None:
        """aiortc closes a connection that has failed: what is published next needs another one."""
        if (before := self._publish) is not None and before.signalingState == "closed":
            await self._socket.request("reconnect", connection="publish")
            await self._publish_again(before)

    async def _publish_again(self, before: RTCPeerConnection) -> None:
        """On a new connection, instead of the one before; what that one sent goes on, whatever aiortc did to it."""
        published = [(self._tracks[mid], source) for mid, source in self._sources.items()]
        self._publish, self._sources, self._tracks, self.publications = None, {}, {}, {}
        await before.close()
        if published:
            await self._publish_beside(published)
        await self._open_channels()

    # ------------------------------------------------------------------ requests

    async def mute(self, publication_id: str, muted: bool = True) -> None:
        """Tell the others that one of our publications is muted; what is sent meanwhile is the track's affair."""
        self._own(publication_id)
        await self._socket.request("mute", publication=publication_id, muted=muted)

    async def pause(self, publication_id: str, paused: bool = True) -> None:
        """Stop (or go on) receiving one remote track."""
        await self._socket.request("pause", publication=publication_id, paused=paused)

    async def relay_stats(self) -> Message:
        """What the relay counts of our two transports."""
        return await self._socket.request("stats")

    async def request(self, type: str, **fields: Any) -> Message:
        """Any other request of docs/signaling.md, as it stands there."""
        return await self._socket.request(type, **fields)

    # ------------------------------------------------------------------ receiving

    async def _on_event(self, message: Message) -> None:
        self.events.append(message)
        match message["type"]:
            case "offer":
                await self._answer(message)
            case "participant_joined":
                self.participants[message["participant"]["id"]] = message["participant"]
            case "participant_left":
                self.participants.pop(message["participant"], None)
                self.unseen = {pair for pair in self.unseen if pair[1] != message["participant"]}
            case "participant_interrupted" | "participant_back":
                if (other := self.participants.get(message["participant"])) is not None:
                    other["interrupted"] = message["type"] == "participant_interrupted"
            case "unpublished":
                self.remote_tracks.pop(message["publication"], None)
                self.held_back.pop(message["publication"], None)
            case "limits":
                self.limits = {each["publication"]: each for each in message["tracks"]}
            case "track_state":
                if message["state"] == "paused":
                    self.held_back[message["publication"]] = message["reason"]
                else:
                    self.held_back.pop(message["publication"], None)
            case "seen_by":
                pair = (message["publication"], message["participant"])
                (self.unseen.add if message["state"] == "paused" else self.unseen.discard)(pair)
            case "speaker":
                self.speaker = message["participant"]
            case "admitted":
                self.is_admitted, self.waiting = True, {}
            case "waiting":
                self.waiting = message
            case "waiting_room":
                self.waiting_room = list(message["people"])
            case "consult":
                self.consult = message
            case "connection":
                self.connection_states[message["connection"]] = message["state"]
                if message["state"] == "failed":
                    self._renew(message["connection"])
        if self._on_message is not None:
            self._on_message(message)
        self._wake()

    async def _answer(self, message: Message) -> None:
        """Take the relay's offer, answer it, and put names to what its sections carry."""
        session = session_of(message["sdp"])
        if session != self._session and (gone := self._let_subscribe_go()) is not None:
            await gone.close()  # the relay no longer has it
        self._session = session
        pc = self._subscribe = self._subscribe or self._connection()
        sdp = self._through(message["sdp"])
        self.tap.learn(sdp)
        try:
            await pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
            for transceiver in pc.getTransceivers():
                self.tap.attach(transceiver.receiver.transport)
            with host_addresses(*self._addresses):
                await pc.setLocalDescription(await pc.createAnswer())
        except InvalidStateError:
            if pc is self._subscribe:  # aiortc gave it up, and the relay does not know: the next offer is another one's
                self._renew("subscribe")
            return
        if pc is not self._subscribe:
            return  # the seat is another one meanwhile
        follow_restarts(pc.sctp)
        self._unanswered = (message["offer_id"], pc.localDescription.sdp)
        await self._answer_again()
        if pc is self._subscribe:
            self._name_tracks(pc, message["tracks"], ssrcs_of(sdp))

    async def _answer_again(self) -> None:
        """Say the answer that the relay has not confirmed: it may come twice."""
        if self._unanswered is None:
            return
        number, sdp = self._unanswered
        try:
            await self._socket.request("answer", offer_id=number, sdp=sdp)
        except RemoteProtocolError:
            pass  # the next offer tells what came of it
        except TelerelayError:
            return  # said again once we are back
        if self._unanswered == (number, sdp):
            self._unanswered = None

    def _let_subscribe_go(self) -> RTCPeerConnection | None:
        """What we received over is no more; whoever asks closes it, and another one may be begun before that."""
        gone, self._subscribe, self._unanswered = self._subscribe, None, None
        for draining in self._draining.values():
            if draining.task is not None:
                draining.task.cancel()
        self._draining.clear()
        self.remote_tracks.clear()
        return gone

    def _name_tracks(self, pc: RTCPeerConnection, described: Sequence[Message], ssrcs: dict[str, int]) -> None:
        transceivers = {transceiver.mid: transceiver for transceiver in pc.getTransceivers()}
        for each in described:
            known = self.remote_tracks.get(each["publication"])
            transceiver = transceivers.get(each["mid"])
            if known is not None or transceiver is None:
                continue
            mid = each["mid"]
            remote = RemoteTrack(
                publication=each["publication"],
                participant=each["participant"],
                kind=each["kind"],
                source=each["source"],
                mid=mid,
                ssrc=ssrcs.get(mid, 0),
                track=transceiver.receiver.track,
            )
            self.remote_tracks[remote.publication] = remote
            if self._on_track is not None:
                self._on_track(remote)
            elif mid in self._draining:
                self._draining[mid].counts_for = remote  # the section carries another track from now on
            else:
                draining = self._draining[mid] = _Draining(remote, transceiver.receiver)
                draining.task = asyncio.create_task(_drain(draining, self.tap))

    def _connection(self) -> RTCPeerConnection:
        pc = new_peer_connection()
        pc.add_listener("connectionstatechange", self._wake)
        pc.add_listener("datachannel", self._on_channel)
        return pc

    def _through(self, sdp: str) -> str:
        return sdp if self._relay_port is None else with_candidate_port(sdp, self._relay_port)

    # ------------------------------------------------------------------ waiting, counting, leaving

    def _wake(self) -> None:
        self._changed.set()

    async def wait_for(self, condition: Callable[[Client], bool], timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """
        Wait until `condition(self)` holds; looked at whenever something happened, and every 50 ms for what media alone
        changes. Raises TimeoutError.
        """
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._changed.wait()

    @property
    def is_publishing(self) -> bool:
        """The publishing connection is up."""
        return self._publish is not None and self._publish.connectionState == "connected"

    @property
    def is_connected(self) -> bool:
        """The signalling connection is open."""
        return not self._socket.closed.is_set()

    @property
    def has_failed(self) -> bool:
        """A media connection that was begun is gone: ICE or DTLS failed, or the relay closed it."""
        begun = [pc for pc in (self._publish, self._subscribe) if pc is not None]
        return any(pc.connectionState in {"failed", "closed"} for pc in begun)

    def track_stats(self) -> list[TrackStats]:
        """What came of each remote track so far, counted from the packets that arrived."""
        result = []
        for remote in self.remote_tracks.values():
            count = self.tap.streams.get(remote.ssrc, _NOTHING)
            gaps = count.gaps
            result.append(
                TrackStats(
                    publication=remote.publication,
                    kind=remote.kind,
                    rx_packets=gaps.received,
                    lost_packets=gaps.lost,
                    repaired_packets=count.repaired,
                    duplicate_packets=gaps.duplicates,
                    rx_bytes=count.bytes,
                    frames=remote.frames,
                )
            )
        return result

    async def leave(self) -> None:
        """Leave the room and let go of everything; safe to call twice."""
        for task in (self._keeper, *self._renewals.values()):
            if task is not None:
                task.cancel()
        if self.participant and self.is_connected:
            with contextlib.suppress(TelerelayError):
                await self._socket.request("leave", timeout_s=2.0)
        await self._socket.close()
        for draining in self._draining.values():
            if draining.task is not None:
                draining.task.cancel()
        for pc in (self._publish, self._subscribe):
            if pc is not None:
                await pc.close()
        for track in self._tracks.values():
            track.stop()


class _Lent(MediaStreamTrack):  # type: ignore[misc,unused-ignore]
    """
    A track as it is given to a connection. aiortc stops what it sends when the connection fails, as it does half a
    minute after a relay was lost: the track itself is the application's, and goes on over the next connection.
    """

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self.kind = track.kind
        self._track = track

    async def recv(self) -> Any:
        """The track's next frame. Raises MediaStreamError once either has ended."""
        if self.readyState != "live":
            raise MediaStreamError
        return await self._track.recv()


_NOTHING = StreamCount()


async def _drain(draining: _Draining, tap: Tap) -> None:
    """
    Take frames as they come; aiortc would keep them all. It asks for no keyframe where the first one lost a packet that
    comes too late for it: until there is a first picture, that is done here (RFC 4585, 6.3.1).
    """
    track = draining.counts_for.track
    seen = 0
    with contextlib.suppress(MediaStreamError):
        while True:
            remote = draining.counts_for
            is_beginning = remote.kind == "video" and not remote.frames
            try:
                async with asyncio.timeout(FIRST_PICTURE_S if is_beginning else None):
                    await track.recv()
                draining.counts_for.frames += 1
            except TimeoutError:
                before, seen = seen, tap.streams.get(remote.ssrc, _NOTHING).gaps.received
                if seen != before:
                    await draining.receiver._send_rtcp_pli(remote.ssrc)


def new_peer_connection() -> RTCPeerConnection:
    """
    A peer connection without STUN or TURN servers.

    Not with max-bundle: aiortc then keeps the candidates of the last section only, and the relay, as RFC 8843 has it,
    names them in the first of a bundle. Nor balanced: aiortc takes the second section of a kind for bundled already,
    and leaves it on the transport that the first one is taken from: a second picture is never sent, nor received.
    """
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT))


def ssrcs_of(sdp: str) -> dict[str, int]:
    """The first SSRC of each section, by mid."""
    result = {}
    for section in re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)[1:]:
        mid = re.search(r"^a=mid:(\S+)", section, re.MULTILINE)
        ssrc = re.search(r"^a=ssrc:(\d+)", section, re.MULTILINE)
        if mid and ssrc:
            result[mid[1]] = int(ssrc[1])
    return result


def session_of(sdp: str) -> str:
    """The session id: another one is another connection at the relay."""
    found = re.search(r"^o=\S+ (\d+)", sdp, re.MULTILINE)
    return found[1] if found else ""


def with_candidate_port(sdp: str, port: int) -> str:
    """The same description with every candidate on another UDP port (RFC 8839, 5.1)."""
    return re.sub(r"^(a=candidate:\S+ \d+ \S+ \d+ \S+) \d+ ", rf"\g<1> {port} ", sdp, flags=re.MULTILINE)
