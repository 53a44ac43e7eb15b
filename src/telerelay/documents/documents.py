"""
The documents of a relay's consults: who may send and have them, where each has got to, and their end.

Event loop's thread; files and ciphers are a thread's of their own, so that a slow disk holds nobody's call up, nor the
journal. What is said here is said over HTTP by http.py, and of stills over the WebSocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from telerelay.config import Config
from telerelay.consult.facts import DocumentReceived
from telerelay.documents.declared import Declared
from telerelay.documents.frames import Unreadable
from telerelay.documents.keys import Keyring
from telerelay.documents.shelf import READERS, SENDERS, Item, Shelf
from telerelay.documents.stills import Stills
from telerelay.documents.storeroom import Storeroom
from telerelay.documents.tus import Checksum
from telerelay.documents.vault import Vault
from telerelay.documents.volume import Mark, Volume
from telerelay.errors import STATUS_BY_CODE, RemoteProtocolError, TelerelayError
from telerelay.events import DocumentInfo, DocumentsChanged
from telerelay.hooks import DocumentRequest, HookRunner
from telerelay.logs import say
from telerelay.protocol.grants import Grant
from telerelay.tasks import Tasks

if TYPE_CHECKING:
    from telerelay.journal import Journal
    from telerelay.signaling.consult_live import LiveConsult

# As consults do (consult_live.PATIENCE_S): a client waits ten seconds.
PATIENCE_S = 5.0
# How often is looked for uploads that nothing comes of any more.
EXPIRE_EVERY_S = 10.0
STORAGE_STATUS = STATUS_BY_CODE["storage_failed"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody who is in a consult; `sub` is "" for its host, who may have everything and sends nothing."""

    live: LiveConsult
    sub: str
    role: str

    @property
    def consult(self) -> str:
        return self.live.id


@dataclass(slots=True, eq=False)
class _Work:
    """One document's bytes, and who is at them."""

    item: Item
    volume: Volume
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: asyncio.Timeout | None = None
    """Of whoever adds to it, and waits for more to come."""
    turn: int = 0
    """Counts those who wanted to be at it: the latest one is."""
    is_gone: bool = False
    finishing: asyncio.Task[None] | None = None
    problem: RemoteProtocolError | None = None
    """Why it could not be finished."""


