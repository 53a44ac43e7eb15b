"""
An example in a process of its own, with a clock that the row may put forward: hours pass without anybody's sleeping.

`Host("booking")` is the row's end; `python -m rows.host booking 127.0.0.1` the process. It runs `make(config,
**clocks)` of examples/booking/app.py, which returns (application, relay), on a free port of that address.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rows.figures import EXAMPLES
from rows.process import Message, Process


class Host(Process):
    """`async with Host("booking") as host:` it is ready then, at `host.url`; the rest is as of Process."""

    def __init__(
        self,
        example: str,
        address: str = "127.0.0.1",
        *,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        ahead_s: float = 0.0,
        log: Path | None = None,
    ) -> None:
        """
        At another `address`, where `before` is what has it (NamespacePair.command). Its clock begins `ahead_s` later
        than the machine's.
        """
        super().__init__("rows.host", example, address, str(ahead_s), before=before, environment=environment, log=log)
        self._ahead_s = ahead_s
        self.url = ""
        self.udp = ("", 0)
        """Where its first worker takes media: what a line is put in front of."""

    async def __aenter__(self) -> Host:
        await super().__aenter__()
        try:
            ready = await self.event("ready")
            self.url = ready["url"]
            host, _, port = ready["udp"].rpartition(":")
            self.udp = (host, int(port))
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

    async def token(self, room: str, sub: str, role: str, tenant: str = "") -> str:
        """What the example gives to nobody: a token that the relay's own key signed."""
        return str((await self.do("token", room=room, sub=sub, role=role, tenant=tenant))["token"])

    async def kill_worker(self) -> None:
        """SIGKILL to the process of the first worker."""
        await self.do("kill_worker")


class _Clock:
    """Both clocks, put forward alike: nobody set anything, time passed."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def wall(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


async def _main(example: str, address: str, ahead_s: float) -> None:
    from aiohttp import web

    from rows.orders import take_orders, tell
    from telerelay.config import load
    from telerelay.observe import set_up_logging

    sys.path.insert(0, str(EXAMPLES / example))  # as for a program that is run
    spec = importlib.util.spec_from_file_location(example, EXAMPLES / example / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[example] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock = _Clock(ahead_s)
    config = load(None, {**os.environ, "TELERELAY_UDP_BINDS": f"{address}:0"})
    if "TELERELAY_LOG_LEVEL" in os.environ:
        set_up_logging(config.log.level, config.log.format)
    app, relay = module.make(config, wall=clock.wall, monotonic=clock.monotonic)

    async def put_forward(by_s: float) -> Mapping[str, Any]:
        clock.ahead_s += by_s
        relay.consults.tick()
        return {"now": clock.wall()}

    async def token(room: str, sub: str, role: str, tenant: str) -> Mapping[str, Any]:
        return {"token": relay.token(room=room, sub=sub, role=role, tenant=tenant)}

    async def kill_worker() -> Mapping[str, Any]:
        assert relay.config.workers.host == "process"
        os.kill(relay.worker_pids[0], signal.SIGKILL)
        return {}

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 0, shutdown_timeout=1.0).start()
    port = runner.addresses[0][1]
    tell({"type": "ready", "url": f"http://{address}:{port}", "udp": relay.udp_addresses[0]})
    await take_orders({"put_forward": put_forward, "token": token, "kill_worker": kill_worker})
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
