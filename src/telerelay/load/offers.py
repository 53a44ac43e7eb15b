"""
The generator's side of SDP: offers of a publisher and of a receiver, answers to a server's offers, what came of them.

Pure. The text is small and regular, as browsers' is: BUNDLE, rtcp-mux, one section a track, only what the engine can
do. Answers are read by the relay's own reader, which bounds what any server may send.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from telerelay.errors import RemoteProtocolError
from telerelay.load.profiles import Profile
from telerelay.protocol import sdp as sdp_text
from telerelay.protocol.codecs import CodecLines, codec_lines, offered_codecs
from telerelay.protocol.parameters import (
    EXTENSION_URIS,
    EXTENSIONS,
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
from telerelay.protocol.session import ExtMap, Media, Rid, Session, Simulcast, SsrcGroup, serialise

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
    """The server's. `is_dtls_client`: it opens the handshake; `is_lite`: it makes no checks of its own."""

    ice: IceParameters
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...]
    is_lite: bool
    is_dtls_client: bool


@dataclass(frozen=True, slots=True)
class SendTrack:
    """One section we send on. `ssrcs` are (media, RTX or 0), one for each encoding; `rids` likewise, or empty."""

    mid: str
    kind: Kind
    ssrcs: tuple[tuple[int, int], ...]
    rids: tuple[str, ...] = ()
    codec: NegotiatedCodec | None = None
    extensions: tuple[tuple[int, int], ...] = ()

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
    extensions: tuple[tuple[int, int], ...] = ()


# -------------------------------------------------------------------- offering


def publish_tracks(profile: Profile, new_ssrcs: Iterable[int]) -> tuple[SendTrack, ...]:
    """The tracks of one publisher, audio first as browsers have it; SSRCs are taken from the iterator."""
    source = iter(new_ssrcs)
    tracks: list[SendTrack] = []
    if profile.audio.is_on:
        tracks.append(SendTrack("0", "audio", ((next(source), 0),)))
    if profile.video.is_on:
        count = profile.video.encodings
        has_rtx = profile.repair.has_nack and profile.repair.has_rtx
        ssrcs = tuple((next(source), next(source) if has_rtx else 0) for _ in range(count))
        tracks.append(SendTrack(str(len(tracks)), "video", ssrcs, RIDS[-count:] if count > 1 else ()))
    return tuple(tracks)


def publish_offer(local: LocalEnd, tracks: Sequence[SendTrack], profile: Profile, cname: str) -> str:
    """What a publisher offers: each track sendonly, with the profile's one codec, so that no server picks another."""
    sections = []
    for track in tracks:
        name = profile.video.codec if track.kind == "video" else "opus"
        media = _section(track.mid, track.kind, "sendonly", _lines((name,), track.kind, profile), profile)
        media = replace(media, msid=(cname, f"{cname}-{track.kind}"))
        if track.rids:
            pt = _CODECS[name][1]
            media = replace(
                media,
                rids=tuple(Rid(rid, "send", (pt,)) for rid in track.rids),
                simulcast=Simulcast(send=tuple((rid,) for rid in track.rids)),
                extmaps=(*media.extmaps, ExtMap(_EXTENSION_IDS[RID], EXTENSION_URIS[RID])),
            )
        else:
            pairs = [tuple(filter(None, pair)) for pair in track.ssrcs]
            media = replace(
                media,
                ssrcs=tuple((ssrc, cname) for pair in pairs for ssrc in pair),
                ssrc_groups=tuple(SsrcGroup("FID", pair) for pair in pairs if len(pair) == 2),
            )
        sections.append(media)
    return _written(local, sections, "actpass")


def receive_offer(local: LocalEnd, kinds: Sequence[Kind], profile: Profile) -> str:
    """What a WHEP receiver offers: one recvonly section for each of `kinds`, in order."""
    sections = [
        _section(str(index), kind, "recvonly", _lines(_taken_names(kind), kind, profile), profile)
        for index, kind in enumerate(kinds)
    ]
    return _written(local, sections, "actpass")


def received_extensions(profile: Profile) -> tuple[tuple[int, int], ...]:
    """Ids of the header extensions a receiver offers to take."""
    wanted = (MID, TWCC) if profile.repair.has_twcc else (MID,)
    return tuple((each, _EXTENSION_IDS[each]) for each in wanted)


@dataclass(frozen=True, slots=True)
class OfferedBasics:
    """What must be known of a server's offer before there is a peer to answer it with."""

    extensions: tuple[tuple[int, int], ...]
    is_lite: bool


def read_offer(text: str, profile: Profile) -> OfferedBasics:
    """Header extensions that the answer takes, and whether the server is lite. Raises RemoteProtocolError."""
    wanted = (MID, TWCC) if profile.repair.has_twcc else (MID,)
    session = sdp_text.parse(text, max_media=MAX_SECTIONS)
    found = {number: extension for media in session.media for extension, number in _extensions(media)}
    taken = tuple((extension, number) for number, extension in found.items() if extension in wanted)
    return OfferedBasics(taken, session.is_ice_lite)


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
    has_rtx = kind == "video" and profile.repair.has_nack and profile.repair.has_rtx
    codecs = []
    for name in names:
        codec, pt, rtx_pt = _CODECS[name]
        codecs.append(
            NegotiatedCodec(replace(codec, feedback=_feedback(kind, profile)), pt, rtx_pt if has_rtx else None)
        )
    return codec_lines(codecs, kind)


