"""
Reads SDP (RFC 8866, RFC 9429) as browsers and media tools write it, total and bounded.

Pure. Any text yields a Session or RemoteProtocolError, in time linear in its length. Attributes the relay has no use
for are passed over; the rest is checked, with integers in their ranges. Errors name a line's number, never its text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn, TypeVar

from telerelay.errors import RemoteProtocolError
from telerelay.protocol.parameters import Candidate, Fingerprint
from telerelay.protocol.session import (
    ExtMap,
    Media,
    Parameters,
    Rid,
    RtpMap,
    Session,
    Simulcast,
    SsrcGroup,
    serialise,
)

__all__ = ["parse", "serialise"]

MAX_BYTES = 65536
MAX_LINES = 2000
MAX_MEDIA = 32
MAX_EXTMAPS = 64  # of one section
MAX_CANDIDATES = 32  # kept, of the whole session
MAX_SSRCS = 64  # of one section
MAX_SSRC_LINES = 640  # of the whole session
MAX_RIDS = 16  # of one section
MAX_RID_LINES = 128  # of the whole session: four encodings in each of 32 sections
MAX_GROUP_SSRCS = 8  # of one ssrc-group: four layers, and a source of repair for each
MAX_SSRC_GROUPS = 160  # of the whole session: four FID and one SIM in each of 32 sections
MAX_RTPMAPS = 344  # of the whole session: as many as 64 KiB hold of Chromium, whose sections have one in 190 bytes
MAX_SESSION_PARAMETERS = 4096  # of all fmtp and rid lines that differ: eight for each of so many codecs
MAX_SESSION_EXTMAPS = 512  # likewise; browsers have 7 to 15 in a section
MAX_FINGERPRINTS = 8  # of one section: an old and a new certificate under each hash there is
MAX_DISTINCT = 640  # lines of one kind that are read once each; 128 payload types have at most five rtcp-fb lines each

# What a line of codecs or extensions says depends on nothing but its text, and everybody's browser writes the same: the
# latest are kept, some 200 KiB of each kind at most. Chromium has 130 different ones, none of 200 characters.
MAX_KEPT_LINES = 512
MAX_KEPT_CHARS = 256

_T = TypeVar("_T")

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]{1,256}", re.ASCII)
_ICE_CHARS = re.compile(r"[A-Za-z0-9+/=_\-.]{4,256}", re.ASCII)  # RFC 8839, and what webrtcbin adds
_HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,63}", re.ASCII)
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_MAX_FORMATS = 128  # there are no more payload types
_MAX_RID_PTS = 32  # twice as many as are taken of a section
_MID_MAX_CHARS = 32  # what the data plane holds
_HASH_BYTES = {"md5": 16, "sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}


def parse(text: str, *, max_media: int = MAX_MEDIA) -> Session:
    """
    The session described. Raises RemoteProtocolError: too_large past MAX_BYTES, else bad_sdp.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise RemoteProtocolError("too_large", f"the SDP may have {MAX_BYTES} bytes")
    text = text.replace("\r\n", "\n")
    if _FORBIDDEN.search(text):
        _bad("holds characters that SDP may not hold")
    lines = text.rstrip("\n").split("\n")
    if len(lines) > MAX_LINES:
        _bad(f"has more than {MAX_LINES} lines")
    reader = _Reader(max_media)
    count = 0
    try:
        for line in lines:
            count += 1
            if line.startswith("a="):
                name, _, argument = line[2:].partition(":")
                read = _ATTRIBUTES.get(name)
                if read is not None:
                    read(reader, argument)
            else:
                reader.take(line)
    except ValueError as error:
        _bad(f"is wrong in line {count}: {error}")
    return reader.finish()


def _bad(what: str) -> NoReturn:
    raise RemoteProtocolError("bad_sdp", f"the SDP {what}")


