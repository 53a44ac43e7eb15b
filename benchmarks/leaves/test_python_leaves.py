"""
What the leaves of the control plane cost in Python: what a join, a renegotiation and a message is made of.

usage: make bench-leaves ARGS="-k negotiation"
"""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from negotiating import answer_to, counter, local, offer, subscription
from reporting import report

from telerelay.events import OfferedTrackInfo, OfferMade, ParticipantInfo, ParticipantJoined, PublicationInfo
from telerelay.notes import decode, encode
from telerelay.protocol import messages, sdp
from telerelay.protocol.fragment import IceFragment
from telerelay.protocol.grants import TokenKeys
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, SubscribeNegotiation, WhepNegotiation
from telerelay.protocol.publish import PublishState
from telerelay.protocol.session import serialise
from telerelay.protocol.subscribe import SubscribeState

CHROMIUM = offer("clients/chromium_publish")
CHROMIUM_SIMULCAST = offer("clients/chromium_publish_simulcast")
CHROMIUM_RECVONLY = offer("chromium_recvonly_data")
NOW = 1_800_000_000.0

Work = Callable[[], object]


def sdp_parse() -> Work:
    """A browser's offer of sound and picture, with all its codecs."""
    return lambda: sdp.parse(CHROMIUM)


def sdp_parse_simulcast() -> Work:
    return lambda: sdp.parse(CHROMIUM_SIMULCAST)


def sdp_write() -> Work:
    session = sdp.parse(CHROMIUM)
    return lambda: serialise(session)


def publish_negotiation() -> Work:
    """From a browser's offer to the answer; parsed and written."""
    return lambda: PublishNegotiation(CodecPolicy()).on_offer(CHROMIUM, local())


def publish_negotiation_simulcast() -> Work:
    return lambda: PublishNegotiation(CodecPolicy()).on_offer(CHROMIUM_SIMULCAST, local())


def subscribe_negotiation_offer() -> Work:
    """The relay's first offer of sound and a picture."""
    return lambda: subscription().make_offer(local(), counter())


def subscribe_negotiation_whole() -> Work:
    """The offer, and what a peer that takes everything answers to it."""
    answer = answer_to(subscription().make_offer(local(), counter()).sdp)

    def work() -> object:
        negotiation = subscription()
        made = negotiation.make_offer(local(), counter())
        return negotiation.on_answer(made.offer_id, answer)

    return work


def whip_negotiation() -> Work:
    """WHIP is a publisher's negotiation; PyAV's offer, as an encoder's is."""
    text = offer("pyav_whip")
    return lambda: PublishNegotiation(CodecPolicy()).on_offer(text, local())


def whep_negotiation() -> Work:
    return lambda: WhepNegotiation(CodecPolicy()).on_offer(CHROMIUM_RECVONLY, local(), counter())


def ice_fragment() -> Work:
    """A trickled candidate of WHIP, read."""
    text = (
        "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n"
    )
    return lambda: IceFragment.parse(text)


def token_sign() -> Work:
    keys = TokenKeys.of(b"k" * 32)
    return lambda: keys.sign(room="consult-1", sub="dr-a", role="doctor", ttl_s=600, now=NOW)


def token_verify() -> Work:
    keys = TokenKeys.of(b"k" * 32)
    token = keys.sign(room="consult-1", sub="dr-a", role="doctor", ttl_s=600, now=NOW)
    return lambda: keys.verify(token, NOW)


def published_state() -> PublishState:
    negotiation = PublishNegotiation(CodecPolicy())
    negotiation.on_offer(CHROMIUM, local())
    return negotiation.state


def subscribed_state() -> SubscribeState:
    negotiation: SubscribeNegotiation = subscription()
    made = negotiation.make_offer(local(), counter())
    negotiation.on_answer(made.offer_id, answer_to(made.sdp))
    return negotiation.state


def note_encode_publish() -> Work:
    state = published_state()
    return lambda: encode(state)


def note_decode_publish() -> Work:
    body = encode(published_state())
    return lambda: decode(PublishState, body)


def note_encode_subscribe() -> Work:
    state = subscribed_state()
    return lambda: encode(state)


def note_decode_subscribe() -> Work:
    body = encode(subscribed_state())
    return lambda: decode(SubscribeState, body)


def message_decode_small() -> Work:
    return lambda: messages.decode('{"type":"mute","id":7,"publication":"pub-1","muted":true,"reason":"user"}')


def message_decode_publish() -> Work:
    """A publish with the whole offer in it."""
    tracks = ({"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"})
    text = json.dumps({"type": "publish", "id": 2, "sdp": CHROMIUM, "tracks": tracks})
    return lambda: messages.decode(text)


def message_encode_joined() -> Work:
    publications = (PublicationInfo("pub-1", "audio", "microphone"), PublicationInfo("pub-2", "video", "camera"))
    event = ParticipantJoined(ParticipantInfo("p-1", "dr-a", "doctor", False, publications))
    return lambda: messages.encode(event, 12)


def message_encode_offer() -> Work:
    made = subscription().make_offer(local(), counter())
    tracks = (OfferedTrackInfo("0", "p-1", "pub-1", "audio", "microphone"),)
    event = OfferMade(made.offer_id, made.sdp, tracks)
    return lambda: messages.encode(event, 13)


LEAVES = (
    sdp_parse,
    sdp_parse_simulcast,
    sdp_write,
    publish_negotiation,
    publish_negotiation_simulcast,
    subscribe_negotiation_offer,
    subscribe_negotiation_whole,
    whip_negotiation,
    whep_negotiation,
    ice_fragment,
    token_sign,
    token_verify,
    note_encode_publish,
    note_decode_publish,
    note_encode_subscribe,
    note_decode_subscribe,
    message_decode_small,
    message_decode_publish,
    message_encode_joined,
    message_encode_offer,
)


@pytest.mark.benchmark(group="python leaves", timer=time.thread_time)
@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_python_leaf(benchmark: Any, leaf: Callable[[], Work]) -> None:
    """
    A leaf takes what it is given; how long is for the reader to judge. How many calls a round is pytest-benchmark's
    choice, and its statistics are of one call.
    """
    result = benchmark(leaf())

    assert result
    report(benchmark, leaf.__name__, 1)
