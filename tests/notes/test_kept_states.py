"""What negotiations remember: all of it is in their notes, and one that goes on from there answers as it would have."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from support.live_relay import answer_to
from telerelay.notes import decode, encode
from telerelay.protocol.negotiation import (
    CodecPolicy,
    PublishNegotiation,
    SubscribedTrack,
    SubscribeNegotiation,
    WhepNegotiation,
)
from telerelay.protocol.parameters import Candidate, Codec, Fingerprint, IceParameters, LocalTransport
from telerelay.protocol.publish import PublishState
from telerelay.protocol.subscribe import SubscribeState
from telerelay.protocol.whep import WhepState

OFFERS = Path(__file__).resolve().parent.parent / "data" / "offers"
LOCAL = LocalTransport(
    ice=IceParameters("0012345678901234", "p" * 32, is_lite=True),
    fingerprint=Fingerprint("sha-256", bytes(32)),
    candidates=(Candidate("1", 1, "udp", 1, "127.0.0.1", 40000, "host"),),
)
POLICY = CodecPolicy()
OPUS = Codec("opus", 48000, 2)
VP8 = Codec("VP8", 90000, feedback=frozenset({"nack", "nack pli"}))


def offer(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_text().replace("\r\n", "\n").replace("\n", "\r\n")


def ssrcs() -> Callable[[], int]:
    numbers = itertools.count(1000)
    return lambda: next(numbers)


@pytest.mark.parametrize(
    "name", ["chromium_audio_video", "chromium_simulcast", "aiortc_audio_video", "made_firefox_like", "wrtc_simulcast"]
)
def test_a_publish_negotiation_goes_on_from_its_note(name: str) -> None:
    """
    The next offer is answered as the negotiation itself would have answered it.
    """
    before = PublishNegotiation(POLICY)
    before.on_offer(offer(name), LOCAL)
    after = PublishNegotiation(POLICY, decode(PublishState, encode(before.state)))

    assert before.state == after.state
    assert before.on_offer(offer(name), LOCAL) == after.on_offer(offer(name), LOCAL)


@pytest.mark.parametrize("name", ["chromium_recvonly_data", "aiortc_recvonly_data"])
def test_a_whep_negotiation_goes_on_from_its_note(name: str) -> None:
    """
    With the SSRCs that its sections have.
    """
    before = WhepNegotiation(POLICY)
    before.on_offer(offer(name), LOCAL, ssrcs())
    after = WhepNegotiation(POLICY, state=decode(WhepState, encode(before.state)))

    assert before.on_offer(offer(name), LOCAL, ssrcs()) == after.on_offer(offer(name), LOCAL, ssrcs())


def track(key: str, codec: Codec) -> SubscribedTrack:
    return SubscribedTrack(key, "audio" if codec is OPUS else "video", ("them", key), (codec,), "them")


def test_a_subscribe_negotiation_goes_on_from_its_note() -> None:
    """
    In flight, and answered; with a track that was refused, one that ended and one that is new.
    """
    before = SubscribeNegotiation("cname")
    tracks = [track("a", OPUS), track("v", VP8), track("w", VP8)]
    before.set_tracks(tracks)
    before.want_data()
    made = before.make_offer(LOCAL, ssrcs())
    after = SubscribeNegotiation.of(decode(SubscribeState, encode(before.state)))
    after.set_tracks(tracks)
    answer = answer_to(made.sdp)
    assert before.on_answer(1, answer) == after.on_answer(1, answer)

    after = SubscribeNegotiation.of(decode(SubscribeState, encode(before.state)))
    after.set_tracks(tracks)
    assert False is after.needs_offer()
    assert before.senders == after.senders
    for each in (before, after):
        each.set_tracks([tracks[0], tracks[2], track("x", VP8), track("y", OPUS)])
    assert before.make_offer(LOCAL, ssrcs()) == after.make_offer(LOCAL, ssrcs())


def test_notes_hold_all_that_a_negotiation_remembers() -> None:
    """
    A new attribute of a negotiation has to find its place in its state, or a restart forgets it; what the config says
    is said again.
    """
    publish = set(vars(PublishNegotiation(POLICY))) - {"_policy"}
    whep = set(vars(WhepNegotiation(POLICY))) - {"_policy", "_cname", "_feedback"}
    subscribe = set(vars(SubscribeNegotiation(""))) - {"_wanted", "_is_estimated"}

    assert {f"_{name}" for name in PublishState.__dataclass_fields__} == publish
    assert {f"_{name}" for name in WhepState.__dataclass_fields__} == whep
    assert {f"_{name}" for name in SubscribeState.__dataclass_fields__} == subscribe
