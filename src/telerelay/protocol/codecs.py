"""
Which codecs and header extensions a section has, which of them the relay takes, and how it writes them.

Pure. RFC 3264 for the choice, RFC 4588 for RTX, RFC 8285 for header extensions.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypedDict

from telerelay.protocol.parameters import (
    ABS_CAPTURE_TIME,
    AUDIO_LEVEL,
    DEPENDENCY_DESCRIPTOR,
    EXTENSION_URIS,
    EXTENSIONS,
    H264_PROFILES,
    MID,
    PLAYOUT_DELAY,
    REPAIRED_RID,
    RID,
    TWCC,
    VIDEO_LAYERS_ALLOCATION,
    VIDEO_ORIENTATION,
    Codec,
    NegotiatedCodec,
    h264_profile,
)
from telerelay.protocol.session import ExtMap, Media, Parameters, RtpMap

MAX_CODECS = 16  # of one section, RTX not counted: what the data plane holds

# What was decided on a list of codecs, and how it is written: people who join have the same few browsers. A section
# with as many codecs as there can be comes to some 50 KiB.
MAX_KEPT = 32

FEEDBACK: dict[str, tuple[str, ...]] = {
    "audio": ("transport-cc", "nack"),
    "video": ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"),
}
"""What the relay answers of a publisher's rtcp-fb, by kind, and all that is written of it, in this order."""

_ESTIMATE_FEEDBACK = frozenset({"transport-cc", "goog-remb"})

SENT_FEEDBACK: dict[str, frozenset[str]] = {kind: frozenset(values) for kind, values in FEEDBACK.items()}
"""What a subscriber may send; a REMB counts where its client knows nothing of transport-wide numbers."""

SENT_FEEDBACK_PLAIN: dict[str, frozenset[str]] = {
    kind: values - _ESTIMATE_FEEDBACK for kind, values in SENT_FEEDBACK.items()
}
"""The same where its downlink is not to be estimated."""

RECEIVED_EXTENSIONS = frozenset(
    {
        MID,
        RID,
        REPAIRED_RID,
        AUDIO_LEVEL,
        TWCC,
        ABS_CAPTURE_TIME,
        VIDEO_ORIENTATION,
        PLAYOUT_DELAY,
        DEPENDENCY_DESCRIPTOR,
        VIDEO_LAYERS_ALLOCATION,
    }
)
"""Header extensions the relay takes from a publisher."""

SENT_EXTENSIONS = frozenset(
    {MID, TWCC, AUDIO_LEVEL, ABS_CAPTURE_TIME, VIDEO_ORIENTATION, PLAYOUT_DELAY, DEPENDENCY_DESCRIPTOR}
)
"""Header extensions the relay sends: its own MID and transport-wide numbers, and what is passed on."""

_CLOCK_RATES = {"opus": (48000, 2), "red": (48000, 2)}
_VIDEO_CLOCK = (90000, 1)


RED = Codec("red", 48000, 2)
"""Redundant sound (RFC 2198) around stereo or mono Opus; the payload types of its blocks come with the offer."""


def offered_codecs(media: Media) -> tuple[NegotiatedCodec, ...]:
    """All codecs of a section that have an rtpmap, in its order, each with its RTX payload type if there is one."""
    listed = _listed(media)
    return _described(media, [each for each in listed if each.name.lower() != "rtx"], listed)


def _listed(media: Media) -> list[RtpMap]:
    rtpmaps = {str(rtpmap.pt): rtpmap for rtpmap in media.rtpmaps}
    return [rtpmaps[pt] for pt in media.formats if pt in rtpmaps]


