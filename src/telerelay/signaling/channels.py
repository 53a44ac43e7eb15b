"""
Data channels of a hosted room: messages go from one participant's connection to those of all others.

Event loop's thread; never waits. rooms.channels decides who has which channel; here they are opened, and messages pass.

A message of a reliable channel is taken once every recipient has room for it in a queue of 256 KiB; until then it stays
with its sender, whose window closes, and nobody else's messages wait for it. A recipient that did not make room within
ten seconds loses the channel. A message of an unreliable channel goes to those who have room.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from telerelay.connection.data import Channel, DataListener, DataTransport, Message
from telerelay.events import ChannelRefused
from telerelay.rooms.channels import Channels, CloseChannel
from telerelay.rooms.policy import check_role
from telerelay.signaling.measurements import RoomMeasurements
from telerelay.signaling.seat import Seat

QUEUE_BYTES = 262144
"""Waiting for one recipient, at most (A46)."""
RESUME_BYTES = QUEUE_BYTES // 2
STALL_S = 10.0

# After that a sender that was too fast is asked for more.
PACE_S = 0.05


Ask = Callable[[Seat, str, Callable[[bool], None]], None]
"""Of whom, and of which label; what it calls with the answer."""


class ChannelRelay:
    """
    One room's channels. `seats` are the room's, as they come and go. `on_changed` is told when channels were opened or
    closed, or have got their stream: a successor of this process must know them. `on_waiting` is told of somebody who
    waits and sent a message: it goes nowhere. `ask` asks the application of a channel before anything passes on it.
    `measurements` takes part in what is said on the channels that are its own.
    """

    def __init__(
        self,
        seats: Mapping[str, Seat],
        on_changed: Callable[[], None] = lambda: None,
        on_waiting: Callable[[Seat], None] = lambda seat: None,
        ask: Ask | None = None,
        measurements: RoomMeasurements | None = None,
    ) -> None:
        self._seats = seats
        self._measurements = measurements
        self._on_waiting = on_waiting
        self._ask = ask
        self._asked: set[Channel] = set()
        self._refused: set[Channel] = set()
        self._on_changed = on_changed
        self._channels: Channels[Channel] = Channels(self._may_send, self._may_receive)
        self._paused: dict[DataTransport, set[DataTransport]] = {}
        self._stalled: dict[DataTransport, asyncio.TimerHandle] = {}
        self._owner: dict[DataTransport, str] = {}
        self._is_planned = False
        self._has_changed = False

    def listener(self, seat_id: Callable[[], str]) -> "SeatChannels":
        """For a connection of whoever `seat_id` tells: "" as long as nobody has it."""
        return SeatChannels(self, seat_id)

    def changed(self) -> None:
        """Someone came, was admitted, or has another connection: soon everyone has the channels that are due."""
        if not self._is_planned:
            self._is_planned = True
            asyncio.get_running_loop().call_soon(self._carry_out)

    def renewed(self, participant: str) -> None:
        """A participant's connection was begun anew, or is gone."""
        self._channels.forgive(participant)
        self.changed()

    # ---------------------------------------------------------------- what connections tell

    def opened(self, participant: str, channel: Channel) -> bool:
        if not self._has_a_say(participant) and not self._is_for_reading(participant, channel):
            self.refuse(participant, channel.parameters.label, "forbidden")
            return False
        if not self._seats[participant].channel_rates.openings.take(time.monotonic()):
            self.refuse(participant, channel.parameters.label, "too_many_requests")
            return False
        if self._ask is not None:
            self._asked.add(channel)
            label = channel.parameters.label
            self._ask(
                self._seats[participant], label, lambda is_allowed: self._decided(participant, channel, is_allowed)
            )
            return True
        return self._open(participant, channel)

    def _open(self, participant: str, channel: Channel) -> bool:
        if self._measurements is not None and self._measurements.is_of(channel):
            self._measurements.opened(self._seats[participant], channel)
            self._has_changed = True
            self.changed()
            return True
        if not self._channels.opened(participant, channel, channel.parameters):
            self.refuse(participant, channel.parameters.label, "too_many_channels")
            return False
        self._has_changed = True
        self._carry_out()  # now: the first message may be in the same packet
        return True

    def _decided(self, participant: str, channel: Channel, is_allowed: bool) -> None:
        """The application's answer: until now its messages waited with their sender."""
        if channel not in self._asked:
            return  # closed meanwhile
        self._asked.discard(channel)
        if not is_allowed:
            self.refuse(participant, channel.parameters.label, "forbidden")
        if not (is_allowed and self._open(participant, channel)):
            self._refused.add(channel)
            channel.close(is_dropping=True)
        channel.data.resume()

    def resumed(self, participant: str, channel: Channel) -> None:
        """A channel from before this process."""
        self._owner[channel.data] = participant
        if self._measurements is not None and self._measurements.is_of(channel) and participant in self._seats:
            self._measurements.resumed(self._seats[participant], channel)
        elif channel.is_own:
            self._channels.opened(participant, channel, channel.parameters)
        else:
            self._channels.passed_on(participant, channel, channel.parameters)
            # Whether anything was said on it nobody noted: where its opener has left, that would lose what is queued.
            self._channels.spoke(channel)

    def closed(self, channel: Channel) -> None:
        self._asked.discard(channel)
        self._refused.discard(channel)
        if self._measurements is not None:
            self._measurements.closed(channel)
        self._channels.closed(channel)
        self._has_changed = True
        self.changed()

    def line_changed(self, data: DataTransport) -> None:
        """Its association came up, or is gone, or a channel of the relay's is open."""
        self.drained(data)
        self._has_changed = True
        self.changed()

    def take(self, sender: str, channel: Channel, message: Message) -> bool:
        """Pass a message on; False if it has to wait."""
        seat = self._seats.get(sender)
        if seat is not None and not seat.participant.is_admitted:
            self.refuse(sender, channel.parameters.label, "forbidden")
            self._on_waiting(seat)
            return True
        if channel in self._asked or channel in self._refused:
            return channel in self._refused  # dropped; or it waits for the application's answer
        if seat is not None and self._measurements is not None and self._measurements.is_of(channel):
            return self._measurements.take(seat, channel, message)
        self._channels.spoke(channel)
        recipients = self._channels.recipients(sender, channel.parameters.name)
        able = [each for each in recipients if each.data.fits(message)]
        full = [each for each in able if not each.data.has_room(message, QUEUE_BYTES)]
        if channel.parameters.is_reliable:
            # Who opened one of his own has it all in order: first what is under way to him on another.
            full += [other for each in able for other in self._channels.others(each) if other.is_busy]
        if full and channel.parameters.is_reliable:
            self._paused[channel.data] = {each.data for each in full}
            for each in full:
                self._watch(each.data)
            return False
        if able and not self._seats[sender].channel_rates.messages.take(time.monotonic()):
            if channel.parameters.is_reliable:
                asyncio.get_running_loop().call_later(PACE_S, channel.data.resume)
            return not channel.parameters.is_reliable
        for each in able:
            if each not in full:
                each.send(message)
        return True

    def drained(self, data: DataTransport) -> None:
        """A connection has more room than before, or is gone."""
        if self._measurements is not None:
            self._measurements.drained(data)
        if data.is_gone:
            self._paused.pop(data, None)
        if data.is_gone or data.queued_bytes <= RESUME_BYTES:
            timer = self._stalled.pop(data, None)
            if timer is not None:
                timer.cancel()
            self._resume(data)

    def refuse(self, participant: str, label: str, code: str) -> None:
        """Tell a participant what was not taken; not more often than anybody can read."""
        seat = self._seats.get(participant)
        if seat is not None and seat.channel_rates.refusals.take(time.monotonic()):
            seat.tell(ChannelRefused(label, code))

    # ---------------------------------------------------------------- within

    def _resume(self, data: DataTransport) -> None:
        for sender in [each for each, waits in self._paused.items() if data in waits]:
            del self._paused[sender]
            sender.resume()  # may wait again, for another

    def _watch(self, data: DataTransport) -> None:
        if data not in self._stalled:
            self._stalled[data] = asyncio.get_running_loop().call_later(STALL_S, self._cut, data)

    def _cut(self, data: DataTransport) -> None:
        """Senders have waited for this one long enough."""
        self._stalled.pop(data, None)
        owner = self._owner_of(data)
        for channel in data.channels:
            self._channels.cut(channel)
            channel.close(is_dropping=True)
            self.refuse(owner, channel.parameters.label, "too_slow")
        self._resume(data)
        self.changed()

    def _carry_out(self) -> None:
        self._is_planned = False
        for step in self._channels.plan(list(self._seats)):
            self._has_changed = True
            if isinstance(step, CloseChannel):
                self._channels.closed(step.handle)
                step.handle.close()
                continue
            data = self._line_to(self._seats[step.participant])
            if data is not None:
                self._owner[data] = step.participant
                self._channels.passed_on(step.participant, data.open(step.parameters), step.parameters)
        self._owner = {data: owner for data, owner in self._owner.items() if not data.is_gone}
        if self._has_changed:
            self._has_changed = False
            self._on_changed()

    def _owner_of(self, data: DataTransport) -> str:
        return next((id for id, seat in self._seats.items() if data in _lines(seat)), self._owner.get(data, ""))

    def _line_to(self, seat: Seat) -> DataTransport | None:
        """
        The connection of a participant that takes the relay's channels: one that is up, else one that is negotiated,
        else the relay offers them on the subscribing connection.
        """
        lines = sorted(_lines(seat), key=lambda data: not data.is_up)
        if lines:
            return lines[0]
        return seat.subscribing.want_data() if seat.subscribing is not None else None

    def _has_a_say(self, participant: str) -> bool:
        seat = self._seats.get(participant)
        return seat is not None and check_role(seat.participant.role).may_publish

    def _is_for_reading(self, participant: str, channel: Channel) -> bool:
        """Who only receives asks for measurements on a channel of its own; what it would send there is refused."""
        is_of = self._measurements is not None and self._measurements.is_of(channel)
        return is_of and participant in self._seats

    def _may_send(self, participant: str) -> bool:
        return self._has_a_say(participant) and self._seats[participant].participant.is_admitted

    def _may_receive(self, participant: str) -> bool:
        seat = self._seats.get(participant)
        return seat is not None and seat.participant.is_admitted and check_role(seat.participant.role).may_subscribe


