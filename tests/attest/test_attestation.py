"""
An ended consult has one attestation, which anybody can verify and nobody can change.
"""

from __future__ import annotations

import contextlib
import copy
import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.journal import Said
from support.told_consult import START, told_consult
from telerelay.attest import Attestor, SigningKey, TrustedKeys, verify
from telerelay.attest.sign import base64url
from telerelay.attest.story import Told, summary
from telerelay.errors import LocalProtocolError
from telerelay.journal import Journal, canonical, links

NOW = START + 1300.0
KEY = SigningKey.new()
TRUSTED = TrustedKeys([KEY.public])
POLICY = {"policy": "assurance", "date": "2018-09-15", "outcome": "met", "claims": {"reimbursable": True}, "reason": ""}


@dataclass
class Desk:
    journal: Journal
    attestor: Attestor


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    journal = await Journal.of_file(str(tmp_path / "journal.db"), lambda: NOW, KEY)
    attestor = Attestor(journal, KEY, lambda: NOW)
    await attestor.open()
    yield Desk(journal, attestor)
    await journal.store.close()


async def attested(desk: Desk, consult: str = "c1") -> bytes:
    await desk.journal.append(consult, told_consult(consult))
    made = await desk.attestor.attest(await desk.attestor.draft(consult), POLICY)
    await desk.journal.append(consult, [Said(NOW, "attested", {"digest": made.digest, "key_id": made.key_id})])
    document = await desk.attestor.document(consult)
    assert document is not None
    return document


async def test_an_attestation_says_what_the_facts_say(desk: Desk) -> None:
    """
    Who was there when and as what, the states, the seconds, the interruption, the policy and its outcome.
    """
    content = json.loads(await attested(desk))["attestation"]

    assert {
        "type": "telerelay-attestation/1",
        "consult": "c1",
        "region": "occitanie",
        "two_way_video_s": 600,
        "two_way_audio_s": 1100,
        "audio_only_s": 0,
        "video_s_by_height": [[720, 500]],
        "ended_by": "d1",
        "outcome": "completed",
        "is_emergency": False,
        "technical_note": ["interrupted"],
        "key_id": KEY.key_id,
        "attested_at": NOW,
        "stills": [],
    }.items() <= content.items()
    assert [
        {"sub": "p1", "role": "patient", "waited": [[START + 10, START + 41]], "present": [[START + 41, START + 1200]]},
        {
            "sub": "d1",
            "role": "practitioner",
            "waited": [[START + 20, START + 22]],
            "present": [[START + 22, START + 1200]],
        },
    ] == content["people"]
    assert ["scheduled", "waiting", "admitted", "in_progress", "interrupted", "in_progress", "ended"] == [
        each["state"] for each in content["states"]
    ]
    assert [{"sub": "p1", "what": "socket", "from": START + 300, "to": START + 310}] == content["interruptions"]
    assert [{"at": START + 100, "sub": "p1", "what": "third_party", "is_given": True}] == content["consents"]
    assert POLICY == content["policy"]
    assert "forwarded" in content["statement"]
    assert "not attest what was displayed" in content["statement"]


def test_who_waits_interrupts_nothing() -> None:
    """
    A page that is loaded again in the waiting room, or by an observer whom nobody let in, is no interruption of a call.
    """
    facts = [each for each in told_consult() if each.kind not in ("lost", "interrupted", "back", "resumed")]
    arrived = Said(START + 12, "arrived", {"sub": "o1", "role": "observer", "attachment": "whep", "is_waiting": True})
    lost = [Said(START + 15, "lost", {"sub": sub, "what": "socket"}) for sub in ("p1", "o1")]
    back = Said(START + 17, "back", {"sub": "p1", "what": "socket"})
    content = summarized([*facts[:2], arrived, *lost, back, *facts[2:]])

    assert ([], []) == (content["interruptions"], content["technical_note"])


