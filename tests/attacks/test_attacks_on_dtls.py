"""
A08-A14: downgrades, raced and half-finished handshakes, certificates that are not the peer's, records out of place.
"""

from __future__ import annotations

import os
import random
import struct
import time
from pathlib import Path

import pytest
from harness import LiveCall, Peer, World, amount, fingerprint, until

from support import sealing
from telerelay.errors import RemoteProtocolError
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation
from telerelay.protocol.parameters import Fingerprint, IceParameters, LocalTransport

pytestmark = pytest.mark.asyncio(loop_scope="module")

OFFER = (Path(__file__).resolve().parent.parent / "data" / "offers" / "chromium_audio_video.sdp").read_text()
HANDSHAKE, ALERT, DATA = 22, 21, 23


def record(kind: int, body: bytes, *, epoch: int = 0, number: int = 0, version: int = 0xFEFD) -> bytes:
    """One DTLS record (RFC 6347, 4.1)."""
    return struct.pack("!BHHHIH", kind, version, epoch, 0, number, len(body)) + body


def fragment(kind: int, length: int, number: int, offset: int, body: bytes) -> bytes:
    """A handshake message or a piece of one (RFC 6347, 4.2.2)."""

    def three(value: int) -> bytes:
        return value.to_bytes(3, "big")

    return bytes([kind]) + three(length) + struct.pack("!H", number) + three(offset) + three(len(body)) + body


async def checked(world: World, **options: object) -> Peer:
    """A peer with a validated path and no handshake yet."""
    peer = Peer(world, **options)  # type: ignore[arg-type]
    await peer.begin()
    peer.send(peer.check())
    assert await until(lambda: peer.states[-1:] == ["checked"])
    return peer


