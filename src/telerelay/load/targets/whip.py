"""
Any server with WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep), by URL templates with {room} and {participant}.

One POST publishes, one POST receives, a DELETE of its Location ends each. Event loop's thread.
"""

import asyncio
import contextlib
from urllib.parse import quote, urljoin, urlsplit

import aiohttp

from telerelay.errors import ConfigError, RemoteProtocolError, TelerelayError
from telerelay.load.targets.base import TIMEOUT_S, Connection, Seat, origin, together

PLACES = ("room", "participant")

_MAX_ANSWER_BYTES = 1 << 18


def check_template(flag: str, template: str) -> None:
    """Raises ConfigError for what is no http(s) URL, or names another place than those there are."""
    parts = urlsplit(template)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError("bad_url", f"{flag} must be an http or https URL, like http://127.0.0.1:8080/whip/{{room}}")
    try:
        template.format(room="r", participant="p")
    except (KeyError, IndexError, ValueError):
        known = " and ".join(f"{{{place}}}" for place in PLACES)
        raise ConfigError("bad_url", f"{flag} may hold {known}, nothing else in braces") from None


class WhipTarget:
    """Publishes by WHIP, receives by WHEP; either may be "" where a profile needs only the other."""

    def __init__(self, whip: str, whep: str) -> None:
        for flag, template in (("--whip", whip), ("--whep", whep)):
            if template:
                check_template(flag, template)
        self._whip, self._whep = whip, whep
        self._http: aiohttp.ClientSession | None = None

    @property
    def name(self) -> str:
        return f"WHIP/WHEP {origin(self._whip or self._whep)}"

    async def open(self) -> None:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def join(self, seat: Seat) -> "_WhipSession":
        session = _WhipSession(self._client(), _headers(seat.token))
        jobs = []
        for connection, template, what in ((seat.publish, self._whip, "--whip"), (seat.receive, self._whep, "--whep")):
            if connection is None:
                continue
            if not template:
                raise ConfigError("no_url", f"this profile needs {what} URL")
            room, participant = quote(seat.room, safe=""), quote(seat.participant, safe="")
            jobs.append(session.begin(template.format(room=room, participant=participant), connection))
        try:
            await together(jobs)
        except BaseException:
            await session.leave()
            raise
        return session

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise TelerelayError("closed", "the target is not open")
        return self._http


class _WhipSession:
    def __init__(self, http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        self._http = http
        self._headers = headers
        self._locations: list[str] = []

    async def begin(self, url: str, connection: Connection) -> None:
        offer = await connection.offer()
        headers = {**self._headers, "Content-Type": "application/sdp"}
        try:
            async with self._http.post(url, data=offer.encode(), headers=headers) as response:
                if response.status not in (200, 201):
                    raise RemoteProtocolError(f"http_{response.status}", f"the server answered {response.status}")
                body = await _read(response)
                if location := response.headers.get("Location"):
                    self._locations.append(urljoin(str(response.url), location))
        except TimeoutError:
            raise RemoteProtocolError("http_timeout", f"no answer within {TIMEOUT_S:g} s") from None
        except aiohttp.ClientError as error:
            raise RemoteProtocolError("http_lost", f"no answer: {type(error).__name__}") from error
        await connection.take_answer(body.decode("utf-8", "replace"))

    async def leave(self) -> None:
        locations, self._locations = self._locations, []
        await asyncio.gather(*(self._delete(location) for location in locations))

    async def vanish(self) -> None:
        self._locations = []

    async def _delete(self, location: str) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.delete(location, headers=self._headers):
                pass


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises RemoteProtocolError for one that is no SDP by its size."""
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > _MAX_ANSWER_BYTES:
            raise RemoteProtocolError("http_too_large", "the server's answer has no end")
    return body


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
