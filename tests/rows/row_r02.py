"""
R02, Medicam's documents (D0): a PDF of 10 MB goes each way while both see and hear each other, the patient on N2; who
may not have it is refused, and that is written down; and nobody has it once the call is over.

Call and files share the patient's line, so that one can be in the other's way (letters.py). Needs root.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rows.figures import Figure, is_short
from rows.instrument import file_of
from rows.letters import DOWN, PDF, UP, Beside, Letters
from rows.person import Person, attested
from support.netsim import NamespacePair

_figure = partial(Figure, "R02", example="medicam", is_least=False)

REFUSED = ("companion", "observer")
"""By the example's rule, and by the relay's: each has a seat in the call."""
LEAST_LEFT = 0.3
"""Of the sound, that counts: what came while a client did not run says nothing of the line."""
TRIES = 3
PIECE_BYTES = 64
"""So much of a file, found on the disk, is no chance."""


async def measure() -> list[Figure]:
    """Again, where clients or the line were short of processor. In short a file has 500 kB."""
    size = 500_000 if is_short() else 10_000_000
    tried = []
    for _ in range(2 if is_short() else TRIES):
        figures, left, was_late = await _play(size)
        tried.append((left, figures))
        if left >= LEAST_LEFT and not was_late:
            return figures
        print(f"R02  void: {left:.0%} of the sound counts; the line ran late: {was_late}", flush=True)
    return max(tried, key=lambda each: each[0])[1]


async def _play(size: int) -> tuple[list[Figure], float, bool]:
    """Once: figures, the share of the sound that counts, and whether the line ran late."""
    net = NamespacePair(DOWN, UP, seed=2, watch=lambda _: None)  # the line keeps its time
    await asyncio.to_thread(net.__enter__)
    try:
        with tempfile.TemporaryDirectory() as name:
            journal = Path(name) / "journal.db"
            async with (
                Letters(net, {"TELERELAY_JOURNAL_PATH": str(journal)}) as call,
                Person(call.near) as companion,
                Person(call.near) as observer,
            ):
                others = dict(zip(REFUSED, (companion, observer), strict=True))
                figures, left = await _consult(call, others, size, Path(f"{journal}.documents"))
    finally:
        await asyncio.to_thread(net.__exit__)
    return figures, left, net.was_late


async def _consult(call: Letters, others: Mapping[str, Person], size: int, folder: Path) -> tuple[list[Figure], float]:
    quiet_s = 4.0 if is_short() else 15.0
    up, (letter, letter_hash) = await call.beside("patient", size, quiet_s=quiet_s)
    # Neither touches the patient's line.
    had, (answer, answer_hash) = await asyncio.gather(
        call.fetch("practitioner", letter), call.send("practitioner", size + 1)
    )
    down, got = await call.beside("patient", size + 1, answer, quiet_s=quiet_s)
    hashes = {
        letter: {letter_hash, had["sha256"], had["told"]},
        answer: {answer_hash, got["sha256"], got["told"]},
    }
    readable = await asyncio.to_thread(_pieces, folder, (size, size + 1))
    refused = await _refused(call, others, letter)
    listed = await call.doctor.ask("GET", call.documents, token=call.tokens["practitioner"])
    for each in listed["body"]["documents"]:
        hashes[each["id"]].add(each["sha256"])
    await call.doctor.request("end")
    after = [
        (await call.fetch(role, document))["status"] for role in ("practitioner", "patient") for document in hashes
    ]
    address = f"{call.host.url}/consults/{call.consult}/attestation"
    signed = (await attested(call.doctor, address))["attestation"]
    left = await asyncio.to_thread(_files, folder)
    return [
        *_beside("up", up),
        *_beside("down", down),
        _figure(
            "of two files: without one hash at sender, relay, receiver and in the attestation",
            float(_differ(hashes, signed)),
            "",
            0.0,
        ),
        _figure("pieces of them on the relay's disk in the clear", float(readable), "", 0.0),
        _figure(
            f"tries of {' and '.join(REFUSED)} to have or send one, of {len(refused)}: not 403",
            float(sum(each != 403 for each in refused)),
            "",
            0.0,
        ),
        _figure(
            "notes of it missing in the attestation",
            float("bypass_tried" not in str(signed["technical_note"])),
            "",
            0.0,
        ),
        _figure(f"of {len(after)} answers after the end: not 410", float(sum(each != 410 for each in after)), "", 0.0),
        _figure("files left on the disk then", float(len(left)), "", 0.0),
    ], min(up.left, down.left)


def _beside(way: str, beside: Beside) -> list[Figure]:
    """What a file did to the voice that goes the same way."""
    return [
        _figure(f"{way}: p95 from one packet of sound to the next grows beside it by", beside.grew_ms, "ms", 10.0),
        _figure(f"{way}: p95 of what sound comes later by, beside it", beside.later_ms, "ms", 60.0),
        _figure(f"{way}: the file's own rate", beside.bps / 1e3, "kbit/s", 100.0, is_least=True),
    ]


def _differ(hashes: Mapping[str, set[str]], signed: Mapping[str, Any]) -> int:
    """Files that have more than one hash, or none in the attestation; and files that are too many or missing."""
    attested_hashes = {each["sha256"] for each in signed["documents"]}
    wrong = sum(len(found) != 1 or not found <= attested_hashes for found in hashes.values())
    return wrong + abs(len(attested_hashes) - 2) + abs(len(hashes) - 2)


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def _pieces(folder: Path, sizes: tuple[int, ...]) -> int:
    """How many pieces of what was sent can be read where the relay keeps it."""
    kept = [each.read_bytes() for each in _files(folder)]
    assert sum(map(len, kept)) > sum(sizes), "this is not where they are kept"
    pieces = [file_of(size)[at : at + PIECE_BYTES] for size in sizes for at in (0, size // 2)]
    return sum(piece in file for piece in pieces for file in kept)


async def _refused(call: Letters, others: Mapping[str, Person], document: str) -> list[int]:
    """What is answered to who has a seat, and no letters: to have one, and to send one."""
    statuses = []
    for role, person in others.items():
        await call.enter(person, role)
        had = await person.ask("GET", f"{call.documents}/{document}", token=call.tokens[role])
        said = {"sha256": "0" * 64, "label": "letter", **PDF}
        pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": pairs}
        sent = await person.ask("POST", call.documents, token=call.tokens[role], headers=headers)
        statuses += [had["status"], sent["status"]]
    return statuses
