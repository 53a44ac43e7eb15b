"""The relay as an application holds it: its life, its faces, and media through it."""

import asyncio
import importlib.util
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import telerelay
from telerelay import Config, ConfigError, LocalProtocolError, Relay, TokenKeys
from telerelay.client import Client, MovingPicture, Tone, publish_whip, subscribe_whep
from telerelay.config import with_values
from telerelay.relay import is_loopback

KEYS = TokenKeys.of(b"k" * 32)
EMBED = Path(__file__).resolve().parent.parent / "examples" / "embed_aiohttp.py"


def config(**values: dict[str, object]) -> Config:
    return with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, **values})


@asynccontextmanager
async def served(relay: Relay) -> AsyncIterator[str]:
    """The relay's application on a listener of its own; its URL."""
    server = TestServer(relay.app())
    await server.start_server()
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


async def until(condition: Any, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- life


async def test_a_relay_starts_and_ends_and_starts_again() -> None:
    """
    Nothing is left running: no task, no port, no thread.
    """
    for _ in range(2):
        relay = Relay(config(), keys=KEYS)
        tasks_before = asyncio.all_tasks()
        async with relay:
            (address,) = relay.udp_addresses
            assert 1 == len(relay.stats())
        host, _, port = address.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, int(port)))

        assert tasks_before == asyncio.all_tasks()
        assert () == relay.stats()


async def test_a_relay_that_runs_is_not_started_twice() -> None:
    """
    A mistake of the application, named as one.
    """
    async with Relay(config(), keys=KEYS) as relay:
        with pytest.raises(LocalProtocolError):
            await relay.__aenter__()


async def test_without_a_key_there_is_no_relay() -> None:
    """
    Tokens must be signed with something.
    """
    with pytest.raises(ConfigError) as error:
        Relay(config())
    assert "no_key" == error.value.code


def name_of(pid: int) -> str:
    """Of a process; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


async def test_workers_may_live_in_processes_of_their_own(tmp_path: Path) -> None:
    """
    An application that embeds the relay may ask for it; they end with the relay.
    """
    values = {"workers": {"host": "process", "count": 2}, "serve": {"run_dir": str(tmp_path / "run")}}
    async with Relay(config(**values), keys=KEYS) as relay:
        pids = relay.worker_pids
        assert 2 == len(set(pids) - {os.getpid()})
        assert ["telerelay-w0", "telerelay-w1"] == [name_of(pid) for pid in pids]
    assert ["", ""] == [name_of(pid) for pid in pids]


async def test_a_port_in_use_fails_before_anything_runs() -> None:
    """
    One precise error; what was bound before is free again.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        values = {"binds": ["127.0.0.1:0", f"127.0.0.1:{port}"]}
        with pytest.raises(ConfigError, match=f"{port}: Address already in use"):
            await Relay(config(udp=values), keys=KEYS).__aenter__()


async def test_each_worker_has_its_ports_and_its_rooms() -> None:
    """
    Rooms go to the worker with the fewest transports; candidates lead to it.
    """
    async with Relay(config(workers={"count": 2}), keys=KEYS) as relay, served(relay) as url:
        clients = []
        for room in ("r1", "r2"):
            client = await Client.join(url, relay.token(room=room, sub="alice", role="patient"), room)
            clients.append(client)
            await client.publish([Tone()])
        await until(lambda: [1, 1] == [sum(stats.transports.values()) for stats in relay.stats()])
        for client in clients:
            await client.leave()
        await until(lambda: [0, 0] == [sum(stats.transports.values()) for stats in relay.stats()])

        assert 2 == len(set(relay.udp_addresses))


async def test_an_ended_application_ends_its_relay() -> None:
    """
    `relay.lifetime` in cleanup_ctx binds one to the other.
    """
    relay = Relay(config(), keys=KEYS)
    app = web.Application()
    app.add_subapp("/video/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    server = TestServer(app)
    await server.start_server()
    running = len(relay.udp_addresses)
    await server.close()

    assert (1, ()) == (running, relay.udp_addresses)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("192.0.2.1", False), ("x", False)],
)
def test_what_loopback_is(host: str, expected: bool) -> None:
    """
    Only what no other machine can reach.
    """
    assert expected == is_loopback(host)


def test_public_names_are_what_the_package_exports() -> None:
    """
    Each name of __all__ is there.
    """
    assert [] == [name for name in telerelay.__all__ if not hasattr(telerelay, name)]


