"""
Carries out a schedule against a target and takes the measurements: what happened, as values, for the report.

Event loop's thread. People join and leave as tasks, so that a slow server holds nobody else up; a step that comes late
is counted as the generator's fault, not the server's.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from telerelay.errors import NativeError, TelerelayError
from telerelay.load import schedule as schedules
from telerelay.load.engine import Engine
from telerelay.load.measure import Histogram, Totals
from telerelay.load.measurement import JOIN_TIMEOUT_S, Measurement, Moments, RunSettings, Sample, Visit
from telerelay.load.peers import PublishPeer, ReceivePeer
from telerelay.load.procfs import Processes, Usage, machine_busy_ns
from telerelay.load.schedule import Person, Step
from telerelay.load.targets.base import Seat, Target, Tokens
from telerelay.tasks import Tasks

# After the last packet left, so long is waited for what is on its way; the engine takes a packet for lost after 1 s.
DRAIN_S = 1.3

# Seconds from one look at a server's memory to the next.
_MEMORY_EVERY = 5

# Goodbyes at the end, in all: a server that is overloaded may not hold the report up.
LEAVE_TIMEOUT_S = 15.0


class Run:
    """One run: `await Run(…).measure()`. `on_sample` hears of each second; `interrupt()` ends it early."""

    def __init__(
        self, settings: RunSettings, target: Target, tokens: Tokens, on_sample: Callable[[Sample], None]
    ) -> None:
        self._settings = settings
        self._profile = settings.profile
        self._target = target
        self._tokens = tokens
        self._on_sample = on_sample
        self._schedule = schedules.make(settings.profile, settings.seed)
        self._engine = Engine(settings.engine)
        self._processes = Processes(settings.server_pids) if settings.server_pids else None
        self._current: dict[int, Visit] = {}
        self._visits: list[Visit] = []
        self._rooms: dict[int, dict[int, Visit]] = {}
        self._who: dict[int, Person] = {}
        self._tasks = Tasks()
        self._tails: dict[int, asyncio.Task[None]] = {}
        self._failures: Counter[str] = Counter()
        self._samples: list[Sample] = []
        self._late_s = 0.0
        self._interrupted = asyncio.Event()
        self._last_latency: Histogram | None = None
        self._began_ns = 0

    def interrupt(self) -> None:
        """End now; what was measured so far is the report."""
        self._interrupted.set()

    async def measure(self) -> Measurement:
        """Raises TelerelayError when the target is not there, or the engine cannot run."""
        await self._target.open()
        self._engine.start()
        try:
            return await self._measure()
        finally:
            await self._leave_all()
            await self._engine.stop()
            await self._target.close()

    async def _measure(self) -> Measurement:
        plan = self._schedule
        empty = self._usage()
        self._began_ns = time.monotonic_ns()
        ticker = self._own(self._tick())
        steps = self._own(self._walk(plan.steps))
        try:
            await self._until(plan.measure_s)
            before, own_before, server_before = self._engine.totals(), time.process_time_ns(), self._usage()
            machine_before = machine_busy_ns()
            self._engine.reset_histograms()
            self._last_latency = None
            await self._until(plan.end_s)
        finally:
            steps.cancel()
            ticker.cancel()
            await asyncio.wait([steps, ticker])
        for task in (steps, ticker):
            if not task.cancelled():
                task.result()
        await self._finish_tails()
        people = self._people()
        end, server_after, own_after = self._engine.totals(), self._usage(), time.process_time_ns()
        machine_after = machine_busy_ns()
        after = await self._drained()
        return Measurement(
            schedule=plan,
            before=before,
            end=end,
            after=after,
            latency={kind: self._engine.latency(kind) for kind in ("audio", "video", "resent")},
            server_before=server_before,
            server_after=server_after,
            server_empty=empty,
            own_cpu_before_ns=own_before,
            own_cpu_after_ns=own_after,
            machine_before_ns=machine_before,
            machine_after_ns=machine_after,
            samples=self._samples,
            visits=self._visits,
            legs=self._engine.legs(),
            who=self._who,
            failures=self._failures,
            late_s=self._late_s,
            people_full=people,
            began_ns=self._began_ns,
            crypto=self._engine.crypto_name,
            returns_ns=tuple(self._began_ns + round(at_s * 1e9) for at_s in plan.returns_s),
            is_interrupted=self._interrupted.is_set(),
        )

    # ---------------------------------------------------------------- time

    def _own(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A part of the run itself: if it fails, the run ends at once, and raises what it failed by."""

        def on_done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.interrupt()

        task = asyncio.create_task(coroutine)
        task.add_done_callback(on_done)
        return task

    async def _until(self, at_s: float) -> None:
        wait_s = at_s - (time.monotonic_ns() - self._began_ns) / 1e9
        if wait_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._interrupted.wait()

    async def _walk(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            wait_s = step.at_s - (time.monotonic_ns() - self._began_ns) / 1e9
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._late_s = max(self._late_s, -wait_s)
            # A person's steps are taken in order, other people's at the same time.
            before = self._tails.get(step.person)
            self._tails[step.person] = self._tasks.spawn(self._take(step, before), f"person {step.person}")

    async def _take(self, step: Step, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        if step.action == schedules.JOIN:
            if step.person not in self._current:
                await self._join(self._schedule.people[step.person])
        elif (visit := self._current.get(step.person)) is not None:
            await self._leave(visit, vanish=self._settings.leaves_vanish)

    async def _finish_tails(self) -> None:
        """Joins that are under way at the end are given their time."""
        await self._tasks.join(JOIN_TIMEOUT_S)
        for task in self._tails.values():
            task.cancel()

    async def _tick(self) -> None:
        second = 0
        while True:
            # The next whole second that is still to come: a late sample is followed by one in time.
            second = max(second + 1, int((time.monotonic_ns() - self._began_ns) / 1e9))
            await asyncio.sleep(max(0.0, second - (time.monotonic_ns() - self._began_ns) / 1e9))
            self._check_joins()
            latency = self._engine.latency("audio") + self._engine.latency("video")
            last, self._last_latency = self._last_latency, latency
            is_continued = last is not None and last.count <= latency.count
            sample = Sample(
                at_s=(time.monotonic_ns() - self._began_ns) / 1e9,
                totals=self._engine.totals(),
                latency=latency.since(last) if last is not None and is_continued else latency,
                server=self._usage(with_memory=second % _MEMORY_EVERY == 0),
                own_cpu_ns=time.process_time_ns(),
                people=self._people(),
                joins=len(self._visits),
                failed_joins=sum(bool(visit.moments.failure) for visit in self._visits),
            )
            self._samples.append(sample)
            self._on_sample(sample)

    def _usage(self, *, with_memory: bool = True) -> Usage | None:
        return self._processes.read(with_memory=with_memory) if self._processes is not None else None

    def _people(self) -> int:
        return sum(
            bool(visit.moments.publish_connected_ns or visit.moments.receive_connected_ns) and not visit.moments.failure
            for visit in self._current.values()
        )

    # ---------------------------------------------------------------- coming and going

    async def _join(self, person: Person) -> None:
        settings = self._settings
        room_name, participant = f"{settings.room_prefix}-{person.room}", f"{person.name}-{person.room}"
        others = self._profile.shape.publishers - person.publishes
        failure = token = ""
        try:
            token = await self._tokens.of(room_name, participant, publishes=person.publishes)
        except (TelerelayError, OSError) as error:
            failure = _code(error)
        # The click is the join's: a token command's time is not the server's.
        moments = Moments(click_ns=time.monotonic_ns())
        visit = Visit(person, moments, receives=others > 0)
        self._visits.append(visit)
        self._current[person.number] = visit
        room = self._rooms.setdefault(person.room, {})
        self._meet(visit, room)
        room[person.number] = visit
        self._equip(visit, others)
        if failure:
            self._fail(visit, failure)
            return
        try:
            seat = Seat(room_name, participant, token, visit.publish, visit.receive, others)
            visit.session = await self._target.join(seat)
            visit.moments.signalled_ns = time.monotonic_ns()
        except (TelerelayError, OSError, TimeoutError) as error:
            self._fail(visit, _code(error))
            await self._close_peers(visit, vanish=False)
        if visit.early_failure:
            self._fail(visit, visit.early_failure)
        for peer in (visit.publish, visit.receive):
            if peer is not None and peer.peer is not None:
                self._who[peer.peer] = person

    def _equip(self, visit: Visit, others: int) -> None:
        """The connections a participant needs."""

        def on_failed(reason: str) -> None:
            if visit.moments.signalled_ns:
                self._fail(visit, reason)
            else:
                visit.early_failure = visit.early_failure or reason

        person, settings = visit.person, self._settings
        peers = (self._engine, self._profile, settings.network, visit.moments)
        if person.publishes:
            chance = random.Random(f"person {settings.seed} {person.number} {len(self._visits)}")
            cname = f"{person.room}-{person.name}"
            visit.publish = PublishPeer(*peers, cname=cname, chance=chance, on_failed=on_failed)
        if others:
            visit.receive = ReceivePeer(*peers, others=others, on_failed=on_failed)

    def _meet(self, visit: Visit, room: dict[int, Visit]) -> None:
        """A join is measured from the moment there is somebody to see: whoever waited alone starts when one comes."""
        others = [each for each in room.values() if each.person.publishes and not each.is_over]
        visit.base_ns = visit.moments.click_ns if others else 0
        if visit.person.publishes:
            for each in room.values():
                if not each.base_ns and not each.is_over:
                    each.base_ns = visit.moments.click_ns

    def _fail(self, visit: Visit, reason: str) -> None:
        if not visit.moments.failure and not visit.is_over:
            visit.moments.failure = reason
            self._failures[reason] += 1

    def _check_joins(self) -> None:
        """Whoever should see somebody for so long and does not, has not joined."""
        now_ns = time.monotonic_ns()
        for visit in self._current.values():
            is_waiting = visit.receive is not None and visit.base_ns and not visit.moments.first_frame_ns
            if is_waiting and now_ns - visit.base_ns > JOIN_TIMEOUT_S * 1e9:
                self._fail(visit, "no_media")

    async def _leave(self, visit: Visit, *, vanish: bool) -> None:
        visit.moments.left_ns = time.monotonic_ns()
        self._current.pop(visit.person.number, None)
        self._rooms.get(visit.person.room, {}).pop(visit.person.number, None)
        session, visit.session = visit.session, None
        with contextlib.suppress(TelerelayError, OSError, TimeoutError):
            if session is not None:
                await (session.vanish() if vanish else session.leave())
        await self._close_peers(visit, vanish=vanish)

    @staticmethod
    async def _close_peers(visit: Visit, *, vanish: bool) -> None:
        for peer in (visit.publish, visit.receive):
            if peer is not None:
                with contextlib.suppress(NativeError):
                    await peer.close(vanish=vanish)

    async def _drained(self) -> Totals:
        """Nobody sends any more; what was on its way has come or is lost."""
        for visit in self._current.values():
            if visit.publish is not None and visit.publish.peer is not None:
                with contextlib.suppress(NativeError):
                    await self._engine.stop_sending(visit.publish.peer)
        await asyncio.sleep(DRAIN_S)
        return self._engine.totals()

    async def _leave_all(self) -> None:
        for task in self._tails.values():
            task.cancel()
        for visit in list(self._current.values()):
            self._tasks.spawn(self._leave(visit, vanish=False), f"goodbye {visit.person.number}")
        await self._tasks.join(LEAVE_TIMEOUT_S)
        await self._tasks.close()


def _code(error: Exception) -> str:
    return str(getattr(error, "code", type(error).__name__))
