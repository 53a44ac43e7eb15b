"""
The relay's offers: one in flight, sections that outlive their tracks, one payload type for one codec.
"""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiating import H264, OPUS, RED, STEREO, VP8, VP9, answer_to, counter, h264, local, track

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.data import DataParameters
from telerelay.protocol.negotiation import (
    Offer,
    SubscribedTrack,
    SubscribeNegotiation,
    SubscribeResult,
    bind_table,
)
from telerelay.protocol.parameters import (
    EXTENSION_URIS,
    MID,
    PLAYOUT_DELAY,
    TWCC,
    NegotiatedCodec,
    ReceiveParameters,
)
from telerelay.protocol.session import Session


class Peer:
    """A negotiation and a peer that answers it."""

    def __init__(self) -> None:
        self.negotiation = SubscribeNegotiation("relay")
        self.new_ssrc = counter()

    def offer(self, *tracks: SubscribedTrack) -> Offer:
        self.negotiation.set_tracks(tracks)
        assert self.negotiation.needs_offer()
        return self.negotiation.make_offer(local(), self.new_ssrc)

    def step(self, *tracks: SubscribedTrack, edit: Callable[[str], str] = lambda text: text) -> SubscribeResult:
        offer = self.offer(*tracks)
        return self.negotiation.on_answer(offer.offer_id, answer_to(offer.sdp, edit))


@pytest.fixture
def peer() -> Peer:
    return Peer()


def reject(mid: str) -> Callable[[str], str]:
    """Edit an answer so that this section has port 0."""

    def edit(text: str) -> str:
        session = sdp.parse(text)
        lines = text.split("\r\n")
        index = [media.mid for media in session.media].index(mid)
        place = [i for i, line in enumerate(lines) if line.startswith("m=")][index]
        kind, _, rest = lines[place].split(" ", 2)
        lines[place] = f"{kind} 0 {rest}"
        bundle = [media.mid for media in session.media if media.mid != mid and not media.is_rejected]
        lines = [line for line in lines if not line.startswith("a=group")]
        lines.insert(4, f"a=group:BUNDLE {' '.join(bundle)}") if bundle else None
        return "\r\n".join(lines)

    return edit


def parsed(offer: Offer) -> Session:
    return sdp.parse(offer.sdp)


def test_an_offer_says_who_sends_what(peer: Peer) -> None:
    """
    A section a track: sendonly, with msid, SSRCs, FID for RTX, actpass, ICE-lite and the candidates.
    """
    offer = peer.offer(track("a", "audio"), track("v", "video"))
    audio, video = parsed(offer).media

    assert [("0", "a"), ("1", "v")] == [(each.mid, each.key) for each in offer.tracks]
    assert ("sendonly", ("p1", "v"), "actpass") == (video.direction, video.msid, video.setup)
    assert ((1001, "cname"), (1002, "cname")) == video.ssrcs
    assert (1001, 1002) == video.ssrc_groups[0].ssrcs
    assert ((1000, "cname"),) == audio.ssrcs
    assert parsed(offer).is_ice_lite
    assert [2, 2] == [len(media.candidates) for media in (audio, video)]
    assert {"nack", "nack pli", "ccm fir", "transport-cc", "goog-remb"} == {value for _, value in video.feedback}
    assert {"nack", "transport-cc"} == {value for _, value in audio.feedback}


def test_extensions_offered_are_those_passed_on(peer: Peer) -> None:
    """
    MID and transport-wide numbers always; audio level, capture time, orientation, playout delay and dependency
    descriptor where the publisher sends them, each with one id everywhere. Both forms of the block may be mixed.
    """
    session = parsed(peer.offer(track("a", "audio"), track("v", "video")))
    audio, video = session.media
    plain = parsed(Peer().offer(SubscribedTrack("x", "video", ("p", "x"), (VP8,), "c"))).media[0]

    assert [1, 2, 3, 7] == [each.id for each in audio.extmaps]
    assert [1, 3, 4, 6, 7] == [each.id for each in video.extmaps]
    assert session.is_extmap_mixed
    assert [EXTENSION_URIS[MID], EXTENSION_URIS[TWCC]] == [each.uri for each in plain.extmaps]


def with_feedback(text: str, *, of_kind: str, has_extension: bool) -> str:
    """The answer without transport-cc but for one kind, and without the numbers."""
    head, *sections = text.split("m=")
    kept = [
        each if each.startswith(of_kind) else re.sub(r"a=rtcp-fb:\d+ transport-cc\r\n", "", each) for each in sections
    ]
    text = "m=".join([head, *kept])
    return text if has_extension else re.sub(r"a=extmap:\d+ \S+transport-wide\S+\r\n", "", text)


