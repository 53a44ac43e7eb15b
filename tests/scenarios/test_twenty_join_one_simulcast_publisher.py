"""
Twenty receivers come to one simulcast publisher within a second: it is asked for two keyframes at most, and each has
the layer that its line carries, the uppermost, within two and a half seconds.

All are libwebrtc, with its own estimate, feedback and decoders; the relay is a process of its own.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import webrtc

from support.relay_process import RelayProcess
from support.starved import Starved
from support.waiting import until
from support.wrtc_peer import Peer, Peers

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(600)]

PEOPLE, WITHIN_S = 20, 1.0
RUNS, ATTEMPTS = 3, 9
ENCODINGS = {"q": (4, 150_000), "h": (2, 500_000), "f": (1, 1_200_000)}
VIDEO = (960, 540, 10)
"""Twenty decoders share the machine with all the rest: ten pictures a second leave them time."""
REQUESTS_MOST = 2
RIGHT_S = 2.5
WATCHED_S = 8.0
AGE_S = 3.0
"""Between two crowds: the keyframe of the last one is of no use to the next."""
STARVED_MOST_S, CONNECTED_S = 0.4, 0.8
"""
A run in which this process waited longer for the CPU, all in all, or in which the slowest handshake took longer, is
void: they did not come within a second, and what a picture took says nothing about the relay. Idle it is 0.2 s.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """`right_s` and `connected_s` of each, from its join on, sorted; `starved_s` as in support/starved.py."""

    requests: int
    right_s: list[float]
    connected_s: list[float]
    starved_s: float

    @property
    def is_void(self) -> bool:
        return self.starved_s > STARVED_MOST_S or self.connected_s[-1] > CONNECTED_S

    @property
    def p95_s(self) -> float:
        return self.right_s[math.ceil(0.95 * PEOPLE) - 1]


async def requests(publisher: Peer) -> int:
    """Keyframe requests that reached it, PLI and FIR, of all encodings."""
    rows = [row for row in (await publisher.publish_pc.get_stats()).values() if row.type.value == "outbound-rtp"]
    assert len(ENCODINGS) == len(rows)
    return sum((row.pli_count or 0) + (row.fir_count or 0) for row in rows)


async def come(peer: Peer, after_s: float) -> tuple[float, float]:
    """Join; how long until it is connected, and until the picture has its full size (never: infinite)."""
    await asyncio.sleep(after_s)
    begun = time.monotonic()
    await peer.join()
    await until(lambda: peer.subscribe_pc and peer.subscribe_pc.connection_state == "connected", every_s=0.02)
    connected_s = time.monotonic() - begun
    while time.monotonic() - begun < WATCHED_S:
        picture = await peer.inbound()
        if picture is not None and picture.frame_width == VIDEO[0]:
            return connected_s, time.monotonic() - begun
        await asyncio.sleep(0.1)
    return connected_s, math.inf


async def crowd(relay: RelayProcess, publisher: Peer, number: int) -> Run:
    people = [Peer(relay, "room", f"crowd-{number}-{each}") for each in range(PEOPLE)]
    try:
        before = await requests(publisher)
        with Starved() as starved:
            coming = (come(peer, each * WITHIN_S / PEOPLE) for each, peer in enumerate(people))
            took = await asyncio.gather(*coming)
        asked = await requests(publisher) - before
    finally:
        await asyncio.gather(*(peer.leave() for peer in people))
    return Run(asked, sorted(right for _, right in took), sorted(first for first, _ in took), starved.total_s)


async def all_sent(publisher: Peer) -> None:
    """Wait until the publisher's estimate has room for all encodings at their size."""

    async def are_all() -> bool:
        rows: list[Any] = list((await publisher.publish_pc.get_stats()).values())
        rows = [row for row in rows if row.type.value == "outbound-rtp"]
        widths = sorted(row.frame_width or 0 for row in rows if row.frames_encoded and row.frames_per_second)
        return [240, 480, 960] == widths

    await until(are_all, timeout_s=30)


async def test_two_keyframe_requests_and_the_right_layer_in_time(tmp_path: Path) -> None:
    """
    Medians of three runs that had the CPU they needed.
    """
    config = tmp_path / "relay.toml"
    config.write_text("[rooms]\nmax_participants = 32\n")
    runs: list[Run] = []
    with RelayProcess("--config", str(config)) as relay:
        async with Peers(relay) as peers:
            ada = await peers.join("room", "ada")
            encodings = [
                webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=by, max_bitrate=bps)
                for rid, (by, bps) in ENCODINGS.items()
            ]
            await ada.publish(audio=False, video=VIDEO, encodings=encodings, prefer="VP8")
            await all_sent(ada)
            for attempt in range(ATTEMPTS):
                await asyncio.sleep(AGE_S)
                run = await crowd(relay, ada, attempt)
                print(
                    f"\n{run.requests} keyframe requests; right layer p50 {statistics.median(run.right_s):.2f} s, "
                    f"p95 {run.p95_s:.2f} s, at most {run.right_s[-1]:.2f} s; connected after "
                    f"{run.connected_s[-1]:.2f} s at most; starved for {run.starved_s:.2f} s"
                    + (": void" if run.is_void else "")
                )
                runs += [] if run.is_void else [run]
                if len(runs) == RUNS:
                    break
    assert RUNS == len(runs), "the machine was too busy to measure"
    assert statistics.median(run.requests for run in runs) <= REQUESTS_MOST
    assert statistics.median(run.p95_s for run in runs) <= RIGHT_S
