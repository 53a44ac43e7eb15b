"""
The client offers sections to receive on, the relay answers: WHEP (draft-ietf-wish-whep).

Sans-I/O. Which track a section carries is decided later and needs no new offer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp as sdp_text
from telerelay.protocol.codecs import (
    SENT_FEEDBACK,
    SENT_FEEDBACK_PLAIN,
    answered_extmaps,
    codec_lines,
    select_each,
    sent_extensions,
    sent_parameters,
    with_parameters,
)
from telerelay.protocol.data import DataParameters, answer_data, data_parameters, data_section
from telerelay.protocol.parameters import LocalTransport, NegotiatedCodec, RemoteTransport, SendParameters, as_kind
from telerelay.protocol.publish import CodecPolicy, answer_session, lines_of
from telerelay.protocol.sections import KINDS, Line, check_lines, check_sections, remote_transport
from telerelay.protocol.session import Media, SsrcGroup


@dataclass(frozen=True, slots=True)
class WhepResult:
    """
    The answer, the peer's transport, the sections the relay may send on (`key` is the MID), and whether data channels
    were offered: they are taken.
    """

    answer: str
    remote: RemoteTransport
    sections: tuple[SendParameters, ...]
    data: DataParameters | None


@dataclass(frozen=True, slots=True)
class WhepState:
    """What a negotiation remembers of its offers; `ssrcs` are those of each mid."""

    lines: tuple[Line, ...] = ()
    remote: RemoteTransport | None = None
    ssrcs: dict[str, tuple[int, int]] = field(default_factory=dict)
    version: int = 0


class WhepNegotiation:
    """
    One subscribing transport whose client offers. `cname` holds its tracks together; "" takes the ICE fragment. `state`
    is that of a negotiation which goes on here. `is_estimated`: transport-wide numbers are sent to whoever offers to
    give feedback of them.
    """

    def __init__(
        self,
        policy: CodecPolicy,
        cname: str = "",
        state: WhepState = WhepState(),
        *,
        is_estimated: bool = True,
    ) -> None:
        self._feedback = SENT_FEEDBACK if is_estimated else SENT_FEEDBACK_PLAIN
        self._policy = policy
        self._cname = cname
        self._lines = state.lines
        self._remote = state.remote
        self._ssrcs = dict(state.ssrcs)
        self._version = state.version

    @property
    def state(self) -> WhepState:
        return WhepState(self._lines, self._remote, dict(self._ssrcs), self._version)

    def on_offer(self, sdp: str, local: LocalTransport, new_ssrc: Callable[[], int]) -> WhepResult:
        """
        Answer an offer; a later one (ICE restart) keeps each section's SSRCs. Raises RemoteProtocolError (bad_sdp,
        unsupported_sdp, no_common_codec, too_large), with everything as it was.
        """
        session = sdp_text.parse(sdp)
        check_lines(self._lines, session)
        alive = check_sections(session)
        codecs = select_each((media for media in alive if media.kind in KINDS), self._policy.of, self._feedback)
        played = tuple(media for media in alive if codecs.get(media.mid))
        data = data_section(alive)
        taken = tuple(media for media in alive if codecs.get(media.mid) or media is data)
        if not played and (data is None or codecs):
            raise RemoteProtocolError("no_common_codec", "the relay sends no codec that the SDP offers")
        remote = remote_transport(session, taken, before=self._remote)
        cname = self._cname or local.name or local.ice.ufrag
        ssrcs = dict(self._ssrcs)
        sections: dict[str, SendParameters] = {}
        for media in played:
            if media.direction in ("sendrecv", "recvonly"):
                if media.mid not in ssrcs:
                    ssrcs[media.mid] = (new_ssrc(), new_ssrc())
                extensions = sent_extensions(media, codecs[media.mid], is_mixed=session.is_extmap_mixed)
                sections[media.mid] = _send_parameters(media, codecs[media.mid], ssrcs[media.mid], cname, extensions)
        answer = answer_session(
            session,
            {
                media.mid: answer_data(media)
                if media is data
                else _answer(media, codecs[media.mid], sections.get(media.mid), is_mixed=session.is_extmap_mixed)
                for media in taken
            },
            local,
            setup="active" if remote.is_dtls_client else "passive",
            version=self._version + 1,
        )
        self._lines, self._remote, self._ssrcs = lines_of(answer), remote, ssrcs
        self._version += 1
        return WhepResult(
            answer=sdp_text.serialise(answer),
            remote=remote,
            sections=tuple(sections.values()),
            data=data_parameters(data) if data is not None else None,
        )


def _send_parameters(
    media: Media,
    codecs: tuple[NegotiatedCodec, ...],
    ssrcs: tuple[int, int],
    cname: str,
    extensions: dict[int, int],
) -> SendParameters:
    ssrc, rtx_ssrc = ssrcs
    return SendParameters(
        key=media.mid,
        mid=media.mid,
        kind=as_kind(media.kind),
        ssrc=ssrc,
        rtx_ssrc=rtx_ssrc if any(each.rtx_pt is not None for each in codecs) else 0,
        cname=cname,
        codecs=codecs,
        extensions=extensions,
    )


def _answer(media: Media, codecs: tuple[NegotiatedCodec, ...], send: SendParameters | None, *, is_mixed: bool) -> Media:
    described = Media(
        kind=media.kind,
        port=9,
        protocol=media.protocol,
        mid=media.mid,
        direction="inactive",
        is_rtcp_mux=True,
        is_rtcp_rsize=media.is_rtcp_rsize,
        extmaps=answered_extmaps(media, sent_extensions(media, codecs, is_mixed=is_mixed)),
        **codec_lines(with_parameters(codecs, sent_parameters), media.kind),
    )
    if send is None:
        return described
    # One stream, so that a player keeps its sound and picture together. A fragment may hold a slash, an msid may not
    # (RFC 8839, 5.4; RFC 8830, 2).
    stream = send.cname.replace("/", "-")
    return with_stream(described, send.ssrc, send.rtx_ssrc, send.cname, (stream, f"{media.kind}-{media.mid}"))


def with_stream(media: Media, ssrc: int, rtx_ssrc: int, cname: str, msid: tuple[str, str]) -> Media:
    """A section that sends: its msid, its SSRCs and which of them carries resends (0: none)."""
    pair = (ssrc, rtx_ssrc) if rtx_ssrc else (ssrc,)
    return replace(
        media,
        direction="sendonly",
        msid=msid,
        ssrcs=tuple((each, cname) for each in pair),
        ssrc_groups=(SsrcGroup("FID", pair),) if len(pair) == 2 else (),
    )
