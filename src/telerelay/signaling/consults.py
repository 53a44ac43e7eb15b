"""
All live consults of a relay: what a host may do with them, their timers, and their journal.

Event loop's thread. `Relay.consults` is one; a host that is not Python says the same over HTTP (consult_api.py). Each
command returns when what it did is durable, and raises RemoteProtocolError where it may not be, nothing done then.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from telerelay.config import Config
from telerelay.consult import comeback, facts
from telerelay.consult import consult as machine
from telerelay.consult.clock import ConsultClock
from telerelay.consult.comeback import SeatSecrets
from telerelay.consult.consult import Consult
from telerelay.consult.draft import Facts
from telerelay.consult.effects import owed
from telerelay.consult.facts import Measured
from telerelay.consult.plan import ConsultPlan
from telerelay.consult.presence import AtDesk
from telerelay.consult.surge import Holding, Surge
from telerelay.consult.waiting import WaitingQueue
from telerelay.documents import Documents
from telerelay.errors import RemoteProtocolError, TelerelayError
from telerelay.events import ReceiptMade
from telerelay.expertise import Expertise, ExpertiseStore, JournalStore
from telerelay.hooks import HookRunner, JoinRequest
from telerelay.logs import say
from telerelay.protocol.desks import Call, InLine
from telerelay.protocol.grants import Grant, TokenKeys
from telerelay.recording.recordings import Recordings
from telerelay.signaling.booking import Booking
from telerelay.signaling.consult_keeping import Keeping
from telerelay.signaling.consult_live import PATIENCE_S, LiveConsult
from telerelay.signaling.consult_measuring import Measuring
from telerelay.signaling.consult_ringing import Ringing
from telerelay.signaling.consult_rules import Rules, failed
from telerelay.signaling.consult_status import ConsultStatus
from telerelay.signaling.desks import Desks
from telerelay.signaling.limits import FailureLimit
from telerelay.signaling.watching import OPEN, RoomWatcher
from telerelay.tasks import Tasks

# Between a consult's id and a link's secret; no id has a tilde.
_SEPARATOR = "~"

# From the start of a process that goes on for another one until whoever has not come back counts as lost: clients come
# back within five seconds (issue: p95), and slower ones are no worse off, for a seat's time runs anew.
COMEBACK_S = 10.0
# How often people are looked at who miss something: a connection that is begun anew says nothing of it.
LOOK_S = 1.0
# A timer may be late by that where the loop sleeps past a change of the list.
LONGEST_SLEEP_S = 60.0


BACKGROUND = ("consults_settle", "consults_timers", "consults_looks", "consults_expire", "consults_measure")
"""Names of the tasks that run as long as the relay does."""


class Consults:
    """The consults of one relay. `wall` and `monotonic` are the clocks, seconds."""

    def __init__(
        self,
        config: Config,
        keys: TokenKeys,
        hooks: HookRunner,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        expertise_store: ExpertiseStore | None = None,
    ) -> None:
        self.is_closing = False
        self.is_open: Callable[[str], bool] = lambda room: False
        """Whether there is a room of that name, with anybody in it or about to be."""
        self.attempts: Counter[str] = Counter()
        """How often somebody tried what he may not, by facts.BYPASSES."""
        self.tenant_attempts: Counter[tuple[str, str]] = Counter()
        """The same of consults that have a tenant, by tenant."""
        self._config = config
        self._keys = keys
        self._wall = wall
        self._monotonic = monotonic
        self._clock = ConsultClock(wall(), monotonic())
        self._queue = WaitingQueue()
        limits = config.consults
        self._surge = Surge(limits.capacity_packets_per_s, limits.emergency_share, limits.packets_per_s)
        self._stale: set[str] = set()
        self._live: dict[str, LiveConsult] = {}
        self._unreadable: set[str] = set()
        self.keeping = Keeping(config, hooks, self.now)
        """Where facts are kept."""
        self.documents = Documents(config, hooks, self.now, self._live.get)
        """What people hand each other in them."""
        self.recordings = Recordings(config, hooks, self.now, self._live.get)
        """What is recorded of them, where everybody in them agrees."""
        self._measuring = Measuring(self.now)
        self._tasks = Tasks()
        self._rules = Rules(hooks, limits, self.now, self._tasks.spawn, self.position)
        self._hooks = hooks
        self.desks = Desks(config, keys, hooks)
        """The desks that are open, and who is at them."""
        self.desks.consults = self
        self._ringing = Ringing(self.now, self.desks.statuses, self._rules.unanswered)
        self.booking = Booking(
            self.now, self.schedule, self.reschedule, lambda consult: self._of(consult).consult.record
        )
        """Times that people choose: held, booked, moved."""
        self.expertise = Expertise(self.now, self.schedule, self._plan)
        """Questions that are answered without a call, within a day."""
        self._expertise_store = expertise_store
        self._due: list[tuple[float, int, LiveConsult]] = []
        self._numbers = itertools.count()
        self._woken = asyncio.Event()
        self._failures = FailureLimit(config.limits.auth_failure_burst, config.limits.auth_failures_per_s)

    # ---------------------------------------------------------------- life

    async def open(self) -> None:
        """
        Read the journal and go on with what is there. Before rooms are restored: they ask for their door. Raises
        ConfigError.
        """
        found = await self.keeping.open()
        keys = await self.keeping.journal.derived_keys(comeback.PURPOSE)
        for consult, entries in found.items():
            try:
                made = [facts.from_json(each.kind, each.at, each.clear) for each in entries]
                live = LiveConsult(Consult.replay(made), self)
            except (ValueError, TelerelayError) as error:
                say(logging.ERROR, "consult_unreadable", error=type(error).__name__, count=len(entries))
                self._unreadable.add(consult)
                continue
            live.is_settling = True
            live.secrets = SeatSecrets(keys[consult]) if consult in keys else None
            self._live[consult] = live
        self._hooks.on_failure = failed(self._live.get, self.now)
        await self.documents.open(self.keeping.journal)
        await self.expertise.open(self._expertise_store or JournalStore(self.keeping.journal))
        await self.recordings.open(self.keeping.journal)
        if found:
            say(logging.INFO, "consults_resumed", count=len(self._live))

    def start(self) -> None:
        """Rooms are as another process left them: hold them against the consults, and let time pass."""
        self._resume_surge()
        for live in tuple(self._live.values()):
            self._queue.see(live.durable)
            self.booking.see(live.durable)
            self._measuring.see(live)
            live.resume(owed(live.consult.record))
            live.agree()
            live.note(live.consult.restart(self.now()))
            self.changed(live)
            for person in live.durable.waiting:
                self.waits(live, person.sub)
        if self._live:
            self._tasks.spawn(self._settle(), "consults_settle")
        self.documents.start()
        self.expertise.start()
        self.recordings.start()
        self._tasks.spawn(self._run_timers(), "consults_timers")
        self._tasks.spawn(self._run_looks(), "consults_looks")
        self._tasks.spawn(self.keeping.expire(), "consults_expire")
        self._tasks.spawn(self._measuring.run(self._live.values), "consults_measure")

    def _resume_surge(self) -> None:
        """Whoever had room has it, and whoever stood in line stands there."""
        running, held = [], []
        for live in self._live.values():
            record = live.durable
            guests = [person for person in record.there if not record.is_decider(person.role)]
            if guests and all(person.held_at for person in guests):
                since = min(person.since for person in guests)
                held.append(Holding(live.id, since, record.is_emergency))
            elif guests:
                running.append((live.id, record.is_emergency))
        self._release(self._surge.restore(running, held))

    def leave(self) -> None:
        """The process ends: what is lost from now on is lost by that, and nobody has left."""
        self.is_closing = True

    async def close(self) -> None:
        """Write what waits, and end."""
        self.is_closing = True
        await self._tasks.join(1.0, besides=BACKGROUND)
        await self._tasks.close()
        await self.expertise.close()
        await self.recordings.close()
        await self.documents.close()
        await self.keeping.close()

    # ---------------------------------------------------------------- what the host may

    async def schedule(self, plan: ConsultPlan, by: str = facts.RELAY) -> None:
        """
        There is such a consult from now on; its room is the one of that name. Raises RemoteProtocolError conflict
        (there is one, or was, or people are in that room without one), too_late.
        """
        plan, people = await self._rules.routed(plan)
        scheduled = machine.schedule(self.now(), plan, by)
        is_known = await self.keeping.is_known(plan.consult)
        if is_known or plan.consult in self._live:
            raise RemoteProtocolError("conflict", "there is a consult of that name, or was one")
        if self.is_open(plan.consult):
            raise RemoteProtocolError("conflict", "people are in the room of that name already")
        live = self._live[plan.consult] = LiveConsult(Consult(scheduled), self)
        made: Facts = live.consult.route(self.now(), plan.queue, people) if people else ()
        live.begin(made)
        try:
            durable = self.journal(live, (scheduled, *made))
            self._tasks.spawn(self._read_key(live, durable), "consult")
            async with asyncio.timeout(PATIENCE_S):
                await durable
        except TimeoutError:
            raise RemoteProtocolError("not_durable", "it is not written down yet: ask for it") from None
        except TelerelayError:
            self._live.pop(plan.consult, None)
            raise
        self.changed(live)

    async def _read_key(self, live: LiveConsult, durable: Awaitable[object]) -> None:
        """Its key is made with its first fact; an arrival that comes after it is durable later than this is read."""
        await asyncio.wait([asyncio.ensure_future(durable)])
        key = await self.keeping.journal.derived_key(live.id, comeback.PURPOSE)
        live.secrets = None if key is None else SeatSecrets(key)

    async def admit(self, consult: str, sub: str, by: str) -> None:
        """Let one person in who waits; `by` names who decided. Raises RemoteProtocolError as Consult.admit."""
        live = self._of(consult)
        await live.settle(live.consult.admit(self.now(), sub, by, is_host=True))

    async def deny(self, consult: str, sub: str, by: str, reason: str = "") -> None:
        """Send one person away who waits. Raises RemoteProtocolError."""
        live = self._of(consult)
        if reason not in facts.DENY_REASONS:
            raise RemoteProtocolError("bad_message", f"reason must be one of {', '.join(facts.DENY_REASONS[1:])}")
        await live.settle(live.consult.deny(self.now(), sub, by, is_host=True, reason=reason))

    async def consent(self, consult: str, sub: str, what: str, is_given: bool, by: str) -> None:
        """
        Somebody who is in consents to something (telerelay.consult.facts.CONSENTS), or no longer; `by` says so for that
        person. Raises RemoteProtocolError bad_message, forbidden (not in), consult_over.
        """
        live = self._of(consult)
        await live.settle(live.consult.consent(self.now(), sub, what, is_given, by))

    async def remove(self, consult: str, sub: str, by: str) -> None:
        """Put somebody out who is in, or waits; he may come again, and waits then. Raises RemoteProtocolError."""
        live = self._of(consult)
        await live.settle(live.consult.remove(self.now(), sub, by, is_host=True))

    async def end(self, consult: str, by: str, outcome: str = "completed") -> None:
        """It is over, for everyone. Raises RemoteProtocolError."""
        live = self._of(consult)
        if outcome not in facts.OUTCOMES:
            raise RemoteProtocolError("bad_message", f"outcome must be one of {', '.join(facts.OUTCOMES)}")
        await live.settle(live.consult.end(self.now(), by, outcome, is_host=True))

    async def cancel(self, consult: str, by: str, reason: str = "") -> None:
        """It is called off. Raises RemoteProtocolError."""
        live = self._of(consult)
        if reason not in facts.CANCEL_REASONS:
            raise RemoteProtocolError("bad_message", f"reason must be one of {', '.join(facts.CANCEL_REASONS[1:])}")
        await live.settle(live.consult.cancel(self.now(), by, reason))

    async def reschedule(self, consult: str, starts_at: float, by: str) -> None:
        """It has another time (Unix seconds); links from before are dead. Raises RemoteProtocolError."""
        live = self._of(consult)
        await live.settle(live.consult.reschedule(self.now(), starts_at, by))

    async def set_priority(self, consult: str, is_emergency: bool, by: str) -> None:
        """It is an emergency, or is none any more. Raises RemoteProtocolError."""
        live = self._of(consult)
        await live.settle(live.consult.set_priority(self.now(), is_emergency, by, is_host=True))

    async def set_timer(self, consult: str, timer: str, due_at: float, by: str) -> None:
        """Have the host told at `due_at` (Unix seconds), once, be the relay running then or not."""
        live = self._of(consult)
        await live.settle(live.consult.set_timer(self.now(), timer, due_at, by))

    async def take_next(self, queue: str, by: str) -> str:
        """
        The consult that is next at a desk, handed out to a decider who has none: nobody else gets it, unless that one
        does not come within a minute. Raises RemoteProtocolError busy (has one), not_found (nobody waits).
        """
        live = self._of(self._queue.take(queue, by))
        try:
            await live.settle(live.consult.take(self.now(), by))
        except BaseException:
            self._queue.see(live.consult.record)
            raise
        return live.id

    async def give_back(self, consult: str, by: str) -> None:
        """It goes back to its desk. Raises RemoteProtocolError not_found."""
        live = self._of(consult)
        await live.settle(live.consult.give_back(self.now(), by))

    async def ring(self, consult: str, people: Sequence[str], by: str) -> None:
        """
        Have these rung now, the first one first, whether anybody waits or the call runs: a nurse, a colleague. They may
        come in as deciders. Raises RemoteProtocolError bad_message, consult_over.
        """
        live = self._of(consult)
        await live.settle(live.consult.route(self.now(), live.queue, tuple(people), by, is_now=True))

    def at_desk(self, queue: str) -> tuple[AtDesk, ...]:
        """Who is at that queue's desks now; who is not named is gone."""
        return self.desks.at(queue)

    async def link(self, consult: str, sub: str, role: str) -> str:
        """
        A link's word for one person: good once, and until the consult has another time. To be given to that person
        alone, in the fragment of an address. Raises RemoteProtocolError.
        """
        live = self._of(consult)
        secret = secrets.token_urlsafe(24)
        await live.settle(live.consult.make_link(self.now(), _digest(secret), sub, role))
        return f"{consult}{_SEPARATOR}{secret}"

    async def use_link(self, link: str, source: str = "", nonce: str = "") -> tuple[str, str]:
        """
        Change a link for (room, token), once. `source` is the address that asks; `nonce` is what its browser made up,
        which for half a minute is answered again, for the answer may have been lost. Raises RemoteProtocolError:
        forbidden for a link that there is not, that was used, or that is dead; too_early, too_late, too_many_requests.
        """
        consult, _, secret = link.partition(_SEPARATOR)
        live, digest = self._live.get(consult), _digest(secret)
        try:
            if live is None:
                raise RemoteProtocolError("forbidden", "the link is not valid")
            made = live.consult.use_link(self.now(), digest, _digest(nonce) if nonce else "")
        except RemoteProtocolError as error:
            if error.code == "forbidden":
                self._tried_link(live, digest)
                if self._failures.is_over(source, self._monotonic()):
                    raise RemoteProtocolError("too_many_requests", "too many attempts from this address") from None
            raise
        found = live.consult.record.links[digest]
        await live.settle(made)
        ttl_s, tenant = self._config.consults.token_s, live.durable.plan.tenant
        # By the clock that tokens are verified by, whatever the consults' shows.
        token = self._keys.sign(
            room=consult, sub=found.sub, role=found.role, ttl_s=ttl_s, now=time.time(), tenant=tenant
        )
        return consult, token

    def get(self, consult: str) -> ConsultStatus:
        """A consult that is not over, as it is now. Raises RemoteProtocolError not_found."""
        return ConsultStatus.of(self._of(consult).durable)

    def statuses(self) -> tuple[ConsultStatus, ...]:
        """All of them, in the order they were scheduled."""
        return tuple(ConsultStatus.of(live.durable) for live in self._live.values())

    async def attestation(self, consult: str) -> bytes:
        """
        The attestation of a consult that has ended, as a file that is verified without the relay (`telerelay attest
        verify`). Raises RemoteProtocolError not_found.
        """
        document = await self.keeping.document(consult)
        if document is None:
            raise RemoteProtocolError("not_found", "there is no attestation of that consult")
        return document

    def running(self, consult: str) -> LiveConsult:
        """One that is not over. Raises RemoteProtocolError not_found."""
        return self._of(consult)

    def states(self) -> Counter[str]:
        """How many consults are in which state."""
        return Counter(live.durable.state for live in self._live.values())

    def tenant_states(self) -> Counter[tuple[str, str]]:
        """How many consults of each tenant are in which state; of those that have one."""
        plans = ((live.durable.plan.tenant, live.durable.state) for live in self._live.values())
        return Counter((tenant, state) for tenant, state in plans if tenant)

    def tenant_people(self) -> Counter[str]:
        """How many people have a seat in each tenant's consults."""
        seats: Counter[str] = Counter()
        for live in self._live.values():
            if tenant := live.durable.plan.tenant:
                seats[tenant] += len(live.durable.there)
        return seats

    @property
    def journal_held(self) -> int:
        """Facts that are not durable yet."""
        return self.keeping.held

    @property
    def is_durable(self) -> bool:
        """Whether facts become durable in time: while not, nobody new comes in, and calls go on."""
        return self.keeping.is_durable

    # ---------------------------------------------------------------- what rooms ask

    def watcher(self, room: str) -> RoomWatcher:
        """What a room of that name is held by."""
        return self._live.get(room, OPEN)

    def join_request(self, grant: Grant) -> JoinRequest:
        """What the application is asked of somebody at a room's door."""
        live = self._live.get(grant.room)
        if live is None:
            return JoinRequest(room=grant.room, sub=grant.sub, role=grant.role)
        tenant, is_emergency = live.durable.plan.tenant, live.durable.is_emergency
        return JoinRequest(grant.room, grant.sub, grant.role, tenant, is_emergency)

    def check_tenant(self, grant: Grant) -> None:
        """
        A tenant's token is for that tenant's consults. One for a room whose consult is over, or never was, passes here,
        and finds nothing in it. Raises RemoteProtocolError forbidden, which is written down of nobody by name: whose
        name that is was another's to say.
        """
        live = self._live.get(grant.room)
        if grant.tenant and live is not None and live.durable.plan.tenant != grant.tenant:
            live.tried("", "token")
            raise RemoteProtocolError("forbidden", "this token does not open this room")

    def check_owned(self, grant: Grant) -> None:
        """As check_tenant; and a tenant's token opens no room without a consult. Raises as it does."""
        self.check_tenant(grant)
        if grant.tenant and grant.room not in self._live:
            raise RemoteProtocolError("forbidden", "this token does not open this room")

    def is_kept(self, grant: Grant) -> bool:
        """
        Whether the journal has a seat for this person that no room has: the relay was killed with its workers. Coming
        back to it is no new arrival, which the application would be asked about, and might be too busy to answer.
        """
        live = self._live.get(grant.room)
        if live is None or (live.host is not None and live.host.room.by_sub(grant.sub) is not None):
            return False
        return any((each.sub, each.role) == (grant.sub, grant.role) for each in live.durable.there)

    def has_left_behind(self, grant: Grant, secret: str) -> bool:
        """
        Whether this is a secret of the seat that `is_kept` knows: whoever shows it may have a token that expired since.
        """
        live = self._live.get(grant.room)
        return live is not None and live.has_left_behind(grant.sub, grant.role, secret)

    async def arrive(self, grant: Grant, attachment: str = "socket") -> None:
        """
        Somebody with a good token is at a room's door. Returns when his arrival is durable, and at once where the room
        has no consult. Raises RemoteProtocolError: as Consult.arrive, consult_over, or forbidden where the room has no
        consult and must have one.
        """
        await self.check_open(grant.room)
        self.check_owned(grant)
        # No await between this and the room's opening, where there is no consult: there would be one by then.
        if (live := self._live.get(grant.room)) is not None:
            await live.arrive(grant.sub, grant.role, attachment)

    async def check_open(self, room: str) -> None:
        """Whether a room is one that may be entered at all. Raises RemoteProtocolError consult_over, forbidden."""
        await self.check_past(room)
        if room not in self._live and self._config.consults.required:
            raise RemoteProtocolError("forbidden", "this token does not open this room")

    async def check_past(self, room: str) -> None:
        """Raises RemoteProtocolError consult_over where the room had a consult that is over."""
        if await self.is_past(room):
            raise RemoteProtocolError("consult_over", "the consult is over")

    async def is_past(self, room: str) -> bool:
        """Whether the room had a consult that is over, or that cannot be read."""
        is_known = room not in self._live and (room in self._unreadable or await self.keeping.is_known(room))
        return is_known and room not in self._live

    def tried(self, room: str, sub: str, what: str) -> None:
        """Somebody tried what he may not, at a room's door."""
        live = self._live.get(room)
        if live is not None:
            live.tried(sub, what)

    # ---------------------------------------------------------------- what desks ask

    def is_busy(self, sub: str) -> bool:
        return bool(self._queue.consults_of(sub))

    def calls_for(self, sub: str) -> Sequence[Call]:
        return self._ringing.calls_for(sub)

    def in_line(self, queue: str) -> Sequence[InLine]:
        return [
            InLine(each.consult, queue, each.since, each.is_emergency, len(each.subs), each.is_free)
            for each in self._queue.line(queue)
        ]

    def reached(self, subs: frozenset[str]) -> None:
        self._ringing.reached(subs)

    async def accept(self, consult: str, sub: str, role: str) -> None:
        """Somebody answers whom it rings for. Raises RemoteProtocolError as Consult.accept."""
        live = self._of(consult)
        await live.settle(live.consult.accept(self.now(), sub, role))

    async def decline(self, consult: str, sub: str) -> None:
        """Somebody does not. Nothing, where it does not ring there. Raises RemoteProtocolError not_found."""
        live = self._of(consult)
        await live.settle(live.consult.decline(self.now(), sub))

    async def take_for(self, queue: str, sub: str, role: str) -> str:
        """
        As `take_next`, for somebody at the desk itself. Raises RemoteProtocolError forbidden, too: whoever may not come
        into the consult that is next is not handed it.
        """
        consult = await self.take_next(queue, sub)
        live = self._of(consult)
        try:
            live.consult.check_decider(sub, role)
        except RemoteProtocolError:
            await self.give_back(consult, sub)
            raise
        return consult

    # ---------------------------------------------------------------- what live consults share

    def now(self) -> float:
        return self._clock.now(self._monotonic())

    def journal(self, live: LiveConsult, made: Facts) -> Awaitable[object]:
        return self.keeping.append(live.id, made)

    def carry_out_later(self, doing: Awaitable[None]) -> asyncio.Future[None]:
        async def run() -> None:
            await doing

        return self._tasks.spawn(run(), "consult")

    def changed(self, live: LiveConsult) -> None:
        self._make_room(live)
        self._queue.see(live.consult.record)
        self._ringing.see(live)
        self.booking.see(live.consult.record)
        due_at = live.consult.next_due()
        if due_at != live.due_at:
            live.due_at = due_at
            if due_at is not None:
                heapq.heappush(self._due, (due_at, next(self._numbers), live))
                self._woken.set()

    def opened(self, live: LiveConsult) -> None:
        self._measuring.see(live)

    def settled(self, live: LiveConsult) -> None:
        self._measuring.see(live)
        self.desks.changed()
        self.documents.settled(live)
        if not self._stale:
            asyncio.get_running_loop().call_soon(self._show_lines)
        self._stale.add(live.queue)

    def position(self, live: LiveConsult, sub: str) -> int:
        if held := self._surge.position(live.id):
            return held
        if live.queue:
            return self._queue.position(live.id)
        return 1 + [person.sub for person in live.durable.waiting].index(sub)

    def waits(self, live: LiveConsult, sub: str) -> None:
        self._rules.waits(live, sub)

    def attest(self, live: LiveConsult) -> None:
        self._tasks.spawn(self._attest(live), "attest")

    async def _attest(self, live: LiveConsult) -> None:
        """Once the end is durable: what the host's policy says, the signature, and the last fact."""
        await self._measuring.finish(live)
        made = await self.keeping.attest(live.durable.plan)
        await live.take(live.consult.attested(self.now(), made.digest, made.key_id))
        measured = live.durable.measured or Measured(live.durable.at)
        live.receipt = ReceiptMade(made.digest, measured.two_way_video_s, measured.two_way_audio_s)

    def forget(self, live: LiveConsult) -> None:
        if self._live.get(live.id) is live:
            del self._live[live.id]
        self._ringing.forget(live)
        self.recordings.forget(live.id)
        live.due_at = None

    def attempted(self, what: str, tenant: str = "") -> None:
        self.attempts[what] += 1
        if tenant:
            self.tenant_attempts[tenant, what] += 1

    # ---------------------------------------------------------------- time

    def tick(self) -> None:
        """What has fallen due by now, of all consults."""
        now = self.now()
        self.expertise.tick()
        while self._due and self._due[0][0] <= now:
            due_at, _, live = heapq.heappop(self._due)
            if live.due_at == due_at:
                live.due_at = None
                live.note(live.consult.tick(now))
                self.changed(live)

    def look(self) -> None:
        """Look after everybody who misses something."""
        for live in tuple(self._live.values()):
            if live.has_lost:
                live.look_at_all()

    async def _run_timers(self) -> None:
        while True:
            self.tick()
            self._woken.clear()
            delay_s = self._due[0][0] - self.now() if self._due else LONGEST_SLEEP_S
            try:
                async with asyncio.timeout(min(max(delay_s, 0.0), LONGEST_SLEEP_S)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _run_looks(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()
            self._watch_clock()

    def _watch_clock(self) -> None:
        """A wall clock that was set is written down, and moves nothing."""
        by_s = self._clock.watch(self._wall(), self._monotonic())
        if by_s:
            say(logging.WARNING, "clock_jumped", duration_ms=round(by_s * 1000.0, 1))
            for live in tuple(self._live.values()):
                live.note(live.consult.jump(self.now(), by_s))

    async def _settle(self) -> None:
        await asyncio.sleep(COMEBACK_S)
        for live in tuple(self._live.values()):
            live.is_settling = False
            live.look_at_all()
            self._ringing.see(live)

    # ---------------------------------------------------------------- room for calls, and places in line

    def _make_room(self, live: LiveConsult) -> None:
        """
        Whoever comes to be let in takes room in the relay, or stands in line for it; who needs none gives it to others.
        """
        record = live.consult.record
        if all(record.is_decider(person.role) for person in record.there):
            self._release(self._surge.finish(live.id))
            return
        self._release(self._surge.set_priority(live.id, record.is_emergency))
        was_held = self._surge.position(live.id)
        position = self._surge.ask(self.now(), live.id, record.is_emergency)
        if position and not was_held:
            self._rules.held(live, self._surge, self._release)
        for person in record.waiting:
            if position:
                live.note(live.consult.hold(self.now(), person.sub, position))
            else:
                live.note(live.consult.release(self.now(), person.sub))

    def _release(self, consults: Iterable[str]) -> None:
        """These have room now."""
        for consult in consults:
            live = self._live.get(consult)
            for person in live.consult.record.waiting if live is not None else ():
                assert live is not None
                live.note(live.consult.release(self.now(), person.sub))
                self.waits(live, person.sub)  # a rule that would let in could not

    def _show_lines(self) -> None:
        """Whoever waits behind others sees their places change."""
        stale, self._stale = self._stale, set()
        ids = {waiter.consult for queue in stale if queue for waiter in self._queue.line(queue)}
        ids.update(holding.consult for holding in self._surge.line())
        for consult in ids:
            if consult in self._live:
                self._live[consult].show()

    # ---------------------------------------------------------------- within

    def _of(self, consult: str) -> LiveConsult:
        try:
            return self._live[consult]
        except KeyError:
            raise RemoteProtocolError("not_found", "there is no such consult, or it is over") from None

    def _plan(self, consult: str) -> ConsultPlan | None:
        live = self._live.get(consult)
        return None if live is None else live.consult.record.plan

    def _tried_link(self, live: LiveConsult | None, digest: str) -> None:
        if live is None:
            self.attempted("link")
            return
        found = live.consult.record.links.get(digest)
        live.tried(found.sub if found is not None else "", "link")


def _digest(secret: str) -> str:
    """A secret of 192 random bits needs neither salt nor slowness."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