def _described(
    media: Media, chosen: Iterable[RtpMap], listed: Iterable[RtpMap], understood: Collection[str] | None = None
) -> tuple[NegotiatedCodec, ...]:
    """Those chosen of the codecs listed, with what the section says of each; of the feedback what is `understood`."""
    fmtps = dict(media.fmtps)
    feedback: dict[int | None, set[str]] = {}
    for pt, value in media.feedback:
        if understood is None or value in understood:
            feedback.setdefault(pt, set()).add(value)
    for_all = feedback.get(None, set())
    rtx: dict[int, int] = {}
    for rtpmap in listed:
        if rtpmap.name.lower() == "rtx":
            apt = dict(fmtps.get(rtpmap.pt, ())).get("apt", "")
            if apt.isascii() and apt.isdigit() and len(apt) <= 3:
                rtx.setdefault(int(apt), rtpmap.pt)
    return tuple(
        NegotiatedCodec(
            Codec(
                name=rtpmap.name,
                clock_rate=rtpmap.clock_rate,
                channels=rtpmap.channels,
                parameters=fmtps.get(rtpmap.pt, ()),
                feedback=frozenset(feedback.get(rtpmap.pt, for_all) | for_all),
            ),
            rtpmap.pt,
            rtx.get(rtpmap.pt),
        )
        for rtpmap in chosen
    )


def select_codecs(
    media: Media, names: Collection[str], feedback: Mapping[str, Collection[str]] = FEEDBACK
) -> tuple[NegotiatedCodec, ...]:
    """
    What the relay takes of a section, in the peer's order, with the feedback both understand.

    RED (RFC 2198) comes first where `names` has it before opus: whoever sends takes the first. It is taken only around
    codecs that are taken. H.264 in packetization-mode 0 is taken only from whoever has nothing better; its constrained
    baseline comes before its other profiles.
    """
    wanted = [name.lower() for name in names]
    fmtps = dict(media.fmtps)
    listed = _listed(media)
    # Judged before anything is made of them: an offer may list hundreds.
    sound = [each for each in listed if each.name.lower() in wanted and _is_sound(each, fmtps.get(each.pt, ()))]
    h264 = [each for each in sound if each.name.lower() == "h264"]
    single = {each.pt for each in h264 if dict(fmtps.get(each.pt, ())).get("packetization-mode", "0") != "1"}
    if len(single) < len(h264):
        sound = [each for each in sound if each.pt not in single]
    if not any(each.name.lower() == "red" for each in sound):
        sound = sound[:MAX_CODECS]
    chosen = list(_described(media, sound, listed, feedback[media.kind]))
    chosen = [each for each in chosen if not each.codec.is_red or carried_by(each.codec, chosen)]
    if [name for name in wanted if name in ("red", "opus")][:1] == ["red"]:
        chosen.sort(key=lambda each: not each.codec.is_red)
    return tuple(_common_profile_first(chosen)[:MAX_CODECS])


def _common_profile_first(chosen: list[NegotiatedCodec]) -> list[NegotiatedCodec]:
    """
    H.264 in the profile that every browser has (RFC 7742, 5) before the others, and where it stood among other codecs.
    A publisher sends the first: an iPhone would send High, of which others may see nothing.
    """
    places = [place for place, each in enumerate(chosen) if each.codec.name.lower() == "h264"]
    ordered = sorted((chosen[place] for place in places), key=lambda each: not _is_common(each.codec))
    for place, each in zip(places, ordered, strict=True):
        chosen[place] = each
    return chosen


def _is_common(codec: Codec) -> bool:
    return h264_profile(codec.parameter("profile-level-id")) == "constrained-baseline"


def select_each(
    sections: Iterable[Media],
    names: Callable[[str], Collection[str]],
    feedback: Mapping[str, Collection[str]] = FEEDBACK,
) -> dict[str, tuple[NegotiatedCodec, ...]]:
    """
    By MID; `names` are those of a kind. Most sections of a browser's say the same, which is judged once, and so does
    everybody's browser.
    """
    selected = {}
    for media in sections:
        understood = frozenset(feedback[media.kind])
        said = (media.kind, media.formats, media.rtpmaps, media.fmtps, media.feedback)
        selected[media.mid] = _selected(*said, tuple(names(media.kind)), understood)
    return selected