@pytest.mark.parametrize(("has_extension", "numbered"), [(True, {"audio"}), (False, set())])
def test_numbers_are_written_where_the_peer_took_them_and_gives_feedback(
    peer: Peer, has_extension: bool, numbered: set[str]
) -> None:
    """
    Both, in one section: the extension without feedback of it, or the other way round, is not used.
    """
    offer = peer.offer(track("a", "audio"), track("v", "video"))
    taken = with_feedback(answer_to(offer.sdp), of_kind="audio", has_extension=has_extension)
    result = peer.negotiation.on_answer(offer.offer_id, taken)

    assert numbered == {each.kind for each in result.senders if TWCC in each.extensions}


def test_nothing_is_numbered_where_no_downlink_is_estimated() -> None:
    """
    Neither the numbers nor feedback of them are offered, and what a publisher numbers is not offered either.
    """
    negotiation = SubscribeNegotiation("relay", is_estimated=False)
    negotiation.set_tracks(
        [SubscribedTrack("v", "video", ("p", "v"), (VP8,), "c", extensions=frozenset({TWCC, PLAYOUT_DELAY}))]
    )
    (video,) = parsed(negotiation.make_offer(local(), counter())).media

    assert [1, 5] == [each.id for each in video.extmaps]
    assert {"nack", "nack pli", "ccm fir"} == {value for _, value in video.feedback}


def test_a_track_on_its_way_keeps_its_extensions() -> None:
    """
    A process that offers more than the one before it leaves what is being sent as it is: more extensions would be
    another sender, under another SSRC.
    """
    before = SubscribeNegotiation("relay", is_estimated=False)
    before.set_tracks([track("v", "video")])
    offer = before.make_offer(local(), new_ssrc := counter())
    (sender,) = before.on_answer(offer.offer_id, answer_to(offer.sdp)).senders
    after = SubscribeNegotiation.of(before.state)
    after.set_tracks([track("v", "video"), track("a", "audio")])
    offer = after.make_offer(local(), new_ssrc)
    kept, added = after.on_answer(offer.offer_id, answer_to(offer.sdp)).senders

    assert sender == kept
    assert TWCC in added.extensions


def test_the_answer_tells_what_may_be_sent(peer: Peer) -> None:
    """
    Everything accepted has a sender with the SSRCs of the offer and the payload types of the answer.
    """
    result = peer.step(track("a", "audio"), track("v", "video"))
    audio, video = result.senders

    assert ("a", "0", 1000, 0, "cname") == (audio.key, audio.mid, audio.ssrc, audio.rtx_ssrc, audio.cname)
    assert [("VP8", 98, 99)] == [(each.codec.name, each.pt, each.rtx_pt) for each in video.codecs]
    assert {0: 1, 4: 7, 6: 3, 7: 4, 9: 6} == video.extensions
    assert ("peer", False) == (result.remote.ice.ufrag if result.remote else "", peer.negotiation.in_flight)
    assert not peer.negotiation.needs_offer()


def test_one_offer_is_in_flight_and_changes_wait_for_its_answer(peer: Peer) -> None:
    """
    A second offer is our mistake; what came meanwhile is in the next one, as one change.
    """
    first = peer.offer(track("a", "audio"))
    peer.negotiation.set_tracks([track("a", "audio"), track("v", "video")])
    peer.negotiation.set_tracks([track("v", "video")])
    with pytest.raises(LocalProtocolError):
        peer.negotiation.make_offer(local(), peer.new_ssrc)
    peer.negotiation.on_answer(first.offer_id, answer_to(first.sdp))

    assert peer.negotiation.needs_offer()
    assert [("1", "v")] == [(each.mid, each.key) for each in peer.negotiation.make_offer(local(), peer.new_ssrc).tracks]


def test_the_answer_to_another_offer_is_refused(peer: Peer) -> None:
    """
    bad_message; the right answer is still taken afterwards.
    """
    offer = peer.offer(track("a", "audio"))
    with pytest.raises(RemoteProtocolError) as caught:
        peer.negotiation.on_answer(offer.offer_id + 1, answer_to(offer.sdp))

    assert "bad_message" == caught.value.code
    assert 1 == len(peer.negotiation.on_answer(offer.offer_id, answer_to(offer.sdp)).senders)