def _section(mid: str, kind: str, direction: str, lines: CodecLines, profile: Profile) -> Media:
    wanted = (MID, TWCC) if profile.repair.has_twcc else (MID,)
    return Media(
        kind=kind,
        port=9,
        protocol="UDP/TLS/RTP/SAVPF",
        mid=mid,
        direction=direction,
        is_rtcp_mux=True,
        is_rtcp_rsize=True,
        extmaps=tuple(ExtMap(_EXTENSION_IDS[each], EXTENSION_URIS[each]) for each in wanted),
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


def _bad(what: str) -> RemoteProtocolError:
    return RemoteProtocolError("bad_sdp", f"the server's SDP {what}")


def _remote(session: Session, *, is_answer: bool) -> RemoteEnd:
    alive = [media for media in session.media if not media.is_rejected]
    if not alive:
        raise RemoteProtocolError("no_common_codec", "the server took none of the sections")
    first = next((media for media in alive if media.ice_ufrag), alive[0])
    if not first.ice_ufrag or not first.ice_pwd or not first.fingerprints:
        raise _bad("has no ICE credentials or no fingerprint")
    candidates = {candidate: None for media in alive for candidate in media.candidates}
    if is_answer and first.setup not in ("active", "passive"):
        raise _bad("leaves the DTLS roles open")
    return RemoteEnd(
        ice=IceParameters(first.ice_ufrag, first.ice_pwd, session.is_ice_lite),
        fingerprints=first.fingerprints,
        candidates=tuple(each for each in candidates if each.protocol == "udp" and each.component == 1),
        is_lite=session.is_ice_lite,
        is_dtls_client=first.setup == "active",
    )


def _extensions(media: Media) -> tuple[tuple[int, int], ...]:
    return tuple((EXTENSIONS[each.uri], each.id) for each in media.extmaps if each.uri in EXTENSIONS)


def on_publish_answer(tracks: Sequence[SendTrack], text: str) -> tuple[RemoteEnd, tuple[SendTrack, ...]]:
    """Who the server is and the tracks as it takes them, in the order offered. Raises RemoteProtocolError."""
    session = sdp_text.parse(text)
    if len(session.media) != len(tracks):
        raise _bad("does not answer the sections that were offered")
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
        taken.append(
            replace(track, codec=codecs[0] if codecs else None, rids=rids, ssrcs=ssrcs, extensions=_extensions(media))
        )
    return _remote(session, is_answer=True), tuple(taken)


def on_receive_answer(text: str) -> tuple[RemoteEnd, tuple[ReceiveTrack, ...]]:
    """Who the server is and what it may send. Raises RemoteProtocolError."""
    session = sdp_text.parse(text, max_media=MAX_SECTIONS)
    return _remote(session, is_answer=True), _receive_tracks(session.media, ("sendonly", "sendrecv"))


def _receive_tracks(sections: Iterable[Media], directions: tuple[str, ...]) -> tuple[ReceiveTrack, ...]:
    return tuple(
        _receive_track(media)
        for media in sections
        if media.kind in ("audio", "video") and not media.is_rejected and media.direction in directions
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
        extensions=_extensions(media),
    )


# -------------------------------------------------------------------- what a server offers


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to send, the server's end, and what it may send us from now on."""

    answer: str
    remote: RemoteEnd
    tracks: tuple[ReceiveTrack, ...]


def answer_offer(local: LocalEnd, text: str, profile: Profile, version: int = 1) -> Answered:
    """Take all audio and video that a server offers to send; all else is refused. Raises RemoteProtocolError."""
    session = sdp_text.parse(text, max_media=MAX_SECTIONS)
    sections, taken = [], []
    for media in session.media:
        is_played = media.kind in ("audio", "video")
        known = {name.lower() for name in _taken_names(media.kind)}
        codecs = [each for each in offered_codecs(media) if each.codec.name.lower() in known] if is_played else []
        if media.is_rejected or not codecs:
            sections.append(Media(media.kind, 0, media.protocol, media.formats, mid=media.mid, direction="inactive"))
            continue
        accepted = [
            NegotiatedCodec(
                replace(each.codec, feedback=each.codec.feedback & _feedback(media.kind, profile)),
                each.pt,
                each.rtx_pt if profile.repair.has_nack and profile.repair.has_rtx else None,
            )
            for each in codecs
        ]
        is_sent = media.direction in ("sendonly", "sendrecv")
        if is_sent:
            # What the server may send is what we accept, feedback included.
            taken.append(replace(_receive_track(media), codecs=tuple(accepted)))
        wanted = (MID, TWCC) if profile.repair.has_twcc else (MID,)
        sections.append(
            Media(
                kind=media.kind,
                port=9,
                protocol=media.protocol,
                mid=media.mid,
                direction="recvonly" if is_sent else "inactive",
                is_rtcp_mux=True,
                is_rtcp_rsize=media.is_rtcp_rsize,
                extmaps=tuple(
                    ExtMap(each.id, each.uri) for each in media.extmaps if EXTENSIONS.get(each.uri) in wanted
                ),
                **codec_lines(accepted, media.kind),
            )
        )
    answer = _written(local, sections, "active", version)
    return Answered(answer, _remote(session, is_answer=False), tuple(taken))
