"""
Who looks into a booth, in a process of its own: a doctor, or anybody else with a seat.

`Onlooker` is the row's end; `python -m rows.onlooker` the process. It writes down what came, and judges nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows.process import Message, Process
from rows.seated import Seated


class Onlooker(Process):
    """`async with Onlooker() as doctor:`; what the relay tells is in `events`."""

    def __init__(self) -> None:
        super().__init__("rows.onlooker")

    async def join(self, url: str, room: str, token: str, relay_port: int) -> Message:
        """{"participant", "admitted"}. Raises Failed."""
        return await self.do("join", url=url, room=room, token=token, relay_port=relay_port)

    async def look(self, sources: int) -> None:
        """Receive measurements, and wait until a frame of so many tracks was decoded."""
        await self.do("look", sources=sources)

    async def request(self, kind: str, **fields: Any) -> Message:
        """A request of docs/signaling.md. Raises Failed."""
        return await self.do("request", kind=kind, fields=fields)

    async def stop(self, file: Path) -> Message:
        """Into `file` goes all that came. {"frames"}: how many of each source were decoded."""
        return await self.do("stop", file=str(file))

    async def leave(self) -> None:
        """Give up the seat."""
        await self.do("leave")


class _Body(Seated):
    """What the process can do."""

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, list[float | None]] = {}
        self._gaps: list[tuple[str, int, int]] = []
        self._samples: list[tuple[float | None, float]] = []
        self._payloads: dict[int, dict[bytes, int]] = {}
        self._reports: dict[int, list[tuple[float, int]]] = {}

    async def join(self, url: str, room: str, token: str, relay_port: int) -> Mapping[str, Any]:
        from rows.orders import tell
        from support.lined_up import digest_of
        from telerelay.client import Client
        from telerelay.client.tap import RtpPacket

        def on_event(message: Message) -> None:
            tell({name: value for name, value in message.items() if name != "sdp"})

        def on_packet(packet: RtpPacket, _at: int) -> None:
            self._payloads.setdefault(packet.ssrc, {}).setdefault(digest_of(packet.payload), packet.timestamp)

        self._client = await Client.join(url, token, room, relay_port=relay_port, on_event=on_event)
        self._client.tap.on_packet = on_packet
        return {"participant": self._client.participant, "admitted": self._client.is_admitted}

    async def look(self, sources: int) -> Mapping[str, Any]:
        from support.calls import widen
        from support.lined_up import watch_reports
        from telerelay.client.measurements import Measurements

        self._measuring = await Measurements(self._client, self._on_batch, self._on_gap).__aenter__()

        def sees(client: Any) -> bool:
            return len(client.remote_tracks) >= sources and all(each.frames for each in client.remote_tracks.values())

        try:
            await self._client.wait_for(sees, 45.0)
        except TimeoutError:
            found = {each.source: each.frames for each in self._client.remote_tracks.values()}
            raise TimeoutError(f"frames {found}, held back {self._client.held_back}") from None
        widen(self._client._subscribe)
        self._reports = watch_reports(self._client)
        return {}

    def _on_batch(self, sub: str, series: Any, batch: Any) -> None:
        self._values.setdefault(series.kind, []).extend(batch.values)
        if series.kind == "wave" and batch.media_offset_s is not None:
            self._samples.append((batch.values[0], batch.times[0] + batch.media_offset_s))

    def _on_gap(self, sub: str, series: Any, first: int, next: int) -> None:
        self._gaps.append((series.kind, first, next))

    async def stop(self, file: str) -> Mapping[str, Any]:
        tracks = self._client.remote_tracks.values()
        offers = [each["sdp"] for each in self._client.events if each["type"] == "offer"]
        record = {
            "values": self._values,
            "gaps": self._gaps,
            "samples": self._samples,
            "payloads": {
                each.source: [[digest.hex(), stamp] for digest, stamp in self._payloads.get(each.ssrc, {}).items()]
                for each in tracks
            },
            "reports": {each.source: self._reports.get(each.ssrc, []) for each in tracks},
            "sections": {each.source: [section_of(offer, each.mid) for offer in offers] for each in tracks},
        }
        await asyncio.to_thread(Path(file).write_text, json.dumps(record))
        return {"frames": {each.source: each.frames for each in tracks}}


def section_of(sdp: str, mid: str) -> str:
    """The media section of that mid; "" where there is none."""
    sections = re.split(r"^(?=m=)", sdp, flags=re.MULTILINE)[1:]
    return next((each for each in sections if re.search(rf"^a=mid:{re.escape(mid)}\s*$", each, re.MULTILINE)), "")


async def _main() -> None:
    from rows.orders import take_orders

    body = _Body()
    await take_orders({name: getattr(body, name) for name in ("join", "look", "request", "stop", "leave")})
    with contextlib.suppress(Exception):
        await body.leave()


if __name__ == "__main__":
    asyncio.run(_main())