@lru_cache(maxsize=MAX_KEPT)
def _selected(
    kind: str,
    formats: tuple[str, ...],
    rtpmaps: tuple[RtpMap, ...],
    fmtps: tuple[tuple[int, Parameters], ...],
    feedback: tuple[tuple[int | None, str], ...],
    names: tuple[str, ...],
    understood: frozenset[str],
) -> tuple[NegotiatedCodec, ...]:
    """Of codecs alone: nothing else of a section is asked."""
    media = Media(kind, 9, "", formats, rtpmaps=rtpmaps, fmtps=fmtps, feedback=feedback)
    return select_codecs(media, names, {kind: understood})


def carried_by(red: Codec, among: Iterable[NegotiatedCodec]) -> tuple[NegotiatedCodec, ...]:
    """The codecs that a RED codec's blocks are of; () where one is RED itself, or not among these."""
    by_pt = {each.pt: each for each in among if not each.codec.is_red}
    pts = red.red_pts
    return tuple(by_pt[pt] for pt in pts) if pts and all(pt in by_pt for pt in pts) else ()


_VARIANTS: dict[str, tuple[tuple[str, str, frozenset[str]], ...]] = {
    "h264": (("packetization-mode", "0", frozenset("01")),),
    "vp9": (("profile-id", "0", frozenset("0123")),),
    "av1": (("profile", "0", frozenset("012")),),
    "h265": (
        ("profile-space", "0", frozenset("0")),
        ("profile-id", "1", frozenset("12")),
        ("tier-flag", "0", frozenset("01")),
    ),
}


def _is_sound(rtpmap: RtpMap, parameters: Parameters) -> bool:
    """
    Whether the rates are the codec's and the variant is one there is: the payload types of a subscriber, to whom each
    variant is a codec of its own, must suffice for all of them.
    """
    name = rtpmap.name.lower()
    if (rtpmap.clock_rate, rtpmap.channels) != _CLOCK_RATES.get(name, _VIDEO_CLOCK):
        return False
    variants = _VARIANTS.get(name)
    if variants is None:
        return True
    said = dict(parameters)
    if name == "h264" and h264_profile(said.get("profile-level-id", "")) not in H264_PROFILES:
        return False
    if name == "h265" and said.get("tx-mode", "SRST").upper() != "SRST":
        return False
    return all(said.get(key, default) in values for key, default, values in variants)


_OPUS: Parameters = (("minptime", "10"), ("useinbandfec", "1"))


def answer_parameters(codec: Codec) -> Parameters:
    """
    The fmtp the relay answers a publisher. For opus it states what is best received (RFC 7587, 7): in-band repair, and,
    from whoever offers it, stereo (a stethoscope), silence left out, a constant rate. For all else it is the offer's,
    H.264's level-asymmetry-allowed and the payload types of RED's blocks included.
    """
    if codec.name.lower() != "opus":
        return codec.parameters
    stereo = (("stereo", "1"),) if codec.is_stereo else ()
    return (*_OPUS, *stereo, *((key, "1") for key in ("usedtx", "cbr") if codec.parameter(key) == "1"))


def instrument_parameters(codec: Codec) -> Parameters:
    """The same of an instrument's sound: silence is part of what it measures, and is sent."""
    return tuple(each for each in answer_parameters(codec) if each[0] != "usedtx")


def sent_parameters(codec: Codec) -> Parameters:
    """
    The fmtp the relay writes of what it sends to a subscriber. In stereo it says so twice: sprop-stereo is the word of
    the RFC, stereo is what many players look for.
    """
    if codec.name.lower() != "opus":
        return codec.parameters
    return (*_OPUS, ("stereo", "1"), ("sprop-stereo", "1")) if codec.is_stereo else _OPUS


def with_parameters(
    codecs: Iterable[NegotiatedCodec], write: Callable[[Codec], Parameters]
) -> tuple[NegotiatedCodec, ...]:
    """The same with the fmtp that `write` makes of each: answer_parameters, or sent_parameters."""
    written = []
    for each in codecs:
        parameters = write(each.codec)
        is_same = parameters == each.codec.parameters  # of all but opus
        written.append(each if is_same else replace(each, codec=replace(each.codec, parameters=parameters)))
    return tuple(written)


