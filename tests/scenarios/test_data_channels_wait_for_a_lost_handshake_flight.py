"""
The relay's last DTLS flight is lost: nothing of data channels may reach a client before that flight has come again.

aiortc takes one record for each datagram. One that came too early stays behind in its OpenSSL, and from then on each is
read only when the next one comes: a transfer then moved on every three seconds, by two packets.
"""

from __future__ import annotations

import contextlib
import socket

from OpenSSL import SSL

from support.impairment import Fate, UdpImpairment
from support.relay_process import RelayProcess
from telerelay.client import Client

CHANGE_CIPHER_SPEC, APPLICATION_DATA = 20, 23


class LosesLastFlights(UdpImpairment):
    """Loses the first datagram to each client that begins with the change of cipher; keeps which way records went."""

    def __init__(self, relay: tuple[str, int]) -> None:
        super().__init__(relay)
        self.lost: set[tuple[str, int]] = set()
        self.data: dict[tuple[str, int], list[str]] = {}

    def _pass(self, way: str, fate: Fate, sock: socket.socket, datagram: bytes, to: tuple[str, int]) -> None:
        client = to if way == "down" else self._client_of[sock.fileno()]
        if way == "down" and datagram[0] == CHANGE_CIPHER_SPEC and client not in self.lost:
            self.lost.add(client)
            return
        if datagram[0] == APPLICATION_DATA:
            self.data.setdefault(client, []).append(way)
        super()._pass(way, fate, sock, datagram, to)


async def test_data_channels_wait_for_a_lost_handshake_flight(relay: RelayProcess) -> None:
    """
    The client's first record comes before the relay's first one, and a message arrives with nothing left behind.
    """
    with LosesLastFlights(relay.udp_address) as line:
        async with (
            await Client.join(relay.url, relay.token("flight", "bob"), "flight") as bob,
            await Client.join(relay.url, relay.token("flight", "cem"), "flight", relay_port=line.port) as cem,
        ):
            sending = await cem.channel("chat")
            await sending.opened(20)
            await bob.wait_for(lambda each: "chat" in each.channels, 20)
            sending.send("hello")
            heard = await bob.channels["chat"].receive()
            bob.channels["chat"].send("hello yourself")
            answer = await sending.receive()
            assert cem._publish is not None
            left = 0
            with contextlib.suppress(SSL.WantReadError):
                left = len(cem._publish.sctp.transport._ssl.recv(1500))

    assert line.lost
    assert ("hello", "hello yourself", 0) == (heard, answer, left)
    assert {"up"} == {ways[0] for ways in line.data.values()}
