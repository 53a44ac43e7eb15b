"""
An offer after another: transceivers reused, sections stopped and recycled, an offer taken back, and lines of the RFCs
that the relay has no use for.
"""

from __future__ import annotations

import re

import pytest
from negotiating import counter, local
from test_table_of_offers import GOOD, VIDEO, all_of, first, video

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, WhepNegotiation


def negotiation() -> PublishNegotiation:
    return PublishNegotiation(CodecPolicy(("opus",), ("VP8",)))


def mids(publishing: PublishNegotiation, text: str) -> list[str]:
    return [each.mid for each in publishing.on_offer(text, local()).receivers]


def directions(answer: str) -> list[tuple[int, str]]:
    return [(min(media.port, 1), media.direction) for media in sdp.parse(answer).media]


STOPPED = video("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0")


def test_a_transceiver_that_pauses_and_goes_on_is_the_same() -> None:
    """
    sendonly, inactive, sendonly on one mid: the receiver goes and comes back as it was, the section keeps its place.
    """
    publishing = negotiation()
    before = publishing.on_offer(GOOD, local())
    paused = publishing.on_offer(video("a=sendonly", "a=inactive"), local())
    after = publishing.on_offer(GOOD, local())

    assert ["0"] == [each.mid for each in paused.receivers]
    assert [(1, "recvonly"), (1, "inactive")] == directions(paused.answer)
    assert before.receivers == after.receivers
    assert before.remote == paused.remote == after.remote


def test_a_transceiver_may_be_reused_for_another_track() -> None:
    """
    replaceTrack after a stop of the sender: same mid, another msid and SSRC.
    """
    publishing = negotiation()
    publishing.on_offer(GOOD, local())
    other = publishing.on_offer(GOOD.replace("20", "40").replace("21", "41") + "a=msid:s t\n", local())

    assert [(40, 41)] == [(e.ssrc, e.rtx_ssrc) for e in other.receivers[1].encodings]
    assert ("s", "t") == other.receivers[1].msid


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_a_stopped_section_is_recycled_for_either_kind(kind: str) -> None:
    """
    Where port 0 stood another mid may stand, of the same kind or not (RFC 9429, 5.2.2).
    """
    publishing = negotiation()
    publishing.on_offer(GOOD, local())
    assert ["0"] == mids(publishing, STOPPED)
    section = VIDEO.replace("a=mid:1", "a=mid:2")
    if kind == "audio":
        section = (
            GOOD[GOOD.index("m=audio") : GOOD.index("m=video")].replace("mid:0", "mid:2").replace("ssrc:10", "ssrc:12")
        )
    recycled = GOOD.replace(VIDEO, section).replace("BUNDLE 0 1", "BUNDLE 0 2")
    result = publishing.on_offer(recycled, local())

    assert [("0", "audio"), ("2", kind)] == [(each.mid, each.kind) for each in result.receivers]


def test_a_stopped_section_may_stay_and_others_come_behind_it() -> None:
    """
    Zero stays zero, a third section is new.
    """
    publishing = negotiation()
    publishing.on_offer(GOOD, local())
    third = VIDEO.replace("a=mid:1", "a=mid:2").replace("20", "30").replace("21", "31")
    more = STOPPED.replace("BUNDLE 0", "BUNDLE 0 2") + third
    result = publishing.on_offer(more, local())

    assert ["0", "2"] == [each.mid for each in result.receivers]
    assert [(1, "recvonly"), (0, "inactive"), (1, "recvonly")] == directions(result.answer)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (all_of("a=mid:1", "a=mid:7").replace("E 0 1", "E 0 7"), "bad_sdp"),
        (GOOD[: GOOD.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0"), "bad_sdp"),
        (GOOD.replace("m=video", "m=audio").replace("VP8/90000", "opus/48000/2"), "bad_sdp"),
    ],
)
def test_a_section_that_lives_keeps_its_place_its_mid_and_its_kind(text: str, code: str) -> None:
    """
    Else the answer would be to another question; what stood goes on.
    """
    publishing, untouched = negotiation(), negotiation()
    for each in (publishing, untouched):
        each.on_offer(GOOD, local())
    with pytest.raises(RemoteProtocolError) as caught:
        publishing.on_offer(text, local())

    assert code == caught.value.code
    assert untouched.on_offer(GOOD, local()) == publishing.on_offer(GOOD, local())


