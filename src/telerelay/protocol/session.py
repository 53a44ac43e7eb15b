"""
A session description (RFC 8866) as values, and how it is written. How it is read: sdp.py.

Pure. What a session says for all its sections stands here in each of them; what the relay has no use for is not here.
The small ones are named tuples: an offer has hundreds, and reading it may not take long.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from telerelay.protocol.parameters import Candidate, Fingerprint

Parameters = tuple[tuple[str, str], ...]


class RtpMap(NamedTuple):
    """a=rtpmap (RFC 8866, 6.6)."""

    pt: int
    name: str
    clock_rate: int
    channels: int = 1


class ExtMap(NamedTuple):
    """a=extmap (RFC 8285, 8)."""

    id: int
    uri: str
    direction: str = "sendrecv"


class Rid(NamedTuple):
    """a=rid (RFC 8851); `pts` empty: any."""

    id: str
    direction: str
    pts: tuple[int, ...] = ()
    restrictions: Parameters = ()


class Simulcast(NamedTuple):
    """a=simulcast (RFC 8853): streams, each a tuple of alternative rids."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()


class SsrcGroup(NamedTuple):
    """a=ssrc-group (RFC 5576, 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Media:
    """
    One section. `formats` are payload types wherever `protocol` is RTP; `feedback` pairs a payload type, or None for
    all, with a rtcp-fb value, and is in the payload types' order, as `fmtps` is; `ssrcs` pairs an SSRC with its CNAME.
    "" and None stand for what was not said.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    address: str = "0.0.0.0"
    mid: str = ""
    direction: str = "sendrecv"
    ice_ufrag: str = ""
    ice_pwd: str = ""
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str = ""
    is_rtcp_mux: bool = False
    is_rtcp_rsize: bool = False
    is_bundle_only: bool = False
    has_crypto: bool = False
    rtpmaps: tuple[RtpMap, ...] = ()
    fmtps: tuple[tuple[int, Parameters], ...] = ()
    feedback: tuple[tuple[int | None, str], ...] = ()
    extmaps: tuple[ExtMap, ...] = ()
    msid: tuple[str, str] | None = None
    rids: tuple[Rid, ...] = ()
    simulcast: Simulcast | None = None
    ssrcs: tuple[tuple[int, str], ...] = ()
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    is_end_of_candidates: bool = False
    sctp_port: int = 0
    sctpmap_port: int = 0
    max_message_size: int | None = None

    @property
    def is_rtp(self) -> bool:
        return "RTP/" in self.protocol

    @property
    def is_rejected(self) -> bool:
        """Port 0 says so, but for a section that only ever lives in a bundle (RFC 9143, 6)."""
        return self.port == 0 and not self.is_bundle_only


@dataclass(frozen=True, slots=True)
class Session:
    """A whole description; `bundles` are its BUNDLE groups (RFC 9143)."""

    session_id: int
    version: int
    media: tuple[Media, ...] = ()
    bundles: tuple[tuple[str, ...], ...] = ()
    is_ice_lite: bool = False
    is_extmap_mixed: bool = False


def serialise(session: Session) -> str:
    """The text, lines ended by CRLF."""
    lines = ["v=0", f"o=- {session.session_id} {session.version} IN IP4 0.0.0.0", "s=-", "t=0 0"]
    if session.is_ice_lite:
        lines.append("a=ice-lite")
    if session.is_extmap_mixed:
        lines.append("a=extmap-allow-mixed")
    lines += [f"a=group:BUNDLE {' '.join(mids)}".rstrip() for mids in session.bundles]
    lines.append("a=msid-semantic:WMS *")
    for media in session.media:
        lines += _media_lines(media)
    return "\r\n".join(lines) + "\r\n"


