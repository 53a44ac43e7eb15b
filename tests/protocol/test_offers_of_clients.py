"""
What the clients of docs/interop.md offer and answer, kept in tests/data/offers/clients as it was sent, is understood.

`tests/interop/collect.py` fills that folder.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from negotiating import OFFERS, counter, local, subscription

from telerelay.protocol import sdp
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, WhepNegotiation
from telerelay.protocol.parameters import REPAIRED_RID, RID

CLIENTS = OFFERS / "clients"
POLICY = CodecPolicy(video=("VP8", "H264", "VP9", "AV1"))


def names(pattern: str) -> list[str]:
    return sorted(path.stem for path in CLIENTS.glob(pattern))


def text(name: str) -> str:
    return Path(CLIENTS / f"{name}.sdp").read_bytes().decode()


@pytest.mark.parametrize("name", names("*_publish.sdp"))
def test_sound_and_picture_are_received(name: str) -> None:
    """
    Both sections are taken, Opus and VP8 among their codecs, and the client opens the DTLS handshake.
    """
    result = PublishNegotiation(POLICY).on_offer(text(name), local())
    codecs = {each.kind: [codec.codec.name.lower() for codec in each.codecs] for each in result.receivers}

    assert ["audio", "video"] == sorted(codecs)
    assert ["opus"] == codecs["audio"]
    assert "vp8" in codecs["video"]
    assert not result.remote.is_dtls_client
    answered = {media.kind: media.direction for media in sdp.parse(result.answer).media}
    assert {"audio": "recvonly", "video": "recvonly", "application": "sendrecv"} == answered


def test_each_client_of_the_matrix_is_here() -> None:
    """
    All publish; all but FFmpeg, which only publishes (tests/data/offers/pyav_whip.sdp), receive and answer.
    """
    clients = ["aiortc", "chromium", "firefox", "gstreamer", "node_datachannel", "roamhq_wrtc", "werift", "wrtc"]

    for kind in ("publish", "subscribe", "answer"):
        assert clients == [name.removesuffix(f"_{kind}") for name in names(f"*_{kind}.sdp")]
    assert ["chromium_restart", "firefox_restart", "roamhq_wrtc_restart", "werift_restart", "wrtc_restart"] == names(
        "*_restart.sdp"
    )


def test_no_address_is_more_than_a_test_s() -> None:
    """
    Loopback, or of the private networks that tests make (RFC 1918, 4193, 5737, 4291); no host's own.
    """
    allowed = ("127.", "10.20", "192.0.2.", "0.0.0.0", "::1", "fd00:", "fe80:")
    found = {
        address
        for path in CLIENTS.glob("*.sdp")
        for address in re.findall(r"^a=candidate:\S+ \d \w+ \d+ (\S+)|^c=IN IP[46] (\S+)", text(path.stem), re.M)
        for address in address
        if address
    }

    assert [] == [address for address in found if not address.startswith(allowed)]


@pytest.mark.parametrize("name", names("*_publish.sdp"))
def test_a_data_channel_beside_sound_and_picture_is_taken(name: str) -> None:
    """
    Every client that has data channels opened one.
    """
    result = PublishNegotiation(POLICY).on_offer(text(name), local())

    assert result.data is not None


@pytest.mark.parametrize("name", names("*_publish_simulcast.sdp"))
def test_three_encodings_are_received(name: str) -> None:
    """
    Those that the client named, the smallest first.
    """
    (video,) = [
        each for each in PublishNegotiation(POLICY).on_offer(text(name), local()).receivers if each.kind == "video"
    ]

    assert ["q", "h", "f"] == [each.rid for each in video.encodings]


@pytest.mark.parametrize("name", names("*_restart.sdp"))
def test_a_restart_is_told_from_the_offer_before(name: str) -> None:
    """
    Other credentials, the same sections: answered with the relay's other credentials, nothing published is another.
    """
    negotiation = PublishNegotiation(POLICY)
    first = negotiation.on_offer(text(name.replace("_restart", "_publish")), local())
    second = negotiation.on_offer(text(name), local(), local("00another"))

    assert (False, True) == (first.ice_changed, second.ice_changed)
    assert [each.mid for each in first.receivers] == [each.mid for each in second.receivers]
    assert "a=ice-ufrag:00another" in second.answer


@pytest.mark.parametrize("name", names("*_answer.sdp"))
def test_an_answer_takes_sound_and_picture(name: str) -> None:
    """
    Each client's answer to the relay's offer: both tracks may be sent, and the client opens the DTLS handshake.
    """
    negotiation = subscription()
    offer = negotiation.make_offer(local(), counter())
    result = negotiation.on_answer(offer.offer_id, text(name))

    assert ["a", "v"] == [each.key for each in result.senders]
    assert not result.remote.is_dtls_client


@pytest.mark.parametrize("name", names("*_subscribe.sdp"))
def test_sound_and_picture_are_sent(name: str) -> None:
    """
    A stream for each of the two sections; a data channel beside them does no harm.
    """
    result = WhepNegotiation(POLICY).on_offer(text(name), local(), counter())

    assert ["audio", "video"] == sorted(each.kind for each in result.sections)
    assert all(each.ssrc for each in result.sections)


def test_firefox_names_its_simulcast_streams_twice() -> None:
    """
    Firefox has rids and SSRCs: three encodings, told apart by the rid extension.
    """
    receivers = PublishNegotiation(POLICY).on_offer(text("firefox_publish_simulcast"), local()).receivers
    (receiver,) = [each for each in receivers if each.kind == "video"]

    assert ["q", "h", "f"] == [each.rid for each in receiver.encodings]
    assert {RID, REPAIRED_RID} <= receiver.extensions.keys()
