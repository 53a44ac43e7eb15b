"""
The way to a Python object on the relay's own loop.

Event loop's thread. What blocks there stops signalling: it is noticed and named, by watch.py and the runner's deadline.
"""

from telerelay.hooks.hooks import Hooks, check_names, overridden
from telerelay.hooks.told import HOOK_OF, Told
from telerelay.hooks.watch import LoopWatch
from telerelay.hooks.ways import call


class ObjectWay:
    """A Python object on the relay's own loop. Raises ConfigError bad_hooks, see `check_names`."""

    def __init__(self, hooks: Hooks) -> None:
        check_names(hooks)
        self._hooks = hooks
        self._rules = overridden(hooks)
        self._watch = LoopWatch()

    def hears(self, hook: str, room: str | None = None) -> bool:
        return hook in self._rules

    async def ask(self, hook: str, request: object) -> object:
        return await self._call(hook, request)

    async def tell(self, told: Told) -> None:
        for event in told.events:
            hook = HOOK_OF[type(event)]
            if hook in self._rules:
                await self._call(hook, event)

    async def start(self) -> None:
        if self._rules:
            self._watch.start()

    async def close(self) -> None:
        self._watch.close()

    async def _call(self, hook: str, argument: object) -> object:
        self._watch.enter()
        try:
            return await call(self._hooks, hook, argument)
        finally:
            self._watch.leave()
