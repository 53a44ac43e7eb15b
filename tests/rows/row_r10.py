"""
R10, dermatology by video (D4: 80 % by video alone): each consult ends with a question, the report gives the shares of
the answers, and the attestation the seconds in which a picture of 720 lines or more came.

People are processes, the report is `telerelay report`'s, from the site's journal.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

from rows.commands import TELERELAY, lines_of, telerelay
from rows.dermatology import DOCTOR, Call, open_desk
from rows.figures import Figure, is_short
from rows.host import Host
from rows.still import Watched

_figure = partial(Figure, "R10", is_least=False, example="helloconsult")

ANSWERS = {"video_sufficient": 8, "still_needed": 1, "cabin_needed": 1}
SHORT = {"video_sufficient": 4, "in_person_needed": 1}
"""Four of five, as D4 has it; how many of each is the row's."""
TALK_S, SHORT_TALK_S = 20.0, 8.0
EDGES_S = 3.0
"""What is not certain is not attested, such as a second at either end."""


async def measure() -> list[Figure]:
    answers = SHORT if is_short() else ANSWERS
    with tempfile.TemporaryDirectory(prefix="telerelay-rows-") as name:
        folder = Path(name)
        await lines_of(*TELERELAY, "attest", "--new-key", folder / "signing.key")
        environment = {
            "TELERELAY_JOURNAL_PATH": str(folder / "journal.db"),
            "TELERELAY_ATTEST_KEY_FILE": str(folder / "signing.key"),
        }
        async with Host("helloconsult", environment=environment) as host, Watched() as patient, Watched() as doctor:
            site = await open_desk(host, patient, doctor)
            unasked = 0
            figures: list[Figure] = []
            for number, answer in enumerate(word for word, count in answers.items() for _ in range(count)):
                since = len(patient.events)
                call = await Call.begin(host, patient, doctor)
                unasked += await _unanswered(call)
                if number == 0:
                    figures = await _seen(call, answer)
                else:
                    await call.show(160, 96)
                    await call.end(answer)
                await site.shown(DOCTOR, True, since)
        journal, key = folder / "journal.db", folder / "signing.key.pub"
        report = await telerelay("report", "--journal", journal, "--key", key)
    shares, count = report["share"]["policy_outcome"], sum(answers.values())
    off = sum(abs(shares.get(word, 0.0) - number / count) for word, number in answers.items())
    return [
        *figures,
        _figure(f"ends without an answer that were let pass, of {count}", unasked, "", 0.0),
        _figure("consults with an answer in the report", report["acts"], "", count, is_least=True),
        _figure("shares of the answers in the report, off those that were given", off, "", 0.001),
        _figure(
            "share of those for which video was sufficient",
            100 * shares.get("video_sufficient", 0.0),
            "%",
            80.0,
            is_least=True,
        ),
    ]


async def _unanswered(call: Call) -> bool:
    """Whether the site ends a consult without having been told."""
    url = f"{call.host.url}/consults/{call.name}/end"
    answer = await call.doctor.ask("POST", url, {"doctor": DOCTOR})
    return bool(answer["status"] == 200)


async def _seen(call: Call, answer: str) -> list[Figure]:
    """A call with a picture of 720 lines: what is attested, and what the doctor's own client had of it."""
    talk_s = SHORT_TALK_S if is_short() else TALK_S
    await call.show(1280, 720)
    began = time.monotonic()
    await asyncio.sleep(talk_s)
    video = await call.doctor.video(began, time.monotonic())
    attested = await call.end(answer)
    own_s = sum(count for height, count in video["seconds"].items() if int(height) >= 720)
    signed_s = sum(seconds for height, seconds in attested["video_s_by_height"] if height >= 720)
    return [
        _figure("seconds in which the doctor's client showed 720 lines or more", own_s, "s", talk_s / 2, is_least=True),
        _figure("seconds at 720 lines or more attested, less those at the client", signed_s - own_s, "s", EDGES_S),
        _figure("and the other way", own_s - signed_s, "s", EDGES_S),
    ]