def test_a_section_outlives_its_track_and_takes_the_next_of_its_kind(peer: Peer) -> None:
    """
    Inactive meanwhile; then another track with SSRCs of its own, in the same place.
    """
    peer.step(track("a", "audio"), track("v", "video"))
    empty = peer.offer(track("a", "audio"))
    peer.negotiation.on_answer(empty.offer_id, answer_to(empty.sdp))
    (_, video) = peer.step(track("a", "audio"), track("w", "video")).senders

    assert ["sendonly", "inactive"] == [media.direction for media in parsed(empty).media]
    assert ("w", "1", 1003, 1004) == (video.key, video.mid, video.ssrc, video.rtx_ssrc)


def test_a_track_that_stays_keeps_its_ssrcs(peer: Peer) -> None:
    """
    Others come and go beside it, and restarts of ICE.
    """
    before = peer.step(track("v", "video"), track("a", "audio")).senders[0]
    after = peer.step(track("v", "video"), track("w", "video")).senders[0]
    peer.negotiation.restart()
    restarted = peer.step(track("v", "video"), track("w", "video")).senders[0]

    assert before == after == restarted


def test_a_track_whose_codecs_change_is_sent_under_other_ssrcs(peer: Peer) -> None:
    """
    A sender counts from where it begins: the same SSRC under the same keys would use numbers twice (RFC 3711, 9.1).
    """
    before = peer.step(track("v", "video")).senders[0]
    changed = peer.step(track("v", "video", VP8, H264)).senders[0]

    assert not {before.ssrc, before.rtx_ssrc} & {changed.ssrc, changed.rtx_ssrc}
    assert 2 == len(changed.codecs)


def test_an_answer_that_changes_a_sender_leads_to_an_offer_with_other_ssrcs(peer: Peer) -> None:
    """
    The peer had taken VP8 and H.264, now it takes VP8 alone: nothing is sent until it has answered for new SSRCs; the
    sound beside it goes on.
    """
    tracks = (track("v", "video", VP8, H264), track("a", "audio"))
    before = peer.step(*tracks).senders
    peer.negotiation.restart()

    def without_h264(text: str) -> str:
        return text.replace("SAVPF 96 97 98 99", "SAVPF 96 97")

    between = peer.step(*tracks, edit=without_h264).senders
    after = peer.step(*tracks, edit=without_h264).senders

    assert [before[1]] == list(between)
    assert before[1] == after[1]
    assert ["VP8"] == [each.codec.name for each in after[0].codecs]
    assert not {before[0].ssrc, before[0].rtx_ssrc} & {after[0].ssrc, after[0].rtx_ssrc}
    assert not peer.negotiation.needs_offer()


def test_a_refused_track_is_named_once_and_not_offered_again(peer: Peer) -> None:
    """
    A peer without the codec rejects the section: the key is told, the others go on, no loop of offers follows.
    """
    result = peer.step(track("a", "audio"), track("v", "video"), edit=reject("1"))

    assert (("v",), ["a"]) == (result.refused, [each.key for each in result.senders])
    assert not peer.negotiation.needs_offer()


def test_a_refused_track_is_offered_again_once_it_has_other_codecs(peer: Peer) -> None:
    """
    The rejected section is recycled under a mid of its own (RFC 9429, 5.2.2).
    """
    peer.step(track("a", "audio"), track("v", "video", VP9), edit=reject("1"))
    offer = peer.offer(track("a", "audio"), track("v", "video", VP8))

    assert [("0", "a"), ("2", "v")] == [(each.mid, each.key) for each in offer.tracks]
    assert ["0", "2"] == [media.mid for media in parsed(offer).media]


def test_a_rejected_section_stays_rejected_until_it_is_needed(peer: Peer) -> None:
    """
    Port 0 and outside the bundle in later offers, and in their answers.
    """
    peer.step(track("a", "audio"), track("v", "video"), edit=reject("0"))
    offer = peer.offer(track("v", "video"), track("w", "video"), track("x", "video"))

    assert ["2", "1", "3"] == [media.mid for media in parsed(offer).media]
    peer.negotiation.on_answer(offer.offer_id, answer_to(offer.sdp, reject("2")))
    dead = peer.offer(track("v", "video"))
    assert (0, (("1", "3"),)) == (parsed(dead).media[0].port, parsed(dead).bundles)


def test_a_peer_that_refuses_everything_has_no_transport(peer: Peer) -> None:
    """
    There is nothing to send and nobody to send it to; later tracks are offered all the same.
    """
    result = peer.step(track("v", "video"), edit=reject("0"))

    assert (None, (), ("v",)) == (result.remote, result.senders, result.refused)
    assert ["a"] == [each.key for each in peer.step(track("v", "video"), track("a", "audio")).senders]


