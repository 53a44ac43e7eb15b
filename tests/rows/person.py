"""
A synthetic person in a process of its own, over public interfaces alone: HTTP, the WebSocket, media.

`Person` is the row's end; `python -m rows.person` the process. Each answer bears `began` and `at`, when it was asked
and answered, and each event `at`, in seconds of the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import aiohttp

from rows.pictures import Pictures
from rows.process import Failed, Message, Process
from support.starved import Starved

PICTURE: ContextVar[tuple[int, int, int]] = ContextVar("PICTURE", default=(640, 360, 15))
"""Width, height and frames a second of a picture where nobody says; set smaller where many share two cores."""

LOOK_EVERY_S = 0.005
"""How often is looked whether a picture moved: a hundredth of the freeze that rows allow."""


class Person(Process):
    """`async with Person() as patient: await patient.enter(url, link)`."""

    module = "rows.person"

    def __init__(self, before: Sequence[str] = ()) -> None:
        """`before` is put before its command line: where it runs (NamespacePair.command)."""
        super().__init__(self.module, before=before)
        self.sub = ""
        self.relay_port: int | None = None
        """In place of the relay's own: the way over a line that the row has."""

    async def ask(
        self, method: str, url: str, body: Any = None, token: str = "", headers: Mapping[str, str] | None = None
    ) -> Message:
        """One HTTP request: {"status", "body"}; the body as JSON, or as text where it is none."""
        return await self.do("http", method=method, url=url, body=body, token=token, headers=dict(headers or {}))

    async def prepare(self) -> None:
        """Have at hand what joining takes: importing it keeps this process from anything else for a second."""
        await self.do("prepare")

    async def enter(self, url: str, link: str) -> Message:
        """Change a link for a token and join: {"participant", "admitted"}. Raises Failed with the refusal's code."""
        answer = await self.ask("POST", f"{url}/link", {"link": link.partition("#link=")[2] or link})
        if answer["status"] != 200:
            raise Failed(answer["body"]["error"]["code"], answer["body"]["error"]["message"])
        return await self.join(url, answer["body"]["room"], answer["body"]["token"])

    async def join(self, url: str, room: str, token: str) -> Message:
        """{"participant", "admitted"}; `sub` is who it is then. Raises Failed."""
        self.sub = _sub_of(token)
        return await self.do("join", url=url, room=room, token=token, relay_port=self.relay_port)

    async def publish(
        self, width: int = 0, height: int = 0, frames_per_s: int = 0, sources: Sequence[str] = ()
    ) -> None:
        """
        Send a tone and a moving picture of that size, or of PICTURE's, under the names of these sources. Raises Failed.
        """
        usual = PICTURE.get()
        width, height, fps = width or usual[0], height or usual[1], frames_per_s or usual[2]
        await self.do("publish", sources=list(sources), width=width, height=height, fps=fps)

    async def sees(self, people: int) -> Message:
        """Wait until pictures that can be decoded have come of so many others since this was asked: {"starved_s"}."""
        return await self.do("sees", people=people)

    async def look(self, for_s: float) -> Message:
        """
        Look at everybody else's pictures for a while: {"pictures": {participant: {"frames", "longest_s"}}, "height",
        "sent", "starved_s"}. `longest_s` is the longest time without a frame that can be decoded, `height` that of the
        tallest of their latest keyframes, `sent` how many frames the own encoder was given, `starved_s` how long this
        process did not get to run.
        """
        return await self.do("look", for_s=for_s)

    async def open_channel(self, label: str) -> None:
        """Open a data channel; one that may not be becomes an event "channel_refused"."""
        await self.do("open_channel", label=label)

    async def publish_recorded(self, name: str) -> list[str]:
        """Publish as a browser did whose offer is tests/data/offers/{name}.sdp; the codecs that are sent."""
        return list((await self.do("publish_recorded", name=name))["codecs"])

    async def listen(self, url: str, first: Any = None) -> Message:
        """Open a WebSocket and stay: each message is an event "said" with `said`. `first` is said at once."""
        return await self.do("listen", url=url, first=first)

    async def tell(self, message: Any) -> None:
        """Say something over that WebSocket."""
        await self.do("tell", message=message)

    async def hang_up(self) -> None:
        """Close that WebSocket."""
        await self.do("hang_up")

    async def request(self, kind: str, **fields: Any) -> Message:
        """A request of docs/signaling.md. Raises Failed."""
        return await self.do("request", kind=kind, fields=fields)

    async def received(self, kind: str) -> Message:
        """Wait until a frame of that kind ("audio", "video") of somebody else's was decoded."""
        return await self.do("received", kind=kind)

    async def receives(self, kind: str, participant: str) -> Message:
        """Wait until a new frame of that kind of that participant's was decoded. Raises Failed where none comes."""
        return await self.do("receives", kind=kind, participant=participant)

    async def watch(self) -> None:
        """Look at everybody else's pictures from now on until `watched`."""
        await self.do("watch")

    async def watched(self) -> Message:
        """As `look`, of all that time."""
        return await self.do("watched")

    async def leave(self) -> None:
        """Give up the seat."""
        await self.do("leave")


