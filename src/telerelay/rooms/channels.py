"""
Which data channels of a room belong together, and what has to be opened or closed so that everyone has his end.

Sans-I/O. A channel that a participant opened is his own; wherever an own channel of a name is open, everybody else in
the room who has none of that name gets one from the relay, until the last own one is closed. Handles are the caller's.
"""

from collections.abc import Callable, Hashable, Iterable
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


class Channels(Generic[H]):
    """`may_send` and `may_receive` are asked of a participant's id each time: admission and roles change."""

    def __init__(self, may_send: Callable[[str], bool], may_receive: Callable[[str], bool]) -> None:
        self._may_send = may_send
        self._may_receive = may_receive
        self._ends: dict[H, _End] = {}
        self._cut: set[tuple[str, Name]] = set()

    def opened(self, participant: str, handle: H, parameters: ChannelParameters) -> bool:
        """A participant opened a channel; False if that is one more than it may have."""
        if sum(end.is_own and end.participant == participant for end in self._ends.values()) >= MAX_CHANNELS:
            return False
        self._ends[handle] = _End(participant, parameters, True)
        self._cut.discard((participant, parameters.name))
        return True

    def passed_on(self, participant: str, handle: H, parameters: ChannelParameters) -> None:
        """The relay opened a channel, as `plan` asked."""
        self._ends[handle] = _End(participant, parameters, False)

    def closed(self, handle: H) -> None:
        self._ends.pop(handle, None)

    def cut(self, handle: H) -> None:
        """A participant did not keep up: this channel is gone, and none of its name is opened to it by the relay."""
        end = self._ends.pop(handle, None)
        if end is not None:
            self._cut.add((end.participant, end.parameters.name))

    def forgive(self, participant: str) -> None:
        """A participant's connection was made anew, or it is gone."""
        self._cut = {each for each in self._cut if each[0] != participant}

    def recipients(self, sender: str, name: Name) -> tuple[H, ...]:
        """Where a message goes: one channel of each other participant, its own if it has one of that name."""
        if not self._may_send(sender):
            return ()
        found: dict[str, H] = {}
        for handle, end in self._ends.items():
            if end.participant != sender and end.parameters.name == name and self._may_receive(end.participant):
                if end.is_own and not self._has_own(found.get(end.participant)):
                    found[end.participant] = handle
                else:
                    found.setdefault(end.participant, handle)
        return tuple(found.values())

    def plan(self, participants: Iterable[str]) -> tuple[OpenChannel | CloseChannel[H], ...]:
        """What to open and to close, given who is in the room. Asked again after that, it is nothing."""
        live: dict[Name, ChannelParameters] = {}
        owners: dict[Name, set[str]] = {}
        passed: dict[str, dict[Name, H]] = {}
        for handle, end in self._ends.items():
            if not end.is_own:
                passed.setdefault(end.participant, {})[end.parameters.name] = handle
            elif self._may_send(end.participant):
                live.setdefault(end.parameters.name, end.parameters)
                owners.setdefault(end.parameters.name, set()).add(end.participant)
        self._cut = {each for each in self._cut if each[1] in live}
        steps: list[OpenChannel | CloseChannel[H]] = []
        for participant in participants:
            has = passed.get(participant, {})
            may = self._may_receive(participant)
            wanted = {name: parameters for name, parameters in live.items() if may and participant not in owners[name]}
            steps += [CloseChannel(handle) for name, handle in has.items() if name not in wanted]
            missing = [
                parameters
                for name, parameters in wanted.items()
                if name not in has and (participant, name) not in self._cut
            ]
            room = MAX_CHANNELS - len(has.keys() & wanted.keys())
            steps += [OpenChannel(participant, parameters) for parameters in missing[:room]]
        return tuple(steps)

    def _has_own(self, handle: H | None) -> bool:
        return handle is not None and self._ends[handle].is_own
