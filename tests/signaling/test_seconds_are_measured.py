"""
Two-way seconds as a relay measures them: real media of real clients, real workers, ten seconds of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest
from aiortc.mediastreams import MediaStreamTrack

from support.calls import going_on, small_picture
from support.live_relay import Live, MakeLive
from telerelay.client import Client, Tone
from telerelay.consult.seconds import Totals
from telerelay.signaling.host import RoomHost
from telerelay.signaling.seconds import SecondsWatch

TALK_S = 10.0
HEIGHT = 90
"""Of small_picture, which has 96 lines."""


async def come(stack: AsyncExitStack, live: Live, room: str, **tracks: Sequence[MediaStreamTrack]) -> list[Client]:
    """One client for each role, each sending these tracks; back when all that is to come has come."""
    clients = []
    for role, own in tracks.items():
        client = await Client.join(live.url, live.token(f"{role}-{room}", room, role), room)
        clients.append(await stack.enter_async_context(client))
        if own:
            await client.publish(own)
    sent = {role: len(own) for role, own in tracks.items()}
    receivers = [each for each, role in zip(clients, tracks, strict=True) if sum(sent.values()) > sent[role]]
    await going_on(receivers, packets=30)
    return clients


def hosts(live: Live) -> list[RoomHost]:
    return list(live.relay._rooms.hosts)


@pytest.mark.slow
@pytest.mark.timed
async def test_ten_seconds_are_ten_and_what_is_missing_is_missing(make_live: MakeLive) -> None:
    """
    Three consults at once. Pictures and sound both ways: ten seconds of both, by the height of the picture. A picture
    one way: no two-way second, and its height. Sound alone: ten seconds of sound and none of video.
    """
    live = await make_live()
    watch = SecondsWatch()
    async with AsyncExitStack() as stack:
        await asyncio.gather(
            come(stack, live, "both", practitioner=[Tone(), small_picture()], patient=[Tone(330), small_picture()]),
            come(stack, live, "one", practitioner=[], patient=[small_picture()]),
            come(stack, live, "sound", practitioner=[Tone()], patient=[Tone(330)]),
        )
        for host in hosts(live):
            watch.add(host)
        await watch.look()
        running = asyncio.create_task(watch.run())
        stack.callback(running.cancel)
        await asyncio.sleep(TALK_S)  # it is this that is measured
        running.cancel()
        await watch.look()
        both, one, sound = (watch.remove(room) for room in ("both", "one", "sound"))

    assert isinstance(both, Totals)
    assert isinstance(one, Totals)
    assert isinstance(sound, Totals)
    assert pytest.approx(TALK_S, abs=1) == both.two_way_video_s
    assert pytest.approx(TALK_S, abs=1) == both.two_way_audio_s
    assert both.audio_only_s <= 1
    assert [HEIGHT] == [height for height, _ in both.by_height]
    assert not both.has_unknown_keyframes
    assert (0.0, 0.0, 0.0) == (one.two_way_video_s, one.two_way_audio_s, one.audio_only_s)
    assert [HEIGHT] == [height for height, _ in one.by_height]
    assert pytest.approx(TALK_S, abs=1) == one.by_height[0][1]
    assert (0.0, ()) == (sound.two_way_video_s, sound.by_height)
    assert pytest.approx(TALK_S, abs=1) == sound.two_way_audio_s
    assert pytest.approx(TALK_S, abs=1) == sound.audio_only_s
    assert None is watch.totals("both")


@pytest.mark.slow
@pytest.mark.timed
async def test_what_is_muted_or_shows_nobody_is_not_counted(make_live: MakeLive) -> None:
    """
    A patient who mutes his camera and goes on sending, and a doctor whose only picture is a screen.
    """
    live = await make_live()
    async with AsyncExitStack() as stack:
        doctor, patient = await come(stack, live, "r1", practitioner=[small_picture()], patient=[small_picture()])
        (host,) = hosts(live)
        watch = SecondsWatch()
        watch.add(host)
        await _look_until(watch, lambda totals: totals.two_way_video_s > 1)
        (camera,) = patient.publications
        await patient.mute(camera)
        before = watch.totals("r1")
        await _look(watch, 3)
        muted = watch.totals("r1")
        await patient.mute(camera, False)
        (face,) = doctor.publications
        await doctor.unpublish(face)
        await doctor.publish([small_picture()], ["screen"])
        await going_on([patient], packets=30)
        with_screen = watch.totals("r1")
        await _look(watch, 3)
        after = watch.totals("r1")

    assert before is not None
    assert muted is not None
    assert with_screen is not None
    assert after is not None
    step = 1.5  # the second that was under way, and how late it was looked at, of three
    assert muted.two_way_video_s <= before.two_way_video_s + step
    assert after.two_way_video_s <= with_screen.two_way_video_s + step
    assert after.by_height[0][1] >= with_screen.by_height[0][1] + 1


async def test_a_room_that_nobody_is_in_costs_nothing(make_live: MakeLive) -> None:
    """
    A consult whose people receive nothing has nothing to be asked; and what is not measured has no totals.
    """
    live = await make_live()
    await live.join("alice")
    (host,) = hosts(live)
    watch = SecondsWatch()
    before = Totals(two_way_video_s=5.0)
    watch.add(host, before)
    watch.add(host)
    await watch.look()

    assert before == watch.totals("r1")
    assert before == watch.remove("r1")
    assert None is watch.remove("r1")


async def _look(watch: SecondsWatch, times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(1.0)  # a second is what a look is about
        await watch.look()


async def _look_until(watch: SecondsWatch, condition: object) -> None:
    async with asyncio.timeout(30):
        while True:
            totals = watch.totals("r1")
            if totals is not None and callable(condition) and condition(totals):
                return
            await _look(watch, 1)
