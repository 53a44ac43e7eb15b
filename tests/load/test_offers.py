"""
The generator's SDP: what it offers, the relay takes; what a server answers or offers, it reads.
"""

from dataclasses import replace

import pytest

from telerelay.errors import RemoteProtocolError
from telerelay.load import offers
from telerelay.load.offers import LocalEnd
from telerelay.load.profiles import PROFILES, Profile, with_values
from telerelay.protocol import sdp
from telerelay.protocol.parameters import MID, RID, TWCC, Candidate, Codec, Fingerprint, IceParameters, LocalTransport
from telerelay.protocol.publish import CodecPolicy, PublishNegotiation, PublishResult
from telerelay.protocol.subscribe import SubscribedTrack, SubscribeNegotiation
from telerelay.protocol.whep import WhepNegotiation

OURS = LocalEnd(
    IceParameters("loadufrag", "p" * 24),
    Fingerprint("sha-256", bytes(range(32))),
    (Candidate("1", 1, "udp", 1, "127.64.0.1", 5000, "host"),),
)
RELAY = LocalTransport(
    ice=IceParameters("relayufrag", "q" * 24),
    fingerprint=Fingerprint("sha-256", bytes(32)),
    candidates=(Candidate("1", 1, "udp", 2130706431, "127.0.0.1", 40000, "host"),),
)
VP8 = Codec("VP8", 90000, feedback=frozenset({"nack", "nack pli"}))


def profile(**sections: dict[str, object]) -> Profile:
    return with_values(PROFILES["consult"], sections)


def published(given: Profile) -> tuple[PublishResult, tuple[offers.SendTrack, ...]]:
    """What the relay makes of a publisher's offer, and the publisher of its answer."""
    tracks = offers.publish_tracks(given, iter(range(1000, 1100)))
    result = PublishNegotiation(CodecPolicy()).on_offer(offers.publish_offer(OURS, tracks, given, "c"), RELAY)
    remote, taken = offers.on_publish_answer(tracks, result.answer)
    assert (RELAY.ice.ufrag, False) == (remote.ice.ufrag, remote.is_dtls_client)
    assert ("127.0.0.1", 40000) == (remote.candidates[0].address, remote.candidates[0].port)
    return result, taken


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_a_publisher_sends_the_codec_it_is_to_send(codec: str) -> None:
    """
    With RTX, and the extension ids both agreed on.
    """
    result, (audio, video) = published(profile(video={"codec": codec}))

    assert [("audio", "opus"), ("video", codec)] == [(r.kind, r.codecs[0].codec.name) for r in result.receivers]
    assert audio.codec is not None
    assert video.codec is not None
    assert result.receivers[1].codecs[0].rtx_pt == video.codec.rtx_pt
    assert [(1001, 1002)] == list(video.ssrcs)
    assert video.extensions == {each: result.receivers[1].extensions[each] for each in (MID, TWCC)}
    assert ("nack" in video.codec.codec.feedback, "nack pli" in video.codec.codec.feedback) == (True, True)


def test_simulcast_is_offered_by_rid() -> None:
    """
    Best last; each encoding has its own SSRCs and RID goes with the packets.
    """
    result, (_, video) = published(profile(video={"encodings": 3}))

    assert ["q", "h", "f"] == [each.rid for each in result.receivers[1].encodings]
    assert (("q", "h", "f"), 3) == (video.rids, len(video.ssrcs))
    assert RID in video.extensions


def test_a_server_without_simulcast_gets_the_best_encoding() -> None:
    """
    Without a=simulcast in the answer one stream is sent, with no RID.
    """
    given = profile(video={"encodings": 3})
    tracks = offers.publish_tracks(given, iter(range(1000, 1100)))
    answer = PublishNegotiation(CodecPolicy()).on_offer(offers.publish_offer(OURS, tracks, given, "c"), RELAY).answer
    answer = "\r\n".join(line for line in answer.split("\r\n") if not line.startswith(("a=simulcast", "a=rid")))
    _, (_, video) = offers.on_publish_answer(tracks, answer)

    assert ((), tracks[1].ssrcs[-1:]) == (video.rids, video.ssrcs)


def test_without_repair_neither_nack_nor_rtx_is_offered() -> None:
    """
    So that loss shows as it is.
    """
    off = {"has_nack": False, "has_rtx": False}
    tracks = offers.publish_tracks(profile(repair=off), iter(range(1000, 1100)))
    texts = [
        offers.publish_offer(OURS, tracks, profile(repair=off), "c"),
        offers.receive_offer(OURS, ("audio", "video"), profile(repair=off)),
    ]

    for text in texts:
        for media in sdp.parse(text).media:
            assert "nack" not in {value for _, value in media.feedback}
            assert "rtx" not in {rtpmap.name for rtpmap in media.rtpmaps}
    assert [((1000, 0),), ((1001, 0),)] == [track.ssrcs for track in tracks]


