"""What the Python client says again, by itself, when its socket was lost before the answer."""

from __future__ import annotations

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
