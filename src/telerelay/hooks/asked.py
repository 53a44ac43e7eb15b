"""
What the relay asks an application: the question of each decision, its answers, and the answer without one.

Pure words and one table. A decision has an answer where nobody has a rule (`unruled`) and one where the rule failed
(`closed`): it took too long, raised, or answered what is no answer. Closed never opens anything.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from telerelay.protocol.names import is_sub

Claim = bool | int | float | str
SurgeAnswer = Literal["hold", "take", "refuse"]
DegradeAnswer = Literal["usual", "keep", "audio_only"]
AdmitAnswer = Literal["wait", "admit", "deny"]
ContentKind = Literal["image", "video", "audio", "page", "text"]

# Answers are bounded, so that no rule makes a page or an attestation as large as it likes.
MAX_PEOPLE = 32  # whom one consult rings: a duty roster, not a directory
MAX_ITEMS = 16  # what one waiting person is shown
MAX_CLAIMS = 64  # of one policy, in an attestation
MAX_TEXT_CHARS = 1024
MAX_CLAIM_CHARS = 128  # a word or two: what explains is `reason`
MAX_URL_CHARS = 2048
# Integers that every reader of JSON reads alike (RFC 8785, 3.2.2.3; RFC 7493, 2.2).
MAX_INTEGER = 2**53 - 1


class Nonsense(ValueError):
    """A rule's answer is none of those there are. Its words never hold what was answered."""


# -------------------------------------------------------------------- questions


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """
    Someone with a valid token wants into a room. Not asked when he comes back to the seat that is kept for him.
    `tenant` and `is_emergency` are the consult's, "" and False where the room has none.
    """

    room: str
    sub: str
    role: str
    tenant: str = ""
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """
    Whose desk is a consult for? `queue` and `region` are its plan's, "" where it names none. `attempt` counts from 1:
    another desk is asked for when nobody of `tried` (queues of the attempts before) took it.
    """

    room: str
    tenant: str
    queue: str
    region: str
    is_emergency: bool
    attempt: int = 1
    tried: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdmitRequest:
    """
    Someone waits, since `since` (Unix seconds), at `position` of the queue, from 1. Is he let in, and by whom, or does
    he wait for a decider who is there?
    """

    room: str
    tenant: str
    queue: str
    sub: str
    role: str
    since: float
    position: int
    is_emergency: bool = False


@dataclass(frozen=True, slots=True)
class SurgeRequest:
    """
    There is no room for one more consult beside what is kept for emergencies. All in packets forwarded a second:
    what it costs, what is in use, what there is. `held` counts those who are held already.
    """

    room: str
    tenant: str
    queue: str
    is_emergency: bool
    costs_packets_per_s: float
    used_packets_per_s: float
    capacity_packets_per_s: float
    held: int


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """Someone wants to send a track. `kind` is audio or video; `source` is the client's own word."""

    room: str
    sub: str
    role: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """Someone is about to be sent a track of another's, `publisher` being that one's sub."""

    room: str
    sub: str
    role: str
    publisher: str
    publisher_role: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class ChannelRequest:
    """Someone wants to open a data channel. `label` is the client's own word."""

    room: str
    sub: str
    role: str
    label: str


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """Someone wants to move the camera of `target` (a sub), who is in the room."""

    room: str
    sub: str
    role: str
    target: str
    target_role: str


@dataclass(frozen=True, slots=True)
class DocumentRequest:
    """
    Someone in a consult wants to send a document or still (`action` "send"), or is about to be handed one ("read").
    `what` is document or still, `label` and `media_type` are the sender's own words. Its name is not told.
    """

    room: str
    sub: str
    role: str
    action: Literal["send", "read"]
    what: str
    label: str
    media_type: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StillRequest:
    """`by` wants a still of what `sub` shows, who will be asked. `label` is what of, the asker's own word."""

    room: str
    by: str
    by_role: str
    sub: str
    role: str
    label: str


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """
    `by` wants the consult recorded: everybody who is in will be asked. `policy` is the plan's, by its id. `role` is ""
    where the host asks in that name.
    """

    room: str
    tenant: str
    policy: str
    by: str
    role: str