def test_who_goes_interrupts_the_call() -> None:
    """
    Nothing was lost, and still the call was interrupted: the states say so, and the note does.
    """
    facts = [each for each in told_consult() if each.kind not in ("lost", "back", "resumed")]
    content = summarized(facts)

    assert ([], ["interrupted"]) == (content["interruptions"], content["technical_note"])


def summarized(facts: list[Said]) -> dict[str, Any]:
    return summary("c1", [Told(seq, fact.at, fact.kind, fact.clear) for seq, fact in enumerate(facts, 1)])


async def test_a_good_file_is_good(desk: Desk) -> None:
    """
    With the key given it is trusted; with the key in the file alone it is unchanged, and says whose it claims to be.
    """
    document = await attested(desk)
    known, unknown = verify(document, TRUSTED), verify(document)

    assert (True, True, "c1", KEY.key_id, 14) == (
        known.is_good,
        known.is_trusted,
        known.consult,
        known.key_id,
        known.events,
    )
    assert (True, False) == (unknown.is_good, unknown.is_trusted)


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
async def test_one_changed_byte_fails(desk: Desk, step: int) -> None:
    """
    Each byte of the file in turn, changed to another: never good.
    """
    document = await attested(desk)
    dice = random.Random(1)
    passed = []
    for at in range(0, len(document), step):
        changed = bytearray(document)
        changed[at] ^= 1 << dice.randrange(7)
        if verify(bytes(changed), TRUSTED).is_good:
            passed.append(at)

    assert [] == passed
    assert len(document) > 3000


async def test_the_first_broken_link_is_named(desk: Desk) -> None:
    """
    A fact changed, left out, put elsewhere or added: the number of the first that does not fit.
    """
    whole = json.loads(await attested(desk))
    rest = whole["events"]

    def problems(events: list[object]) -> tuple[list[str], int | None]:
        verdict = verify(canonical.dumps({**whole, "events": events}) + b"\n", TRUSTED)
        return verdict.problems, verdict.seq

    assert ([], None) == problems(rest)
    assert (["broken_link"], 6) == problems([*rest[:5], {**rest[5], "at": rest[5]["at"] + 1}, *rest[6:]])
    assert (["broken_link"], 3) == problems([*rest[:2], *rest[3:]])
    assert (["broken_link"], 8) == problems([*rest[:7], rest[8], rest[7], *rest[9:]])
    assert (["cut_events"], None) == problems(rest[:-1])
    assert (["broken_link"], 15) == problems([*rest, rest[-1]])


async def test_a_number_of_a_fact_that_is_spelled_otherwise_is_a_broken_link(desk: Desk) -> None:
    """
    True counts as 1, and a string of digits becomes the same time: both would leave the links as they are.
    """
    whole = json.loads(await attested(desk))
    first, *rest = whole["events"]

    for changed in ({"seq": True}, {"at": str(first["at"])}):
        verdict = verify(canonical.dumps({**whole, "events": [{**first, **changed}, *rest]}) + b"\n", TRUSTED)

        assert (["broken_link"], 1) == (verdict.problems, verdict.seq)


async def test_an_attestation_signed_by_another_is_not_trusted(desk: Desk) -> None:
    """
    A key that names another's id, and a key that nobody gave, are told apart.
    """
    whole = json.loads(await attested(desk))
    other = SigningKey.new()
    forged = {**whole["attestation"], "key_id": other.key_id}
    signed = base64url(other.sign(canonical.dumps(forged)))
    by_other = {**whole, "attestation": forged, "signature": signed, "public_key": base64url(other.public_bytes())}
    wrong_id = {**whole, "signature": base64url(other.sign(canonical.dumps(whole["attestation"])))}

    assert ["untrusted_key"] == verify(canonical.dumps(by_other) + b"\n", TRUSTED).problems
    assert (True, False) == (
        verify(canonical.dumps(by_other) + b"\n").is_good,
        verify(canonical.dumps(by_other) + b"\n").is_trusted,
    )
    assert ["bad_signature"] == verify(canonical.dumps(wrong_id) + b"\n", TRUSTED).problems
    wrong_id["public_key"] = base64url(other.public_bytes())
    assert ["wrong_key_id"] == verify(canonical.dumps(wrong_id) + b"\n", TRUSTED).problems
    assert ["no_key"] == verify(canonical.dumps({**whole, "public_key": ""}) + b"\n").problems


