"""
The WebSocket's messages: JSON text frames of one object each. docs/signaling.md is normative.

Sans-I/O. What a client sends is decoded against one table of fields; whatever that table does not name is refused,
which also bounds depth. What it is sent is encoded from frozen values.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from telerelay import events
from telerelay.events import ParticipantInfo, PublicationInfo
from telerelay.protocol.fields import (
    MAX_ID,
    MAX_MESSAGE_BYTES,
    Field,
    any_text,
    bad,
    boolean,
    decoded,
    fields_of,
    ignored,
    integer,
    number,
    one_of,
    room,
    text,
    word,
)

_MAX_SEQ = 2**53 - 1  # what JavaScript counts exactly
_MAX_TRACKS = 32
MAX_CHAT_CHARS = 2000
"""Of one chat message: a page of a letter is a document."""
_MAX_REPORTED = 256  # of a participant's own, and of all whom a room may hold beside it
MUTE_REASONS = ("user", "source", "interrupted", "device_lost", "permission_denied")
"""
Why a publication is muted: its owner wants it so; the system or a switch keeps the source silent; so does a phone call
or a page put to sleep; the device is gone; the browser may not use it any more. From these others make their words.
"""

ConnectionName = Literal["publish", "subscribe"]

# -------------------------------------------------------------------- client to relay


@dataclass(frozen=True, slots=True)
class Join:
    """First of all. `resume`: the seat's secret; `last_seq`: last event seen; `keeps_media`: its connections live."""

    id: int | None
    room: str
    token: str
    resume: str | None = None
    keeps_media: bool = False
    last_seq: int | None = None


@dataclass(frozen=True, slots=True)
class PublishedTrack:
    """
    `is_encrypted`: whether its frames are encrypted end to end; `profile`: what a picture must not lose, one of
    PROFILES. None: not said.
    """

    mid: str
    source: str
    is_muted: bool = False
    is_encrypted: bool | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    id: int | None
    sdp: str
    tracks: tuple[PublishedTrack, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    id: int | None
    offer_id: int
    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Taken and ignored: the relay is ICE-lite and sends to no address it is told (A22)."""

    id: int | None
    connection: ConnectionName


@dataclass(frozen=True, slots=True)
class Mute:
    id: int | None
    publication: str
    is_muted: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    id: int | None
    publication: str
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Stats:
    id: int | None


@dataclass(frozen=True, slots=True)
class Reconnect:
    id: int | None
    connection: ConnectionName


@dataclass(frozen=True, slots=True)
class Restart:
    """The client moved: restart ICE where the relay offers. Where the client offers, its next offer restarts it."""

    id: int | None
    connection: Literal["subscribe"] = "subscribe"


@dataclass(frozen=True, slots=True)
class ReportedTrack:
    """
    What only the client can see of a publication, over the last seconds. Of somebody else's: `concealed`, the share (0
    to 1) of its sound that was made up, `frozen`, that of the time its picture stood still, `buffer_ms`, what the
    player waits. Of an own one: `is_limited`, whether the line holds its encoder back. Of either `frames_per_s`. None:
    not told.
    """

    publication: str
    concealed: float | None = None
    frozen: float | None = None
    buffer_ms: float | None = None
    frames_per_s: float | None = None
    is_limited: bool | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the client sees of the call; each takes the place of the one before."""

    id: int | None
    tracks: tuple[ReportedTrack, ...] = ()


@dataclass(frozen=True, slots=True)
class Chat:
    """Say something in writing to everyone who is in."""

    id: int | None
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MoveCamera:
    """
    Move a participant's camera: `pan` to the right, `tilt` up, `zoom` in, each a share of all that it can, -1 to 1 from
    where it is; or, `is_home`, back to where it began.
    """

    id: int | None
    participant: str
    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0
    is_home: bool = False


PROFILES = ("talk", "motion", "detail")
"""What a picture must not lose where it cannot have everything: the allocator's words (allocator/tracks.py)."""
CAMERA_OUTCOMES = ("done", "refused", "unsupported", "failed")
"""What became of a camera command at its device; `refused`: whoever is there did not want it."""


@dataclass(frozen=True, slots=True)
class CameraMoved:
    """A device's answer to a command: `outcome` is one of CAMERA_OUTCOMES, the rest where it stands now, 0 to 1."""

    id: int | None
    command: int
    outcome: str
    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    id: int | None


@dataclass(frozen=True, slots=True)
class Admit:
    """Let one person in who waits. For whoever decides; `participant` is the id of the waiting room."""

    id: int | None
    participant: str


