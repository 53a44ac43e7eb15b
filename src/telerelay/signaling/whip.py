"""
WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): one POST brings an offer and takes the answer, one DELETE ends it.

aiohttp handlers, event loop's thread. Every path, method and error is decided here or in http.py; docs/signaling.md
lists them.
"""

from aiohttp import web

from telerelay.errors import RemoteProtocolError
from telerelay.protocol.fragment import IceFragment
from telerelay.protocol.grants import Grant
from telerelay.signaling.host import RoomHost
from telerelay.signaling.http import Handler, bearer, cors, errors, read_text, require_origin
from telerelay.signaling.live import LiveRooms, require_room
from telerelay.signaling.seat import Resource

# The RFC's text means the first, its examples write the second.
_ANY_ETAG = ("*", '"*"')

SDP = "application/sdp"
TRICKLE = "application/trickle-ice-sdpfrag"

_ENDPOINT_METHODS = "POST, OPTIONS"
_RESOURCE_METHODS = "PATCH, DELETE, OPTIONS"


# Names of the routes by which Location is made: right under any prefix.
_WHIP_SESSION, _WHEP_SESSION = "whip_session", "whep_session"
# What stands for a room and a secret in a path; no room's name has a tilde, so that one is never taken for the other.
_ROOM, _SECRET = "~room~", "~secret~"


