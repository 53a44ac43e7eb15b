"""
A client whose address changes in mid-call, for each stack that is a program of its own, and aiortc.

It is in a namespace of its own, where its one address is taken away and replaced. What can restart ICE does so by a
WHIP and a WHEP PATCH (RFC 9725, 4.3.3) and goes on in the same session; what cannot is asked for it all the same, shown
not to do it, and begins anew. Judged by the participant who watches, and by what the client itself decodes or echoes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.echoes import Program, gstreamer_program, node_program, watch
from interop.network import Elsewhere
from interop.programs import slow
from interop.seen import seen
from support.relay_process import RelayProcess, free_port
from support.waiting import until
from support.wrtc_peer import Peer, Peers

STACKS = {
    "werift": ("werift", "werift"),
    "@roamhq/wrtc": ("roamhq-wrtc", "@roamhq/wrtc"),
    "node-datachannel": ("node-datachannel", "node-datachannel"),
}


@pytest.fixture
def there() -> Iterator[Elsewhere]:
    """The place a client is at."""
    with Elsewhere() as place:
        yield place


@pytest.fixture
def relay(there: Elsewhere) -> Iterator[RelayProcess]:
    """A relay that can be reached from there."""
    with RelayProcess(http=f"{there.near}:{free_port()}", udp=f"{there.near}:{free_port()}") as process:
        yield process


async def _goes_on(program: Program, peer: Peer, width: int, height: int) -> None:
    """Both ways from now on: the program receives, and what it publishes is decoded and heard."""
    received = program.counts["video"], program.counts["audio"]
    await watch(peer, program, width, height)
    try:
        await until(lambda: program.counts["video"] >= received[0] + 60 and program.counts["audio"] >= received[1] + 60)
    except TimeoutError:
        raise AssertionError(f"{received} {program.counts} {program.errors[-5:]}") from None


@slow
@pytest.mark.parametrize(("package", "size"), [("werift", (640, 480)), ("@roamhq/wrtc", (320, 240))])
async def test_a_stack_restarts_ice_from_another_address(
    relay: RelayProcess, wrtc_peers: Peers, room: str, there: Elsewhere, package: str, size: tuple[int, int]
) -> None:
    """
    Both its sessions get other credentials by PATCH, and media goes on in them: what is published stays one stream.
    """
    async with node_program(*STACKS[package], there=there) as program:
        ada = await wrtc_peers.join(room, "ada")
        await ada.publish(video=(640, 480, 30))
        await program.start(relay, room, "mover", "VP8")
        await watch(ada, program, *size)
        before = await ada.inbound("video")

        there.move()
        restarted = await program.ask("restart")
        await _goes_on(program, ada, *size)

        after = await ada.inbound("video")
        assert [True, True] == [each["before"] != each["after"] for each in restarted]
        assert before.ssrc == after.ssrc
        seen(package, program.version, "publish", "ICE restart")
        seen(package, program.version, "subscribe", "ICE restart")


@slow
@pytest.mark.parametrize(("package", "size"), [("node-datachannel", (640, 480)), ("GStreamer webrtcbin", (320, 240))])
async def test_a_stack_without_ice_restart_reconnects_from_another_address(
    relay: RelayProcess, wrtc_peers: Peers, room: str, there: Elsewhere, package: str, size: tuple[int, int]
) -> None:
    """
    Asked for an offer with other credentials it offers the old ones; it ends its sessions and begins others.
    """
    program = node_program(*STACKS[package], there=there) if package in STACKS else gstreamer_program(there)
    async with program:
        ada = await wrtc_peers.join(room, "ada")
        await ada.publish(video=(640, 480, 30))
        await program.start(relay, room, "mover", "VP8")
        await watch(ada, program, *size)

        there.move()
        asked = await program.ask("restart")
        await program.ask("reconnect")
        await _goes_on(program, ada, *size)

        assert [True, True] == [each["before"] == each["after"] for each in asked]
        seen(package, program.version, "publish", "reconnect (has no ICE restart)")
        seen(package, program.version, "subscribe", "reconnect (has no ICE restart)")