def has_lines(seat: Seat) -> bool:
    """Whether it has data channels anywhere."""
    return bool(_lines(seat))


def _lines(seat: Seat) -> list[DataTransport]:
    connections = [seat.subscribing, seat.publishing, *(each.connection for each in seat.resources.values())]
    found = [each.transport.data for each in connections if each is not None]
    return [data for data in found if data is not None and not data.is_gone]


class SeatChannels(DataListener):
    """What one connection's channels tell, with the participant's name to it."""

    def __init__(self, relay: ChannelRelay, seat_id: Callable[[], str]) -> None:
        self._relay = relay
        self._seat_id = seat_id

    def on_channel(self, channel: Channel) -> bool:
        return self._relay.opened(self._seat_id(), channel)

    def on_resumed(self, channel: Channel) -> None:
        self._relay.resumed(self._seat_id(), channel)

    def on_message(self, channel: Channel, message: Message) -> bool:
        return self._relay.take(self._seat_id(), channel, message)

    def on_closed(self, channel: Channel) -> None:
        self._relay.closed(channel)

    def on_refused(self, label: str, code: str) -> None:
        self._relay.refuse(self._seat_id(), label, code)

    def on_drained(self, data: DataTransport) -> None:
        self._relay.drained(data)

    def on_changed(self, data: DataTransport) -> None:
        self._relay.line_changed(data)
