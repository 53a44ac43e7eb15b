"""
A15-A22: floods of STUN, reflection, guessing, forged integrity, malformed messages, flapping paths, lost consent,
candidates that point elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from pathlib import Path

import pytest
from harness import LiveCall, Peer, World, amount, until

from support import checks
from telerelay.connection.credentials import new_credentials
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation
from telerelay.protocol.parameters import Fingerprint, IceParameters, LocalTransport
from telerelay.protocol.sdp import parse

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFER = (Path(__file__).resolve().parent.parent / "data" / "offers" / "chromium_audio_video.sdp").read_text()


def silent(*sockets: socket.socket) -> bool:
    """Nobody was sent a byte."""
    for each in sockets:
        try:
            each.recv(2048)
        except BlockingIOError:
            continue
        return False
    return True


async def test_a15_checks_for_nobody_get_no_answer(world: World, call: LiveCall) -> None:
    """
    `stun_unknown_user` each; no byte comes back and the call loses nothing.
    """
    count = amount(500_000, 10_000)
    stranger = world.stranger("127.0.0.15")
    names = [f"00{n:014x}:peer" for n in range(50)]
    crowd = [call.bob.check(username=name) for name in names]
    async with world.drops(stun_unknown_user=count):
        for _ in range(count // 50):
            await world.flood(stranger, crowd)

    assert silent(stranger)


async def test_a16_no_answer_is_larger_than_its_question(world: World, call: LiveCall) -> None:
    """
    Checks with valid integrity, from the barest to those answered by an error: bytes out / in ≤ 1.0. Without it: 0.
    """
    peer = await world.peer()
    user = (checks.USERNAME, f"{peer.local.ufrag}:{peer.remote.ufrag}".encode())
    forms = [
        [user],
        [user, (checks.ICE_CONTROLLING, bytes(8))],
        [user, (checks.ICE_CONTROLLED, bytes(8))],
        [user, (0x7001, b"")],
        [user, (0x7001, b""), (0x7002, b"")],
        [user, (checks.PRIORITY, bytes(4)), (checks.ICE_CONTROLLING, bytes(8)), (checks.USE_CANDIDATE, b"")],
    ]
    peer.keeps_alive = False
    ratios = []
    for form in forms:
        question = checks.message(checks.REQUEST, form, peer.local.pwd)
        before, answers = peer.bytes_in, peer.answers
        peer.send(question)
        await world.drained()
        await until(lambda seen=answers: peer.answers > seen, 0.2)  # type: ignore[misc]
        ratios.append((peer.bytes_in - before) / len(question))
    spoofed = world.stranger("127.0.0.16")
    async with world.drops(stun_integrity=100):
        await world.flood(spoofed, [checks.message(checks.REQUEST, forms[-1], "w" * 32)] * 100)

    assert max(ratios) <= 1.0
    assert min(ratios[0], ratios[-1]) > 0
    assert silent(spoofed)
    await peer.leave()


async def test_a17_credentials_are_long_and_never_the_same(call: LiveCall) -> None:
    """
    At least 48 bits of fragment and 192 of password, no two alike.
    """
    made = [new_credentials(0) for _ in range(amount(1_000_000, 20_000))]

    assert len(made) == len({each.ufrag for each in made}) == len({each.pwd for each in made})
    assert all((len(each.ufrag) - 2) * 6 >= 48 and len(each.pwd) * 6 >= 192 for each in made)


async def test_a17_guessing_meets_a_limit_and_no_answer(world: World, call: LiveCall) -> None:
    """
    Every guess is a drop of one of two names, at most 200 a second get as far as the password; meanwhile one with the
    right password joins from the guesser's own address, as from behind one NAT.
    """
    count = amount(1_000_000, 5000)
    guesser = world.stranger("127.0.0.17")
    guesses = [call.bob.check(pwd=f"{n:032x}") for n in range(500)]
    begun = time.monotonic()
    async with world.counting() as counted:
        for _ in range(count // 1000):
            await world.flood(guesser, guesses)
        neighbour = await world.peer(ip="127.0.0.17")
        for _ in range(count // 1000):
            await world.flood(guesser, guesses)
        await world.drained()
        took_s = time.monotonic() - begun

    assert count == counted.drops["stun_integrity"] + counted.drops["stun_rate"]
    assert {"stun_integrity", "stun_rate"} == set(counted.drops)
    assert counted.drops["stun_integrity"] <= 200 * (int(took_s) + 2)
    assert silent(guesser)
    await neighbour.leave()


async def test_a18_no_changed_byte_is_accepted(world: World, call: LiveCall) -> None:
    """
    Each byte of valid checks changed, one at a time, on a validated path: all dropped, none answered.
    """
    peer = await world.peer()
    peer.keeps_alive = False
    rng = random.Random(18)
    forged = []
    for _ in range(amount(1000, 20)):
        valid = peer.check()
        for at in range(len(valid)):
            change = rng.randrange(1, 256) if at else rng.choice([1, 2, 3])
            forged.append(valid[:at] + bytes([valid[at] ^ change]) + valid[at + 1 :])
    assert await until(lambda: peer.answers > 0)
    answers = peer.answers
    async with world.counting() as counted:
        await peer.flood(forged)

    assert len(forged) == sum(counted.drops.values())
    assert all(name.startswith("stun_") for name in counted.drops)
    assert answers == peer.answers
    await peer.leave()


async def test_a18_what_stands_behind_the_integrity_is_not_believed(world: World, call: LiveCall) -> None:
    """
    USE-CANDIDATE behind MESSAGE-INTEGRITY nominates nothing; a MAC cut short, or one under the peer's own password, is
    none.
    """
    peer = Peer(world)
    await peer.begin()
    user = (checks.USERNAME, f"{peer.local.ufrag}:{peer.remote.ufrag}".encode())
    body = [user, (checks.PRIORITY, bytes([0, 0, 0, 9])), (checks.ICE_CONTROLLING, bytes(8))]
    peer.send(checks.message(checks.REQUEST, body, peer.local.pwd, behind=[(checks.USE_CANDIDATE, b"")]))
    assert await until(lambda: peer.answers == 1)
    short = checks.message(checks.REQUEST, [*body, (checks.MESSAGE_INTEGRITY, bytes(4))])
    async with world.drops(stun_malformed=1, stun_integrity=2):
        peer.send(short)
        peer.send(checks.message(checks.REQUEST, body, peer.remote.pwd))
        peer.send(checks.message(checks.REQUEST, body, peer.local.pwd, has_fingerprint=False))

    assert ([], 1) == (peer.states, peer.answers)
    await peer.leave()


async def test_a19_malformed_messages_are_dropped(world: World, call: LiveCall) -> None:
    """
    A table of what does not add up, cut-offs at every length, then noise: `stun_malformed`, or another name of STUN's.
    """
    stranger = world.stranger("127.0.0.19")
    valid = call.bob.check()
    rng = random.Random(19)
    table = [valid[:size] for size in range(1, len(valid))]
    table += [valid + bytes(extra) for extra in range(1, 9)]
    table += [valid[:2] + struct.pack("!H", wrong) + valid[4:] for wrong in (0, 1, 0x7FFF, 0xFFFC, 0xFFFF)]
    table += [valid[:4] + bytes(4) + valid[8:]]
    table += [checks.message(checks.REQUEST, [(checks.USERNAME, b"a:" + b"u" * 600)])]
    table += [checks.message(checks.REQUEST, [(checks.PRIORITY, bytes(size))]) for size in (0, 1, 3, 5, 400)]
    table += [checks.message(checks.REQUEST, [(0x8000, b"")] * 65)]
    async with world.drops(stun_malformed=len(table)):
        await world.flood(stranger, table)
    noise = []
    for _ in range(amount(100_000, 3000)):
        body = rng.randbytes(rng.randrange(0, 200))
        head = struct.pack("!HHI", rng.randrange(0, 0x400), rng.choice([len(body), len(body) + 12]), 0x2112A442)
        noise.append(head + body)
    async with world.counting() as counted:
        await world.flood(stranger, noise)

    assert len(noise) == sum(counted.drops.values())
    assert all(name.startswith("stun_") for name in counted.drops)
    assert silent(stranger)


async def test_a20_a_thousand_paths_leave_room_for_eight(world: World, call: LiveCall) -> None:
    """
    A peer checks from ever new ports and nominates each: at most 8 paths are known at the end, one of them the selected
    one, and the path changed no faster than every 200 ms.
    """
    peer = await world.peer()
    ports = [world.stranger() for _ in range(amount(10_000, 300))]
    begun, switches = time.monotonic(), len(peer.paths)
    for each in ports:
        world.send(each, peer.check())
    await world.drained()
    took_s = time.monotonic() - begun
    async with world.counting() as counted:
        for each in ports:
            world.send(each, bytes([0x80, 111]) + os.urandom(60))
    for each in ports:
        each.close()

    accepted = len(ports) - counted.drops["unknown_path"]
    assert 1 <= accepted <= 8
    assert len(peer.paths) - switches <= took_s / 0.2 + 1
    async with world.drops():
        peer.send(peer.check())
    await peer.leave()


async def test_a21_media_stops_when_nobody_consents() -> None:
    """
    A subscriber's checks stop; unsigned ones and answers in its name do not prolong it. From the time-out on every
    packet for it is `no_path`, and not one more is sent.
    """
    timeout_s = 1.0
    async with World(int(timeout_s * 1e6), keep_alive_s=0.2) as world, LiveCall(world) as call:
        subscriber = await world.peer()
        await subscriber.watches(call.receiver, 0x21)
        subscriber.keeps_alive = False
        subscriber.send(subscriber.check())
        begun = time.monotonic()
        while "disconnected" not in subscriber.states:
            subscriber.send(subscriber.check(signs=False))
            subscriber.send(checks.message(checks.SUCCESS, [], subscriber.local.pwd))
            await asyncio.sleep(0.02)
            assert time.monotonic() - begun < 3 * timeout_s
        took_s = time.monotonic() - begun
        received = len(subscriber.packets)
        async with world.counting() as counted:
            said = call.said
            assert await until(lambda: call.said >= said + 30)

        assert timeout_s * 0.9 <= took_s <= timeout_s + 0.5
        assert abs(30 - counted.drops["no_path"]) <= 20
        assert received == len(subscriber.packets)
        await call.check()


async def test_a22_candidates_are_read_and_never_called(world: World, call: LiveCall) -> None:
    """
    Internal, broadcast, multicast and .local addresses in an offer: answered, nothing is resolved, and a listener at
    one of them hears no datagram. Of 40 candidates no more than 32 are kept.
    """
    listener = world.stranger("127.0.0.22")
    address, port = listener.getsockname()
    hosts = [address, "10.0.0.1", "169.254.169.254", "255.255.255.255", "224.0.0.1", "::1", "a1b2.local", "db.internal"]
    lines = [f"a=candidate:{n} 1 udp 2130706431 {host} {port} typ host" for n, host in enumerate(hosts)]

    def offer(candidates: list[str]) -> str:
        return OFFER.replace("a=setup:actpass", "\n".join([*candidates, "a=setup:actpass"]), 1)

    local = LocalTransport(IceParameters("u" * 16, "p" * 32, is_lite=True), Fingerprint("sha-256", bytes(32)))
    policy = CodecPolicy(("opus",), ("VP8",))
    result = PublishNegotiation(policy).on_offer(offer(lines), local)
    peer = Peer(world)
    peer.remote = result.remote.ice
    await peer.begin()
    await peer.connect()

    PublishNegotiation(policy).on_offer(offer([lines[1]] * 40), local)

    assert 32 == sum(len(section.candidates) for section in parse(offer([lines[1]] * 40)).media)
    assert silent(listener)
    assert all(host not in result.answer for host in hosts if host != "::1")
    await peer.leave()
