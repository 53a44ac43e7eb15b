"""
What adaptation costs control: processor time of one look at all calls, of what workers tell of lines, and their share
of a core.

    python benchmarks/adaptation.py [--people 200] [--looks 40] [--size 2] [--bad]

Rooms of `--size`, each person by WHIP and WHEP: real rooms, a real worker, and the real pages and records between them.
Nobody is at the other end: rates are made up, as of a camera and a voice, with a twentieth of noise, and each line
tells of itself every two seconds. `--bad`: lines go up and down, so that publishers are told. What the loop takes to
wake up for an event is not in it.
"""

import argparse
import asyncio
import json
import random
import statistics
import time

from telerelay._native import ffi, lib

from quality import fill
from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.dataplane import Rate, Worker
from telerelay.signaling.adapting import EVERY_S

TELL_S = 2.0
GOOD_BPS = 20_000_000
CAMERA_BPS, VOICE_BPS = 1_700_000, 35_000


class Feigned:
    """Rates as if everybody sent; `spent_ns`: what making them up costs."""

    def __init__(self, relay: Relay) -> None:
        self.spent_ns = 0
        self._random = random.Random(1)
        self._receivers: list[tuple[int, bool]] = []
        for host in relay._rooms.hosts:
            for name, publication in host.room.publications.items():
                if (source := host.source(name)) is not None:
                    self._receivers.append((source.receiver, publication.kind == "video"))

    def rates(self, worker: Worker) -> None:
        """From now on that worker's pages say so."""
        read = worker.rates

        async def feigned() -> list[Rate]:
            await read()
            before = time.thread_time_ns()
            rows = list(self._rows())
            self.spent_ns += time.thread_time_ns() - before
            return rows

        worker.rates = feigned  # type: ignore[method-assign]

    def _rows(self) -> list[Rate]:
        rows = []
        for receiver, is_video in self._receivers:
            bps = int((CAMERA_BPS if is_video else VOICE_BPS) * self._random.uniform(0.95, 1.05))
            rows.append(Rate(receiver, 0, 0, 0, self._random.randrange(90), bps, bps))
        return rows


async def measure(people: int, looks: int, size: int, is_bad: bool) -> dict[str, object]:
    config = with_values(Config(), {"udp": {"binds": ["127.0.0.1:0"]}, "media": {"adaptation": True}})
    async with Relay(config, keys=TokenKeys.of(b"k" * 32)) as relay:
        await fill(relay, people, size)
        await asyncio.sleep(1.0)
        (worker,) = relay._workers
        feigned = Feigned(relay)
        feigned.rates(worker)
        watch = relay._rooms.adaptation
        transports = [each.transport for host in relay._rooms.hosts for each in host.adapter._lines()]
        record = ffi.new("tr_estimate *")
        look_ms, tell_us = [], []
        for number in range(looks):
            feigned.spent_ns = 0
            before = time.thread_time_ns()
            await watch.look()
            look_ms.append((time.thread_time_ns() - before - feigned.spent_ns) / 1e6)
            bps = 300_000 if is_bad and number // 8 % 2 else GOOD_BPS
            before = time.thread_time_ns()
            for transport in transports:
                record.transport, record.estimate_bps, record.target_bps, record.rung = transport, bps, bps, 3
                worker._on_record(lib.TR_EVENT_ESTIMATE, 0, record)
            tell_us.append((time.thread_time_ns() - before) / 1e3 / len(transports))
        median_ms, each_us = statistics.median(look_ms), statistics.median(tell_us)
        share = median_ms / 1e3 / EVERY_S + len(transports) * each_us / 1e6 / TELL_S
        return {
            "people": people,
            "lines": len(transports),
            "look_ms": round(median_ms, 2),
            "worst_ms": round(max(look_ms), 2),
            "tell_us": round(each_us, 1),
            "ladders": relay._rooms.adapted.ladders,
            "limits": relay._rooms.adapted.limits,
            "core_percent": round(100 * share, 3),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--looks", type=int, default=40)
    parser.add_argument("--size", type=int, default=2)
    parser.add_argument("--bad", action="store_true")
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.people, given.looks, given.size, given.bad))))


if __name__ == "__main__":
    main()