def test_an_offer_the_client_took_back_leaves_no_trace() -> None:
    """
    Rollback: an offer was answered, the client never applied the answer and offers as before, a section fewer. The
    sections that were answered are there for good (RFC 3264, 8), so it offers them stopped; nothing else differs.
    """
    publishing = negotiation()
    before = publishing.on_offer(GOOD, local())
    third = VIDEO.replace("a=mid:1", "a=mid:2").replace("20", "30").replace("21", "31")
    publishing.on_offer(all_of("BUNDLE 0 1", "BUNDLE 0 1 2") + third, local())
    back = publishing.on_offer(GOOD + third.replace("m=video 9", "m=video 0"), local())

    assert before.receivers == back.receivers
    assert before.remote == back.remote


def test_a_receiver_keeps_its_ssrcs_through_a_pause() -> None:
    """
    WHEP: what a section is sent under is its for the session.
    """
    receiving = WhepNegotiation(CodecPolicy(("opus",), ("VP8",)))
    ssrcs = counter()
    text = GOOD.replace("a=sendonly", "a=recvonly")
    made = [receiving.on_offer(each, local(), ssrcs) for each in (text, text.replace("recvonly", "inactive"), text)]

    assert [2, 0, 2] == [len(each.sections) for each in made]
    assert made[0].sections == made[2].sections


LEGAL = [
    # RFC 8866
    "i=a title",
    "u=http://example.com/a",
    "e=someone@example.com (Someone)",
    "p=+1 617 555-6011",
    "b=AS:256",
    "b=TIAS:256000",
    "b=X-YZ:128",
    "t=3034423619 3042462419",
    "r=604800 3600 0 90000",
    "r=7d 1h 0 25h",
    "z=2882844526 -1h 2898848070 0",
    "k=prompt",
    "a=cat:foo.bar",
    "a=keywds:a b",
    "a=tool:x 1.0",
    "a=ptime:20",
    "a=maxptime:60",
    "a=orient:portrait",
    "a=type:meeting",
    "a=charset:UTF-8",
    "a=sdplang:fr",
    "a=lang:de",
    "a=framerate:29.97",
    "a=quality:10",
    # RFC 9429 (8829)
    "a=ice-options:trickle ice2",
    "a=identity:eyJpZHAiOnt9fQ==",
    "a=msid-semantic:WMS *",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=rtcp-mux-only",
    "a=tls-id:91bbf309c0990a6bec11e38ba2933cee",
    "a=imageattr:96 send [x=800,y=640] recv *",
    "a=rtcp-xr:rcvr-rtt=all",
    "a=end-of-candidates",
    "a=remote-candidates:1 10.0.0.1 9",
    # RFC 9143 (8843)
    "a=group:LS 0 1",
    # RFC 8853 and 8851
    "a=rid:r recv max-br=1000000",
    "a=x-something",
    "a=x-something:with a value",
    "c=IN IP6 ff15::101/3",
    "c=IN IP4 233.252.0.1/127/3",
]


@pytest.mark.parametrize("line", LEGAL)
def test_a_legal_line_without_use_to_the_relay_is_passed_over(line: str) -> None:
    """
    Above the sections where it may stand there, and in a section; what is negotiated is what it was.
    """
    expected = negotiation().on_offer(GOOD, local()).receivers
    texts = [GOOD + line + "\n"]
    if not line.startswith(("a=rid", "a=group")):
        texts.append(first("a=group", f"{line}\na=group"))
    for text in texts:
        assert expected == negotiation().on_offer(re.sub("\n", "\r\n", text), local()).receivers
