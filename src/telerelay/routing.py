"""
The one place where a publication meets a receiver: which sources go to which subscribers of one room.

Event loop's thread. Nothing here awaits: a change is told to every subscriber it concerns, and each works it off in a
task of its own, so that one person's network never delays another's.
"""

from collections.abc import Container, Iterable
from typing import Protocol

from telerelay.connection.source import Source


class Subscriber(Protocol):
    """A connection that sends to one participant. Both calls return at once."""

    def want(self, source: Source) -> None:
        """Send this from now on; told again when its receiver is another."""

    def unwant(self, publication: str) -> None:
        """Send this no longer."""


class Router:
    """Sources, routes and subscribers of one room; a track flows where all three meet."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}  # by publication, oldest first
        self._routes: dict[str, set[str]] = {}  # publications a participant is to receive
        self._subscribers: dict[str, dict[Subscriber, str | None]] = {}  # by participant; the one it listens to, if one

    def add_source(self, source: Source) -> None:
        """A publication has a receiver now, or another than before."""
        if self._sources.get(source.publication) == source:
            return
        self._sources[source.publication] = source
        for participant, publications in self._routes.items():
            if source.publication in publications:
                self._tell(participant, source)

    def source(self, publication: str) -> Source | None:
        """What a publication is made of; None: its receiver is not there yet."""
        return self._sources.get(publication)

    def by_receiver(self) -> dict[int, str]:
        """The publication that each receiver is of."""
        return {source.receiver: publication for publication, source in self._sources.items()}

    def remove_source(self, publication: str) -> None:
        if self._sources.pop(publication, None) is None:
            return
        for participant, publications in self._routes.items():
            if publication in publications:
                for subscriber in self._of(participant):
                    subscriber.unwant(publication)

    def route(self, publication: str, participant: str) -> None:
        """The room decided that this participant receives this publication."""
        self._routes.setdefault(participant, set()).add(publication)
        source = self._sources.get(publication)
        if source is not None:
            self._tell(participant, source)

    def unroute(self, publication: str, participant: str) -> None:
        publications = self._routes.get(participant, set())
        if publication not in publications:
            return
        publications.discard(publication)
        if not publications:
            del self._routes[participant]
        for subscriber in self._of(participant):
            subscriber.unwant(publication)

    def attach(self, participant: str, subscriber: Subscriber, *, publisher: str | None = None) -> None:
        """A connection of a participant came up: it is told of all it is to send, of one publisher only if so asked."""
        self._subscribers.setdefault(participant, {})[subscriber] = publisher
        publications = self._routes.get(participant, set())
        for publication, source in self._sources.items():
            if publication in publications and publisher in (None, source.participant):
                subscriber.want(source)

    def detach(self, participant: str, subscriber: Subscriber) -> None:
        subscribers = self._subscribers.get(participant, {})
        subscribers.pop(subscriber, None)
        if not subscribers:
            self._subscribers.pop(participant, None)

    def forget(self, participant: str) -> None:
        """A participant is gone: no route leads there any more. Its sources go one by one, as it unpublishes."""
        self._routes.pop(participant, None)
        self._subscribers.pop(participant, None)

    def keep_only(self, publications: Container[str]) -> None:
        """Forget the sources of all other publications: the room no longer has them."""
        for publication in [each for each in self._sources if each not in publications]:
            self.remove_source(publication)

    def _of(self, participant: str) -> Iterable[Subscriber]:
        return tuple(self._subscribers.get(participant, ()))

    def _tell(self, participant: str, source: Source) -> None:
        for subscriber, publisher in self._subscribers.get(participant, {}).items():
            if publisher in (None, source.participant):
                subscriber.want(source)