class Documents:
    """One relay's. `now` is the consults' clock, `live` finds a consult that is not over."""

    def __init__(
        self,
        config: Config,
        hooks: HookRunner,
        now: Callable[[], float],
        live: Callable[[str], LiveConsult | None],
    ) -> None:
        self.limits = config.documents
        self.counts: Counter[tuple[str, str]] = Counter()
        """Documents and stills by what became of them: received, removed, expired, wrong_hash, refused."""
        self.bytes: Counter[str] = Counter()
        """Bytes that were taken ("in") and handed out ("out")."""
        self._config = config
        self.hooks = hooks
        self.now = now
        self._live = live
        self._tasks = Tasks()
        self._store = Storeroom("documents")
        self._shelves: dict[str, Shelf] = {}
        self._works: dict[str, _Work] = {}
        self._read_rules: dict[tuple[str, str, str], bool] = {}
        self._showing: set[str] = set()
        self.stills = Stills(self)
        """Those that are asked for."""

    # ---------------------------------------------------------------- life

    async def open(self, journal: Journal) -> None:
        """
        Find what another process took; what is of no consult any more is destroyed. Raises ConfigError where a folder
        that the configuration names cannot be made.
        """
        if not self.limits.enabled:
            return
        keyring = Keyring(journal)
        vault = self._store.open(keyring, self.limits.folder, self._config.journal.path)
        await self._store.prepare(self.limits.folder)
        kept = []
        for consult in await keyring.open():
            live = self._live(consult)
            if live is None or live.consult.record.is_over:
                self._tasks.spawn(keyring.destroy(consult), "documents_end")
            else:
                kept.append(consult)
                await self._restore(vault, consult, live)
        if count := await self._do(vault.sweep, kept):
            say(logging.INFO, "documents_swept", count=count)

    async def _restore(self, vault: Vault, consult: str, live: LiveConsult) -> None:
        assert self._store.keyring is not None
        key = self._store.keyring.known(consult)
        assert key is not None
        received = live.consult.record.documents
        for each in await self._do(vault.find, key, consult):
            try:
                item = Item(
                    each.document,
                    each.meta["sub"],
                    each.meta["role"],
                    Declared.from_json(each.meta["declared"]),
                    self.now(),
                    each.volume.offset,
                )
            except (KeyError, TypeError):
                await self._do(vault.remove, consult, each.document)
                continue
            if item.id in received:
                item.at, item.is_complete = received[item.id].at, True
                each.volume.is_finished = True
            self._shelf(consult).items[item.id] = item
            self._works[item.id] = _Work(item, each.volume)

    def start(self) -> None:
        """Let time pass."""
        if self._store.vault is not None:
            self._tasks.spawn(self._run_expiry(), "documents_expire")

    async def close(self) -> None:
        """What is under way is cut; what was acknowledged is kept. Safe twice."""
        await self._tasks.join(1.0, besides=("documents_expire",))
        await self._tasks.close()
        await self._store.close()

    async def _run_expiry(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_EVERY_S)
            await self.expire()

    async def expire(self) -> None:
        """Throw away what has come of uploads that nobody goes on with."""
        for consult, shelf in tuple(self._shelves.items()):
            for item in shelf.expired(self.now()):
                await self._discard(consult, self._works[item.id], "expired")

    # ---------------------------------------------------------------- who may

    def access(self, grant: Grant) -> Access:
        """
        Somebody with a good token. Raises RemoteProtocolError not_found (no such consult, or no documents here),
        consult_over, forbidden (not in).
        """
        live = self._live(grant.room)
        if live is None or self._store.vault is None:
            raise RemoteProtocolError("not_found", "there are no documents here")
        self._check_open(live)
        access = Access(live, grant.sub, grant.role)
        if not live.is_admitted(grant.sub, grant.role):
            raise self.refused(access, "document")
        return access

    def host_access(self, consult: str) -> Access:
        """The host's. Raises RemoteProtocolError not_found, consult_over."""
        live = self._live(consult)
        if live is None or self._store.vault is None:
            raise RemoteProtocolError("not_found", "there is no such consult, or it is over")
        self._check_open(live)
        return Access(live, "", "")

    def _check_open(self, live: LiveConsult) -> None:
        if live.consult.record.is_over:
            raise RemoteProtocolError("consult_over", "the consult is over, and its documents are destroyed")

    def refused(self, access: Access, what: str) -> RemoteProtocolError:
        self.counts[what, "refused"] += 1
        access.live.tried(access.sub, what)
        return RemoteProtocolError("forbidden", "this person may not do that with documents here")

    async def _check_rule(self, access: Access, action: str, declared: Declared) -> None:
        """Role first, then the host's rule. Raises RemoteProtocolError forbidden, which is written down."""
        roles = SENDERS if action == "send" else READERS
        if access.role not in roles or not await self.hooks.document_policy(_request(access, action, declared)):
            raise self.refused(access, declared.what)

    # ---------------------------------------------------------------- sending

    async def create(self, access: Access, declared: Declared) -> Item:
        """
        A document is to come. Raises RemoteProtocolError forbidden, too_large, too_many_documents, storage_full,
        storage_failed, not_durable; of a still also conflict.
        """
        vault, keyring = self._opened()
        await self._check_rule(access, "send", declared)
        self._check_open(access.live)
        if declared.what == "still":
            access.live.consult.check_still(declared.request, access.sub)
        shelf = self._shelf(access.consult)
        shelf.check(access.sub, declared)
        await self._check_space(vault, declared.size_bytes)
        shelf.check(access.sub, declared)
        item = Item(secrets.token_urlsafe(16), access.sub, access.role, declared, self.now())
        shelf.items[item.id] = item  # its place is taken while files are made
        try:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    key = await keyring.key(access.consult)
            except (TimeoutError, TelerelayError):
                self._check_open(access.live)
                raise RemoteProtocolError("not_durable", "no key can be written down for it: ask again") from None
            self._check_open(access.live)
            meta = {"sub": item.sub, "role": item.role, "declared": declared.to_json()}
            volume = await self._do(vault.create, key, access.consult, item.id, meta)
            if access.live.consult.record.is_over:  # meanwhile
                await self._do(vault.drop, access.consult)
                self._check_open(access.live)
        except BaseException:
            shelf.items.pop(item.id, None)
            raise
        self._works[item.id] = _Work(item, volume)
        return item

    async def upload(self, access: Access, document: str) -> Item:
        """
        One's own upload, as far as it has come; whoever was adding to it is cut off, for its client asks again. Raises
        RemoteProtocolError not_found, forbidden, and what kept it from being finished.
        """
        work = self._own(access, document)
        async with self._turn(access, work):
            await self._finished(access, work)
        return work.item

    async def append(
        self,
        access: Access,
        document: str,
        offset: int,
        size_bytes: int | None,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Item:
        """
        Add what comes, from `offset` on; `size_bytes` of it, where that is known. Where it is cut, what came is kept,
        unless it has a checksum. With the last byte the whole is compared with its hash, and is there for others.

        Raises RemoteProtocolError not_found, forbidden, wrong_offset, too_large, wrong_hash, storage_full,
        storage_failed, not_durable, timeout, consult_over; whatever `chunks` raises.
        """
        work = self._own(access, document)
        async with self._turn(access, work) as turn:
            item, volume = work.item, work.volume
            if offset != item.offset or item.is_complete:
                raise RemoteProtocolError("wrong_offset", f"the document is at {item.offset}: go on from there")
            if size_bytes is not None and offset + size_bytes > item.declared.size_bytes:
                raise RemoteProtocolError("too_large", "that is more than was declared")
            mark = await self._do(volume.mark)
            try:
                await self._take(work, turn, chunks, checksum)
            except BaseException:
                try:
                    await asyncio.shield(self._after(work, mark if checksum is not None else None))
                finally:
                    self._check_gone(access, work)
                raise
            try:
                await self._after(work, None)
            finally:
                self._check_gone(access, work)
            await self._finished(access, work)
        return item

    async def _take(self, work: _Work, turn: int, chunks: AsyncIterator[bytes], checksum: Checksum | None) -> None:
        found = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum is not None else None
        while True:
            if work.turn != turn or work.is_gone:
                raise RemoteProtocolError("conflict", "the same upload goes on elsewhere")
            try:
                async with asyncio.timeout(self.limits.idle_s) as work.waiting:
                    piece = await anext(chunks, b"")
            except TimeoutError:
                if work.turn != turn:
                    raise RemoteProtocolError("conflict", "the same upload goes on elsewhere") from None
                raise RemoteProtocolError("timeout", "the body did not come in time", status=408) from None
            finally:
                work.waiting = None
            if not piece:
                break
            if work.volume.offset + len(piece) > work.item.declared.size_bytes:
                raise RemoteProtocolError("too_large", "that is more than was declared")
            if found is not None:
                found.update(piece)
            await self._do(work.volume.append, piece)
            # Told as it comes: a body may take longer than an upload is kept that nothing is added to.
            work.item.offset, work.item.at = work.volume.offset, self.now()
            self.bytes["in"] += len(piece)
        if checksum is not None and found is not None and found.digest() != checksum.digest:
            raise RemoteProtocolError("wrong_hash", "what came is not what was sent: send it again")

    async def _after(self, work: _Work, mark: Mark | None) -> None:
        """What came is on the disk, or, with a mark, is taken back."""
        try:
            if mark is not None:
                await self._do(work.volume.rewind, mark)
            else:
                await self._do(work.volume.settle)
        finally:
            work.item.offset, work.item.at = work.volume.offset, self.now()

    def pace_bps(self, access: Access, document: str) -> float:
        """
        How fast that document may come from, or go to, this person now, bit/s; 0: as fast as it can. A still is what
        the call waits for: it is not held back.
        """
        work, host = self._works.get(document), access.live.host
        participant = host.room.by_sub(access.sub) if host is not None else None
        if work is None or host is None or participant is None or work.item.declared.what == "still":
            return 0.0
        seat = host.seats.get(participant.id)
        connections = [] if seat is None else [seat.publishing, seat.subscribing]
        is_calling = any(each is not None and each.transport.state == "connected" for each in connections)
        return self.limits.beside_call_bps if is_calling else 0.0

    def expires_at(self, item: Item) -> float:
        """When what has come of it is thrown away, Unix seconds, unless more comes before."""
        return item.at + self.limits.expire_s

    async def remove(self, access: Access, document: str) -> None:
        """
        Take back an upload that is not complete. Raises RemoteProtocolError not_found, forbidden, conflict (others have
        it).
        """
        work = self._own(access, document)
        async with self._turn(access, work):
            if work.item.is_complete or work.finishing is not None:
                raise RemoteProtocolError("conflict", "it is here as a whole, and was told of: it stays")
            await self._discard(access.consult, work, "removed")

    @contextlib.asynccontextmanager
    async def _turn(self, access: Access, work: _Work) -> AsyncIterator[int]:
        """Be alone with it. Who was there and waits for a line that may be cut is sent away."""
        work.turn += 1
        turn = work.turn
        _hurry(work)
        async with work.lock:
            self._check_gone(access, work)
            yield turn

    def _check_gone(self, access: Access, work: _Work) -> None:
        self._check_open(access.live)
        if work.is_gone:
            raise RemoteProtocolError("not_found", "there is no such document")

    # ---------------------------------------------------------------- the whole

    async def _finished(self, access: Access, work: _Work) -> None:
        """
        Returns when a document all of which came is compared with its hash, written down and told; at once where more
        is to come. Raises RemoteProtocolError wrong_hash, not_durable, consult_over, forbidden, conflict.
        """
        item = work.item
        if item.is_complete or item.offset < item.declared.size_bytes:
            return
        if work.finishing is None:
            work.problem = None
            work.finishing = self._tasks.spawn(self._finish(access, work), "document")
        await asyncio.wait((work.finishing,), timeout=PATIENCE_S)
        if work.problem is not None:
            raise work.problem
        if not item.is_complete:
            raise RemoteProtocolError("not_durable", "it is not written down yet: ask again")

    async def _finish(self, access: Access, work: _Work) -> None:
        try:
            await self._compare(work)
            item, live = work.item, access.live
            await live.take(live.consult.receive(self.now(), _received(item)))
        except RemoteProtocolError as error:
            work.problem, work.finishing = error, None
            if error.status != STORAGE_STATUS:  # of a disk that fails, what came is kept: it may be asked again
                outcome = "wrong_hash" if error.code == "wrong_hash" else "refused"
                await self._discard(access.consult, work, outcome)
            return
        item.is_complete, item.at = True, self.now()
        self.counts[item.declared.what, "received"] += 1
        self.show(live)

    async def _compare(self, work: _Work) -> None:
        try:
            digest = await self._do(work.volume.digest)
        except Unreadable:
            digest = ""
        if digest != work.item.declared.sha256:
            raise RemoteProtocolError("wrong_hash", "what came is not what was declared: it is thrown away")
        await self._do(work.volume.finish)

    async def _discard(self, consult: str, work: _Work, outcome: str) -> None:
        vault, _ = self._opened()
        item = work.item
        work.is_gone = True
        _hurry(work)
        self._works.pop(item.id, None)
        if consult in self._shelves:
            self._shelves[consult].items.pop(item.id, None)
        self.counts[item.declared.what, outcome] += 1
        await self._do(vault.remove, consult, item.id)

    # ---------------------------------------------------------------- having

    async def items(self, access: Access) -> tuple[Item, ...]:
        """What this person may have, in the order it came. Nothing for a role that is handed nothing."""
        shelf = self._shelves.get(access.consult)
        found = []
        for item in tuple(shelf.complete()) if shelf is not None else ():
            if await self._may_have(access, item):
                found.append(item)
        return tuple(sorted(found, key=lambda item: item.at))

    async def fetch(self, access: Access, document: str) -> Item:
        """A document to be read by `read`. Raises RemoteProtocolError not_found, forbidden, which is written down."""
        shelf = self._shelves.get(access.consult)
        item = shelf.items.get(document) if shelf is not None else None
        if item is None or not item.is_complete:
            raise RemoteProtocolError("not_found", "there is no such document")
        if access.sub not in ("", item.sub):
            await self._check_rule(access, "read", item.declared)
        return item

    async def read(self, access: Access, item: Item, start: int, size_bytes: int) -> bytes:
        """
        So many bytes from there on, fewer at the end. Raises RemoteProtocolError consult_over, storage_failed.
        """
        work = self._works.get(item.id)
        self._check_open(access.live)
        if work is None or work.is_gone:
            raise RemoteProtocolError("consult_over", "the consult is over, and its documents are destroyed")
        try:
            data = await self._do(work.volume.read, start, size_bytes)
        except Unreadable:
            say(logging.ERROR, "document_unreadable")
            raise RemoteProtocolError("storage_failed", "the document is damaged on the relay's disk") from None
        self.bytes["out"] += len(data)
        return data

    async def _may_have(self, access: Access, item: Item) -> bool:
        if access.sub in ("", item.sub):
            return True
        if access.role not in READERS:
            return False
        key = (item.id, access.sub, access.role)
        if key not in self._read_rules:
            request = _request(access, "read", item.declared)
            self._read_rules[key] = await self.hooks.document_policy(request)
        return self._read_rules[key]

    # ---------------------------------------------------------------- what consults tell

    def settled(self, live: LiveConsult) -> None:
        """Something became durable; where that is its end, its documents are no more."""
        if live.durable.is_over:
            self.end(live.id)

    def end(self, consult: str) -> None:
        """A consult is over: its key is destroyed, and so are its files."""
        shelf = self._shelves.pop(consult, None)
        for item in shelf.items.values() if shelf is not None else ():
            work = self._works.pop(item.id, None)
            if work is not None:
                work.is_gone = True
                _hurry(work)
        if shelf is not None:
            ids = set(shelf.items)
            self._read_rules = {key: each for key, each in self._read_rules.items() if key[0] not in ids}
        if self._store.keyring is not None and (shelf is not None or self._store.keyring.known(consult) is not None):
            self._tasks.spawn(self._destroy(consult), "documents_end")

    async def _destroy(self, consult: str) -> None:
        vault, keyring = self._opened()
        destroyed = asyncio.ensure_future(keyring.destroy(consult))  # first the key: the files are noise then
        await self._do(vault.drop, consult)
        await destroyed

    def show(self, live: LiveConsult) -> None:
        """Tell everybody who is in what there is, as far as it is another than they were told."""
        self.stills.show(live)
        if live.id not in self._shelves or live.id in self._showing or live.host is None:
            return
        self._showing.add(live.id)
        self._tasks.spawn(self._show(live), "documents_show")

    async def _show(self, live: LiveConsult) -> None:
        self._showing.discard(live.id)
        if live.host is None:
            return
        for seat in tuple(live.host.seats.values()):
            participant = seat.participant
            if participant.is_admitted:
                access = Access(live, participant.sub, participant.role)
                found = infos(await self.items(access))
                live.show_to(seat, DocumentsChanged(found), is_nothing=not found)

    # ---------------------------------------------------------------- within

    def _own(self, access: Access, document: str) -> _Work:
        shelf = self._shelves.get(access.consult)
        if shelf is None or document not in shelf.items or document not in self._works:
            raise RemoteProtocolError("not_found", "there is no such document")
        work = self._works[document]
        if work.item.sub != access.sub:
            raise self.refused(access, work.item.declared.what)
        return work

    def _shelf(self, consult: str) -> Shelf:
        return self._shelves.setdefault(consult, Shelf(self.limits))

    async def _check_space(self, vault: Vault, size_bytes: int) -> None:
        free_bytes = await self._do(vault.free_bytes)
        promised = sum(shelf.missing_bytes for shelf in self._shelves.values())
        if free_bytes - promised - size_bytes < self.limits.keep_free_bytes:
            raise RemoteProtocolError("storage_full", "the relay's disk has no room for it")

    def _opened(self) -> tuple[Vault, Keyring]:
        if self._store.vault is None or self._store.keyring is None:
            raise RemoteProtocolError("not_found", "there are no documents here")
        return self._store.vault, self._store.keyring

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """On the documents' thread. What was begun there ends there, whatever becomes of who waits for it."""
        return await self._store.do(work, *arguments)


def _hurry(work: _Work) -> None:
    """Whoever waits there for more of it waits no longer."""
    if work.waiting is not None and not work.waiting.expired():
        work.waiting.reschedule(0.0)


def info(item: Item) -> DocumentInfo:
    """As clients are told of it."""
    declared = item.declared
    return DocumentInfo(
        id=item.id,
        sub=item.sub,
        role=item.role,
        what=declared.what,
        name=declared.name,
        media_type=declared.media_type,
        label=declared.label,
        size_bytes=declared.size_bytes,
        sha256=declared.sha256,
        at=item.at,
        request=declared.request,
        source=declared.source,
    )


def infos(items: Iterable[Item]) -> tuple[DocumentInfo, ...]:
    return tuple(map(info, items))


def _request(access: Access, action: Any, declared: Declared) -> DocumentRequest:
    return DocumentRequest(
        room=access.consult,
        sub=access.sub,
        role=access.role,
        action=action,
        what=declared.what,
        label=declared.label,
        media_type=declared.media_type,
        size_bytes=declared.size_bytes,
    )


def _received(item: Item) -> DocumentReceived:
    declared = item.declared
    return DocumentReceived(
        at=0.0,
        document=item.id,
        sub=item.sub,
        what=declared.what,
        size_bytes=declared.size_bytes,
        sha256=declared.sha256,
        media_type=declared.media_type,
        label=declared.label,
        request=declared.request,
        source=declared.source,
        name=declared.name,
    )
