"""
Values that negotiation yields and the data plane takes: codecs, encodings, ICE and DTLS parameters.

Named as in the W3C's WebRTC and ORTC texts. Values only: nothing here parses a whole session or decides.
"""

import ipaddress
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["audio", "video"]

MID = 0
RID = 1
REPAIRED_RID = 2
AUDIO_LEVEL = 3
TWCC = 4
ABS_SEND_TIME = 5
ABS_CAPTURE_TIME = 6
VIDEO_ORIENTATION = 7
PLAYOUT_DELAY = 8
DEPENDENCY_DESCRIPTOR = 9
VIDEO_LAYERS_ALLOCATION = 10

EXTENSIONS: dict[str, int] = {
    "urn:ietf:params:rtp-hdrext:sdes:mid": MID,
    "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id": RID,
    "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id": REPAIRED_RID,
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level": AUDIO_LEVEL,
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01": TWCC,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time": ABS_SEND_TIME,
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time": ABS_CAPTURE_TIME,
    "urn:3gpp:video-orientation": VIDEO_ORIENTATION,
    "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay": PLAYOUT_DELAY,
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension": DEPENDENCY_DESCRIPTOR,
    "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00": VIDEO_LAYERS_ALLOCATION,
}
"""URI of each header extension the relay knows, as browsers spell it, to its tr_ext index."""

EXTENSION_URIS: dict[int, str] = {index: uri for uri, index in EXTENSIONS.items()}
"""The same, the other way round."""


@dataclass(frozen=True, slots=True)
class Codec:
    """
    One payload format. `clock_rate` in Hz; `channels` is 1 for video; `parameters` are the fmtp pairs, keys in lower
    case, in the order they came; `feedback` are rtcp-fb values ("nack", "nack pli", "ccm fir", "transport-cc").
    """

    name: str
    clock_rate: int
    channels: int = 1
    parameters: tuple[tuple[str, str], ...] = ()
    feedback: frozenset[str] = frozenset()

    def parameter(self, key: str, default: str = "") -> str:
        """The value of one fmtp parameter."""
        for name, value in self.parameters:
            if name == key:
                return value
        return default

    @property
    def is_red(self) -> bool:
        return self.name.lower() == "red"

    @property
    def red_pts(self) -> tuple[int, ...]:
        """The payload types of a RED codec's blocks, from its fmtp "111/111" (RFC 2198, 5); () where it has none."""
        for key, value in self.parameters:
            pts = key.split("/")
            if not value and all(pt.isascii() and pt.isdigit() and len(pt) <= 3 for pt in pts):
                return tuple(int(pt) for pt in pts)
        return ()

    @property
    def is_stereo(self) -> bool:
        """Whether an Opus publisher sends, or would rather have, two channels (RFC 7587, 6.1)."""
        return "1" in (self.parameter("stereo"), self.parameter("sprop-stereo"))

    def matches(self, other: "Codec") -> bool:
        """
        Whether a packet of one can be decoded by whoever negotiated the other.

        Names are case-insensitive (RFC 4855). H.264 must agree in packetization-mode and profile (RFC 6184, 8.2.2), VP9
        in profile-id (RFC 9628, 6), AV1 in profile, H.265 in profile-space, profile-id, tier-flag and tx-mode (RFC
        7798, 7.2.2), in levels neither: what a publisher declares is what it could do. Opus always matches (RFC 7587,
        7.1), and so does RED, whose payload types are rewritten.
        """
        if self.name.lower() != other.name.lower() or self.clock_rate != other.clock_rate:
            return False
        match self.name.lower():
            case "opus":
                return True
            case "h264":
                return _h264_variant(self) == _h264_variant(other)
            case "vp9":
                return self.parameter("profile-id", "0") == other.parameter("profile-id", "0")
            case "av1":
                return self.parameter("profile", "0") == other.parameter("profile", "0")
            case "h265":
                return _h265_variant(self) == _h265_variant(other)
            case _:
                return self.channels == other.channels


# RFC 6184, table 5: profile_idc, and which bits of profile-iop must be set (mask, value), to the sub-profile's name.
_H264_PROFILES: tuple[tuple[int, int, int, str], ...] = (
    (0x42, 0x4F, 0x40, "constrained-baseline"),
    (0x4D, 0x8F, 0x80, "constrained-baseline"),
    (0x58, 0xCF, 0xC0, "constrained-baseline"),
    (0x42, 0x4F, 0x00, "baseline"),
    (0x58, 0xCF, 0x80, "baseline"),
    (0x4D, 0xAF, 0x00, "main"),
    (0x64, 0xFF, 0x00, "high"),
    (0x64, 0xFF, 0x0C, "constrained-high"),
    (0xF4, 0xFF, 0x00, "high-444-predictive"),
)
H264_PROFILES = frozenset(name for _, _, _, name in _H264_PROFILES)
"""The names `h264_profile` gives to those it knows."""

