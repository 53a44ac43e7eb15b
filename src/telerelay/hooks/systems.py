"""
Several systems at one relay, each with rules of its own: a consult's are those of the system whose words begin its id.

Event loop's thread. A way like the others (ways.py), made of one for each system: runner.py sees no difference.
"""

import asyncio
import itertools
from collections.abc import Mapping

from telerelay.errors import LocalProtocolError
from telerelay.hooks.asked import DECISIONS
from telerelay.hooks.hooks import Hooks
from telerelay.hooks.objects import ObjectWay
from telerelay.hooks.told import EXPERTISE, Told
from telerelay.hooks.ways import Way


class NoSystemError(Exception):
    """A room, desk or request that no system has: what is asked about it is answered closed."""

    def __init__(self) -> None:
        super().__init__("no system has an id that begins like this one")


class Systems:
    """
    The rules of several systems, for `Relay(hooks=Systems({"book-": booking, "stroke-": strokes}))`.

    A system has the consults (and rooms without one), the desks' queues and the requests for expertise whose ids begin
    with one of its words, and is asked and told of those alone; several words may stand for one object, whose rules are
    then one. What has no such word belongs to nobody: decisions about it are closed, and nobody may join it. Nothing is
    remembered, so that a relay that starts again knows as much. Raises LocalProtocolError bad_systems: no words, an
    empty one, or one that begins another.
    """

    def __init__(self, systems: Mapping[str, Hooks]) -> None:
        words = sorted(systems)
        if not words or not words[0]:
            raise LocalProtocolError("bad_systems", "a system has at least one word that its ids begin with")
        for word, longer in itertools.pairwise(words):
            if longer.startswith(word):
                raise LocalProtocolError("bad_systems", f"{word!r} begins {longer!r}: an id could be of either")
        ways = {id(hooks): ObjectWay(hooks) for hooks in systems.values()}
        self._ways: tuple[Way, ...] = tuple(ways.values())
        self._by_word: dict[str, Way] = {word: ways[id(systems[word])] for word in words}

    def hears(self, hook: str, room: str | None = None) -> bool:
        """Whether there is such a rule; a decision about what is nobody's is one, for the answer is not the usual."""
        if room is None:
            return hook == "authorize_join" or any(way.hears(hook) for way in self._ways)
        way = self._of(room)
        return hook in DECISIONS if way is None else way.hears(hook)

    async def ask(self, hook: str, request: object) -> object:
        """Raises NoSystemError."""
        way = self._of(str(getattr(request, "room", "")))
        if way is None:
            raise NoSystemError
        return await way.ask(hook, request)

    async def tell(self, told: Told) -> None:
        """What is nobody's is told to nobody."""
        if (way := self._of(told.room)) is not None:
            await way.tell(told)

    async def start(self) -> None:
        await asyncio.gather(*(way.start() for way in self._ways))

    async def close(self) -> None:
        await asyncio.gather(*(way.close() for way in self._ways))

    def _of(self, room: str) -> Way | None:
        """Of `told`, too: a queue, or a request for expertise with its prefix."""
        name = room.removeprefix(EXPERTISE)
        return next((way for word, way in self._by_word.items() if name.startswith(word)), None)