async def test_an_attestation_of_a_key_that_was_replaced_has_that_key_beside_it(desk: Desk) -> None:
    """
    A relay that was given another key hands out what the old one signed as it did before, and signs with the new one.
    """
    before = await attested(desk)
    later = SigningKey.new()
    replaced = Desk(desk.journal, Attestor(desk.journal, later, lambda: NOW))
    await replaced.attestor.open()

    assert before == await replaced.attestor.document("c1")
    after = await attested(replaced, "c2")
    assert (True, later.key_id) == (verify(after).is_good, verify(after).key_id)
    assert ["untrusted_key"] == verify(after, TRUSTED).problems


async def test_a_key_is_known_from_the_start_of_who_signs_with_it(desk: Desk) -> None:
    """
    Also of a journal whose attestations are from before keys were noted in it.
    """
    before = await attested(desk)
    await desk.journal.store.write(lambda connection: connection.execute("DROP TABLE signers") and None)
    await desk.attestor.open()
    replaced = Desk(desk.journal, Attestor(desk.journal, SigningKey.new(), lambda: NOW))
    await replaced.attestor.open()

    assert before == await replaced.attestor.document("c1")


async def test_what_is_signed_but_is_not_what_the_facts_say_is_a_contradiction(desk: Desk) -> None:
    """
    A holder of the key cannot attest more video than the facts it shows.
    """
    whole = json.loads(await attested(desk))
    content = {**whole["attestation"], "two_way_video_s": 1200, "outcome": "left"}
    signed = {**whole, "attestation": content, "signature": base64url(KEY.sign(canonical.dumps(content)))}
    verdict = verify(canonical.dumps(signed) + b"\n", TRUSTED)

    assert (["contradiction"], ["outcome", "two_way_video_s"]) == (verdict.problems, verdict.fields)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"attestation":1}', b"\xff", b'{"a":NaN}', b"[" * 100_000]
)
def test_what_is_no_attestation_is_told_as_such(data: bytes) -> None:
    """
    Whatever the file is, there is a verdict.
    """
    assert ["unreadable"] == verify(data).problems


async def test_there_is_one_attestation_whoever_asks_again(desk: Desk) -> None:
    """
    A process that was killed after it had kept one gets that one, digest and all.
    """
    await desk.journal.append("c1", told_consult())
    draft = await desk.attestor.draft("c1")
    first = await desk.attestor.attest(draft, POLICY)
    second = await desk.attestor.attest(draft, {**POLICY, "outcome": "not_met"})

    assert first == second
    assert first == await desk.attestor.get("c1")
    assert await desk.attestor.get("nobody") is None
    assert await desk.attestor.document("nobody") is None


async def test_only_what_has_ended_is_attested(desk: Desk) -> None:
    """
    A call that goes on has no attestation yet.
    """
    await desk.journal.append("c1", told_consult()[:-1])

    with pytest.raises(LocalProtocolError) as caught:
        await desk.attestor.draft("c1")
    assert "not_ended" == caught.value.code


async def test_a_journal_that_was_changed_is_not_attested(desk: Desk) -> None:
    """
    Nothing is signed that does not hold against its links.
    """
    await desk.journal.append("c1", told_consult())
    await desk.journal.store.write(
        lambda connection: connection.execute("UPDATE entries SET at = at + 1 WHERE seq = 5").rowcount
    )

    with pytest.raises(LocalProtocolError) as caught:
        await desk.attestor.draft("c1")
    assert "journal_broken" == caught.value.code