# What every browser takes an absent profile-level-id for, RFC 6184's Baseline level 1 notwithstanding.
_H264_DEFAULT = "42e01f"


def h264_profile(profile_level_id: str) -> str:
    """The name of the profile a profile-level-id stands for (RFC 6184, 8.1); an unknown one's first four digits."""
    try:
        value = int(profile_level_id or _H264_DEFAULT, 16)
    except ValueError:
        return profile_level_id.lower()
    idc, iop = value >> 16, (value >> 8) & 0xFF
    for known_idc, mask, bits, name in _H264_PROFILES:
        if idc == known_idc and iop & mask == bits:
            return name
    return f"{value >> 8:04x}"


def _h264_variant(codec: Codec) -> tuple[str, str]:
    return codec.parameter("packetization-mode", "0"), h264_profile(codec.parameter("profile-level-id"))


def _h265_variant(codec: Codec) -> tuple[str, ...]:
    defaults = (("profile-space", "0"), ("profile-id", "1"), ("tier-flag", "0"), ("tx-mode", "SRST"))
    return tuple(codec.parameter(key, default).upper() for key, default in defaults)


@dataclass(frozen=True, slots=True)
class NegotiatedCodec:
    """A codec, its payload type and that of its resends (RFC 4588), None where none was negotiated."""

    codec: Codec
    pt: int
    rtx_pt: int | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """One simulcast encoding: "" or 0 where the offer does not say."""

    rid: str = ""
    ssrc: int = 0
    rtx_ssrc: int = 0


@dataclass(frozen=True, slots=True)
class IceParameters:
    """ICE credentials (RFC 8839, 5.4)."""

    ufrag: str
    pwd: str
    is_lite: bool = False


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of a certificate (RFC 8122, 5): the hash function's name in lower case, and the raw hash."""

    algorithm: str
    value: bytes

    def to_sdp(self) -> str:
        """`sha-256 AB:CD:…`."""
        return f"{self.algorithm} {':'.join(f'{byte:02X}' for byte in self.value)}"


@dataclass(frozen=True, slots=True)
class DtlsParameters:
    """Fingerprints the peer's certificate may have, and its a=setup (RFC 8842, 5.3)."""

    fingerprints: tuple[Fingerprint, ...]
    setup: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """An ICE candidate (RFC 8839, 5.1). The relay writes its own and never sends to one of the peer's."""

    foundation: str
    component: int
    protocol: str
    priority: int
    address: str
    port: int
    type: str

    def to_sdp(self) -> str:
        """The value of a=candidate."""
        head = f"{self.foundation} {self.component} {self.protocol} {self.priority}"
        return f"{head} {self.address} {self.port} typ {self.type}"

    @property
    def is_ipv6(self) -> bool:
        try:
            return ipaddress.ip_address(self.address).version == 6
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """
    What the relay says of one transport of its own. `name` stays over ICE restarts; "": it never had one, and the ICE
    fragment names it.
    """

    ice: IceParameters
    fingerprint: Fingerprint
    candidates: tuple[Candidate, ...] = ()
    name: str = ""

    def restarted(self, ice: IceParameters) -> "LocalTransport":
        """The same transport after an ICE restart."""
        return replace(self, ice=ice, name=self.name or self.ice.ufrag)


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """What the peer says of its end; `is_dtls_client`: the relay opens the handshake, for the peer is passive."""

    ice: IceParameters
    dtls: DtlsParameters
    is_dtls_client: bool = False


@dataclass(frozen=True, slots=True)
class ReceiveParameters:
    """One section the relay receives on. `encodings` best last; `extensions` maps tr_ext to the negotiated id."""

    mid: str
    kind: Kind
    codecs: tuple[NegotiatedCodec, ...]
    encodings: tuple[Encoding, ...]
    extensions: dict[int, int]
    msid: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SendParameters:
    """
    One section the relay sends on; `codecs` are what the peer accepted, `rtx_ssrc` 0 where it takes no resends.

    `key` names what it carries: a publication's id where the relay offered, the MID in WHEP. `may_pad`: video may bear
    RTP padding (RFC 3550, 5.1), which is legal everywhere and which not every stack can pass on.
    """

    key: str
    mid: str
    kind: Kind
    ssrc: int
    rtx_ssrc: int
    cname: str
    codecs: tuple[NegotiatedCodec, ...]
    extensions: dict[int, int]
    may_pad: bool = False


def as_kind(kind: str) -> Kind:
    """The kind of a section that is known to be audio or video."""
    return "audio" if kind == "audio" else "video"
