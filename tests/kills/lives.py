"""
Consults at every stage of life, beside each other: scheduled, waiting, admitted, in a call, interrupted, about to end,
being attested; with timers that are about to fire, and rules that are asked.

Event loop of the driver. Between a kill and everybody's return nobody begins anything (`Cast.gate`), but what was under
way goes on.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from kills.desk import Desk
from kills.ledger import Ledger
from kills.patience import Patience
from kills.people import People
from kills.receiver import RULED
from rows.process import Failed
from telerelay.protocol.grants import TokenKeys

NO_ANSWER = {"connection_lost", "timeout"}
DONE_BEFORE = {"conflict", "not_found", "consult_over"}
KINDS = {"call": 5, "desk": 3, "rule": 3, "away": 3, "denied": 1, "cancelled": 1, "no_show": 1}
"""How a consult goes, and how often: let in by its doctor, by the host, by the application's rule; as `call`, with a
patient who is gone for a while; turned away; called off; nobody comes."""

RULED_WITHIN_S = 10.0

ROLES = {"pat": "patient", "doc": "practitioner", "com": "companion"}


@dataclass(slots=True)
class Seat:
    """Somebody who is there: where that person lives, and whether its call is as calls are."""

    people: People
    name: str
    consult: str
    is_disturbed: bool = False
    """The other one is not there, or is about to go: no media may be a good sign."""


@dataclass(slots=True)
class Cast:
    """All who play, and what they share."""

    url: str
    keys: TokenKeys
    desk: Desk
    ledger: Ledger
    dice: random.Random
    patients: People
    doctors: People
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    is_ending: bool = False
    seats: dict[str, Seat] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    """Consults that somebody was told have ended, or that are about to: each is to be attested once."""
    stages: Counter[str] = field(default_factory=Counter)
    """How often a kill found a consult at that stage."""
    now_at: dict[str, str] = field(default_factory=dict)
    """Stage by consult."""
    rules_closed: int = 0
    """How often a rule that lets people in did not come to it."""
    wrong: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def turn(self, most_s: float = 0.6) -> None:
        """Let some time pass; nobody begins anything while the relay is being waited for."""
        await asyncio.sleep(self.dice.uniform(0.0, most_s))
        await self.gate.wait()

    def killed(self) -> None:
        """Count what is interrupted by this."""
        self.stages.update(self.now_at.values())

    # ---------------------------------------------------------------- one person

    async def join(self, consult: str, who: str) -> Seat:
        people = self.patients if who == "pat" else self.doctors
        name = f"{consult}.{who}"
        token = self.keys.sign(room=consult, sub=who, role=ROLES[who], ttl_s=3600, now=time.time())
        answer = await people.join(name, self.url, consult, token)
        self.ledger.note(consult, "arrived", sub=who)
        seat = self.seats[name] = Seat(people, name, consult)
        if who == "doc" and not answer["admitted"]:
            self.wrong.append(f"{name}: who decides was not let in")
        return seat

    async def leave(self, seat: Seat) -> None:
        self.seats.pop(seat.name, None)
        if await seat.people.leave(seat.name):
            self.ledger.note(seat.consult, "left", sub=seat.name.rpartition(".")[2])

    async def vanish(self, seat: Seat) -> None:
        self.seats.pop(seat.name, None)
        await seat.people.vanish(seat.name)

    async def admitted(self, seat: Seat) -> None:
        """Wait until that person was told; then the disk has to know."""
        if await seat.people.until(seat.name, "admitted"):
            self.ledger.note(seat.consult, "admitted", sub=seat.name.rpartition(".")[2])
        else:
            self.wrong.append(f"{seat.name}: was let in and never told; {await seat.people.shown(seat.name)}")

    async def asks(self, seat: Seat, kind: str, fact: str, **fields: str) -> None:
        """A request over the WebSocket, said again until it is answered; noted then."""
        patience = Patience(60.0)
        members = {} if fact == "ended" else {"by": seat.name.rpartition(".")[2]}
        while patience:
            try:
                await seat.people.request(seat.name, kind, **fields)
            except Failed as error:
                if error.code in DONE_BEFORE:  # said before, and done
                    return
                if error.code not in NO_ANSWER | {"not_durable"}:
                    self.wrong.append(f"{seat.name}: {kind} was refused: {error}")
                    return
                if not await seat.people.until(seat.name, "connected", 30.0):
                    return  # it is over
            else:
                self.ledger.note(seat.consult, fact, **members)
                return

    # ---------------------------------------------------------------- one consult

    async def play(self) -> None:
        """One after the other, until the end."""
        while not self.is_ending:
            consult = f"c{next(self._numbers)}"
            kind = self.dice.choices(list(KINDS), list(KINDS.values()))[0]
            try:
                await self._live(consult, kind)
            except Exception as error:
                self.wrong.append(f"{consult} ({kind}, {self.now_at.get(consult)}): {type(error).__name__}: {error}")
            for name in [each for each in self.seats if each.startswith(f"{consult}.")]:
                await self.vanish(self.seats[name])
            self.now_at.pop(consult, None)

    async def _live(self, consult: str, kind: str) -> None:
        self.now_at[consult] = "scheduling"
        plan = {"starts_at": time.time() - 600.0 + self.dice.uniform(0.5, 3.0)} if kind == "no_show" else {}
        await self.desk.schedule(consult, queue=RULED if kind == "rule" else consult, **plan)
        self.now_at[consult] = "scheduled"
        await self.desk.set_timer(consult, "own.first", self.dice.uniform(0.2, 4.0))
        await self.turn()
        match kind:
            case "no_show":
                await asyncio.sleep(self.dice.uniform(2.0, 4.0))
                await self.turn()
                await self.desk.command(consult, "cancel", {"reason": "patient"}, "cancelled")
            case "cancelled":
                await self.join(consult, "pat")
                self.now_at[consult] = "waiting"
                await self.turn(1.0)
                await self.desk.command(consult, "cancel", {"reason": "technical"}, "cancelled")
            case "denied":
                await self.join(consult, "pat")
                self.now_at[consult] = "waiting"
                await self.turn(1.0)
                await self.desk.command(consult, "deny", {"sub": "pat", "reason": "not_now"}, "denied", sub="pat")
                await self.desk.command(consult, "end", {}, "closed")
            case _:
                await self._call(consult, kind)

    async def _call(self, consult: str, kind: str) -> None:
        patient = await self.join(consult, "pat")
        self.now_at[consult] = "waiting"
        await patient.people.publish(patient.name)
        await self.turn(1.0)
        doctor = await self.join(consult, "doc")
        await doctor.people.publish(doctor.name)
        await self.turn(0.3)
        self.now_at[consult] = "admitting"
        if kind == "desk":
            await self.desk.command(consult, "admit", {"sub": "pat"}, "admitted", sub="pat")
        elif kind != "rule" or not await patient.people.until(patient.name, "admitted", RULED_WITHIN_S):
            # A rule that was not answered in time, for the relay was killed or had no processor, is closed: then who
            # waits waits for a decider (docs/hooks.md).
            self.rules_closed += kind == "rule"
            await self._admit(doctor, patient)
        await self.admitted(patient)
        self.now_at[consult] = "admitted"
        await self._hear(patient, doctor)
        self.now_at[consult] = "in_progress"
        await self.desk.set_timer(consult, "own.second", self.dice.uniform(0.5, 3.0))
        await self.turn(3.0)
        if kind == "away":
            doctor.is_disturbed = True
            self.now_at[consult] = "interrupted"
            await self.vanish(patient)
            await self.turn(2.0)
            patient = await self.join(consult, "pat")
            await patient.people.publish(patient.name)
            await self.admitted(patient)
            await self._hear(patient, doctor)
            doctor.is_disturbed = False
            self.now_at[consult] = "in_progress"
            await self.turn(1.0)
        patient.is_disturbed = doctor.is_disturbed = True
        self.now_at[consult] = "ending"
        self.ended.add(consult)
        if self.dice.random() < 0.5:
            await self.asks(doctor, "end", "ended")
        else:
            await self.desk.command(consult, "end", {}, "ended")
        self.now_at[consult] = "attesting"
        await self.desk.attestation(consult)

    async def _admit(self, doctor: Seat, patient: Seat) -> None:
        """As the desk shows it: whoever waits there may be another participant after a kill, and is looked up again."""
        patience = Patience(90.0)
        while patience and not await patient.people.until(patient.name, "admitted", 0.2):
            for participant in (await doctor.people.shown(doctor.name))["waiting_room"][:1]:
                await self.asks(doctor, "admit", "admitted", participant=participant)

    async def _hear(self, *seats: Seat) -> None:
        for seat in seats:
            if not await seat.people.until(seat.name, "hearing", 90.0):
                self.wrong.append(f"{seat.name}: hears nobody: {await seat.people.shown(seat.name)}")

    # ---------------------------------------------------------------- one that lasts

    async def begin_long(self, consult: str = "long") -> None:
        """A call that is there from beginning to end, and somebody who waits before it all the time."""
        self.now_at[consult] = "in_progress"
        await self.desk.schedule(consult)
        patient = await self.join(consult, "pat")
        doctor = await self.join(consult, "doc")
        companion = await self.join(consult, "com")
        for seat in (patient, doctor, companion):
            await seat.people.publish(seat.name)
        await self.desk.command(consult, "admit", {"sub": "pat"}, "admitted", sub="pat")
        await self.admitted(patient)
        await self._hear(patient, doctor)

    async def end_long(self, consult: str = "long") -> None:
        for who in ("pat", "doc"):
            shown = await self.seats[f"{consult}.{who}"].people.shown(f"{consult}.{who}")
            if not shown["admitted"] or not shown["connected"]:
                self.wrong.append(f"{consult}.{who}: lost the seat in the end: {shown}")
        shown = await self.doctors.shown(f"{consult}.com")
        if shown["admitted"] or shown["heard_waiting"]:
            self.wrong.append(f"{consult}.com: waits, and is in or heard something: {shown}")
        self.ended.add(consult)
        await self.desk.command(consult, "end", {}, "ended")
        await self.desk.attestation(consult)
        for who in ("pat", "doc", "com"):
            await self.vanish(self.seats[f"{consult}.{who}"])
