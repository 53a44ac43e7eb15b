"""
R03, MediLien with e-synaps (D0): a GP's request becomes a consult; a specialist accepts; the GP joins as requester,
hands over and leaves; the call goes on without a freeze of more than 500 ms; the GP gets `ended` once.

People are processes; how long a picture stood still is seen where it is decoded. A round with a freeze in which
such a process did not get to run is void, and played again.
"""

from __future__ import annotations

import asyncio
import statistics
from functools import partial

from rows.figures import Figure, is_short
from rows.medilien import Case, case
from rows.process import Failed

_figure = partial(Figure, "R03", example="medilien", unit="", bound=0.0, is_least=False)

AFTER_S = 3.0
"""How long is looked on after the GP has gone: what a departure does to others it does at once."""
FREEZE_MOST_S, STARVED_MOST_S = 0.5, 0.1


async def measure() -> list[Figure]:
    rounds = 3 if is_short() else 5
    async with case(refuses=2) as found:
        early = await found.gp.ask("POST", f"{found.host.url}/requests/{found.request}/hand_over", {"by": "expert-3"})
        freezes: list[float] = []
        void = 0
        while len(freezes) < rounds and void < 3 * rounds:
            freeze_s, starved_s = await _round(found)
            if freeze_s > FREEZE_MOST_S and starved_s > STARVED_MOST_S:
                void += 1
                continue
            freezes.append(freeze_s)
        in_call = await _are_in_call(found)
        await found.expert.request("end")
        await found.box.until_one()
        pending = await found.pending()
        # As a page does that lost its connection: what was said meanwhile comes then, and nothing that was said before.
        await found.gp.listen(f"{found.host.url}/pages/gp-1")
        await found.gp.event("said", lambda each: "ended" in each["said"])
        await found.gp.ask("GET", f"{found.relay}/healthz")
        ended = [each for each in found.gp.events if each["type"] == "said" and "ended" in each["said"]]
    return [
        _figure("rounds that were not void", float(len(freezes)), bound=float(rounds), is_least=True),
        _figure(
            f"longest freeze of patient and specialist while the GP leaves, median of {rounds}",
            statistics.median(freezes) if freezes else float("nan"),
            unit="s",
            bound=FREEZE_MOST_S,
        ),
        _figure("handed over by another than whoever asked: not refused", float(early["status"] != 403)),
        _figure("patient and specialist who do not hear and see each other after it", in_call),
        _figure("times that the GP's page was told `ended`, but one", abs(len(ended) - 1.0)),
        _figure("facts of which the site was still to be told then", pending),
    ]


async def _round(found: Case) -> tuple[float, float]:
    """The GP hands over, goes, and, for the next round, comes back: the freeze while going, and time without CPU."""
    watched = ((found.expert, found.ids["patient"]), (found.patient, found.ids["expert"]))
    for person, _ in watched:
        await person.watch()
    await asyncio.sleep(0.5)
    answer = await found.gp.ask("POST", f"{found.host.url}/requests/{found.request}/hand_over", {"by": "gp-1"})
    assert answer["status"] == 200, answer
    since = len(found.patient.events)
    await found.gp.leave()
    await found.patient.event("participant_left", since=since)
    await asyncio.sleep(AFTER_S)
    seen = [await person.watched() for person, _ in watched]
    freezes = [each["pictures"][other]["longest_s"] for each, (_, other) in zip(seen, watched, strict=True)]
    link = await found.gp.ask("POST", f"{found.host.url}/requests/{found.request}/link")
    await found.gp.enter(found.relay, link["body"]["link"])
    await found.gp.publish(160, 96)
    await found.gp.received("video")
    return max(freezes), max(each["starved_s"] for each in seen)


async def _are_in_call(found: Case) -> float:
    """Kinds of media of which nothing new comes to one of the two, once the GP has gone for good."""
    await found.gp.leave()
    missing = 0
    for person, other in ((found.expert, found.ids["patient"]), (found.patient, found.ids["expert"])):
        for kind in ("audio", "video"):
            try:
                await person.receives(kind, other)
            except Failed:
                missing += 1
    return float(missing)
