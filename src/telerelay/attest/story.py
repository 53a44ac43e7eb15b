"""
What the clear facts of a consult come to, as an attestation says it: who was there when, in what states, how it ended.

Pure, and made of facts alone, so that whoever verifies an attestation can make it again and compare. Facts of kinds
that are not known here are counted and change nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATES: Mapping[str, str] = {
    "scheduled": "scheduled",
    "rescheduled": "scheduled",
    "cancelled": "cancelled",
    "no_show": "no_show",
    "in_progress": "in_progress",
    "interrupted": "interrupted",
    "resumed": "in_progress",
    "ended": "ended",
    "failed": "failed",
}
"""Facts that name the state they lead to. Somebody's arrival, admission and denial do so only now and then, below."""

NOTES: Mapping[str, str] = {
    "restarted": "relay_restarted",
    "clock_jumped": "clock_jumped",
    "hook_failed": "hook_failed",
    "bypass_tried": "bypass_tried",
}
"""Facts that a technical note tells of, and its words for them."""


@dataclass(frozen=True, slots=True)
class Told:
    """One fact as it is told: its number, time, kind and clear parts."""

    seq: int
    at: float
    kind: str
    clear: Mapping[str, Any]


@dataclass(slots=True)
class _Person:
    sub: str
    role: str
    waited: list[list[float]] = field(default_factory=list)
    present: list[list[float]] = field(default_factory=list)
    waits_since: float | None = None
    present_since: float | None = None


class _Story:
    def __init__(self) -> None:
        self.plan: Mapping[str, Any] = {}
        self.starts_at: float | None = None
        self.states: list[dict[str, Any]] = []
        self.people: dict[tuple[str, str], _Person] = {}
        self.roles: dict[str, str] = {}
        self.interruptions: list[dict[str, Any]] = []
        self.losses: dict[tuple[str, str], dict[str, Any]] = {}
        self.consents: list[dict[str, Any]] = []
        self.objects: dict[str, list[dict[str, Any]]] = {"document": [], "still": []}
        self.recordings: dict[str, dict[str, Any]] = {}
        self.measured: Mapping[str, Any] = {}
        self.samples: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.is_emergency = False
        self.ended: Mapping[str, Any] | None = None
        self.ended_at = 0.0
        self.notes: set[str] = set()

    @property
    def state(self) -> str:
        return self.states[-1]["state"] if self.states else ""

    def take(self, fact: Told) -> None:
        state = _state_after(self.state, fact)
        if state != self.state or fact.kind == "rescheduled":
            self.states.append({"state": state, "at": fact.at})
        if fact.kind in NOTES:
            self.notes.add(NOTES[fact.kind])
        match fact.kind:
            case "scheduled":
                self.plan = fact.clear.get("plan", {})
                self.starts_at = self.plan.get("starts_at")
                self.is_emergency = bool(self.plan.get("is_emergency", False))
            case "rescheduled":
                self.starts_at = fact.clear["starts_at"]
            case "priority_set":
                self.is_emergency = self.is_emergency or bool(fact.clear["is_emergency"])
            case "consent":
                said = {name: fact.clear[name] for name in ("sub", "what", "is_given", "by") if name in fact.clear}
                self.consents.append({"at": fact.at, **said})
            case "document_received":
                self.objects[fact.clear["what"]].append({"at": fact.at, **_object(fact.clear)})
            case "recording_set":
                self._recording(fact)
            case "measured":
                self.measured = fact.clear
            case "samples_counted":
                named = {name: fact.clear[name] for name in ("sub", "device", "series")}
                found = named | {"kind": fact.clear["shape"], "samples": fact.clear["samples"]}
                self.samples[tuple(named.values())] = found
            case "ended":
                self.ended, self.ended_at = fact.clear, fact.at
                self._close(fact.at)
                for recording in self.recordings.values():
                    _pause(recording, fact.at)
            case "arrived" | "admitted" | "entered" | "left" | "denied" | "lost" | "back":
                self._person(fact)

    def _recording(self, fact: Told) -> None:
        """Who asked for it, when it ran, and how it ended: `why` is "" where it ran to the end of the consult."""
        state, id = fact.clear["state"], fact.clear["recording"]
        recording = self.recordings.setdefault(
            id, {"recording": id, "by": fact.clear.get("by", "relay"), "asked_at": fact.at, "ran": [], "why": ""}
        )
        if state == "running":
            recording["ran"].append([fact.at, None])
        else:
            _pause(recording, fact.at)
        if state in ("stopped", "forbidden"):
            recording["why"] = fact.clear.get("why", "")

    def _person(self, fact: Told) -> None:
        sub = fact.clear["sub"]
        if fact.kind == "arrived":
            self.roles[sub] = fact.clear["role"]
        role = self.roles.get(sub, "")
        person = self.people.setdefault((sub, role), _Person(sub, role))
        match fact.kind:
            case "arrived":
                person.waits_since = fact.at
            case "entered":
                _end(person.waited, person.waits_since, fact.at)
                person.waits_since, person.present_since = None, fact.at
            case "left" | "denied":
                self._go(person, fact.at)
            case "lost" if person.present_since is not None:
                # Of who waits, or was let in and is not there yet, it interrupts nothing.
                loss = {"sub": sub, "what": fact.clear["what"], "from": fact.at, "to": None}
                self.losses[sub, loss["what"]] = loss
                self.interruptions.append(loss)
            case "back":
                key = sub, fact.clear["what"]
                if key in self.losses:
                    self.losses.pop(key)["to"] = fact.at

    def _go(self, person: _Person, at: float) -> None:
        _end(person.waited, person.waits_since, at)
        _end(person.present, person.present_since, at)
        person.waits_since = person.present_since = None
        for key in [key for key in self.losses if key[0] == person.sub]:
            del self.losses[key]

    def _close(self, at: float) -> None:
        for person in self.people.values():
            self._go(person, at)

    def technical_note(self) -> list[str]:
        """What a reader of the figures should know, in words of a fixed list."""
        measured, notes = self.measured, set(self.notes)
        if not measured:
            notes.add("nothing_measured")
        elif not measured.get("two_way_video_s", 0):
            notes.add("no_two_way_video")
        if measured.get("has_unknown_keyframes"):
            notes.add("keyframes_unknown")
        if measured.get("missed_s", 0):
            notes.add("seconds_missed")
        if self.interruptions or any(each["state"] == "interrupted" for each in self.states):
            notes.add("interrupted")
        if self.ended and self.ended.get("outcome") == "technical_failure":
            notes.add("technical_failure")
        return sorted(notes)


