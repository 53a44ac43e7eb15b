"""
The client offers what it publishes, the relay answers: our own signalling and WHIP (RFC 9725).

Sans-I/O.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp as sdp_text
from telerelay.protocol.codecs import (
    RECEIVED_EXTENSIONS,
    answer_parameters,
    answered_extmaps,
    codec_lines,
    instrument_parameters,
    select_each,
    select_extensions,
    with_parameters,
)
from telerelay.protocol.data import DataParameters, answer_data, data_parameters, data_section
from telerelay.protocol.parameters import (
    Encoding,
    LocalTransport,
    NegotiatedCodec,
    ReceiveParameters,
    RemoteTransport,
    as_kind,
)
from telerelay.protocol.sections import (
    KINDS,
    Line,
    bad_sdp,
    check_lines,
    check_sections,
    default_address,
    rejected,
    remote_transport,
    session_id,
    unsupported_sdp,
)
from telerelay.protocol.session import Media, Rid, Session, Simulcast

MAX_SOURCES = 64  # of one transport, resends included: what the data plane holds
MAX_ENCODINGS = 4  # of one section: what the data plane holds, and more layers than a consult has use for


@dataclass(frozen=True, slots=True)
class CodecPolicy:
    """Codec names the relay takes, of each kind."""

    audio: tuple[str, ...] = ("opus",)
    video: tuple[str, ...] = ("VP8", "H264", "VP9", "AV1", "H265")

    def of(self, kind: str) -> tuple[str, ...]:
        return self.audio if kind == "audio" else self.video


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The answer, the peer's transport and the active sections; `data`: data channels were offered, and are taken."""

    answer: str
    remote: RemoteTransport
    receivers: tuple[ReceiveParameters, ...]
    ice_changed: bool
    data: DataParameters | None


@dataclass(frozen=True, slots=True)
class PublishState:
    """What a negotiation remembers of its offers."""

    lines: tuple[Line, ...] = ()
    remote: RemoteTransport | None = None
    version: int = 0


class PublishNegotiation:
    """One publishing transport, over all its offers; `state` is that of one which goes on here."""

    def __init__(self, policy: CodecPolicy, state: PublishState = PublishState()) -> None:
        self._policy = policy
        self._lines = state.lines
        self._remote = state.remote
        self._version = state.version

    @property
    def state(self) -> PublishState:
        return PublishState(self._lines, self._remote, self._version)

    def on_offer(
        self,
        sdp: str,
        local: LocalTransport,
        restarted: LocalTransport | None = None,
        instruments: Collection[str] = (),
    ) -> PublishResult:
        """
        Answer an offer, as `restarted` where it restarts ICE (RFC 8839, 4.4.3). `instruments` are the mids of sound
        that is a measurement: it is answered without silence left out (DTX) and without redundancy. Raises
        RemoteProtocolError (bad_sdp, unsupported_sdp, no_common_codec, too_large), with everything as it was.
        """
        session = sdp_text.parse(sdp)
        check_lines(self._lines, session)
        alive = check_sections(session)
        codecs = select_each((media for media in alive if media.kind in KINDS), self._policy.of)
        codecs |= {mid: _whole(codecs[mid]) for mid in instruments if mid in codecs}
        played = tuple(media for media in alive if codecs.get(media.mid))
        data = data_section(alive)
        is_silent = not any(media.mid in codecs and _is_sending(media) for media in alive)
        taken = tuple(media for media in alive if codecs.get(media.mid) or media is data)
        if played or (data is not None and is_silent):
            remote = remote_transport(session, taken, before=self._remote)
        elif self._remote is not None and is_silent:
            remote = self._remote  # all was stopped; the transport stays for what may come
        else:
            raise RemoteProtocolError("no_common_codec", "the relay takes no codec that the SDP offers")
        ice_changed = self._remote is not None and remote.ice != self._remote.ice
        receivers = tuple(receive_parameters(media, codecs[media.mid]) for media in played if _is_sending(media))
        _check_sources(receivers)
        answer = answer_session(
            session,
            {
                media.mid: answer_data(media)
                if media is data
                else _answer(media, codecs[media.mid], is_instrument=media.mid in instruments)
                for media in taken
            },
            restarted if ice_changed and restarted is not None else local,
            setup="active" if remote.is_dtls_client else "passive",
            version=self._version + 1,
        )
        result = PublishResult(
            answer=sdp_text.serialise(answer),
            remote=remote,
            receivers=receivers,
            ice_changed=ice_changed,
            data=data_parameters(data) if data is not None else None,
        )
        self._lines, self._remote, self._version = lines_of(answer), remote, self._version + 1
        return result


def _whole(codecs: tuple[NegotiatedCodec, ...]) -> tuple[NegotiatedCodec, ...]:
    """Without RED, whose packets hold others; what is left if that is all that there is, is nothing."""
    return tuple(each for each in codecs if each.codec.name.lower() != "red")


def _is_sending(media: Media) -> bool:
    return media.direction in ("sendrecv", "sendonly")


