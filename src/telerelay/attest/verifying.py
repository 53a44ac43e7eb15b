"""
Whether the file of an attestation is what was signed: signature, chain of facts, and that it says what they say.

Pure: needs neither a relay nor its journal.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from telerelay.attest.attestation import TYPE
from telerelay.attest.sign import TrustedKeys, from_base64url, key_id_of
from telerelay.attest.story import Told, summary
from telerelay.errors import LocalProtocolError
from telerelay.journal import canonical, links

MEMBERS = {"attestation", "signature", "public_key", "events"}
EVENT_MEMBERS = {"seq", "at", "kind", "clear", "sealed", "link"}

PROBLEMS: Mapping[str, str] = {
    "unreadable": "the file is not the JSON of an attestation",
    "not_canonical": "the file is not byte for byte what was written (RFC 8785)",
    "unknown_type": "it is an attestation of a kind this version does not know",
    "no_key": "the key it was signed with is neither in the file nor given",
    "wrong_key_id": "the key in the file is not the one that the attestation names",
    "untrusted_key": "it was signed with a key that is none of those given",
    "bad_signature": "what is attested is not what was signed",
    "broken_link": "a fact is not what was linked",
    "cut_events": "facts are missing at the end, or were added",
    "contradiction": "the attestation says something else than its facts",
}
"""What can be wrong, by its code."""


@dataclass(slots=True)
class Verdict:
    """
    What was found. `is_trusted`: the signature is of a key that was given as trusted; without one a good verdict says
    only that nothing was changed since whoever holds `key_id` signed it. `seq` is the first fact that is wrong.
    """

    consult: str = ""
    key_id: str = ""
    digest: str = ""
    events: int = 0
    is_trusted: bool = False
    problems: list[str] = field(default_factory=list)
    seq: int | None = None
    fields: list[str] = field(default_factory=list)
    """Of a contradiction: which."""

    @property
    def is_good(self) -> bool:
        return not self.problems


def verify(data: bytes, trusted: TrustedKeys | None = None) -> Verdict:
    """All that is wrong with the file, in the order of PROBLEMS; never raises."""
    verdict = Verdict()
    try:
        whole = canonical.loads(data)
        attestation, events = whole["attestation"], whole["events"]
        signature, public_key = from_base64url(whole["signature"]), from_base64url(whole["public_key"])
        signed = canonical.dumps(attestation)
        verdict.consult, verdict.key_id = str(attestation["consult"]), str(attestation["key_id"])
        is_whole = whole.keys() == MEMBERS and isinstance(events, list)
        if canonical.dumps(whole) + b"\n" != data:
            verdict.problems.append("not_canonical")
    except (ValueError, TypeError, KeyError, AttributeError, LocalProtocolError):
        is_whole = False
    if not is_whole:
        verdict.problems = ["unreadable"]
        return verdict
    verdict.digest = hashlib.sha256(signed).hexdigest()
    if attestation.get("type") != TYPE:
        verdict.problems.append("unknown_type")
    _check_signature(verdict, signed, signature, public_key, trusted)
    _check_events(verdict, attestation, events)
    return verdict


def _check_signature(
    verdict: Verdict, signed: bytes, signature: bytes, public_key: bytes, trusted: TrustedKeys | None
) -> None:
    keys = trusted if trusted is not None and verdict.key_id in trusted else None
    verdict.is_trusted = keys is not None
    if public_key:
        try:
            key = Ed25519PublicKey.from_public_bytes(public_key)
        except ValueError:
            verdict.problems.append("wrong_key_id")
            return
        if key_id_of(key) != verdict.key_id:
            verdict.problems.append("wrong_key_id")
            return
        keys = keys or TrustedKeys([key])
    if trusted is not None and not verdict.is_trusted:
        verdict.problems.append("untrusted_key")
    if keys is None:
        if trusted is None:
            verdict.problems.append("no_key")
    elif not keys.is_signed(verdict.key_id, signed, signature):
        verdict.problems.append("bad_signature")


def _check_events(verdict: Verdict, attestation: Mapping[str, Any], events: list[Any]) -> None:
    link, told = links.START, []
    for seq, event in enumerate(events, 1):
        try:
            link = _link(link, verdict.consult, seq, event)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, LocalProtocolError):
            verdict.problems.append("broken_link")
            verdict.seq = seq
            return
        told.append(Told(seq, event["at"], event["kind"], event["clear"]))
    verdict.events = len(told)
    if attestation.get("events") != {"count": len(told), "link": link.hex(), "position": _position(attestation)}:
        verdict.problems.append("cut_events")
        return
    try:
        made = summary(verdict.consult, told)
    except ValueError:
        verdict.problems.append("contradiction")
        return
    verdict.fields = sorted(name for name, value in made.items() if not _is_same(attestation.get(name), value))
    if verdict.fields:
        verdict.problems.append("contradiction")


def _link(previous: bytes, consult: str, seq: int, event: Any) -> bytes:
    """The link of the next event. Raises ValueError, or whatever comes of an event that is none."""
    if event.keys() != EVENT_MEMBERS or event["seq"] != seq:
        raise ValueError("not the next event")
    # Neither is in its link as it is written: true counts as 1, and a string of digits becomes the same number.
    if type(event["seq"]) is not int or type(event["at"]) not in (int, float):
        raise ValueError("another spelling of the same number")
    sealed_hash = bytes.fromhex(event["sealed"])
    if sealed_hash.hex() != event["sealed"]:
        raise ValueError("another spelling of the same hash")
    made = links.entry_link(
        previous,
        consult=consult,
        seq=seq,
        at=float(event["at"]),
        kind=event["kind"],
        clear=canonical.dumps(event["clear"]).decode(),
        sealed_hash=sealed_hash,
    )
    if made.hex() != event["link"]:
        raise ValueError("not what was linked")
    return made


def _position(attestation: Mapping[str, Any]) -> Any:
    # Where it stood in the journal's file: the journal can say whether that is so, the attestation alone cannot.
    return attestation["events"].get("position") if isinstance(attestation.get("events"), dict) else None


def _is_same(found: Any, made: Any) -> bool:
    return canonical.dumps(found) == canonical.dumps(made)
