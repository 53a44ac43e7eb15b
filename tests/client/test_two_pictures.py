"""
Two pictures and two sounds of one client, over one connection.
"""

from __future__ import annotations

from support.calls import small_picture
from support.near_relay import near_relay
from support.waiting import until
from telerelay.client import Client, Tone

SOURCES = ["microphone", "stethoscope", "camera", "scope"]


def decoded(client: Client) -> list[str]:
    """The sources of which something was."""
    return sorted(each.source for each in client.remote_tracks.values() if each.frames)


async def test_a_second_picture_and_a_second_sound_are_sent_and_received() -> None:
    """
    Each of the four comes to who was there before, and to who comes later.
    """
    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob,
        await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada,
    ):
        await ada.publish([Tone(), Tone(330.0), small_picture(), small_picture()], SOURCES)
        async with await Client.join(relay.url, relay.token("r1", "carol"), "r1") as carol:
            await until(lambda: len(decoded(bob)) >= 4 and len(decoded(carol)) >= 4, timeout_s=60)

            assert sorted(SOURCES) == decoded(bob) == decoded(carol)
