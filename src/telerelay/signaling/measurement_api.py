"""
Measurements without a call: `POST /measurements/{room}` hands what a device measured to the host.

aiohttp handlers, event loop's thread. A tablet that was away for hours says all of it, with the times it was measured
at; answered when the host has taken it, so that it may be forgotten. The relay keeps nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from aiohttp import web

from telerelay.config import MeasurementsConfig
from telerelay.errors import RemoteProtocolError
from telerelay.hooks import ChannelRequest, HookRunner
from telerelay.hooks.ways import HookError
from telerelay.measurements import LABEL, Batch, Series, schema
from telerelay.protocol import objects
from telerelay.protocol.grants import Grant
from telerelay.rooms.policy import check_role
from telerelay.signaling.http import bearer, cors, errors, json_text, read_text, require_origin
from telerelay.signaling.live import LiveRooms, forbidden, require_room
from telerelay.signaling.measurements import MAX_TOLD_BATCHES, measurement_event

JSON = "application/json"
MAX_BODY_BYTES = 262_144
"""A day of single values, or two minutes of a wave; whoever has more says it in several requests."""
MAX_BATCHES = 512
_METHODS = "POST, OPTIONS"

Key = tuple[str, str]


class MeasurementHandlers:
    """The main listener's part."""

    def __init__(self, rooms: LiveRooms, hooks: HookRunner, config: MeasurementsConfig) -> None:
        self._rooms = rooms
        self._hooks = hooks
        self._config = config

    def add_to(self, app: web.Application) -> None:
        resource = app.router.add_resource("/measurements/{room}")
        resource.add_route("POST", self._guarded)
        resource.add_route("OPTIONS", self._options)

    async def _guarded(self, request: web.Request) -> web.StreamResponse:
        origins = self._rooms.config.http.allowed_origins
        require_origin(request, origins)
        response = await errors(request, self._post)
        cors(request, response, origins, _METHODS)
        return response

    async def _options(self, request: web.Request) -> web.StreamResponse:
        origins = self._rooms.config.http.allowed_origins
        require_origin(request, origins)
        response = web.Response(status=204, headers={"Allow": _METHODS})
        cors(request, response, origins, _METHODS)
        return response

    async def _post(self, request: web.Request) -> web.StreamResponse:
        room = request.match_info["room"]
        grant = self._rooms.grant_of(bearer(request), request.remote or "")  # first, so that a stranger is not read
        require_room(grant, room)
        await self._check(grant)
        said = objects.load(await read_text(request, JSON, MAX_BODY_BYTES))
        declared, batches = read_report(said)
        self._check_series(declared.values())
        await self._take(grant, declared, batches)
        done = [{"device": key[0], "series": key[1], "next": found[-1].end} for key, found in batches.items()]
        self._rooms.shared.samples += sum(len(each.values) for found in batches.values() for each in found)
        return web.Response(text=json_text({"series": done}), content_type=JSON, headers={"Cache-Control": "no-store"})

    async def _check(self, grant: Grant) -> None:
        """Whether this person may say anything here. Raises RemoteProtocolError."""
        if not check_role(grant.role).may_publish:
            raise RemoteProtocolError("forbidden", "this role sends no measurements")
        if not self._hooks.hears("on_measurement", grant.room):
            raise RemoteProtocolError("not_taken", "nobody takes measurements here outside of a call")
        await self._rooms.check_visitor(grant)
        if self._hooks.hears("channel_policy", grant.room) and not await self._hooks.channel_policy(
            ChannelRequest(grant.room, grant.sub, grant.role, LABEL)
        ):
            raise forbidden()

    def _check_series(self, series: Collection[Series]) -> None:
        if len(series) > self._config.max_series:
            raise RemoteProtocolError("too_many_series", f"a person has at most {self._config.max_series} series")
        if self._config.types and any(each.type not in self._config.types for each in series):
            raise RemoteProtocolError("type_not_allowed", "this relay does not take measurements of that type")

    async def _take(self, grant: Grant, declared: Mapping[Key, Series], batches: Mapping[Key, list[Batch]]) -> None:
        """Hand it to the host, series beside series, each in order. Raises RemoteProtocolError not_taken."""

        async def tell(key: Key) -> None:
            for at in range(0, len(batches[key]), MAX_TOLD_BATCHES):
                part = batches[key][at : at + MAX_TOLD_BATCHES]
                event = measurement_event(grant.room, grant.sub, grant.role, declared[key], part)
                await self._hooks.tell_measurement(event)

        results = await asyncio.gather(*map(tell, batches), return_exceptions=True)
        for result in results:
            if isinstance(result, HookError):
                raise RemoteProtocolError("not_taken", "it was not taken: say it again later")
            if isinstance(result, BaseException):
                raise result


def read_report(value: object) -> tuple[dict[Key, Series], dict[Key, list[Batch]]]:
    """
    A body: `{"series":[…],"batches":[…]}`, each batch of a series that is in it, those of one in rising order. Raises
    RemoteProtocolError bad_message, unknown_series, too_large, conflict.
    """
    if not isinstance(value, dict) or value.keys() != {"series", "batches"}:
        raise RemoteProtocolError("bad_message", "the body has two members, series and batches")
    series, batches = value["series"], value["batches"]
    if not isinstance(series, list) or not isinstance(batches, list) or not batches:
        raise RemoteProtocolError("bad_message", "series and batches must be lists, and not empty")
    if len(batches) > MAX_BATCHES:
        raise RemoteProtocolError("too_large", f"a request may have {MAX_BATCHES} batches")
    declared: dict[Key, Series] = {}
    for each in map(schema.read_series, series):
        if (each.device, each.series) in declared:
            raise RemoteProtocolError("conflict", "there is another series of that name")
        declared[each.device, each.series] = each
    found: dict[Key, list[Batch]] = {}
    for batch in map(schema.read_batch, batches):
        key = batch.device, batch.series
        if key not in declared:
            raise RemoteProtocolError("unknown_series", "the series was not declared")
        schema.check_shape(declared[key], batch)
        if key in found and found[key][-1].end > batch.seq:
            raise RemoteProtocolError("bad_message", "batches of a series must follow each other")
        found.setdefault(key, []).append(batch)
    return declared, found
