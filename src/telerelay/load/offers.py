"""
The generator's side of SDP: offers of a publisher and of a receiver, answers to a server's offers, what came of them.

Pure. The text is small and regular, as browsers' is: BUNDLE, rtcp-mux, one section a track, only what the engine can
do. Answers are read by the relay's own reader, which bounds what any server may send.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from telerelay.errors import RemoteProtocolError
from telerelay.load.profiles import Profile
from telerelay.protocol import sdp as sdp_text
from telerelay.protocol.codecs import (
    CodecLines,
    answered_extmaps,
    codec_lines,
    offered_codecs,
    offered_extmaps,
    select_extensions,
)
from telerelay.protocol.parameters import (
    MID,
    RID,
    TWCC,
    Candidate,
    Codec,
    Fingerprint,
    IceParameters,
    Kind,
    NegotiatedCodec,
    as_kind,
)
from telerelay.protocol.sections import KINDS, bad_sdp, rejected
from telerelay.protocol.session import Media, Rid, Session, Simulcast, serialise
from telerelay.protocol.whep import with_stream

MAX_SECTIONS = 64
"""Of a server's offer: what a room of 32 publishers comes to."""

RIDS = ("q", "h", "f")
"""Names of simulcast encodings, the best last, as browsers' examples have them."""

_EXTENSION_IDS = {MID: 4, TWCC: 3, RID: 10}
"""The ids Chromium uses: nobody's table has a surprise for them."""

_VP8 = Codec("VP8", 90000)
_H264 = Codec(
    "H264",
    90000,
    parameters=(("level-asymmetry-allowed", "1"), ("packetization-mode", "1"), ("profile-level-id", "42e01f")),
)
_OPUS = Codec("opus", 48000, 2, (("minptime", "10"), ("useinbandfec", "1")))
_CODECS: dict[str, tuple[Codec, int, int]] = {"VP8": (_VP8, 96, 97), "H264": (_H264, 102, 103), "opus": (_OPUS, 111, 0)}


@dataclass(frozen=True, slots=True)
class LocalEnd:
    """Our end of one transport."""

    ice: IceParameters
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoteEnd:
    """The server's. `is_dtls_client`: it opens the handshake."""

    ice: IceParameters
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...]
    is_dtls_client: bool


@dataclass(frozen=True, slots=True)
class SendTrack:
    """
    One section we send on. `ssrcs` are (media, RTX or 0), one for each encoding; `rids` likewise, or empty;
    `extensions` maps tr_ext to the negotiated id.
    """

    mid: str
    kind: Kind
    ssrcs: tuple[tuple[int, int], ...]
    rids: tuple[str, ...] = ()
    codec: NegotiatedCodec | None = None
    extensions: dict[int, int] = field(default_factory=dict)

    @property
    def is_taken(self) -> bool:
        """Whether the server takes it."""
        return self.codec is not None


@dataclass(frozen=True, slots=True)
class ReceiveTrack:
    """One section we receive on; SSRCs are 0 where the server does not tell them."""

    mid: str
    kind: Kind
    codecs: tuple[NegotiatedCodec, ...]
    ssrc: int = 0
    rtx_ssrc: int = 0


# -------------------------------------------------------------------- offering


def publish_tracks(profile: Profile, new_ssrcs: Iterable[int]) -> tuple[SendTrack, ...]:
    """The tracks of one publisher, audio first as browsers have it; SSRCs are taken from the iterator."""
    source = iter(new_ssrcs)
    tracks: list[SendTrack] = []
    if profile.audio.is_on:
        tracks.append(SendTrack("0", "audio", ((next(source), 0),)))
    if profile.video.is_on:
        count = profile.video.encodings
        ssrcs = tuple((next(source), next(source) if profile.repair.uses_rtx else 0) for _ in range(count))
        tracks.append(SendTrack(str(len(tracks)), "video", ssrcs, RIDS[-count:] if count > 1 else ()))
    return tuple(tracks)


def publish_offer(local: LocalEnd, tracks: Sequence[SendTrack], profile: Profile, cname: str) -> str:
    """What a publisher offers: each track sendonly, with the profile's one codec, so that no server picks another."""
    sections = []
    for track in tracks:
        name = profile.video.codec if track.kind == "video" else "opus"
        media = _section(track.mid, track.kind, "sendonly", _lines((name,), track.kind, profile), profile)
        msid = (cname, f"{cname}-{track.kind}")
        if track.rids:
            pt = _CODECS[name][1]
            media = replace(
                media,
                msid=msid,
                rids=tuple(Rid(rid, "send", (pt,)) for rid in track.rids),
                simulcast=Simulcast(send=tuple((rid,) for rid in track.rids)),
                extmaps=offered_extmaps(_ids((*_wanted(profile), RID))),
            )
        else:
            media = with_stream(media, *track.ssrcs[0], cname, msid)
        sections.append(media)
    return _written(local, sections, "actpass")


