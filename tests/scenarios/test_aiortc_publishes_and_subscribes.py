"""
Two people on aiortc, a stack that shares no code with browsers, meet in a room; one leaves, and the other is told.
"""

from __future__ import annotations

from support.relay_process import RelayProcess
from telerelay.client import Client, MovingPicture, Tone


async def test_two_aiortc_peers_see_and_hear_each_other(relay: RelayProcess) -> None:
    """
    Both receive two tracks and decode the picture without losing a packet; when one leaves, the other hears of it.
    """
    async with (
        await Client.join(relay.url, relay.token("story", "ada"), "story") as ada,
        await Client.join(relay.url, relay.token("story", "bob"), "story") as bob,
    ):
        for client, hue in ((ada, 0), (bob, 90)):
            published = await client.publish([Tone(), MovingPicture(hue=hue)])
            assert {"audio", "video"} == {publication.kind for publication in published}
        for client in (ada, bob):
            await client.wait_for(lambda each: [t.frames >= 15 for t in each.track_stats()] == [True, True], 20)

            assert {"audio", "video"} == {track.kind for track in client.track_stats()}
            assert 0 == client.tap.lost
        gone = bob.participant
        await bob.leave()
        await ada.wait_for(lambda each: gone not in each.participants)
        left = [event for event in ada.events if event["type"] == "participant_left"]

        assert [(gone, "left")] == [(event["participant"], event["reason"]) for event in left]


async def test_a_muted_track_is_announced_and_an_unpublished_one_ends(relay: RelayProcess) -> None:
    """
    Muting reaches the others as an event; unpublishing takes the track away without touching the other one.
    """
    async with (
        await Client.join(relay.url, relay.token("story", "ada"), "story") as ada,
        await Client.join(relay.url, relay.token("story", "bob"), "story") as bob,
    ):
        sound, picture = await ada.publish([Tone(), MovingPicture()])
        await bob.wait_for(lambda each: len([t for t in each.track_stats() if t.rx_packets]) == 2, 20)
        await ada.mute(sound.id)
        await bob.wait_for(lambda each: any(event["type"] == "muted" for event in each.events))
        await ada.unpublish(picture.id)
        await bob.wait_for(lambda each: picture.id not in each.remote_tracks)
        before = bob.tap.streams[bob.remote_tracks[sound.id].ssrc].gaps.received
        await bob.wait_for(lambda each: each.tap.streams[each.remote_tracks[sound.id].ssrc].gaps.received > before + 25)

        muted = next(event for event in bob.events if event["type"] == "muted")
        assert (ada.participant, sound.id, True) == (muted["participant"], muted["publication"], muted["muted"])
        assert 0 == bob.tap.lost