@dataclass(frozen=True, slots=True)
class WaitingRequest:
    """Someone waits: what is he shown meanwhile?"""

    room: str
    tenant: str
    queue: str
    region: str
    sub: str
    role: str


@dataclass(frozen=True, slots=True)
class AttestRequest:
    """A consult has ended. `attestation` is what is about to be signed, as JSON has it, without the policy's part."""

    room: str
    policy: str
    policy_date: str
    attestation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DegradeRequest:
    """
    A line to `sub` (`direction` "down"), or from him ("up"), no longer carries all there is. `bps` is what it is
    estimated to carry.
    """

    room: str
    sub: str
    role: str
    direction: Literal["up", "down"]
    source: str
    bps: int


# -------------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Route:
    """The desk (an opaque id) a consult waits at, and whose phones ring for it."""

    queue: str
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """`by` is the name, an opaque id, that the journal has for it: of a person or of the rule; needed but to wait."""

    answer: AdmitAnswer
    by: str = ""


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """
    One thing to show: `url` is a path of the page's own origin or an https address, and "" of a text, which is its
    title.
    """

    id: str
    kind: ContentKind
    url: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class WaitingContent:
    """What is shown to who waits, in this order; nothing is an answer too."""

    items: tuple[WaitingItem, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """
    What a dated policy of the host's says of an ended consult, signed with the rest. `claims` are flat: words to
    true or false, numbers or words, such as `reimbursable`. `reason` explains the outcome to people.
    """

    policy: str
    date: str
    outcome: str
    claims: Mapping[str, Claim] = field(default_factory=dict)
    reason: str = ""


# -------------------------------------------------------------------- what is an answer


def _is_bool(answer: object) -> bool:
    return answer is True or answer is False


def _is_text(value: object, max_chars: int = MAX_TEXT_CHARS) -> bool:
    # Half a surrogate pair can be written to no file and signed by nobody.
    return (
        isinstance(value, str) and len(value) <= max_chars and not any("\ud800" <= char <= "\udfff" for char in value)
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and is_sub(value)


def _is_route(answer: object) -> bool:
    return (
        isinstance(answer, Route)
        and (answer.queue == "" or _is_id(answer.queue))
        and isinstance(answer.people, tuple)
        and len(answer.people) <= MAX_PEOPLE
        and all(map(_is_id, answer.people))
    )


def _is_admission(answer: object) -> bool:
    if not isinstance(answer, Admission) or answer.answer not in get_args(AdmitAnswer):
        return False
    return _is_id(answer.by) or (answer.answer == "wait" and answer.by == "")


def _is_url(value: object) -> bool:
    if not _is_text(value, MAX_URL_CHARS):
        return False
    assert isinstance(value, str)
    if not (value.isascii() and value.isprintable()) or " " in value or "\\" in value:
        return False
    try:
        parts = urlsplit(value)
        is_https = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
    return is_https or (value.startswith("/") and not value.startswith("//"))


def _is_item(value: object) -> bool:
    return (
        isinstance(value, WaitingItem)
        and _is_id(value.id)
        and value.kind in get_args(ContentKind)
        and (value.url == "" and value.title != "" if value.kind == "text" else _is_url(value.url))
        and _is_text(value.title)
    )


def _is_content(answer: object) -> bool:
    return (
        isinstance(answer, WaitingContent)
        and isinstance(answer.items, tuple)
        and len(answer.items) <= MAX_ITEMS
        and all(map(_is_item, answer.items))
    )


def _is_claim(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return -MAX_INTEGER <= value <= MAX_INTEGER
        case float():
            return math.isfinite(value)
        case _:
            return _is_text(value, MAX_CLAIM_CHARS)


def _is_policy(answer: object) -> bool:
    if answer is None:
        return True
    return (
        isinstance(answer, PolicyResult)
        and all(map(_is_text, (answer.policy, answer.date, answer.outcome, answer.reason)))
        and isinstance(answer.claims, Mapping)
        and len(answer.claims) <= MAX_CLAIMS
        and all(_is_text(name, 64) and _is_claim(value) for name, value in answer.claims.items())
    )


def _is_one_of(words: tuple[str, ...]) -> Callable[[object], bool]:
    return lambda answer: isinstance(answer, str) and answer in words


# -------------------------------------------------------------------- answers as JSON has them


def _plain(value: object) -> object:
    return value


def _members(value: object, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Nonsense("the answer must be an object")
    if not set(required) <= value.keys() <= {*required, *optional}:
        raise Nonsense("the answer has a member too many or too few")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Nonsense("a member of the answer must be a list")
    return value


def _to_route(value: object) -> Route:
    found = _members(value, ("queue",), ("people",))
    return Route(found["queue"], tuple(_list(found.get("people", []))))


def _to_admission(value: object) -> Admission:
    return Admission(**_members(value, ("answer",), ("by",)))


def _to_content(value: object) -> WaitingContent:
    items = _list(_members(value, (), ("items",)).get("items", []))
    return WaitingContent(tuple(map(_to_item, items)))


def _to_item(value: object) -> WaitingItem:
    is_text = isinstance(value, dict) and value.get("kind") == "text"
    return WaitingItem(**_members(value, ("id", "kind", "title" if is_text else "url"), ("url", "title")))


def _to_policy(value: object) -> PolicyResult | None:
    if value is None:
        return None
    return PolicyResult(**_members(value, ("policy", "date", "outcome"), ("claims", "reason")))


# -------------------------------------------------------------------- the table


@dataclass(frozen=True, slots=True)
class Decision:
    """How one decision is answered: without a rule, when the rule fails, and what counts as an answer."""

    unruled: Callable[[Any], object]
    closed: Callable[[Any], object]
    is_answer: Callable[[object], bool]
    from_json: Callable[[object], object] = _plain
    """Of the answer in a webhook's reply; raises Nonsense. `is_answer` is asked of the result."""
    passes_as: object = None
    """For an emergency when the rule fails and `hooks.emergency_passes` is set; None: closed all the same."""


def _always(answer: object) -> Callable[[Any], object]:
    return lambda request: answer


def _own_desk(request: RouteRequest) -> Route:
    return Route(request.queue)


_WAIT = Admission("wait")
_NOTHING = WaitingContent()

DECISIONS: Mapping[str, Decision] = {
    "authorize_join": Decision(_always(True), _always(False), _is_bool, passes_as=True),
    "route": Decision(_own_desk, _own_desk, _is_route, _to_route),
    "admit": Decision(_always(_WAIT), _always(_WAIT), _is_admission, _to_admission),
    "surge": Decision(_always("hold"), _always("hold"), _is_one_of(get_args(SurgeAnswer))),
    "publish_policy": Decision(_always(True), _always(False), _is_bool),
    "subscribe_policy": Decision(_always(True), _always(False), _is_bool),
    "channel_policy": Decision(_always(True), _always(False), _is_bool),
    "camera_control": Decision(_always(True), _always(False), _is_bool),
    "document_policy": Decision(_always(True), _always(False), _is_bool),
    "still_consent": Decision(_always(True), _always(False), _is_bool),
    "recording_consent": Decision(_always(True), _always(False), _is_bool),
    "waiting_content": Decision(_always(_NOTHING), _always(_NOTHING), _is_content, _to_content),
    "attest": Decision(_always(None), _always(None), _is_policy, _to_policy),
    "degrade": Decision(_always("usual"), _always("usual"), _is_one_of(get_args(DegradeAnswer))),
}
"""Of each decision's name what its answers are. Anything else than an answer is nonsense, and closed."""
