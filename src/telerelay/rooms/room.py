"""
One room: who is in it and who may hear whom.

Sans-I/O: every method takes `now` where time matters and returns what should happen. Nothing here awaits, logs or reads
the time. A method that raises has changed nothing.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from telerelay.errors import RemoteProtocolError
from telerelay.events import (
    Admitted,
    Event,
    JoinDuplicated,
    MuteChanged,
    ParticipantBack,
    ParticipantInfo,
    ParticipantInterrupted,
    ParticipantJoined,
    ParticipantLeft,
    Published,
    RoomEnded,
    Unpublished,
)
from telerelay.rooms import lobby, policy
from telerelay.rooms.effects import AdmissionChanged, CloseParticipant, Effect, Pause, Route, Tell, Unroute
from telerelay.rooms.participant import SOCKET, Participant
from telerelay.rooms.publication import Publication, TrackDescription

Effects = tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """`seat_s`: how long a lost participant's seat is kept, seconds."""

    max_participants: int = 16
    max_publications: int = 16
    seat_s: float = 120.0


class Joined(NamedTuple):
    participant: Participant
    effects: Effects
    is_resumed: bool


class PublishDecision(NamedTuple):
    """`publications` parallel to the tracks they were asked for."""

    publications: tuple[Publication, ...]
    effects: Effects


def new_secret() -> str:
    """A resume secret: 192 random bits."""
    return secrets.token_urlsafe(24)


