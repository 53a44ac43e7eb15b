"""
Two people in two network namespaces, one of whom moves to another address in mid-call: programs for either side.

roaming.py caller: publishes a tone, and on "move" loses its address for another, comes back on another socket and
restarts ICE, as a phone that leaves the Wi-Fi does. roaming.py listener: says how long nothing was heard. Both are
aiortc, the caller with checks of its own (support.moved_path). roaming.py libwebrtc: a caller that is libwebrtc as it
is, and restarts ICE on "restart". All read a JSON line of settings first, then commands, and answer each with a JSON
line. Signalling is docs/signaling.md's.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent / "src")]


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


async def lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def call(commands: asyncio.StreamReader, settings: dict[str, str]) -> None:
    """The one who moves, on `device`, from address to address."""
    from support.moved_path import Credentials, MovedPath
    from telerelay.client import Client, Tone
    from telerelay.client.ws import Socket, websocket_url

    client = await Client.join(settings["url"], settings["token"], settings["room"])
    await client.publish([Tone()])
    await client.wait_for(lambda each: each.is_publishing)
    pc: Any = client._publish
    ids = set(client.publications)
    device, old = settings["device"], settings["address"]
    say(state="connected")
    paths: list[MovedPath] = []
    lost: list[Any] = []
    while new := (await commands.readline()).decode().strip():
        moved_at = time.monotonic()
        change = f"addr del {old}/24 dev {device}\naddr add {new}/24 dev {device}\n"
        process = await asyncio.create_subprocess_exec("ip", "-batch", "-", stdin=asyncio.subprocess.PIPE)
        await process.communicate(change.encode())
        path = MovedPath(pc)
        await path.open(new)
        # The old socket is left hanging: nothing can be sent from an address that is gone.
        seat = {"resume": client.resume_secret, "media": "keep", "last_seq": client._socket.last_seq}
        lost.append(client._socket)
        socket = client._socket = Socket(client._on_event)
        await socket.open(websocket_url(settings["url"]))
        joined = await socket.request("join", room=settings["room"], token=settings["token"], **seat)
        client.resume_secret, socket.last_seq = joined["resume"], seat["last_seq"]
        offered_at = time.monotonic()
        path.local = Credentials(f"move{len(paths)}", f"{len(paths):024}")
        tracks = [{"mid": each.mid, "source": each.source} for each in client.publications.values()]
        reply = await socket.request("publish", sdp=path.local.put_into(pc.localDescription.sdp), tracks=tracks)
        path.remote = Credentials.of(reply["sdp"])
        await path.check(nominates=True)
        path.use()
        paths.append(path)
        say(
            resumed=joined["resumed"],
            offer_after_ms=(offered_at - moved_at) * 1e3,
            sent_after_ms=(time.monotonic() - moved_at) * 1e3,
            is_same={each["id"] for each in reply["publications"]} == ids,
            dtls_records=sum(len(each.dtls) for each in paths),
        )
        old = new
    await client.leave()
    for each in lost:
        await each._session.close()


async def call_by_libwebrtc(commands: asyncio.StreamReader, settings: dict[str, str]) -> None:
    """The one who restarts ICE where it stands."""
    from support.moved_path import Credentials
    from support.wrtc_peer import Peer, description

    class Relay:
        """As much of RelayProcess as a Peer needs."""

        url = settings["url"]

        def token(self, room: str, sub: str) -> str:
            return settings["token"]

    peer = Peer(Relay(), settings["room"], "ada")
    await peer.join()
    await peer.publish(video=None)
    say(state="published")
    while (await commands.readline()).strip() == b"restart":
        pc = peer.publish_pc
        before = Credentials.of(pc.current_remote_description.sdp)
        pc.restart_ice()
        offer = await pc.create_offer()
        await pc.set_local_description(offer)
        tracks = [{"mid": each["mid"], "source": each["source"]} for each in peer.publications]
        reply = await peer.request("publish", sdp=offer.sdp, tracks=tracks)
        await pc.set_remote_description(description("answer", reply["sdp"]))
        after = Credentials.of(pc.current_remote_description.sdp)
        say(is_same=peer.publications == reply["publications"], is_restarted=before.ufrag != after.ufrag)
    await peer.leave()


def has_heard(heard: list[float], since: float, _client: Any) -> bool:
    return bool(heard) and heard[-1] > since


async def listen(commands: asyncio.StreamReader, settings: dict[str, str]) -> None:
    """The one who hears, and is heard. "gap" asks for the longest silence since the last time: packets of sound."""
    from telerelay.client import Client, Tone

    heard: list[float] = []
    async with await Client.join(settings["url"], settings["token"], settings["room"]) as client:

        def on_packet(packet: Any, _: int) -> None:
            if any(track.ssrc == packet.ssrc for track in client.remote_tracks.values() if track.kind == "audio"):
                heard.append(time.monotonic())

        client.tap.on_packet = on_packet
        await client.publish([Tone()])
        say(state="joined")
        while line := await commands.readline():
            if line.strip() == b"heard":
                heard.clear()
                await client.wait_for(lambda _: len(heard) > 50, 20)
                say(packets=len(heard), ssrcs=len(client.tap.streams))
            elif line.strip() == b"gap":
                await client.wait_for(partial(has_heard, heard, time.monotonic() + 1.0), 45)
                gaps = [after - before for before, after in itertools.pairwise(heard)]
                say(gap_ms=max(gaps) * 1e3, ssrcs=len(client.tap.streams), packets=len(heard))
                heard.clear()


async def main(role: str) -> None:
    commands = await lines()
    settings = json.loads(await commands.readline())
    roles = {"caller": call, "libwebrtc": call_by_libwebrtc, "listener": listen}
    await roles[role](commands, settings)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