def test_an_inactive_answer_is_a_refusal(peer: Peer) -> None:
    """
    A peer that does not receive a track is not sent it.
    """
    result = peer.step(track("v", "video"), edit=lambda text: text.replace("a=recvonly", "a=inactive"))

    assert ((), ("v",)) == (result.senders, result.refused)


def test_without_rtx_in_the_answer_none_is_sent(peer: Peer) -> None:
    """
    No RTX payload type, no RTX SSRC.
    """
    result = peer.step(
        track("v", "video"), edit=lambda text: text.replace(" 96 97", " 96").replace("a=rtpmap:97 rtx/90000\r\n", "")
    )

    assert (0, [None]) == (result.senders[0].rtx_ssrc, [each.rtx_pt for each in result.senders[0].codecs])


def test_one_payload_type_means_one_codec_on_the_connection(peer: Peer) -> None:
    """
    Two publishers' VP8 share theirs, two H.264 profiles do not (RFC 9143, 9.1).
    """
    one, other = track("v", "video", VP8, h264("42e01f")), track("w", "video", h264("640c1f"), VP8)
    media = parsed(peer.offer(one, other)).media

    assert [("96", "97", "98", "99"), ("100", "101", "96", "97")] == [each.formats for each in media]


def test_the_payload_types_suffice_for_every_variant_there_is(peer: Peer) -> None:
    """
    All that a publisher can have negotiated, in one room.
    """
    levels = ("42e01f", "42001f", "4d001f", "64001f", "640c1f", "f4001f")
    codecs = [h264(level, mode) for level in levels for mode in "01"]
    codecs += [VP8, *(type(VP9)("VP9", 90000, 1, (("profile-id", n),)) for n in "0123")]
    codecs += [type(VP9)("AV1", 90000, 1, (("profile", n),)) for n in "012"]
    codecs += [type(VP9)("H265", 90000, 1, (("profile-id", n), ("tier-flag", t))) for n in "12" for t in "01"]
    sounds = [(RED, OPUS), (RED, STEREO)]
    offer = peer.offer(
        *(track(f"a{i}", "audio", *codecs) for i, codecs in enumerate(sounds)),
        *(track(f"v{i}", "video", codec) for i, codec in enumerate(codecs)),
    )
    pts = {pt for media in parsed(offer).media for pt in media.formats}

    assert 4 + 2 * len(codecs) == len(pts)


def test_more_tracks_than_sections_wait(peer: Peer) -> None:
    """
    64 are offered; the rest asks for no offer of its own until one is free.
    """
    tracks = [track(f"v{index}", "video") for index in range(70)]
    peer.step(*tracks)
    waiting = peer.negotiation.needs_offer()
    offer = peer.offer(*tracks[1:])

    assert (False, 64) == (waiting, len(offer.tracks))
    assert "v64" in [each.key for each in offer.tracks]


def test_an_ice_restart_is_an_offer_without_a_change(peer: Peer) -> None:
    """
    Other credentials go out though the tracks are the same.
    """
    peer.step(track("a", "audio"))
    peer.negotiation.restart()

    assert peer.negotiation.needs_offer()
    assert "01other" == sdp.parse(peer.negotiation.make_offer(local("01other"), peer.new_ssrc).sdp).media[0].ice_ufrag


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("bad_sdp", lambda text: text.replace("a=mid:1", "a=mid:7").replace("BUNDLE 0 1", "BUNDLE 0 7")),
        ("bad_sdp", lambda text: text[: text.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0")),
        ("bad_sdp", lambda text: text.replace("a=setup:active", "a=setup:actpass")),
        ("bad_sdp", lambda text: text.replace("a=fingerprint", "a=x")),
        ("unsupported_sdp", lambda text: text.replace("UDP/TLS/RTP/SAVPF", "RTP/AVPF")),
        ("unsupported_sdp", lambda text: text.replace("a=rtcp-mux\r\n", "")),
        ("bad_sdp", lambda text: "v=0"),
        ("too_large", lambda text: text + "a=" + "x" * 65536),
    ],
)
def test_a_refused_answer_leaves_the_offer_in_flight(code: str, edit: Callable[[str], str], peer: Peer) -> None:
    """
    The client may answer again.
    """
    offer = peer.offer(track("a", "audio"), track("v", "video"))
    with pytest.raises(RemoteProtocolError) as caught:
        peer.negotiation.on_answer(offer.offer_id, edit(answer_to(offer.sdp)))

    assert (code, True) == (caught.value.code, peer.negotiation.in_flight)
    assert 2 == len(peer.negotiation.on_answer(offer.offer_id, answer_to(offer.sdp)).senders)


