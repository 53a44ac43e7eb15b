"""
GET /healthz: whether this process can take calls.
"""

from collections.abc import Callable

from aiohttp import web

from telerelay.signaling.http import json_text


def add_health(app: web.Application, state: Callable[[], str]) -> None:
    """
    `state` tells `ok`, `draining` or `failed`; anything but `ok` is answered with 503, so that no new call comes here.
    """

    async def healthz(_request: web.Request) -> web.Response:
        now = state()
        return web.Response(
            text=json_text({"status": now}),
            content_type="application/json",
            status=200 if now == "ok" else 503,
            headers={"Cache-Control": "no-store"},
        )

    app.router.add_get("/healthz", healthz)
