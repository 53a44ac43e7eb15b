"""
What the protocol's tests share: the offers in tests/data, a transport of the relay's, codecs as browsers have them.
"""

import itertools
from collections.abc import Callable
from pathlib import Path

from telerelay.protocol.negotiation import SubscribedTrack, SubscribeNegotiation
from telerelay.protocol.parameters import Candidate, Codec, Fingerprint, IceParameters, LocalTransport

OFFERS = Path(__file__).resolve().parent.parent / "data" / "offers"
NAMES = sorted(path.stem for path in OFFERS.glob("*.sdp"))
PUBLISHING = [name for name in NAMES if "recvonly" not in name]
RECEIVING = [name for name in NAMES if "recvonly" in name]

VIDEO_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", "transport-cc"})
OPUS = Codec("opus", 48000, 2, (("minptime", "10"), ("useinbandfec", "1")), frozenset({"transport-cc"}))
STEREO = Codec("opus", 48000, 2, (("minptime", "10"), ("sprop-stereo", "1")), frozenset({"transport-cc"}))
RED = Codec("red", 48000, 2, (("111/111", ""),))
VP8 = Codec("VP8", 90000, 1, (), VIDEO_FEEDBACK)
VP9 = Codec("VP9", 90000, 1, (("profile-id", "0"),), VIDEO_FEEDBACK)


def h264(profile_level_id: str = "42e01f", mode: str = "1") -> Codec:
    parameters = (
        ("level-asymmetry-allowed", "1"),
        ("packetization-mode", mode),
        ("profile-level-id", profile_level_id),
    )
    return Codec("H264", 90000, 1, parameters, VIDEO_FEEDBACK)


H264 = h264()


def offer(name: str) -> str:
    """The text of a file in tests/data/offers."""
    return (OFFERS / f"{name}.sdp").read_bytes().decode()


def local(ufrag: str = "00abcdefghijklmn") -> LocalTransport:
    """The relay's end, with an IPv6 and an IPv4 candidate."""
    return LocalTransport(
        ice=IceParameters(ufrag, "p" * 32, is_lite=True),
        fingerprint=Fingerprint("sha-256", bytes(range(32))),
        candidates=(
            Candidate("1", 1, "udp", 2130706431, "::1", 41998, "host"),
            Candidate("2", 1, "udp", 2130706175, "127.0.0.1", 41999, "host"),
        ),
    )


def counter(start: int = 1000) -> Callable[[], int]:
    """Numbers in place of random SSRCs."""
    numbers = itertools.count(start)
    return lambda: next(numbers)


def track(key: str, kind: str, *codecs: Codec) -> SubscribedTrack:
    chosen = codecs or ((OPUS,) if kind == "audio" else (VP8,))
    return SubscribedTrack(
        key, "audio" if kind == "audio" else "video", ("p1", key), chosen, "cname", extensions=frozenset({3, 6, 7, 9})
    )


def answer_to(offer_sdp: str, edit: Callable[[str], str] = lambda text: text) -> str:
    """What a peer that takes everything would answer."""
    text = offer_sdp.replace("a=sendonly", "a=recvonly").replace("a=setup:actpass", "a=setup:active")
    text = text.replace("a=ice-lite\r\n", "")
    lines = [line for line in text.split("\r\n") if not line.startswith(("a=ssrc", "a=msid:", "a=candidate"))]
    text = "\r\n".join(lines).replace("a=ice-ufrag:00abcdefghijklmn", "a=ice-ufrag:peer")
    return edit(text)


def subscription() -> SubscribeNegotiation:
    """A negotiation that is about to make `relay_offer`: sound and a picture."""
    negotiation = SubscribeNegotiation("relay")
    negotiation.set_tracks([track("a", "audio"), track("v", "video")])
    return negotiation


def relay_offer() -> str:
    """The offer that the answers in tests/data/offers/clients are to."""
    return subscription().make_offer(local(), counter()).sdp