class Room:
    """Participants by id and by sub, their publications, and the routes between them, each of which exists once."""

    def __init__(self, name: str, limits: RoomLimits, door: lobby.Door = lobby.is_admitted) -> None:
        self.name = name
        self._limits = limits
        self._door = door
        self._participants: dict[str, Participant] = {}
        self._by_sub: dict[str, Participant] = {}
        self._publications: dict[str, Publication] = {}
        self._routes: set[tuple[str, str]] = set()

    # ---------------------------------------------------------------- what is

    @property
    def participants(self) -> Mapping[str, Participant]:
        return self._participants

    @property
    def publications(self) -> Mapping[str, Publication]:
        return self._publications

    @property
    def routes(self) -> frozenset[tuple[str, str]]:
        """(publication, subscriber) pairs in force."""
        return frozenset(self._routes)

    @property
    def is_empty(self) -> bool:
        return not self._participants

    def by_sub(self, sub: str) -> Participant | None:
        return self._by_sub.get(sub)

    def participant(self, participant_id: str) -> Participant:
        """Raises RemoteProtocolError not_found."""
        try:
            return self._participants[participant_id]
        except KeyError:
            raise RemoteProtocolError("not_found", "there is no such participant in this room") from None

    @property
    def waiting(self) -> tuple[Participant, ...]:
        """Who is at the door and was not let in yet, in the order they came."""
        return tuple(participant for participant in self._participants.values() if not participant.is_admitted)

    def may_see(self, sub: str, role: str) -> bool:
        """Whether this person, who may not be here yet, may know who is."""
        participant = self._by_sub.get(sub)
        return self._door(sub, role) if participant is None else participant.is_admitted

    def roster(self, participant_id: str) -> tuple[ParticipantInfo, ...]:
        """The others, as this participant may know them: nobody, before it is admitted."""
        viewer = self.participant(participant_id)
        if not viewer.is_admitted:
            return ()
        return tuple(other.info() for other in self._others(viewer))

    # ---------------------------------------------------------------- coming and going

    def restore(self, now: float, participants: Iterable[Participant]) -> None:
        """
        An empty room becomes what another process had of it. Nobody is told: nothing has changed for anyone, but that
        every socket is lost.
        """
        for participant in participants:
            self._participants[participant.id] = self._by_sub[participant.sub] = participant
            self._publications.update(participant.publications)
            if participant.has_socket and participant.seat_until is None:
                participant.seat_until = now + self._limits.seat_s
        for publication in self._publications.values():
            self._route_to_all(publication)

    def join(
        self,
        now: float,
        sub: str,
        role: str,
        resume: str | None,
        new_id: Callable[[], str],
        new_secret: Callable[[], str] = new_secret,
    ) -> Joined:
        """
        A WebSocket of this sub joins. With the seat's secret it takes its seat again; else the newest wins.

        A sub that is here through WHIP or WHEP only becomes one participant with it. The participant's resume secret is
        a new one each time. Raises RemoteProtocolError forbidden (unknown role), conflict (here under another role),
        room_full.
        """
        policy.check_role(role)
        current = self._by_sub.get(sub)
        can_resume = current is not None and current.has_socket and current.role == role
        if can_resume and current is not None and resume is not None and current.may_resume(resume):
            return self._resume(current, new_secret())
        if current is not None and not current.has_socket:
            return self._attach(current, role, SOCKET, new_secret())
        effects: list[Effect] = []
        if current is not None:
            effects.append(Tell(current.id, JoinDuplicated()))
            effects.extend(self._remove(current, "duplicate_join"))
        else:
            self._check_free_seat(sub, role)
        participant = self._create(sub, role, SOCKET, new_id(), new_secret())
        return Joined(participant, (*effects, *self._enter(participant)), False)

    def attach(self, now: float, sub: str, role: str, attachment: str, new_id: Callable[[], str]) -> Joined:
        """
        A WHIP or WHEP resource of this sub appears: it is part of the sub's participant, or makes one.

        Raises RemoteProtocolError as `join` does.
        """
        policy.check_role(role)
        current = self._by_sub.get(sub)
        if current is not None:
            return self._attach(current, role, attachment, current.resume)
        self._check_free_seat(sub, role)
        participant = self._create(sub, role, attachment, new_id(), "")
        return Joined(participant, self._enter(participant), False)

    def detach(self, now: float, participant_id: str, attachment: str, reason: str = "left") -> Effects:
        """A resource is gone, and what was published on it; the participant too, if it was its last."""
        participant = self.participant(participant_id)
        if attachment not in participant.attachments:
            return ()
        if participant.attachments == {attachment}:
            return self._remove(participant, reason)
        effects = self._unpublish(p for p in participant.publications.values() if p.attachment == attachment)
        participant.attachments.discard(attachment)
        if attachment == SOCKET and participant.is_interrupted:
            participant.seat_until = None
            effects.extend(self._tell_others(participant, ParticipantBack(participant.id)))
        return tuple(effects)

    def interrupt(self, now: float, participant_id: str) -> Effects:
        """Its socket is lost. The seat and all routes are kept; the others are told."""
        participant = self.participant(participant_id)
        if participant.is_interrupted or not participant.has_socket:
            return ()
        participant.seat_until = now + self._limits.seat_s
        return tuple(self._tell_others(participant, ParticipantInterrupted(participant.id)))

    def leave(self, now: float, participant_id: str, reason: str = "left") -> Effects:
        """The participant goes, with all it has here. `reason`: left, or removed."""
        return self._remove(self.participant(participant_id), reason)

    def expire(self, now: float) -> Effects:
        """Give up the seats whose time is over."""
        effects: list[Effect] = []
        for participant in [p for p in self._participants.values() if p.seat_until is not None and p.seat_until <= now]:
            effects.extend(self.detach(now, participant.id, SOCKET, "timeout"))
        return tuple(effects)

    def next_expiry(self) -> float | None:
        """When `expire` has something to do, monotonic seconds."""
        return min((p.seat_until for p in self._participants.values() if p.seat_until is not None), default=None)

    def end(self, now: float, reason: str) -> Effects:
        """Everyone is told and goes."""
        effects: list[Effect] = [Tell(p.id, RoomEnded(reason)) for p in self._participants.values() if p.has_socket]
        effects.extend(Unroute(publication, subscriber) for publication, subscriber in sorted(self._routes))
        effects.extend(CloseParticipant(p.id, "ended") for p in self._participants.values())
        self._participants.clear()
        self._by_sub.clear()
        self._publications.clear()
        self._routes.clear()
        return tuple(effects)

    def admit(self, now: float, participant_id: str) -> Effects:
        """Who waited comes in: listed, told who is there, heard and hearing from now on."""
        participant = self.participant(participant_id)
        if participant.is_admitted:
            return ()
        participant.is_admitted = True
        effects: list[Effect] = [AdmissionChanged(participant.id, True)]
        if participant.has_socket:
            effects.append(Tell(participant.id, Admitted()))
            effects.extend(Tell(participant.id, ParticipantJoined(other.info())) for other in self._others(participant))
        effects.extend(self._enter(participant))
        for publication in participant.publications.values():
            effects.extend(self._route_to_all(publication))
        return tuple(effects)

    # ---------------------------------------------------------------- what they send

    def check_publish(self, participant_id: str) -> None:
        """Whether this participant may publish at all. Raises RemoteProtocolError forbidden."""
        if not policy.may_publish(self.participant(participant_id)):
            raise RemoteProtocolError("forbidden", "this role may not publish")

    def publish(
        self,
        now: float,
        participant_id: str,
        tracks: Sequence[TrackDescription],
        new_id: Callable[[], str],
        attachment: str = SOCKET,
    ) -> PublishDecision:
        """
        All that the participant sends on one connection from now on: what is new is published, what is missing is not
        any more, and a mute that differs is told.

        Raises RemoteProtocolError forbidden, or conflict when there would be too many publications.
        """
        participant = self.participant(participant_id)
        self.check_publish(participant_id)
        before = {p.mid: p for p in participant.publications.values() if p.attachment == attachment}
        elsewhere = len(participant.publications) - len(before)
        if elsewhere + len(tracks) > self._limits.max_publications:
            raise RemoteProtocolError("conflict", "more publications than one participant may have")
        if len({track.mid for track in tracks}) != len(tracks):
            raise RemoteProtocolError("bad_message", "two tracks name the same mid")
        kept = {t.mid for t in tracks if t.mid in before and _is_same(before[t.mid], t)}
        effects = self._unpublish(publication for mid, publication in before.items() if mid not in kept)
        publications: list[Publication] = []
        for track in tracks:
            if track.mid in kept:
                publication = before[track.mid]
                # A new offer says whether, not why: what was said of the reason holds.
                reason = publication.reason if track.is_muted else None
                effects.extend(self._set_muted(participant, publication, track.is_muted, reason))
                publication.profile = publication.profile if track.profile is None else track.profile
            else:
                publication = Publication(
                    id=new_id(),
                    participant=participant.id,
                    attachment=attachment,
                    mid=track.mid,
                    kind=track.kind,
                    source=track.source,
                    is_muted=track.is_muted,
                    is_encrypted=track.is_encrypted is not False,
                    profile=track.profile or "",
                )
                participant.publications[publication.id] = publication
                self._publications[publication.id] = publication
                if participant.is_admitted:
                    effects.extend(self._tell_others(participant, Published(participant.id, publication.info())))
                    effects.extend(self._route_to_all(publication))
            publications.append(publication)
        return PublishDecision(tuple(publications), tuple(effects))

    def mute(
        self, now: float, participant_id: str, publication_id: str, is_muted: bool, reason: str | None = None
    ) -> Effects:
        """
        The publisher says it is muted and why, or no longer. Raises RemoteProtocolError not_found if it is not its own.
        """
        participant = self.participant(participant_id)
        publication = participant.publications.get(publication_id)
        if publication is None:
            raise RemoteProtocolError("not_found", "this participant has no such publication")
        return tuple(self._set_muted(participant, publication, is_muted, reason if is_muted else None))

    def pause(self, now: float, participant_id: str, publication_id: str, is_paused: bool) -> Effects:
        """A subscriber wants it held back, or going again. Raises RemoteProtocolError not_found: it may not hear it."""
        participant = self.participant(participant_id)
        if (publication_id, participant_id) not in self._routes:
            raise RemoteProtocolError("not_found", "there is no such publication for this participant")
        if is_paused == (publication_id in participant.paused):
            return ()
        (participant.paused.add if is_paused else participant.paused.discard)(publication_id)
        return (Pause(publication_id, participant_id, is_paused),)

    # ---------------------------------------------------------------- within

    def _others(self, participant: Participant) -> list[Participant]:
        return [p for p in self._participants.values() if p.is_admitted and p is not participant]

    def _tell_others(self, participant: Participant, event: Event) -> list[Effect]:
        """Nobody hears of one who waits."""
        if not participant.is_admitted:
            return []
        return [Tell(other.id, event) for other in self._others(participant) if other.has_socket]

    def _check_free_seat(self, sub: str, role: str) -> None:
        seats, taken = self._limits.max_participants, len(self._participants)
        is_full = taken >= seats
        if not self._door(sub, role):
            may_wait = seats - lobby.seats_kept(seats)
            # Who enters at once and is there needs no seat kept; those who wait beside him may still not take them all.
            has_opener = any(self._door(each.sub, each.role) for each in self._participants.values())
            is_full |= (len(self.waiting) if has_opener else taken) >= may_wait
        if is_full:
            raise RemoteProtocolError("room_full", "the room has as many participants as it may have")

    def _create(self, sub: str, role: str, attachment: str, participant_id: str, secret: str) -> Participant:
        participant = Participant(participant_id, sub, role, self._door(sub, role), secret, {attachment})
        self._participants[participant.id] = participant
        self._by_sub[sub] = participant
        return participant

    def _enter(self, participant: Participant) -> Effects:
        """The others hear of a participant that is admitted, and it hears them."""
        if not participant.is_admitted:
            return ()
        effects = self._tell_others(participant, ParticipantJoined(participant.info()))
        for other in self._others(participant):
            for publication in other.publications.values():
                effects.extend(self._route(publication, participant))
        return tuple(effects)

    def _resume(self, participant: Participant, secret: str) -> Joined:
        participant.resume = secret
        effects: list[Effect] = []
        if participant.is_interrupted:
            participant.seat_until = None
            effects = self._tell_others(participant, ParticipantBack(participant.id))
        return Joined(participant, tuple(effects), True)

    def _attach(self, participant: Participant, role: str, attachment: str, secret: str) -> Joined:
        if participant.role != role:
            raise RemoteProtocolError("conflict", "this sub is in the room under another role")
        participant.attachments.add(attachment)
        participant.resume = secret
        return Joined(participant, (), False)

    def _remove(self, participant: Participant, reason: str) -> Effects:
        del self._participants[participant.id]
        del self._by_sub[participant.sub]
        for publication in participant.publications:
            del self._publications[publication]
        effects = self._unroute(
            {
                (p, subscriber)
                for p, subscriber in self._routes
                if p in participant.publications or subscriber == participant.id
            }
        )
        effects.extend(self._tell_others(participant, ParticipantLeft(participant.id, reason)))
        effects.append(CloseParticipant(participant.id, reason))
        return tuple(effects)

    def _unpublish(self, publications: Iterable[Publication]) -> list[Effect]:
        effects: list[Effect] = []
        for publication in list(publications):
            participant = self._participants[publication.participant]
            del participant.publications[publication.id]
            del self._publications[publication.id]
            effects.extend(self._unroute({pair for pair in self._routes if pair[0] == publication.id}))
            effects.extend(self._tell_others(participant, Unpublished(participant.id, publication.id)))
        return effects

    def _set_muted(
        self, participant: Participant, publication: Publication, is_muted: bool, reason: str | None
    ) -> list[Effect]:
        if (publication.is_muted, publication.reason) == (is_muted, reason):
            return []
        publication.is_muted, publication.reason = is_muted, reason
        return self._tell_others(participant, MuteChanged(participant.id, publication.id, is_muted, reason))

    def _route_to_all(self, publication: Publication) -> list[Effect]:
        return [effect for other in self._participants.values() for effect in self._route(publication, other)]

    def _route(self, publication: Publication, subscriber: Participant) -> list[Effect]:
        pair = (publication.id, subscriber.id)
        if pair in self._routes or not policy.may_subscribe(subscriber, self._participants[publication.participant]):
            return []
        self._routes.add(pair)
        return [Route(*pair)]

    def _unroute(self, gone: set[tuple[str, str]]) -> list[Effect]:
        self._routes -= gone
        for publication, subscriber in gone:
            if subscriber in self._participants:
                self._participants[subscriber].paused.discard(publication)
        return [Unroute(*pair) for pair in sorted(gone)]


def _is_same(publication: Publication, track: TrackDescription) -> bool:
    is_kept = track.is_encrypted in (None, publication.is_encrypted)
    return is_kept and (publication.kind, publication.source) == (track.kind, track.source)
