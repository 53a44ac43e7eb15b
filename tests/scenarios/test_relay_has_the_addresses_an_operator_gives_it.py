"""
A call through a relay on several addresses, behind a 1:1 NAT, over IPv6, and on all addresses there are.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp.test_utils import TestServer

from support.moved_path import MovedPath
from support.relay_process import free_port
from support.waiting import until
from telerelay import Config, Relay, TokenKeys
from telerelay.client import Client, Tone
from telerelay.config import with_values

LOOPBACK = ("127.0.0.1", "::1")


class Call:
    """Ada is heard by Bob, through a relay on these addresses."""

    def __init__(self, relay: Relay, ada: Client, bob: Client) -> None:
        self.relay, self.ada, self.bob = relay, ada, bob

    def offered(self) -> list[tuple[str, int]]:
        """Addresses and ports of the relay's candidates, as Bob was told."""
        sdp = next(event["sdp"] for event in self.bob.events if event["type"] == "offer")
        found = re.findall(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp, re.MULTILINE)
        return [(address, int(port)) for address, port in found]

    def used(self) -> tuple[str, int]:
        """Where Bob's packets go to."""
        return tuple(MovedPath(self.bob._subscribe).relay[:2])  # type: ignore[return-value]


@asynccontextmanager
async def call(
    binds: Sequence[str], advertise: Sequence[str] = (), addresses: Sequence[str] = ("127.0.0.1",)
) -> AsyncIterator[Call]:
    config = with_values(Config(), {"udp": {"binds": list(binds), "advertise": list(advertise)}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay, TestServer(relay.app()) as server:
        url = str(server.make_url("/"))
        people = []
        for name in ("ada", "bob"):
            token = relay.token(room="story", sub=name, role="practitioner")
            people.append(await Client.join(url, token, "story", addresses=addresses))
        ada, bob = people
        async with ada, bob:
            await ada.publish([Tone()])
            await bob.wait_for(lambda each: each.tap.received > 25)
            yield Call(relay, ada, bob)


async def test_all_binds_are_offered_and_one_is_enough() -> None:
    """
    Two addresses of IPv4 and one of IPv6, IPv6 first; a client that has only one of the networks gets through.
    """
    async with call(["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]) as made:
        offered = made.offered()

        assert ["::1", "127.0.0.1", "127.0.0.2"] == [address for address, _ in offered]
        assert made.used() in offered[1:]
        assert 0 == made.bob.tap.lost


async def test_a_call_over_ipv6_alone() -> None:
    """
    Bound to ::1, offered as ::1, used as ::1.
    """
    async with call(["[::1]:0"], addresses=("::1",)) as made:
        assert [made.used()] == made.offered()
        assert "::1" == made.used()[0]


async def test_an_address_that_leads_nowhere_hinders_nobody() -> None:
    """
    Of two IPv4 addresses and an IPv6 one that are advertised, the first is blocked: media takes another.
    """
    async with call(
        ["127.0.0.1:0", "[::1]:0"], advertise=["127.0.0.9", "127.0.0.1", "::1"], addresses=LOOPBACK
    ) as made:
        offered = made.offered()

        assert ["::1", "127.0.0.9", "127.0.0.1"] == [address for address, _ in offered]
        assert made.used()[0] in LOOPBACK
        assert 0 == made.bob.tap.lost


async def test_media_of_a_wildcard_comes_from_the_address_that_was_used() -> None:
    """
    Bound to 0.0.0.0 and advertised as 127.0.0.2: a socket that takes packets from there alone gets checks answered and
    media.
    """
    async with call(["0.0.0.0:0"], advertise=["127.0.0.2"]) as made:
        path = MovedPath(made.bob._subscribe)
        await path.open("127.0.0.1")
        await path.check(nominates=True)
        await path.silence_old_path()
        await path.check(nominates=True)
        await until(lambda: len(path.media) > 25, every_s=0.01)
        path.close()

        assert [("127.0.0.2", made.used()[1])] == made.offered()
        assert path.relay == made.used()


async def test_a_relay_behind_a_1_to_1_nat() -> None:
    """
    Bound to a private address, advertised as the public one that a NAT passes on to it, port by port: offered and used
    is the public one alone.
    """
    port = free_port(socket.SOCK_DGRAM)
    nat = Nat(("127.0.0.9", port), ("127.0.0.1", port))
    try:
        async with call([f"127.0.0.1:{port}"], advertise=["127.0.0.9"]) as made:
            assert [("127.0.0.9", port)] == made.offered()
            assert ("127.0.0.9", port) == made.used()
            assert 0 == made.bob.tap.lost
    finally:
        nat.close()


class Nat:
    """Passes what comes to `public` on to `private`, and back: a socket for each client."""

    def __init__(self, public: tuple[str, int], private: tuple[str, int]) -> None:
        self._private = private
        self._outside = self._socket(public)
        self._inside: dict[tuple[str, int], socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._outside, self._in)

    @staticmethod
    def _socket(address: tuple[str, int]) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(address)
        return made

    def _in(self) -> None:
        data, client = self._outside.recvfrom(2000)
        inside = self._inside.get(client)
        if inside is None:
            inside = self._inside[client] = self._socket(("127.0.0.1", 0))
            self._loop.add_reader(inside, self._out, inside, client)
        inside.sendto(data, self._private)

    def _out(self, inside: socket.socket, client: tuple[str, int]) -> None:
        self._outside.sendto(inside.recv(2000), client)

    def close(self) -> None:
        for each in (self._outside, *self._inside.values()):
            self._loop.remove_reader(each)
            each.close()
