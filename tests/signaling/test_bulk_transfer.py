"""Files over data channels through a room in memory: whole, in order, in bounds, over lines that lose and stop."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiortc import rtcsctptransport as sctp

from support.sctp_room import Bad, Room, run, send_all, until
from telerelay.connection.sctp import WINDOW_BYTES
from telerelay.signaling.channels import QUEUE_BYTES, STALL_S

FINE = Bad()
LOSSY = Bad(loss=0.02)
ROUGH = Bad(loss=0.02, reorder=0.05, duplicate=0.02)


def file(megabytes: float, seed: int = 7) -> list[bytes]:
    """Pieces of 16 KiB, each another."""
    source = random.Random(seed)
    return [source.randbytes(16384) for _ in range(int(megabytes * 61))]


Story = Callable[[], Coroutine[Any, Any, None]]
Play = Callable[[Story], None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a story in its own time."""
    return lambda story: run(story, monkeypatch)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_file_goes_on_while_its_sender_opens_the_label_itself(play: Play) -> None:
    """
    Both happen at once where two pages ask for a label: the relay's channel is there first and carries the file. It was
    closed once the own one opened, and what was under way on it was lost.
    """
    pieces = file(1)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", FINE, 1), await room.join("bob", FINE, 11)
        await bob.open("file")
        relays = await ada.given("file")
        sending = asyncio.create_task(send_all(relays, pieces))
        await until(lambda: len(bob.heard["file"]) > 10)
        await ada.open("file")
        await sending
        await until(lambda: len(bob.heard["file"]) == len(pieces))

        assert pieces == bob.heard["file"]
        assert "open" == relays.readyState

    play(story)


@pytest.mark.parametrize("seed", range(2))
def test_a_file_stays_in_order_while_its_receiver_opens_the_label_itself(play: Play, seed: int) -> None:
    """
    What is under way on the relay's channel arrives before anything on the own one; there is no piece twice.
    """
    pieces = file(1)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", FINE, 1), await room.join("bob", Bad(loss=0.1), 20 + seed)
        channel = await ada.open("file")
        await bob.given("file")
        sending = asyncio.create_task(send_all(channel, pieces))
        await until(lambda: len(bob.heard["file"]) > 10)
        own = await bob.open("file")
        heard_on_own: list[bytes] = []
        own.on("message", heard_on_own.append)
        await sending
        await until(lambda: len(bob.heard["file"]) == len(pieces))

        assert pieces == bob.heard["file"]
        assert heard_on_own == pieces[-len(heard_on_own) :]
        assert heard_on_own

    play(story)


def test_a_file_goes_on_when_the_opener_of_its_label_leaves(play: Play) -> None:
    """
    Ada opened it, Bob sends to Cem, Ada goes.
    """
    pieces = file(1)

    async def story() -> None:
        room = Room()
        ada, bob, cem = [await room.join(who, FINE, n) for who, n in (("ada", 1), ("bob", 11), ("cem", 21))]
        await ada.open("file")
        to_relay = await bob.given("file")
        await cem.given("file")
        sending = asyncio.create_task(send_all(to_relay, pieces))
        await until(lambda: len(cem.heard["file"]) > 10)
        await room.leave(ada)
        await sending
        await until(lambda: len(cem.heard["file"]) == len(pieces))

        assert pieces == cem.heard["file"]

    play(story)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bad", [LOSSY, ROUGH], ids=["lossy", "rough"])
def test_a_file_arrives_whole_over_bad_lines(play: Play, bad: Bad, seed: int) -> None:
    """
    2 % lost each way, 10 ms of round trip: at 250 kB/s and more, with a second's timeout of aiortc's in it.
    """
    pieces = file(1, seed)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", bad, 1000 + seed), await room.join("bob", bad, 2000 + seed)
        channel = await ada.open("file")
        await bob.given("file")
        began = now()
        await send_all(channel, pieces)
        await until(lambda: len(bob.heard["file"]) == len(pieces))

        assert pieces == bob.heard["file"]
        assert now() - began <= 4.0

    play(story)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_sent_again_that_was_not_lost(play: Play, seed: int) -> None:
    """
    As many resends as losses, but for what a lost acknowledgement may cost at the very end.
    """
    pieces = file(2)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", FINE, 1), await room.join("bob", LOSSY, 50 + seed)
        channel = await ada.open("file")
        await bob.given("file")
        lost_before = bob.down.lost
        await send_all(channel, pieces)
        await until(lambda: len(bob.heard["file"]) == len(pieces))
        lost = bob.down.lost - lost_before

        assert lost > 20
        assert abs(bob.data._association.resends - lost) <= 2

    play(story)


def test_a_file_goes_on_after_a_line_was_dead_for_five_seconds(play: Play) -> None:
    """
    The client moved to another network and restarted ICE: within two seconds of the path's return it flows again.
    """
    pieces = file(2)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", FINE, 1), await room.join("bob", LOSSY, 11)
        channel = await ada.open("file")
        await bob.given("file")
        sending = asyncio.create_task(send_all(channel, pieces))
        await until(lambda: len(bob.heard["file"]) > 10)
        bob.up.is_cut = bob.down.is_cut = True
        await asyncio.sleep(5)
        before = len(bob.heard["file"])
        bob.up.is_cut = bob.down.is_cut = False
        await until(lambda: len(bob.heard["file"]) > before, 2.1)
        await sending
        await until(lambda: len(bob.heard["file"]) == len(pieces))

        assert pieces == bob.heard["file"]
        assert [] == room.told

    play(story)