def test_a_track_without_codec_is_our_own_mistake() -> None:
    """
    So are two tracks of one key, and an offer of nothing.
    """
    negotiation = SubscribeNegotiation("relay")
    with pytest.raises(LocalProtocolError):
        negotiation.set_tracks([SubscribedTrack("x", "video", ("p", "x"), (), "c")])
    with pytest.raises(LocalProtocolError):
        negotiation.set_tracks([track("a", "audio"), track("a", "audio")])
    with pytest.raises(LocalProtocolError):
        negotiation.make_offer(local(), counter())


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcvwxyz"), max_size=8), st.sets(st.integers(0, 5))), max_size=8))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_goes_or_is_rejected_each_track_has_one_section(steps: list[tuple[set[str], set[int]]]) -> None:
    """
    Mids are never given twice, a section keeps its kind under one mid, and what is accepted is what was wanted.
    """
    peer = Peer()
    kinds: dict[str, str] = {}
    for keys, rejected in steps:
        tracks = [track(key, "audio" if key in "abc" else "video") for key in sorted(keys)]
        peer.negotiation.set_tracks(tracks)
        if not peer.negotiation.needs_offer():
            continue
        offer = peer.negotiation.make_offer(local(), peer.new_ssrc)
        session = sdp.parse(offer.sdp, max_media=64)
        for media in session.media:
            assert media.kind == kinds.setdefault(media.mid, media.kind)
        assert len({each.mid for each in offer.tracks}) == len({each.key for each in offer.tracks}) == len(offer.tracks)
        answer = answer_to(offer.sdp)
        mids = {str(number) for number in rejected} & {each.mid for each in offer.tracks}
        for mid in mids:
            answer = reject(mid)(answer)
        result = peer.negotiation.on_answer(offer.offer_id, answer)
        assert {each.key for each in offer.tracks if each.mid in mids} == set(result.refused)
        assert {each.key for each in offer.tracks} - set(result.refused) == {each.key for each in result.senders}
        assert {each.key for each in result.senders} <= keys
        ssrcs = [ssrc for each in result.senders for ssrc in (each.ssrc, each.rtx_ssrc) if ssrc]
        assert len(set(ssrcs)) == len(ssrcs)
        assert not peer.negotiation.needs_offer()


def test_a_bind_table_maps_each_codec_of_the_publisher_to_the_subscribers_payload_type(peer: Peer) -> None:
    """
    255 where the subscriber cannot take it.
    """
    (send,) = peer.step(track("v", "video", VP8, h264("42e01f"))).senders
    receive = ReceiveParameters(
        "1",
        "video",
        (NegotiatedCodec(h264("42e034"), 102, 103), NegotiatedCodec(VP9, 98, 99), NegotiatedCodec(VP8, 120)),
        (),
        {},
    )

    assert ([98, 255, 96], [99, 255, 97]) == bind_table(receive, send)


def test_opus_is_always_opus(peer: Peer) -> None:
    """
    Whatever its fmtp says (RFC 7587, 7.1).
    """
    (send,) = peer.step(track("a", "audio", OPUS)).senders
    receive = ReceiveParameters("0", "audio", (NegotiatedCodec(type(OPUS)("OPUS", 48000, 2), 109),), (), {})

    assert ([96], [255]) == bind_table(receive, send)


def test_data_channels_are_offered_when_wanted() -> None:
    """
    Once, in a section of their own that stays; the peer's port is in its answer.
    """
    peer = Peer()
    peer.step(track("a", "audio"))
    peer.negotiation.want_data()
    result = peer.step(track("a", "audio"), edit=lambda text: text.replace("sctp-port:5000", "sctp-port:5002"))
    peer.negotiation.want_data()
    media = sdp.parse(peer.offer(track("a", "audio"), track("b", "audio")).sdp).media

    assert DataParameters("1", 5002, 65536) == result.data
    assert ["audio", "application", "audio"] == [each.kind for each in media]


def test_data_channels_alone_are_offered() -> None:
    """
    Nobody need publish anything for a message to arrive.
    """
    peer = Peer()
    peer.negotiation.want_data()
    result = peer.step()

    assert (DataParameters("0", 5000, 65536), ()) == (result.data, result.senders)


def test_data_channels_that_were_refused_are_not_offered_again() -> None:
    """
    The section is dead; a track may take its place.
    """
    peer = Peer()
    peer.negotiation.want_data()
    refuse = peer.step(track("a", "audio"), edit=lambda text: text.replace("m=application 9", "m=application 0"))
    media = sdp.parse(peer.offer(track("a", "audio"), track("v", "video")).sdp).media

    assert (None, True) == (refuse.data, refuse.has_data_section)
    assert ["audio", "video"] == [each.kind for each in media]
