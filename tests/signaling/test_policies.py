"""What an application allows of what a role may: tracks sent and received, and data channels."""

import asyncio

from support.live_relay import MakeLive, offer_sdp
from support.waiting import until
from telerelay import Hooks
from telerelay.client import Client
from telerelay.hooks import ChannelRequest, PublishRequest, SubscribeRequest


class Rules(Hooks):
    """Patients show no screen, observers see no face, nobody chats."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.delay_s = 0.0

    async def publish_policy(self, request: PublishRequest) -> bool:
        self.asked.append(request)
        return (request.role, request.source) != ("patient", "screen")

    async def subscribe_policy(self, request: SubscribeRequest) -> bool:
        self.asked.append(request)
        return (request.role, request.source) != ("observer", "camera")

    async def channel_policy(self, request: ChannelRequest) -> bool:
        self.asked.append(request)
        await asyncio.sleep(self.delay_s)
        return request.label != "chat"


SCREEN = [{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "screen"}]


async def test_a_track_that_is_not_allowed_is_refused_and_the_rest_goes_on(make_live: MakeLive) -> None:
    """
    The offer is refused before anything is negotiated; what is published is not asked about again.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    patient = await live.join("pat", role="patient")
    published = await patient.publish()
    refusal = await patient.publish(tracks=SCREEN)
    again = await patient.publish()

    assert "forbidden" == refusal["code"]
    assert published["publications"] == again["publications"]
    assert [("audio", "microphone"), ("video", "camera"), ("video", "screen")] == [
        (each.kind, each.source) for each in rules.asked if isinstance(each, PublishRequest)
    ]
    assert "reply" == (await (await live.join("doc")).publish(tracks=SCREEN))["type"]


async def test_a_track_that_is_not_allowed_is_written_down(make_live: MakeLive) -> None:
    """
    Once for each person, over the WebSocket or WHIP.
    """
    live = await make_live(hooks=Rules())
    await live.schedule(deciders=("patient",))
    patient = await live.join("pat", role="patient")
    await patient.publish(tracks=SCREEN)
    await patient.publish(tracks=SCREEN)

    assert [("pat", "publish")] == [
        (each.clear["sub"], each.clear["what"]) for each in await live.entries() if each.kind == "bypass_tried"
    ]


async def test_a_rule_of_tracks_holds_for_whip(make_live: MakeLive) -> None:
    """
    There, too, before anything is negotiated.
    """

    class NoVideo(Hooks):
        async def publish_policy(self, request: PublishRequest) -> bool:
            return request.kind != "video"

    live = await make_live(hooks=NoVideo())
    async with live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=live.bearer("obs")) as answer:
        code = (await answer.json())["error"]["code"]

    assert (403, "forbidden") == (answer.status, code)
    assert 0 == live.transports()


async def test_what_somebody_may_not_see_is_not_offered(make_live: MakeLive) -> None:
    """
    It is told by name, and the sound comes all the same.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    doctor = await live.join("doc")
    publications = {each["kind"]: each["id"] for each in (await doctor.publish())["publications"]}
    observer = await live.join("obs", role="observer")
    offer = await observer.event("offer")
    refused = await observer.event("refused")

    assert [publications["audio"]] == [each["publication"] for each in offer["tracks"]]
    assert (publications["video"], "forbidden") == (refused["publication"], refused["code"])
    assert {"doc"} == {each.publisher for each in rules.asked if isinstance(each, SubscribeRequest)}


async def test_who_loads_the_page_again_is_told_again_what_is_not_allowed(make_live: MakeLive) -> None:
    """
    The new page has not heard of it; the application is not asked twice.
    """
    rules = Rules()
    live = await make_live(hooks=rules)
    picture = (await (await live.join("doc")).publish())["publications"][1]["id"]
    observer = await live.join("obs", role="observer")
    await observer.event("refused")
    await observer.ws.close()
    again = await live.join("obs", role="observer", resume=observer.joined["resume"])
    refused = await again.event("refused")

    assert again.joined["resumed"]
    assert (picture, "forbidden") == (refused["publication"], refused["code"])
    assert 2 == len([each for each in rules.asked if isinstance(each, SubscribeRequest)])


async def test_a_channel_that_is_not_allowed_carries_nothing(make_live: MakeLive) -> None:
    """
    What was sent on an allowed one before the answer arrives after it, in order; of the other nothing ever does.
    """
    rules = Rules()
    rules.delay_s = 0.3
    live = await make_live(hooks=rules)
    heard: dict[str, list[str | bytes]] = {"chat": [], "vitals": []}
    async with (
        await Client.join(live.url, live.token("doc"), "r1") as doctor,
        await Client.join(live.url, live.token("pat", role="patient"), "r1") as patient,
    ):
        for label, messages in heard.items():
            channel = await patient.channel(label)
            (await doctor.channel(label, on_message=messages.append)).options = None
            await channel.opened()
            for number in range(3):
                channel.send(f"{label} {number}")
        await until(lambda: len(heard["vitals"]) == 3)
        await until(lambda: any(each["type"] == "channel_refused" for each in patient.events))
        refused = [each for each in patient.events if each["type"] == "channel_refused"]

    assert {"chat": [], "vitals": ["vitals 0", "vitals 1", "vitals 2"]} == heard
    assert ("chat", "forbidden") == (refused[0]["label"], refused[0]["code"])
