"""
A publisher's offers are answered with what the relay takes, or refused by name with everything as it was.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiating import NAMES, PUBLISHING, counter, local, offer

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.data import DataParameters
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, PublishResult, WhepNegotiation
from telerelay.protocol.parameters import (
    ABS_SEND_TIME,
    DEPENDENCY_DESCRIPTOR,
    MID,
    PLAYOUT_DELAY,
    REPAIRED_RID,
    RID,
    TWCC,
    Encoding,
    ReceiveParameters,
)
from telerelay.protocol.session import Media, Simulcast

CHROMIUM = "chromium_audio_video"


def negotiation(*video: str) -> PublishNegotiation:
    return PublishNegotiation(CodecPolicy(video=video or ("VP8", "H264")))


def publish(text: str, *video: str) -> PublishResult:
    return negotiation(*video).on_offer(text, local())


def receiver(result: PublishResult, kind: str) -> ReceiveParameters:
    (found,) = [each for each in result.receivers if each.kind == kind]
    return found


def answered(result: PublishResult) -> tuple[Media, ...]:
    return sdp.parse(result.answer).media


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        do()
    return caught.value.code


@pytest.mark.parametrize("name", PUBLISHING)
def test_every_real_offer_is_answered(name: str) -> None:
    """
    Sound and picture of each client are received, each section answered in its place, over the relay's transport.
    """
    result = publish(offer(name))
    offered = sdp.parse(offer(name))
    answer = sdp.parse(result.answer)

    assert ["audio", "video"] == [each.kind for each in result.receivers]
    assert [media.mid for media in offered.media] == [media.mid for media in answer.media]
    assert offered.bundles == answer.bundles
    assert answer.is_ice_lite
    for media in answer.media:
        assert ("recvonly", True) == (media.direction, media.is_rtcp_mux)
        assert ("00abcdefghijklmn", "p" * 32) == (media.ice_ufrag, media.ice_pwd)


@pytest.mark.parametrize(
    ("name", "setup", "is_dtls_client"), [(CHROMIUM, "passive", False), ("pyav_whip", "active", True)]
)
def test_the_relay_is_passive_wherever_it_may_be(name: str, setup: str, is_dtls_client: bool) -> None:
    """
    actpass is answered passive; FFmpeg, which waits for a ClientHello, is answered active.
    """
    result = publish(offer(name))

    assert is_dtls_client == result.remote.is_dtls_client
    assert {setup} == {media.setup for media in answered(result)}


def test_the_address_stands_in_the_first_section_and_the_candidates_in_all() -> None:
    """
    The bundle's first section has the address, an IPv4 one where there is one; each has all candidates and their end.
    """
    first, second = answered(publish(offer(CHROMIUM)))

    assert ("127.0.0.1", 41999, 2, True) == (
        first.address,
        first.port,
        len(first.candidates),
        first.is_end_of_candidates,
    )
    assert ("0.0.0.0", 9, 2, True) == (
        second.address,
        second.port,
        len(second.candidates),
        second.is_end_of_candidates,
    )


def test_codecs_keep_the_clients_order_and_payload_types() -> None:
    """
    VP8 and H.264 in all profiles of packetization-mode 1, each with its RTX; no RED, no FEC, no comfort noise. Only
    H.264's constrained baseline comes before its other profiles.
    """
    result = publish(offer(CHROMIUM))
    video = receiver(result, "video")

    assert [("VP8", 96, 97), ("H264", 108, 109), ("H264", 102, 103), ("H264", 116, 117)] == [
        (each.codec.name, each.pt, each.rtx_pt) for each in video.codecs
    ]
    assert ["opus"] == [each.codec.name for each in receiver(result, "audio").codecs]
    assert ("96", "97", "108", "109", "102", "103", "116", "117") == answered(result)[1].formats
    assert ("111",) == answered(result)[0].formats


def test_a_phone_that_prefers_high_is_answered_the_profile_that_everybody_has_first() -> None:
    """
    Whoever publishes sends the first of the answer; RFC 7742, 5 has every browser decode constrained baseline.
    """
    result = publish(offer("phones/made_iphone_safari_like"))

    assert [("H264", 98), ("H264", 96), ("VP8", 100)] == [
        (each.codec.name, each.pt) for each in receiver(result, "video").codecs
    ]
    assert "98" == answered(result)[0].formats[0]


def test_h264_in_packetization_mode_0_is_taken_from_who_has_nothing_better() -> None:
    """
    An encoder that knows single NAL units only is not turned away.
    """
    text = re.sub("packetization-mode=1", "packetization-mode=0", offer(CHROMIUM))

    assert {"0"} == {
        each.codec.parameter("packetization-mode") for each in receiver(publish(text, "H264"), "video").codecs
    }


def test_an_unheard_of_profile_is_not_taken() -> None:
    """
    What is no codec there is would use up the payload types of everyone who subscribes.
    """
    text = re.sub("profile-level-id=[0-9a-f]{6}", "profile-level-id=123456", offer("pyav_whip"))

    assert ["audio"] == [each.kind for each in publish(text).receivers]


def test_the_answer_states_in_band_repair_and_the_feedback_both_understand() -> None:
    """
    useinbandfec for opus; NACK, PLI, FIR and transport-cc for video, and REMB, by which the relay limits.
    """
    audio, video = answered(publish(offer(CHROMIUM)))

    assert (("minptime", "10"), ("useinbandfec", "1")) == dict(audio.fmtps)[111]
    assert ["transport-cc"] == [value for _, value in audio.feedback]
    assert {"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"} == {value for _, value in video.feedback}
    assert ("level-asymmetry-allowed", "1") in dict(video.fmtps)[102]


def test_stereo_is_answered_to_who_offers_it() -> None:
    """
    A stethoscope's two channels are not mixed down.
    """
    assert ("stereo", "1") in dict(answered(publish(offer("made_firefox_like")))[0].fmtps)[109]


def test_extensions_are_those_the_relay_reads() -> None:
    """
    MID, RIDs, transport-wide numbers, playout delay and dependency descriptor; nothing that nobody consumes.
    """
    video = receiver(publish(offer("chromium_simulcast")), "video")

    assert {MID: 4, TWCC: 3, RID: 10, REPAIRED_RID: 11, PLAYOUT_DELAY: 5, DEPENDENCY_DESCRIPTOR: 12} == {
        extension: number for extension, number in video.extensions.items() if extension not in (7, 10)
    }
    assert ABS_SEND_TIME not in video.extensions


def test_an_extensions_direction_is_turned_round() -> None:
    """
    extmap:8/sendonly is answered extmap:8/recvonly; what the peer only receives is not taken.
    """
    result = publish(offer("made_firefox_like"))
    extmaps = {extmap.id: extmap.direction for extmap in answered(result)[1].extmaps}

    assert {3: "sendrecv", 7: "sendrecv", 8: "recvonly", 9: "recvonly"} == extmaps


@pytest.mark.parametrize(("name", "rids"), [("chromium_simulcast", "qhf"), ("wrtc_simulcast", "qhf")])
def test_simulcast_is_answered_rid_by_rid(name: str, rids: str) -> None:
    """
    The encodings in the offer's order, the best last, their SSRCs to be learned.
    """
    result = publish(offer(name))
    video = answered(result)[1]

    assert tuple(Encoding(rid) for rid in rids) == receiver(result, "video").encodings
    assert [(rid, "recv") for rid in rids] == [(rid.id, rid.direction) for rid in video.rids]
    assert Simulcast(recv=tuple((rid,) for rid in rids)) == video.simulcast


def test_more_encodings_than_four_are_not_taken() -> None:
    """
    The answer names the first four alone (A28).
    """
    text = offer("chromium_simulcast").replace("a=rid:f send", "a=rid:f send\r\na=rid:a send\r\na=rid:b send")
    text = text.replace("send q;h;f", "send q;h;f;a;b")

    assert ["q", "h", "f", "a"] == [each.rid for each in receiver(publish(text), "video").encodings]


def test_an_rtx_ssrc_belongs_to_the_first_of_its_group() -> None:
    """
    a=ssrc-group:FID pairs a stream with its resends.
    """
    assert (Encoding("", 492430060, 492430061),) == receiver(publish(offer("pyav_whip")), "video").encodings
    assert (Encoding("", 492430059, 0),) == receiver(publish(offer("pyav_whip")), "audio").encodings


def test_who_sends_what_is_named_by_msid() -> None:
    """
    From a=msid; and from a=ssrc where an older client says it there.
    """
    old = re.sub("a=msid:[^\r]*\r\n", "", offer("pyav_whip"))

    assert ("FFmpeg", "audio") == receiver(publish(offer("pyav_whip")), "audio").msid
    assert ("FFmpeg", "audio") == receiver(publish(old), "audio").msid


DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5001\r\n"
DRAFT = "m=application 9 DTLS/SCTP 5001\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctpmap:5001 webrtc-datachannel 1024\r\n"


@pytest.mark.parametrize(("section", "formats"), [(DATA, ("webrtc-datachannel",)), (DRAFT, ("5000",))])
def test_a_data_channel_section_is_taken(section: str, formats: tuple[str, ...]) -> None:
    """
    In today's syntax and in that of the drafts (RFC 8841, 4.4); the answer says which messages are too large.
    """
    result = publish(offer(CHROMIUM).replace("BUNDLE 0 1", "BUNDLE 0 1 2") + section + "a=max-message-size:1000\r\n")
    media = answered(result)[2]

    assert DataParameters("2", 5001, 1000) == result.data
    assert ("application", 9, formats, 65536) == (media.kind, media.port, media.formats, media.max_message_size)
    assert answered(result)[0].ice_ufrag == media.ice_ufrag


def test_data_channels_alone_are_a_connection() -> None:
    """
    No sound and no picture: nothing is received, the transport is there.
    """
    session = sdp.parse(offer(CHROMIUM).replace("BUNDLE 0 1", "BUNDLE 0 1 2") + DATA)
    first, data = session.media[0], session.media[2]
    alone = replace(data, ice_ufrag=first.ice_ufrag, ice_pwd=first.ice_pwd, fingerprints=first.fingerprints)
    alone = replace(alone, setup=first.setup, mid="0")
    result = publish(sdp.serialise(replace(session, media=(alone,), bundles=(("0",),))))

    assert ((), DataParameters("0", 5001, 65536)) == (result.receivers, result.data)


@pytest.mark.parametrize("spoiled", ["UDP/DTLS/SCTP other", "TCP/TLS webrtc-datachannel", "UDP/BFCP *"])
def test_other_application_sections_are_rejected(spoiled: str) -> None:
    """
    Port 0; the rest of the offer is taken.
    """
    section = DATA.replace("UDP/DTLS/SCTP webrtc-datachannel", spoiled)
    result = publish(offer(CHROMIUM).replace("BUNDLE 0 1", "BUNDLE 0 1 2") + section)

    assert (None, 0, 2) == (result.data, answered(result)[2].port, len(result.receivers))


def test_a_second_data_channel_section_is_rejected() -> None:
    """
    A bundle has one association (RFC 8841, 11).
    """
    second = DATA.replace("mid:2", "mid:3")
    result = publish(offer(CHROMIUM).replace("BUNDLE 0 1", "BUNDLE 0 1 2 3") + DATA + second)

    assert [9, 0] == [media.port for media in answered(result)[2:]]


def test_data_does_not_hide_that_no_codec_is_common() -> None:
    """
    Who wants to be seen hears that he will not be.
    """
    text = offer(CHROMIUM).replace("BUNDLE 0 1", "BUNDLE 0 1 2") + DATA
    with pytest.raises(RemoteProtocolError) as error:
        PublishNegotiation(CodecPolicy((), ("nothing",))).on_offer(text, local())

    assert "no_common_codec" == error.value.code


def test_a_kind_without_common_codec_is_rejected_alone() -> None:
    """
    The sound goes on; the picture's section has port 0 and is in no bundle.
    """
    result = publish(offer(CHROMIUM), "H265")

    assert ["audio"] == [each.kind for each in result.receivers]
    assert (0, "inactive") == (answered(result)[1].port, answered(result)[1].direction)
    assert (("0",),) == sdp.parse(result.answer).bundles


def test_nothing_in_common_is_an_error() -> None:
    """
    no_common_codec, 406.
    """
    assert "no_common_codec" == refusal(
        lambda: PublishNegotiation(CodecPolicy(("g722x",), ("H265",))).on_offer(offer(CHROMIUM), local())
    )


def test_a_section_that_does_not_send_has_no_receiver() -> None:
    """
    recvonly and inactive are answered inactive and keep their place.
    """
    result = publish(offer(CHROMIUM).replace("a=sendrecv", "a=inactive", 1))

    assert ["video"] == [each.kind for each in result.receivers]
    assert ["inactive", "recvonly"] == [media.direction for media in answered(result)]


# -------------------------------------------------------------------- what is refused (A08, A10, A43)

VIDEO_PT = "a=rtpmap:96 VP8/90000"
REFUSALS = [
    ("unsupported_sdp", "UDP/TLS/RTP/SAVPF", "RTP/AVP"),
    ("unsupported_sdp", "UDP/TLS/RTP/SAVPF", "RTP/AVPF"),
    ("unsupported_sdp", "a=rtcp-mux", "a=rtcp-mux\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xyz"),
    ("unsupported_sdp", "a=rtcp-mux\r\n", ""),
    ("unsupported_sdp", "a=group:BUNDLE 0 1\r\n", ""),
    ("unsupported_sdp", "a=group:BUNDLE 0 1", "a=group:BUNDLE 0"),
    ("unsupported_sdp", "a=group:BUNDLE 0 1", "a=group:BUNDLE 0\r\na=group:BUNDLE 1"),
    ("unsupported_sdp", "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1\r\na=ice-lite"),
    ("unsupported_sdp", "a=setup:actpass", "a=setup:holdconn"),
    ("bad_sdp", "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 1"),
    ("bad_sdp", "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 7"),
    ("bad_sdp", "a=mid:1", "a=mid:0"),
    ("bad_sdp", "a=mid:0\r\n", ""),
    ("bad_sdp", "a=setup:actpass\r\n", ""),
    ("bad_sdp", re.compile("a=setup:actpass"), "a=setup:active"),
    ("bad_sdp", re.compile("a=ice-ufrag:.*\r\n"), None),
    ("bad_sdp", "a=extmap:1 ", "a=extmap:4 "),
    ("bad_sdp", "a=extmap:1 urn", "a=extmap:13 urn"),
    ("bad_sdp", VIDEO_PT, VIDEO_PT + "\r\na=rtpmap:111 VP9/90000"),
    ("bad_sdp", VIDEO_PT, VIDEO_PT + "\r\na=ssrc:2785343958 cname:x"),
]


def spoilt(pattern: "str | re.Pattern[str]", replacement: str | None) -> str:
    """Plain patterns are replaced everywhere, compiled ones in the first section only; None cuts all."""
    if isinstance(pattern, str):
        return offer(CHROMIUM).replace(pattern, replacement or "")
    return pattern.sub(replacement or "", offer(CHROMIUM), 0 if replacement is None else 1)


@pytest.mark.parametrize(("code", "pattern", "replacement"), REFUSALS)
def test_what_contradicts_itself_or_is_unsafe_is_refused_by_name(
    code: str, pattern: "str | re.Pattern[str]", replacement: str | None
) -> None:
    """
    Each is one change to a good offer.
    """
    text = spoilt(pattern, replacement)

    assert text != offer(CHROMIUM)
    assert code == refusal(lambda: publish(text))


SHA1 = "a=fingerprint:sha-1 " + ":".join(["AA"] * 20)
MD5 = "a=fingerprint:md5 " + ":".join(["AA"] * 16)
SHA256 = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
SHA512 = "a=fingerprint:sha-512 " + ":".join(["CD"] * 64)
FINGERPRINT = re.compile("a=fingerprint:[^\r]*")


@pytest.mark.parametrize(
    ("lines", "code", "algorithms"),
    [
        ("a=x", "bad_sdp", ()),
        (SHA1, "unsupported_sdp", ()),
        (MD5, "unsupported_sdp", ()),
        (SHA256, "", ("sha-256",)),
        (SHA512, "", ("sha-512",)),
        (f"{SHA1}\r\n{SHA256}", "", ("sha-256",)),
        (f"{SHA256}\r\n{SHA512}", "", ("sha-256", "sha-512")),
    ],
)
def test_a_certificate_is_named_by_a_strong_hash(lines: str, code: str, algorithms: tuple[str, ...]) -> None:
    """
    Absent, MD5 and SHA-1 are refused; a weak one beside a strong one is not believed (A10).
    """
    text = FINGERPRINT.sub(lines, offer(CHROMIUM))

    if code:
        assert code == refusal(lambda: publish(text))
    else:
        assert algorithms == tuple(each.algorithm for each in publish(text).remote.dtls.fingerprints)


def test_sections_that_name_different_certificates_are_refused() -> None:
    """
    One transport has one certificate.
    """
    assert "bad_sdp" == refusal(lambda: publish(FINGERPRINT.sub(SHA256, offer(CHROMIUM), count=1)))


# -------------------------------------------------------------------- renegotiation


def test_the_same_offer_again_changes_nothing_but_the_version() -> None:
    """
    The answer's origin keeps its id and counts on (RFC 3264, 8).
    """
    publishing = negotiation()
    first, second = (publishing.on_offer(offer(CHROMIUM), local()) for _ in range(2))

    assert first.receivers == second.receivers
    assert not second.ice_changed
    assert [1, 2] == [sdp.parse(each.answer).version for each in (first, second)]
    assert first.answer.partition("s=-")[2] == second.answer.partition("s=-")[2]


def test_new_ice_credentials_are_told() -> None:
    """
    An ICE restart: same certificate, other credentials.
    """
    publishing = negotiation()
    publishing.on_offer(offer(CHROMIUM), local())
    result = publishing.on_offer(re.sub("a=ice-ufrag:[^\r]*", "a=ice-ufrag:other", offer(CHROMIUM)), local())

    assert (True, "other") == (result.ice_changed, result.remote.ice.ufrag)


def test_a_section_that_is_stopped_vanishes_and_its_place_can_be_taken() -> None:
    """
    Port 0; later another mid stands there (RFC 9429, 5.2.2).
    """
    publishing = negotiation()
    publishing.on_offer(offer(CHROMIUM), local())
    stopped = re.sub("m=video [0-9]+", "m=video 0", offer(CHROMIUM)).replace("BUNDLE 0 1", "BUNDLE 0")
    recycled = offer(CHROMIUM).replace("a=mid:1", "a=mid:2").replace("BUNDLE 0 1", "BUNDLE 0 2")

    assert ["0"] == [each.mid for each in publishing.on_offer(stopped, local()).receivers]
    assert ["0", "2"] == [each.mid for each in publishing.on_offer(recycled, local()).receivers]


def test_all_may_be_stopped_and_the_transport_stays() -> None:
    """
    Whoever takes all tracks away can still add one later.
    """
    publishing = negotiation()
    first = publishing.on_offer(offer(CHROMIUM), local())
    stopped = re.sub("m=(audio|video) [0-9]+", r"m=\1 0", offer(CHROMIUM)).replace("a=group:BUNDLE 0 1\r\n", "")
    result = publishing.on_offer(stopped, local())

    assert ((), first.remote) == (result.receivers, result.remote)
    assert [0, 0] == [media.port for media in answered(result)]


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("bad_sdp", lambda text: text.replace("a=mid:1", "a=mid:2").replace("BUNDLE 0 1", "BUNDLE 0 2")),
        ("bad_sdp", lambda text: text[: text.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0")),
        ("bad_sdp", lambda text: text.replace("a=setup:actpass", "a=setup:passive")),
        ("unsupported_sdp", lambda text: FINGERPRINT.sub(SHA256, text)),
        ("no_common_codec", lambda text: text.replace("VP8/", "XX/").replace("H264/", "XX/").replace("opus/", "XX/")),
        ("bad_sdp", lambda text: text.replace("a=mid:0\r\n", "")),
    ],
)
def test_a_refused_offer_leaves_everything_as_it_was(code: str, edit: Callable[[str], str]) -> None:
    """
    The next good offer is answered as if the bad one had never come (A43).
    """
    publishing, untouched = negotiation(), negotiation()
    for each in (publishing, untouched):
        each.on_offer(offer(CHROMIUM), local())

    assert code == refusal(lambda: publishing.on_offer(edit(offer(CHROMIUM)), local()))
    assert untouched.on_offer(offer(CHROMIUM), local()) == publishing.on_offer(offer(CHROMIUM), local())


@given(st.sampled_from(NAMES), st.data())
@settings(max_examples=300, deadline=None)
def test_a_spoilt_offer_is_answered_or_refused(name: str, data: st.DataObject) -> None:
    """
    No other exception comes out of a negotiation, whichever lines are missing, doubled or exchanged.
    """
    lines = offer(name).splitlines()
    for _ in range(data.draw(st.integers(1, 5))):
        source, target = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        if data.draw(st.booleans()):
            lines[target] = lines[source]
        else:
            del lines[target]
    text = "\r\n".join(lines)
    for do in (
        lambda: publish(text, "VP8", "H264", "VP9", "AV1", "H265"),
        lambda: WhepNegotiation(CodecPolicy()).on_offer(text, local(), counter()),
    ):
        outcome = "answered"
        try:
            answer = do().answer
        except RemoteProtocolError as error:
            outcome = error.code
        assert outcome in ("answered", "bad_sdp", "unsupported_sdp", "no_common_codec")
        if outcome == "answered":
            assert len(sdp.parse(answer).media) == len(sdp.parse(text).media)
