"""
What participants are told: frozen values made by rooms and connections, written as JSON by protocol.messages.

A participant's events are numbered ("seq"); the numbers are not part of the values. docs/signaling.md has the words.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PublicationInfo:
    """A publication as everyone in the room may know it; `source` is the publisher's word (camera, screen…)."""

    id: str
    kind: str
    source: str
    is_muted: bool = False
    reason: str | None = None
    """Why it is muted, in the publisher's word (protocol.messages.MUTE_REASONS); none: it did not say."""


@dataclass(frozen=True, slots=True)
class ParticipantInfo:
    """A participant as everyone in the room may know it."""

    id: str
    sub: str
    role: str
    is_interrupted: bool = False
    publications: tuple[PublicationInfo, ...] = ()


@dataclass(frozen=True, slots=True)
class OfferedTrackInfo:
    """What one section of an offer carries."""

    mid: str
    participant: str
    publication: str
    kind: str
    source: str
    is_muted: bool = False


@dataclass(frozen=True, slots=True)
class OfferMade:
    """The relay offers what the participant is to receive; it answers with the same offer_id."""

    offer_id: int
    sdp: str
    tracks: tuple[OfferedTrackInfo, ...]


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    participant: ParticipantInfo


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """`reason` is one of left, timeout, duplicate_join, removed."""

    participant: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParticipantInterrupted:
    """Its socket is lost, its seat is kept."""

    participant: str


@dataclass(frozen=True, slots=True)
class ParticipantBack:
    participant: str


@dataclass(frozen=True, slots=True)
class Published:
    participant: str
    publication: PublicationInfo


@dataclass(frozen=True, slots=True)
class Unpublished:
    participant: str
    publication: str


@dataclass(frozen=True, slots=True)
class MuteChanged:
    participant: str
    publication: str
    is_muted: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """One of the participant's own connections ("publish" or "subscribe") has another tr_transport_state, by name."""

    connection: str
    state: str


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """This publication cannot be sent to this participant; `code` says why."""

    publication: str
    code: str


@dataclass(frozen=True, slots=True)
class ChannelRefused:
    """A data channel of the participant's, or a message on it, was not taken; `code` says why."""

    label: str
    code: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The participant waited and was let in: what comes from now on is of the room."""


@dataclass(frozen=True, slots=True)
class JoinDuplicated:
    """The same sub joined elsewhere; the newest wins and this one is closed."""


@dataclass(frozen=True, slots=True)
class ScoreInfo:
    """How good one direction is: 1 to 5, and of less than 5 the worst cause, of quality.CAUSES."""

    score: int
    cause: str = ""


@dataclass(frozen=True, slots=True)
class QualityChanged:
    """
    How good the call is for the participant itself: what it sends, and what it is sent; None: nothing to judge. A sign:
    not numbered, and not kept for who is away.
    """

    up: ScoreInfo | None
    down: ScoreInfo | None


@dataclass(frozen=True, slots=True)
class Limit:
    """
    What is worth sending of one publication: at most `max_bps` (bit/s on all encodings together; None: as much as there
    is), of these `rids` (None: all; empty: nothing at all, nobody gets it).
    """

    max_bps: int | None = None
    rids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The limits of a participant's own publications; of one that is not in it there is none. A sign."""

    limits: tuple[tuple[str, Limit], ...]


@dataclass(frozen=True, slots=True)
class TrackStateChanged:
    """
    The relay holds somebody else's picture back from the participant ("paused"), or sends it again ("live"); `reason`
    is "line", for lack of room on the participant's own line, or "unwanted", because its publisher sends nothing that
    fits. A sign.
    """

    publication: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class SeenByChanged:
    """One of the participant's own pictures is held back from another ("paused"), whose line is too weak for it, or it
    reaches that one again ("live"). A sign."""

    publication: str
    state: str
    participant: str


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """Who speaks, by audio level; None: nobody is known to. A sign."""

    participant: str | None


