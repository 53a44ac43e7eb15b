"""
What must hold across the sections of a peer's description, and the one transport they share.

Pure. The relay speaks BUNDLE with RTCP multiplexed, over DTLS, with certificates named by a strong hash; anything else
is refused by name (A08, A10, A43).
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from telerelay.errors import RemoteProtocolError
from telerelay.protocol.data import is_data
from telerelay.protocol.parameters import DtlsParameters, Fingerprint, IceParameters, LocalTransport, RemoteTransport
from telerelay.protocol.session import Media, Session

KINDS = ("audio", "video")
_STRONG_HASHES = ("sha-256", "sha-384", "sha-512")
MAX_CERTIFICATES = 4  # what the data plane holds of strong fingerprints
# RFC 9429, 5.1.2: ways of writing "RTP over DTLS". Plain RTP/AVP and RTP/AVPF are not among them.
_SECURE_PROFILES = frozenset(
    {
        "UDP/TLS/RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
        "TCP/DTLS/RTP/SAVP",
        "RTP/SAVPF",
        "RTP/SAVP",
    }
)


def bad_sdp(what: str) -> RemoteProtocolError:
    return RemoteProtocolError("bad_sdp", f"the SDP {what}")


def unsupported_sdp(what: str) -> RemoteProtocolError:
    return RemoteProtocolError("unsupported_sdp", f"the SDP {what}")


def check_sections(session: Session) -> tuple[Media, ...]:
    """
    The audio, video and data channel sections of a peer's description that are alive, in its order, once they are known
    to fit together. Raises RemoteProtocolError bad_sdp or unsupported_sdp.
    """
    if not session.media:
        raise bad_sdp("has no media section")
    if session.is_ice_lite:
        raise unsupported_sdp("is of an ICE-lite peer: two of those never find each other")
    if len(session.bundles) > 1:
        raise unsupported_sdp("has more than one BUNDLE group")
    alive = []
    for media in session.media:
        if media.is_rejected:
            continue
        if not media.mid:
            raise bad_sdp("has a media section without mid")
        if media.kind in KINDS:
            _check_section(media)
        elif not is_data(media):
            continue
        alive.append(media)
    _check_bundle(session, alive)
    _check_unique(alive)
    return tuple(alive)


def _check_section(media: Media) -> None:
    if media.protocol not in _SECURE_PROFILES:
        raise unsupported_sdp("has media without DTLS-SRTP")
    if media.has_crypto:
        raise unsupported_sdp("carries keys (SDES), which are refused")
    if not media.is_rtcp_mux:
        raise unsupported_sdp("has media without rtcp-mux")
    if not media.formats:
        raise bad_sdp("has a media section without payload types")


def _check_bundle(session: Session, alive: Sequence[Media]) -> None:
    """BUNDLE is how several sections come over one transport; a lone section needs no group to say so."""
    bundled = set(session.bundles[0]) if session.bundles else {media.mid for media in alive[:1]}
    if any(media.mid not in bundled for media in alive):
        raise unsupported_sdp("has media outside the BUNDLE group")


def _check_unique(alive: Iterable[Media]) -> None:
    """Within one bundle a payload type is one codec, an extmap id one URI, an SSRC one section (RFC 9143, 9)."""
    rtpmaps: dict[int, tuple[str, int, int]] = {}
    uris: dict[int, str] = {}
    ssrcs: set[int] = set()
    for media in alive:
        for rtpmap in media.rtpmaps:
            codec = (rtpmap.name.lower(), rtpmap.clock_rate, rtpmap.channels)
            if rtpmaps.setdefault(rtpmap.pt, codec) != codec:
                raise bad_sdp("maps a payload type to two codecs")
        for extmap in media.extmaps:
            if uris.setdefault(extmap.id, extmap.uri) != extmap.uri:
                raise bad_sdp("maps an extmap id to two URIs")
        own = {ssrc for ssrc, _ in media.ssrcs}.union(*(group.ssrcs for group in media.ssrc_groups))
        if own & ssrcs:
            raise bad_sdp("gives an SSRC to two sections")
        ssrcs |= own


def remote_transport(session: Session, alive: Sequence[Media], *, before: RemoteTransport | None) -> RemoteTransport:
    """
    The peer's end of the transport, from an offer or an answer. `before` is what it was: a certificate and a DTLS role
    stay for a transport's life.

    An offer's actpass leaves the relay passive, or what it was (RFC 8842, 5). In an answer the caller refuses actpass.
    """
    tagged = _tagged(session, alive)
    if not tagged.ice_ufrag or not tagged.ice_pwd:
        raise bad_sdp("has no ICE credentials")
    setups = {media.setup for media in alive if media.setup}
    if len(setups) != 1:
        raise bad_sdp("has no setup, or sections that differ in it")
    setup = setups.pop()
    if setup == "holdconn":
        raise unsupported_sdp("holds its connection")
    fingerprints = _strong_fingerprints(tagged)
    others = (media for media in alive if media.fingerprints and media.fingerprints != tagged.fingerprints)
    if any(_strong_fingerprints(media) != fingerprints for media in others):
        raise bad_sdp("has sections that differ in their fingerprints")
    role = {"active": False, "passive": True}.get(setup, before.is_dtls_client if before else False)
    if before is not None:
        if set(fingerprints) != set(before.dtls.fingerprints):
            raise unsupported_sdp("names another certificate than before: open a new connection")
        if role != before.is_dtls_client:
            raise bad_sdp("changes the DTLS roles")
    return RemoteTransport(
        ice=IceParameters(tagged.ice_ufrag, tagged.ice_pwd),
        dtls=DtlsParameters(fingerprints, setup),
        is_dtls_client=role,
    )


def _tagged(session: Session, alive: Sequence[Media]) -> Media:
    """The section that speaks for the bundle: the group's first that is taken and has an address (RFC 9143, 7.1)."""
    order = {mid: index for index, mid in enumerate(session.bundles[0])} if session.bundles else {}
    candidates = sorted(alive, key=lambda media: (not media.ice_ufrag, media.is_bundle_only, order.get(media.mid, 0)))
    return candidates[0]


