"""
A person whose arrivals are counted packet by packet, with any sources, a camera that obeys, and a photo to send.

`Counted` is the row's end, `python -m rows.counted` the process; the rest is as of rows/person.py.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from rows.figures import p95
from rows.person import Body, Person, play
from rows.process import Message
from support.starved import Starved


class Counted(Person):
    """`async with Counted() as nurse:`"""

    module = "rows.counted"

    async def send(self, *sources: str, bps: int = 0, size: tuple[int, int] = (640, 360)) -> None:
        """
        Send a moving picture and a tone, or of each source what it is: a `microphone`'s tone, a picture of any other.
        Pictures have that `size`; with `bps` they are encoded beforehand, at that rate whatever the line does.
        """
        await self.do("send", sources=sources or ("microphone", "camera"), bps=bps, size=size)

    async def starved(self) -> list[tuple[float, float]]:
        """From when until when this process did not get to run, so far, of the monotonic clock."""
        return [(began, ended) for began, ended in (await self.do("starved"))["spells"]]

    async def arrivals(
        self, since: float, until: float, without: Sequence[tuple[float, float]] = ()
    ) -> dict[str, Message]:
        """
        By source, what came of others' tracks between two moments of the monotonic clock: {"packets", "bytes", "good",
        "p95_s" and "most_s" between two packets, "late_s" later than the earliest of all by its RTP time, p95, "ended"
        frames whose last packet came, "lost" for good and "frames" decoded so far}; and as "starved_s" how long this
        process did not get to run, so far.
        What came `without`, in these times, is in neither of the three that are times.
        """
        return dict((await self.do("arrivals", since=since, until=until, without=without))["tracks"])

    async def have_camera(self) -> None:
        """Obey who moves the camera: each command is done at once."""
        await self.do("have_camera")

    async def still(self, url: str, request: str, label: str, size: int) -> Message:
        """Take the photo that was asked for and send it, {"document", "sha256", "status"}."""
        return await self.do("still", url=url, request=request, label=label, size=size)


_Arrived = tuple[float, int, int, bool]
"""When (monotonic), how many bytes, RTP time, and whether a frame ends with it."""


class _Body(Body):
    orders = (*Body.orders, "send", "starved", "arrivals", "have_camera", "still")

    def __init__(self, http: aiohttp.ClientSession) -> None:
        super().__init__(http)
        self._token = ""
        self._arrived: dict[int, list[_Arrived]] = {}
        self._starved = Starved()
        self._starved.__enter__()  # as long as the process
        self._has_camera = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, url: str, room: str, token: str, relay_port: int | None) -> Mapping[str, Any]:
        self._token, self._arrived = token, {}
        joined = await super().join(url, room, token, relay_port)
        self._client.tap.on_packet = self._on_packet
        return joined

    async def send(self, sources: Sequence[str], bps: int, size: Sequence[int]) -> Mapping[str, Any]:
        from rows.camera import Encoded, frames
        from telerelay.client import MovingPicture, Tone

        def track(source: str) -> Any:
            if source == "microphone":
                return Tone()
            return Encoded(bps, *size) if bps else MovingPicture(*size)

        if bps:
            await asyncio.to_thread(frames, bps, *size)  # seconds, in which the socket must not be silent
        await self._client.publish([track(source) for source in sources], sources)
        return {}

    async def starved(self) -> Mapping[str, Any]:
        return {"spells": self._starved.spells}

    async def arrivals(self, since: float, until: float, without: Sequence[Sequence[float]]) -> Mapping[str, Any]:
        stats = {each.publication: each for each in self._client.track_stats()}
        found = {}
        for track in self._client.remote_tracks.values():
            came = [each for each in self._arrived.get(track.ssrc, ()) if since <= each[0] <= until]
            good = [not any(a <= each[0] <= b for a, b in without) for each in came]
            between = [
                b[0] - a[0] for (a, b), is_good in zip(itertools.pairwise(came), good[1:], strict=True) if is_good
            ]
            counted = stats.get(track.publication)
            found[track.source] = {
                "packets": len(came),
                "bytes": sum(size for _, size, *_ in came),
                "ended": sum(is_last for *_, is_last in came),
                "p95_s": p95(between) if between else None,
                "late_s": self._late_s(track, [each for each, is_good in zip(came, good, strict=True) if is_good]),
                "good": sum(good),
                "most_s": max(between, default=until - since),
                "lost": counted.lost_packets if counted is not None else 0,
                "received": counted.rx_packets if counted is not None else 0,
                "frames": track.frames,
            }
        return {"tracks": found | {"": {"starved_s": self._starved.total_s}}}

    def _late_s(self, track: Any, came: Sequence[_Arrived]) -> float | None:
        """RTP time begins anywhere (RFC 3550, 5.1); what it shows is how much later one came than another."""
        every = self._arrived.get(track.ssrc, ())
        if not came:
            return None
        hz, first = (48_000 if track.kind == "audio" else 90_000), every[0][2]

        def moved(each: _Arrived) -> float:
            return each[0] - ((each[2] - first + 2**31) % 2**32 - 2**31) / hz

        least = min(map(moved, every))
        return p95([moved(each) - least for each in came])

    def _on_packet(self, packet: Any, arrival_time_ms: int) -> None:
        arrived = (time.monotonic(), len(packet.payload), packet.timestamp, bool(packet.marker))
        self._arrived.setdefault(packet.ssrc, []).append(arrived)

    async def have_camera(self) -> Mapping[str, Any]:
        self._has_camera = True
        return {}

    def on_event(self, message: Message) -> None:
        if message["type"] == "camera" and self._has_camera:
            moved = asyncio.create_task(self._move(message))
            self._tasks.add(moved)
            moved.add_done_callback(self._tasks.discard)
        super().on_event(message)

    async def _move(self, message: Message) -> None:
        stands = {name: 0.5 + message[name] / 2 for name in ("pan", "tilt", "zoom") if name in message}
        await self._client.request("camera_moved", command=message["command"], outcome="done", **stands)

    async def still(self, url: str, request: str, label: str, size: int) -> Mapping[str, Any]:
        data = os.urandom(size)
        digest = hashlib.sha256(data).hexdigest()
        words = {"sha256": digest, "label": label, "kind": "still", "request": request, "source": "photo"}
        words["filetype"] = "image/jpeg"
        pairs = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in words.items())
        headers = {"Authorization": f"Bearer {self._token}", "Tus-Resumable": "1.0.0"}
        more = {"Upload-Length": str(size), "Upload-Metadata": pairs}
        async with self._http.post(f"{url}/documents", headers=headers | more) as created:
            if created.status != 201:
                return {"status": created.status, "document": "", "sha256": digest}
            document = created.headers["Location"].rpartition("/")[2]
        more = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        async with self._http.patch(f"{url}/documents/{document}", data=data, headers=headers | more) as sent:
            return {"status": sent.status, "document": document, "sha256": digest}


if __name__ == "__main__":
    asyncio.run(play(_Body))
