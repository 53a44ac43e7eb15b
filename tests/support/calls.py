"""
Calls that go on while something happens to the relay, and what their receiving ends count.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from aiortc import RTCPeerConnection

from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.client import Client, MovingPicture, Tone, publish_whip, subscribe_whep
from telerelay.client.tap import Tap
from telerelay.client.whip import HttpSession

SO_RCVBUFFORCE = 33  # socket(7): past the system's limit, for root

STEADY_PACKETS = 100
"""What a receiver has to get before a call counts as going on: two seconds of sound, or one of both."""


class Receiver(Protocol):
    """Whoever counts what it receives."""

    tap: Tap


def widen(*connections: RTCPeerConnection | None) -> None:
    """
    Room for seconds of media in the sockets of our own receivers: what counts is what the relay loses, not what a busy
    machine keeps this process from reading.
    """
    for pc in connections:
        for transceiver in pc.getTransceivers() if pc is not None else ():
            for protocol in transceiver.receiver.transport.transport.iceGatherer._connection._protocols:
                line = protocol.transport.get_extra_info("socket")
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
                with contextlib.suppress(PermissionError):
                    line.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)


def small_picture() -> MovingPicture:
    """
    Five connections encode and decode in this one process. One that cannot keep up reads the answers to its checks too
    late, and aiortc ends it after six: nothing of that is the relay's.
    """
    return MovingPicture(160, 96)


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
        tracks = [Tone(), small_picture()]
        whip = await stack.enter_async_context(
            await publish_whip(f"{relay.url}/whip/{room}", relay.token(room, "source"), tracks)
        )
        whep = await stack.enter_async_context(
            await subscribe_whep(f"{relay.url}/whep/{room}", relay.token(room, "sink"))
        )
        widen(whep.pc)
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
            await client.publish([Tone(), small_picture()])
        await until(lambda: all(len(each.tap.streams) == 2 for each in people), timeout_s=30)
        for each in people:
            widen(each._subscribe)
        yield people[0], people[1]


async def restart_control(relay: RelayProcess) -> None:
    """Kill the control process and start it again, until it is ready; its workers go on."""
    await aside(relay.kill)
    await aside(relay.start)


async def aside(call: object, *arguments: object) -> object:
    """A blocking call, without keeping this loop's media waiting."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)  # type: ignore[arg-type]