@dataclass(frozen=True, slots=True)
class Deny:
    """Send one person away who waits."""

    id: int | None
    participant: str


@dataclass(frozen=True, slots=True)
class End:
    """The consult is over, for everyone."""

    id: int | None


@dataclass(frozen=True, slots=True)
class Priority:
    """The consult is an emergency, or is none any more."""

    id: int | None
    is_emergency: bool


@dataclass(frozen=True, slots=True)
class RequestStill:
    """Ask a participant for a still. `label` is what of, a word; `reason` is read by whoever is asked."""

    id: int | None
    participant: str
    label: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnswerStill:
    """What becomes of a still that is asked for: allowed or refused; having been allowed, failed."""

    id: int | None
    request: str
    answer: str


@dataclass(frozen=True, slots=True)
class WithdrawStill:
    """A still that one asked for is wanted no more."""

    id: int | None
    request: str


@dataclass(frozen=True, slots=True)
class AskRecording:
    """Have the consult recorded: everybody who is in is asked."""

    id: int | None


@dataclass(frozen=True, slots=True)
class AnswerRecording:
    """Agree to a recording, or not, or no longer."""

    id: int | None
    recording: str
    is_given: bool


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Have it stopped."""

    id: int | None


RecordingMessage = AskRecording | AnswerRecording | StopRecording

StillMessage = RequestStill | AnswerStill | WithdrawStill

Decision = Admit | Deny | End | Priority
"""What only a decider of a consult may ask for."""

Object = Chat | MoveCamera | CameraMoved
"""What people share beside picture and sound."""

Request = (
    Join
    | Publish
    | Answer
    | Candidate
    | Mute
    | Pause
    | Stats
    | Report
    | Reconnect
    | Restart
    | Leave
    | Decision
    | Object
    | StillMessage
    | RecordingMessage
)

# -------------------------------------------------------------------- relay to client


@dataclass(frozen=True, slots=True)
class Reply:
    """Answers the request of that id; `body` becomes the object's other members (see joined and published)."""

    id: int
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """Answers the request of that id, or, without one, speaks of the connection."""

    id: int | None
    code: str
    message: str


def joined(
    *,
    participant: str,
    sub: str,
    role: str,
    resume: str,
    is_resumed: bool,
    is_admitted: bool,
    participants: tuple[ParticipantInfo, ...],
    seq: int,
    codecs: Mapping[str, tuple[str, ...]],
) -> dict[str, object]:
    """The body that answers a join."""
    return {
        "participant": participant,
        "sub": sub,
        "role": role,
        "resume": resume,
        "resumed": is_resumed,
        "admitted": is_admitted,
        "participants": [participant_object(other) for other in participants],
        "seq": seq,
        "ice_servers": [],
        "codecs": {kind: list(names) for kind, names in codecs.items()},
    }


def published(sdp: str, publications: tuple[tuple[str, PublicationInfo], ...]) -> dict[str, object]:
    """The body that answers a publish: the SDP answer, and the publication of each mid."""
    return {
        "sdp": sdp,
        "publications": [
            {"id": info.id, "mid": mid, "kind": info.kind, "source": info.source} for mid, info in publications
        ],
    }


def publication_object(info: PublicationInfo) -> dict[str, object]:
    fields: dict[str, object] = {"id": info.id, "kind": info.kind, "source": info.source, "muted": info.is_muted}
    return fields | _reason_of(info.reason)


def _reason_of(reason: str | None) -> dict[str, object]:
    return {} if reason is None else {"reason": reason}


def participant_object(info: ParticipantInfo) -> dict[str, object]:
    return {
        "id": info.id,
        "sub": info.sub,
        "role": info.role,
        "interrupted": info.is_interrupted,
        "publications": [publication_object(publication) for publication in info.publications],
    }


def encode(message: Reply | ErrorReply | events.Event | events.Sign, seq: int | None = None) -> str:
    """JSON text. `seq` numbers an event; replies, errors and signs have none."""
    match message:
        case Reply(request_id, body):
            fields: dict[str, object] = {"type": "reply", "id": request_id, **body}
        case ErrorReply(request_id, code, text):
            fields = {"type": "error"} | ({} if request_id is None else {"id": request_id})
            fields |= {"code": code, "message": text}
        case _:
            fields = _event_object(message)
            if seq is not None:
                fields["seq"] = seq
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def _score_object(score: events.ScoreInfo | None) -> dict[str, object] | None:
    return None if score is None else {"score": score.score, "cause": score.cause or None}


