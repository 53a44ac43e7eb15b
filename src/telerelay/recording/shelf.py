"""
The files of recordings, sealed as documents are (telerelay.documents): one key a consult, frames of 64 KiB.

Blocking; the recorder's thread alone, but `of`, which reads what is known.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from telerelay.documents.frames import Unreadable
from telerelay.documents.vault import Vault
from telerelay.documents.volume import Volume
from telerelay.errors import RemoteProtocolError
from telerelay.recording.take import Part

SETTLE_EVERY_S = 1.0
"""So much of a file a process that is killed may lose."""


@dataclass(slots=True)
class Kept:
    """
    One file: of which recording and person. `begun_at` is Unix seconds; what came of it is known when it is whole. One
    that is not whole, for its process was killed, or the disk was full, is there as far as it came.
    """

    id: str
    consult: str
    recording: str
    sub: str
    group: str
    begun_at: float
    volume: Volume = field(repr=False)
    is_whole: bool = False
    about: dict[str, Any] = field(default_factory=dict)
    """media_type, sources; when it is whole length_s, packets, lost_packets, gaps, frames_left_out."""

    @property
    def size_bytes(self) -> int:
        """On the disk: of one that is being written, what a process that is killed now leaves."""
        return self.volume.settled_bytes

    def to_meta(self) -> dict[str, Any]:
        named = ("recording", "sub", "group", "begun_at", "is_whole", "about")
        return {name: getattr(self, name) for name in named}


class Shelves:
    """One relay's."""

    def __init__(self, vault: Vault, keep_free_bytes: int) -> None:
        self.vault = vault
        self.keep_free_bytes = keep_free_bytes
        self.bytes = 0
        self._kept: dict[str, dict[str, Kept]] = {}

    def of(self, consult: str) -> tuple[Kept, ...]:
        """What there is of a consult, in the order it began."""
        found = list(self._kept.get(consult, {}).values())  # at once: the recorder's thread adds to it
        return tuple(sorted(found, key=lambda each: each.begun_at))

    def find(self, key: bytes, consult: str) -> None:
        """What another process kept; what cannot be read is removed."""
        for each in self.vault.find(key, consult):
            try:
                kept = Kept(each.document, consult, **each.meta, volume=each.volume)
                kept.volume.is_finished = kept.is_whole
            except TypeError:
                self.vault.remove(consult, each.document)
                continue
            self._kept.setdefault(consult, {})[kept.id] = kept

    def drop(self, consult: str) -> None:
        """All of a consult's files."""
        self._kept.pop(consult, None)
        self.vault.drop(consult)

    def digest(self, kept: Kept) -> str:
        """Raises RemoteProtocolError storage_failed."""
        try:
            return kept.volume.digest()
        except Unreadable:
            raise _damaged() from None

    def read(self, kept: Kept, start: int, size_bytes: int) -> bytes:
        """Raises RemoteProtocolError not_found (it was destroyed), storage_failed."""
        if kept.id not in self._kept.get(kept.consult, {}):
            raise RemoteProtocolError("not_found", "there is no such recording")
        try:
            return kept.volume.read(start, size_bytes)
        except Unreadable:
            raise _damaged() from None

    def writing(self, key: bytes, consult: str, recording: str) -> Writing:
        return Writing(self, key, consult, recording)

    def _add(self, kept: Kept) -> None:
        self._kept.setdefault(kept.consult, {})[kept.id] = kept


class Writing:
    """The files of one recording that runs, by person and group."""

    def __init__(self, shelves: Shelves, key: bytes, consult: str, recording: str) -> None:
        self._shelves = shelves
        self._key = key
        self._consult = consult
        self._recording = recording
        self._open: dict[tuple[str, str], Kept] = {}
        self._settled_at = 0.0

    def opened(self, sub: str, group: str, media_type: str, sources: tuple[str, ...]) -> Callable[[bytes], object]:
        """A file begins. Raises RemoteProtocolError storage_full, storage_failed."""
        self._check_space()
        id = secrets.token_urlsafe(16)
        meta: dict[str, Any] = {"recording": self._recording, "sub": sub, "group": group, "begun_at": time.time()}
        meta["about"] = {"media_type": media_type, "sources": list(sources)}
        volume = self._shelves.vault.create(self._key, self._consult, id, meta)
        kept = Kept(id, self._consult, **meta, volume=volume)
        self._open[sub, group] = kept
        self._shelves._add(kept)

        def write(data: bytes) -> None:
            volume.append(data)
            self._shelves.bytes += len(data)

        return write

    def closed(self, sub: str, group: str, part: Part) -> None:
        """It is whole. Raises RemoteProtocolError storage_full, storage_failed."""
        kept = self._open.pop((sub, group))
        kept.begun_at = part.begun_at
        kept.about = {
            "media_type": part.media_type,
            "sources": list(part.sources),
            "length_s": round(part.length_s, 3),
            "packets": part.counts.packets,
            "lost_packets": part.counts.lost,
            "gaps": part.counts.gaps,
            "frames_left_out": part.counts.left_out,
        }
        kept.volume.digest()
        kept.volume.finish()
        kept.is_whole = True
        self._shelves.vault.describe(self._key, self._consult, kept.id, kept.to_meta())

    def tick(self, now: float) -> None:
        """What came is on the disk each second, as long as there is room. Raises as `opened` does."""
        if now - self._settled_at < SETTLE_EVERY_S:
            return
        self._settled_at = now
        if self._open:
            self._check_space()
        problems = list[RemoteProtocolError]()
        for kept in self._open.values():
            try:
                kept.volume.settle()
            except RemoteProtocolError as error:  # what fits of another is not lost for it
                problems.append(error)
        if problems:
            raise problems[0]

    def _check_space(self) -> None:
        if self._shelves.vault.free_bytes() < self._shelves.keep_free_bytes:
            raise RemoteProtocolError("storage_full", "the relay's disk has no room for it")


def _damaged() -> RemoteProtocolError:
    return RemoteProtocolError("storage_failed", "the recording is damaged on the relay's disk")
