"""
A booth with instruments, in a process of its own: two pictures, two sounds, a wave and single values.

`Booth` is the row's end; `python -m rows.booth` the process. Its clock is not the relay's. Sample n of a series has the
value `first + n`, so whoever has it knows which one it is, and of which visit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows.process import Message, Process
from rows.seated import Seated

AHEAD_S = 37.25
"""The booth's clock is that much ahead of the machine's."""
RATE_HZ = 250
EVERY_S = 0.1
"""Between two messages of the wave."""
SOURCES = ("microphone", "stethoscope", "camera", "scope")
PICTURES = ("camera", "scope")
WIDTH, HEIGHT = 160, 96
"""Small, for three processes encode and decode on two cores; what is measured is when, not how fine."""


class Booth(Process):
    """`async with Booth() as booth:`"""

    def __init__(self) -> None:
        super().__init__("rows.booth")

    async def join(self, url: str, room: str, token: str, relay_port: int, seed: int) -> Message:
        """Take the seat, and send all four tracks, which no other seed has a packet of. Raises Failed."""
        return await self.do("join", url=url, room=room, token=token, relay_port=relay_port, seed=seed)

    async def measure(self, first: int) -> None:
        """Begin to measure."""
        await self.do("measure", first=first)

    async def stop(self) -> Message:
        """
        Measure no more, and wait until all is acknowledged: how many of {"wave", "values"}, the SDP {"answer"}, and
        {"mids"} by source. Pictures and sound go on.
        """
        return await self.do("stop")

    async def write(self, file: Path) -> None:
        """Into `file` goes what was sent so far, and when: once nobody receives any more who is held against it."""
        await self.do("write", file=str(file))

    async def kept(self) -> None:
        """Wait until something was measured that nobody has acknowledged."""
        await self.do("kept")

    async def request(self, kind: str, **fields: Any) -> Message:
        """A request of docs/signaling.md. Raises Failed."""
        return await self.do("request", kind=kind, fields=fields)

    async def leave(self) -> None:
        """Give up the seat; what was not acknowledged goes with it."""
        await self.do("leave")


def clock() -> float:
    """The booth's, Unix seconds."""
    return time.time() + AHEAD_S


class _Body(Seated):
    """What the process can do. The clients' imports take half a second: only this process makes them."""

    def __init__(self, by_ssrc: dict[int, dict[bytes, tuple[float, int]]]) -> None:
        super().__init__()
        self._by_ssrc = by_ssrc
        self._series: tuple[Any, Any] = (None, None)
        self._running: asyncio.Task[None] | None = None
        self._sent: dict[str, dict[bytes, tuple[float, int]]] = {}
        self._taken: dict[str, dict[int, float]] = {}
        self._counts = [0, 0]
        self._began_at = 0.0

    async def join(self, url: str, room: str, token: str, relay_port: int, seed: int) -> Mapping[str, Any]:
        from rows.taken import TakenPicture
        from support.heart import HeartSound
        from support.lined_up import sent_by
        from telerelay.client import Client
        from telerelay.client.measurements import Measurements

        self._client = await Client.join(url, token, room, relay_port=relay_port)
        pictures = {source: TakenPicture(WIDTH, HEIGHT, clock, 10 * seed + n) for n, source in enumerate(PICTURES)}
        self._taken = {source: picture.taken for source, picture in pictures.items()}
        await self._client.publish([HeartSound(2 * seed), HeartSound(2 * seed + 1), *pictures.values()], SOURCES)
        self._sent = sent_by(self._client, self._by_ssrc)
        self._measuring = await Measurements(self._client, clock=clock).__aenter__()
        return {}

    async def measure(self, first: int) -> Mapping[str, Any]:
        from telerelay.measurements import Series

        wave = Series("ecg-1", "s1", "wave", "ecg", "mV", float(RATE_HZ), (("loinc", "131328"),))
        values = Series("oxi-1", "s2", "value", "heart_rate", "/min", 0.0, (("loinc", "8867-4"),))
        self._series = (wave, values)
        for each in self._series:
            self._measuring.declare(each)
        self._counts, self._began_at = [0, 0], clock()
        self._running = asyncio.create_task(self._measure(first))
        return {}

    async def _measure(self, first: int) -> None:
        wave, values = self._series
        while True:
            await asyncio.sleep(EVERY_S)
            had, due = self._counts[0], int((clock() - self._began_at) * RATE_HZ)
            if due > had:
                at = self._began_at + had / RATE_HZ
                self._measuring.record(wave, (at,), tuple(range(first + had, first + due)), device_at=had / RATE_HZ)
                self._counts[0] = due
            while due // RATE_HZ > self._counts[1]:
                self._measuring.record(values, (self._began_at + self._counts[1],), (first + self._counts[1],))
                self._counts[1] += 1

    async def stop(self) -> Mapping[str, Any]:
        assert self._running is not None
        self._running.cancel()
        await self._measuring.delivered()
        mids = {each.source: each.mid for each in self._client.publications.values()}
        answer = self._client._publish.remoteDescription.sdp
        return {"wave": self._counts[0], "values": self._counts[1], "answer": answer, "mids": mids}

    async def write(self, file: str) -> Mapping[str, Any]:
        record = {
            "began_at": self._began_at,
            "sent": {
                source: [[digest.hex(), at, timestamp] for digest, (at, timestamp) in packets.items()]
                for source, packets in self._sent.items()
            },
            "taken": {source: [*taken.items()] for source, taken in self._taken.items()},
        }
        await asyncio.to_thread(Path(file).write_text, json.dumps(record))
        return {}

    async def kept(self) -> Mapping[str, Any]:
        await self._client.wait_for(lambda _: self._measuring.outbox.kept_samples > 0)
        return {}

    async def leave(self) -> Mapping[str, Any]:
        if self._running is not None:
            self._running.cancel()
        return await super().leave()


async def _main() -> None:
    from aiortc import clock as aiortc_clock

    from rows.orders import take_orders
    from support.lined_up import watching_sent

    # What leaves the booth is stamped by the booth's clock: its sender reports, too.
    now = aiortc_clock.current_ntp_time
    aiortc_clock.current_ntp_time = lambda: now() + round(AHEAD_S * 2**32)
    with watching_sent(clock) as by_ssrc:
        body = _Body(by_ssrc)
        orders = ("join", "measure", "stop", "write", "kept", "request", "leave")
        await take_orders({name: getattr(body, name) for name in orders})
        with contextlib.suppress(Exception):
            await body.leave()


if __name__ == "__main__":
    asyncio.run(_main())