async def test_what_is_journalled_between_draft_and_signature_is_not_in_it(desk: Desk) -> None:
    """
    The host's rule may fail while it is asked, which is a fact of its own; the file still verifies.
    """
    await desk.journal.append("c1", told_consult())
    draft = await desk.attestor.draft("c1")
    await desk.journal.append("c1", [Said(NOW, "hook_failed", {"hook": "attest", "why": "timeout"})])
    await desk.attestor.attest(draft)
    document = await desk.attestor.document("c1")

    assert document is not None
    assert (True, 14) == (verify(document, TRUSTED).is_good, verify(document, TRUSTED).events)
    assert {"policy": "2020", "date": "2020-03-09"} == json.loads(document)["attestation"]["policy"]


async def test_nothing_personal_is_in_an_attestation_and_erasure_leaves_it_valid(desk: Desk) -> None:
    """
    A hundred words in personal parts: none in the file; after erasure the file can be made again, the same.
    """
    canaries = [f"canary-{each:03}" for each in range(100)]
    facts = told_consult()
    notes = [Said(START + 500, "noted", {"by": "d1"}, {"note": canary}) for canary in canaries]
    await desk.journal.append("c1", [*facts[:-1], *notes, facts[-1]])
    await desk.attestor.attest(await desk.attestor.draft("c1"))
    before = await desk.attestor.document("c1")
    await desk.journal.erase("c1")
    after = await desk.attestor.document("c1")

    assert before is not None
    assert [] == [canary for canary in canaries if canary.encode() in before]
    assert (True, True) == (before == after, verify(before, TRUSTED).is_good)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just([[1]]),
    st.just({"a": {"sub": 1}}),
)


def places(value: object, at: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    """The way to each part of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def linked_anew(whole: Any) -> Any:
    """What a forger without the key does: the links follow what was changed."""
    link = links.START
    for seq, event in enumerate(whole["events"], 1):
        clear = canonical.dumps(event["clear"]).decode()
        consult, at = str(whole["attestation"]["consult"]), float(event["at"])
        sealed = bytes.fromhex(event["sealed"])
        link = links.entry_link(
            link, consult=consult, seq=seq, at=at, kind=event["kind"], clear=clear, sealed_hash=sealed
        )
        event["link"] = link.hex()
    whole["attestation"]["events"] = {"count": len(whole["events"]), "link": link.hex(), "position": 1}
    return whole


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_is_put_into_an_attestation_there_is_a_verdict(data: st.DataObject) -> None:
    """
    Any part replaced by any value, linked anew or not: never an exception, never good.
    """
    whole = copy.deepcopy(EXAMPLE)
    place = data.draw(st.sampled_from(PLACES))
    target: Any = whole
    for key in place[:-1]:
        target = target[key]
    odd = data.draw(ODD)
    assume(target[place[-1]] != odd)
    target[place[-1]] = odd
    if data.draw(st.booleans()):
        with contextlib.suppress(Exception):
            whole = linked_anew(whole)
    try:
        written = canonical.dumps(whole) + b"\n"
    except LocalProtocolError:
        written = json.dumps(whole).encode() + b"\n"

    assert (written == canonical.dumps(EXAMPLE) + b"\n") == verify(written, TRUSTED).is_good


def example() -> Any:
    """An attestation as a file has it, made without a journal."""
    facts = told_consult()
    told = [Told(seq, fact.at, fact.kind, fact.clear) for seq, fact in enumerate(facts, 1)]
    events = [
        {"seq": each.seq, "at": each.at, "kind": each.kind, "clear": dict(each.clear), "sealed": "", "link": ""}
        for each in told
    ]
    content = {"type": "telerelay-attestation/1", **summary("c1", told), "key_id": KEY.key_id, "policy": POLICY}
    whole = linked_anew({"attestation": content, "events": events, "public_key": base64url(KEY.public_bytes())})
    whole["signature"] = base64url(KEY.sign(canonical.dumps(whole["attestation"])))
    return json.loads(canonical.dumps(whole))


EXAMPLE = example()
PLACES = [place for place in places(EXAMPLE) if place]


def test_the_example_is_good() -> None:
    """
    So that what is changed in it is what makes it bad.
    """
    assert [] == verify(canonical.dumps(EXAMPLE) + b"\n", TRUSTED).problems