def _strong_fingerprints(media: Media) -> tuple[Fingerprint, ...]:
    if not media.fingerprints:
        raise bad_sdp("has no fingerprint")
    strong = tuple(each for each in media.fingerprints if each.algorithm in _STRONG_HASHES)
    if not strong:
        raise unsupported_sdp("has no fingerprint of SHA-256 or stronger")
    if len(strong) > MAX_CERTIFICATES:
        raise unsupported_sdp(f"has more than {MAX_CERTIFICATES} fingerprints")
    return strong


@dataclass(frozen=True, slots=True)
class Line:
    """What stays of a section over renegotiations; `is_free`: it was rejected, another may take its place."""

    mid: str
    kind: str
    is_free: bool


def check_lines(before: Sequence[Line], session: Session) -> None:
    """Sections keep their place, mid and kind; new ones come last, or where one was rejected (RFC 9429, 5.2.2)."""
    if len(session.media) < len(before):
        raise bad_sdp("has fewer media sections than before")
    for line, media in zip(before, session.media, strict=False):
        if not line.is_free and (media.mid or line.mid, media.kind) != (line.mid, line.kind):
            raise bad_sdp("changes the order, mid or kind of its media sections")


def rejected(media: Media) -> Media:
    """The answer to a section that is not taken (RFC 3264, 6)."""
    return Media(media.kind, 0, media.protocol, media.formats, mid=media.mid, direction="inactive")


def session_id(local: LocalTransport) -> int:
    """A number for the o= line: another for each transport, the same for its whole life. It protects nothing."""
    return zlib.crc32((local.name or local.ice.ufrag).encode()) + 1


def default_address(local: LocalTransport) -> tuple[str, int]:
    """Address and port of the c= and m= lines: an IPv4 candidate where there is one (RFC 8839, 4.2.1.2)."""
    udp = [candidate for candidate in local.candidates if candidate.protocol == "udp"]
    chosen = next((candidate for candidate in udp if not candidate.is_ipv6), udp[0] if udp else None)
    return ("0.0.0.0", 9) if chosen is None else (chosen.address, chosen.port)
