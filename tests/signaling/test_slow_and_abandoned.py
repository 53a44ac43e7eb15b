"""
Storms of renegotiation, peers that are slow on purpose, and joins given up half-way (threat catalogue A44, A47, A49).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest

from support.live_relay import Live, MakeLive, offer_sdp
from support.raw_peer import RawPeer
from support.relay_process import RelayProcess
from support.waiting import until
from telerelay.signaling import seat as seats

# ---------------------------------------------------------------------- A44


async def test_of_a_thousand_offers_at_once_the_first_five_count_and_the_rest_are_refused(make_live: MakeLive) -> None:
    """
    Each restarts ICE; the transport answers under the last that was taken, the flood is closed after a hundred refusals
    in a row, and the seat and what was agreed with the other person stay.
    """
    live = await make_live({"limits": {"message_burst": 5000}})
    bob, alice = await live.join("bob"), await live.join("alice")
    offers = [offer_sdp().replace("a=ice-ufrag:gEN2", f"a=ice-ufrag:user{n}") for n in range(1000)]
    tracks = [{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]
    with suppress(ConnectionError):
        for n, sdp in enumerate(offers):
            await alice.ws.send_str(json.dumps({"type": "publish", "id": n + 2, "sdp": sdp, "tracks": tracks}))
    code = await alice.close_code()
    taken = [message["id"] - 2 for message in alice.events if message["type"] == "reply"]
    refused = [message["code"] for message in alice.events if message["type"] == "error"]
    (seat,) = [each for each in live.relay._rooms.hosts[0].seats.values() if each.participant.sub == "alice"]

    assert [0, 1, 2, 3, 4] == taken[:5]
    assert len(taken) <= 6  # one more every two seconds
    assert (4008, {"too_many_requests"}) == (code, set(refused))
    assert seat.publishing is not None
    assert seat.publishing.transport.remote_ice is not None
    assert f"user{taken[-1]}" == seat.publishing.transport.remote_ice.ufrag
    assert 2 == len({track["publication"] for track in (await bob.event("offer"))["tracks"]})


# ---------------------------------------------------------------------- A47


class Slow:
    """One peer that takes its time, over a bare TCP connection; `closed_s` once the relay had enough of it."""

    def __init__(self, kind: str, relay: RelayProcess, number: int) -> None:
        self.kind, self.relay, self.number = kind, relay, number
        self.closed_s = 0.0

    async def run(self) -> None:
        host, _, port = self.relay.url.rpartition("/")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        begun = time.monotonic()
        dripping = asyncio.create_task(self._drip(writer))
        try:
            while await reader.read(65536):
                pass
        except ConnectionError:
            pass
        finally:
            self.closed_s = time.monotonic() - begun
            dripping.cancel()
            writer.close()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        head = f"Host: {self.relay.url.rpartition('/')[2]}\r\n"
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        upgrade += "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        match self.kind:
            case "silent":
                return
            case "headers":
                writer.write(f"GET / HTTP/1.1\r\n{head}X-A: ".encode())
            case "body":
                token = self.relay.token("slow", f"s{self.number}")
                fields = f"Authorization: Bearer {token}\r\nContent-Type: application/sdp\r\nContent-Length: 60000\r\n"
                writer.write(f"POST /whip/slow HTTP/1.1\r\n{head}{fields}\r\n".encode())
            case "no join":
                writer.write(f"GET /ws HTTP/1.1\r\n{head}{upgrade}".encode())
                return
            case "frame":  # a masked text frame of 100 bytes that never ends
                writer.write(f"GET /ws HTTP/1.1\r\n{head}{upgrade}".encode() + b"\x81\xe4\0\0\0\0")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.5)


async def good_join(http: aiohttp.ClientSession, relay: RelayProcess, sub: str) -> float:
    """Seconds from the first byte of a join over a WebSocket to its reply."""
    begun = time.monotonic()
    async with http.ws_connect(f"{relay.url}/ws") as ws:
        await ws.send_json({"type": "join", "id": 1, "room": "good", "token": relay.token("good", sub)})
        reply = await ws.receive_json()
        took_s = time.monotonic() - begun
        assert reply["type"] == "reply", reply
        await ws.send_json({"type": "leave"})
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    return took_s


@pytest.mark.timed
@pytest.mark.parametrize("each", [20, pytest.param(400, marks=pytest.mark.slow)])
async def test_slow_peers_of_five_kinds_keep_no_join_waiting(descriptors: None, each: int) -> None:
    """
    A hundred of them (two thousand among the slow tests): good joins take 500 ms at most meanwhile, and every slow peer
    is closed no more than 5 s after the time its kind has.
    """
    kinds = {"silent": 10.0, "headers": 10.0, "body": 5.0, "no join": 5.0, "frame": 5.0}
    with RelayProcess() as relay:
        slow = [Slow(kind, relay, n) for n in range(each) for kind in kinds]
        running = []
        for n, one in enumerate(slow):
            running.append(asyncio.create_task(one.run()))
            if n % 50 == 49:  # two thousand within half a second, and a moment for this process's other tasks
                await asyncio.sleep(0.01)
        took_s = []
        async with aiohttp.ClientSession() as http:
            for n in range(20):
                took_s.append(await good_join(http, relay, f"p{n}"))
        still_there = sum(not one.done() for one in running)
        await asyncio.wait(running, timeout=40)
        kept = Counter(one.kind for one, task in zip(slow, running, strict=True) if not task.done())
        for task in running:
            task.cancel()
    late = [(one.kind, one.closed_s) for one in slow if one.closed_s > kinds[one.kind] + 5.0]
    p50_s = sorted(took_s)[10]
    print(
        f"\n{len(slow)} slow peers, {still_there} there at the end: joins took {p50_s:.3f} s, {max(took_s):.3f} at most"
    )

    assert still_there > len(slow) / 2  # they were there while the good ones joined
    assert max(took_s) <= 0.5
    assert ({}, []) == (kept, late)


# ---------------------------------------------------------------------- A49


async def vanish_after_the_connection(live: Live, n: int) -> None:
    port = int(live.root.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.abort()


async def vanish_after_the_handshake(live: Live, n: int) -> None:
    peer = await live.connect()
    peer.ws._response.connection.transport.abort()  # type: ignore[union-attr]


async def vanish_with_a_bad_token(live: Live, n: int) -> None:
    peer = await live.connect()
    await peer.ws.send_str(json.dumps({"type": "join", "id": 1, "room": f"x{n}", "token": "x.y.z"}))
    peer.ws._response.connection.transport.abort()  # type: ignore[union-attr]


async def vanish_after_the_join(live: Live, n: int) -> None:
    peer = await live.join(f"p{n}", f"x{n % 7}")
    peer.ws._response.connection.transport.abort()  # type: ignore[union-attr]


async def vanish_after_the_answer(live: Live, n: int) -> None:
    peer = await live.join(f"p{n}", f"x{n % 7}")
    await peer.publish()
    peer.ws._response.connection.transport.abort()  # type: ignore[union-attr]


async def whip(live: Live, n: int) -> tuple[RawPeer, str]:
    peer = RawPeer()
    headers = live.bearer(f"w{n}", f"x{n % 7}")
    async with live.http.post(f"{live.url}/whip/x{n % 7}", data=peer.offer("sendonly"), headers=headers) as response:
        assert response.status == 201
        return peer, await response.text()


async def vanish_after_the_post(live: Live, n: int) -> None:
    peer, _ = await whip(live, n)
    peer.close()


async def vanish_in_the_dtls_handshake(live: Live, n: int) -> None:
    """A check and a ClientHello; then nobody is there."""
    peer, answer = await whip(live, n)
    peer.start(answer)
    peer.close()


async def vanish_once_connected(live: Live, n: int) -> None:
    peer, answer = await whip(live, n)
    peer.start(answer)
    await peer.connected.wait()
    peer.close()


def own_tasks() -> int:
    """Tasks there are, without those of HTTP connections that the client's pool keeps open."""
    return sum("RequestHandler" not in str(task.get_coro()) for task in asyncio.all_tasks())


