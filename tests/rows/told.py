"""
Consults of any length, held by their own machine with a clock that is an argument, journalled, attested and signed:
what a call of twenty minutes comes to, in a moment. The facts are synthetic, all that is made of them is real.

Nobody is connected to anything here; rows say which of their figures come from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from telerelay import ConsultPlan, PolicyResult
from telerelay.attest import Attestor, SigningKey
from telerelay.attest.attestation import draft_of
from telerelay.consult.consult import Consult, schedule
from telerelay.consult.draft import Facts
from telerelay.consult.facts import Measured
from telerelay.journal import Journal

Judge = Callable[[dict[str, object]], PolicyResult | None]
"""What a host's hook says of an attestation that is about to be signed."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: when it begins (Unix seconds), how long it is, how much of it was two-way; ids are opaque."""

    plan: ConsultPlan
    begins_at: float
    length_s: float
    video_s: float
    audio_s: float
    patient: str = "patient-1"
    doctor: str = "doctor-1"


def facts_of(call: Call) -> Facts:
    """What happens in it, from its plan to its end, as the consult's own machine decides it."""
    at = call.begins_at
    made: list[Facts] = [(schedule(at - 300, call.plan),)]
    consult = Consult(made[0][0])  # type: ignore[arg-type]

    def take(facts: Facts) -> None:
        consult.apply(*facts)
        made.append(facts)

    take(consult.arrive(at - 60, call.patient, "patient", "socket"))
    take(consult.arrive(at - 20, call.doctor, "practitioner", "socket"))
    take(consult.enter(at - 19, call.doctor))
    take(consult.admit(at - 1, call.patient, call.doctor))
    take(consult.enter(at, call.patient))
    ends_at = at + call.length_s
    take(
        consult.measure(
            Measured(
                ends_at,
                two_way_video_s=call.video_s,
                two_way_audio_s=call.audio_s,
                audio_only_s=max(0.0, call.audio_s - call.video_s),
                by_height=((720, call.video_s),) if call.video_s else (),
            )
        )
    )
    take(consult.end(ends_at, call.doctor))
    return tuple(fact for facts in made for fact in facts)


async def attested(call: Call, key: SigningKey, judge: Judge) -> bytes:
    """The document of such a call, as the relay writes it."""
    journal = await Journal.of_file("", lambda: call.begins_at + call.length_s)
    try:
        attestor = Attestor(journal, key, lambda: call.begins_at + call.length_s)
        await attestor.open()
        await journal.append(call.plan.consult, facts_of(call))
        draft = draft_of(call.plan.consult, await journal.read(call.plan.consult))
        result = judge(draft)
        await attestor.attest(draft, None if result is None else dataclasses.asdict(result))
        document = await attestor.document(call.plan.consult)
        assert document is not None
        return document
    finally:
        await journal.store.close()


def write(path: Path, documents: list[bytes]) -> Path:
    """Documents, one a line."""
    path.write_bytes(b"".join(documents))
    return path