def receive_offer(local: LocalEnd, kinds: Sequence[Kind], profile: Profile) -> str:
    """What a WHEP receiver offers: one recvonly section for each of `kinds`, in order."""
    sections = [
        _section(str(index), kind, "recvonly", _lines(_taken_names(kind), kind, profile), profile)
        for index, kind in enumerate(kinds)
    ]
    return _written(local, sections, "actpass")


def received_extensions(profile: Profile) -> dict[int, int]:
    """Ids of the header extensions a receiver offers to take, by tr_ext."""
    return _ids(_wanted(profile))


def _wanted(profile: Profile) -> tuple[int, ...]:
    """Header extensions of every section, whoever sends."""
    return (MID, TWCC) if profile.repair.has_twcc else (MID,)


def _ids(extensions: Iterable[int]) -> dict[int, int]:
    return {each: _EXTENSION_IDS[each] for each in extensions}


def receive_kinds(profile: Profile, publishers: int) -> tuple[Kind, ...]:
    """The sections somebody needs who receives from so many."""
    audio: tuple[Kind, ...] = ("audio",) if profile.audio.is_on else ()
    video: tuple[Kind, ...] = ("video",) if profile.video.is_on else ()
    return (audio + video) * publishers


def _taken_names(kind: str) -> tuple[str, ...]:
    return ("opus",) if kind == "audio" else ("VP8", "H264")


def _feedback(kind: str, profile: Profile) -> frozenset[str]:
    wanted = {"transport-cc"} if profile.repair.has_twcc else set()
    if kind == "video":
        wanted |= {"ccm fir", "nack pli"}
    if profile.repair.has_nack and kind == "video":
        wanted.add("nack")
    return frozenset(wanted)


def _lines(names: Iterable[str], kind: str, profile: Profile) -> CodecLines:
    has_rtx = kind == "video" and profile.repair.uses_rtx
    codecs = []
    for name in names:
        codec, pt, rtx_pt = _CODECS[name]
        codecs.append(
            NegotiatedCodec(replace(codec, feedback=_feedback(kind, profile)), pt, rtx_pt if has_rtx else None)
        )
    return codec_lines(codecs, kind)


def _section(mid: str, kind: str, direction: str, lines: CodecLines, profile: Profile) -> Media:
    return Media(
        kind=kind,
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        mid=mid,
        direction=direction,
        is_rtcp_mux=True,
        is_rtcp_rsize=True,
        extmaps=offered_extmaps(_ids(_wanted(profile))),
        **lines,
    )


def _written(local: LocalEnd, sections: Sequence[Media], setup: str, version: int = 1) -> str:
    media = tuple(
        section
        if section.port == 0
        else replace(
            section,
            ice_ufrag=local.ice.ufrag,
            ice_pwd=local.ice.pwd,
            fingerprints=(local.fingerprint,),
            setup=setup,
            candidates=local.candidates,
            is_end_of_candidates=True,
        )
        for section in sections
    )
    bundle = tuple(section.mid for section in media if section.port)
    return serialise(Session(1, version, media, bundles=(bundle,) if bundle else ()))


# -------------------------------------------------------------------- what a server answered


def _remote(session: Session, *, is_answer: bool) -> RemoteEnd:
    alive = [media for media in session.media if not media.is_rejected]
    if not alive:
        raise RemoteProtocolError("no_common_codec", "the server took none of the sections")
    first = next((media for media in alive if media.ice_ufrag), alive[0])
    if not first.ice_ufrag or not first.ice_pwd or not first.fingerprints:
        raise bad_sdp("has no ICE credentials or no fingerprint")
    candidates = {candidate: None for media in alive for candidate in media.candidates}
    if is_answer and first.setup not in ("active", "passive"):
        raise bad_sdp("leaves the DTLS roles open")
    return RemoteEnd(
        ice=IceParameters(first.ice_ufrag, first.ice_pwd, session.is_ice_lite),
        fingerprints=first.fingerprints,
        candidates=tuple(each for each in candidates if each.protocol == "udp" and each.component == 1),
        is_dtls_client=first.setup == "active",
    )


