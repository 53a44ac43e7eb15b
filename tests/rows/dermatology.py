"""
Calls of Helloconsult as its doctors have them: a patient comes now, the desk rings, both see each other.

What R09 and R10 share. Event loop of the row.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from rows.host import Host
from rows.person import Person
from rows.row_r08 import Site

DOCTOR, PATIENT = "doctor-1", "patient-7"


class Call:
    """One of them; `await Call.begin(host, patient, doctor)`, both being processes without a seat."""

    def __init__(self, host: Host, patient: Person, doctor: Person) -> None:
        self.host, self.patient, self.doctor = host, patient, doctor
        self.name = ""
        self.tokens = {"patient": "", "doctor": ""}
        self.ids = {"patient": "", "doctor": ""}

    @property
    def relay(self) -> str:
        return f"{self.host.url}/consult"

    @classmethod
    async def begin(cls, host: Host, patient: Person, doctor: Person) -> Call:
        """The patient asks for a doctor now, whose desk is open, and is let in. Nobody sends anything yet."""
        call = cls(host, patient, doctor)
        since = len(doctor.events)
        answer = await patient.ask("POST", f"{host.url}/now", {"patient": PATIENT})
        assert answer["status"] == 201, answer
        link = answer["body"]["link"].partition("#link=")[2]
        found = (await patient.ask("POST", f"{call.relay}/link", {"link": link}))["body"]
        call.name, call.tokens["patient"] = found["room"], found["token"]
        joined = await patient.join(call.relay, call.name, found["token"])
        call.ids["patient"] = joined["participant"]
        await doctor.event("said", lambda said: bool(said["said"].get("calls")), since)
        await doctor.tell({"type": "accept", "id": 2, "consult": call.name})
        entrance = await doctor.event("said", lambda said: "token" in said["said"], since)
        call.tokens["doctor"] = entrance["said"]["token"]
        call.ids["doctor"] = (await doctor.join(call.relay, call.name, call.tokens["doctor"]))["participant"]
        await doctor.request("admit", participant=call.ids["patient"])
        await patient.event("admitted", since=0)
        return call

    async def show(self, width: int = 640, height: int = 360) -> None:
        """Each sends picture and sound, the patient a picture of that size, and has the other's."""
        await asyncio.gather(self.patient.publish(width, height), self.doctor.publish(320, 180))
        ends = (self.patient, self.doctor)
        await asyncio.gather(*(person.received(kind) for person in ends for kind in ("audio", "video")))

    async def end(self, answer: str) -> dict[str, Any]:
        """The doctor says what the consult needed; what is attested of it."""
        body = {"doctor": DOCTOR, "answer": answer}
        ended = await self.doctor.ask("POST", f"{self.host.url}/consults/{self.name}/end", body)
        assert ended["status"] == 200, ended
        await asyncio.gather(self.patient.leave(), self.doctor.leave())
        return await self.attested()

    async def attested(self) -> dict[str, Any]:
        """The attestation, once it is there."""
        async with asyncio.timeout(30.0):
            url = f"{self.host.url}/consults/{self.name}/attestation"
            while (answer := await self.doctor.ask("GET", url))["status"] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        body = answer["body"]
        return dict((json.loads(body) if isinstance(body, str) else body)["attestation"])


async def open_desk(host: Host, patient: Person, doctor: Person) -> Site:
    """The doctor is there, and shown at the patient's."""
    site = Site(host, patient)
    since = len(patient.events)
    await patient.listen(f"{host.url}/available")
    await site.open_desk(doctor, DOCTOR)
    await site.shown(DOCTOR, True, since)
    return site
