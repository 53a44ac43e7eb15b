"""
What an adapter to a server's signalling is: one class with `open`, `join` and `close`, whose `join` gives a session.

An adapter turns a seat into HTTP requests or messages, and hands SDP to and from the seat's connections. It knows no
packets, and no times: the runner measures. Event loop's thread.

To add a server: copy whip.py or janus.py, keep to `Target`, and add a line to `make` in __init__.py. What a server
refuses is raised as RemoteProtocolError with a short code of its own, which the report counts by.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

# A busy server may take its time; one that has not answered by then is not going to, and one join may not hold the
# report up.
TIMEOUT_S = 20.0


class Connection(Protocol):
    """
    One WebRTC transport of a participant, made on first use. Either we offer and the server answers, or the server
    offers (once or again and again) and we answer; the engine does ICE, DTLS and media from then on.
    """

    async def offer(self) -> str:
        """Our offer: of all that is published, or of the sections to receive in."""

    async def take_answer(self, sdp: str) -> None:
        """What the server answered. Raises RemoteProtocolError."""

    async def answer(self, sdp: str) -> str:
        """Take a server's offer, the first one or a later one; our answer to it. Raises RemoteProtocolError."""


@dataclass(frozen=True, slots=True)
class Seat:
    """
    Who is to join: names of the room and of the participant, his token ("" where there is none), whether he publishes
    (else `publish` is None) and from how many others he receives once all are there (0: `receive` is None).
    """

    room: str
    participant: str
    token: str
    publish: Connection | None
    receive: Connection | None
    others: int


class Session(Protocol):
    """A participant who is in."""

    async def leave(self) -> None:
        """Say goodbye to the signalling; the connections are closed by the runner. Does not raise for a lost server."""

    async def vanish(self) -> None:
        """Drop what is open without a word, as a phone without battery does."""


class Target(Protocol):
    """A server under load."""

    @property
    def name(self) -> str:
        """What the report calls it: kind and address, never a token."""

    async def open(self) -> None:
        """What is needed once. Raises TelerelayError when the server is not there."""

    async def join(self, seat: Seat) -> Session:
        """Bring one participant in. Raises RemoteProtocolError, TelerelayError or OSError."""

    async def close(self) -> None:
        """After the last session has left."""


class Tokens(Protocol):
    """Where tokens come from."""

    def of(self, room: str, participant: str, *, publishes: bool) -> Awaitable[str]:
        """The token of one participant; "" where none is used. Raises TelerelayError."""


def origin(url: str) -> str:
    """What a report may say of an address: scheme, host and port, not who asks there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def together(jobs: Iterable[Awaitable[Any]]) -> None:
    """Run them at once; the first failure is raised once all have ended, so that none is left behind."""
    for result in await asyncio.gather(*jobs, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