def _sub_of(token: str) -> str:
    """Whose token it is, as anybody can read who has it."""
    claims = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])


async def attested(person: Person, url: str) -> dict[str, Any]:
    """What was signed of a consult that is over, as a whole document, once it is at that address."""
    async with asyncio.timeout(30.0):
        while (answer := await person.ask("GET", url))["status"] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    body = answer["body"]
    return dict(json.loads(body) if isinstance(body, str) else body)


class Body:
    """What the process can do; `orders` are the names of it."""

    orders: tuple[str, ...] = (
        "http",
        "prepare",
        "join",
        "publish",
        "open_channel",
        "sees",
        "look",
        "publish_recorded",
        "request",
        "received",
        "receives",
        "watch",
        "watched",
        "listen",
        "tell",
        "hang_up",
        "leave",
    )

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._client: Any = None
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None
        self._recorded: Any = None
        self._is_watched = asyncio.Event()
        self._watching: asyncio.Task[Mapping[str, Any]] | None = None
        self._pictures = Pictures()
        self._sent = 0

    async def http(self, method: str, url: str, body: Any, token: str, headers: dict[str, str]) -> Mapping[str, Any]:
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        async with self._http.request(method, url, json=body, headers=headers) as response:
            text = await response.text()
        try:
            return {"status": response.status, "body": json.loads(text)}
        except ValueError:
            return {"status": response.status, "body": text}

    async def prepare(self) -> Mapping[str, Any]:
        from telerelay.client import Client, MovingPicture, Tone  # noqa: F401

        return {}

    async def join(self, url: str, room: str, token: str, relay_port: int | None) -> Mapping[str, Any]:
        from telerelay.client import Client  # half a second of imports: only who joins needs it

        options = {"relay_port": relay_port, "on_event": self.on_event, **self.client_options()}
        self._client = await Client.join(url, token, room, **options)
        self._pictures = Pictures()
        self._client.tap.on_packet = lambda packet, arrived_ms: self._pictures.add(packet)
        return {"participant": self._client.participant, "admitted": self._client.is_admitted}

    def on_event(self, message: Message) -> None:
        """Told to the row."""
        from rows.orders import tell

        # What an offer says is of no use to a row, and long.
        tell({name: value for name, value in message.items() if name != "sdp"})

    def client_options(self) -> dict[str, Any]:
        """For Client.join."""
        return {}

    async def publish(self, sources: Sequence[str], width: int, height: int, fps: int) -> Mapping[str, Any]:
        from telerelay.client import MovingPicture, Tone

        picture = MovingPicture(width, height, fps)
        taken = picture.recv

        async def counted() -> Any:
            frame = await taken()
            self._sent += 1
            return frame

        picture.recv = counted
        await self._client.publish([Tone(), picture], sources)
        return {}

    def _frames(self) -> dict[tuple[str, int], int]:
        """That could be decoded so far, by publisher and stream."""
        tracks = self._client.remote_tracks.values()
        return {
            (each.participant, each.ssrc): self._pictures.frames(each.ssrc) for each in tracks if each.kind == "video"
        }

    async def sees(self, people: int) -> Mapping[str, Any]:
        before = self._frames()
        with Starved() as starved:

            def are_seen(_: Any) -> bool:
                return len({who for (who, key), n in self._frames().items() if n > before.get((who, key), 0)}) >= people

            await self._client.wait_for(are_seen, 30.0)
        return {"starved_s": starved.total_s}

    async def look(self, for_s: float) -> Mapping[str, Any]:
        until = time.monotonic() + for_s
        return await self._look(lambda: time.monotonic() >= until)

    async def _look(self, is_over: Callable[[], bool]) -> Mapping[str, Any]:
        began, sent = time.monotonic(), self._sent
        known = self._frames()
        last = {who: began for who, _ in known}
        frames, longest = dict.fromkeys(last, 0), dict.fromkeys(last, 0.0)
        with Starved() as starved:
            while not is_over():
                now = time.monotonic()
                for (who, key), count in self._frames().items():
                    if who in last and count > known.get((who, key), 0):
                        frames[who] += count - known.get((who, key), 0)
                        longest[who] = max(longest[who], now - last[who])
                        last[who] = now
                        known[who, key] = count
                await asyncio.sleep(LOOK_EVERY_S)
        for who, at in last.items():
            longest[who] = max(longest[who], time.monotonic() - at)
        height = max((self._pictures.height(ssrc) for _, ssrc in known), default=0)
        pictures = {who: {"frames": frames[who], "longest_s": longest[who]} for who in last}
        sent = self._sent - sent
        return {"pictures": pictures, "height": height, "sent": sent, "starved_s": starved.total_s}

    async def open_channel(self, label: str) -> Mapping[str, Any]:
        await self._client.channel(label)
        return {}

    async def publish_recorded(self, name: str) -> Mapping[str, Any]:
        from rows.recorded import RecordedPeer

        self._recorded = RecordedPeer()
        await self._recorded.publish(name, self._client.request)
        return {"codecs": self._recorded.codecs}

    async def request(self, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(await self._client.request(kind, **fields))

    async def received(self, kind: str) -> Mapping[str, Any]:
        def has_any(client: Any) -> bool:
            return any(track.kind == kind and track.frames for track in client.remote_tracks.values())

        await self._client.wait_for(has_any, 30.0)
        return {}

    async def receives(self, kind: str, participant: str) -> Mapping[str, Any]:
        before = self._decoded(kind, participant)
        await self._client.wait_for(lambda client: self._decoded(kind, participant) > before, 30.0)
        return {}

    def _decoded(self, kind: str, participant: str) -> int:
        tracks = self._client.remote_tracks.values()
        return sum(each.frames for each in tracks if (each.kind, each.participant) == (kind, participant))

    async def watch(self) -> Mapping[str, Any]:
        self._is_watched.clear()
        self._watching = asyncio.create_task(self._look(self._is_watched.is_set))
        return {}

    async def watched(self) -> Mapping[str, Any]:
        assert self._watching is not None
        self._is_watched.set()
        return await self._watching

    async def listen(self, url: str, first: Any) -> Mapping[str, Any]:
        self._ws = await self._http.ws_connect(url)
        if first is not None:
            await self._ws.send_json(first)
        self._listening = asyncio.create_task(_listen(self._ws))
        return {}

    async def tell(self, message: Any) -> Mapping[str, Any]:
        assert self._ws is not None
        await self._ws.send_json(message)
        return {}

    async def hang_up(self) -> Mapping[str, Any]:
        ws, self._ws = self._ws, None
        if ws is not None:
            await ws.close()
        return {}

    async def leave(self) -> Mapping[str, Any]:
        recorded, self._recorded = self._recorded, None
        if recorded is not None:
            recorded.stop()
        client, self._client = self._client, None
        if client is not None:
            await client.leave()
        return {}


async def _listen(ws: aiohttp.ClientWebSocketResponse) -> None:
    from rows.orders import tell

    async for message in ws:
        tell({"type": "said", "said": json.loads(message.data)})
    tell({"type": "unsaid", "code": ws.close_code})


async def play(made: type[Body]) -> None:
    """The process: does what it is told until its stdin ends."""
    from rows.orders import take_orders

    async with aiohttp.ClientSession() as http:
        body = made(http)
        await take_orders({name: getattr(body, name) for name in body.orders})
        await body.hang_up()
        await body.leave()


if __name__ == "__main__":
    asyncio.run(play(Body))
