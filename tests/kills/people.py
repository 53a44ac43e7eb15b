"""
People in a process of their own, each a `telerelay.client.Client` that comes back by itself, however often the relay
is killed: what the application around such a client does is here no more than trying again what was not answered.

`People` is the driver's end; `python -m kills.people` the process. Times are the machine's monotonic seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any

from kills.patience import Patience
from rows.process import Message, Process

TRY_AGAIN_S = 0.2
PATIENCE_S = 120.0
LOOK_S = 0.01
HEARING_S = 1.5
"""Whoever got a packet within that time before a kill was hearing somebody: five packets a second are sent."""


class People(Process):
    """`async with People() as people:`; each person goes by a name of the driver's."""

    timeout_s = 3600.0  # what people do has its own patience

    def __init__(self) -> None:
        super().__init__("kills.people")

    async def join(self, name: str, url: str, room: str, token: str) -> Message:
        """Until the relay answers: {"participant", "admitted"}. Raises Failed with its refusal."""
        return await self.do("join", name=name, url=url, room=room, token=token)

    async def publish(self, name: str) -> None:
        await self.do("publish", name=name)

    async def request(self, name: str, kind: str, **fields: Any) -> Message:
        """Once. Raises Failed with the relay's code, or connection_lost, timeout: then nobody knows."""
        return await self.do("request", name=name, kind=kind, fields=fields)

    async def until(self, name: str, what: str, within_s: float = PATIENCE_S) -> bool:
        """Wait until that person is "admitted", "hearing" or "connected", or for as long as that."""
        return bool((await self.do("until", name=name, wish=what, within_s=within_s))["is_so"])

    async def shown(self, name: str) -> Message:
        """What that person was told, and what was received."""
        return await self.do("shown", name=name)

    async def back(self, name: str, killed_at: float, within_s: float, *, is_new: bool, is_alone: bool) -> Message:
        """
        When somebody who was there at a kill is again where they were: {"what", "at"}. `what` is media (heard somebody
        before, and hears: with `is_new` a stream that was not there before), seat (heard nobody, or with `is_alone` can
        hear nobody, for the other one is away), gone (the consult is over, or they left), late.
        """
        fields = {"killed_at": killed_at, "is_new": is_new, "is_alone": is_alone, "within_s": within_s}
        return await self.do("back", name=name, **fields)

    async def leave(self, name: str) -> bool:
        """Leave for good; whether the relay said that it knows."""
        return bool((await self.do("leave", name=name))["is_answered"])

    async def vanish(self, name: str) -> None:
        """As a page that is closed, or crashes: sockets end without a word."""
        await self.do("vanish", name=name)