@dataclass(slots=True)
class _Draft:
    """A section while it is read, or what stands before the first one."""

    once: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[Fingerprint, None] = field(default_factory=dict)
    rtpmaps: dict[int, RtpMap] = field(default_factory=dict)
    fmtps: dict[int, Parameters] = field(default_factory=dict)
    feedback: dict[tuple[int | None, str], None] = field(default_factory=dict)
    extmaps: dict[int, ExtMap] = field(default_factory=dict)
    rids: dict[str, Rid] = field(default_factory=dict)
    ssrcs: dict[int, str] = field(default_factory=dict)
    ssrc_groups: dict[SsrcGroup, None] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    ssrc_msid: tuple[str, str] | None = None

    def set_once(self, name: str, value: Any) -> None:
        """The same again is harmless, another value is not."""
        if self.once.setdefault(name, value) != value:
            raise ValueError(f"{name} was given with another value")


class _Reader:
    def __init__(self, max_media: int) -> None:
        self.max_media = max_media
        self.session = _Draft()
        self.current = self.session
        self.sections: list[_Draft] = []
        self.bundles: list[tuple[str, ...]] = []
        self.candidate_count = 0
        self._counts: dict[str, int] = {}
        self.known: dict[str, dict[str, Any]] = {
            name: {} for name in ("rtpmap", "fmtp", "rtcp-fb", "extmap", "simulcast")
        }
        """What lines said, by their text."""

    def count(self, what: str, most: int, more: int = 1) -> None:
        """`more` of what a session may have `most` of; raises ValueError past that."""
        count = self._counts[what] = self._counts.get(what, 0) + more
        if count > most:
            raise ValueError(f"more than {most} {what}")

    def once(self, name: str, argument: str, read: Callable[[str], _T]) -> _T:
        """
        What an attribute line says that is not `known`: the same line in another section is not read again. A bundle
        says of each payload type and extension the same in all its sections, so there are few different ones.
        """
        known = self.known[name]
        if len(known) == MAX_DISTINCT:
            raise ValueError(f"more than {MAX_DISTINCT} different {name} lines")
        value = known[argument] = read(argument)
        return value

    def take(self, line: str) -> None:
        """A line that is no attribute. Raises ValueError."""
        kind, value = line[:1], line[2:]
        if line[1:2] != "=" or not "a" <= kind <= "z":
            raise ValueError("it is not of the form x=…")
        if kind == "m":
            self._media(value)
        elif kind == "v":
            if value.strip() != "0":
                raise ValueError("the version must be 0")
            self.session.set_once("v", value)
        elif kind == "o":
            self._origin(value)
        elif kind == "c" and self.sections:
            parts = value.split()
            if len(parts) == 3 and parts[0] == "IN" and _VISIBLE.fullmatch(parts[2]):
                self.current.once["address"] = parts[2]

    def _origin(self, value: str) -> None:
        parts = value.split()
        if len(parts) != 6 or not _DIGITS.fullmatch(parts[1]) or not _DIGITS.fullmatch(parts[2]):
            raise ValueError("the origin is malformed")
        self.session.set_once("origin", (int(parts[1]), int(parts[2])))

    def _media(self, value: str) -> None:
        parts = value.split(None, _MAX_FORMATS + 3)
        if not 3 <= len(parts) <= _MAX_FORMATS + 3 or not all(map(_VISIBLE.fullmatch, parts)):
            raise ValueError("the media line is malformed")
        if len(self.sections) == self.max_media:
            raise ValueError(f"more than {self.max_media} media sections")
        kind, port, protocol, *formats = parts
        if not _TOKEN.fullmatch(kind):
            raise ValueError("the media line is malformed")
        if "RTP/" in protocol and not _PAYLOAD_TYPES.keys() >= set(formats):
            raise ValueError("a payload type is not 0 to 127")
        if len(set(formats)) != len(formats):
            raise ValueError("a format is listed twice")
        self.current = _Draft()
        self.current.once |= {
            "kind": kind,
            "port": _integer(port, 0, 65535),
            "protocol": protocol,
            "formats": tuple(formats),
        }
        self.sections.append(self.current)

    def finish(self) -> Session:
        if "v" not in self.session.once or "origin" not in self.session.once:
            _bad("has no version, or no origin")
        if sum(len(section.rtpmaps) for section in self.sections) > MAX_RTPMAPS:
            _bad(f"has more than {MAX_RTPMAPS} rtpmaps")
        if sum(len(section.extmaps) for section in self.sections) > MAX_SESSION_EXTMAPS:
            _bad(f"has more than {MAX_SESSION_EXTMAPS} extmaps")
        media = tuple(self._freeze(section) for section in self.sections)
        mids = [each.mid for each in media if each.mid]
        if len(set(mids)) != len(mids):
            _bad("names a mid twice")
        bundled = [mid for bundle in self.bundles for mid in bundle]
        if len(set(bundled)) != len(bundled) or not set(bundled) <= set(mids):
            _bad("bundles a mid twice, or one that it does not have")
        session_id, version = self.session.once["origin"]
        is_mixed = "extmap-allow-mixed" in self.session.once
        return Session(
            session_id=session_id,
            version=version,
            media=media,
            bundles=tuple(self.bundles),
            is_ice_lite="ice-lite" in self.session.once,
            is_extmap_mixed=is_mixed or (bool(media) and all("extmap-allow-mixed" in s.once for s in self.sections)),
        )

    def _freeze(self, section: _Draft) -> Media:
        once, above = section.once, self.session.once
        # ICE credentials are a pair: one level says both (RFC 8839, 5.4).
        ice = once if "ice-ufrag" in once or "ice-pwd" in once else above
        return Media(
            kind=once["kind"],
            port=once["port"],
            protocol=once["protocol"],
            formats=once["formats"],
            address=once.get("address", "0.0.0.0"),
            mid=once.get("mid", ""),
            direction=once.get("direction") or above.get("direction") or "sendrecv",
            ice_ufrag=ice.get("ice-ufrag", ""),
            ice_pwd=ice.get("ice-pwd", ""),
            fingerprints=tuple(section.fingerprints or self.session.fingerprints),
            setup=once.get("setup") or above.get("setup") or "",
            is_rtcp_mux="rtcp-mux" in once,
            is_rtcp_rsize="rtcp-rsize" in once,
            is_bundle_only="bundle-only" in once,
            has_crypto="crypto" in once or "crypto" in above,
            rtpmaps=tuple(section.rtpmaps.values()),
            fmtps=tuple(sorted(section.fmtps.items(), key=lambda each: each[0])),
            feedback=tuple(sorted(section.feedback, key=lambda each: -1 if each[0] is None else each[0])),
            extmaps=tuple(section.extmaps.values()),
            msid=once.get("msid", section.ssrc_msid),
            rids=tuple(section.rids.values()),
            simulcast=once.get("simulcast"),
            ssrcs=tuple(section.ssrcs.items()),
            ssrc_groups=tuple(section.ssrc_groups),
            candidates=tuple(section.candidates),
            is_end_of_candidates="end-of-candidates" in once,
            sctp_port=once.get("sctp-port", 0),
            sctpmap_port=once.get("sctpmap", 0),
            max_message_size=once.get("max-message-size"),
        )


