"""
An example in a process of its own, with a clock that the row may put forward: hours pass without anybody's sleeping.

`Host("booking")` is the row's end; `python -m rows.host booking` the process. It runs `make(config, **clocks)` of
examples/booking/app.py, which returns (application, relay), on a free port of 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from rows.figures import EXAMPLES
from rows.process import Message, Process


class Host(Process):
    """`async with Host("booking") as host:` it is ready then, at `host.url`."""

    def __init__(self, example: str) -> None:
        super().__init__("rows.host", example)
        self._ahead_s = 0.0
        self.url = ""

    async def __aenter__(self) -> Host:
        await super().__aenter__()
        try:
            self.url = (await self.event("ready"))["url"]
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    @property
    def now(self) -> float:
        """What its clock shows, Unix seconds."""
        return time.time() + self._ahead_s

    async def put_forward(self, by_s: float) -> Message:
        """Let so many seconds pass there at once; what fell due meanwhile has been looked at then."""
        self._ahead_s += by_s
        return await self.do("put_forward", by_s=by_s)

    async def put_to(self, unix_s: float) -> Message:
        """Let time pass until then."""
        return await self.put_forward(unix_s - self.now)


class _Clock:
    """Both clocks, put forward alike: nobody set anything, time passed."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


async def _main(example: str) -> None:
    from aiohttp import web

    from rows.orders import take_orders, tell
    from telerelay.config import load

    spec = importlib.util.spec_from_file_location(example, EXAMPLES / example / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[example] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = _Clock()
    config = load(None, {**os.environ, "TELERELAY_UDP_BINDS": "127.0.0.1:0"})
    app, relay = module.make(config, wall=clock.wall, monotonic=clock.monotonic)

    async def put_forward(by_s: float) -> Mapping[str, Any]:
        clock.ahead_s += by_s
        relay.consults.tick()
        return {"now": clock.wall()}

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=1.0).start()
    port = runner.addresses[0][1]
    tell({"type": "ready", "url": f"http://127.0.0.1:{port}"})
    await take_orders({"put_forward": put_forward})
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