def summary(consult: str, facts: Iterable[Told]) -> dict[str, Any]:
    """
    The part of an attestation that follows from the facts. Raises ValueError where they are not those of a consult.
    """
    story = _Story()
    count = 0
    try:
        for fact in facts:
            story.take(fact)
            count += 1
        return _written(consult, story)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"fact {count + 1} is not one of a consult") from error


def _written(consult: str, story: _Story) -> dict[str, Any]:
    plan, measured, ended = story.plan, story.measured, story.ended or {}
    return {
        "consult": consult,
        "tenant": plan.get("tenant", ""),
        "queue": plan.get("queue", ""),
        "region": plan.get("region", ""),
        "starts_at": story.starts_at,
        "is_emergency": story.is_emergency,
        "states": story.states,
        "people": [
            {"sub": each.sub, "role": each.role, "waited": each.waited, "present": each.present}
            for each in story.people.values()
        ],
        "two_way_video_s": measured.get("two_way_video_s", 0.0),
        "two_way_audio_s": measured.get("two_way_audio_s", 0.0),
        "audio_only_s": measured.get("audio_only_s", 0.0),
        "video_s_by_height": [list(each) for each in measured.get("by_height", ())],
        "unmeasured_s": measured.get("missed_s", 0.0),
        "interruptions": story.interruptions,
        "consents": story.consents,
        "stills": story.objects["still"],
        "documents": story.objects["document"],
        "measurements": list(story.samples.values()),
        "recordings": list(story.recordings.values()),
        "ended_by": ended.get("by", ""),
        "outcome": ended.get("outcome", ""),
        "technical_note": story.technical_note(),
    }


def _pause(recording: dict[str, Any], at: float) -> None:
    if recording["ran"] and recording["ran"][-1][1] is None:
        recording["ran"][-1][1] = at


def _object(clear: Mapping[str, Any]) -> dict[str, Any]:
    """What is attested of a document or still: whose it is, its size and hash, what its sender says it is."""
    return {
        "document": clear["document"],
        "sub": clear["sub"],
        "size_bytes": clear["size_bytes"],
        "sha256": clear["sha256"],
        **{name: clear[name] for name in ("media_type", "label", "request", "source") if name in clear},
    }


def _state_after(state: str, fact: Told) -> str:
    match fact.kind:
        case "arrived":
            return (
                "waiting" if state in ("", "scheduled") or (state == "no_show" and fact.clear["is_waiting"]) else state
            )
        case "admitted":
            return "admitted" if state == "waiting" else state
        case "closed":
            return "no_show" if state == "waiting" else state  # told before; somebody came late, and went
        case "denied":
            return "denied" if fact.clear.get("is_last") else state
    return STATES.get(fact.kind, state)


def _end(intervals: list[list[float]], since: float | None, at: float) -> None:
    if since is not None:
        intervals.append([since, at])
