"""
One recording from where it runs to where it does not: a tap on one side, a take on the other, and a gate between.

Event loop's thread, but for `_work`, which the recorder's thread runs. The gate is closed by a call that returns at
once: what comes after it is dropped, and what came before is written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from telerelay.connection.source import Source
from telerelay.connection.tap import TapConnection
from telerelay.dataplane import Tapped, Worker
from telerelay.errors import RemoteProtocolError
from telerelay.logs import say
from telerelay.recording.frames import CODECS
from telerelay.recording.shelf import Writing
from telerelay.recording.take import Take, Track
from telerelay.rooms.participant import SOCKET

if TYPE_CHECKING:
    from telerelay.signaling.host import RoomHost

MAX_WAITING_BYTES = 32 << 20
"""Packets that wait for the disk: half a minute of a consult. A disk that is slower than that stops the recording."""

TICK_S = 0.1
FACE = {"microphone": "call", "camera": "call"}
"""Sources that are one file; each other one is a file of its own."""


class Session:
    """`on_broken` is told once why it cannot go on; `later` has work done by the recorder's thread, in order."""

    def __init__(
        self,
        consult: str,
        recording: str,
        on_broken: Callable[[str], None],
        later: Callable[[Callable[[], None]], asyncio.Future[None]],
    ) -> None:
        self.consult = consult
        self.recording = recording
        self.is_open = True
        self.connection: TapConnection | None = None
        self.shelf: Writing | None = None
        self.running: asyncio.Task[None] | None = None
        """What brings the tap in line with what is wanted."""
        self._on_broken = on_broken
        self._later = later
        self._take: Take | None = None
        self._inbox: list[tuple[float, Any]] = []
        self._waiting_bytes = 0
        self._is_working = False
        self._working: asyncio.Future[None] | None = None
        self._worker: Worker | None = None
        self._host: RoomHost | None = None
        self._sources: dict[int, Source] = {}
        self._loop = asyncio.get_running_loop()

    def connect(self, host: RoomHost) -> Callable[..., TapConnection]:
        """What makes its tap, in that room."""
        self._host, self._worker = host, host.site.worker

        def make(site: Any, number: int) -> TapConnection:
            self.connection = TapConnection(
                site,
                participant=number,
                is_admitted=True,
                codecs=CODECS,
                on_source=self._on_source,
                on_packet=self._on_packet,
                on_state=self._on_state,
            )
            return self.connection

        return make

    def start(self, worker: Worker) -> None:
        """From now on what comes is written."""
        assert self.shelf is not None
        self._worker = worker
        self._take = Take(self.shelf.opened, self.shelf.closed, self._ask_keyframe)

    def cut(self) -> None:
        """From now on nothing that comes is."""
        self.is_open = False

    async def finish(self) -> None:
        """What came before the cut is written, and its files are whole."""
        if self._take is None:
            return
        take, inbox, self._inbox = self._take, self._inbox, []
        now = self._now()

        def work() -> None:
            try:
                _put(take, inbox)
            finally:  # a disk that has no room for one file may have it for another's end
                take.close(now)

        try:
            if self._working is not None:
                await asyncio.wait({self._working})
            await self._later(work)
        except Exception as error:
            say(logging.ERROR, "recording_not_whole", error=type(error).__name__, code=getattr(error, "code", ""))

    async def tick(self) -> None:
        """Let time pass, until it is cut."""
        while self.is_open:
            if self._worker is not None and not self._worker.is_running:
                self._break("failed")  # the tap is gone with it
            self._add(None, 0)
            await asyncio.sleep(TICK_S)

    # ---------------------------------------------------------------- what the tap tells

    def _on_source(self, ssrc: int, source: Source | None, codec: str) -> None:
        if source is None:
            if self._sources.pop(ssrc, None) is not None:
                self._add(ssrc, 0)
            return
        track = self._track(ssrc, source, codec)
        if track is not None:
            self._sources[ssrc] = source
            self._add(track, 0)

    def _track(self, ssrc: int, source: Source, codec: str) -> Track | None:
        """None: it is encrypted end to end, and not ours to read."""
        room = self._host.room if self._host is not None else None
        publication = room.publications.get(source.publication) if room is not None else None
        participant = room.participants.get(source.participant) if room is not None else None
        if publication is None or participant is None:
            return None
        if publication.attachment == SOCKET and publication.is_encrypted:
            return None
        group = FACE.get(publication.source, publication.id)
        return Track(ssrc, publication.id, participant.sub, publication.source, codec, group)

    def _on_packet(self, tapped: Tapped) -> None:
        if self.is_open:
            self._add(tapped, len(tapped.data))

    def _on_state(self, state: str) -> None:
        if state in ("failed", "closed"):
            self._break("failed")

    def _add(self, what: Any, size_bytes: int) -> None:
        if not self.is_open or self._take is None:
            return
        self._waiting_bytes += size_bytes
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self._break("failed")
            return
        self._inbox.append((self._now(), what))
        if what is None and not self._is_working:  # ten times a second is often enough for a file
            self._is_working = True
            inbox, self._inbox, self._waiting_bytes = self._inbox, [], 0
            self._working = self._later(lambda: self._work(inbox))
            self._working.add_done_callback(self._worked)

    def _work(self, inbox: list[tuple[float, Any]]) -> None:
        assert self._take is not None
        assert self.shelf is not None
        _put(self._take, inbox)
        self.shelf.tick(inbox[-1][0])

    def _worked(self, done: asyncio.Future[None]) -> None:
        self._is_working = False
        error = None if done.cancelled() else done.exception()
        if error is None:
            return
        is_full = isinstance(error, RemoteProtocolError) and error.code == "storage_full"
        if not isinstance(error, RemoteProtocolError):
            say(logging.ERROR, "recording_failed", error=type(error).__name__, exc_info=error)
        self._break("full" if is_full else "failed")

    def _break(self, why: str) -> None:
        if self.is_open:
            self.cut()
            self._on_broken(why)

    # ---------------------------------------------------------------- within

    def _now(self) -> float:
        """As sender reports have it, Unix seconds."""
        return time.monotonic() + (self._worker.wall_offset_s if self._worker is not None else 0.0)

    def _ask_keyframe(self, publication: str) -> None:
        self._loop.call_soon_threadsafe(self._request_keyframe, publication)

    def _request_keyframe(self, publication: str) -> None:
        for source in self._sources.values():
            if self.is_open and self._worker is not None and source.publication == publication:
                self._worker.request_keyframe(source.receiver).add_done_callback(_heard)


def _put(take: Take, inbox: list[tuple[float, Any]]) -> None:
    for now, what in inbox:
        match what:
            case None:
                take.tick(now)
            case Track():
                take.begin(what)
            case int():
                take.end(now, what)
            case Tapped() if what.is_rtcp:
                take.rtcp(what.data)
            case Tapped():
                take.rtp(now, what.data)


def _heard(posted: asyncio.Future[Any]) -> None:
    if not posted.cancelled():
        posted.exception()