class WhipHandlers:
    """The HTTP side of sessions."""

    def __init__(self, rooms: LiveRooms) -> None:
        self._rooms = rooms
        self._origins = rooms.config.http.allowed_origins
        self._templates: dict[tuple[web.Application, str], str] = {}

    def add_to(self, app: web.Application) -> None:
        """Routes relative to wherever the application is mounted."""
        router = app.router
        for path, methods, post in (
            ("/whip/{room}", _ENDPOINT_METHODS, self._guarded(self._post_whip, _ENDPOINT_METHODS)),
            ("/whep/{room}", _ENDPOINT_METHODS, self._guarded(self._post_whep, _ENDPOINT_METHODS)),
            ("/whep/{room}/{participant}", _ENDPOINT_METHODS, self._guarded(self._post_whep, _ENDPOINT_METHODS)),
        ):
            resource = router.add_resource(path)
            resource.add_route("POST", post)
            resource.add_route("OPTIONS", self._guarded(self._options(methods, "Accept-Post", SDP), methods))
        for path, name in (
            ("/whip/{room}/session/{secret}", _WHIP_SESSION),
            ("/whep/{room}/session/{secret}", _WHEP_SESSION),
        ):
            resource = router.add_resource(path, name=name)
            resource.add_route("PATCH", self._guarded(self._patch, _RESOURCE_METHODS))
            resource.add_route("DELETE", self._guarded(self._delete, _RESOURCE_METHODS))
            options = self._options(_RESOURCE_METHODS, "Accept-Patch", TRICKLE)
            resource.add_route("OPTIONS", self._guarded(options, _RESOURCE_METHODS))

    # ---------------------------------------------------------------- beginning

    async def _post_whip(self, request: web.Request) -> web.StreamResponse:
        grant, room, sdp = await self._offer(request)
        async with self._rooms.admit(grant, room, attachment="whip") as host:
            resource, answer = await host.open_whip(grant, sdp)
        return self._created(request, _WHIP_SESSION, room, resource, answer)

    async def _post_whep(self, request: web.Request) -> web.StreamResponse:
        grant, room, sdp = await self._offer(request)
        async with self._rooms.admit(grant, room, attachment="whep") as host:
            resource, answer = await host.open_whep(grant, sdp, request.match_info.get("participant"))
        return self._created(request, _WHEP_SESSION, room, resource, answer)

    async def _offer(self, request: web.Request) -> tuple[Grant, str, str]:
        """Token first: a stranger learns nothing, and is not read from."""
        grant = self._rooms.grant_of(bearer(request), request.remote or "")
        room = request.match_info["room"]
        require_room(grant, room)
        return grant, room, await read_text(request, SDP, self._rooms.config.limits.sdp_bytes)

    def _created(
        self, request: web.Request, route: str, room: str, resource: Resource, answer: str
    ) -> web.StreamResponse:
        location = self._location(request, route).replace(_ROOM, room).replace(_SECRET, resource.secret)
        response = web.Response(text=answer, status=201, content_type=SDP, charset="utf-8")
        response.headers["Content-Type"] = SDP
        response.headers["Location"] = location
        response.headers["ETag"] = f'"{resource.etag}"'
        response.headers["Accept-Patch"] = TRICKLE
        return response

    def _location(self, request: web.Request, route: str) -> str:
        """The path of a session with _ROOM and _SECRET in it, under the prefix of the application that was asked."""
        app = request.match_info.apps[-1]
        known = self._templates.get((app, route))
        if known is None:
            known = self._templates[app, route] = str(app.router[route].url_for(room=_ROOM, secret=_SECRET))
        return known

    # ---------------------------------------------------------------- going on, and ending

    async def _patch(self, request: web.Request) -> web.StreamResponse:
        """
        An ICE restart where `If-Match` is "*" (RFC 9725, 4.3.3). Candidates are taken and ignored: the relay is lite.
        """
        host, resource = self._resource(request)
        condition = request.headers.get("If-Match")
        if condition is None:
            raise RemoteProtocolError("precondition_required", "send If-Match with the session's ETag")
        text = await read_text(request, TRICKLE, self._rooms.config.limits.sdp_bytes)
        if condition.strip() not in _ANY_ETAG:
            self._check_etag(condition, resource)
            return web.Response(status=204, headers={"ETag": f'"{resource.etag}"'})
        answer = await resource.restart(IceFragment.parse(text), self._rooms.config.limits)
        if resource.participant in host.seats:
            host.seats[resource.participant].save()
        response = web.Response(text=answer.to_text(), content_type=TRICKLE)
        response.headers["Content-Type"] = TRICKLE
        response.headers["ETag"] = f'"{resource.etag}"'
        return response

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        host, resource = self._resource(request)
        condition = request.headers.get("If-Match")
        if condition is not None and condition.strip() != "*":
            self._check_etag(condition, resource)
        host.end_resource(resource)
        return web.Response(status=200)

    def _resource(self, request: web.Request) -> tuple[RoomHost, Resource]:
        """
        The session of a URL, for its own sub alone. Raises RemoteProtocolError.

        `exp` limits joining, not the length of a call: the token a session began with ends it too.
        """
        token, source, room = bearer(request), request.remote or "", request.match_info["room"]
        secret = request.match_info["secret"]
        try:
            grant = self._rooms.grant_of(token, source)
        except RemoteProtocolError as error:
            began = self._rooms.began(room, secret) if error.code == "token_expired" else None
            if began is None:
                raise
            grant = self._rooms.grant_of(token, source, began)
        host = self._rooms.find(grant, room)
        resource = host.resource(grant.sub, secret)
        if resource.is_whip != request.path.rpartition("/session/")[0].endswith(f"/whip/{room}"):
            raise RemoteProtocolError("not_found", "there is no such session")
        return host, resource

    @staticmethod
    def _check_etag(condition: str, resource: Resource) -> None:
        tags = [tag.strip().strip('"') for tag in condition.split(",")]
        if resource.etag not in tags:
            raise RemoteProtocolError("precondition_failed", "the session has another ETag")

    # ---------------------------------------------------------------- all of them

    @staticmethod
    def _options(methods: str, name: str, media_type: str) -> Handler:
        async def options(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=204, headers={"Allow": methods, name: media_type})

        return options

    def _guarded(self, handler: Handler, methods: str) -> Handler:
        """Refuse a foreign origin, let a listed one read the response, errors included."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            require_origin(request, self._origins)
            response = await errors(request, handler)
            self._rooms.flush_notes()
            response.headers.setdefault("Cache-Control", "no-store")
            cors(request, response, self._origins, methods)
            return response

        return guarded
