"""
What examples/dmp makes of an attestation; whether it is valid FHIR R4 is measured by row R18.
"""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType

import pytest

from rows.figures import EXAMPLES
from rows.told import Call, attested
from telerelay import ConsultPlan
from telerelay.attest import SigningKey


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dmp_bundle", EXAMPLES / "dmp" / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def document() -> bytes:
    call = Call(ConsultPlan("c-1"), 1_764_000_000.0, 600.0, video_s=540.0, audio_s=590.0)
    return await attested(call, SigningKey.new(), lambda draft: None)


async def test_a_call_is_an_encounter_with_its_times_and_seconds(example: ModuleType, document: bytes) -> None:
    """
    Ten minutes of which nine were two-way video, between people who are identifiers alone.
    """
    made = example.bundle(document, {})
    encounter = made["entry"][0]["resource"]

    assert ("VR", "finished") == (encounter["class"]["code"], encounter["status"])
    assert 540.0 == encounter["extension"][0]["valueDuration"]["value"]
    assert ["doctor-1"] == [each["individual"]["identifier"]["value"] for each in encounter["participant"]]
    assert "patient-1" == encounter["subject"]["identifier"]["value"]
    assert "2025-11-24T16:10:00.000Z" == encounter["period"]["end"]


async def test_the_same_file_is_the_same_bundle(example: ModuleType, document: bytes) -> None:
    """
    And another call's is another: none of their addresses is shared.
    """
    other = document.replace(b'"c-1"', b'"c-2"')
    urls, others = ({each["fullUrl"] for each in example.bundle(each, {})["entry"]} for each in (document, other))

    assert example.bundle(document, {}) == example.bundle(document, {})
    assert set() == urls & others


async def test_a_document_whose_sha1_nobody_made_has_none(example: ModuleType, document: bytes) -> None:
    """
    Its SHA-256 is there all the same.
    """
    whole = json.loads(document)
    whole["attestation"]["documents"] = [{"document": "d-1", "sub": "x", "size_bytes": 3, "sha256": "ab" * 32}]
    data = json.dumps(whole).encode()
    found = [
        example.bundle(data, sha1)["entry"][2]["resource"]["content"][0]["attachment"]
        for sha1 in ({}, {"ab" * 32: "cd" * 20})
    ]

    assert [False, True] == ["hash" in each for each in found]
    assert 1 == len({json.dumps(each["extension"]) for each in found})