class _Person:
    """One client, with what its application remembers."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.seats: list[float] = [time.monotonic()]
        """When it had a seat: the first time, and each time again."""
        self.first_heard: dict[int, float] = {}
        self.last_heard = 0.0
        self.heard_waiting = 0
        """Packets that came while it was not admitted: there may be none."""
        self._comebacks = 0
        self._received = 0

    def look(self, now: float) -> None:
        """What has changed since the last look."""
        client = self.client
        if client.comebacks != self._comebacks:
            self._comebacks = client.comebacks
            self.seats.append(now)
        if client.tap.received != self._received:
            if not client.is_admitted and client.is_connected:
                self.heard_waiting += client.tap.received - self._received
            self._received = client.tap.received
            self.last_heard = now
            for ssrc in client.tap.streams:
                self.first_heard.setdefault(ssrc, now)

    @property
    def is_over(self) -> bool:
        keeper = self.client._keeper
        return keeper is None or keeper.done()


class _Body:
    """What the process can do."""

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}

    async def watch(self) -> None:
        while True:
            for person in tuple(self._people.values()):
                person.look(time.monotonic())
            await asyncio.sleep(LOOK_S)

    async def join(self, name: str, url: str, room: str, token: str) -> Mapping[str, Any]:
        from telerelay import RemoteProtocolError, TelerelayError
        from telerelay.client import Client
        from telerelay.client.participant import FINAL_ERRORS

        patience = Patience(PATIENCE_S)
        while True:
            try:
                client = await Client.join(url, token, room)
                break
            except TelerelayError as error:
                is_final = isinstance(error, RemoteProtocolError) and error.code in (FINAL_ERRORS | {"consult_over"})
                if is_final or not patience:
                    raise
                await asyncio.sleep(TRY_AGAIN_S)
        self._people[name] = _Person(client)
        return {"participant": client.participant, "admitted": client.is_admitted}

    async def publish(self, name: str) -> Mapping[str, Any]:
        from kills.tone import SparseTone
        from telerelay import TelerelayError

        client = self._people[name].client
        with contextlib.suppress(TelerelayError):  # said again by the client itself, once it is back
            await client.publish([SparseTone()])
        return {}

    async def request(self, name: str, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(await self._people[name].client.request(kind, **fields))

    async def until(self, name: str, wish: str, within_s: float) -> Mapping[str, Any]:
        person, patience, began = self._people[name], Patience(within_s), time.monotonic()
        while patience and not person.is_over:
            is_so = {
                "admitted": person.client.is_admitted and person.client.is_connected,
                "connected": person.client.is_connected,
                "hearing": person.last_heard > began,
            }[wish]
            if is_so:
                return {"is_so": True}
            await asyncio.sleep(LOOK_S)
        return {"is_so": False}

    async def shown(self, name: str) -> Mapping[str, Any]:
        person = self._people[name]
        client = person.client
        return {
            "admitted": client.is_admitted,
            "connected": client.is_connected,
            "comebacks": client.comebacks,
            "waiting_room": [each["participant"] for each in client.waiting_room],
            "heard_waiting": person.heard_waiting,
            "is_over": person.is_over,
            "received": client.tap.received,
            "publications": len(client.publications),
            "state": client.consult.get("state", ""),
            "connections": [None if pc is None else pc.connectionState for pc in (client._publish, client._subscribe)],
        }

    async def back(
        self, name: str, killed_at: float, is_new: bool, is_alone: bool, within_s: float
    ) -> Mapping[str, Any]:
        person = self._people.get(name)
        if person is None:
            return {"what": "gone"}
        was_hearing = (
            not is_alone
            and any(at < killed_at for at in person.first_heard.values())
            and (person.client.is_admitted and killed_at - person.last_heard < HEARING_S)
        )
        patience = Patience(within_s)
        while patience:
            if self._people.get(name) is not person or person.is_over:
                return {"what": "gone"}
            seated_at = next((at for at in person.seats if at > killed_at), None)
            if seated_at is not None and not was_hearing:
                return {"what": "seat", "took_s": seated_at - killed_at}
            heard = [at for at in person.first_heard.values() if at > killed_at] if is_new else [person.last_heard]
            again = [at for at in heard if seated_at is not None and (is_new or at >= seated_at)]
            if seated_at is not None and again:
                return {"what": "media", "took_s": max(seated_at, min(again)) - killed_at}
            await asyncio.sleep(LOOK_S)
        return {"what": "late", "shown": dict(await self.shown(name))}

    async def leave(self, name: str) -> Mapping[str, Any]:
        from telerelay import TelerelayError

        person = self._people.pop(name)
        is_answered = False
        with contextlib.suppress(TelerelayError):
            await person.client.request("leave")
            is_answered = True
        await person.client.leave()
        return {"is_answered": is_answered}

    async def vanish(self, name: str) -> Mapping[str, Any]:
        client = self._people.pop(name).client
        client.participant = ""  # then it says nothing
        await client.leave()
        return {}

    async def close(self) -> None:
        for name in tuple(self._people):
            await self.vanish(name)


async def _main() -> None:
    from rows.orders import take_orders

    body = _Body()
    watching = asyncio.create_task(body.watch())
    names = ("join", "publish", "request", "until", "shown", "back", "leave", "vanish")
    await take_orders({name: getattr(body, name) for name in names})
    watching.cancel()
    await body.close()


if __name__ == "__main__":
    asyncio.run(_main())
