"""
A person on libwebrtc without a browser, who does what `limits` says, as the page does, and keeps what was counted.

Event loop of whoever makes it; libwebrtc has threads of its own.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from lines.recording import Watched
from support.wrtc_peer import Peer, Reachable

SIGNS = ("track_state", "seen_by", "limits", "speaker", "quality")
LEAST_SHARE = 1 / 3  # as in sending.js

_STATISTICS = {
    "inbound-rtp": "kind bytes_received header_bytes_received packets_received packets_lost nack_count pli_count"
    " frames_received frames_decoded key_frames_decoded frame_width frame_height freeze_count total_freezes_duration"
    " concealed_samples silent_concealed_samples total_samples_received jitter_buffer_delay"
    " jitter_buffer_emitted_count",
    "outbound-rtp": "kind rid bytes_sent frames_encoded key_frames_encoded frame_height quality_limitation_reason"
    " target_bitrate active",
    "media-source": "kind frames_per_second frames",
}
_MEMBERS = {kind: names.split() for kind, names in _STATISTICS.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Somebody(Peer):
    """A person who does what `limits` says, as the page does; `watched` is what was seen."""

    def __init__(self, relay: Reachable, room: str, sub: str) -> None:
        super().__init__(relay, room, sub)
        self.watched = Watched()
        self.on_event = self._on_sign
        self._base: list[tuple[str | None, int | None]] = []
        self._limits: list[dict[str, Any]] = []
        self._applying: asyncio.Task[None] | None = None

    def _on_sign(self, message: dict[str, Any]) -> None:
        if message["type"] not in SIGNS:
            return
        self.watched.signs.append((time.time(), message))
        if message["type"] == "limits":
            self._limits = message["tracks"]
            if self._applying is None or self._applying.done():
                self._applying = asyncio.create_task(self._obey())

    async def _obey(self) -> None:
        """The last of several limits in a row is applied in the end."""
        applied = None
        while applied is not self._limits:
            applied = self._limits
            await self._apply(applied)

    async def _apply(self, tracks: list[dict[str, Any]]) -> None:
        """What is worth sending of the picture (sending.js says why so)."""
        senders = [each.sender for each in self.publish_pc.get_transceivers()] if self.publish_pc else []
        mine = [each["id"] for each in self.publications if each["kind"] == "video"]
        limit = next((each for each in tracks if each["publication"] in mine), {})
        for sender in senders:
            if sender.track is None or sender.track.kind != "video":
                continue
            parameters = sender.get_parameters()
            self._base = self._base or [(each.rid, each.max_bitrate) for each in parameters.encodings]
            left_bps, is_first, rids = limit.get("max_bps", float("inf")), True, limit.get("rids")
            for encoding, (rid, most_bps) in zip(parameters.encodings, self._base, strict=True):
                is_wanted = rids is None or (rid in rids if rid else bool(rids))
                most = most_bps or float("inf")
                is_worth = left_bps > 0 if is_first else left_bps >= LEAST_SHARE * most
                encoding.active = is_wanted and is_worth
                if not encoding.active:
                    encoding.max_bitrate = most_bps
                    continue
                bps = min(most, left_bps)
                encoding.max_bitrate = most_bps if bps == float("inf") else int(bps)
                left_bps, is_first = left_bps - bps, False
            await sender.set_parameters(parameters)

    async def look(self) -> None:
        """One sample."""
        rows: list[dict[str, Any]] = []
        for pc in (self.publish_pc, self.subscribe_pc):
            if pc is None:
                continue
            for entry in (await pc.get_stats()).values():
                kind = str(entry.type.value)
                if kind not in _MEMBERS:
                    continue
                # wrtc names received tracks as it likes; their sections are those of the relay's offer.
                row = {"type": kind, "id": getattr(entry, "mid", None) if kind == "inbound-rtp" else str(entry.id)}
                for name in _MEMBERS[kind]:
                    value = getattr(entry, name, None)
                    if value is not None:
                        plain = getattr(value, "value", value)
                        row[_camel(name)] = plain if isinstance(plain, int | float | bool) else str(plain)
                rows.append(row)
        self.watched.samples.append((time.time(), rows))
        self.watched.tracks = {track["mid"]: track["participant"] for track in self.remote.values()}
