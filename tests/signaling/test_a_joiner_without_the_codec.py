"""A publication of one codec, a joiner that decodes others: refused by name, and nobody else notices."""

import re

from support.live_relay import Live, answer_to, offer_sdp


def without_video(offer: str) -> str:
    """An answer that takes the sound and rejects each picture (RFC 3264, 6)."""
    answer = re.sub(r"m=video \d+", "m=video 0", answer_to(offer))
    return answer.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0")


async def test_who_can_decode_none_is_told_and_the_others_go_on(live: Live) -> None:
    """
    `refused` with `no_common_codec` names the publication; the joiner's sound goes on, the other subscriber gets
    neither an offer nor a refusal, the publisher nothing at all.
    """
    alice, carol = await live.join("alice"), await live.join("carol")
    publications = (await alice.publish(offer_sdp()))["publications"]
    picture = next(each["id"] for each in publications if each["kind"] == "video")
    offer = await carol.event("offer")
    await carol.ask("answer", offer_id=offer["offer_id"], sdp=answer_to(offer["sdp"]))
    bob = await live.join("bob")
    offer = await bob.event("offer")
    reply = await bob.ask("answer", offer_id=offer["offer_id"], sdp=without_video(offer["sdp"]))
    refused = await bob.event("refused")
    for peer in (alice, carol, bob):
        await peer.ask("stats")  # answered behind every event that came before

    assert ("reply", picture, "no_common_codec") == (reply["type"], refused["publication"], refused["code"])
    assert 1 == sum(event["type"] == "offer" for event in bob.events)
    assert ["offer"] == [event["type"] for event in carol.events if event["type"] in ("offer", "refused")]
    assert not any(event["type"] in ("offer", "refused", "unpublished") for event in alice.events)
