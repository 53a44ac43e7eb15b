"""
What an application allows of what a role may: tracks that are sent and received, data channels that are opened.

Event loop's thread. Where there is no rule nothing is asked and nothing waits. A rule that fails has said no
(hooks/runner.py), for that track or channel alone: what runs goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from telerelay.errors import RemoteProtocolError
from telerelay.hooks import ChannelRequest, HookRunner, PublishRequest, SubscribeRequest
from telerelay.protocol import sdp
from telerelay.protocol.messages import PublishedTrack
from telerelay.rooms import Participant, Publication, Room

_SENDING = frozenset({"sendonly", "sendrecv"})


class Policies:
    """One room's; `on_refused` is told of a sub that wanted to publish what it may not."""

    def __init__(self, hooks: HookRunner, room: Room, on_refused: Callable[[str, str], None]) -> None:
        self._hooks = hooks
        self._room = room
        self._on_refused = on_refused
        self._refused: set[tuple[str, str]] = set()
        """(publication, subscriber) of routes that the application has said no to."""

    async def check_publish(
        self,
        sub: str,
        role: str,
        offer: str,
        tracks: Iterable[PublishedTrack] = (),
        published: Mapping[str, Publication] | None = None,
    ) -> None:
        """
        Whether all that an offer would publish may be; `published` by mid, which was asked before. Raises
        RemoteProtocolError forbidden, before anything is negotiated; or bad_sdp.
        """
        if not self._hooks.hears("publish_policy", self._room.name):
            return
        named = {track.mid: track.source for track in tracks}
        wanted = []
        for media in sdp.parse(offer).media:
            if media.kind not in ("audio", "video") or media.direction not in _SENDING or media.is_rejected:
                continue
            source = named.get(media.mid, "microphone" if media.kind == "audio" else "camera")
            known = (published or {}).get(media.mid)
            if known is None or known.source != source:
                wanted.append(PublishRequest(self._room.name, sub, role, media.kind, source))
        if not all(await asyncio.gather(*map(self._hooks.publish_policy, wanted))):
            self._on_refused(sub, "publish")
            raise RemoteProtocolError("forbidden", "the application does not allow that track")

    @property
    def has_subscribe_rule(self) -> bool:
        return self._hooks.hears("subscribe_policy", self._room.name)

    async def may_route(self, publication: str, subscriber: str) -> bool | None:
        """Whether this person is sent that track; None: the room wants it no more."""
        found, person = self._room.publications.get(publication), self._room.participants.get(subscriber)
        if found is None or person is None:
            return None
        publisher = self._room.participants[found.participant]
        is_allowed = await self._hooks.subscribe_policy(
            SubscribeRequest(
                room=self._room.name,
                sub=person.sub,
                role=person.role,
                publisher=publisher.sub,
                publisher_role=publisher.role,
                kind=found.kind,
                source=found.source,
            )
        )
        routes = self._room.routes
        if (publication, subscriber) not in routes:
            return None  # it is gone meanwhile
        self._refused &= routes
        (self._refused.discard if is_allowed else self._refused.add)((publication, subscriber))
        return is_allowed

    def refused_to(self, subscriber: str) -> list[str]:
        """The publications that this person is not to have, as far as the application was asked."""
        return sorted(publication for publication, who in self._refused & self._room.routes if who == subscriber)

    @property
    def has_channel_rule(self) -> bool:
        return self._hooks.hears("channel_policy", self._room.name)

    async def may_open(self, participant: Participant, label: str) -> bool:
        """Whether this person may open that data channel."""
        request = ChannelRequest(self._room.name, participant.sub, participant.role, label)
        return await self._hooks.channel_policy(request)
