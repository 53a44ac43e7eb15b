"""
Which data channels of a room belong together, and what has to be opened or closed so that everyone has his end.

Sans-I/O. A channel that a participant opened is his own; wherever an own channel of a name is open, everybody else in
the room who has none of that name gets one from the relay. Handles are the caller's.

A channel of the relay's is not closed because its participant opens one of his own as well: what he has sent on it, and
what his browser has queued for it, would be lost. It stays as long as its name is in use: as long as somebody has an
own channel of it, or said something on one of the relay's.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from telerelay.protocol.data import ChannelParameters

MAX_CHANNELS = 16
"""Of a participant: so many it may open, and so many the relay opens to it (A46)."""

H = TypeVar("H", bound=Hashable)
Name = tuple[int | None, str]


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """This participant is to have a channel like that from the relay."""

    participant: str
    parameters: ChannelParameters


@dataclass(frozen=True, slots=True)
class CloseChannel(Generic[H]):
    """A channel that the relay opened is of no use any more."""

    handle: H


@dataclass(slots=True)
class _End:
    participant: str
    parameters: ChannelParameters
    is_own: bool
    has_spoken: bool = False
    """A message came in on it."""


class Channels(Generic[H]):
    """`may_send` and `may_receive` are asked of a participant's id each time: admission and roles change."""

    def __init__(self, may_send: Callable[[str], bool], may_receive: Callable[[str], bool]) -> None:
        self._may_send = may_send
        self._may_receive = may_receive
        self._ends: dict[H, _End] = {}
        self._by_name: dict[Name, dict[str, list[H]]] = {}  # of each participant, in the order they were opened
        self._cut: set[tuple[str, Name]] = set()

    def opened(self, participant: str, handle: H, parameters: ChannelParameters) -> bool:
        """A participant opened a channel; False if that is one more than it may have."""
        if sum(end.is_own and end.participant == participant for end in self._ends.values()) >= MAX_CHANNELS:
            return False
        self._add(handle, _End(participant, parameters, True))
        self._cut.discard((participant, parameters.name))
        return True

    def passed_on(self, participant: str, handle: H, parameters: ChannelParameters) -> None:
        """The relay opened a channel, as `plan` asked."""
        self._add(handle, _End(participant, parameters, False))

    def closed(self, handle: H) -> None:
        self._remove(handle)

    def spoke(self, handle: H) -> None:
        """A message came in on a channel: if the relay opened it, it is in use now, whoever it was opened for."""
        end = self._ends.get(handle)
        if end is not None:
            end.has_spoken = True

    def cut(self, handle: H) -> None:
        """A participant did not keep up: this channel is gone, and none of its name is opened to it by the relay."""
        end = self._remove(handle)
        if end is not None:
            self._cut.add((end.participant, end.parameters.name))

    def forgive(self, participant: str) -> None:
        """A participant's connection was made anew, or it is gone."""
        self._cut = {each for each in self._cut if each[0] != participant}

    def recipients(self, sender: str, name: Name) -> tuple[H, ...]:
        """Where a message goes: one channel of each other participant, its own if it has one of that name."""
        if not self._may_send(sender):
            return ()
        return tuple(
            next((handle for handle in handles if self._ends[handle].is_own), handles[0])
            for participant, handles in self._by_name.get(name, {}).items()
            if participant != sender and self._may_receive(participant)
        )

    def others(self, handle: H) -> tuple[H, ...]:
        """Beside an own channel: the same participant's others of its name. What went out on them comes first."""
        end = self._ends.get(handle)
        if end is None or not end.is_own:
            return ()
        return tuple(other for other in self._by_name[end.parameters.name][end.participant] if other != handle)

    def plan(self, participants: Iterable[str]) -> tuple[OpenChannel | CloseChannel[H], ...]:
        """What to open and to close, given who is in the room. Asked again after that, it is nothing."""
        if not self._ends:  # in most rooms nobody has any
            self._cut.clear()
            return ()
        people = list(participants)
        given_up: set[H] = set()
        while (spare := self._spare(people, given_up)) - given_up:
            given_up |= spare  # a label may have lived by what is given up
        live, owners = self._live(given_up)
        self._cut = {each for each in self._cut if each[1] in live}
        steps: list[OpenChannel | CloseChannel[H]] = []
        for participant in people:
            has = self._passed(participant)
            wanted = live if self._may_receive(participant) else {}
            kept = {name for name, handle in has.items() if name in wanted and handle not in given_up}
            steps += [CloseChannel(handle) for name, handle in has.items() if name not in kept]
            missing = self._missing(participant, has, wanted, owners)
            missing.sort(key=lambda name: name not in owners)
            steps += [OpenChannel(participant, live[name]) for name in missing[: MAX_CHANNELS - len(kept)]]
        return tuple(steps)

    def _add(self, handle: H, end: _End) -> None:
        self._ends[handle] = end
        self._by_name.setdefault(end.parameters.name, {}).setdefault(end.participant, []).append(handle)

    def _remove(self, handle: H) -> _End | None:
        end = self._ends.pop(handle, None)
        if end is not None:
            people = self._by_name[end.parameters.name]
            people[end.participant].remove(handle)
            if not people[end.participant]:
                del people[end.participant]
            if not people:
                del self._by_name[end.parameters.name]
        return end

    def _passed(self, participant: str) -> dict[Name, H]:
        return {
            end.parameters.name: handle
            for handle, end in self._ends.items()
            if not end.is_own and end.participant == participant
        }

    def _missing(
        self, participant: str, has: Container[Name], wanted: Iterable[Name], owners: Mapping[Name, set[str]]
    ) -> list[Name]:
        return [
            name
            for name in wanted
            if name not in has and participant not in owners.get(name, ()) and (participant, name) not in self._cut
        ]

    def _spare(self, participants: Iterable[str], given_up: set[H]) -> set[H]:
        """Nobody's own channel goes without its other end for one that only outlived its opener, or is a second one."""
        live, owners = self._live(given_up)
        found: set[H] = set()
        for participant in filter(self._may_receive, participants):
            has = self._passed(participant)
            kept = {name: handle for name, handle in has.items() if name in live and handle not in given_up}
            needed = sum(name in owners for name in self._missing(participant, has, live, owners))
            spare = [handle for name, handle in kept.items() if self._is_spare(participant, handle, owners.get(name))]
            found.update(spare[: max(0, len(kept) + needed - MAX_CHANNELS)])
        return found

    def _live(self, given_up: set[H]) -> tuple[dict[Name, ChannelParameters], dict[Name, set[str]]]:
        """The names that are in use, each as it was opened first; and who has own channels of them."""
        live: dict[Name, ChannelParameters] = {}
        owners: dict[Name, set[str]] = {}
        for handle, end in self._ends.items():
            in_use = end.is_own or (end.has_spoken and handle not in given_up)
            if in_use and self._may_send(end.participant):
                live.setdefault(end.parameters.name, end.parameters)
                if end.is_own:
                    owners.setdefault(end.parameters.name, set()).add(end.participant)
        return live, owners

    def _is_spare(self, participant: str, handle: H, owners: set[str] | None) -> bool:
        """Whether a channel of the relay's can be given up where there is no room: it is not anybody's other end."""
        if owners is None:
            return True
        return participant in owners and not self._ends[handle].has_spoken
