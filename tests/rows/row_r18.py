"""
R18, DMP (D3): one attestation becomes a FHIR R4 bundle that two validators of others find valid against base R4; no
media is inside, and SHA-256 travels beside the SHA-1 that `attachment.hash` is.

A patient and a doctor talk, the doctor hands over a letter; bundle and attestation are fetched as a record would.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from rows.figures import Figure
from rows.host import Host
from rows.instrument import Instrument, file_of
from rows.person import Person, attested
from support.fhir import google_problems, problems, pydantic_problems
from support.fhirpath import invariant_problems

_figure = partial(Figure, "R18", example="dmp", unit="", bound=0.0, is_least=False)

LETTER_BYTES = 200_000
WANTED = {"Encounter": 1, "DocumentReference": 2, "Provenance": 1, "AuditEvent": 1}
# Of a document as it would be inside: any of these many characters of its base64 in a row.
PROBE_CHARS = 24

Json = dict[str, Any]


async def measure() -> list[Figure]:
    async with Host("dmp") as host, Person() as patient, Person() as doctor, Instrument() as printer:
        visit = (await doctor.ask("POST", f"{host.url}/visits"))["body"]
        relay, links = f"{host.url}/consult", visit["links"]
        link = await doctor.ask("POST", f"{relay}/link", {"link": links["practitioner"].partition("#link=")[2]})
        token = link["body"]["token"]
        await doctor.join(relay, visit["visit"], token)
        waits = await patient.enter(relay, links["patient"])
        await doctor.request("admit", participant=waits["participant"])
        await patient.event("admitted")
        for person in (patient, doctor):
            await person.publish()
        await asyncio.gather(*(person.received("video") for person in (patient, doctor)))
        await printer.begin(f"{relay}/documents", token, LETTER_BYTES, "letter")
        await printer.event("sent")
        await asyncio.sleep(2.0)  # seconds of a call, so that there are some to attest
        await doctor.request("end")
        document = await attested(doctor, f"{host.url}/visits/{visit['visit']}/attestation")
        bundle = await attested(doctor, f"{host.url}/visits/{visit['visit']}/bundle")
    return [*_valid(bundle), *_content(bundle, document)]


def _valid(bundle: Json) -> list[Figure]:
    """A validator that takes everything proves nothing: it is shown bundles that were spoiled as well."""
    found, broken = problems(bundle), invariant_problems(bundle)
    for each in (*found, *broken):
        print(each)
    return [
        _figure("invariants (FHIRPath) of its resources and data types that do not hold", float(len(broken))),
        _figure(
            f"bundles, of {len(BREAKS)}, that break an invariant and are taken all the same",
            float(sum(not invariant_problems(_spoilt(bundle, each)) for each in BREAKS)),
        ),
        _figure("what google-fhir-r4 (R4) and fhir.resources (R4B) find wrong with the bundle", float(len(found))),
        _figure(
            f"spoiled bundles, of {len(SPOILS)}, that both take",
            float(sum(not problems(_spoilt(bundle, spoil)) for spoil in SPOILS)),
        ),
        _figure(
            "validators of the two that find nothing wrong with any of them",
            float(
                sum(
                    not any(check(_spoilt(bundle, spoil)) for spoil in SPOILS)
                    for check in (google_problems, pydantic_problems)
                )
            ),
        ),
    ]


def _content(bundle: Json, document: Json) -> list[Figure]:
    said = document["attestation"]
    resources = [each["resource"] for each in bundle["entry"]]
    kinds = [each["resourceType"] for each in resources]
    encounter = resources[kinds.index("Encounter")]
    letter = file_of(LETTER_BYTES)
    attachments = [
        each["content"][0]["attachment"] for each in resources if each["resourceType"] == "DocumentReference"
    ]
    of_letter = [each for each in attachments if each.get("size") == LETTER_BYTES]
    right = {"hash": hashlib.sha1(letter).digest(), "extension": hashlib.sha256(letter).digest()}
    wrong = [name for name, digest in right.items() if [_bytes(each, name) for each in of_letter] != [digest]]
    text = json.dumps(bundle)
    base64_text = base64.b64encode(letter).decode()
    inside = sum(
        base64_text[at : at + PROBE_CHARS] in text for at in range(0, len(base64_text) - PROBE_CHARS, PROBE_CHARS)
    )
    return [
        _figure("kinds of resources whose number is another", _others(kinds)),
        _figure("the encounter's class is not VR", float(encounter["class"]["code"] != "VR")),
        _figure(
            "two-way video of the encounter, less that of the attestation",
            abs(encounter["extension"][0]["valueDuration"]["value"] - said["two_way_video_s"]),
            unit="s",
            bound=0.001,
        ),
        _figure("of the letter's SHA-1 and SHA-256: not those of its bytes", float(len(wrong))),
        _figure("documents of the attestation whose SHA-256 is not there", _missing(said, attachments)),
        _figure(
            "attachments with data, pieces of the letter inside", sum("data" in each for each in attachments) + inside
        ),
    ]


def _others(kinds: list[str]) -> float:
    return float(sum(kinds.count(kind) != count for kind, count in WANTED.items()) + len(set(kinds) - WANTED.keys()))


def _missing(said: Json, attachments: list[Json]) -> float:
    there = {_bytes(each, "extension").hex() for each in attachments}
    return float(sum(each["sha256"] not in there for each in said["documents"]) + (not said["documents"]))


def _bytes(attachment: Json, name: str) -> bytes:
    found = attachment.get(name, "")
    return base64.b64decode(found[0]["valueBase64Binary"] if isinstance(found, list) else found)


def _resource(bundle: Json, kind: str) -> Json:
    return next(each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind)


SPOILS: list[Callable[[Json], object]] = [
    lambda bundle: _resource(bundle, "Encounter").pop("class"),
    lambda bundle: _resource(bundle, "Encounter").update(status="over"),
    lambda bundle: _resource(bundle, "Encounter").update(media="x"),
    lambda bundle: _resource(bundle, "Encounter")["period"].update(start="yesterday"),
    lambda bundle: _resource(bundle, "Encounter")["subject"].update(reference=5),
    lambda bundle: _resource(bundle, "DocumentReference").pop("content"),
    lambda bundle: _resource(bundle, "DocumentReference").update(status="here"),
    lambda bundle: _resource(bundle, "DocumentReference")["content"][0]["attachment"].update(size="much"),
    lambda bundle: _resource(bundle, "Provenance").pop("agent"),
    lambda bundle: _resource(bundle, "Provenance").pop("target"),
    lambda bundle: _resource(bundle, "AuditEvent").pop("source"),
    lambda bundle: _resource(bundle, "AuditEvent").update(action="Z"),
    lambda bundle: bundle.update(type="heap"),
]


BREAKS: list[Callable[[Json], object]] = [
    lambda bundle: _resource(bundle, "Encounter")["period"].update(end="1999-01-01T00:00:00Z"),
    lambda bundle: bundle.update(total=1),
    lambda bundle: _resource(bundle, "DocumentReference")["content"][0]["attachment"].update(
        data="aGVsbG8=", contentType=None
    ),
    lambda bundle: _resource(bundle, "AuditEvent").update(entity=[{"name": "a", "query": "Yg=="}]),
    lambda bundle: bundle["entry"].append({"fullUrl": "urn:uuid:8d8f5a3e-6d2f-4b7c-9a55-0f2b8f8f3c11"}),
]
"""What either validator may take: a time that ends before it begins, a total of a collection, data of no type…"""


def _spoilt(bundle: Json, spoil: Callable[[Json], object]) -> Json:
    made = copy.deepcopy(bundle)
    spoil(made)
    return _without_nulls(made)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
