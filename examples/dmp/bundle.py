"""
One attestation as a FHIR R4 (4.0.1) bundle: `python examples/dmp/bundle.py KEY.pub FILE` prints it.

Pure but for the command. The same file gives the same bundle, so a record that has it already knows it again. People
are logical references: their identifiers, and no resource of theirs. No attachment has data.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SYSTEM = "https://clinic.example/telerelay"
"""Your site's own name space: what identifiers and extensions are named under."""
SHA256 = f"{SYSTEM}/StructureDefinition/attachment-sha256"
TWO_WAY_VIDEO = f"{SYSTEM}/StructureDefinition/two-way-video"
"""Extensions of your site's: of an attachment, and, measured by the relay, of an encounter."""
ANY = "application/octet-stream"
PRACTITIONERS = frozenset({"practitioner", "requester", "expert", "assistant", "interpreter"})

Json = dict[str, Any]


def bundle(document: bytes, sha1: Mapping[str, str]) -> Json:
    """
    Of the bytes of a file that was verified. `sha1` (hex) is that of documents' bytes, by SHA-256: what is not there
    has no `hash`, for a hash that nobody made of the bytes would be none.
    """
    whole = json.loads(document)
    said: Json = whole["attestation"]
    digest = hashlib.sha256(document).hexdigest()
    urls = {name: _url(digest, name) for name in ("encounter", "file", "provenance", "audit")}
    papers = [(f"paper-{number}", each) for number, each in enumerate([*said["documents"], *said["stills"]])]
    entries = {urls["encounter"]: _encounter(said)}
    entries[urls["file"]] = _reference(
        said,
        urls["encounter"],
        f"attestation-{said['consult']}",
        "Attestation of a teleconsultation",
        said["attested_at"],
        _attachment("application/json", len(document), digest, hashlib.sha1(document).hexdigest()),
    )
    for name, each in papers:
        entries[_url(digest, name)] = _reference(
            said,
            urls["encounter"],
            str(each["document"]),
            str(each.get("label") or "document"),
            _ended_at(said),
            _attachment(each.get("media_type", ANY), each["size_bytes"], each["sha256"], sha1.get(each["sha256"], "")),
        )
    made = list(entries)
    entries[urls["provenance"]] = _provenance(whole, made, urls["file"])
    entries[urls["audit"]] = _audit(said, made)
    return {
        "resourceType": "Bundle",
        "identifier": {"system": f"{SYSTEM}/attestation", "value": digest},
        "type": "collection",
        "timestamp": _instant(said["attested_at"]),
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in entries.items()],
    }


def _encounter(said: Json) -> Json:
    people = [each for each in said["people"] if each["present"]]
    began_at = min(at for _, at in _present(said))
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": f"{SYSTEM}/consult", "value": said["consult"]}],
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "VR",
            "display": "virtual",
        },
        "subject": _patient(said),
        "participant": [
            {"individual": _person(each), "period": _period(each["present"][0][0], each["present"][-1][1])}
            for each in people
            if each["role"] in PRACTITIONERS
        ],
        "period": _period(began_at, _ended_at(said)),
        "length": _seconds(_ended_at(said) - began_at),
        "extension": [{"url": TWO_WAY_VIDEO, "valueDuration": _seconds(said["two_way_video_s"])}],
    }


def _reference(said: Json, encounter: str, value: str, title: str, at: float, attachment: Json) -> Json:
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": f"{SYSTEM}/document", "value": value},
        "status": "current",
        "type": {"text": title},
        "subject": _patient(said),
        "date": _instant(at),
        "content": [{"attachment": attachment}],
        "context": {"encounter": [{"reference": encounter}]},
    }


def _attachment(media_type: str, size_bytes: int, sha256: str, sha1: str) -> Json:
    """Where it is, is the site's to say; what it is, is said here."""
    made: Json = {"contentType": media_type, "size": size_bytes}
    if sha1:
        made["hash"] = _base64(bytes.fromhex(sha1))
    made["extension"] = [{"url": SHA256, "valueBase64Binary": _base64(bytes.fromhex(sha256))}]
    return made


def _provenance(whole: Json, made: list[str], file: str) -> Json:
    """Who says so: the relay, whose signature over the attestation it bears."""
    said = whole["attestation"]
    relay = {"type": "Device", "identifier": {"system": f"{SYSTEM}/key", "value": said["key_id"]}}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": url} for url in made],
        "occurredPeriod": _period(min(at for _, at in _present(said)), _ended_at(said)),
        "recorded": _instant(said["attested_at"]),
        "agent": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                            "code": "assembler",
                        }
                    ]
                },
                "who": relay,
            }
        ],
        "entity": [{"role": "source", "what": {"reference": file}}],
        "signature": [
            {
                "type": [
                    {
                        "system": "urn:iso-astm:E1762-95:2013",
                        "code": "1.2.840.10065.1.12.1.5",
                        "display": "Verification Signature",
                    }
                ],
                "when": _instant(said["attested_at"]),
                "who": relay,
                "targetFormat": "application/json",
                "sigFormat": "application/octet-stream",
                "data": _base64(base64.urlsafe_b64decode(whole["signature"] + "==")),
            }
        ],
    }


def _audit(said: Json, made: list[str]) -> Json:
    """That it was handed to the record, and by what."""
    return {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110106", "display": "Export"},
        "action": "R",
        "recorded": _instant(said["attested_at"]),
        "outcome": "0",
        "agent": [
            {
                "who": {"identifier": {"system": f"{SYSTEM}/sub", "value": said["ended_by"] or "relay"}},
                "requestor": True,
            }
        ],
        "source": {"observer": {"type": "Device", "identifier": {"system": f"{SYSTEM}/key", "value": said["key_id"]}}},
        "entity": [{"what": {"reference": url}} for url in made],
    }


# -------------------------------------------------------------------- words of FHIR


def _patient(said: Json) -> Json:
    found = [each["sub"] for each in said["people"] if each["role"] == "patient"]
    return {"type": "Patient", "identifier": {"system": f"{SYSTEM}/sub", "value": found[0] if found else "unknown"}}


def _person(each: Json) -> Json:
    return {"type": "Practitioner", "identifier": {"system": f"{SYSTEM}/sub", "value": each["sub"]}}


def _present(said: Json) -> list[tuple[str, float]]:
    return [(each["sub"], each["present"][0][0]) for each in said["people"] if each["present"]]


def _ended_at(said: Json) -> float:
    return max(each["present"][-1][1] for each in said["people"] if each["present"])


def _period(begins: float, ends: float) -> Json:
    return {"start": _instant(begins), "end": _instant(ends)}


def _seconds(seconds: float) -> Json:
    return {"value": round(float(seconds), 3), "unit": "s", "system": "http://unitsofmeasure.org", "code": "s"}


def _instant(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _url(digest: str, name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SYSTEM}/{digest}/{name}").urn


def main(key: str, file: str) -> int:
    command = [sys.executable, "-m", "telerelay.cli", "attest", "verify", "--key", key, file]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        print("it is not what was signed, or not signed by the relay", file=sys.stderr)
        return 1
    print(json.dumps(bundle(Path(file).read_bytes(), {})))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