def resident_kib() -> int:
    """Memory of this process, worker and all (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


def refusal(sdp: str) -> str:
    """The code an offer is refused with, "" if it is answered."""
    local = LocalTransport(IceParameters("u" * 16, "p" * 32, is_lite=True), Fingerprint("sha-256", bytes(32)))
    try:
        PublishNegotiation(CodecPolicy(("opus",), ("VP8",))).on_offer(sdp, local)
    except RemoteProtocolError as error:
        return error.code
    return ""


def with_fingerprint(line: str) -> str:
    """The offer with another line, or none, in place of its fingerprints."""
    lines = [each for each in OFFER.splitlines() if not each.startswith("a=fingerprint")]
    at = next(n for n, each in enumerate(lines) if each.startswith("a=setup"))
    lines[at:at] = [line] if line else []
    sections = "\r\n".join(lines) + "\r\n"
    return sections.replace("a=setup", line + "\r\na=setup") if line else sections


async def test_a08_cleartext_and_foreign_keying_are_refused(call: LiveCall) -> None:
    """
    RTP/AVP, RTP/AVPF and SDES in place of a fingerprint get no answer; the offer they were made from does.
    """
    sdes = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40

    assert "" == refusal(OFFER)
    for profile in ("RTP/AVP", "RTP/AVPF"):
        assert refusal(OFFER.replace("UDP/TLS/RTP/SAVPF", profile))
    assert refusal(with_fingerprint(sdes))


async def test_a08_a_short_tag_is_no_common_profile(world: World, call: LiveCall) -> None:
    """
    A client that speaks only the 32-bit tag gets no call, and what it then sends meets no keys.
    """
    peer = Peer(world)
    peer.profiles = b"SRTP_AES128_CM_SHA1_32"
    await peer.begin()
    peer.send(peer.check())
    peer.start_dtls()
    assert await until(lambda: peer.states[-1:] == ["failed"])
    async with world.drops(srtp_no_keys=50):
        await peer.flood(sealing.rtp(111, n, 5, bytes(60)) for n in range(50))

    assert "no_srtp_profile" == peer.reason
    await peer.leave()


async def test_a08_media_before_the_keys_is_not_taken(world: World, call: LiveCall) -> None:
    """
    A validated path without a handshake carries nothing in the clear, RTP or RTCP.
    """
    peer = await checked(world)
    async with world.drops(srtp_no_keys=200):
        await peer.flood(sealing.rtp(111, n, 5, b"clear") for n in range(100))
        await peer.flood(sealing.receiver_report(5) for _ in range(100))
    await peer.leave()


async def test_a09_a_hello_races_a_hundred_joins(world: World, call: LiveCall) -> None:
    """
    Strangers spray ClientHellos while people join: all joins succeed, every hello is `unknown_path`.
    """
    joins = amount(100, 15)
    template = Peer(world)
    await template.begin()
    hello = template.first_flight()[0]
    stranger = world.stranger()
    async with world.drops(unknown_path=joins * 50):
        for _ in range(joins):
            peer = Peer(world)
            await peer.begin()
            await world.flood(stranger, [hello] * 25)
            await peer.connect()
            await world.flood(stranger, [hello] * 25)
            await peer.leave()
    await template.leave()

    with pytest.raises(BlockingIOError):
        stranger.recv(2048)


async def test_a10_another_certificate_exports_no_keys(world: World, call: LiveCall) -> None:
    """
    A fingerprint that is not the certificate's ends the session; media under the client's keys meets none.
    """
    peer = Peer(world, fingerprints=(Fingerprint("sha-256", bytes(32)),))
    await peer.begin()
    peer.send(peer.check())
    peer.start_dtls()
    assert await until(lambda: peer.states[-1:] == ["failed"] or peer.states[-1:] == ["refused"])
    assert await until(lambda: "failed" in peer.states)
    async with world.drops(srtp_no_keys=30):
        await peer.flood(sealing.rtp(111, n, 5, bytes(60)) for n in range(30))

    assert "connected" not in peer.states
    await peer.leave()


async def test_a10_the_right_fingerprint_among_wrong_ones_is_enough(world: World, call: LiveCall) -> None:
    """
    An offer may have several (RFC 8122, 5): one of them must be the certificate's.
    """
    peer = Peer(world, fingerprints=(Fingerprint("sha-256", bytes(32)), fingerprint()))
    await peer.begin()
    await peer.connect()

    assert "connected" == peer.states[-1]
    await peer.leave()


async def test_a10_a_key_that_is_not_proven_is_no_identity(world: World, call: LiveCall) -> None:
    """
    The right certificate with a signature its key did not make: no call comes of it; the honest peer then gets one.
    """
    peer = await checked(world)
    flight, tampered = peer.flight, []

    def forge() -> list[bytes]:
        records = flight()
        for n, each in enumerate(records):
            if each[0] == HANDSHAKE and each[3:5] == b"\0\0" and each[13] == 15:
                records[n] = each[:-1] + bytes([each[-1] ^ 1])
                tampered.append(n)
        return records

    peer.flight = forge  # type: ignore[method-assign]
    peer.start_dtls()
    assert await until(lambda: tampered)
    await world.drained()
    async with world.counting() as counted:
        await peer.flood(sealing.rtp(111, n, 5, bytes(60)) for n in range(30))

    assert "connected" not in peer.states
    assert 30 == counted.drops["srtp_no_keys"]
    await peer.leave()


@pytest.mark.parametrize(
    "line", ["", "a=fingerprint:md5 " + ":".join(["AB"] * 16), "a=fingerprint:sha-1 " + ":".join(["AB"] * 20)]
)
async def test_a10_no_fingerprint_or_a_weak_one_is_no_offer(call: LiveCall, line: str) -> None:
    """
    Absent, md5 and sha-1 are refused where the offer is read.
    """
    assert refusal(with_fingerprint(line))


async def test_a11_records_out_of_place_do_not_touch_a_call(world: World, call: LiveCall) -> None:
    """
    On the live 5-tuple: second hellos, forged alerts and junk of every length, in the clear and as if encrypted. Each
    is counted, the keys stay.
    """
    count = amount(10_000, 500)
    rng = random.Random(11)
    states = list(call.ada.states)
    hello = record(HANDSHAKE, fragment(1, 80, 0, 0, rng.randbytes(80)))
    alert = record(ALERT, b"\x02\x28")
    async with world.drops(dtls_state=2 * count):
        await call.ada.flood([hello] * count)
        await call.ada.flood([alert] * count)
    async with world.drops(size=count, dtls_malformed=12 * 4 + 4 * 64, dtls_state=4 * 64):
        await call.ada.flood([b""] * count)
        await call.ada.flood(
            bytes([kind]) + rng.randbytes(size - 1) for size in range(1, 13) for kind in (20, 21, 22, 23)
        )
        await call.ada.flood(record(kind, rng.randbytes(size)) for size in range(64) for kind in (20, 21, 22, 23))
        await call.ada.flood(
            record(kind, rng.randbytes(size), epoch=1, number=900 + size)
            for size in range(64)
            for kind in (21, 22, 23, 23)
        )

    assert states == call.ada.states


async def test_a12_claims_of_sixteen_megabytes_are_refused(world: World, call: LiveCall) -> None:
    """
    Fragments that claim 2^24-1 bytes, overlap, contradict one another or come from a later epoch: dropped and counted;
    a half-open peer costs no more than 64 KiB.
    """
    peers = amount(500, 60)
    rng = random.Random(12)
    bombs = [record(HANDSHAKE, fragment(1, 2**24 - 1, 0, 0, rng.randbytes(900)))] * 3
    bombs += [record(HANDSHAKE, fragment(1, 2**24 - 1, 0, 2**23, rng.randbytes(900)))] * 3
    bombs += [record(HANDSHAKE, rng.randbytes(1000), epoch=epoch, number=epoch) for epoch in (1, 2, 3, 65535)]
    before = resident_kib()
    made = []
    async with world.drops(dtls_limit=6 * peers, dtls_state=4 * peers):
        for _ in range(peers):
            peer = await checked(world)
            made.append(peer)
            for bomb in bombs:
                peer.send(bomb)
                await world.drained()
    grown_kib = resident_kib() - before

    assert grown_kib <= 64 * peers + 2048
    for peer in made:
        await peer.leave()


async def test_a12_the_largest_claims_that_are_allowed_stay_within_the_bound(world: World, call: LiveCall) -> None:
    """
    A true hello, then a certificate of 16 KiB of which a piece comes: taken and waited for, 64 KiB a peer at most. What
    would make it more is `dtls_limit`.
    """
    peers = amount(500, 60)
    piece = os.urandom(1000)
    claim = record(HANDSHAKE, fragment(11, 16384, 1, 0, piece), number=100)
    another = record(HANDSHAKE, fragment(11, 16384, 2, 0, piece), number=101)
    async with world.drops():
        made = [await checked(world) for _ in range(peers)]
    hellos = [peer.first_flight() for peer in made]  # the peers' own memory is of this process too
    before = resident_kib()
    async with world.drops(dtls_limit=peers):
        for peer, hello in zip(made, hellos, strict=True):
            peer.is_deaf = True
            for each in (*hello, claim, another):
                peer.send(each)
                await world.drained()
    grown_kib = resident_kib() - before

    assert grown_kib <= 64 * peers + 2048
    for peer in made:
        await peer.leave()


async def test_a12_after_the_bombs_the_handshake_still_works(world: World, call: LiveCall) -> None:
    """
    A false start of a hello, contradicted by the true one, does not shut the peer out.
    """
    peer = await checked(world)
    peer.send(record(HANDSHAKE, fragment(1, 300, 0, 0, os.urandom(100)), version=0xFEFF))
    peer.send(record(HANDSHAKE, fragment(1, 2**24 - 1, 0, 0, os.urandom(100)), version=0xFEFF))
    await world.drained()
    peer.keeps_alive = True
    peer.start_dtls()

    assert await until(lambda: peer.states[-1:] == ["connected"], 8)
    await peer.leave()


async def test_a13_a_flight_that_is_lost_is_sent_again_whole(world: World, call: LiveCall) -> None:
    """
    The client hears nothing of the certificate flight; the relay's timer sends it again, and the handshake ends well.
    """
    peer = await checked(world)
    peer.keeps_alive = peer.is_deaf = True
    peer.start_dtls()
    assert await until(lambda: peer.dtls_in)
    first = len(peer.dtls_in)
    assert await until(lambda: len(peer.dtls_in) >= 2 * first, 3)
    peer.is_deaf = False
    for each in peer.dtls_in[first:]:
        peer._on_dtls(each)

    assert await until(lambda: peer.states[-1:] == ["connected"], 8)
    await peer.leave()


async def test_a14_hellos_of_strangers_are_not_answered(world: World, call: LiveCall) -> None:
    """
    0 bytes to who has no validated path.
    """
    count = amount(50_000, 3000)
    stranger = world.stranger("127.0.0.14")
    hello = record(HANDSHAKE, fragment(1, 200, 0, 0, os.urandom(200)), version=0xFEFF)
    async with world.drops(unknown_path=count):
        await world.flood(stranger, [hello] * count)

    with pytest.raises(BlockingIOError):
        stranger.recv(2048)


async def test_a14_half_open_handshakes_do_not_hold_others_up(world: World, call: LiveCall) -> None:
    """
    A crowd that says hello and nothing more: a good join in its midst takes no second, the call loses nothing.
    """
    crowd = []
    for _ in range(amount(3000, 80)):
        peer = await checked(world)
        peer.is_deaf = True
        peer.start_dtls()
        crowd.append(peer)
    begun = time.monotonic()
    good = await world.peer()
    took_s = time.monotonic() - begun

    assert took_s < 1.0
    for peer in [*crowd, good]:
        await peer.leave()
