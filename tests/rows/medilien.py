"""
A consult of examples/medilien, for rows R03 and R04: a GP's request, which a specialist accepts; all three are in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rows.host import Host
from rows.mailbox import Mailbox
from rows.person import Person

PATIENT_NAME = "Marguerite Duhamel-Québec"
REASON = f"{PATIENT_NAME}, the mole on her left arm"


@dataclass(slots=True)
class Case:
    """`patient_token` is the patient's for the consult, `ids` are the participants of each role."""

    host: Host
    box: Mailbox
    gp: Person
    expert: Person
    patient: Person
    request: str
    consult: str
    patient_token: str
    ids: dict[str, str]

    @property
    def relay(self) -> str:
        return f"{self.host.url}/consult"

    async def pending(self, patience: int = 600) -> float:
        """Consults of which the site has still to be told something, once there are none, or after a minute."""
        pending = 1.0
        for _ in range(patience):
            text = (await self.gp.ask("GET", f"{self.relay}/metrics"))["body"]
            pending = sum(
                float(line.split()[-1]) for line in text.splitlines() if line.startswith("telerelay_hook_pending ")
            )
            if not pending:
                break
            await asyncio.sleep(0.1)
        return pending


@asynccontextmanager
async def case(refuses: int) -> AsyncIterator[Case]:
    """The mail server refuses so many messages before it takes one."""
    async with (
        Mailbox(refuses) as box,
        Host("medilien", environment={"SMTP": box.address, "TELERELAY_LOG_LEVEL": "error"}) as host,
        Person() as gp,
        Person() as expert,
        Person() as patient,
    ):
        await gp.listen(f"{host.url}/pages/gp-1")
        await expert.listen(f"{host.url}/pages/expert-3")
        question = {"by": "gp-1", "patient": "patient-7", "for": "skin", "place": "lens", "question": REASON}
        await gp.ask("POST", f"{host.url}/requests", question)
        asked = (await expert.event("said", lambda each: "asked" in each["said"]))["said"]["asked"]
        accepted = (await expert.ask("POST", f"{host.url}/requests/{asked}/accept", {"by": "expert-3"}))["body"]
        told = (await gp.event("said", lambda each: "accepted" in each["said"]))["said"]
        relay = f"{host.url}/consult"
        ids = {
            "expert": (await expert.enter(relay, accepted["link"]))["participant"],
            "requester": (await gp.enter(relay, told["links"]["requester"]))["participant"],
        }
        link = told["links"]["patient"].partition("#link=")[2]
        token = (await patient.ask("POST", f"{relay}/link", {"link": link}))["body"]["token"]
        ids["patient"] = (await patient.join(relay, accepted["consult"], token))["participant"]
        await gp.request("admit", participant=ids["patient"])
        await patient.event("admitted")
        for person in (gp, expert, patient):
            await person.publish(160, 96)
        for person in (gp, expert, patient):
            await person.received("video")
        yield Case(host, box, gp, expert, patient, asked, accepted["consult"], token, ids)
