"""Stills that are asked for: who may, what is said, what comes of it; each end of it is told from the others."""

from typing import Any

import pytest

from support.live_relay import MakeLive
from support.uploads import Call, Reply, sha256, some_bytes
from telerelay import Hooks
from telerelay.hooks import StillEvent, StillRequest

PICTURE = some_bytes(3000)


async def ask(call: Call, **fields: str) -> str:
    """The doctor asks the patient: the request, once the patient sees it."""
    reply = await call.doctor.ask("request_still", participant=call.patient.id, **fields)
    assert "reply" == reply["type"], reply
    await call.patient.sign("stills", lambda sign: sign["stills"][-1]["request"] == reply["request"])
    return str(reply["request"])


async def send(call: Call, request: str, source: str = "photo", **values: str) -> Reply:
    said = {"kind": "still", "request": request, "source": source, "filetype": "image/jpeg", **values}
    made = await call.pat.create(PICTURE, **said)
    return await call.pat.patch(made.headers["Location"], 0, PICTURE) if made.status == 201 else made


async def ends(call: Call, state: str) -> dict[str, Any]:
    """The doctor's last still, once it is so."""
    sign = await call.doctor.sign("stills", lambda sign: sign["stills"][-1]["state"] == state)
    return dict(sign["stills"][-1])


@pytest.mark.parametrize("source", ["photo", "frame"])
async def test_a_still_is_asked_for_allowed_and_taken(call: Call, source: str) -> None:
    """
    The patient sees who asks and why; the doctor has it with its hash, and how it was made; all of it is attested.
    """
    request = await ask(call, label="mole", reason="The mole on your left arm, please.")
    (seen,) = (await call.patient.sign("stills"))["stills"]
    await call.patient.ask("answer_still", request=request, answer="allowed")
    await ends(call, "allowed")
    sent = await send(call, request, source, label="mole")
    taken = await ends(call, "taken")
    (listed,) = await call.doc.listed()
    kinds = await call.live.journal()
    await call.end()
    signed = (await call.live.relay.consults.attestation("r1")).decode()

    assert ("doc", "practitioner", "mole", "The mole on your left arm, please.", "asked") == tuple(
        seen[name] for name in ("by", "by_role", "label", "reason", "state")
    )
    assert 204 == sent.status
    assert (listed["id"], 0.0) == (taken["document"], taken["until"])
    assert ("still", source, sha256(PICTURE), request) == tuple(
        listed[name] for name in ("kind", "source", "sha256", "request")
    )
    told = [kind for kind in kinds if kind in ("consent", "document_received") or kind.startswith("still")]
    assert ["still_requested", "consent", "still_answered", "document_received"] == told
    assert f'"source":"{source}"' in signed
    assert '"is_given":true' in signed
    assert "left arm" not in signed


async def test_who_refuses_sends_nothing(call: Call) -> None:
    """
    That is a fact, and a consent that was not given.
    """
    request = await ask(call)
    await call.patient.ask("answer_still", request=request, answer="refused")
    await ends(call, "refused")
    sent = await send(call, request)
    again = await call.patient.ask("answer_still", request=request, answer="allowed")
    (consent,) = [each.clear for each in await call.live.entries() if each.kind == "consent"]

    assert (409, "conflict") == (sent.status, sent.code)
    assert "conflict" == again["code"]
    assert {"sub": "pat", "what": "still", "is_given": False} == dict(consent)


@pytest.mark.parametrize(("is_allowed", "state", "later_s"), [(False, "timeout", 61.0), (True, "failed", 121.0)])
async def test_what_takes_too_long_is_over(call: Call, is_allowed: bool, state: str, later_s: float) -> None:
    """
    No answer, and no picture, are two things.
    """
    request = await ask(call)
    if is_allowed:
        await call.patient.ask("answer_still", request=request, answer="allowed")
    consults = call.live.relay.consults
    monotonic = consults._monotonic
    consults._monotonic = lambda: monotonic() + later_s
    consults.tick()
    await ends(call, state)
    sent = await send(call, request)

    assert (409, "conflict") == (sent.status, sent.code)