@dataclass(frozen=True, slots=True)
class ConsultChanged:
    """
    Where the room's consult is: `state` of telerelay.consult.states, in small letters, `since` (Unix seconds). A sign.
    """

    state: str
    since: float
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class WaitingChanged:
    """
    The participant waits: how many are to come in before it and one, 1 being the next, and since when (Unix seconds).
    `is_held`: there is no room for more consults at the moment. A sign.
    """

    position: int
    since: float
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One thing to show to who waits: `kind` is video, audio or page, `url` a path of the page's origin or https."""

    id: str
    kind: str
    url: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class WaitingContentChanged:
    """What the participant is shown while it waits, in this order. A sign."""

    items: tuple[ContentItem, ...]


@dataclass(frozen=True, slots=True)
class WaitingPerson:
    """Somebody who waits, as whoever decides may know it; `since` in Unix seconds."""

    participant: str
    sub: str
    role: str
    since: float
    is_emergency: bool = False
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class WaitingRoomChanged:
    """Who waits to be let in, the next one first. A sign, for whoever decides."""

    people: tuple[WaitingPerson, ...]


@dataclass(frozen=True, slots=True)
class ReceiptMade:
    """
    A consult has ended and is attested: by this digest (SHA-256, in hex), with so many seconds in which two saw, or
    heard, each other.
    """

    attestation: str
    two_way_video_s: float
    two_way_audio_s: float


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """
    A document or still that is here: `sub` and `role` are its sender's, `at` when it was complete (Unix seconds),
    `sha256` in hex. Of a still, `request` is what it answers, `source` photo or, of lesser quality, frame.
    """

    id: str
    sub: str
    role: str
    what: str
    name: str
    media_type: str
    label: str
    size_bytes: int
    sha256: str
    at: float
    request: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class DocumentsChanged:
    """All documents and stills that the participant may have, oldest first. A sign."""

    documents: tuple[DocumentInfo, ...]


@dataclass(frozen=True, slots=True)
class StillInfo:
    """
    A still that `by` asked for of `sub`, and why. `state`: asked, allowed, or how it ended: taken, refused, timeout,
    forbidden, failed, withdrawn. `until` is how long it may take from where it is (Unix seconds), 0: it is over.
    """

    request: str
    sub: str
    by: str
    by_role: str
    state: str
    until: float = 0.0
    label: str = ""
    reason: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class StillsChanged:
    """Stills that were asked for, of the participant or by it; of a decider all. Oldest first. A sign."""

    stills: tuple[StillInfo, ...]


@dataclass(frozen=True, slots=True)
class RecordingChanged:
    """
    The consult's recording: `state` none, asked, running, paused or stopped, since then (Unix seconds), and `why`;
    `by` asked for it. `is_asked`: the participant has a say; `has_agreed`: it said yes. `missing` are the subs of those
    who have not. A sign.
    """

    recording: str
    state: str
    since: float
    why: str
    by: str
    by_role: str
    is_asked: bool
    has_agreed: bool
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoomEnded:
    reason: str


@dataclass(frozen=True, slots=True)
class DrainStarted:
    """The relay takes no new rooms; this call goes on."""


@dataclass(frozen=True, slots=True)
class ChatSaid:
    """A participant wrote something, at `at` (Unix seconds); `message` is its id."""

    participant: str
    message: str
    text: str = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class CameraAsked:
    """`participant` asks that the own camera be moved, by shares of all that it can, or back to where it began."""

    command: int
    participant: str
    pan: float
    tilt: float
    zoom: float
    is_home: bool


Event = (
    OfferMade
    | ParticipantJoined
    | ParticipantLeft
    | ParticipantInterrupted
    | ParticipantBack
    | Published
    | Unpublished
    | MuteChanged
    | ConnectionChanged
    | SubscriptionRefused
    | ChannelRefused
    | ChatSaid
    | Admitted
    | JoinDuplicated
    | RoomEnded
    | DrainStarted
)
"""Everything a participant is told that is numbered, and kept for when its socket is back."""

Sign = (
    QualityChanged
    | LimitsChanged
    | TrackStateChanged
    | SeenByChanged
    | SpeakerChanged
    | CameraAsked
    | ConsultChanged
    | WaitingChanged
    | WaitingContentChanged
    | WaitingRoomChanged
    | ReceiptMade
    | DocumentsChanged
    | StillsChanged
    | RecordingChanged
)
"""What is told as it is now, to who is there: neither numbered nor kept."""