def test_a_receiver_offers_a_section_for_each_track_of_the_others() -> None:
    """
    WHEP: the relay answers with the SSRCs it will send.
    """
    given = profile()
    offer = offers.receive_offer(OURS, offers.receive_kinds(given, 2), given)
    result = WhepNegotiation(CodecPolicy()).on_offer(offer, RELAY, iter(range(1, 99)).__next__)
    remote, tracks = offers.on_receive_answer(result.answer)

    assert ["audio", "video", "audio", "video"] == [track.kind for track in tracks]
    assert [section.ssrc for section in result.sections] == [track.ssrc for track in tracks]
    assert [0, tracks[1].rtx_ssrc] == [tracks[0].rtx_ssrc, result.sections[1].rtx_ssrc]
    assert not remote.is_dtls_client


def test_the_relays_offer_is_answered_and_its_next_one_too() -> None:
    """
    A second offer brings a second track; both are taken, and what is received has the feedback we accepted.
    """
    given = profile(repair={"has_nack": False, "has_rtx": False})
    negotiation = SubscribeNegotiation("cname")
    ssrcs = iter(range(1, 99)).__next__
    first = SubscribedTrack("a", "video", ("p", "a"), (VP8,), "c")
    negotiation.set_tracks([first])
    offered = offers.read_offer(negotiation.make_offer(RELAY, ssrcs).sdp, given)
    answered = offers.answer_offer(OURS, offered, given)
    result = negotiation.on_answer(1, answered.answer)

    assert ["a"] == [sender.key for sender in result.senders]
    assert result.senders[0].ssrc == answered.tracks[0].ssrc
    assert "nack" not in answered.tracks[0].codecs[0].codec.feedback
    assert offered.is_lite

    negotiation.set_tracks([first, replace(first, key="b", msid=("p", "b"))])
    offered = offers.read_offer(negotiation.make_offer(RELAY, ssrcs).sdp, given)
    again = offers.answer_offer(OURS, offered, given, 2)
    assert 2 == len(negotiation.on_answer(2, again.answer).senders) == len(again.tracks)


def test_data_channels_and_unknown_codecs_are_refused() -> None:
    """
    A section we cannot take is answered with port 0, so that the server does not wait for it.
    """
    negotiation = SubscribeNegotiation("cname")
    negotiation.set_tracks([SubscribedTrack("a", "video", ("p", "a"), (VP8,), "c")])
    negotiation.want_data()
    text = negotiation.make_offer(RELAY, iter(range(1, 99)).__next__).sdp
    answered = offers.answer_offer(OURS, offers.read_offer(text, profile()), profile())

    assert [False, True] == [media.is_rejected for media in sdp.parse(answered.answer).media]
    assert 1 == len(answered.tracks)


def answered(tracks: tuple[offers.SendTrack, ...]) -> str:
    """The relay's answer to a publisher's offer of those tracks."""
    offer = offers.publish_offer(OURS, tracks, profile(), "c")
    return PublishNegotiation(CodecPolicy()).on_offer(offer, RELAY).answer


@pytest.mark.parametrize(("old", "new"), [("a=setup:passive", "a=setup:actpass"), ("a=ice-ufrag:relayufrag\r\n", "")])
def test_answers_that_make_no_sense_are_refused(old: str, new: str) -> None:
    """
    By a code the report counts.
    """
    tracks = offers.publish_tracks(profile(), iter(range(1000, 1100)))
    with pytest.raises(RemoteProtocolError) as caught:
        offers.on_publish_answer(tracks, answered(tracks).replace(old, new))

    assert "bad_sdp" == caught.value.code


def test_a_section_that_is_rejected_is_a_track_that_is_not_taken() -> None:
    """
    The others go on.
    """
    tracks = offers.publish_tracks(profile(), iter(range(1000, 1100)))
    _, taken = offers.on_publish_answer(tracks, answered(tracks).replace("m=audio 40000", "m=audio 0"))

    assert [False, True] == [track.is_taken for track in taken]


def test_an_extension_id_that_no_packet_can_bear_is_not_taken() -> None:
    """
    RFC 8285, 7: from 4096 on an id is only a wish; in an answer as in an offer.
    """
    given = profile()
    tracks = offers.publish_tracks(given, iter(range(1000, 1100)))
    _, taken = offers.on_publish_answer(tracks, answered(tracks).replace("a=extmap:4 ", "a=extmap:4100 "))
    negotiation = SubscribeNegotiation("cname")
    negotiation.set_tracks([SubscribedTrack("a", "video", ("p", "a"), (VP8,), "c")])
    offer = negotiation.make_offer(RELAY, iter(range(1, 99)).__next__).sdp
    number = offers.read_offer(offer, given).extensions[MID]
    offered = offers.read_offer(offer.replace(f"a=extmap:{number} ", f"a=extmap:{number + 4096} "), given)

    assert [{TWCC}, {TWCC}] == [set(track.extensions) for track in taken]
    assert MID not in offered.extensions
    assert str(number + 4096) not in offers.answer_offer(OURS, offered, given).answer
