"""
WHIP and WHEP clients on aiortc (RFC 9725, draft-ietf-wish-whep): one HTTP POST, one peer connection, one DELETE.

Event loop of the client.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from urllib.parse import urljoin

import aiohttp
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from telerelay.client.ice import host_addresses, local_addresses
from telerelay.client.participant import new_peer_connection, with_candidate_port
from telerelay.client.tap import Tap
from telerelay.errors import RemoteProtocolError


class HttpSession:
    """One WHIP or WHEP session. `tap` sees what is received; leaving `async with`, or `close()`, ends it."""

    def __init__(self, endpoint: str, token: str, *, relay_port: int | None = None) -> None:
        self.endpoint = endpoint
        self.resource = ""
        self.etag = ""
        self.pc = new_peer_connection()
        self.tap = Tap()
        self._authorization = {"Authorization": f"Bearer {token}"}
        self._relay_port = relay_port
        self._addresses = local_addresses(endpoint)

    async def open(self) -> None:
        """Offer what `pc` holds. Raises RemoteProtocolError with the relay's code and HTTP status."""
        with host_addresses(*self._addresses):
            await self.pc.setLocalDescription(await self.pc.createOffer())
        headers = {**self._authorization, "Content-Type": "application/sdp"}
        offer = self.pc.localDescription.sdp
        async with (
            aiohttp.ClientSession() as http,
            http.post(self.endpoint, data=offer, headers=headers) as response,
        ):
            if response.status != 201:
                raise await _error(response)
            answer = await response.text()
            self.resource = urljoin(str(response.url), response.headers["Location"])
            self.etag = response.headers.get("ETag", "")
        if self._relay_port is not None:
            answer = with_candidate_port(answer, self._relay_port)
        self.tap.learn(answer)
        for transceiver in self.pc.getTransceivers():
            self.tap.attach(transceiver.receiver.transport)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        """End the session at the relay, then here; safe to call twice."""
        resource, self.resource = self.resource, ""
        if resource:
            async with aiohttp.ClientSession() as http:
                with contextlib.suppress(aiohttp.ClientError):
                    await http.delete(resource, headers=self._authorization)
        await self.pc.close()

    async def __aenter__(self) -> HttpSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def publish_whip(
    endpoint: str, token: str, tracks: Sequence[MediaStreamTrack], *, relay_port: int | None = None
) -> HttpSession:
    """Publish `tracks` at `…/whip/{room}`. Raises RemoteProtocolError."""
    session = HttpSession(endpoint, token, relay_port=relay_port)
    for track in tracks:
        session.pc.addTransceiver(track, direction="sendonly")
    return await _opened(session)


async def subscribe_whep(
    endpoint: str, token: str, kinds: Sequence[str] = ("audio", "video"), *, relay_port: int | None = None
) -> HttpSession:
    """Receive at `…/whep/{room}[/{participant}]`, one section for each of `kinds`. Raises RemoteProtocolError."""
    session = HttpSession(endpoint, token, relay_port=relay_port)
    for kind in kinds:
        session.pc.addTransceiver(kind, direction="recvonly")
    return await _opened(session)


async def _opened(session: HttpSession) -> HttpSession:
    try:
        await session.open()
    except BaseException:
        await session.close()
        raise
    return session


async def _error(response: aiohttp.ClientResponse) -> RemoteProtocolError:
    code, message = "internal", f"HTTP {response.status}"
    with contextlib.suppress(ValueError, aiohttp.ClientError, KeyError, TypeError):
        error = (await response.json())["error"]
        code, message = str(error["code"]), str(error["message"])
    return RemoteProtocolError(code, message, status=response.status)
