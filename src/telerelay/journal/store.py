"""
A SQLite file on a thread of its own: writes are acknowledged when they are on the disk, and held while it fails.

The face is the event loop's; `_run` and what it calls are the store's thread's. The loop never waits for the disk.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from telerelay.errors import LocalProtocolError, TelerelayError
from telerelay.journal.committer import Committer, DiskTrouble, Outcome, Work
from telerelay.logs import say

T = TypeVar("T")

BATCH_WRITES = 1000
"""Writes of one transaction at the most: some tens of milliseconds, so that a read waits no longer for its turn."""

HELD_WRITES = 262_144
"""Writes that may wait for a disk: over twice what is promised (100,000 events), and some hundreds of megabytes."""

SLOW_S = 2.0
"""A write that waits longer raises the alarm: people wait for what is acknowledged, and hooks have two seconds too."""

RETRY_FIRST_S, RETRY_MOST_S = 0.05, 2.0
"""A full disk has room again at no announced time: asked at once, then twice as rarely, every two seconds at last."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """`held`: writes that are not durable yet; the rest is counted since the store was opened."""

    held: int
    writes: int
    commits: int
    troubles: int
    is_durable: bool


@dataclass(slots=True)
class _Write:
    work: Work
    future: "asyncio.Future[Any]"
    at_s: float


class Store:
    """
    One file. Make it with `open`, end it with `close`.

    Writes are committed in the order of the calls, several at once where several wait; each in the transaction as if
    alone: what it raises is its own and undoes only itself. While the disk fails they are held, and tried again.
    """

    def __init__(self, path: str, *, is_owner: bool, held_most: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._committer = Committer(path, is_owner=is_owner)
        self._is_owner = is_owner
        self._held_most = held_most
        self._wake = threading.Condition()
        self._writes: deque[_Write] = deque()
        self._reads: deque[_Write] = deque()
        self._scrubs: deque[_Write] = deque()
        self._batch: list[_Write] = []
        self._closes_at_s: float | None = None
        self._written = self._commits = self._troubles = 0
        self._trouble = ""
        self._is_slow = False
        self._watch: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self.on_alarm: Callable[[bool], None] = lambda is_durable: None
        """Called on the loop when `is_durable` changes."""
        self.before_commit: Work = _nothing
        """Run on the store's thread at the end of each transaction, within it; like any work it may run again."""

    @classmethod
    async def open(cls, path: str = "", *, is_owner: bool = True, held_most: int = HELD_WRITES) -> Self:
        """
        The store of that file, made if need be; "" is in memory. Raises ConfigError bad_file.

        An owner takes the file over from a relay that had it. Whoever only looks in, or works beside a running relay,
        is none: its writes fail at once where the disk does.
        """
        store = cls(str(path), is_owner=is_owner, held_most=held_most)
        opened: asyncio.Future[None] = store._loop.create_future()
        # A daemon, for a disk that hangs must not keep a process from ending; `close` waits for the orderly end.
        store._thread = threading.Thread(target=store._run, args=(opened,), name="telerelay-store", daemon=True)
        store._thread.start()
        await opened
        return store

    # ------------------------------------------------------------------ the loop's side

    def write(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """
        Run `work` on the store's thread within a transaction; done when that is durable.

        `work` may run more than once, of which the last run counts: let it touch nothing but its connection, and
        neither begin nor commit. Raises, by the future, what `work` raised; TelerelayError `journal_full` where too
        much waits, `journal_taken` where another relay has the file, `journal_closed` where the end came first.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self.held >= self._held_most:
            future.set_exception(TelerelayError("journal_full", "too much waits for the journal's disk"))
            return future
        self._put(self._writes, work, future)
        if self._watch is None:
            self._watch = self._loop.call_later(SLOW_S, self._look)
        return future

    def read(self, work: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """
        Run `work` on the store's thread, on what is committed by then. Raises DiskTrouble, or what `work` raised.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._put(self._reads, work, future)
        return future

    def scrub(self) -> "asyncio.Future[None]":
        """Done when SQLite's log holds nothing more, so that what was overwritten in the file is nowhere else."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._put(self._scrubs, _nothing, future)
        return future

    async def close(self, patience_s: float = 5.0) -> None:
        """Write what waits, for `patience_s` at most, and end the thread. What could not be written is told to all."""
        with self._wake:
            if self._closes_at_s is None:
                self._closes_at_s = time.monotonic() + patience_s
            self._wake.notify()
        if self._watch is not None:
            self._watch.cancel()
        assert self._thread is not None
        # The disk may hang in a call that has no end: then the thread is left to the end of the process.
        await asyncio.to_thread(self._thread.join, patience_s + 1.0)
        self._give_up_all("journal_closed", "the journal was closed before this was written")

    @property
    def held(self) -> int:
        """Writes that are not durable yet."""
        return len(self._writes) + len(self._batch)

    @property
    def is_durable(self) -> bool:
        """Whether what is written becomes durable in time; False while the disk fails or is slow."""
        return not self._trouble and not self._is_slow

    def stats(self) -> StoreStats:
        """What was done so far."""
        return StoreStats(self.held, self._written, self._commits, self._troubles, self.is_durable)

    def _put(self, queue: "deque[_Write]", work: Work, future: "asyncio.Future[Any]") -> None:
        with self._wake:
            if self._closes_at_s is not None:
                future.set_exception(LocalProtocolError("journal_closed", "the journal is closed"))
                return
            queue.append(_Write(work, future, self._loop.time()))
            self._wake.notify()

    def _look(self) -> None:
        """Whether the oldest write has waited too long; looked at again as long as anything waits."""
        self._watch = None
        with self._wake:
            waiting = self._batch[0] if self._batch else self._writes[0] if self._writes else None
        now_s = self._loop.time()
        was_durable = self.is_durable
        self._is_slow = waiting is not None and now_s - waiting.at_s >= SLOW_S
        self._tell(was_durable, "slow")
        if waiting is not None:
            due_s = waiting.at_s + SLOW_S
            self._watch = self._loop.call_later(due_s - now_s if due_s > now_s else SLOW_S / 4, self._look)

    def _on_trouble(self, word: str) -> None:
        was_durable = self.is_durable
        self._trouble = word
        self._troubles += bool(word)
        self._tell(was_durable, word)

    def _tell(self, was_durable: bool, reason: str) -> None:
        if was_durable == self.is_durable:
            return
        if self.is_durable:
            say(logging.INFO, "journal_resumed", count=self.held)
        else:
            say(logging.ERROR, "journal_stalled", reason=reason, count=self.held)
        self.on_alarm(self.is_durable)

    def _resolve(self, writes: list[_Write], outcomes: list[Outcome]) -> None:
        for write, outcome in zip(writes, outcomes, strict=True):
            if write.future.done():
                continue
            if outcome.error is not None:
                write.future.set_exception(outcome.error)
            else:
                write.future.set_result(outcome.value)

    def _on_commit(self, writes: list[_Write], outcomes: list[Outcome]) -> None:
        self._commits += 1
        self._written += len(writes)
        if self._trouble:
            self._on_trouble("")
        if self._is_slow:
            if self._watch is not None:
                self._watch.cancel()
            self._look()
        self._resolve(writes, outcomes)

    def _on_death(self, error: BaseException) -> None:
        say(logging.CRITICAL, "journal_died", error=type(error).__name__, exc_info=error)
        with self._wake:
            self._closes_at_s = time.monotonic()
        self._on_trouble("internal")
        self._give_up_all("journal_closed", "the journal cannot go on")

    def _give_up_all(self, code: str, message: str) -> None:
        with self._wake:
            left = [*self._batch, *self._writes, *self._reads, *self._scrubs]
            lost = len(self._batch) + len(self._writes)
            self._batch = []
            for queue in (self._writes, self._reads, self._scrubs):
                queue.clear()
        if lost:
            say(logging.ERROR, "journal_lost", reason=code, count=lost)
        self._resolve(left, [Outcome(error=TelerelayError(code, message))] * len(left))

    # ------------------------------------------------------------------ the thread's side

    def _run(self, opened: "asyncio.Future[None]") -> None:
        try:
            trouble_at_start = self._committer.open()
        except BaseException as error:  # whatever it is, `open` waits for it
            self._post(_fail, opened, error)
            return
        if trouble_at_start:
            self._post(self._on_trouble, trouble_at_start)
        self._post(_succeed, opened)
        try:
            self._serve()
        except BaseException as error:
            # A mistake of ours: nobody may wait for a thread that is gone.
            self._post(self._on_death, error)
        finally:
            self._committer.close()

    def _serve(self) -> None:
        retry_s = RETRY_FIRST_S
        next_s = 0.0
        while self._wait(next_s):
            self._serve_reads()
            self._serve_scrubs()
            if time.monotonic() < next_s and self._closes_at_s is None:
                continue
            if not self._take():
                next_s = 0.0
                continue
            try:
                outcomes = self._committer.commit([write.work for write in self._batch], self.before_commit)
            except DiskTrouble as trouble:
                if trouble.code == "taken" or not self._is_owner:
                    self._refuse(trouble)
                    continue
                self._post(self._on_trouble, trouble.code)
                if self._closes_at_s is not None:
                    time.sleep(RETRY_FIRST_S)
                next_s = time.monotonic() + retry_s
                retry_s = min(2 * retry_s, RETRY_MOST_S)
                continue
            with self._wake:
                done, self._batch = self._batch, []
            self._post(self._on_commit, done, outcomes)
            retry_s, next_s = RETRY_FIRST_S, 0.0

    def _wait(self, next_s: float) -> bool:
        """Wait for something to do, or until `next_s` where a write is to be tried again. False: it is the end."""
        with self._wake:
            while True:
                now_s = time.monotonic()
                has_writes = bool(self._batch or self._writes)
                if self._closes_at_s is not None:
                    has_more = has_writes or self._reads or self._scrubs
                    return bool(has_more) and now_s < self._closes_at_s
                if self._reads or self._scrubs or (has_writes and now_s >= next_s):
                    return True
                self._wake.wait(next_s - now_s if has_writes else None)

    def _take(self) -> bool:
        """The next batch, or the one that failed; False where there is none."""
        with self._wake:
            if not self._batch:
                self._batch = [self._writes.popleft() for _ in range(min(BATCH_WRITES, len(self._writes)))]
            return bool(self._batch)

    def _serve_reads(self) -> None:
        while True:
            with self._wake:
                if not self._reads:
                    return
                read = self._reads.popleft()
            try:
                outcome = self._committer.read(read.work)
            except DiskTrouble as trouble:
                outcome = Outcome(error=trouble)
            self._post(self._resolve, [read], [outcome])

    def _serve_scrubs(self) -> None:
        with self._wake:
            scrubs = list(self._scrubs)
            self._scrubs.clear()
        if not scrubs:
            return
        try:
            is_done = self._committer.scrub()
        except DiskTrouble as trouble:
            self._post(self._resolve, scrubs, [Outcome(error=trouble)] * len(scrubs))
            return
        outcome = Outcome() if is_done else Outcome(error=DiskTrouble("busy", "another process reads the journal"))
        self._post(self._resolve, scrubs, [outcome] * len(scrubs))

    def _refuse(self, trouble: DiskTrouble) -> None:
        """The batch cannot become durable by waiting."""
        with self._wake:
            refused, self._batch = self._batch, []
        error: TelerelayError = trouble
        if trouble.code == "taken":
            error = TelerelayError("journal_taken", "another relay has taken this journal over")
        self._post(self._resolve, refused, [Outcome(error=error)] * len(refused))

    def _post(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop has ended before its store was closed; nobody waits any more.
            return


def _nothing(connection: sqlite3.Connection) -> None:
    return None


def _succeed(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: "asyncio.Future[None]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
