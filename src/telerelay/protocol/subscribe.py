"""
The relay offers what a participant is to receive, the client answers.

Sans-I/O. One offer is in flight at a time; what changes meanwhile goes into the next. A section outlives its track: it
goes inactive and takes the next track of its kind, so that m-lines do not pile up in a long consult.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.protocol import sdp as sdp_text
from telerelay.protocol.codecs import (
    SENT_FEEDBACK,
    SENT_FEEDBACK_PLAIN,
    carried_by,
    codec_lines,
    offered_codecs,
    offered_extmaps,
    sent_extensions,
    sent_parameters,
)
from telerelay.protocol.data import DataParameters, data_parameters, data_section, offer_data
from telerelay.protocol.parameters import (
    ABS_CAPTURE_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    MID,
    PLAYOUT_DELAY,
    TWCC,
    VIDEO_ORIENTATION,
    Codec,
    Kind,
    LocalTransport,
    NegotiatedCodec,
    RemoteTransport,
    SendParameters,
)
from telerelay.protocol.publish import with_transport
from telerelay.protocol.sections import bad_sdp, check_sections, remote_transport, session_id
from telerelay.protocol.session import Media, Parameters, Session
from telerelay.protocol.whep import with_stream

MAX_SECTIONS = 64
"""Tracks past that wait until a section is free: what would be a longer answer is past MAX_BYTES of SDP."""

# Dynamic ones, then unassigned ones that multiplexing with RTCP leaves free (RFC 5761, 4).
_PAYLOAD_TYPES = (*range(96, 128), *range(35, 64))
_EXTENSION_IDS: dict[Kind, dict[int, int]] = {
    "audio": {MID: 1, AUDIO_LEVEL: 2, ABS_CAPTURE_TIME: 3, TWCC: 7},
    "video": {MID: 1, ABS_CAPTURE_TIME: 3, VIDEO_ORIENTATION: 4, PLAYOUT_DELAY: 5, DEPENDENCY_DESCRIPTOR: 6, TWCC: 7},
}


@dataclass(frozen=True, slots=True)
class SubscribedTrack:
    """A publication to send: `msid` is (participant id, publication id), `extensions` those its publisher sends."""

    key: str
    kind: Kind
    msid: tuple[str, str]
    codecs: tuple[Codec, ...]
    cname: str
    wants_rtx: bool = True
    extensions: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    mid: str
    key: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer to pass on; `tracks` says which section carries what."""

    offer_id: int
    sdp: str
    tracks: tuple[OfferedTrack, ...]


@dataclass(frozen=True, slots=True)
class SubscribeResult:
    """
    Who the peer is, all that may be sent now, and the keys of what the peer took no codec of.

    `remote` is None as long as the peer has refused everything: then there is no transport to speak of. `data` is None
    where data channels were not offered, or refused; `has_data_section` tells which.
    """

    remote: RemoteTransport | None
    senders: tuple[SendParameters, ...]
    refused: tuple[str, ...]
    data: DataParameters | None
    has_data_section: bool


@dataclass(frozen=True, slots=True)
class _Section:
    """
    One m-line. `codecs` are those of its track, or of its last one; SSRCs are 0 until it is offered with this track.
    `is_dead`: the peer rejected it; it can only be recycled under another mid (RFC 9429, 5.2.2).
    """

    mid: str
    kind: Kind
    track: SubscribedTrack | None = None
    ssrc: int = 0
    rtx_ssrc: int = 0
    codecs: tuple[NegotiatedCodec, ...] = ()
    extensions: tuple[tuple[int, int], ...] = ()
    is_dead: bool = False
    sender: SendParameters | None = None
    is_data: bool = False

    @property
    def sdp_kind(self) -> str:
        return "application" if self.is_data else self.kind


@dataclass(frozen=True, slots=True)
class SubscribeState:
    """What a negotiation remembers, all but what is wanted now."""

    cname: str
    refused: dict[str, SubscribedTrack] = field(default_factory=dict)
    sections: tuple[_Section, ...] = ()
    pending: tuple[_Section, ...] | None = None
    remote: RemoteTransport | None = None
    pts: tuple[tuple[Codec, int, int], ...] = ()
    offer_id: int = 0
    next_mid: int = 0
    must_offer: bool = False
    wants_data: bool = False


