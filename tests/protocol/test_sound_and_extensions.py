"""
RED, stereo, NACK for sound, and the extensions that need both sides: from a publisher's real offer to what a subscriber
is offered, by WebSocket and by WHEP.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from negotiating import OPUS, RED, STEREO, VP8, answer_to, counter, local, offer, track

from telerelay.protocol import sdp
from telerelay.protocol.negotiation import (
    CANNOT,
    CodecPolicy,
    PublishNegotiation,
    PublishResult,
    SubscribedTrack,
    SubscribeNegotiation,
    SubscribeResult,
    WhepNegotiation,
    bind_table,
    red_type,
    with_red,
)
from telerelay.protocol.parameters import DEPENDENCY_DESCRIPTOR, Codec, NegotiatedCodec, ReceiveParameters
from telerelay.protocol.session import Media

CHROMIUM, SIMULCAST, RECEIVING = "chromium_audio_video", "chromium_simulcast", "chromium_recvonly_data"
RED_FIRST = CodecPolicy(audio=("red", "opus"))
RED_TOO = CodecPolicy(audio=("opus", "red"))

Edit = Callable[[str], str]


def publish(edit: Edit = lambda text: text, policy: CodecPolicy | None = None) -> PublishResult:
    return PublishNegotiation(policy or CodecPolicy()).on_offer(edit(offer(CHROMIUM)), local())


def sound(result: PublishResult) -> ReceiveParameters:
    return next(each for each in result.receivers if each.kind == "audio")


def section(text: str, kind: str = "audio") -> Media:
    return next(media for media in sdp.parse(text).media if media.kind == kind)


def names(codecs: tuple[NegotiatedCodec, ...]) -> list[tuple[str, int]]:
    return [(each.codec.name, each.pt) for each in codecs]


def subscribe(*codecs: Codec, edit: Edit = lambda text: text) -> tuple[Media, SubscribeResult]:
    """What is offered of a track of these codecs, and what comes of the answer."""
    negotiation = SubscribeNegotiation("cn")
    negotiation.set_tracks([track("a", "audio", *codecs)])
    made = negotiation.make_offer(local(), counter())
    return section(made.sdp), negotiation.on_answer(made.offer_id, answer_to(made.sdp, edit))


def without_red(text: str) -> str:
    lines = [line for line in text.split("\r\n") if "red/48000" not in line and not re.match(r"a=fmtp:\d+ \d+/", line)]
    return "\r\n".join(lines).replace("SAVPF 98 96", "SAVPF 96").replace("SAVPF 96 98", "SAVPF 96")


# -------------------------------------------------------------------- RED


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (CodecPolicy(), [("opus", 111)]),
        (RED_TOO, [("opus", 111), ("red", 63)]),
        (RED_FIRST, [("red", 63), ("opus", 111)]),
    ],
)
def test_red_is_answered_where_it_is_configured(policy: CodecPolicy, expected: list[tuple[str, int]]) -> None:
    """
    Not by default; before opus, and thus sent, where the operator puts it first. Its fmtp names the blocks' type.
    """
    result = publish(policy=policy)
    media = section(result.answer)

    assert expected == names(sound(result).codecs)
    assert [str(pt) for _, pt in expected] == list(media.formats)
    if policy is not CodecPolicy() and len(expected) == 2:
        assert (("111/111", ""),) == dict(media.fmtps)[63]


@pytest.mark.parametrize("fmtp", ["", "a=fmtp:63 111/63\r\n", "a=fmtp:63 111/9\r\n", "a=fmtp:63 x/y\r\n"])
def test_red_around_what_is_not_taken_is_not_taken(fmtp: str) -> None:
    """
    Without an fmtp, around itself, around G.722: opus alone is answered.
    """
    result = publish(lambda text: text.replace("a=fmtp:63 111/111\r\n", fmtp), RED_FIRST)

    assert [("opus", 111)] == names(sound(result).codecs)


def test_a_developer_may_put_red_first() -> None:
    """
    By setCodecPreferences in the page; the relay keeps the offer's order.
    """
    result = publish(lambda text: text.replace("SAVPF 111 63", "SAVPF 63 111"), RED_TOO)

    assert [("red", 63), ("opus", 111)] == names(sound(result).codecs)


def test_a_subscriber_with_red_is_sent_red() -> None:
    """
    Offered around the payload type that opus has on that connection; the bind table has both.
    """
    media, result = subscribe(RED, OPUS)
    (send,) = result.senders

    assert (("98", "96"), (("96/96", ""),)) == (media.formats, dict(media.fmtps)[98])
    assert ([98, 96], [CANNOT, CANNOT]) == bind_table(sound(publish(policy=RED_FIRST)), send)


def test_a_subscriber_without_red_is_sent_what_is_in_it() -> None:
    """
    Both of the publisher's payload types are opus to it: nobody is deaf, and the publisher need not change.
    """
    _, result = subscribe(RED, OPUS, edit=without_red)
    (send,) = result.senders

    assert ["opus"] == [each.codec.name for each in send.codecs]
    assert ([96, 96], [CANNOT, CANNOT]) == bind_table(sound(publish(policy=RED_FIRST)), send)


def test_an_answer_with_red_alone_is_a_refusal() -> None:
    """
    There is no codec its blocks could be of.
    """
    _, result = subscribe(
        RED, OPUS, edit=lambda text: text.replace("SAVPF 98 96", "SAVPF 98").replace("a=rtpmap:96 opus/48000/2\r\n", "")
    )

    assert ((), ("a",)) == (result.senders, result.refused)


def test_red_of_the_relays_own_is_offered_behind_opus() -> None:
    """
    Of a publisher of Opus alone a subscriber is offered RED too, after it: who takes it can be sent copies as 98, who
    does not is sent Opus as before. Where there is no Opus, or RED already, nothing is added.
    """
    media, taken = subscribe(*with_red((OPUS,)))
    _, left = subscribe(*with_red((OPUS,)), edit=without_red)
    receive = sound(publish())

    assert (("96", "98"), (("96/96", ""),)) == (media.formats, dict(media.fmtps)[98])
    assert [98, 0] == [red_type(result.senders[0]) for result in (taken, left)]
    assert [([96], [CANNOT])] * 2 == [bind_table(receive, result.senders[0]) for result in (taken, left)]
    assert (RED, OPUS) == with_red((RED, OPUS))
    assert (VP8,) == with_red((VP8,))


@pytest.mark.parametrize(("policy", "expected"), [(CodecPolicy(), [111, 111]), (RED_FIRST, [63, 111])])
def test_whep_takes_red_as_it_is_configured(policy: CodecPolicy, expected: list[int]) -> None:
    """
    Whoever was answered opus alone is sent the opus in it.
    """
    result = WhepNegotiation(policy).on_offer(offer(RECEIVING), local(), counter())
    send = next(each for each in result.sections if each.kind == "audio")

    assert expected == bind_table(sound(publish(policy=RED_FIRST)), send)[0]


# -------------------------------------------------------------------- stereo, silence, resends


@pytest.mark.parametrize(
    ("fmtp", "answered"),
    [
        ("minptime=10;useinbandfec=1", {}),
        ("minptime=10;stereo=1", {"stereo"}),
        ("minptime=10;sprop-stereo=1", {"stereo"}),
        ("stereo=1;sprop-stereo=1;usedtx=1;cbr=1", {"stereo", "usedtx", "cbr"}),
        ("stereo=0;sprop-stereo=0;usedtx=0;cbr=0", {}),
    ],
)
def test_what_a_publisher_says_of_its_opus_is_answered(fmtp: str, answered: set[str]) -> None:
    """
    Stereo, discontinuous transmission and a constant rate, each only where it was offered (RFC 7587, 7).
    """
    result = publish(lambda text: re.sub(r"a=fmtp:111 .*?\r\n", f"a=fmtp:111 {fmtp}\r\n", text))
    parameters = dict(dict(section(result.answer).fmtps)[111])

    assert {"minptime": "10", "useinbandfec": "1", **dict.fromkeys(answered, "1")} == parameters


@pytest.mark.parametrize("policy", [RED_FIRST, RED_TOO])
def test_an_instrument_is_answered_without_silence_left_out_and_without_red(policy: CodecPolicy) -> None:
    """
    Whatever is offered, and whatever the operator prefers for voices; stereo and a constant rate stay.
    """
    text = re.sub(r"a=fmtp:111 .*?\r\n", "a=fmtp:111 stereo=1;usedtx=1;cbr=1\r\n", offer(CHROMIUM))
    mid = section(text).mid
    voice = PublishNegotiation(policy).on_offer(text, local())
    instrument = PublishNegotiation(policy).on_offer(text, local(), instruments=[mid])
    parameters = dict(dict(section(instrument.answer).fmtps)[111])

    assert {"red", "opus"} == {each.name for each in section(voice.answer).rtpmaps}
    assert {"opus"} == {each.name for each in section(instrument.answer).rtpmaps}
    assert ["opus"] == [each.codec.name for each in sound(instrument).codecs]
    assert {"minptime": "10", "useinbandfec": "1", "stereo": "1", "cbr": "1"} == parameters
    assert section(voice.answer, "video") == section(instrument.answer, "video")


def test_stereo_reaches_a_subscriber_and_mono_stays_mono() -> None:
    """
    On one connection they are two payload types: one is one codec with one fmtp (RFC 9143, 9.1).
    """
    negotiation = SubscribeNegotiation("cn")
    negotiation.set_tracks([track("m", "audio", OPUS), track("s", "audio", STEREO), track("n", "audio", OPUS)])
    media = sdp.parse(negotiation.make_offer(local(), counter()).sdp).media

    assert [("96",), ("98",), ("96",)] == [each.formats for each in media]
    assert ["stereo" in dict(each.fmtps[0][1]) for each in media] == [False, True, False]
    assert "1" == dict(media[1].fmtps[0][1])["sprop-stereo"]


def test_red_in_stereo_is_around_opus_in_stereo() -> None:
    """
    Each RED names the opus it carries.
    """
    negotiation = SubscribeNegotiation("cn")
    negotiation.set_tracks([track("m", "audio", RED, OPUS), track("s", "audio", RED, STEREO)])
    media = sdp.parse(negotiation.make_offer(local(), counter()).sdp).media

    assert [("98", "96"), ("102", "100")] == [each.formats for each in media]
    assert [(("96/96", ""),), (("100/100", ""),)] == [
        dict(each.fmtps)[pt] for each, pt in zip(media, (98, 102), strict=True)
    ]


def test_resends_of_sound_are_agreed_on_both_sides() -> None:
    """
    Answered to a publisher that offers them, offered to every subscriber, done where its answer has them.
    """
    asks = publish(
        lambda text: text.replace("a=rtcp-fb:111 transport-cc", "a=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack")
    )
    media, taken = subscribe(OPUS)
    _, refused = subscribe(OPUS, edit=lambda text: text.replace("a=rtcp-fb:96 nack\r\n", ""))

    assert "nack" in sound(asks).codecs[0].codec.feedback
    assert "nack" not in sound(publish()).codecs[0].codec.feedback
    assert ((96, "transport-cc"), (96, "nack")) == media.feedback
    assert [{"nack", "transport-cc"}, {"transport-cc"}] == [
        set(each.senders[0].codecs[0].codec.feedback) for each in (taken, refused)
    ]


# -------------------------------------------------------------------- extensions


@pytest.mark.parametrize(("is_mixed", "is_sent"), [(True, True), (False, False)])
def test_the_descriptor_is_sent_where_both_block_forms_may_be_mixed(is_mixed: bool, is_sent: bool) -> None:
    """
    A structure is over 16 bytes, so a keyframe's packet has the two-byte form among others of one (RFC 8285, 4.1.2).
    """
    negotiation = SubscribeNegotiation("cn")
    negotiation.set_tracks(
        [SubscribedTrack("v", "video", ("p", "v"), (VP8,), "c", extensions=frozenset({DEPENDENCY_DESCRIPTOR}))]
    )
    made = negotiation.make_offer(local(), counter())
    answer = answer_to(made.sdp, lambda text: text if is_mixed else text.replace("a=extmap-allow-mixed\r\n", ""))
    (send,) = negotiation.on_answer(made.offer_id, answer).senders

    assert is_sent == (DEPENDENCY_DESCRIPTOR in send.extensions)


@pytest.mark.parametrize("is_mixed", [True, False])
def test_whep_takes_the_descriptor_likewise(is_mixed: bool) -> None:
    """
    Answered and sent, or neither.
    """
    uri = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    text = offer(RECEIVING)
    if "dependency-descriptor" not in text:
        head, _, rest = text.partition("m=video")
        text = f"{head}m=video" + rest.replace("a=extmap:", f"a=extmap:12 {uri}\r\na=extmap:", 1)
    if not is_mixed:
        text = text.replace("a=extmap-allow-mixed\r\n", "")
    result = WhepNegotiation(CodecPolicy()).on_offer(text, local(), counter())
    send = next(each for each in result.sections if each.kind == "video")

    assert [is_mixed, is_mixed] == [DEPENDENCY_DESCRIPTOR in send.extensions, uri in result.answer]


def test_what_speaks_of_the_publishers_line_is_offered_to_nobody() -> None:
    """
    RIDs, send times and layers allocation end at the relay; transport-wide numbers are its own.
    """
    (video,) = (
        each
        for each in PublishNegotiation(CodecPolicy()).on_offer(offer(SIMULCAST), local()).receivers
        if each.kind == "video"
    )
    negotiation = SubscribeNegotiation("cn")
    codecs = tuple(each.codec for each in video.codecs)
    negotiation.set_tracks(
        [SubscribedTrack("v", "video", ("p", "v"), codecs, "c", extensions=frozenset(video.extensions))]
    )
    made = negotiation.make_offer(local(), counter()).sdp

    assert [] == re.findall(r"stream-id|abs-send-time|layers-allocation", made)
    assert 6 == len(section(made, "video").extmaps) + ("abs-capture-time" not in made)


# -------------------------------------------------------------------- H.265


H265 = "a=rtpmap:49 H265/90000\r\na=fmtp:49 {}\r\na=rtcp-fb:49 nack pli\r\n"


@pytest.mark.parametrize(
    ("fmtp", "is_taken"),
    [
        ("level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST", True),
        ("level-id=180;profile-id=2;tier-flag=1;tx-mode=srst", True),
        ("profile-id=1;tx-mode=MRST", False),
        ("profile-id=4", False),
        ("profile-space=1", False),
        ("tier-flag=2", False),
    ],
)
def test_h265_is_taken_by_profile_and_tier(fmtp: str, is_taken: bool) -> None:
    """
    Main and Main 10 of either tier, one stream; its fmtp is answered as it came (RFC 7798, 7.2.2).
    """

    def edit(text: str) -> str:
        text = re.sub(r"(m=video \d+ UDP/TLS/RTP/SAVPF )", r"\g<1>49 ", text)
        head, line, rest = text.partition("a=rtpmap:96 ")
        return head + H265.format(fmtp) + line + rest

    answer = section(publish(edit).answer, "video")

    assert is_taken == ("49" in answer.formats)
    if is_taken:
        assert sorted(fmtp.split(";")) == sorted(f"{key}={value}" for key, value in dict(answer.fmtps)[49])