def _limit_object(publication: str, limit: events.Limit) -> dict[str, object]:
    fields: dict[str, object] = {"publication": publication}
    if limit.max_bps is not None:
        fields["max_bps"] = limit.max_bps
    if limit.rids is not None:
        fields["rids"] = list(limit.rids)
    return fields


def _waiting_object(person: events.WaitingPerson) -> dict[str, object]:
    return {
        "participant": person.participant,
        "sub": person.sub,
        "role": person.role,
        "since": person.since,
        "emergency": person.is_emergency,
        "interrupted": person.is_interrupted,
    }


def _document_object(info: events.DocumentInfo) -> dict[str, object]:
    return {
        "id": info.id,
        "sub": info.sub,
        "role": info.role,
        "kind": info.what,
        "name": info.name,
        "media_type": info.media_type,
        "label": info.label,
        "size_bytes": info.size_bytes,
        "sha256": info.sha256,
        "at": info.at,
        "request": info.request,
        "source": info.source,
    }


def document_objects(infos: tuple[events.DocumentInfo, ...]) -> list[dict[str, object]]:
    """The list of the sign `documents`, which is that of GET /documents."""
    return [_document_object(each) for each in infos]


def _still_object(still: events.StillInfo) -> dict[str, object]:
    return {
        "request": still.request,
        "sub": still.sub,
        "by": still.by,
        "by_role": still.by_role,
        "state": still.state,
        "until": still.until,
        "label": still.label,
        "reason": still.reason,
        "document": still.document,
    }


def _event_object(event: events.Event | events.Sign) -> dict[str, object]:
    match event:
        case events.QualityChanged(up, down):
            return {"type": "quality", "up": _score_object(up), "down": _score_object(down)}
        case events.LimitsChanged(limits):
            return {"type": "limits", "tracks": [_limit_object(*each) for each in limits]}
        case events.TrackStateChanged(publication_id, state, reason):
            return {"type": "track_state", "publication": publication_id, "state": state, "reason": reason}
        case events.SeenByChanged(publication_id, state, participant_id):
            return {"type": "seen_by", "publication": publication_id, "state": state, "participant": participant_id}
        case events.SpeakerChanged(speaker):
            return {"type": "speaker", "participant": speaker}
        case events.OfferMade(offer_id, sdp, tracks):
            listed = [
                {
                    "mid": track.mid,
                    "participant": track.participant,
                    "publication": track.publication,
                    "kind": track.kind,
                    "source": track.source,
                    "muted": track.is_muted,
                }
                for track in tracks
            ]
            return {"type": "offer", "offer_id": offer_id, "sdp": sdp, "tracks": listed}
        case events.ParticipantJoined(participant):
            return {"type": "participant_joined", "participant": participant_object(participant)}
        case events.ParticipantLeft(participant_id, reason):
            return {"type": "participant_left", "participant": participant_id, "reason": reason}
        case events.ParticipantInterrupted(participant_id):
            return {"type": "participant_interrupted", "participant": participant_id}
        case events.ParticipantBack(participant_id):
            return {"type": "participant_back", "participant": participant_id}
        case events.Published(participant_id, publication):
            return {
                "type": "published",
                "participant": participant_id,
                "publication": publication_object(publication),
            }
        case events.Unpublished(participant_id, publication_id):
            return {"type": "unpublished", "participant": participant_id, "publication": publication_id}
        case events.MuteChanged(participant_id, publication_id, is_muted, reason):
            return {
                "type": "muted",
                "participant": participant_id,
                "publication": publication_id,
                "muted": is_muted,
            } | _reason_of(reason)
        case events.ConnectionChanged(connection, state):
            return {"type": "connection", "connection": connection, "state": state}
        case events.SubscriptionRefused(publication_id, code):
            return {"type": "refused", "publication": publication_id, "code": code}
        case events.ChannelRefused(label, code):
            return {"type": "channel_refused", "label": label, "code": code}
        case events.ChatSaid(participant_id, message_id, text, at):
            return {"type": "chat", "participant": participant_id, "message": message_id, "text": text, "at": at}
        case events.CameraAsked(command, participant_id, pan, tilt, zoom, is_home):
            moves = {"pan": pan, "tilt": tilt, "zoom": zoom, "home": is_home}
            return {"type": "camera", "command": command, "participant": participant_id} | moves
        case events.ConsultChanged(state, since, is_emergency):
            return {"type": "consult", "state": state, "since": since, "emergency": is_emergency}
        case events.WaitingChanged(position, since, is_held):
            return {"type": "waiting", "position": position, "since": since, "held": is_held}
        case events.WaitingContentChanged(items):
            shown = [{"id": each.id, "kind": each.kind, "url": each.url, "title": each.title} for each in items]
            return {"type": "waiting_content", "items": shown}
        case events.DocumentsChanged(documents):
            return {"type": "documents", "documents": document_objects(documents)}
        case events.StillsChanged(stills):
            return {"type": "stills", "stills": [_still_object(each) for each in stills]}
        case events.RecordingChanged():
            return {
                "type": "recording",
                "recording": event.recording,
                "state": event.state,
                "since": event.since,
                "why": event.why,
                "by": event.by,
                "by_role": event.by_role,
                "asked": event.is_asked,
                "agreed": event.has_agreed,
                "missing": list(event.missing),
            }
        case events.WaitingRoomChanged(people):
            return {"type": "waiting_room", "people": [_waiting_object(each) for each in people]}
        case events.ReceiptMade(attestation, video_s, audio_s):
            return {
                "type": "receipt",
                "attestation": attestation,
                "two_way_video_s": video_s,
                "two_way_audio_s": audio_s,
            }
        case events.Admitted():
            return {"type": "admitted"}
        case events.JoinDuplicated():
            return {"type": "duplicate_join"}
        case events.RoomEnded(reason):
            return {"type": "ended", "reason": reason}
        case events.DrainStarted():
            return {"type": "draining"}