class SubscribeNegotiation:
    """
    One subscribing transport, over all its offers. `cname` stands where a track has none. `is_estimated`: numbers
    across all tracks and the feedback of them are offered.
    """

    def __init__(self, cname: str, *, is_estimated: bool = True) -> None:
        self._is_estimated = is_estimated
        self._wanted: dict[str, SubscribedTrack] = {}
        self._set_state(SubscribeState(cname))

    @classmethod
    def of(cls, state: SubscribeState, *, is_estimated: bool = True) -> "SubscribeNegotiation":
        """One that goes on here; `set_tracks` comes first."""
        negotiation = cls(state.cname, is_estimated=is_estimated)
        negotiation._set_state(state)
        return negotiation

    @property
    def state(self) -> SubscribeState:
        return SubscribeState(
            cname=self._cname,
            refused=dict(self._refused),
            sections=self._sections,
            pending=self._pending,
            remote=self._remote,
            pts=tuple(self._pts),
            offer_id=self._offer_id,
            next_mid=self._next_mid,
            must_offer=self._must_offer,
            wants_data=self._wants_data,
        )

    def _set_state(self, state: SubscribeState) -> None:
        self._cname = state.cname
        self._refused = dict(state.refused)
        self._sections = state.sections
        self._pending = state.pending
        self._remote = state.remote
        self._pts = list(state.pts)
        self._offer_id = state.offer_id
        self._next_mid = state.next_mid
        self._must_offer = state.must_offer
        self._wants_data = state.wants_data

    @property
    def senders(self) -> tuple[SendParameters, ...]:
        """What may be sent by the answer taken last."""
        return tuple(section.sender for section in self._sections if section.sender is not None)

    @property
    def in_flight(self) -> bool:
        return self._pending is not None

    def set_tracks(self, tracks: Sequence[SubscribedTrack]) -> None:
        """
        What is to be sent from now on, all of it. A track that was refused is not offered again as it was.

        Raises LocalProtocolError when two have the same key, or one has no codec.
        """
        wanted = {track.key: track for track in tracks}
        if len(wanted) != len(tracks) or not all(track.codecs for track in tracks):
            raise LocalProtocolError("bad_track", "a track's key must be its own, and it must have a codec")
        self._wanted = wanted
        self._refused = {key: track for key, track in self._refused.items() if wanted.get(key) == track}

    def want_data(self) -> None:
        """Offer data channels from now on; once refused they are not offered again."""
        self._wants_data = True

    def restart(self) -> None:
        """Make an offer whatever the tracks, for the transport has other credentials (ICE restart)."""
        self._must_offer = True

    def needs_offer(self) -> bool:
        """Whether what is wanted differs from what was last offered."""
        before = self._sections if self._pending is None else self._pending
        return self._must_offer or self._plan(before) != before

    def make_offer(self, local: LocalTransport, new_ssrc: Callable[[], int]) -> Offer:
        """The next offer. Raises LocalProtocolError while one is in flight, or when there is nothing to offer."""
        if self._pending is not None:
            raise LocalProtocolError("in_flight", "an offer is in flight: its answer comes first")
        planned = self._plan(self._sections)
        if not planned:
            raise LocalProtocolError("nothing_to_offer", "there is no track to offer")
        pending = tuple(self._filled(section, new_ssrc) for section in planned)
        self._offer_id += 1
        self._pending = pending
        self._must_offer = False
        tracks = tuple(OfferedTrack(section.mid, section.track.key) for section in pending if section.track is not None)
        return Offer(self._offer_id, sdp_text.serialise(self._session(pending, local)), tracks)

    def on_answer(self, offer_id: int, sdp: str) -> SubscribeResult:
        """
        Take the answer. Raises RemoteProtocolError (bad_message for another offer's, bad_sdp, unsupported_sdp,
        too_large), with everything as it was: the offer stays in flight.
        """
        if self._pending is None or offer_id != self._offer_id:
            raise RemoteProtocolError("bad_message", "there is no offer of that id in flight")
        session = sdp_text.parse(sdp, max_media=MAX_SECTIONS)
        if [(media.mid, media.kind) for media in session.media] != [(s.mid, s.sdp_kind) for s in self._pending]:
            raise bad_sdp("does not answer the sections that were offered")
        alive = check_sections(session)
        remote = self._remote
        if alive:
            if any(media.setup not in ("active", "passive") for media in alive if media.setup):
                raise bad_sdp("is an answer that leaves the DTLS roles open")
            remote = remote_transport(session, alive, before=self._remote)
        answered = tuple(
            self._answered(offered, media, is_mixed=session.is_extmap_mixed)
            for offered, media in zip(self._pending, session.media, strict=True)
        )
        refused = [
            offered.track
            for offered, section in zip(self._pending, answered, strict=True)
            if offered.track is not None and section.track is None
        ]
        # A sender that is to be another cannot be it under the SSRC of the one before: see _answered.
        self._must_offer |= any(section.track is not None and section.sender is None for section in answered)
        self._sections, self._pending, self._remote = answered, None, remote
        data = data_section(alive)
        has_data_section = any(section.is_data for section in answered)
        if data is None and has_data_section:
            self._wants_data = False
        self._refused |= {track.key: track for track in refused if self._wanted.get(track.key) == track}
        senders = tuple(section.sender for section in answered if section.sender is not None)
        return SubscribeResult(
            remote=remote,
            senders=senders,
            refused=tuple(track.key for track in refused),
            data=data_parameters(data) if data is not None else None,
            has_data_section=has_data_section,
        )

    # ---------------------------------------------------------------- what to offer

    def _plan(self, before: tuple[_Section, ...]) -> tuple[_Section, ...]:
        """The sections with each wanted track in one: its own, else a free one of its kind, a dead one or a new."""
        waiting = {key: track for key, track in self._wanted.items() if self._refused.get(key) != track}
        planned = list(before)
        for index, section in enumerate(planned):
            if section.track is None:
                continue
            track = waiting.get(section.track.key)
            if track is None or track.kind != section.kind:
                planned[index] = replace(section, track=None, ssrc=0, rtx_ssrc=0, sender=None)
                continue
            if track != section.track:
                planned[index] = replace(section, track=track, ssrc=0, rtx_ssrc=0, sender=None)
            del waiting[track.key]
        for track in waiting.values():
            free = next(
                (
                    i
                    for i, s in enumerate(planned)
                    if not (s.is_dead or s.is_data) and s.track is None and s.kind == track.kind
                ),
                None,
            )
            dead = next((i for i, s in enumerate(planned) if s.is_dead), None)
            if free is not None:
                planned[free] = replace(planned[free], track=track, ssrc=0, rtx_ssrc=0, sender=None)
            elif dead is not None:
                planned[dead] = _Section("", track.kind, track)
            elif len(planned) < MAX_SECTIONS:
                planned.append(_Section("", track.kind, track))
        has_data = any(section.is_data and not section.is_dead for section in planned)
        if self._wants_data and not has_data and len(planned) < MAX_SECTIONS:
            planned.append(_Section("", "audio", is_data=True))
        return tuple(planned)

    def _filled(self, section: _Section, new_ssrc: Callable[[], int]) -> _Section:
        """A planned section with its mid, SSRCs and payload types."""
        track = section.track
        if not section.mid:
            section = replace(section, mid=str(self._next_mid))
            self._next_mid += 1
        if track is None:
            return section
        codecs = self._offered_codecs(track)
        has_rtx = any(each.rtx_pt is not None for each in codecs)
        ids = _EXTENSION_IDS[track.kind]
        own = {MID, TWCC} if self._is_estimated else {MID}
        # What is being sent stays as it is: a section offered with more is another sender, under another SSRC.
        is_settled = section.sender is not None
        extensions = tuple((each, ids[each]) for each in ids if each in own or each in track.extensions - {TWCC})
        return replace(
            section,
            ssrc=section.ssrc or new_ssrc(),
            rtx_ssrc=(section.rtx_ssrc or new_ssrc()) if has_rtx else 0,
            codecs=tuple({each.pt: each for each in codecs}.values()),
            extensions=section.extensions if is_settled else extensions,
        )

    def _offered_codecs(self, track: SubscribedTrack) -> tuple[NegotiatedCodec, ...]:
        """A track's codecs, RED around the codec it carries."""
        plain = {codec: self._offered_codec(codec, track) for codec in track.codecs if not codec.is_red}
        within = next(iter(plain.values()), None)
        return tuple(
            plain[codec] if not codec.is_red else self._offered_codec(_red_around(codec, within), track)
            for codec in track.codecs
            if not codec.is_red or within is not None
        )

    def _offered_codec(self, codec: Codec, track: SubscribedTrack) -> NegotiatedCodec:
        """A codec under its payload types: one payload type means one codec on the whole connection (RFC 9143, 9.1)."""
        parameters = sent_parameters(codec)
        known = next((entry for entry in self._pts if _is_one(entry[0], codec, parameters)), None)
        if known is None:
            index = 2 * len(self._pts)
            if index + 2 > len(_PAYLOAD_TYPES):
                raise LocalProtocolError("no_payload_type", "there are more codecs than payload types")
            feedback = (SENT_FEEDBACK if self._is_estimated else SENT_FEEDBACK_PLAIN)[track.kind]
            offered = Codec(codec.name, codec.clock_rate, codec.channels, parameters, feedback)
            known = (offered, _PAYLOAD_TYPES[index], _PAYLOAD_TYPES[index + 1])
            self._pts.append(known)
        offered, pt, rtx_pt = known
        return NegotiatedCodec(offered, pt, rtx_pt if track.wants_rtx and track.kind == "video" else None)

    def _session(self, sections: tuple[_Section, ...], local: LocalTransport) -> Session:
        bundle = tuple(section.mid for section in sections if not section.is_dead)
        media = tuple(self._media(section, local, is_first=bundle[:1] == (section.mid,)) for section in sections)
        return Session(
            session_id(local),
            self._offer_id,
            media,
            bundles=(bundle,) if bundle else (),
            is_ice_lite=True,
            is_extmap_mixed=True,
        )

    def _media(self, section: _Section, local: LocalTransport, *, is_first: bool) -> Media:
        if section.is_data:
            data = offer_data(section.mid, is_dead=section.is_dead)
            return data if section.is_dead else with_transport(data, local, setup="actpass", is_first=is_first)
        media = Media(
            kind=section.kind,
            port=0 if section.is_dead else 9,
            protocol="UDP/TLS/RTP/SAVPF",
            mid=section.mid,
            direction="inactive",
            is_rtcp_mux=True,
            is_rtcp_rsize=True,
            extmaps=offered_extmaps(dict(section.extensions)),
            **codec_lines(section.codecs, section.kind),
        )
        if section.is_dead:
            return media
        if section.track is not None:
            media = with_stream(
                media, section.ssrc, section.rtx_ssrc, self._cname_of(section.track), section.track.msid
            )
        return with_transport(media, local, setup="actpass", is_first=is_first)

    # ---------------------------------------------------------------- what was answered

    def _answered(self, offered: _Section, media: Media, *, is_mixed: bool) -> _Section:
        """
        A section as the peer answered it. A track it does not receive, or takes no codec of, is in it no longer.

        Where an answer makes another sender of one that has sent, the SSRC is spent: the new sender counts from a
        number of its own, and one SRTP index would come to protect two packets (RFC 3711, 9.1). The track is offered
        again under new SSRCs.
        """
        if media.is_rejected:
            return replace(offered, track=None, ssrc=0, rtx_ssrc=0, sender=None, is_dead=True)
        if offered.is_dead:
            raise bad_sdp("takes a media section that was offered as rejected")
        if offered.track is None:
            return offered
        codecs = _accepted_codecs(offered, media)
        if media.direction not in ("recvonly", "sendrecv") or not codecs:
            return replace(offered, track=None, ssrc=0, rtx_ssrc=0, sender=None)
        offered_ids = dict(offered.extensions)
        extensions = sent_extensions(media, codecs, is_mixed=is_mixed)
        sender = SendParameters(
            key=offered.track.key,
            mid=offered.mid,
            kind=offered.kind,
            ssrc=offered.ssrc,
            rtx_ssrc=offered.rtx_ssrc if any(each.rtx_pt is not None for each in codecs) else 0,
            cname=self._cname_of(offered.track),
            codecs=codecs,
            extensions={each: number for each, number in extensions.items() if offered_ids.get(each) == number},
            may_pad=True,
        )
        if offered.sender not in (None, sender):
            return replace(offered, ssrc=0, rtx_ssrc=0, sender=None)
        return replace(offered, sender=sender)

    def _cname_of(self, track: SubscribedTrack) -> str:
        return track.cname or self._cname


