"""
What the clients of docs/interop.md offer, kept in tests/data/offers/clients as it was sent, is answered.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from negotiating import OFFERS, counter, local

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
    assert ["recvonly", "recvonly"] == [media.direction for media in sdp.parse(result.answer).media]


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
    (receiver,) = PublishNegotiation(POLICY).on_offer(text("firefox_publish_simulcast"), local()).receivers

    assert ["q", "h", "f"] == [each.rid for each in receiver.encodings]
    assert {RID, REPAIRED_RID} <= receiver.extensions.keys()
