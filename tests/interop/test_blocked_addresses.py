"""
Firefox at a relay that has three addresses, one of which a firewall blocks.

The relay is bound to two IPv4 addresses and one IPv6 address of the namespace's interface; nftables drops what goes to
one of them. The IPv6 address is what the relay lists first.
"""

from __future__ import annotations

import socket
import time

import pytest

from interop.firefox import Firefox
from interop.network import ADDRESS, also_at, blocked, dropped
from interop.programs import slow
from interop.seen import seen
from support.relay_process import RelayProcess, free_port
from support.waiting import until
from support.wrtc_peer import Peer, Peers

SECOND, SIX = "10.203.0.3", "fd00:203::1"

# ICE sends its checks 50 ms apart (RFC 8445, 14.2) on whatever pairs there are: a dead address costs a few of those,
# not a timeout.
MAX_FIRST_PICTURE_S = 3.0

OFFERED = """consult.call.stats().then(({ subscribe }) => [...subscribe.values()]
  .filter(({ type }) => type === "remote-candidate").map(({ address }) => address))"""

USED = """consult.call.stats().then((stats) => [stats.publish, stats.subscribe].map((report) => {
  const pair = [...report.values()].find(({ type, selected }) => type === "candidate-pair" && selected);
  return pair ? report.get(pair.remoteCandidateId).address : null; }))"""
"""Where each of Firefox's connections sends to."""


@slow
@pytest.mark.parametrize(
    "address", [pytest.param(ADDRESS, id="first-v4"), pytest.param(SECOND, id="second-v4"), pytest.param(SIX, id="v6")]
)
async def test_firefox_gets_through_where_one_of_three_addresses_is_blocked(room: str, address: str) -> None:
    """
    Picture and sound come both ways by an address that is not blocked, the first picture within three seconds.
    """
    port = free_port()
    binds = [f"{ADDRESS}:{port}", f"{SECOND}:{port}", f"[{SIX}]:{port}"]
    with also_at(SECOND, SIX), blocked(address), RelayProcess("--udp", *binds[1:], udp=binds[0]) as relay:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.sendto(b"?", (address, port))
        assert 1 == dropped()
        async with Peers(relay) as peers, Firefox() as firefox:
            ada = await peers.join(room, "ada")
            await ada.publish()
            await firefox.open(f"{relay.url}/?room={room}#token={relay.token(room, 'fox')}")
            await firefox.until("document.getElementById('status').textContent.includes('You are ready')")
            begun = time.monotonic()
            await firefox.join()
            await firefox.eventually(lambda tracks: any(track["frames"] >= 1 for track in tracks), "video", 20)
            took_s = time.monotonic() - begun
            await firefox.eventually(lambda tracks: any(track["frames"] >= 30 for track in tracks), "video")
            await firefox.eventually(lambda tracks: any(track["audio_energy"] > 0.001 for track in tracks), "audio")
            await until(lambda: _sees_and_hears(ada))

            used = await firefox.evaluate(USED)
            offered = await firefox.evaluate(OFFERED)
            assert {ADDRESS, SECOND, SIX} == {each.strip("[]") for each in offered}
            assert address not in used
            assert all(used)
            assert took_s <= MAX_FIRST_PICTURE_S
            seen("Firefox ESR", firefox.version, "subscribe", f"{address} of three blocked, picture {took_s:.1f} s")


async def _sees_and_hears(peer: Peer) -> bool:
    picture, sound = await peer.inbound("video"), await peer.inbound("audio")
    if picture is None or sound is None:
        return False
    return (picture.frames_decoded or 0) >= 30 and (sound.total_audio_energy or 0) > 0