def _accepted_codecs(offered: _Section, media: Media) -> tuple[NegotiatedCodec, ...]:
    """
    What the peer accepted, in its order: the codec as offered, under the payload type and with the fmtp of the answer.

    An answer keeps the offer's payload types (RFC 9429, 5.3.1); one that writes its own is sent what it wrote.
    """
    accepted: list[NegotiatedCodec] = []
    for each in offered_codecs(media):
        known = next((own for own in offered.codecs if own.codec.matches(each.codec)), None)
        if known is None:
            continue
        codec = replace(
            known.codec,
            parameters=each.codec.parameters,
            feedback=known.codec.feedback & each.codec.feedback,
        )
        accepted.append(NegotiatedCodec(codec, each.pt, each.rtx_pt if known.rtx_pt is not None else None))
    return tuple(each for each in accepted if not each.codec.is_red or carried_by(each.codec, accepted))


def _red_around(red: Codec, within: NegotiatedCodec | None) -> Codec:
    """RED as it is offered: its fmtp names the payload type of its blocks (RFC 2198, 5), twice, as browsers do."""
    assert within is not None
    return replace(red, parameters=((f"{within.pt}/{within.pt}", ""),))


def _is_one(offered: Codec, codec: Codec, parameters: Parameters) -> bool:
    """Whether a payload type that has been offered stands for this codec: sound in mono is not sound in stereo."""
    return offered.matches(codec) and (codec.name.lower() not in ("opus", "red") or offered.parameters == parameters)