async def test_a_camera_that_gives_nothing_is_told(call: Call) -> None:
    """
    And another may be asked for then.
    """
    request = await ask(call)
    other = await call.doctor.ask("request_still", participant=call.patient.id)
    await call.patient.ask("answer_still", request=request, answer="allowed")
    await call.patient.ask("answer_still", request=request, answer="failed")
    await ends(call, "failed")

    assert "conflict" == other["code"]
    assert request != await ask(call)


async def test_a_request_can_be_withdrawn_by_who_made_it(call: Call) -> None:
    """
    By nobody else.
    """
    request = await ask(call)
    foreign = await call.patient.ask("withdraw_still", request=request)
    await call.doctor.ask("withdraw_still", request=request)
    await ends(call, "withdrawn")

    assert "forbidden" == foreign["code"]


async def test_not_everybody_asks_and_nobody_answers_for_another(call: Call) -> None:
    """
    A patient who asks is refused, and it is written down.
    """
    reply = await call.patient.ask("request_still", participant=call.doctor.id)
    request = await ask(call)
    foreign = await call.doctor.ask("answer_still", request=request, answer="allowed")
    entries = await call.live.entries()

    assert ("forbidden", "forbidden") == (reply["code"], foreign["code"])
    assert [("pat", "still")] == [
        (each.clear["sub"], each.clear["what"]) for each in entries if each.kind == "bypass_tried"
    ]


async def test_a_still_that_nobody_allowed_does_not_come_in(call: Call) -> None:
    """
    Not before the answer, not under another's request, not twice.
    """
    request = await ask(call)
    early = await send(call, request)
    await call.patient.ask("answer_still", request=request, answer="allowed")
    foreign = await call.doc.create(PICTURE, kind="still", request=request, source="photo")
    good = await send(call, request)
    twice = await send(call, request)

    assert [409, 403, 204, 409] == [each.status for each in (early, foreign, good, twice)]


class Rules(Hooks):
    """Moles may be asked for."""

    def __init__(self) -> None:
        self.asked: list[StillRequest] = []
        self.told: list[StillEvent] = []

    async def still_consent(self, request: StillRequest) -> bool:
        self.asked.append(request)
        return request.label == "mole"

    async def on_still(self, event: StillEvent) -> None:
        self.told.append(event)


async def test_the_host_may_forbid_it_and_is_told(make_live: MakeLive) -> None:
    """
    Then nobody is asked; what becomes of the others it is told in order.
    """
    rules = Rules()
    call = await Call.begin(await make_live(hooks=rules))
    refused = await call.doctor.ask("request_still", participant=call.patient.id, label="face", reason="Mme Martin")
    request = await ask(call, label="mole")
    await call.patient.ask("answer_still", request=request, answer="allowed")
    await send(call, request, "frame")
    await call.live.until(lambda: len(rules.told) == 5)

    assert "forbidden" == refused["code"]
    assert [("doc", "practitioner", "pat", "patient", "face"), ("doc", "practitioner", "pat", "patient", "mole")] == [
        (each.by, each.by_role, each.sub, each.role, each.label) for each in rules.asked
    ]
    assert ["asked", "forbidden", "asked", "allowed", "taken"] == [each.what for each in rules.told]
    assert ("frame", sha256(PICTURE), 3000, "patient") == (
        rules.told[-1].source,
        rules.told[-1].sha256,
        rules.told[-1].size_bytes,
        rules.told[-1].role,
    )
    assert "Martin" not in repr(rules.told)
    seen = (await call.patient.sign("stills"))["stills"]
    assert [] == [each for each in seen if each["state"] == "asked"]


async def test_a_request_outlives_a_lost_socket(call: Call) -> None:
    """
    Whoever comes back sees that it is asked.
    """
    request = await ask(call)
    again = await call.live.join("pat", role="patient")
    (seen,) = (await again.sign("stills"))["stills"]

    assert (request, "asked") == (seen["request"], seen["state"])
