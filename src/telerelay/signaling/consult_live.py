"""
One consult and the room it is held in: what happens in the room becomes facts, and what facts ask for is done there.

Event loop's thread. Facts are applied when they are made and journalled in that order; their effects are carried out,
and whoever asked is answered, when they are durable. Nothing here is waited for by media.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from telerelay.consult import facts
from telerelay.consult.comeback import SeatSecrets
from telerelay.consult.consult import Consult
from telerelay.consult.draft import Facts
from telerelay.consult.effects import Admit, Attest, Effect, EndRoom, Forget, Remove
from telerelay.consult.record import Person, Record
from telerelay.consult.recording import RECORDER
from telerelay.documents import Documents
from telerelay.errors import RemoteProtocolError
from telerelay.events import (
    ConsultChanged,
    ReceiptMade,
    Sign,
    WaitingChanged,
    WaitingContentChanged,
    WaitingPerson,
    WaitingRoomChanged,
)
from telerelay.measurements import Position
from telerelay.recording.recordings import Recordings
from telerelay.rooms import Participant, Publication
from telerelay.signaling.seat import Seat
from telerelay.signaling.watching import RoomWatcher, What

if TYPE_CHECKING:
    from telerelay.signaling.host import RoomHost

# Whoever asked for the end has the answer before the socket closes.
ANSWERED_S = 0.1
# And so many turns of the loop after that: of the answer's way a handful are left, each of which may take a tenth of a
# second where many calls end at once.
ANSWERED_TURNS = 20

# So long the end waits for the attestation, so that who was in the call takes its number home: a signature takes
# milliseconds, a rule of the host's as long as it likes.
RECEIPT_S, RECEIPT_EVERY_S = 0.5, 0.05

# Clients wait ten seconds for a reply; a disk that needs half of that is not slow but failing.
PATIENCE_S = 5.0

# Why a picture is gone that its owner did not take away (protocol.messages.MUTE_REASONS without "user").
TROUBLES = frozenset({"source", "interrupted", "device_lost", "permission_denied"})

_CUT = frozenset({"disconnected", "failed"})


class Home(Protocol):
    """What all consults of a relay share."""

    is_closing: bool
    """The process ends: what is lost from now on is lost by that."""

    documents: Documents
    """What people hand each other."""

    recordings: Recordings
    """What is recorded."""

    def now(self) -> float:
        """The consults' clock, Unix seconds."""

    def journal(self, live: LiveConsult, made: Facts) -> Awaitable[object]:
        """Write facts down; done when they are durable."""

    def carry_out_later(self, doing: Awaitable[None]) -> asyncio.Future[None]:
        """Have it done by a task that the home ends."""

    def changed(self, live: LiveConsult) -> None:
        """Facts were added: its timers, and its place in the queue, may be others."""

    def opened(self, live: LiveConsult) -> None:
        """Its room is there."""

    def settled(self, live: LiveConsult) -> None:
        """Facts became durable, and were carried out: those who wait at the same desk may have another place."""

    def position(self, live: LiveConsult, sub: str) -> int:
        """How many are to come in before this person and one."""

    def waits(self, live: LiveConsult, sub: str) -> None:
        """Somebody waits from now on, durably: the application may have a rule for it."""

    def attest(self, live: LiveConsult) -> None:
        """It has ended: its attestation is due."""

    def forget(self, live: LiveConsult) -> None:
        """Nothing follows."""

    def attempted(self, what: str, tenant: str = "") -> None:
        """Somebody tried what he may not: counted."""


