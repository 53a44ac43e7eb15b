"""
R15, a health unit in a prison (D2): the patient has sound and picture and nothing else, whatever the patient's client
tries; a third party only with consent; no recording; names nowhere but in the unit's register.

What is tried bears the patient's name, so that it would be found in whatever writes it down. The call over TCP 443
alone (N4) is not measured here: the relay takes no media there yet.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import tempfile
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rows.figures import Figure, is_short
from rows.host import Host
from rows.person import Person, attested
from rows.place import Place
from rows.process import Failed
from telerelay.rooms.policy import ROLES

_figure = partial(Figure, "R15", is_least=False, example="unite_sanitaire")

PATIENT, DOCTOR, THIRD = "Zacharie-Quatrefages", "Yolande-Bretenoux", "Xavier-Hautefaye"
TRIED = {"data": 2, "document": 1, "still": 1, "publish": 1}
"""What the patient tries, by the words of the relay's counter: a chat and a channel, a file, a still, a screen."""
REFUSED_WITHIN_S = 15.0


async def measure() -> list[Figure]:
    count = 1 if is_short() else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        environment = {"TELERELAY_LOG_LEVEL": "debug", "TELERELAY_JOURNAL_PATH": str(folder / "journal.db")}
        async with (
            Host("unite_sanitaire", environment=environment, log=log) as host,
            Person() as patient,
            Person() as doctor,
            Person() as third,
        ):
            call = (await doctor.ask("POST", f"{host.url}/calls", {"patient": PATIENT, "doctor": DOCTOR}))["body"]
            figures = [
                *await _called(host, call, patient, doctor),
                *await _tried(host, call, patient),
                *await _third_party(host, call, patient, doctor, third, count),
                *await _recorded(host, call, patient, doctor),
            ]
            counted = str((await doctor.ask("GET", f"{host.url}/consult/metrics"))["body"])
            await doctor.request("end")
            signed = (await attested(doctor, f"{host.url}/calls/{call['call']}/attestation"))["attestation"]
        written = {"metrics": counted.encode(), "attestation": json.dumps(signed).encode(), **_files(folder)}
    return [
        *figures,
        *_audited(counted, signed, count),
        _figure(
            "names in log, journal, metrics and attestation",
            float(sum(text.count(who.encode()) for text in written.values() for who in (PATIENT, DOCTOR, THIRD))),
            "",
            0.0,
        ),
        _figure("lines of that log", float(written["log"].count(b"\n")), "", 5.0, is_least=True),
    ]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: a call in each round, in which the patient tries everything and a third party comes."""
    async with place.people(3) as people:
        patient, doctor, third = people

        async def once() -> list[Figure]:
            for person in people:
                person.forget()
            call = (await doctor.ask("POST", f"{place.url}/calls", {"patient": PATIENT, "doctor": DOCTOR}))["body"]
            figures = [
                *await _called(place, call, patient, doctor),
                *await _tried(place, call, patient),
                *await _third_party(place, call, patient, doctor, third, 1),
            ]
            counted = str((await doctor.ask("GET", f"{place.url}/consult/metrics"))["body"])
            await doctor.request("end")
            signed = (await attested(doctor, f"{place.url}/calls/{call['call']}/attestation"))["attestation"]
            for person in people:
                await person.leave()
            return [*figures, *_audited(counted, signed, 1)]

        return await place.rounds(once)


def _files(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


async def _called(host: Host, call: dict[str, Any], patient: Person, doctor: Person) -> list[Figure]:
    relay = f"{host.url}/consult"
    await doctor.enter(relay, call["links"]["practitioner"])
    waits = await patient.enter(relay, call["links"]["patient"])
    await doctor.request("admit", participant=waits["participant"])
    await patient.event("admitted")
    await asyncio.gather(patient.publish(), doctor.publish())
    lacking = await _failures(*(each.received(kind) for each in (patient, doctor) for kind in ("audio", "video")))
    return [_figure("of patient and doctor: kinds that one does not receive", float(lacking), "", 0.0)]


async def _failures(*doing: Awaitable[object]) -> int:
    """How many of these fail."""
    return sum(isinstance(each, BaseException) for each in await asyncio.gather(*doing, return_exceptions=True))


async def _is_refused(doing: Awaitable[object]) -> bool:
    try:
        await doing
    except Failed as error:
        return error.code in ("forbidden", "bad_message", "unauthorized")
    return False


async def _tried(host: Host, call: dict[str, Any], patient: Person) -> list[Figure]:
    """The client of the patient is another's, and does what it likes with a token of the patient's own."""
    token = await host.token(call["call"], patient.sub, "patient")
    refused = [await _is_refused(patient.request("chat", text=PATIENT))]
    await patient.open_channel(PATIENT)
    try:
        async with asyncio.timeout(REFUSED_WITHIN_S):
            told = await patient.event("channel_refused")
        refused.append(told["code"] == "forbidden")
    except TimeoutError:
        refused.append(False)
    for kind, more in (("document", {}), ("still", {"request": "r7", "source": "photo"})):
        answer = await patient.ask(
            "POST",
            f"{host.url}/consult/documents",
            token=token,
            headers=_upload(kind=kind, filename=f"{PATIENT}.pdf", **more),
        )
        refused.append(answer["status"] == 403)
    refused.append(await _is_refused(patient.publish(sources=["microphone", "screen"])))
    return [
        _figure("of chat, channel, file, still and screen: not refused to the patient", 5.0 - sum(refused), "", 0.0)
    ]


def _upload(**fields: str) -> dict[str, str]:
    told = {"sha256": "0" * 64, **fields}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())
    return {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": metadata}


async def _third_party(
    host: Host, call: dict[str, Any], patient: Person, doctor: Person, third: Person, count: int
) -> list[Figure]:
    """Let in again and again: without consent, with it, and until it is taken back."""
    site, relay = f"{host.url}/calls/{call['call']}", f"{host.url}/consult"
    without, lacking, took = 0, 0, []
    for _ in range(count):
        invited = await doctor.ask("POST", f"{site}/third", {"name": THIRD, "role": "interpreter"})
        waits = await third.enter(relay, invited["body"]["link"])
        try:
            await doctor.request("admit", participant=waits["participant"])
            without += 1
        except Failed as error:
            without += error.code != "no_consent"
        await patient.ask("POST", f"{site}/consent", {"given": True})
        since = len(third.events)
        await doctor.request("admit", participant=waits["participant"])
        await third.event("admitted", since=since)
        lacking += await _failures(third.received("audio"))
        taken_back = await patient.ask("POST", f"{site}/consent", {"given": False})
        took.append((await third.event("ended", since=since))["at"] - taken_back["began"])
        await third.leave()
    return [
        _figure("a third party let in without the patient's consent", float(without), "", 0.0),
        _figure("with it: hears nobody", float(lacking), "", 0.0),
        _figure("the consent is taken back: out", median(took), "s", 1.0),
    ]


async def _recorded(host: Host, call: dict[str, Any], patient: Person, doctor: Person) -> list[Figure]:
    """Whoever asks: with a recorder's token that the key signed though nobody should have, by a link, by a request."""
    relay = f"{host.url}/consult"
    refused = []
    async with Person() as stranger:
        for role in sorted(ROLES):
            token = await host.token(call["call"], f"{role}-7", "recorder")
            refused.append(await _is_refused(stranger.join(relay, call["call"], token)))
            asked = await stranger.ask(
                "POST", f"{host.url}/calls/{call['call']}/third", {"name": role, "role": "recorder"}
            )
            refused.append(asked["status"] == 403)
        for sub in (patient.sub, doctor.sub):  # who is in already, as something else
            token = await host.token(call["call"], sub, "recorder")
            refused.append(await _is_refused(stranger.join(relay, call["call"], token)))
    for person in (patient, doctor):
        for kind in ("record", "start_recording"):
            refused.append(await _is_refused(person.request(kind)))
    return [
        _figure(
            f"recording, asked for {len(refused)} times, for every role: not refused",
            float(len(refused) - sum(refused)),
            "",
            0.0,
        )
    ]


def _audited(counted: str, signed: dict[str, Any], count: int) -> list[Figure]:
    found = {
        what: float(number) for what, number in re.findall(r'consult_attempts_total\{what="(\w+)"\} ([\d.]+)', counted)
    }
    missing = sum(max(0.0, number - found.get(what, 0.0)) for what, number in TRIED.items())
    consents = [each["is_given"] for each in signed["consents"] if each["what"] == "third_party"]
    return [
        _figure("of what the patient tried: not counted by the relay", missing, "", 0.0),
        _figure(
            "notes of it missing in the attestation", float("bypass_tried" not in signed["technical_note"]), "", 0.0
        ),
        _figure(
            "consents given and taken back that the attestation lacks",
            float(consents != [True, False] * count),
            "",
            0.0,
        ),
    ]
