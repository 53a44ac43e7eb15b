"""
The recordings of a relay's consults: the recorder in the room, what it writes, and who may have that.

Event loop's thread; what is written is written by a thread of its own, so that a slow disk holds nobody's call up. A
byte is taken only while the consult's record says that it runs, both as it is and as far as it is durable.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from telerelay.config import Config
from telerelay.consult.draft import Facts
from telerelay.consult.recording import RECORDER, asked
from telerelay.documents.keys import TABLES, Keyring
from telerelay.documents.storeroom import Storeroom
from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.events import RecordingChanged
from telerelay.hooks import HookRunner, RecordingRequest
from telerelay.journal import DiskTrouble
from telerelay.logs import say
from telerelay.recording.session import Session
from telerelay.recording.shelf import Kept, Shelves
from telerelay.tasks import Tasks

if TYPE_CHECKING:
    from telerelay.journal import Journal
    from telerelay.signaling.consult_live import LiveConsult

EXPIRE_EVERY_S = 600.0
KEY_PATIENCE_S = 5.0
ROLE = "recorder"

T = TypeVar("T")


class Recordings:
    """One relay's. `now` is the consults' clock, `live` finds a consult that is not over."""

    def __init__(
        self,
        config: Config,
        hooks: HookRunner,
        now: Callable[[], float],
        live: Callable[[str], LiveConsult | None],
    ) -> None:
        self.counts: Counter[str] = Counter()
        """How often a recording came into which state."""
        self._config = config
        self._hooks = hooks
        self._now = now
        self._live = live
        self._tasks = Tasks()
        self._store = Storeroom("recordings")
        self._shelves: Shelves | None = None
        self._sessions: dict[str, Session] = {}
        self._seats: dict[str, str] = {}
        """Of the recorder in each consult's room: which participant."""
        self._seen: dict[str, tuple[str, str]] = {}

    # ---------------------------------------------------------------- life

    async def open(self, journal: Journal) -> None:
        """
        Find what another process kept. Also where nothing is recorded any more: what was is kept, and destroyed, as the
        configuration says. Raises ConfigError where a folder that the configuration names cannot be made.
        """
        keyring = Keyring(journal, TABLES[1])
        consults = await keyring.open()
        if not self._config.recording.enabled and not consults:
            return
        vault = self._store.open(keyring, self._config.recording.folder, self._config.journal.path)
        await self._store.prepare(self._config.recording.folder)
        shelves = self._shelves = Shelves(vault, self._config.recording.keep_free_bytes)
        for consult in consults:
            key = keyring.known(consult)
            assert key is not None
            await self._do(shelves.find, key, consult)
        await self._do(vault.sweep, consults)

    def start(self) -> None:
        """Let time pass."""
        if self._shelves is not None:
            self._tasks.spawn(self._run_expiry(), "recordings_expire")

    async def close(self) -> None:
        """What runs is closed as a whole. Safe twice."""
        for consult in tuple(self._sessions):
            self._cut(consult)
        await self._tasks.join(5.0, besides=("recordings_expire",))
        await self._tasks.close()
        await self._store.close()

    async def _run_expiry(self) -> None:
        while True:
            try:
                await self.expire()
            except DiskTrouble as error:  # the next look finds what is left
                say(logging.ERROR, "recordings_not_erased", code=error.code)
            await asyncio.sleep(EXPIRE_EVERY_S)

    async def expire(self) -> None:
        """Destroy what has been kept for its time, or was erased in the journal. Raises DiskTrouble."""
        assert self._shelves is not None
        assert self._store.keyring is not None
        before = self._now() - self._config.recording.retain_days * 86400
        for consult in self._store.keyring.consults:
            live = self._live(consult)
            kept = self._shelves.of(consult)
            is_running = live is not None and not live.durable.is_over
            if is_running or await self._drop_erased(consult):
                continue
            if all(each.begun_at <= before for each in kept):
                await self._destroy(consult)
                say(logging.INFO, "recordings_erased", count=len(kept))

    # ---------------------------------------------------------------- what people do

    async def ask(self, live: LiveConsult, by: str, *, is_host: bool = False) -> str:
        """
        `by` wants it recorded: which recording, when it is durable and everybody is asked. Raises RemoteProtocolError:
        as Recorded.ask_recording; forbidden, too, where nothing may be recorded here, or not this. What is refused is
        written down.
        """
        recording = secrets.token_urlsafe(12)
        people = live.consult.record.people

        def ask(is_allowed: bool) -> Facts:
            return live.consult.ask_recording(self._now(), recording, by, is_host=is_host, is_allowed=is_allowed)

        try:
            ask(True)
            is_allowed = self._config.recording.enabled and await self._hooks.recording_consent(
                RecordingRequest(
                    room=live.id,
                    tenant=live.consult.record.plan.tenant,
                    policy=live.consult.record.plan.policy,
                    by=by,
                    role=people[by].role if by in people and not is_host else "",
                )
            )
        except RemoteProtocolError as error:
            raise self._refused(live, by, error, is_host) from None
        await live.settle(ask(is_allowed))  # once more: time has passed
        if not is_allowed:
            raise RemoteProtocolError("forbidden", "this consult may not be recorded")
        return recording

    async def answer(self, live: LiveConsult, sub: str, recording: str, is_given: bool) -> None:
        """Somebody agrees, or does not, or no longer. Returns when it is durable. Raises RemoteProtocolError."""
        latest = live.consult.record.recording
        if latest is None or latest.id != recording:
            raise RemoteProtocolError("conflict", "there is no such recording to agree to")
        await live.settle(live.consult.answer_recording(self._now(), sub, is_given))

    async def stop(self, live: LiveConsult, by: str, *, is_host: bool = False) -> None:
        """A decider, or the host, wants no more of it. Returns when it is durable. Raises RemoteProtocolError."""
        try:
            made = live.consult.stop_recording(self._now(), by, is_host=is_host)
        except RemoteProtocolError as error:
            raise self._refused(live, by, error, is_host) from None
        await live.settle(made)

    def _refused(self, live: LiveConsult, by: str, error: RemoteProtocolError, is_host: bool) -> RemoteProtocolError:
        if error.code == "forbidden" and not is_host:
            live.tried(by, "recording")
        return error

    # ---------------------------------------------------------------- what consults tell

    def look(self, live: LiveConsult) -> None:
        """
        Something has become so, or durable: bring the recorder in line with it. It is cut off at once, before anything
        is durable; it begins when all of that is.
        """
        recording, durable = live.consult.record.recording, live.durable.recording
        if durable is not None and self._seen.get(live.id) != (durable.id, durable.state):
            self._seen[live.id] = (durable.id, durable.state)
            self.counts[durable.state] += 1
        is_over = live.consult.record.is_over
        is_on = not is_over and all(each is not None and each.state == "running" for each in (recording, durable))
        session = self._sessions.get(live.id)
        if session is not None and (not is_on or recording is None or session.recording != recording.id):
            self._cut(live.id)
        if is_on and live.id not in self._sessions and live.host is not None and recording is not None:
            self._sessions[live.id] = Session(
                live.id, recording.id, lambda why: self._broken(live, why), self._do_later
            )
            self._tasks.spawn(self._begin(live, self._sessions[live.id]), "recording")
        elif not is_on and (is_over or recording is None or not recording.is_active):
            self._unseat(live)

    def show(self, live: LiveConsult) -> None:
        """Tell everybody who is in of it, and whether they are asked."""
        recording = live.durable.recording
        if live.host is None or recording is None or recording.state == "forbidden":
            self._show_nothing(live)
            return
        by = live.durable.people.get(recording.by)
        people = {each.sub for each in asked(live.durable)}
        missing = tuple(sorted(people - recording.agreed)) if recording.is_active else ()
        for seat in tuple(live.host.seats.values()):
            participant = seat.participant
            if participant.is_admitted:
                sign = RecordingChanged(
                    recording=recording.id,
                    state=recording.state,
                    since=recording.since,
                    why=recording.why,
                    by=recording.by,
                    by_role=by.role if by is not None else "",
                    is_asked=participant.sub in people and recording.is_active,
                    has_agreed=participant.sub in recording.agreed,
                    missing=missing,
                )
                may_ask = self._config.recording.enabled and live.durable.is_decider(participant.role)
                live.show_to(seat, sign, is_nothing=not (recording.is_active or may_ask))

    def _show_nothing(self, live: LiveConsult) -> None:
        """Deciders are told that there could be one."""
        for seat in tuple(live.host.seats.values()) if live.host is not None and self._config.recording.enabled else ():
            participant = seat.participant
            if participant.is_admitted and live.durable.is_decider(participant.role):
                nothing = RecordingChanged("", "none", 0.0, "", "", "", is_asked=False, has_agreed=False, missing=())
                live.show_to(seat, nothing, is_nothing=False)

    def forget(self, consult: str) -> None:
        """Nothing follows in that consult."""
        self._cut(consult)
        self._seats.pop(consult, None)
        self._seen.pop(consult, None)

    # ---------------------------------------------------------------- one that runs

    async def _begin(self, live: LiveConsult, session: Session) -> None:
        """Open the tap. A key is made first: without one there is nothing to write."""
        try:
            shelves, keyring = self._opened()
            async with asyncio.timeout(KEY_PATIENCE_S):
                key = await keyring.key(live.id)
            if not session.is_open or live.host is None:
                return
            session.shelf = shelves.writing(key, live.id, session.recording)
            self._seats[live.id], connection = live.host.open_tap(RECORDER, ROLE, session.connect(live.host))
            session.start(live.host.site.worker)
            session.running = self._tasks.spawn(connection.run(), "recording_tap")
            self._tasks.spawn(session.tick(), "recording_tick")
        except (TelerelayError, TimeoutError) as error:
            say(logging.ERROR, "recording_failed", code=getattr(error, "code", "timeout"))
            self._broken(live, "failed")

    def _cut(self, consult: str) -> None:
        """Not another byte; what there is becomes whole."""
        session = self._sessions.pop(consult, None)
        if session is None:
            return
        session.cut()
        if session.running is not None:
            session.running.cancel()
        live = self._live(consult)
        if session.connection is not None:
            if live is not None and live.host is not None and consult in self._seats:
                live.host.close_tap(self._seats[consult], session.connection)
            self._tasks.spawn(session.connection.close(), "recording_end")
        self._tasks.spawn(session.finish(), "recording_end")

    def _unseat(self, live: LiveConsult) -> None:
        participant = self._seats.pop(live.id, None)
        if participant is not None and live.host is not None:
            live.host.remove(participant, "left")

    def _broken(self, live: LiveConsult, why: str) -> None:
        """It cannot go on, and everybody is told so."""
        self._cut(live.id)
        live.note(live.consult.break_recording(self._now(), why))

    # ---------------------------------------------------------------- having

    def kept(self, consult: str) -> tuple[Kept, ...]:
        """A consult's files, oldest first; also of one that is over. Raises RemoteProtocolError not_found."""
        shelves, _ = self._opened()
        found = shelves.of(consult)
        if not found:
            raise RemoteProtocolError("not_found", "there is no recording of that consult")
        return found

    async def found(self, consult: str) -> tuple[Kept, ...]:
        """
        As `kept`, after a look whether another process has erased them meanwhile. Raises RemoteProtocolError not_found,
        storage_failed.
        """
        self.kept(consult)
        try:
            await self._drop_erased(consult)
        except DiskTrouble:
            raise RemoteProtocolError("storage_failed", "the journal's disk does not say if it was erased") from None
        return self.kept(consult)

    async def _drop_erased(self, consult: str) -> bool:
        """
        Remove the files whose key another process has destroyed; True: it had. What runs goes on to its end. Raises
        DiskTrouble.
        """
        shelves, keyring = self._opened()
        live = self._live(consult)
        if (live is not None and not live.durable.is_over) or await keyring.is_kept(consult):
            return False
        count = len(shelves.of(consult))
        await self._do(shelves.drop, consult)
        say(logging.INFO, "recordings_erased", count=count)
        return True

    async def digest(self, kept: Kept) -> str:
        """The SHA-256 of a file, in hex. Raises RemoteProtocolError storage_failed."""
        shelves, _ = self._opened()
        return await self._do(shelves.digest, kept)

    async def read(self, kept: Kept, start: int, size_bytes: int) -> bytes:
        """So many bytes from there on, fewer at the end. Raises RemoteProtocolError storage_failed, not_found."""
        shelves, _ = self._opened()
        return await self._do(shelves.read, kept, start, size_bytes)

    async def erase(self, consult: str) -> None:
        """
        All of it, now: its key is destroyed, and its files. Raises RemoteProtocolError not_found, conflict (it runs).
        """
        self.kept(consult)
        live = self._live(consult)
        recording = live.consult.record.recording if live is not None else None
        if recording is not None and recording.is_active and live is not None and not live.consult.record.is_over:
            raise RemoteProtocolError("conflict", "it is under way: stop it first")
        await self._destroy(consult)
        say(logging.INFO, "recordings_erased", count=1)

    async def _destroy(self, consult: str) -> None:
        shelves, keyring = self._opened()
        destroyed = asyncio.ensure_future(keyring.destroy(consult))  # first the key: the files are noise then
        await self._do(shelves.drop, consult)
        await destroyed

    @property
    def bytes(self) -> int:
        """Written so far."""
        return 0 if self._shelves is None else self._shelves.bytes

    # ---------------------------------------------------------------- within

    def _opened(self) -> tuple[Shelves, Keyring]:
        if self._shelves is None or self._store.keyring is None:
            raise RemoteProtocolError("not_found", "nothing is recorded here")
        return self._shelves, self._store.keyring

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._store.do(work, *arguments)

    def _do_later(self, work: Callable[[], None]) -> asyncio.Future[None]:
        return self._store.begin(work)