class CodecLines(TypedDict):
    """The members of a Media that say which codecs it has."""

    formats: tuple[str, ...]
    rtpmaps: tuple[RtpMap, ...]
    fmtps: tuple[tuple[int, Parameters], ...]
    feedback: tuple[tuple[int | None, str], ...]


def codec_lines(codecs: Iterable[NegotiatedCodec], kind: str) -> CodecLines:
    """How codecs are written, each followed by its RTX."""
    formats, rtpmaps, fmtps, feedback = _codec_lines(tuple(codecs), kind)
    return CodecLines(formats=formats, rtpmaps=rtpmaps, fmtps=fmtps, feedback=feedback)


@lru_cache(maxsize=MAX_KEPT)
def _codec_lines(
    codecs: tuple[NegotiatedCodec, ...], kind: str
) -> tuple[
    tuple[str, ...],
    tuple[RtpMap, ...],
    tuple[tuple[int, Parameters], ...],
    tuple[tuple[int | None, str], ...],
]:
    rtpmaps: list[RtpMap] = []
    fmtps: list[tuple[int, Parameters]] = []
    feedback: list[tuple[int | None, str]] = []
    for each in codecs:
        codec = each.codec
        rtpmaps.append(RtpMap(each.pt, codec.name, codec.clock_rate, codec.channels))
        feedback.extend((each.pt, value) for value in FEEDBACK[kind] if value in codec.feedback)
        if codec.parameters:
            fmtps.append((each.pt, codec.parameters))
        if each.rtx_pt is not None:
            rtpmaps.append(RtpMap(each.rtx_pt, "rtx", codec.clock_rate))
            fmtps.append((each.rtx_pt, (("apt", str(each.pt)),)))
    return tuple(str(rtpmap.pt) for rtpmap in rtpmaps), tuple(rtpmaps), tuple(fmtps), tuple(feedback)


_MIRRORED = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly"}
# Id 15 means "stop" in one-byte headers (RFC 8285, 4.2); past 255 an id is only a wish.
_USABLE_IDS = frozenset({*range(1, 15), *range(16, 256)})


def sent_extensions(media: Media, codecs: Iterable[NegotiatedCodec], *, is_mixed: bool) -> dict[int, int]:
    """
    What is written to a peer that receives. A dependency descriptor may be over 16 bytes, for which one packet among
    others takes the two-byte form: only where the peer allows both forms in one stream (RFC 8285, 4.1.2).
    Transport-wide numbers only where feedback of them was negotiated for a codec of the section; browsers say so of
    Opus and not of the RED around it.
    """
    wanted = SENT_EXTENSIONS if is_mixed else SENT_EXTENSIONS - {DEPENDENCY_DESCRIPTOR}
    if not any("transport-cc" in each.codec.feedback for each in codecs):
        wanted -= {TWCC}
    return select_extensions(media, wanted, ("sendrecv", "recvonly"))


def select_extensions(media: Media, wanted: Collection[int], peer_directions: Sequence[str]) -> dict[int, int]:
    """tr_ext to id, of what is wanted and the peer offers in one of those directions; a URI's first line counts."""
    chosen: dict[int, int] = {}
    for extmap in media.extmaps:
        extension = EXTENSIONS.get(extmap.uri)
        if (
            extension is not None
            and extension in wanted
            and extmap.direction in peer_directions
            and extmap.id in _USABLE_IDS
        ):
            chosen.setdefault(extension, extmap.id)
    return chosen


def answered_extmaps(media: Media, chosen: dict[int, int]) -> tuple[ExtMap, ...]:
    """The offer's lines for the chosen extensions, their directions turned round."""
    ids = {extension_id: extension for extension, extension_id in chosen.items()}
    return tuple(
        ExtMap(extmap.id, extmap.uri, _MIRRORED[extmap.direction]) for extmap in media.extmaps if extmap.id in ids
    )


def offered_extmaps(ids: dict[int, int]) -> tuple[ExtMap, ...]:
    return tuple(ExtMap(extension_id, EXTENSION_URIS[extension]) for extension, extension_id in ids.items())
