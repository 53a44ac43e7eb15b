"""
A control process goes on where another one was: rooms, seats and connections come out of a worker's notes, and are held
against what the worker has.

Event loop's thread, once for each worker that was found running. What the worker has and no note knows is removed. What
a note says and the worker does not have is told to its client as a failed connection.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from telerelay import states
from telerelay.connection import PublishConnection, WhepConnection
from telerelay.connection.transport import Connection
from telerelay.dataplane import Inventory, Worker
from telerelay.errors import NativeError
from telerelay.logs import say
from telerelay.rooms.participant import SOCKET
from telerelay.signaling.host import RoomHost
from telerelay.signaling.notes import RoomFound, RoomNote, RoomNotes, SeatFound, read_rooms
from telerelay.signaling.seat import Seat

OpenRoom = Callable[[RoomNote], Awaitable[RoomHost | None]]
"""Makes the host of a room that was there; None where there cannot be one."""


async def restore(worker: Worker, notes: Mapping[str, bytes], inventory: Inventory, open_room: OpenRoom) -> None:
    """All rooms of one worker."""
    worker.transports.adopt(inventory.transports)
    worker.receivers.adopt(inventory.receivers)
    worker.senders.adopt(inventory.senders)
    restored = []
    for found in read_rooms(notes):
        host = await open_room(found.room)
        if host is not None:
            restored.append(_Restored(host, found, inventory))
        else:
            RoomNotes(found.room.number, lambda: worker.notes).close()
    kept = {transport for each in restored for transport in each.transports}
    for transport in set(inventory.transports) - kept:
        await _remove(worker, inventory, transport)
    for each in restored:
        await each.go_on()
    say(
        logging.INFO,
        "worker_resumed",
        worker=worker.index,
        count=len(restored),
        reason=f"{len(kept)}_transports_kept_{len(set(inventory.transports) - kept)}_removed",
    )


async def _remove(worker: Worker, inventory: Inventory, transport: int) -> None:
    """With all that hangs on it."""
    try:
        await worker.remove_transport(transport)
    except NativeError as error:
        say(logging.WARNING, "close_failed", worker=worker.index, transport=transport, code=error.code)
        return
    worker.transports.give_back(transport)
    for receiver in inventory.receivers_of.get(transport, ()):
        worker.receivers.give_back(receiver)
    for sender in inventory.senders_of.get(transport, ()):
        worker.senders.give_back(sender)


class _Restored:
    """One room on its way back."""

    def __init__(self, host: RoomHost, found: RoomFound, inventory: Inventory) -> None:
        self._host = host
        self._inventory = inventory
        self._gone: list[Connection] = []
        self.transports: set[int] = set()
        host.notes.adopt(found.written)
        if found.measurements is not None:
            host.measurements.restore(found.measurements)
        host.room.restore(time.monotonic(), [each.seat.participant.participant() for each in found.seats])
        self._seats = [self._seat(each) for each in found.seats]
        if found.unreadable:
            say(logging.WARNING, "notes_unreadable", room=host.site.room, count=found.unreadable)

    def _seat(self, found: SeatFound) -> Seat:
        host, inventory = self._host, self._inventory
        seat = host.new_seat(host.room.participants[found.seat.participant.id], found.seat.number)
        seat.log.restore(found.seat.seq, found.events)
        if found.publish is not None:
            seat.publishing = host.publish_connection(seat)
            self._note(seat.publishing.transport, seat.publishing.resume(found.publish, inventory))
        if found.subscribe is not None:
            seat.subscribing = host.subscribe_connection(seat)
            self._note(seat.subscribing.transport, seat.subscribing.resume(found.subscribe, inventory))
        for note in found.sessions:
            resource = host.session(seat, note)
            seat.resources[resource.secret] = resource
            if note.publish is not None and isinstance(resource.connection, PublishConnection):
                is_there = resource.connection.resume(note.publish, inventory)
            elif note.whep is not None and isinstance(resource.connection, WhepConnection):
                is_there = resource.connection.resume(note.whep, inventory)
            else:
                is_there = False
            self._note(resource.connection.transport, is_there)
        return seat

    def _note(self, transport: Connection, is_there: bool) -> None:
        if not is_there:
            self._gone.append(transport)
        elif transport.is_open:
            self.transports.add(transport.id)

    async def go_on(self) -> None:
        """First everybody's sources, then everybody's routes, then what happened meanwhile is told and made up for."""
        host = self._host
        for seat in self._seats:
            if seat.publishing is not None:
                host.add_sources(seat, seat.publishing, SOCKET)
            for resource in seat.resources.values():
                if isinstance(resource.connection, PublishConnection):
                    host.add_sources(seat, resource.connection, resource.secret)
        host.route_all()
        for seat in self._seats:
            await self._catch_up(seat)
        for transport in self._gone:
            transport.lost()
        for seat in self._seats:
            if seat.id in host.seats:
                self._end_lost_attachments(seat)
                seat.save()
        host.save()
        host.close_if_empty()

    async def _catch_up(self, seat: Seat) -> None:
        host = self._host
        try:
            if seat.publishing is not None:
                await seat.publishing.catch_up()
            if seat.subscribing is not None:
                await seat.subscribing.catch_up()
                if seat.subscribing.transport not in self._gone:
                    host.start_subscribing(seat, seat.subscribing)
            for resource in list(seat.resources.values()):
                resource.state = states.session_at(resource.connection.transport.take_found_state())
                host.arm(resource)
                await resource.connection.catch_up()
                if isinstance(resource.connection, WhepConnection):
                    host.start_whep(seat, resource, resource.connection)
        except Exception as error:  # one seat that cannot go on must not keep all others from it
            kind = type(error).__name__
            say(logging.ERROR, "resume_failed", room=host.site.room, participant=seat.id, error=kind, exc_info=error)

    def _end_lost_attachments(self, seat: Seat) -> None:
        """A session whose note could not be kept is over for its participant too."""
        for attachment in set(seat.participant.attachments) - set(seat.resources) - {SOCKET}:
            self._host.end_attachment(seat, attachment)
