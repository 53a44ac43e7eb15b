"""
Where a peer's media comes from is known once it comes: the relay's own transports, and a real datagram's address.
"""

from __future__ import annotations

import aiohttp

from support.near_relay import near_relay
from support.raw_peer import RawPeer
from support.waiting import until


async def test_a_transport_knows_the_address_of_its_peer() -> None:
    """
    None before a check came; then the peer's, without its port.
    """
    async with near_relay() as relay, aiohttp.ClientSession() as http:
        peer = RawPeer()
        headers = {"Authorization": f"Bearer {relay.token('r1', 'ada')}", "Content-Type": "application/sdp"}
        async with http.post(f"{relay.url}/whip/r1", data=peer.offer("sendonly"), headers=headers) as response:
            answer = await response.text()
            assert 201 == response.status, answer
        (host,) = relay.relay._rooms.hosts
        (seat,) = host.seats.values()
        (resource,) = seat.resources.values()
        before = resource.connection.transport.uplink
        try:
            peer.start(answer)
            await until(lambda: resource.connection.transport.uplink != "")
        finally:
            peer.close()

    assert ("", "127.0.0.1") == (before, resource.connection.transport.uplink)
