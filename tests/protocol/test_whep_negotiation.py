"""
A WHEP client offers sections to receive on and is answered with all that the relay might send there.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from negotiating import RECEIVING, counter, local, offer

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.negotiation import CodecPolicy, WhepNegotiation
from telerelay.protocol.parameters import TWCC, IceParameters

CHROMIUM = "chromium_recvonly_data"


@pytest.mark.parametrize("name", RECEIVING)
def test_every_real_offer_is_answered(name: str) -> None:
    """
    A section to send on for each m-line of sound or picture; the data channel's is taken too.
    """
    result = WhepNegotiation(CodecPolicy()).on_offer(offer(name), local(), counter())
    answer = sdp.parse(result.answer)

    assert [("0", "audio", 1000, 0), ("1", "video", 1002, 1003)] == [
        (each.key, each.kind, each.ssrc, each.rtx_ssrc) for each in result.sections
    ]
    assert ["sendonly", "sendonly", "sendrecv"] == [media.direction for media in answer.media]
    assert (result.data and result.data.mid, 5000, 65536) == (
        answer.media[2].mid,
        answer.media[2].sctp_port,
        answer.media[2].max_message_size,
    )
    assert [((1000, "00abcdefghijklmn"),)] == [answer.media[0].ssrcs]
    assert "aiortc" not in name or "transport-cc" not in result.answer
    assert "aiortc" in name or [True, True] == [TWCC in each.extensions for each in result.sections]


@pytest.mark.parametrize(
    ("edit", "is_estimated"),
    [
        (lambda text: text, False),
        (lambda text: re.sub(r"a=rtcp-fb:\d+ transport-cc\r\n", "", text), True),
        (lambda text: re.sub(r"a=extmap:\S+ \S+transport-wide\S+\r\n", "", text), True),
    ],
    ids=["switched off", "no feedback", "no numbers"],
)
def test_numbers_are_sent_where_both_sides_take_part(edit: Callable[[str], str], is_estimated: bool) -> None:
    """
    Answered and sent where the client offers the extension and feedback of it, and the relay is to estimate.
    """
    negotiation = WhepNegotiation(CodecPolicy(), is_estimated=is_estimated)
    result = negotiation.on_offer(edit(offer(CHROMIUM)), local(), counter())

    assert [False, False] == [TWCC in each.extensions for each in result.sections]
    assert "transport-wide" not in result.answer
    assert is_estimated == ("goog-remb" in result.answer)


def test_all_common_codecs_are_answered() -> None:
    """
    Which of them is sent is known only when a track comes.
    """
    result = WhepNegotiation(CodecPolicy(video=("VP8", "VP9", "H264"))).on_offer(offer(CHROMIUM), local(), counter())

    assert {"VP8", "VP9", "H264"} == {each.codec.name for each in result.sections[1].codecs}


def test_tracks_of_one_answer_are_one_stream() -> None:
    """
    The same cname and the same stream, so that a player keeps lips and sound together.
    """
    media = sdp.parse(WhepNegotiation(CodecPolicy(), "cn").on_offer(offer(CHROMIUM), local(), counter()).answer).media

    assert ["cn", "cn"] == [each.ssrcs[0][1] for each in media[:2]]
    assert 1 == len({each.msid[0] for each in media[:2] if each.msid})


def test_a_stream_named_by_an_ice_fragment_has_a_name_that_streams_may_have() -> None:
    """
    An ICE fragment may hold a slash, an msid may not (RFC 8830, 2): readers that are strict refuse the whole answer.
    """
    slashed = replace(local(), ice=IceParameters("00/abc+defghijkl", "w" * 24), name="")
    media = sdp.parse(WhepNegotiation(CodecPolicy()).on_offer(offer(CHROMIUM), slashed, counter()).answer).media

    assert ("00-abc+defghijkl", "video-1") == media[1].msid


def test_an_ice_restart_keeps_the_ssrcs() -> None:
    """
    The same sections again, on the same streams.
    """
    negotiation = WhepNegotiation(CodecPolicy())
    new_ssrc = counter()
    first = negotiation.on_offer(offer(CHROMIUM), local(), new_ssrc)
    again = re.sub("a=ice-ufrag:[^\r]*", "a=ice-ufrag:other", offer(CHROMIUM))

    assert first.sections == negotiation.on_offer(again, local(), new_ssrc).sections


def test_who_only_sends_gets_nothing() -> None:
    """
    A sendonly section is answered inactive.
    """
    text = offer(CHROMIUM).replace("a=recvonly", "a=sendonly", 1)
    result = WhepNegotiation(CodecPolicy()).on_offer(text, local(), counter())

    assert ["1"] == [each.key for each in result.sections]


def test_nothing_in_common_is_an_error() -> None:
    """
    no_common_codec, 406.
    """
    with pytest.raises(RemoteProtocolError) as caught:
        WhepNegotiation(CodecPolicy((), ("H265",))).on_offer(offer("aiortc_recvonly_data"), local(), counter())

    assert ("no_common_codec", 406) == (caught.value.code, caught.value.status)
