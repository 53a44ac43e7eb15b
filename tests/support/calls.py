"""
Calls that go on while something happens to the relay, and what their receiving ends count.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client, MovingPicture, Tone, publish_whip, subscribe_whep
from telerelay.client.tap import Tap
from telerelay.client.whip import HttpSession

STEADY_PACKETS = 100
"""What a receiver has to get before a call counts as going on: two seconds of sound, or one of both."""


class Receiver(Protocol):
    """Whoever counts what it receives."""

    tap: Tap


async def going_on(receivers: Sequence[Receiver], packets: int = STEADY_PACKETS, timeout_s: float = 60.0) -> None:
    """Wait until each of them has received so many more packets."""
    before = [receiver.tap.received for receiver in receivers]
    await until(
        lambda: all(receiver.tap.received >= had + packets for receiver, had in zip(receivers, before, strict=True)),
        timeout_s=timeout_s,
    )


def lost(receivers: Sequence[Receiver]) -> list[int]:
    """Packets that never came, by the sequence numbers each of them saw."""
    return [receiver.tap.lost for receiver in receivers]


@asynccontextmanager
async def whip_to_whep(relay: RelayProcess, room: str = "wh") -> AsyncIterator[tuple[HttpSession, HttpSession]]:
    """One publishes sound and picture over WHIP, one receives them over WHEP."""
    async with AsyncExitStack() as stack:
        tracks = [Tone(), MovingPicture()]
        whip = await stack.enter_async_context(
            await publish_whip(f"{relay.url}/whip/{room}", relay.token(room, "source"), tracks)
        )
        whep = await stack.enter_async_context(
            await subscribe_whep(f"{relay.url}/whep/{room}", relay.token(room, "sink"))
        )
        await until(lambda: len(whep.tap.streams) == 2, timeout_s=30)
        yield whip, whep


@asynccontextmanager
async def consult(relay: RelayProcess, room: str = "ws") -> AsyncIterator[tuple[Client, Client]]:
    """Two people over the WebSocket, each sending sound and picture to the other."""
    async with AsyncExitStack() as stack:
        people = []
        for sub in ("patient", "doctor"):
            client = await Client.join(relay.url, relay.token(room, sub), room)
            people.append(await stack.enter_async_context(client))
            await client.publish([Tone(), MovingPicture()])
        await until(lambda: all(len(each.tap.streams) == 2 for each in people), timeout_s=30)
        yield people[0], people[1]


async def aside(call: object, *arguments: object) -> object:
    """A blocking call, without keeping this loop's media waiting."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)  # type: ignore[arg-type]
