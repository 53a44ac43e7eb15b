"""
A client that cannot restart ICE (aiortc) begins its connections anew, and keeps its seat.
"""

from __future__ import annotations

from support.relay_process import RelayProcess
from telerelay.client import Client, Tone


async def test_both_connections_can_be_begun_anew(relay: RelayProcess) -> None:
    """
    Ada publishes again what she had published, Bob receives on a new connection; nobody leaves the room.
    """
    ada = await Client.join(relay.url, relay.token("story", "ada"), "story")
    bob = await Client.join(relay.url, relay.token("story", "bob"), "story")
    async with ada, bob:
        await ada.publish([Tone()], ["microphone"])
        await bob.wait_for(lambda each: each.tap.received > 25)
        first, connection = set(ada.publications), bob._subscribe
        await ada.reconnect("publish")
        await bob.wait_for(lambda each: set(each.remote_tracks) == set(ada.publications))
        await bob.reconnect("subscribe")
        await bob.wait_for(lambda each: each._subscribe not in (None, connection))
        before = bob.tap.received
        await bob.wait_for(lambda each: each.tap.received > before + 25)
        (track,) = bob.remote_tracks.values()
        await bob.wait_for(lambda _: track.frames > 10)

        assert not first & set(ada.publications)
        assert ["microphone"] == [each.source for each in ada.publications.values()]
        assert not [event for event in bob.events if event["type"].startswith("participant_left")]