# -------------------------------------------------------------------- decoding


def _words(value: object, where: str) -> str:
    """What somebody wrote: lines may end, and nothing else that does not print."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_CHAT_CHARS or not value.strip():
        bad(f"{where} must be a string of 1 to {MAX_CHAT_CHARS} characters, and not blank")
    if any((char < " " and char not in "\n\t") or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in value):
        bad(f"{where} holds characters that it may not hold")
    return value


def _tracks(value: object, where: str) -> tuple[PublishedTrack, ...]:
    if not isinstance(value, list) or len(value) > _MAX_TRACKS:
        bad(f"{where} must be a list of at most {_MAX_TRACKS} objects")
    tracks = []
    for index, item in enumerate(value):
        fields = fields_of(item, _TRACK, f"{where}[{index}]")
        tracks.append(
            PublishedTrack(
                fields["mid"],
                fields.get("source", "camera"),
                fields.get("muted", False),
                fields.get("encrypted"),
                fields.get("profile"),
            )
        )
    return tuple(tracks)


def _reported(value: object, where: str) -> tuple[ReportedTrack, ...]:
    if not isinstance(value, list) or len(value) > _MAX_REPORTED:
        bad(f"{where} must be a list of at most {_MAX_REPORTED} objects")
    tracks = []
    for index, item in enumerate(value):
        fields = fields_of(item, _REPORTED, f"{where}[{index}]")
        is_limited = fields.pop("limited", None)
        tracks.append(ReportedTrack(**fields, is_limited=is_limited))
    return tuple(tracks)


_CONNECTION = Field(one_of("publish", "subscribe"))
_IGNORED = Field(ignored, is_required=False)
_TRACK = {
    "mid": Field(word),
    "source": Field(word, is_required=False),
    "muted": Field(boolean, is_required=False),
    "encrypted": Field(boolean, is_required=False),
    "profile": Field(one_of(*PROFILES), is_required=False),
}
_SHARE = Field(number(0, 1), is_required=False)
_STEP = Field(number(-1, 1), is_required=False)
_REPORTED = {
    "publication": Field(word),
    "concealed": _SHARE,
    "frozen": _SHARE,
    "buffer_ms": Field(number(0, 60_000), is_required=False),
    "frames_per_s": Field(number(0, 1_000), is_required=False),
    "limited": Field(boolean, is_required=False),
}

_REQUESTS: dict[str, tuple[dict[str, Field], Callable[[dict[str, Any]], Request]]] = {
    "join": (
        {
            "room": Field(room),
            "token": Field(text(4096)),
            "resume": Field(text(128), is_required=False),
            "media": Field(one_of("keep", "new"), is_required=False),
            "last_seq": Field(integer(0, _MAX_SEQ), is_required=False),
        },
        lambda f: Join(
            f.get("id"), f["room"], f["token"], f.get("resume"), f.get("media") == "keep", f.get("last_seq")
        ),
    ),
    "publish": (
        {"sdp": Field(any_text), "tracks": Field(_tracks, is_required=False)},
        lambda f: Publish(f.get("id"), f["sdp"], f.get("tracks", ())),
    ),
    "answer": (
        {"offer_id": Field(integer(1, MAX_ID)), "sdp": Field(any_text)},
        lambda f: Answer(f.get("id"), f["offer_id"], f["sdp"]),
    ),
    "candidate": (
        {
            "connection": _CONNECTION,
            "candidate": _IGNORED,
            "sdp_mid": _IGNORED,
            "sdp_mline_index": _IGNORED,
            "username_fragment": _IGNORED,
        },
        lambda f: Candidate(f.get("id"), f["connection"]),
    ),
    "mute": (
        {
            "publication": Field(word),
            "muted": Field(boolean),
            "reason": Field(one_of(*MUTE_REASONS), is_required=False),
        },
        lambda f: Mute(f.get("id"), f["publication"], f["muted"], f.get("reason")),
    ),
    "pause": (
        {"publication": Field(word), "paused": Field(boolean)},
        lambda f: Pause(f.get("id"), f["publication"], f["paused"]),
    ),
    "report": (
        {"tracks": Field(_reported)},
        lambda f: Report(f.get("id"), f["tracks"]),
    ),
    "stats": ({}, lambda f: Stats(f.get("id"))),
    "reconnect": ({"connection": _CONNECTION}, lambda f: Reconnect(f.get("id"), f["connection"])),
    "restart": ({"connection": Field(one_of("subscribe"))}, lambda f: Restart(f.get("id"), f["connection"])),
    "chat": ({"text": Field(_words)}, lambda f: Chat(f.get("id"), f["text"])),
    "move_camera": (
        {
            "participant": Field(word),
            "pan": _STEP,
            "tilt": _STEP,
            "zoom": _STEP,
            "home": Field(boolean, is_required=False),
        },
        lambda f: MoveCamera(
            f.get("id"),
            f["participant"],
            f.get("pan", 0.0),
            f.get("tilt", 0.0),
            f.get("zoom", 0.0),
            f.get("home", False),
        ),
    ),
    "camera_moved": (
        {
            "command": Field(integer(1, MAX_ID)),
            "outcome": Field(one_of(*CAMERA_OUTCOMES)),
            "pan": _SHARE,
            "tilt": _SHARE,
            "zoom": _SHARE,
        },
        lambda f: CameraMoved(f.get("id"), f["command"], f["outcome"], f.get("pan"), f.get("tilt"), f.get("zoom")),
    ),
    "leave": ({}, lambda f: Leave(f.get("id"))),
    "admit": ({"participant": Field(word)}, lambda f: Admit(f.get("id"), f["participant"])),
    "deny": ({"participant": Field(word)}, lambda f: Deny(f.get("id"), f["participant"])),
    "end": ({}, lambda f: End(f.get("id"))),
    "request_still": (
        {
            "participant": Field(word),
            "label": Field(word, is_required=False),
            "reason": Field(text(256), is_required=False),
        },
        lambda f: RequestStill(f.get("id"), f["participant"], f.get("label", ""), f.get("reason", "")),
    ),
    "answer_still": (
        {"request": Field(word), "answer": Field(one_of("allowed", "refused", "failed"))},
        lambda f: AnswerStill(f.get("id"), f["request"], f["answer"]),
    ),
    "withdraw_still": ({"request": Field(word)}, lambda f: WithdrawStill(f.get("id"), f["request"])),
    "ask_recording": ({}, lambda f: AskRecording(f.get("id"))),
    "answer_recording": (
        {"recording": Field(word), "agreed": Field(boolean)},
        lambda f: AnswerRecording(f.get("id"), f["recording"], f["agreed"]),
    ),
    "stop_recording": ({}, lambda f: StopRecording(f.get("id"))),
    "priority": ({"emergency": Field(boolean)}, lambda f: Priority(f.get("id"), f["emergency"])),
}


def decode(message: str, max_bytes: int = MAX_MESSAGE_BYTES) -> Request:
    """
    A client's message. Raises RemoteProtocolError bad_message, naming the field, or too_large.
    """
    request: Request = decoded(_REQUESTS, message, max_bytes)
    return request


def request_id(text: str) -> int | None:
    """The id of a message that `decode` refused, where it has one: so that the refusal can name it."""
    try:
        value = json.loads(text) if len(text) <= MAX_MESSAGE_BYTES else None
    except (ValueError, RecursionError):
        return None
    found = value.get("id") if isinstance(value, dict) else None
    return found if type(found) is int and 1 <= found <= MAX_ID else None
