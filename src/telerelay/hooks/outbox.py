"""
Tells the application what the journal holds, once it is durable: at least once, in the order of each consult.

Event loop's thread. A consult with something to tell has a task of its own while that lasts, so that one that is slow
holds no other. How far each was told is kept beside the journal: after a crash the fact that was being told is told
again, under the same key. What fails is tried again, less and less often, and after `give_up_s` becomes a dead letter:
then the next fact gets its turn, and whoever looks after the host reads the letters and has them told again.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from telerelay.errors import TelerelayError
from telerelay.hooks import letters
from telerelay.hooks.letters import Cursor, Letter
from telerelay.hooks.runner import Backlog, HookRunner
from telerelay.hooks.story import Story
from telerelay.hooks.told import EVENTS, HOOK_OF, Entry, Told
from telerelay.hooks.ways import HookError
from telerelay.logs import say
from telerelay.tasks import Tasks

T = TypeVar("T")

# Three days: over a weekend somebody looks after the host again.
GIVE_UP_S = 259_200.0
# From one try to the next: at once for a host that restarts, then twice as rarely each time, then every minute, so that
# after an hour it has what waited within a minute, and two thousand consults ask it 33 times a second at most.
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 60.0
# Told at once to all: more would only wait in the host, at the expense of their own deadlines. Consults that fail have
# turns of their own, so that they hold none that does not.
MAX_TELLING, MAX_RETRYING = 64, 32
# Consults that are read at once: a relay that starts has thousands to catch up with, and its loop has people to serve.
MAX_READING = 16
# Facts of a consult read at once; a long one has some hundreds.
PAGE = 64
# How soon letters that a command queued are noticed: a command has no other way to say so.
LOOK_S = 5.0
# Consults of which is remembered what they are like now, so that a fact is told without reading all before it: all
# that a worker carries at once, several times over.
MAX_STORIES = 4096


class Clock(Protocol):
    """Where the time comes from."""

    def wall(self) -> float:
        """Unix seconds, for what outlives this process."""
        ...

    def monotonic(self) -> float:
        """Seconds that no setting of the wall clock changes (F15)."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Storing(Protocol):
    """Of the journal's store what is needed here."""

    def write(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]:
        """Done when it is durable. `work` may run more than once."""
        ...

    def read(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


class Source(Protocol):
    """Of the journal what is needed here. What it returns is durable."""

    async def entries(self, consult: str, after: int, limit: int) -> Sequence[Entry]:
        """The facts of a consult whose numbers follow `after`, in order, at most `limit`; none of an unknown one."""
        ...

    def heads(self, connection: sqlite3.Connection) -> Iterable[tuple[str, int]]:
        """Every consult with the number of its last fact. The store's thread."""
        ...


@dataclass(slots=True)
class _Trouble:
    """Facts of a consult fail, one after the other: since when (monotonic, and Unix seconds), and how often by now."""

    since: float
    since_at: float
    attempts: int = 0


@dataclass(slots=True)
class _Line:
    """What waits to be told of one consult."""

    consult: str
    task: asyncio.Task[None] | None = None
    is_woken: bool = True
    """There may be facts that were not read yet."""
    has_letters: bool = False
    """There may be letters to tell again."""
    is_waiting: bool = False
    """For its next try."""
    saved: int = 0
    """Its cursor, as it is kept."""
    trouble: _Trouble | None = None


class _ClosedError(Exception):
    """The outbox ends: what was to be tried later is for the next process."""


class Outbox:
    """
    One consumer's. `start` it when the journal is open, `wake` it after each append, `close` it before the journal.
    """

    def __init__(
        self,
        store: Storing,
        source: Source,
        runner: HookRunner,
        *,
        consumer: str = "hooks",
        give_up_s: float = GIVE_UP_S,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._source = source
        self._runner = runner
        self._consumer = consumer
        self._give_up_s = give_up_s
        self._clock: Clock = clock or SystemClock()
        self._jitter = jitter
        self._lines: dict[str, _Line] = {}
        self._stories: OrderedDict[str, Story] = OrderedDict()
        self._tasks = Tasks()
        self._turns = asyncio.Semaphore(MAX_TELLING)
        self._retries = asyncio.Semaphore(MAX_RETRYING)
        self._reads = asyncio.Semaphore(MAX_READING)
        self._is_open = False
        self.letter_count = 0
        """Dead letters, those that are to be told again among them."""

    @property
    def pending_count(self) -> int:
        """Consults of which something waits to be told."""
        return len(self._lines)

    @property
    def waiting_count(self) -> int:
        """Consults of them that fail, and wait for the next try."""
        return sum(line.is_waiting for line in self._lines.values())

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """
        Go on where the last process was. A consumer that is new is told what comes from now on. Where the application
        listens to nothing, nothing is done, now or later.
        """
        if not any(map(self._runner.hears, EVENTS)):
            return
        now = self._clock.wall()

        def begin(connection: sqlite3.Connection) -> tuple[list[str], int]:
            letters.make_tables(connection)
            if not letters.is_known(connection, self._consumer):
                letters.begin(connection, self._consumer, now, self._source.heads(connection))
            behind = [
                consult
                for consult, head in self._source.heads(connection)
                if letters.cursor(connection, self._consumer, consult).sequence < head
            ]
            return behind, letters.count(connection, self._consumer)

        behind, self.letter_count = await self._store.write(begin)
        self._is_open = True
        self._runner.backlog = lambda: Backlog(self.pending_count, self.waiting_count, self.letter_count)
        for consult in behind:
            self.wake(consult)
        self._tasks.spawn(self._look(), "letters")

    async def close(self, patience_s: float = 5.0) -> None:
        """Tell what can be told within `patience_s`; what waits for another try, or fails now, stays where it is."""
        self._is_open = False
        for line in self._lines.values():
            if line.is_waiting and line.task is not None:
                line.task.cancel()
        await self._tasks.join(patience_s, besides=("letters",))
        await self._tasks.close()

    def wake(self, consult: str) -> None:
        """There is a new fact of that consult, and it is durable. Returns at once."""
        if self._is_open:
            self._line(consult).is_woken = True

    # ---------------------------------------------------------------- a consult's line

    def _line(self, consult: str) -> _Line:
        line = self._lines.get(consult)
        if line is None:
            line = self._lines[consult] = _Line(consult)
            line.task = self._tasks.spawn(self._drain(line), "outbox")
        return line

    async def _drain(self, line: _Line) -> None:
        try:
            while line.is_woken or line.has_letters:
                try:
                    await self._catch_up(line)
                except (TelerelayError, sqlite3.Error) as error:
                    # The file cannot be read or written, as the store says loudly: what follows is not durable either.
                    say(logging.ERROR, "hook_outbox_failed", error=type(error).__name__)
                    await self._pause(line, RETRY_MOST_S)
                    line.is_woken = True
        except _ClosedError:
            return
        finally:
            del self._lines[line.consult]

    async def _catch_up(self, line: _Line) -> None:
        """Tell all there is of a consult now."""
        async with self._reads:
            cursor = await self._store.read(lambda connection: letters.cursor(connection, self._consumer, line.consult))
            story = await self._story(line.consult, cursor.sequence)
        line.saved = cursor.sequence
        line.trouble = None
        if cursor.failing_since is not None:
            # Of the time between two processes there is only what the wall clock says.
            ago_s = max(0.0, self._clock.wall() - cursor.failing_since)
            line.trouble = _Trouble(self._clock.monotonic() - ago_s, cursor.failing_since)
        while line.is_woken or line.has_letters:
            if line.has_letters:
                line.has_letters = False
                await self._tell_again(line.consult)
            line.is_woken = False
            while entries := await self._source.entries(line.consult, story.sequence, PAGE):
                for entry in entries:
                    told = story.read(entry)
                    if self._is_heard(told):
                        await self._tell(line, told, entry)
            if story.sequence > line.saved:
                await self._move(line, story.sequence)

    async def _tell(self, line: _Line, told: Told, entry: Entry) -> None:
        """Returns when it was taken, or is a dead letter, and the cursor says so."""
        first_at, attempts = self._clock.wall(), 0
        while True:
            # A failure is a fact itself: of one that tells of a failure there is none, or there would be no end.
            is_new = line.trouble is None and entry.kind != "hook_failed"
            try:
                async with self._turns if line.trouble is None else self._retries:
                    await self._runner.tell(told, is_new=is_new)
            except HookError as error:
                attempts += 1
                why, status = error.why, error.status
            else:
                line.trouble = None
                await self._move(line, entry.sequence)
                return
            now = self._clock.monotonic()
            if line.trouble is None:
                line.trouble = _Trouble(now, self._clock.wall())
                await self._move(line, entry.sequence - 1)
            line.trouble.attempts += 1
            if now - line.trouble.since >= self._give_up_s:
                dead_at = self._clock.wall()
                consult, sequence = line.consult, entry.sequence
                letter = Letter(self._consumer, consult, sequence, entry.kind, why, status, attempts, first_at, dead_at)
                await self._move(line, sequence, letter)
                self._runner.give_up(told)
                self.letter_count += 1
                return
            await self._pause(line, self._delay_s(line.trouble.attempts))

    async def _move(self, line: _Line, sequence: int, letter: Letter | None = None) -> None:
        """Keep how far it was told, with the letter of what was given up."""
        cursor = Cursor(line.consult, sequence, line.trouble.since_at if line.trouble else None)

        def move(connection: sqlite3.Connection) -> None:
            letters.move(connection, self._consumer, cursor)
            if letter is not None:
                letters.put(connection, letter)

        await self._store.write(move)
        line.saved = sequence

    def _delay_s(self, attempts: int) -> float:
        """Before the next try, after so many: at random between half of it and all, so that consults spread."""
        most_s = min(RETRY_MOST_S, RETRY_FIRST_S * 2.0 ** min(attempts - 1, 16))
        return most_s * (0.5 + 0.5 * self._jitter())

    async def _pause(self, line: _Line, seconds: float) -> None:
        if not self._is_open:
            raise _ClosedError
        line.is_waiting = True
        await self._clock.sleep(seconds)
        line.is_waiting = False

    def _is_heard(self, told: Told) -> bool:
        return any(self._runner.hears(HOOK_OF[type(event)], told.room) for event in told.events)

    # ---------------------------------------------------------------- dead letters

    async def _look(self) -> None:
        """Find letters that somebody wants told again."""
        while True:
            await self._clock.sleep(LOOK_S)
            if not self.letter_count:
                continue
            try:
                found = await self._store.read(lambda connection: letters.queued(connection, self._consumer))
            except (TelerelayError, sqlite3.Error):
                continue  # as above; the next look is soon
            for letter in found:
                self._line(letter.consult).has_letters = True

    async def _tell_again(self, consult: str) -> None:
        """
        Each queued letter of a consult once, in order, until one fails: that one and those behind it stay dead.
        """
        found = await self._store.read(lambda connection: letters.queued(connection, self._consumer, consult))
        story = Story()
        for letter in found:
            await self._read_up_to(story, consult, letter.sequence - 1)
            entries = await self._source.entries(consult, letter.sequence - 1, 1)
            try:
                if not entries:
                    raise HookError("dead")  # the journal has it no more
                async with self._retries:
                    await self._runner.tell(story.read(entries[0]), is_new=False)
            except HookError as error:
                await self._store.write(partial(letters.put_back, letter=self._again(letter, error)))
                return
            await self._store.write(partial(letters.delete, letter=letter))
            self.letter_count -= 1

    def _again(self, letter: Letter, error: HookError) -> Letter:
        return replace(
            letter,
            why=error.why,
            status=error.status,
            attempts=letter.attempts + 1,
            dead_at=self._clock.wall(),
            is_queued=False,
        )

    # ---------------------------------------------------------------- stories

    async def _story(self, consult: str, sequence: int) -> Story:
        """The consult as it was told up to that fact."""
        story = self._stories.pop(consult, None)
        if story is None or story.sequence != sequence:
            story = Story()
            await self._read_up_to(story, consult, sequence)
        self._stories[consult] = story
        if len(self._stories) > MAX_STORIES:
            self._stories.popitem(last=False)
        return story

    async def _read_up_to(self, story: Story, consult: str, sequence: int) -> None:
        while story.sequence < sequence:
            wanted = min(PAGE, sequence - story.sequence)
            entries = await self._source.entries(consult, story.sequence, wanted)
            if not entries:
                return  # there are fewer facts than were told: the journal was cut, and goes on under the same numbers
            for entry in entries:
                story.read(entry)