# -------------------------------------------------------------------- attributes


def _kept(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """The same, with what it said of lines in earlier sessions."""
    keeping = lru_cache(maxsize=MAX_KEPT_LINES)(read)

    def kept(argument: str) -> _T:
        return keeping(argument) if len(argument) <= MAX_KEPT_CHARS else read(argument)

    return kept


def _integer(text: str, low: int, high: int) -> int:
    # Not int() alone, which takes signs, blanks, underscores and the digits of all scripts.
    if len(text) > 20 or not (text.isdigit() and text.isascii()) or not low <= (value := int(text)) <= high:
        raise ValueError(f"an integer is not {low} to {high}")
    return value


_PAYLOAD_TYPES = {str(pt): pt for pt in range(128)}


def _payload_type(text: str) -> int:
    pt = _PAYLOAD_TYPES.get(text)
    if pt is None:
        raise ValueError("a payload type is not 0 to 127")
    return pt


def _match(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"the {what} is malformed")
    return text


def _flag(name: str) -> Callable[[_Reader, str], None]:
    def read(reader: _Reader, argument: str) -> None:
        reader.current.once[name] = True

    return read


def _direction(name: str) -> Callable[[_Reader, str], None]:
    def read(reader: _Reader, argument: str) -> None:
        reader.current.set_once("direction", name)

    return read


def _pattern(name: str, pattern: re.Pattern[str], min_chars: int = 1) -> Callable[[_Reader, str], None]:
    def read(reader: _Reader, argument: str) -> None:
        value = _match(pattern, argument.strip(), name)
        if len(value) < min_chars:
            raise ValueError(f"the {name} is too short")
        reader.current.set_once(name, value)

    return read


def _mid(reader: _Reader, argument: str) -> None:
    value = _match(_TOKEN, argument.strip(), "mid")
    if len(value) > _MID_MAX_CHARS:
        raise ValueError(f"a mid may have {_MID_MAX_CHARS} characters")
    reader.current.set_once("mid", value)


def _group(reader: _Reader, argument: str) -> None:
    semantics, *mids = argument.split() or [""]
    if semantics == "BUNDLE" and reader.current is reader.session:
        reader.bundles.append(tuple(mids))


def _setup(reader: _Reader, argument: str) -> None:
    value = argument.strip().lower()
    if value not in ("actpass", "active", "passive", "holdconn"):
        raise ValueError("the setup is malformed")
    reader.current.set_once("setup", value)


def _fingerprint(reader: _Reader, argument: str) -> None:
    algorithm, _, digits = argument.strip().partition(" ")
    algorithm = _match(_TOKEN, algorithm, "hash function").lower()
    value = bytes.fromhex(_match(_HEX_PAIRS, digits.strip(), "fingerprint").replace(":", ""))
    if len(value) != _HASH_BYTES.get(algorithm, len(value)):
        raise ValueError("the fingerprint is not as long as its hash function's are")
    if len(reader.current.fingerprints) == MAX_FINGERPRINTS:
        raise ValueError(f"more than {MAX_FINGERPRINTS} fingerprints")
    reader.current.fingerprints[Fingerprint(algorithm, value)] = None


def _candidate(reader: _Reader, argument: str) -> None:
    reader.candidate_count += 1
    if reader.candidate_count > MAX_CANDIDATES:
        return
    parts = argument.split()
    if len(parts) < 8 or parts[6] != "typ":
        raise ValueError("the candidate is malformed")
    foundation, component, protocol, priority, address, port, _, kind = parts[:8]
    reader.current.candidates.append(
        Candidate(
            foundation=_match(_VISIBLE, foundation, "foundation"),
            component=_integer(component, 1, 256),
            protocol=_match(_TOKEN, protocol, "candidate's transport").lower(),
            priority=_integer(priority, 0, 2**32 - 1),
            address=_match(_VISIBLE, address, "candidate's address"),
            port=_integer(port, 0, 65535),
            type=_match(_TOKEN, kind, "candidate's type"),
        )
    )


_RTPMAP = re.compile(r"([0-9]{1,3}) +([!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32})/([0-9]{1,8})(?:/([0-9]{1,2}))? *", re.ASCII)


@_kept
def _read_rtpmap(argument: str) -> RtpMap:
    found = _RTPMAP.fullmatch(argument)
    if found is None:
        raise ValueError("the rtpmap is malformed")
    pt, name, rate, channels = found.groups()
    return RtpMap(_payload_type(pt), name, _integer(rate, 1, 10_000_000), _integer(channels, 1, 24) if channels else 1)


def _rtpmap(reader: _Reader, argument: str) -> None:
    rtpmap = reader.known["rtpmap"].get(argument) or reader.once("rtpmap", argument, _read_rtpmap)
    if reader.current.rtpmaps.setdefault(rtpmap.pt, rtpmap) != rtpmap:
        raise ValueError("a payload type is mapped to two codecs")


_BLANK = re.compile(r"\s")
_MAX_PARAMETER_CHARS = 1024
_MAX_PARAMETERS = 32


def _pairs(text: str) -> Parameters:
    """`a=b; c` to (("a", "b"), ("c", "")): keys in lower case, a repeated one as it came first."""
    if len(text) > _MAX_PARAMETER_CHARS or not text.isascii():
        raise ValueError("the parameters are malformed, or too long")
    found: dict[str, str] = {}
    is_spaced = _BLANK.search(text) is not None
    for part in text.split(";", _MAX_PARAMETERS):
        key, _, value = part.partition("=")
        if is_spaced:
            key, value = key.strip(), value.strip()
        key = key.lower()
        if key and key not in found:
            found[key] = value
    if len(found) > _MAX_PARAMETERS:
        raise ValueError("there are too many parameters")
    return tuple(found.items())


@_kept
def _read_fmtp(argument: str) -> tuple[int, Parameters]:
    pt, _, text = argument.partition(" ")
    return _payload_type(pt), _pairs(text)


def _fmtp(reader: _Reader, argument: str) -> None:
    found = reader.known["fmtp"].get(argument)
    if found is None:
        found = reader.once("fmtp", argument, _read_fmtp)
        reader.count("parameters", MAX_SESSION_PARAMETERS, len(found[1]))
    pt, parameters = found
    if reader.current.fmtps.setdefault(pt, parameters) != parameters:
        raise ValueError("a payload type has two fmtp lines")


@_kept
def _read_rtcp_fb(argument: str) -> tuple[int | None, str]:
    pt, *words = argument.split()
    value = " ".join(words).lower()
    if not words or len(value) > 64 or not value.isascii():
        raise ValueError("the rtcp-fb is malformed")
    return None if pt == "*" else _payload_type(pt), value


def _rtcp_fb(reader: _Reader, argument: str) -> None:
    found = reader.known["rtcp-fb"].get(argument) or reader.once("rtcp-fb", argument, _read_rtcp_fb)
    reader.current.feedback[found] = None


@_kept
def _read_extmap(argument: str) -> ExtMap:
    parts = argument.split()
    if len(parts) < 2:
        raise ValueError("the extmap is malformed")
    id_text, _, direction = parts[0].partition("/")
    # 4096-4351 are ids that wait for a place (RFC 8285, 7).
    extension = _integer(id_text, 1, 4351)
    if 255 < extension < 4096 or (direction or "sendrecv") not in DIRECTIONS:
        raise ValueError("the extmap is malformed")
    return ExtMap(extension, _match(_VISIBLE, parts[1], "URI"), direction or "sendrecv")


def _extmap(reader: _Reader, argument: str) -> None:
    extmap = reader.known["extmap"].get(argument) or reader.once("extmap", argument, _read_extmap)
    if extmap.id in reader.current.extmaps:
        raise ValueError("an extmap id is given twice")
    if len(reader.current.extmaps) == MAX_EXTMAPS:
        raise ValueError(f"more than {MAX_EXTMAPS} extmaps")
    reader.current.extmaps[extmap.id] = extmap


def _msid(reader: _Reader, argument: str) -> None:
    parts = argument.split()
    if not 1 <= len(parts) <= 2:
        raise ValueError("the msid is malformed")
    stream, track = parts[0], parts[1] if len(parts) == 2 else ""
    if not _TOKEN.fullmatch(stream) or (track and not _TOKEN.fullmatch(track)):
        raise ValueError("the msid is malformed")
    reader.current.once.setdefault("msid", (stream, track))  # a track may be in several streams


def _ssrc(reader: _Reader, argument: str) -> None:
    reader.count("ssrc lines", MAX_SSRC_LINES)
    ssrc_text, _, attribute = argument.partition(" ")
    ssrc = _integer(ssrc_text, 1, 2**32 - 1)
    name, _, value = attribute.strip().partition(":")
    current = reader.current
    if ssrc not in current.ssrcs and len(current.ssrcs) == MAX_SSRCS:
        raise ValueError(f"more than {MAX_SSRCS} SSRCs")
    known = current.ssrcs.setdefault(ssrc, "")
    if name == "cname":
        value = _match(_VISIBLE, value.strip(), "cname")
        if known not in ("", value):
            raise ValueError("an SSRC has two cnames")
        current.ssrcs[ssrc] = value
    elif name == "msid" and current.ssrc_msid is None:
        parts = value.split()
        if 1 <= len(parts) <= 2 and all(_TOKEN.fullmatch(part) for part in parts):
            current.ssrc_msid = (parts[0], parts[1] if len(parts) == 2 else "")


def _ssrc_group(reader: _Reader, argument: str) -> None:
    reader.count("ssrc-groups", MAX_SSRC_GROUPS)
    semantics, *ssrcs = argument.split() or [""]
    if not 1 <= len(ssrcs) <= MAX_GROUP_SSRCS or len(reader.current.ssrc_groups) == MAX_SSRCS:
        raise ValueError("the ssrc-group is malformed")
    group = SsrcGroup(_match(_TOKEN, semantics, "ssrc-group"), tuple(_integer(ssrc, 1, 2**32 - 1) for ssrc in ssrcs))
    reader.current.ssrc_groups[group] = None


def _rid(reader: _Reader, argument: str) -> None:
    reader.count("rid lines", MAX_RID_LINES)
    if len(reader.current.rids) == MAX_RIDS:
        raise ValueError(f"more than {MAX_RIDS} rids")
    parts = argument.strip().split(" ", 2)
    if len(parts) < 2 or parts[1] not in ("send", "recv"):
        raise ValueError("the rid is malformed")
    pairs = _pairs(parts[2]) if len(parts) == 3 else ()
    reader.count("parameters", MAX_SESSION_PARAMETERS, len(pairs))
    listed = next((value.split(",") for key, value in pairs if key == "pt"), [])
    if len(listed) > _MAX_RID_PTS:
        raise ValueError(f"a rid names more than {_MAX_RID_PTS} payload types")
    pts = tuple(map(_payload_type, listed))
    rid = Rid(_match(_RID, parts[0], "rid"), parts[1], pts, tuple(pair for pair in pairs if pair[0] != "pt"))
    if rid.id in reader.current.rids:
        raise ValueError("a rid is given twice")
    reader.current.rids[rid.id] = rid


_MAX_SIMULCAST_CHARS = 1024


def _read_simulcast(argument: str) -> Simulcast:
    words = argument.split() if len(argument) <= _MAX_SIMULCAST_CHARS else []
    sides = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) not in (2, 4) or len(sides) * 2 != len(words) or not sides.keys() <= {"send", "recv"}:
        raise ValueError("the simulcast is malformed")
    streams = {
        side: tuple(
            tuple(_match(_RID, rid.removeprefix("~"), "rid") for rid in each.split(",")) for each in text.split(";")
        )
        for side, text in sides.items()
    }
    if any(len(each) > MAX_RIDS for each in streams.values()):
        raise ValueError(f"more than {MAX_RIDS} simulcast streams")
    return Simulcast(streams.get("send", ()), streams.get("recv", ()))