# ---------------------------------------------------------------------- media


async def test_two_people_hear_and_see_each_other() -> None:
    """
    Both tracks arrive decoded on both sides, nothing is lost, and each sender has a connected transport.
    """
    async with Relay(config(), keys=KEYS) as relay, served(relay) as url:
        alice, bob = [
            await Client.join(url, relay.token(room="r1", sub=sub, role="practitioner"), "r1")
            for sub in ("alice", "bob")
        ]
        async with alice, bob:
            for client in (alice, bob):
                await client.publish([Tone(), MovingPicture()])
            for client in (alice, bob):
                await client.wait_for(lambda each: len(each.track_stats()) == 2, 20)
                await client.wait_for(lambda each: all(track.frames > 10 for track in each.track_stats()), 20)
            stats = await alice.relay_stats()
            lost = sum(track.lost_packets for client in (alice, bob) for track in client.track_stats())

    assert ("connected", "connected") == (stats["publish"]["state"], stats["subscribe"]["state"])
    assert stats["publish"]["srtp_profile"]
    assert all(receiver["rx_packets"] > 0 for receiver in stats["publish"]["receivers"])
    assert all(sender["tx_packets"] > 0 for sender in stats["subscribe"]["senders"])
    assert 0 == lost


async def test_whip_reaches_whep() -> None:
    """
    A camera by WHIP arrives at a wall by WHEP that was there before it.
    """
    async with Relay(config(), keys=KEYS) as relay, served(relay) as url:
        wall = await subscribe_whep(f"{url}/whep/r1", relay.token(room="r1", sub="wall", role="observer"))
        async with wall:
            camera_token = relay.token(room="r1", sub="camera", role="device")
            async with await publish_whip(f"{url}/whip/r1", camera_token, [Tone(), MovingPicture()]):
                await until(lambda: relay.stats()[0].tx_rtp_packets > 50, 20)
                drops = relay.stats()[0].drops

    assert not [reason for reason in drops if reason.startswith(("rtp", "codec", "not_admitted"))]


async def test_a_pause_stops_one_track_and_no_other() -> None:
    """
    The publisher notices nothing; a resume brings it back.
    """
    async with Relay(config(), keys=KEYS) as relay, served(relay) as url:
        alice, bob = [
            await Client.join(url, relay.token(room="r1", sub=sub, role="practitioner"), "r1")
            for sub in ("alice", "bob")
        ]
        async with alice, bob:
            (tone,) = await alice.publish([Tone()])
            await bob.wait_for(lambda each: any(track.frames > 5 for track in each.track_stats()), 20)
            await bob.pause(tone.id)
            await until(lambda: relay.stats()[0].drops.get("paused", 0) > 5)
            sent = (await bob.relay_stats())["subscribe"]["senders"][0]["tx_packets"]
            await until(lambda: relay.stats()[0].drops.get("paused", 0) > 15)
            still = (await bob.relay_stats())["subscribe"]["senders"][0]["tx_packets"]
            await bob.pause(tone.id, False)
            before = bob.track_stats()[0].frames
            await bob.wait_for(lambda each: each.track_stats()[0].frames > before + 5, 20)

    assert sent == still


# ---------------------------------------------------------------------- embedding


async def test_the_embedding_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An existing application mounts the relay in under 20 lines of its own; its link leads to the page, its token opens
    the room.
    """
    monkeypatch.setenv("TELERELAY_UDP_BINDS", "127.0.0.1:0")
    spec = importlib.util.spec_from_file_location("embed_aiohttp", EMBED)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    server = TestServer(example.app)
    await server.start_server()
    try:
        async with aiohttp.ClientSession() as http:
            async with http.post(server.make_url("/appointments/42/patient-7")) as response:
                link = (await response.json())["link"]
            async with http.get(server.make_url(link)) as response:
                page = response.status
        prefix, _, token = link.partition("?room=42#token=")
        client = await Client.join(str(server.make_url(prefix)), token, "42")
        await client.leave()
    finally:
        await server.close()

    lines = EMBED.read_text().split('"""', 2)[2].splitlines()
    own = [line for line in lines if line.strip() and not line.startswith(("#", "import", "from"))]
    assert 200 == page
    assert "/consult/" == prefix
    assert len(own) < 20
