"""
What judging every call costs: processor time of one look at all of them, and its share of a core at one each 2 s.

    python benchmarks/quality.py [--people 200] [--looks 20] [--bad]

Rooms of two, each person by WHIP and WHEP: real rooms, a real worker with their transports, receivers and senders, and
the real commands and pages between them. Nobody is at the other end: counters are made to grow as in a call, and a
connection is said to be up. `--bad`: everyone loses a tenth, so that causes are looked for.
"""

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.connection import WhepConnection
from telerelay.dataplane import Count
from telerelay.quality import Meter
from telerelay.signaling.host import RoomHost
from telerelay.signaling.quality import EVERY_S, QualityWatch

OFFERS = Path(__file__).resolve().parent.parent / "tests" / "data" / "offers"


def sdp(name: str) -> str:
    return (OFFERS / f"{name}.sdp").read_text().replace("\r\n", "\n").replace("\n", "\r\n")


async def fill(relay: Relay, people: int, size: int = 2) -> None:
    """Rooms of so many."""
    rooms, keys = relay._rooms, relay._keys
    up, down = sdp("chromium_audio_video"), sdp("chromium_recvonly_data")
    for number in range(people):
        room, sub = f"room-{number // size}", f"sub-{number}"
        grant = keys.verify(relay.token(room=room, sub=sub, role="patient"), time.time())
        async with rooms.admit(grant, room) as host:
            await host.open_whip(grant, up)
            await host.open_whep(grant, down, None)
        await asyncio.sleep(0)
    await asyncio.sleep(0.5)  # sections are filled by tasks
    for host in rooms.hosts:
        for seat in host.seats.values():
            for resource in seat.resources.values():
                resource.connection.transport.state = "connected"


class Feigned:
    """
    Lets counters grow: 50 packets of 80 bytes of sound a second, 170 of 1100 of picture (1.5 Mbit/s). `spent_ns`: what
    that costs, which is none of the looks' own.
    """

    def __init__(self, relay: Relay, is_bad: bool) -> None:
        self.spent_ns = 0
        self._share_lost = 0.1 if is_bad else 0.0
        self._pictures: set[tuple[int, int]] = set()
        for host in relay._rooms.hosts:
            kinds = {each.id: each.kind for each in host.room.publications.values()}
            for name, kind in kinds.items():
                if kind == "video" and (source := host.source(name)) is not None:
                    self._pictures.add((0, source.receiver))
            for seat in host.seats.values():
                for resource in seat.resources.values():
                    if isinstance(resource.connection, WhepConnection):
                        carried = resource.connection.carried().items()
                        self._pictures.update((1, sender) for sender, name in carried if kinds[name] == "video")
        Meter.is_due = lambda self, now: True  # type: ignore[method-assign]
        Meter.take = self._taking(Meter.take)  # type: ignore[method-assign]

    def _taking(self, take: Any) -> Any:
        """As if looks were two seconds apart."""
        looks = 0

        def wrapped(meter: Meter, now: float, rows: list[Count]) -> None:
            nonlocal looks
            before = time.thread_time_ns()
            looks += 1
            rows = [self._grown(row, looks) for row in rows]
            self.spent_ns += time.thread_time_ns() - before
            take(meter, 1000 + EVERY_S * looks, rows)

        return wrapped

    def _grown(self, row: Count, looks: int) -> Count:
        packets, size = (340, 1100) if (row.is_sender, row.id) in self._pictures else (100, 80)
        packets = 1 + packets * looks
        lost = int(self._share_lost * packets)
        fraction = int(256 * self._share_lost) if row.is_sender else 0
        return row._replace(
            packets=packets,
            bytes=size * packets,
            lost=lost,
            gaps=lost,
            jitter_us=4000,
            rtt_us=50_000,
            fraction_lost=fraction,
        )


async def measure(people: int, looks: int, is_bad: bool) -> dict[str, object]:
    config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay:
        await fill(relay, people)
        feigned = Feigned(relay, is_bad)
        hosts: tuple[RoomHost, ...] = relay._rooms.hosts
        watch = QualityWatch(lambda: hosts, relay._hooks, relay._rooms.tally)
        await watch.look()
        spent_ms = []
        for _ in range(looks):
            feigned.spent_ns = 0
            before, worker_before = time.thread_time_ns(), relay.stats()[0].thread_cpu_ns
            await watch.look()
            spent_ms.append((time.thread_time_ns() - before - feigned.spent_ns) / 1e6)
            worker_ms = (relay.stats()[0].thread_cpu_ns - worker_before) / 1e6
        median_ms = statistics.median(spent_ms)
        return {
            "people": people,
            "scores": sum(relay._rooms.tally.counts.values()),
            "look_ms": round(median_ms, 2),
            "least_ms": round(min(spent_ms), 2),
            "worst_ms": round(max(spent_ms), 2),
            "worker_ms": round(worker_ms, 2),
            "core_percent": round(100 * median_ms / (1000 * EVERY_S), 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--bad", action="store_true")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.people, given.looks, given.bad))))


if __name__ == "__main__":
    main()