def _media_lines(media: Media) -> list[str]:
    lines = [
        f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}".rstrip(),
        f"c=IN IP{6 if ':' in media.address else 4} {media.address}",
    ]
    lines += _candidate_lines(media.candidates)
    flags = (
        ("end-of-candidates", media.is_end_of_candidates),
        ("bundle-only", media.is_bundle_only),
        ("rtcp-mux", media.is_rtcp_mux),
        ("rtcp-rsize", media.is_rtcp_rsize),
        ("crypto:1 NULL", media.has_crypto),
    )
    values = (
        ("ice-ufrag", media.ice_ufrag),
        ("ice-pwd", media.ice_pwd),
        *(("fingerprint", value) for value in _fingerprint_values(media.fingerprints)),
        ("setup", media.setup),
        ("mid", media.mid),
    )
    lines += [f"a={name}:{value}" for name, value in values if value]
    lines += _extmap_lines(media.extmaps)
    lines.append(f"a={media.direction}")
    if media.sctp_port:
        lines.append(f"a=sctp-port:{media.sctp_port}")
    if media.sctpmap_port:
        lines.append(f"a=sctpmap:{media.sctpmap_port} webrtc-datachannel 1024")
    if media.max_message_size is not None:
        lines.append(f"a=max-message-size:{media.max_message_size}")
    if media.msid is not None:
        lines.append(f"a=msid:{' '.join(media.msid).rstrip()}")
    lines += [f"a={name}" for name, is_set in flags if is_set]
    lines += _codec_lines(media.rtpmaps, media.fmtps, media.feedback)
    lines += [f"a=rid:{_rid(rid)}" for rid in media.rids]
    if media.simulcast is not None:
        sides = (("send", media.simulcast.send), ("recv", media.simulcast.recv))
        written = [f"{side} {';'.join(map(','.join, streams))}" for side, streams in sides if streams]
        lines.append(f"a=simulcast:{' '.join(written)}")
    lines += [f"a=ssrc-group:{group.semantics} {' '.join(map(str, group.ssrcs))}" for group in media.ssrc_groups]
    lines += [f"a=ssrc:{ssrc} cname:{cname}" if cname else f"a=ssrc:{ssrc}" for ssrc, cname in media.ssrcs]
    return lines


# Every section repeats what the transport is.
@lru_cache(maxsize=64)
def _candidate_lines(candidates: tuple[Candidate, ...]) -> tuple[str, ...]:
    return tuple(f"a=candidate:{candidate.to_sdp()}" for candidate in candidates)


@lru_cache(maxsize=64)
def _fingerprint_values(fingerprints: tuple[Fingerprint, ...]) -> tuple[str, ...]:
    return tuple(fingerprint.to_sdp() for fingerprint in fingerprints)


# Everybody's sections repeat what the codecs and extensions are.
@lru_cache(maxsize=64)
def _extmap_lines(extmaps: tuple[ExtMap, ...]) -> tuple[str, ...]:
    return tuple(f"a=extmap:{_extmap(extmap)}" for extmap in extmaps)


@lru_cache(maxsize=64)
def _codec_lines(
    rtpmaps: tuple[RtpMap, ...],
    fmtps: tuple[tuple[int, Parameters], ...],
    all_feedback: tuple[tuple[int | None, str], ...],
) -> tuple[str, ...]:
    """By payload type, as people read it; lines for payload types without a=rtpmap come last."""
    mapped = {rtpmap.pt: rtpmap for rtpmap in rtpmaps}
    lines: list[str] = []
    feedback: dict[int | None, list[str]] = {}
    for pt, value in all_feedback:
        feedback.setdefault(pt, []).append(value)
    written = {pt: ";".join(f"{key}={value}" if value else key for key, value in pairs) for pt, pairs in fmtps}
    for pt in dict.fromkeys([*mapped, *feedback, *written]):
        rtpmap = mapped.get(pt) if pt is not None else None
        if rtpmap is not None:
            channels = f"/{rtpmap.channels}" if rtpmap.channels > 1 else ""
            lines.append(f"a=rtpmap:{pt} {rtpmap.name}/{rtpmap.clock_rate}{channels}")
        lines += [f"a=rtcp-fb:{'*' if pt is None else pt} {value}" for value in feedback.get(pt, ())]
        if pt is not None and pt in written:
            lines.append(f"a=fmtp:{pt} {written[pt]}".rstrip())
    return tuple(lines)


def _extmap(extmap: ExtMap) -> str:
    direction = "" if extmap.direction == "sendrecv" else f"/{extmap.direction}"
    return f"{extmap.id}{direction} {extmap.uri}"


def _rid(rid: Rid) -> str:
    pts = [("pt", ",".join(map(str, rid.pts)))] if rid.pts else []
    restrictions = ";".join(f"{key}={value}" if value else key for key, value in (*pts, *rid.restrictions))
    return f"{rid.id} {rid.direction} {restrictions}".rstrip()