def _check_sources(receivers: Iterable[ReceiveParameters]) -> None:
    """What the data plane would refuse when the offer was answered already: an SSRC twice, or more than it holds."""
    encodings = [encoding for each in receivers for encoding in each.encodings]
    ssrcs = [ssrc for each in encodings for ssrc in (each.ssrc, each.rtx_ssrc) if ssrc]
    if len(set(ssrcs)) != len(ssrcs):
        raise bad_sdp("gives an SSRC to two streams")
    if len(ssrcs) > MAX_SOURCES:
        raise unsupported_sdp(f"has more than {MAX_SOURCES} SSRCs of streams and their resends")


def receive_parameters(media: Media, codecs: tuple[NegotiatedCodec, ...]) -> ReceiveParameters:
    """What the relay is to expect on a section it takes."""
    return ReceiveParameters(
        mid=media.mid,
        kind=as_kind(media.kind),
        codecs=codecs,
        encodings=_encodings(media),
        extensions=select_extensions(media, RECEIVED_EXTENSIONS, ("sendrecv", "sendonly")),
        msid=media.msid,
    )


def _sent_rids(media: Media) -> tuple[str, ...]:
    """Of the rids a section sends those that are taken, in the order of a=simulcast: browsers list the best last."""
    declared = {rid.id for rid in media.rids if rid.direction == "send"}
    if media.simulcast is not None:
        listed = (next((rid for rid in stream if rid in declared), "") for stream in media.simulcast.send)
        return tuple(dict.fromkeys(rid for rid in listed if rid))[:MAX_ENCODINGS]
    return tuple(declared) if len(declared) == 1 else ()


def _encodings(media: Media) -> tuple[Encoding, ...]:
    """
    By rid, SSRCs then being learned; else by a=ssrc, each stream paired with its RTX (FID, RFC 5576, 4.2).

    Without rid several SSRCs are several encodings only where a SIM group says so; else the first one is meant.
    """
    rids = _sent_rids(media)
    if rids:
        return tuple(Encoding(rid=rid) for rid in rids)
    fid = {group.ssrcs[0]: group.ssrcs[1] for group in media.ssrc_groups if _is_pair(group.semantics, group.ssrcs)}
    sim = next((group.ssrcs for group in media.ssrc_groups if group.semantics == "SIM"), ())
    single = tuple(fid)[:1] or tuple(ssrc for ssrc, _ in media.ssrcs)[:1] or (0,)
    return tuple(Encoding(ssrc=ssrc, rtx_ssrc=fid.get(ssrc, 0)) for ssrc in (sim or single)[:MAX_ENCODINGS])


def _is_pair(semantics: str, ssrcs: tuple[int, ...]) -> bool:
    return semantics == "FID" and len(ssrcs) == 2


def _answer(media: Media, codecs: tuple[NegotiatedCodec, ...], *, is_instrument: bool = False) -> Media:
    rids = _sent_rids(media)
    pts = {each.pt for each in codecs}
    offered = {rid.id: rid for rid in media.rids}
    extensions = select_extensions(media, RECEIVED_EXTENSIONS, ("sendrecv", "sendonly"))
    return Media(
        kind=media.kind,
        port=9,
        protocol=media.protocol,
        mid=media.mid,
        direction="recvonly" if _is_sending(media) else "inactive",
        is_rtcp_mux=True,
        is_rtcp_rsize=media.is_rtcp_rsize,
        extmaps=answered_extmaps(media, extensions),
        rids=tuple(
            Rid(rid, "recv", tuple(pt for pt in offered[rid].pts if pt in pts), offered[rid].restrictions)
            for rid in rids
        ),
        simulcast=Simulcast(recv=tuple((rid,) for rid in rids)) if media.simulcast and rids else None,
        **codec_lines(
            with_parameters(codecs, instrument_parameters if is_instrument else answer_parameters), media.kind
        ),
    )


# -------------------------------------------------------------------- shared with WHEP


def answer_session(
    offer: Session, answered: dict[str, Media], local: LocalTransport, *, setup: str, version: int
) -> Session:
    """The answer to an offer, of the sections taken (by mid); all others are rejected, the transport is ours."""
    bundle = tuple(mid for mid in (offer.bundles[0] if offer.bundles else answered) if mid in answered)
    media = tuple(
        with_transport(answered[each.mid], local, setup=setup, is_first=bundle[:1] == (each.mid,))
        if each.mid in answered
        else rejected(each)
        for each in offer.media
    )
    return Session(
        session_id=session_id(local),
        version=version,
        media=media,
        bundles=(bundle,) if offer.bundles and bundle else (),
        is_ice_lite=True,
        is_extmap_mixed=offer.is_extmap_mixed,
    )


def with_transport(media: Media, local: LocalTransport, *, setup: str, is_first: bool) -> Media:
    """
    A section over the relay's transport; the bundle's first section has its address (RFC 8843, 7.1.2).

    Every section has the candidates, though only the first one's count: aiortc with its bundle policy at max-bundle
    takes those of the last, and nobody minds the repetition.
    """
    address, port = default_address(local) if is_first else ("0.0.0.0", 9)
    return replace(
        media,
        address=address,
        port=port,
        ice_ufrag=local.ice.ufrag,
        ice_pwd=local.ice.pwd,
        fingerprints=(local.fingerprint,),
        setup=setup,
        candidates=local.candidates,
        is_end_of_candidates=True,
    )


def lines_of(session: Session) -> tuple[Line, ...]:
    """What the next offer has to keep."""
    return tuple(Line(media.mid, media.kind, media.port == 0) for media in session.media)
