"""
A file over a data channel, beside a call, over a bad line: it arrives whole, and the call does not suffer.

`make test` sends 2 MB, `make slow` the whole. Audio is timed where it leaves the proxy in front of its publisher, and
by the kernel where it comes out of the relay: how fast this process and its clients are is not in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import time
from collections import Counter

import pytest

from support.impairment import Impairment, UdpImpairment
from support.relay_process import RelayProcess
from support.wrtc_peer import Peers
from telerelay.client import Client

PIECE_BYTES = 32768
LOSS = Impairment(loss=0.02, delay_ms=5)
FRAME_MS = 20.0
WORSE_MS = 10.0
# So long audio is watched without the file, before it and after it.
QUIET_S = 6.0
# A machine may be slow, all of the clients run on it; but nothing that flows pauses that long.
PAUSE_S = 10.0


class AudioTimes:
    """When each audio packet passed: the step of the time stamps tells sound from picture."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []
        self._by_ssrc: dict[int, list[int]] = {}

    def note(self, at: float, datagram: bytes) -> None:
        if len(datagram) < 12 or not 128 <= datagram[0] <= 191 or 192 <= datagram[1] <= 223:
            return
        stamp = int.from_bytes(datagram[4:8], "big")
        stamps = self._by_ssrc.setdefault(int.from_bytes(datagram[8:12], "big"), [])
        if len(stamps) < 50:
            stamps.append(stamp)
        # 20 ms of Opus are 960 ticks; pictures step by 3,000 and more, and several packets share a stamp.
        steps = Counter((b - a) % 2**32 for a, b in itertools.pairwise(stamps))
        if len(stamps) > 10 and steps.most_common(1)[0][0] == 960:
            self.seen.append((at, stamp))


def transits_ms(up: AudioTimes, down: AudioTimes) -> list[tuple[float, float]]:
    """(when, how long) for each audio packet that passed both; the relay moved its clock by a constant."""
    offsets: Counter[int] = Counter()
    for at, stamp in down.seen[:200]:
        offsets.update((stamp - s) % 2**32 for t, s in up.seen[:300] if 0 <= at - t < 0.2)
    (offset, _), *_ = offsets.most_common(1)
    left = {(stamp + offset) % 2**32: at for at, stamp in up.seen}
    return [(at, 1e3 * (at - left[stamp])) for at, stamp in down.seen if stamp in left]


def gaps_ms(transits: list[tuple[float, float]], began: float, ended: float) -> list[float]:
    """From one packet's arrival to the next one's, had they left every 20 ms."""
    lasted = [ms for at, ms in transits if began <= at <= ended]
    return [FRAME_MS + b - a for a, b in itertools.pairwise(lasted)]


def p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


@pytest.mark.timeout(360)
@pytest.mark.parametrize("megabytes", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_a_file_arrives_whole_beside_video_under_loss(relay: RelayProcess, megabytes: int) -> None:
    """
    2 % loss each way on all legs: every byte arrives, in order; video goes on, and audio arrives as evenly as without
    the file, to 10 ms in 95 of 100 packets.
    """
    data = random.Random(7).randbytes(megabytes * 1_000_000)
    pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    up, down = AudioTimes(), AudioTimes()
    room = f"story{megabytes}"

    def watch(way: str, datagram: bytes) -> None:
        if way == "down":
            down.note(far.arrived_s, datagram)

    with (
        UdpImpairment(
            relay.udp_address, up=LOSS, down=LOSS, seed=11, leave=lambda data: up.note(time.time(), data)
        ) as near,
        UdpImpairment(relay.udp_address, up=LOSS, down=LOSS, seed=21, watch=watch) as far,
        UdpImpairment(relay.udp_address, up=LOSS, down=LOSS, seed=31) as third,
    ):
        async with (
            Peers(relay) as peers,
            await Client.join(relay.url, relay.token(room, "bob"), room, relay_port=far.port) as bob,
            await Client.join(relay.url, relay.token(room, "cem"), room, relay_port=third.port) as cem,
        ):
            ada = await peers.join(room, "ada", port=near.port)
            await ada.publish(audio=True, video=(320, 240, 15), max_bitrate_bps=400_000)
            await bob.wait_for(lambda each: len(each.remote_tracks) == 2 and len(down.seen) > 50, 40)
            quiet_began = time.time()
            sending = await cem.channel("file")
            await sending.opened(20)
            await bob.wait_for(lambda each: "file" in each.channels, 20)
            await asyncio.sleep(max(0.0, quiet_began + QUIET_S - time.time()))  # what is measured is this stretch
            video = next(track for track in bob.track_stats() if track.kind == "video")
            began = time.time()
            digest, size = hashlib.sha256(), 0
            pauses = []

            async def send() -> None:
                for piece in pieces:
                    await sending.drained()
                    sending.send(piece)

            task = asyncio.create_task(send())
            while size < len(data):
                since = time.monotonic()
                piece = await bob.channels["file"].receive()
                pauses.append(time.monotonic() - since)
                assert isinstance(piece, bytes)
                digest.update(piece)
                size += len(piece)
            await task
            ended = time.time()
            after = next(track for track in bob.track_stats() if track.kind == "video")
            lost = third.up.count["lost"], far.down.count["lost"]
            await asyncio.sleep(QUIET_S)  # what is measured is this stretch

    transits = transits_ms(up, down)
    quiet = gaps_ms(transits, quiet_began, began) + gaps_ms(transits, ended, ended + QUIET_S)
    during = gaps_ms(transits, began, ended)
    took_s = ended - began
    print(f"{megabytes} MB in {took_s:.1f} s, {megabytes / took_s:.2f} MB/s, longest pause {max(pauses):.1f} s")
    print(f"datagrams lost {lost}")
    print(f"audio every {p95(quiet):.1f} ms at p95 without the file, {p95(during):.1f} ms beside it")
    assert hashlib.sha256(data).digest() == digest.digest()
    assert max(pauses) < PAUSE_S
    assert after.rx_packets > video.rx_packets
    assert min(lost) > 0.01 * len(data) / 1200
    assert p95(during) - p95(quiet) <= WORSE_MS
