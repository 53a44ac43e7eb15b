"""What the Python client says again, by itself, when its socket was lost before the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.near_relay import near_relay
from support.waiting import until
from telerelay import TelerelayError
from telerelay.client import Client, Tone


def lose_the_answer(client: Client, kind: str, *, is_heard: bool) -> None:
    """The next request of that kind breaks the socket: behind the relay's back, or when it has been done."""
    socket = client._socket
    ask = socket.request

    async def request(type: str, **fields: Any) -> dict[str, Any]:
        if type != kind:
            return await ask(type, **fields)
        if is_heard:
            await ask(type, **fields)
        assert socket._ws is not None
        await socket._ws.close(code=4000)
        raise TelerelayError("connection_lost", "lost on purpose")

    socket.request = request  # type: ignore[method-assign]


@pytest.mark.parametrize("is_heard", [False, True])
async def test_what_was_offered_when_the_socket_was_lost_is_published_all_the_same(is_heard: bool) -> None:
    """
    Once, whether the relay had heard of it or not; the other one hears it.
    """
    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob,
    ):
        lose_the_answer(ada, "publish", is_heard=is_heard)
        with pytest.raises(TelerelayError) as lost:
            await ada.publish([Tone()])
        assert "connection_lost" == lost.value.code
        await until(lambda: ada.comebacks == 1 and bob.tap.received > 10, timeout_s=60)

        assert 1 == len(ada.publications) == len(bob.remote_tracks)


async def test_what_was_sent_goes_on_though_aiortc_gave_the_connection_up() -> None:
    """
    As it does half a minute after a relay was lost: the tracks outlive it, and end when their owner leaves.
    """
    async with near_relay() as relay, await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob:
        tone = Tone()
        async with await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada:
            await ada.publish([tone])
            await until(lambda: bob.tap.received > 10, timeout_s=60)
            assert ada._publish is not None
            await ada._publish.close()
            heard = bob.tap.received
            await ada.reconnect("publish")
            await until(lambda: bob.tap.received > heard + 20, timeout_s=60)

            assert "live" == tone.readyState
        assert "ended" == tone.readyState


async def test_an_offer_for_a_connection_that_aiortc_gave_up_is_answered_by_another() -> None:
    """
    Whoever comes later is heard all the same.
    """
    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob,
    ):
        await ada.publish([Tone()])
        await until(lambda: bob.tap.received > 10, timeout_s=60)
        assert bob._subscribe is not None
        await bob._subscribe.close()
        heard = bob.tap.received
        async with await Client.join(relay.url, relay.token("r1", "eve"), "r1") as eve:
            await eve.publish([Tone()])
            await until(lambda: bob.tap.received > heard + 40 and len(bob.remote_tracks) == 2, timeout_s=60)


async def test_the_offer_of_a_new_seat_is_answered_however_long_the_old_socket_takes_to_close() -> None:
    """
    The new seat's connection is not taken for one of the seat before, and what follows is told.
    """
    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob,
    ):
        await ada.publish([Tone()])
        await until(lambda: bob.tap.received > 10, timeout_s=60)
        before, lost = bob._subscribe, bob._socket
        close = lost.close

        async def close_late() -> None:
            await until(lambda: bob._subscribe not in (None, before) and bob._subscribe.connectionState == "connected")
            await close()

        lost.close = close_late  # type: ignore[method-assign]
        bob.resume_secret = "nobody's"
        assert lost._ws is not None
        await lost._ws.close(code=4000)
        await until(lambda: bob.comebacks == 1, timeout_s=60)
        heard = bob.tap.received
        await until(lambda: bob.tap.received > heard + 20, timeout_s=60)
        async with await Client.join(relay.url, relay.token("r1", "eve"), "r1") as eve:
            await until(lambda: eve.participant in bob.participants, timeout_s=60)
        assert before is not None
        assert ("closed", "connected") == (before.connectionState, bob._subscribe and bob._subscribe.connectionState)


async def test_a_connection_that_aiortc_gives_up_while_an_offer_is_answered_is_begun_anew() -> None:
    """
    Nor does it keep from being told what follows.
    """
    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "ada"), "r1") as ada,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1") as bob,
    ):
        await ada.publish([Tone()])
        await until(lambda: bob.tap.received > 10, timeout_s=60)
        given_up = bob._subscribe
        assert given_up is not None
        take = given_up.setRemoteDescription

        async def take_and_give_up(description: Any) -> None:
            await take(description)
            await given_up.close()

        given_up.setRemoteDescription = take_and_give_up  # type: ignore[method-assign]
        async with await Client.join(relay.url, relay.token("r1", "eve"), "r1") as eve:
            await eve.publish([Tone()])
            await until(lambda: bob._subscribe is not given_up and len(bob.remote_tracks) == 2, timeout_s=60)
            heard = bob.tap.received
            await until(lambda: bob.tap.received > heard + 40, timeout_s=60)


async def test_whoever_is_told_and_fails_is_told_what_follows() -> None:
    """
    The loop's handler hears of the failure.
    """
    failures: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["message"]))

    def fail(message: dict[str, Any]) -> None:
        raise RuntimeError("the application's own")

    async with (
        near_relay() as relay,
        await Client.join(relay.url, relay.token("r1", "bob"), "r1", on_event=fail) as bob,
    ):
        for name in ("ada", "eve"):
            async with await Client.join(relay.url, relay.token("r1", name), "r1") as other:
                await until(lambda who=other.participant: who in bob.participants, timeout_s=60)  # type: ignore[misc]

    assert "telling of the event 'participant_joined' failed" in failures