def test_a_recipient_that_takes_nothing_costs_bounded_memory_and_ten_seconds(play: Play) -> None:
    """
    256 KiB wait for Bob, 256 KiB with the relay for their sender; Cem's measurements reach Ada meanwhile. Then Bob is
    told, and the file goes on to Cem.
    """
    pieces = file(2)

    async def story() -> None:
        room = Room()
        ada, bob, cem = [await room.join(who, FINE, n) for who, n in (("ada", 1), ("bob", 11), ("cem", 21))]
        channel = await ada.open("file")
        for each in (bob, cem):
            await each.given("file")
        pulse = await cem.open("pulse", ordered=False, maxRetransmits=0)
        await ada.given("pulse")
        bob.down.is_cut = True
        began = now()
        sending = asyncio.create_task(send_all(channel, pieces))
        queued: list[int] = []
        held: list[int] = []
        beats = 0
        while len(cem.heard["file"]) < len(pieces):
            await asyncio.sleep(0.01)
            queued.append(bob.data.queued_bytes)
            held.append(ada.data.held_bytes)
            if now() - began > 1 and beats < 20:
                pulse.send(b"72")
                beats += 1
        took_s = now() - began
        await sending

        assert max(queued) <= QUEUE_BYTES
        assert max(held) <= WINDOW_BYTES
        assert QUEUE_BYTES - 2 * 16448 < max(queued)
        assert STALL_S < took_s < STALL_S + 5
        assert pieces == cem.heard["file"]
        assert 20 == len(ada.heard["pulse"])
        assert {("bob", "file", "too_slow"), ("bob", "pulse", "too_slow")} == set(room.told)

    play(story)


def test_many_seconds_of_a_slow_recipient_lose_nothing(play: Play) -> None:
    """
    A line of 2 Mbit/s: the sender, which does not look at the window it is told, is slowed down and not broken.
    """
    pieces = file(2)

    async def story() -> None:
        room = Room()
        ada, bob = await room.join("ada", FINE, 1), await room.join("bob", Bad(rate_bps=2e6, queue_bytes=60000), 11)
        channel = await ada.open("file")
        await bob.given("file")
        began = now()
        held: list[int] = []
        sending = asyncio.create_task(send_all(channel, pieces))
        while len(bob.heard["file"]) < len(pieces):
            await asyncio.sleep(0.05)
            held.append(ada.data.held_bytes)
        await sending

        assert pieces == bob.heard["file"]
        assert now() - began < 20  # 8 s at the line's rate
        assert max(held) <= WINDOW_BYTES

    play(story)


@pytest.mark.parametrize("bad", [FINE, ROUGH], ids=["fine", "rough"])
def test_sequence_numbers_begin_again_in_the_middle_of_a_file(play: Play, bad: Bad) -> None:
    """
    TSNs are modulo 2^32, on the way in as on the way out.
    """
    pieces = file(1)

    async def story() -> None:
        room = Room()
        for who in ("ada", "bob"):
            peer = room.make(who, bad, 5)
            for each in (peer.association, peer.data._association):
                each._local_tsn = each._reconfig_request_seq = 2**32 - 100
                each._last_sacked_tsn = each._advanced_peer_ack_tsn = 2**32 - 101
            await room.seat(peer)
        ada, bob = room.peers["ada"], room.peers["bob"]
        channel = await ada.open("file")
        await bob.given("file")
        await send_all(channel, pieces)
        # aiortc's own half cannot count past it where something is missing, so a rough line is only ours to receive.
        if bad is FINE:
            await until(lambda: len(bob.heard["file"]) == len(pieces))
            assert pieces == bob.heard["file"]
        else:
            await until(lambda: ada.data._association._last_received_tsn in range(200, 2**31))

    play(story)


def test_an_init_that_comes_again_does_not_set_the_count_back(play: Play) -> None:
    """
    Doubled and late, in the middle of a file (RFC 9260, 5.2.2).
    """
    pieces = file(1)

    async def story() -> None:
        room = Room()
        ada, bob = room.make("ada", FINE, 1), await room.join("bob", FINE, 11)
        inits: list[bytes] = []

        def spy(packet: bytes, send: Callable[[bytes], None] = ada.up.send) -> None:
            if packet[12] == sctp.InitChunk.type:
                inits.append(packet)
            send(packet)

        ada.line.send = spy
        await room.seat(ada)
        channel = await ada.open("file")
        await bob.given("file")
        sending = asyncio.create_task(send_all(channel, pieces))
        await until(lambda: len(bob.heard["file"]) > 10)
        ada.data.feed(inits[0])
        await sending
        await until(lambda: len(bob.heard["file"]) == len(pieces), 20)

        assert pieces == bob.heard["file"]

    play(story)


def test_a_handshake_takes_half_a_second_more_for_a_packet_lost(play: Play) -> None:
    """
    Not three: the first step of the relay's, which is DTLS client here, is lost, and the peer's with it.
    """

    async def story() -> None:
        room = Room()
        ada = room.make("ada", FINE, 1)
        ada.up.is_cut = ada.down.is_cut = True
        asyncio.get_running_loop().call_later(0.1, lambda: setattr(ada.down, "is_cut", False))
        asyncio.get_running_loop().call_later(0.1, lambda: setattr(ada.up, "is_cut", False))
        began = now()
        await room.seat(ada, is_dtls_client=False)

        assert 0.5 <= now() - began < 0.7

    play(story)


def test_as_dtls_server_the_relay_lets_its_peer_begin(play: Play) -> None:
    """
    Eight seconds long; a peer that waits for the relay gets its first step then.
    """

    async def story() -> None:
        room = Room()
        ada = room.make("ada", FINE, 1)
        ada.up.is_cut = True
        seating = asyncio.create_task(room.seat(ada))
        await asyncio.sleep(7.9)
        before = ada.down.sent
        await asyncio.sleep(0.2)
        after = ada.down.sent
        ada.up.is_cut = False
        await seating

        assert (0, 1) == (before, after)

    play(story)