STEPS: list[Callable[[Live, int], Awaitable[None]]] = [
    vanish_after_the_connection,
    vanish_after_the_handshake,
    vanish_with_a_bad_token,
    vanish_after_the_join,
    vanish_after_the_answer,
    vanish_after_the_post,
    vanish_in_the_dtls_handshake,
    vanish_once_connected,
]


@pytest.fixture
async def cut() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.mark.parametrize("count", [160, pytest.param(6000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_joins_given_up_at_every_step_leave_nothing_behind(
    make_live: MakeLive, cut: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """
    A hundred a second, each step in turn (for a minute among the slow tests); a hospital's good join from the same
    address goes through, and once the deadlines are over there is no transport, room, socket or task more than before.
    """
    monkeypatch.setattr(seats, "UNCHECKED_DEADLINE_S", 0.5)
    monkeypatch.setattr("telerelay.signaling.host.UNCHECKED_DEADLINE_S", 0.5)
    monkeypatch.setattr("telerelay.signaling.host.HALF_OPEN_DEADLINE_S", 1.0)
    live = await make_live(
        {
            "rooms": {"seat_s": 1, "max_participants": 1000},
            "media": {"consent_timeout_s": 5},
            "limits": {"join_timeout_s": 1},
        }
    )
    # Connections cut under the client's feet keep their place in its pool, which therefore may have no limit.
    live.http = await cut.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    tasks = own_tasks()
    rng, running = random.Random(49), []
    for n in range(count):
        running.append(asyncio.create_task(STEPS[n % len(STEPS)](live, n)))  # type: ignore[arg-type]
        await asyncio.sleep(rng.random() / 50)
    await asyncio.gather(*running)
    good = await live.join("good", "x0")
    assert "reply" == (await good.publish())["type"]
    await good.ask("leave")
    await good.close_code()
    rooms = live.relay._rooms
    await until(lambda: not (live.transports() or rooms.hosts or rooms.sockets), 30)
    await until(lambda: own_tasks() <= tasks, 10)

    assert (0, 0) == (live.transports(), len(rooms.hosts))