class LiveConsult(RoomWatcher):
    """A consult, as a room's watcher. `consult` is its machine, `host` its room as long as anybody is there."""

    is_consult = True

    def __init__(self, consult: Consult, home: Home) -> None:
        self.consult = consult
        self.host: RoomHost | None = None
        self.due_at: float | None = None
        """When its next timer is due, as the home has it."""
        self.is_settling = False
        """Another process was here a moment ago: who is away for that is given time to come back."""
        self.since = consult.record.at
        """Since when it is in its state, or was known to be."""
        self.durable = consult.record
        """What is known of it as far as that is durable: all that anybody is told."""
        self.secrets: SeatSecrets | None = None
        """By which people are known whose seats only the journal remembers; None: its key was not read yet."""
        self.receipt: ReceiptMade | None = None
        """What is told of its attestation, once there is one."""
        self._home = home
        self._inside = {person.sub for person in consult.record.there if person.is_admitted}  # durably
        self._shown: dict[tuple[str, type[Sign]], Sign] = {}
        self._content: dict[str, WaitingContentChanged] = {}  # by sub
        self._latest: asyncio.Future[None] | None = None

    @property
    def id(self) -> str:
        return self.consult.record.plan.consult

    @property
    def queue(self) -> str:
        return self.consult.record.plan.queue

    # ---------------------------------------------------------------- facts

    def take(self, made: Facts) -> Awaitable[None]:
        """
        These facts are so. Done when they, and all before them, are durable and carried out.
        """
        if made:
            effects = self.consult.apply(*made)
            self._home.recordings.look(self)  # what may not be recorded any more is not from here on
            durable = self._home.journal(self, made)
            self._latest = self._home.carry_out_later(self._finish(durable, effects, self.consult.record))
            self._home.changed(self)
        is_under_way = self._latest is not None and not self._latest.done()
        return asyncio.shield(self._latest) if self._latest is not None and (made or is_under_way) else _done()

    def begin(self, made: Facts) -> None:
        """What is written down with its first fact."""
        self.consult.apply(*made)
        self.durable = self.consult.record

    def resume(self, effects: Iterable[Effect]) -> None:
        """What a process before this one may not have done."""
        for effect in effects:
            self._carry_out(effect)

    async def settle(self, made: Facts) -> None:
        """
        As `take`, for somebody who waits for the answer: not for ever. Raises RemoteProtocolError not_durable; what was
        asked is so all the same, as soon as the disk works, and may be asked again.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.take(made)
        except TimeoutError:
            raise RemoteProtocolError("not_durable", "it is not written down yet: ask again") from None

    def agree(self) -> None:
        """
        The room comes from another process: whoever is in it and not in the consult goes. Nobody is there without its
        being written down.
        """
        if self.host is None:
            return
        there = {person.sub: person for person in self.durable.there}
        for participant in tuple(self.host.room.participants.values()):
            person = there.get(participant.sub)
            if person is None or participant.role != person.role or participant.is_admitted > person.is_admitted:
                self.host.remove(participant.id, "removed")

    async def _finish(self, durable: Awaitable[object], effects: Iterable[Effect], record: Record) -> None:
        await durable
        if record.state != self.durable.state:
            self.since = record.at
        self.durable = record
        for effect in effects:
            self._carry_out(effect)
        self._home.recordings.look(self)
        self.show()
        self._home.settled(self)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Admit(sub):
                self._inside.add(sub)
                participant = self._participant(sub)
                if self.host is not None and participant is not None:
                    self.host.admit(participant.id)
                    self.look(sub)
            case Remove(sub, reason):
                self._inside.discard(sub)
                participant = self._participant(sub)
                if self.host is not None and participant is not None:
                    self.host.remove(participant.id, reason)
            case EndRoom(reason):
                asyncio.get_running_loop().call_later(ANSWERED_S, self._end_room, reason, ANSWERED_TURNS)
            case Attest():
                self._home.attest(self)
            case Forget():
                self._home.forget(self)
            case _:
                pass  # the desk is shown after all of them; hooks are told out of the journal

    def _end_room(self, reason: str, turns: int = 0, wait_s: float = RECEIPT_S) -> None:
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._end_room, reason, turns - 1, wait_s)
        elif self.host is None or self._home.is_closing:
            return
        elif self.durable.ended is not None and self.receipt is None and wait_s > 0:
            loop.call_later(RECEIPT_EVERY_S, self._end_room, reason, 0, wait_s - RECEIPT_EVERY_S)
        else:
            for seat in tuple(self.host.seats.values()):
                if self.receipt is not None and seat.participant.is_admitted:
                    self._show(seat, self.receipt)
            self.host.end(reason)

    # ---------------------------------------------------------------- what the room tells

    async def arrive(self, sub: str, role: str, attachment: str) -> None:
        """
        Somebody with a good token is at the door. Returns when that is durable: the room may be joined then. Raises
        RemoteProtocolError as Consult.arrive.
        """
        now, here = self._home.now(), self._participant(sub)
        try:
            made = self.consult.arrive(now, sub, role, attachment)
        except RemoteProtocolError as error:
            if error.code == "forbidden":
                self.tried(sub, "token")
            raise
        is_waiting = here is not None and here.has_socket and not here.is_admitted and not here.is_interrupted
        if is_waiting and attachment == "socket":
            self.tried(sub, "second_tab")
        await self.settle(made)
        if not self._is_there(sub):  # decided while it was written down
            raise RemoteProtocolError("denied", "this person was sent away")
        if any(isinstance(fact, facts.Arrived) and fact.is_waiting for fact in made):
            self._home.waits(self, sub)

    def new_secret(self, sub: str) -> str:
        person = self.consult.record.people.get(sub)
        if self.secrets is None or person is None:
            return super().new_secret(sub)
        return self.secrets.make(person)

    def has_left_behind(self, sub: str, role: str, secret: str) -> bool:
        """Whether this is a secret of a seat here that the journal has and, of this person, no room."""
        return self.secrets is not None and any(
            self.secrets.is_of(person, secret)
            for person in self.durable.there
            if (person.sub, person.role) == (sub, role) and self._participant(sub) is None
        )

    def set_content(self, sub: str, content: WaitingContentChanged) -> None:
        """What the application wants somebody shown who waits."""
        self._content[sub] = content
        self.show()

    def is_admitted(self, sub: str, role: str) -> bool:
        if (sub, role) == (RECORDER, "recorder"):  # no token has that name: it is the relay's own
            return not self.consult.record.is_over
        return sub in self._inside and self.consult.is_admitted(sub, role)

    def on_host(self, host: RoomHost) -> None:
        self.host = host
        self._home.opened(self)

    def on_empty(self) -> None:
        self.host = None
        self._shown.clear()

    def on_absent(self, sub: str) -> None:
        self.look(sub)

    def on_person(self, participant: Participant, what: What, reason: str) -> None:
        if self._home.is_closing:
            return
        if what == "joined" and not self._is_there(participant.sub) and self.host is not None:
            # Sent away, or the consult is over, while a session was negotiated.
            asyncio.get_running_loop().call_soon(self.host.remove, participant.id, "removed")
        if what == "left":
            for key in [key for key in self._shown if key[0] == participant.id]:
                del self._shown[key]
            if reason == "left":
                self.note(self.consult.leave(self._home.now(), participant.sub))
        if reason != "duplicate_join":  # the same person is here, over another socket
            self.look(participant.sub)
        self.show()

    def on_connection(self, participant: Participant, connection: str, state: str) -> None:
        self.look(participant.sub)

    def on_publication(self, participant: Participant, publication: Publication) -> None:
        self.look(participant.sub)

    def on_socket(self, seat: Seat) -> None:
        for key in [key for key in self._shown if key[0] == seat.id]:
            del self._shown[key]  # this socket was told nothing yet
        self.look(seat.participant.sub)
        self.show()

    def on_refused(self, sub: str, what: str) -> None:
        self.tried(sub, what)

    def on_measured(self, positions: Sequence[Position]) -> None:
        now = self._home.now()
        self.note(
            self.consult.count_samples(
                now,
                [
                    facts.SamplesCounted(
                        now, each.sub, each.series.device, each.series.series, each.series.kind, each.counted
                    )
                    for each in positions
                ],
            )
        )

    def on_camera(self, sub: str, target: str, outcome: str) -> None:
        self.note(self.consult.move_camera(self._home.now(), target, sub, outcome))

    def on_degraded(self, participant: Participant, direction: Literal["up", "down"], how: str) -> None:
        self.note(self.consult.degraded(self._home.now(), participant.sub, direction, how))

    def tried(self, sub: str, what: str) -> None:
        """Somebody tried what he may not: counted each time, and journalled once."""
        self._home.attempted(what, self.durable.plan.tenant)
        self.note(self.consult.bypass(self._home.now(), sub, what))

    def note(self, made: Facts) -> None:
        """Facts that nobody waits for."""
        if made:
            waiting = asyncio.ensure_future(self.take(made))
            waiting.add_done_callback(_heard)  # what goes wrong is logged by the task behind it

    # ---------------------------------------------------------------- who is there, and who is lost

    def look(self, sub: str) -> None:
        """Hold what the consult has of one person against the room, and note what differs."""
        record = self.consult.record
        person = record.people.get(sub)
        if self._home.is_closing or record.is_over or person is None or not person.is_there:
            return
        lost, is_connected = self._presence(sub)
        if is_connected and sub in self._inside:
            self.note(self.consult.enter(self._home.now(), sub))
        for what in facts.LOSSES:
            if what in lost and not self.is_settling:
                self.note(self.consult.lose(self._home.now(), sub, what))
            elif what not in lost:
                self.note(self.consult.back(self._home.now(), sub, what))

    def look_at_all(self) -> None:
        for person in self.consult.record.there:
            self.look(person.sub)

    def _is_there(self, sub: str) -> bool:
        """Whether the consult has a seat for this person."""
        return sub == RECORDER or any(person.sub == sub for person in self.consult.record.there)

    @property
    def has_lost(self) -> bool:
        """Whether anybody misses anything: worth another look, for a connection that is begun anew tells nothing."""
        return any(person.lost for person in self.consult.record.there)

    def _presence(self, sub: str) -> tuple[set[str], bool]:
        """What is lost of somebody who should be here, and whether any connection is up."""
        participant = self._participant(sub)
        seat = self.host.seats.get(participant.id) if self.host is not None and participant is not None else None
        if participant is None or seat is None:
            return {"socket"}, False
        connections = [seat.publishing, seat.subscribing, *(each.connection for each in seat.resources.values())]
        found = {each.transport.state for each in connections if each is not None}
        lost = set()
        if participant.is_interrupted:
            lost.add("socket")
        if found & _CUT:
            lost.add("transport")
        if any(map(_is_troubled, participant.publications.values())):
            lost.add("camera")
        return lost, "connected" in found

    def _participant(self, sub: str) -> Participant | None:
        return None if self.host is None else self.host.room.by_sub(sub)

    # ---------------------------------------------------------------- what is shown

    def show(self) -> None:
        """Tell everybody what is now, as far as it is another than they were told."""
        if self.host is None or self._home.is_closing:
            return
        record = self.durable
        state = ConsultChanged(record.state, self.since, record.is_emergency)
        waiting = {person.sub: person for person in record.waiting}
        desk = WaitingRoomChanged(tuple(self._waiting_people()))
        for seat in tuple(self.host.seats.values()):
            participant = seat.participant
            if participant.is_admitted:
                self._show(seat, state)
                if record.is_decider(participant.role):
                    self._show(seat, desk)
            elif (person := waiting.get(participant.sub)) is not None:
                position = self._home.position(self, person.sub)
                self._show(seat, WaitingChanged(position, person.since, bool(person.held_at)))
                if (content := self._content.get(person.sub)) is not None:
                    self._show(seat, content)
        self._home.documents.show(self)
        self._home.recordings.show(self)

    def _show(self, seat: Seat, sign: Sign) -> None:
        key = (seat.id, type(sign))
        if seat.socket is not None and self._shown.get(key) != sign:
            self._shown[key] = sign
            seat.show(sign)

    def show_to(self, seat: Seat, sign: Sign, *, is_nothing: bool) -> None:
        """As all that is shown; what `is_nothing` only in the place of something."""
        if not is_nothing or (seat.id, type(sign)) in self._shown:
            self._show(seat, sign)

    def _waiting_people(self) -> Iterable[WaitingPerson]:
        for person in self.durable.waiting:
            participant = self._participant(person.sub)
            if participant is not None:
                yield self._waiting_person(participant.id, person)

    def _waiting_person(self, participant: str, person: Person) -> WaitingPerson:
        return WaitingPerson(
            participant=participant,
            sub=person.sub,
            role=person.role,
            since=person.since,
            is_emergency=self.durable.is_emergency,
            is_interrupted=bool(person.lost),
        )

    # ---------------------------------------------------------------- stills

    async def request_still(self, by: Participant, sub: str, label: str, reason: str) -> str:
        return await self._home.documents.stills.request(self, by.sub, sub, label, reason)

    async def answer_still(self, participant: Participant, request: str, answer: str) -> None:
        await self._home.documents.stills.answer(self, participant.sub, request, answer)

    async def withdraw_still(self, by: Participant, request: str) -> None:
        await self._home.documents.stills.withdraw(self, by.sub, request)

    # ---------------------------------------------------------------- recordings

    async def ask_recording(self, by: str) -> str:
        return await self._home.recordings.ask(self, by)

    async def answer_recording(self, sub: str, recording: str, is_given: bool) -> None:
        await self._home.recordings.answer(self, sub, recording, is_given)

    async def stop_recording(self, by: str) -> None:
        await self._home.recordings.stop(self, by)

    # ---------------------------------------------------------------- what deciders may

    def check_decider(self, participant: Participant) -> None:
        if not participant.is_admitted or not self.consult.record.is_decider(participant.role):
            self.tried(participant.sub, "role")
            raise RemoteProtocolError("forbidden", "only who decides over this consult may do that")

    async def admit(self, sub: str, by: str) -> None:
        await self.settle(self.consult.admit(self._home.now(), sub, by))

    async def deny(self, sub: str, by: str) -> None:
        await self.settle(self.consult.deny(self._home.now(), sub, by))

    async def set_priority(self, is_emergency: bool, by: str) -> None:
        await self.settle(self.consult.set_priority(self._home.now(), is_emergency, by))

    async def end(self, by: str) -> None:
        await self.settle(self.consult.end(self._home.now(), by))


def _is_troubled(publication: Publication) -> bool:
    """A camera that gives nothing, without its owner's wanting it so."""
    is_camera = publication.kind == "video" and publication.source == "camera"
    return is_camera and publication.is_muted and publication.reason in TROUBLES


async def _done() -> None:
    """There is nothing to wait for."""


def _heard(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
