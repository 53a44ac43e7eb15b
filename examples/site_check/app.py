"""
Equipped sites: each is checked by `telerelay probe`, and the latest result of each is shown.

The check is the relay's (GET /probe); here is only who sent which result. Which site somebody may speak for is your
site's affair: here the address says it. A result says nothing of anybody: it is about cables and cameras.
"""

import os
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from telerelay import Config, Relay, TokenKeys
from telerelay.config import load

STALE_S = 86400.0
"""A site that was not checked for a day is not known to work."""


class Sites:
    """The latest result of each site, and when it came."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._latest: dict[str, tuple[float, dict[str, object]]] = {}

    async def put(self, request: web.Request) -> web.Response:
        """What `telerelay probe --json` printed at that site."""
        self._latest[request.match_info["site"]] = self._wall(), dict(await request.json())
        return web.json_response({})

    async def all(self, request: web.Request) -> web.Response:
        """Each site: ready or not, and the sentences of what is wrong."""
        return web.json_response({name: self._state(*latest) for name, latest in self._latest.items()})

    def _state(self, at: float, result: dict[str, object]) -> dict[str, object]:
        checks = result["checks"]
        assert isinstance(checks, list)
        wrong = [check["text"] for check in checks if check["result"] == "fail" and check["needed"]]
        return {"ready": bool(result["passed"]) and self._wall() - at < STALE_S, "why": wrong}


def make(
    config: Config, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> tuple[web.Application, Relay]:
    """The page, with the relay under /consult."""
    relay = Relay(config, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    sites = Sites(wall)
    app = web.Application()
    app.router.add_put("/sites/{site}", sites.put)
    app.router.add_get("/sites", sites.all)
    app.add_subapp("/consult/", relay.app())
    app.cleanup_ctx.append(relay.lifetime)
    return app, relay


if __name__ == "__main__":
    site, relay = make(load(None, os.environ))
    web.run_app(site, host=relay.config.http.host, port=relay.config.http.port)