def _simulcast(reader: _Reader, argument: str) -> None:
    simulcast = reader.known["simulcast"].get(argument) or reader.once("simulcast", argument, _read_simulcast)
    reader.current.set_once("simulcast", simulcast)


def _number(name: str, low: int, high: int) -> Callable[[_Reader, str], None]:
    def read(reader: _Reader, argument: str) -> None:
        reader.current.set_once(name, _integer(argument.strip(), low, high))

    return read


def _sctpmap(reader: _Reader, argument: str) -> None:
    """As the drafts before RFC 8841 had it: a port, the application, the number of streams."""
    parts = argument.split()
    if len(parts) < 2:
        raise ValueError("the sctpmap is malformed")
    if parts[1] == "webrtc-datachannel":
        reader.current.set_once("sctpmap", _integer(parts[0], 1, 65535))


_ATTRIBUTES: dict[str, Callable[[_Reader, str], None]] = {
    **{direction: _direction(direction) for direction in DIRECTIONS},
    **{
        name: _flag(name)
        for name in (
            "ice-lite",
            "extmap-allow-mixed",
            "rtcp-mux",
            "rtcp-rsize",
            "bundle-only",
            "end-of-candidates",
            "crypto",
        )
    },
    "group": _group,
    "mid": _mid,
    "ice-ufrag": _pattern("ice-ufrag", _ICE_CHARS),
    "ice-pwd": _pattern("ice-pwd", _ICE_CHARS, min_chars=22),
    "setup": _setup,
    "fingerprint": _fingerprint,
    "candidate": _candidate,
    "rtpmap": _rtpmap,
    "fmtp": _fmtp,
    "rtcp-fb": _rtcp_fb,
    "extmap": _extmap,
    "msid": _msid,
    "ssrc": _ssrc,
    "ssrc-group": _ssrc_group,
    "rid": _rid,
    "simulcast": _simulcast,
    "sctp-port": _number("sctp-port", 1, 65535),
    "sctpmap": _sctpmap,
    "max-message-size": _number("max-message-size", 0, 2**64 - 1),
}
"""What is read, by attribute; any other is passed over."""