def on_publish_answer(tracks: Sequence[SendTrack], text: str) -> tuple[RemoteEnd, tuple[SendTrack, ...]]:
    """Who the server is and the tracks as it takes them, in the order offered. Raises RemoteProtocolError."""
    session = sdp_text.parse(text)
    if len(session.media) != len(tracks):
        raise bad_sdp("does not answer the sections that were offered")
    taken = []
    for track, media in zip(tracks, session.media, strict=True):
        codecs = () if media.is_rejected or media.direction not in ("recvonly", "sendrecv") else offered_codecs(media)
        rids = track.rids
        if rids and media.simulcast is not None:
            kept = {rid for stream in media.simulcast.recv for rid in stream}
            rids = tuple(rid for rid in rids if rid in kept)
        elif rids:
            rids = ()  # the server does not know simulcast: one encoding is sent, the best
        ssrcs = track.ssrcs
        if track.rids and rids != track.rids:
            ssrcs = tuple(p for r, p in zip(track.rids, track.ssrcs, strict=True) if r in rids) or track.ssrcs[-1:]
        extensions = select_extensions(media, _EXTENSION_IDS, ("sendrecv", "recvonly"))
        taken.append(replace(track, codec=codecs[0] if codecs else None, rids=rids, ssrcs=ssrcs, extensions=extensions))
    return _remote(session, is_answer=True), tuple(taken)


def on_receive_answer(text: str) -> tuple[RemoteEnd, tuple[ReceiveTrack, ...]]:
    """Who the server is and what it may send. Raises RemoteProtocolError."""
    session = sdp_text.parse(text, max_media=MAX_SECTIONS)
    return _remote(session, is_answer=True), _receive_tracks(session.media, ("sendonly", "sendrecv"))


def _receive_tracks(sections: Iterable[Media], directions: tuple[str, ...]) -> tuple[ReceiveTrack, ...]:
    return tuple(
        _receive_track(media)
        for media in sections
        if media.kind in KINDS and not media.is_rejected and media.direction in directions
    )


def _receive_track(media: Media) -> ReceiveTrack:
    fid = next((group.ssrcs for group in media.ssrc_groups if group.semantics == "FID" and len(group.ssrcs) == 2), None)
    ssrc = fid[0] if fid else next((ssrc for ssrc, _ in media.ssrcs), 0)
    return ReceiveTrack(
        mid=media.mid,
        kind=as_kind(media.kind),
        codecs=offered_codecs(media),
        ssrc=ssrc,
        rtx_ssrc=fid[1] if fid else 0,
    )


# -------------------------------------------------------------------- what a server offers


@dataclass(frozen=True, slots=True)
class Offered:
    """A server's offer, and what must be known of it before there is a peer to answer it with."""

    session: Session
    extensions: dict[int, int]

    @property
    def is_lite(self) -> bool:
        """The server makes no checks of its own."""
        return self.session.is_ice_lite


def read_offer(text: str, profile: Profile) -> Offered:
    """An offer with the header extensions that the answer takes. Raises RemoteProtocolError."""
    session = sdp_text.parse(text, max_media=MAX_SECTIONS)
    extensions: dict[int, int] = {}
    for media in session.media:
        extensions = _taken_extensions(media, profile) | extensions
    return Offered(session, extensions)


def _taken_extensions(media: Media, profile: Profile) -> dict[int, int]:
    return select_extensions(media, _wanted(profile), ("sendrecv", "sendonly"))


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to send, the server's end, and what it may send us from now on."""

    answer: str
    remote: RemoteEnd
    tracks: tuple[ReceiveTrack, ...]


def answer_offer(local: LocalEnd, offered: Offered, profile: Profile, version: int = 1) -> Answered:
    """Take all audio and video that a server offers to send; all else is refused. Raises RemoteProtocolError."""
    sections, taken = [], []
    for media in offered.session.media:
        is_played = media.kind in KINDS
        known = {name.lower() for name in _taken_names(media.kind)}
        codecs = [each for each in offered_codecs(media) if each.codec.name.lower() in known] if is_played else []
        if media.is_rejected or not codecs:
            sections.append(rejected(media))
            continue
        accepted = [
            NegotiatedCodec(
                replace(each.codec, feedback=each.codec.feedback & _feedback(media.kind, profile)),
                each.pt,
                each.rtx_pt if profile.repair.uses_rtx else None,
            )
            for each in codecs
        ]
        is_sent = media.direction in ("sendonly", "sendrecv")
        if is_sent:
            # What the server may send is what we accept, feedback included.
            taken.append(replace(_receive_track(media), codecs=tuple(accepted)))
        sections.append(
            Media(
                kind=media.kind,
                port=9,
                protocol=media.protocol,
                mid=media.mid,
                direction="recvonly" if is_sent else "inactive",
                is_rtcp_mux=True,
                is_rtcp_rsize=media.is_rtcp_rsize,
                extmaps=answered_extmaps(media, _taken_extensions(media, profile)),
                **codec_lines(accepted, media.kind),
            )
        )
    answer = _written(local, sections, "active", version)
    return Answered(answer, _remote(offered.session, is_answer=False), tuple(taken))
