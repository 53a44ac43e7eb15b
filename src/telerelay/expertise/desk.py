"""
All requests for expertise of a relay that are not over: what a host may do with them, and what is due of them.

Event loop's thread. `Relay.consults.expertise` is one. A command returns when what it did is durable; commands of one
request come one after the other, so that of two who accept it one wins. A store that fails has nothing happen.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from telerelay.consult.facts import RELAY, check_note
from telerelay.consult.plan import ConsultPlan
from telerelay.errors import LocalProtocolError, RemoteProtocolError, TelerelayError
from telerelay.expertise import record
from telerelay.expertise.facts import DUE_AFTER_S, REMIND_AFTER_S, Answered, Facts, Requested, check_request
from telerelay.expertise.record import ExpertiseStatus
from telerelay.expertise.store import ExpertiseStore
from telerelay.logs import say
from telerelay.protocol.names import is_sub
from telerelay.tasks import Bell, Tasks

PATIENCE_S = 5.0
"""How long a command waits for a disk before it says `not_durable`; it goes on by itself."""

LONGEST_SLEEP_S = 60.0
RETRY_S = 2.0
"""After a store refused what was due: as often as the journal itself tries a disk."""

Command = Callable[[float, ExpertiseStatus], Facts]


@dataclass(slots=True)
class _Request:
    """One that is not over; `status` is durable."""

    status: ExpertiseStatus
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Expertise:
    """
    The requests of one relay. `now` is the consults' clock; `schedule` makes a consult (Consults.schedule), `plan` is
    that of one that is not over, None where there is none.
    """

    def __init__(
        self,
        now: Callable[[], float],
        schedule: Callable[[ConsultPlan, str], Awaitable[None]],
        plan: Callable[[str], ConsultPlan | None],
    ) -> None:
        self._now = now
        self._schedule = schedule
        self._plan = plan
        self._store: ExpertiseStore | None = None
        self._open: dict[str, _Request] = {}
        self._due: list[tuple[float, int, str]] = []
        self._numbers = itertools.count()
        self._bell = Bell()
        self._tasks = Tasks()
        self._timer: asyncio.Task[None] | None = None

    # ---------------------------------------------------------------- life

    async def open(self, store: ExpertiseStore) -> None:
        """Go on with what is there. Raises what the store raises."""
        self._store = store
        for request, facts in (await store.open()).items():
            try:
                self._see(_Request(record.replay(request, facts)))
            except LocalProtocolError as error:
                say(logging.ERROR, "expertise_unreadable", error=error.code, count=len(facts))

    def start(self) -> None:
        """Let time pass: what fell due while no process ran is told now."""
        self._timer = self._tasks.spawn(self._run(), "expertise_timers")

    async def close(self) -> None:
        """What is under way is written, or left to the next process. Safe twice."""
        await self._tasks.join(1.0, besides=("expertise_timers",))
        await self._tasks.close()

    # ---------------------------------------------------------------- what the host may

    async def request(
        self,
        request: str,
        by: str,
        question: str,
        *,
        queue: str = "",
        images: tuple[str, ...] = (),
        consult: str = "",
        remind_after_s: float = REMIND_AFTER_S,
        due_after_s: float = DUE_AFTER_S,
    ) -> ExpertiseStatus:
        """
        `by` asks whoever has `queue`. `request` is an id of the host's; `images` are SHA-256 in hex of pictures that
        the host keeps, `consult` is where they were taken, if they were.

        Raises RemoteProtocolError conflict (there is such a request, or was), bad_message, too_large (the question),
        not_durable, and what the store raises.
        """
        check_note(question)
        try:
            fact = Requested(self._now(), by, queue, images, consult, remind_after_s, due_after_s, question)
        except LocalProtocolError as error:
            raise RemoteProtocolError("bad_message", str(error)) from error
        check_request(request, fact)
        # In its place before anything is waited for: of two who make the same request one wins.
        if request in self._open:
            raise RemoteProtocolError("conflict", "there is a request of that id, or was one")
        made = self._open[request] = _Request(record.begin(request, fact))
        return await _patiently(self._make(made, fact))

    async def accept(self, request: str, by: str) -> ExpertiseStatus:
        """`by` will answer it. Raises RemoteProtocolError conflict (another does), not_found, not_durable."""
        _check_by(by)
        return await self._do(request, lambda now, status: record.accept(now, status, by))

    async def decline(self, request: str, by: str) -> ExpertiseStatus:
        """Whoever accepted it gives it back. Raises RemoteProtocolError conflict, forbidden, not_found, not_durable."""
        return await self._do(request, lambda now, status: record.decline(now, status, by))

    async def answer(self, request: str, by: str, answer: str) -> ExpertiseStatus:
        """
        Whoever accepted it answers, and it is over. Raises RemoteProtocolError conflict, forbidden, not_found,
        too_large, not_durable.
        """
        check_note(answer)
        return await self._do(request, lambda now, status: record.answer(now, status, by, answer))

    async def withdraw(self, request: str, by: str = RELAY) -> ExpertiseStatus:
        """It is called off, and over. Raises RemoteProtocolError conflict, not_found, not_durable."""
        _check_by(by)
        return await self._do(request, lambda now, status: record.withdraw(now, status, by))

    async def go_live(self, request: str, by: str, plan: ConsultPlan) -> ExpertiseStatus:
        """
        Open the consult of that plan for it; the plan is given the request and its images, which so are in the first
        fact of the consult's attestation. Done again with the same plan it is done once, so it may be said again after
        a crash. Raises RemoteProtocolError conflict, forbidden, not_found, not_durable, and what scheduling raises.
        """
        status = self.get(request)
        record.go_live(self._now(), status, by, plan.consult)
        linked = replace(plan, expertise=request, images=status.images)
        known = self._plan(plan.consult)
        if known is None or known.expertise != request:
            await self._schedule(linked, by)
        return await self._do(request, lambda now, status: record.go_live(now, status, by, plan.consult))

    def get(self, request: str) -> ExpertiseStatus:
        """One that is not over, as it is now. Raises RemoteProtocolError not_found."""
        return self._of(request).status

    def statuses(self, queue: str | None = None) -> tuple[ExpertiseStatus, ...]:
        """All that are not over, or those of one queue, the one first that is due first."""
        found = [each.status for each in self._open.values() if queue in (None, each.status.queue)]
        return tuple(sorted(found, key=lambda status: (status.due_at, status.request)))

    async def texts(self, request: str) -> tuple[ExpertiseStatus, str, str]:
        """
        A request, over or not, with its question and its answer, which are "" where there is none, or where they were
        erased. Raises RemoteProtocolError not_found.
        """
        facts = await self._kept.read(request)
        if not facts:
            raise RemoteProtocolError("not_found", "there is no such request")
        first, last = facts[0], facts[-1]
        question = first.question if isinstance(first, Requested) else ""
        return record.replay(request, facts), question, last.answer if isinstance(last, Answered) else ""

    # ---------------------------------------------------------------- time

    def tick(self) -> None:
        """What has fallen due by now. Returns at once; it is told when it is durable."""
        now = self._now()
        while self._due and self._due[0][0] <= now:
            _, _, request = heapq.heappop(self._due)
            if request in self._open:
                self._tasks.spawn(self._fall_due(request), "expertise_due")

    async def _fall_due(self, request: str) -> None:
        try:
            await self._settle(request, lambda now, status: ())
        except RemoteProtocolError:
            return  # over meanwhile
        except TelerelayError as error:
            say(logging.ERROR, "expertise_not_kept", error=error.code)
            await asyncio.sleep(RETRY_S)
            if request in self._open:
                self._see(self._open[request])

    async def _run(self) -> None:
        while True:
            self.tick()
            delay_s = self._due[0][0] - self._now() if self._due else LONGEST_SLEEP_S
            try:
                async with asyncio.timeout(min(max(delay_s, 0.0), LONGEST_SLEEP_S)):
                    await self._bell.wait()
            except TimeoutError:
                continue

    # ---------------------------------------------------------------- within

    @property
    def _kept(self) -> ExpertiseStore:
        if self._store is None:
            raise LocalProtocolError("state", "the relay does not run")
        return self._store

    def _of(self, request: str) -> _Request:
        try:
            return self._open[request]
        except KeyError:
            raise RemoteProtocolError("not_found", "there is no such request, or it is over") from None

    def _see(self, request: _Request) -> None:
        """It is as it is now, and due when it is."""
        status = request.status
        if status.is_over:
            self._open.pop(status.request, None)
            return
        self._open[status.request] = request
        if (due_at := status.next_due()) is not None:
            heapq.heappush(self._due, (due_at, next(self._numbers), status.request))
            self._bell.ring()

    async def _do(self, request: str, command: Command) -> ExpertiseStatus:
        """Carry a command out; whoever gave it waits no longer than PATIENCE_S, and it is carried out all the same."""
        return await _patiently(self._settle(request, command))

    async def _make(self, made: _Request, fact: Requested) -> ExpertiseStatus:
        request = made.status.request
        async with made.lock:
            try:
                if await self._kept.read(request):
                    raise RemoteProtocolError("conflict", "there is a request of that id, or was one")
                await self._kept.append(request, (fact,), 1)
            except BaseException:
                del self._open[request]
                raise
        self._see(made)
        return made.status

    async def _settle(self, request: str, command: Command) -> ExpertiseStatus:
        """What is due comes first, for it happened first."""
        found = self._of(request)
        async with found.lock:
            if self._of(request) is not found:  # it came to nothing, and another was made under its id
                raise RemoteProtocolError("conflict", "it is another request by now")
            now, status = self._now(), found.status
            fell_due = record.due(now, status)
            after = record.fold(status, *fell_due)
            try:
                made = (*fell_due, *command(now, after))
            except RemoteProtocolError:
                await self._keep(found, fell_due)
                raise
            await self._keep(found, made)
            return found.status

    async def _keep(self, request: _Request, made: Facts) -> None:
        if made:
            await self._kept.append(request.status.request, made, request.status.sequence + 1)
            request.status = record.fold(request.status, *made)
            self._see(request)


async def _patiently(command: Coroutine[Any, Any, ExpertiseStatus]) -> ExpertiseStatus:
    """What it comes to; where a disk holds it up, it goes on by itself, and whoever gave it is told so."""
    doing = asyncio.ensure_future(command)
    done, _ = await asyncio.wait((doing,), timeout=PATIENCE_S)
    if not done:
        doing.add_done_callback(lambda future: future.cancelled() or future.exception())
        raise RemoteProtocolError("not_durable", "it is not written down yet: ask for it")
    return doing.result()


def _check_by(by: str) -> None:
    if not is_sub(by):
        raise RemoteProtocolError("bad_message", "by must be 1 to 128 printable characters")
