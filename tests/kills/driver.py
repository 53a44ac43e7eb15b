"""
Plays it: a relay with consults at every stage, killed at random moments, and what is wrong afterwards.

Event loop of one process; the relay, its workers and the people are processes of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp

from kills import checks
from kills.desk import Desk
from kills.ledger import Ledger
from kills.lives import Cast, Seat
from kills.patience import Patience
from kills.people import People
from kills.receiver import Receiver, receiver
from kills.report import Report
from kills.supervised import Supervised
from rows.commands import TELERELAY, lines_of
from rows.process import Message

LIVES = 4
"""Consults beside the one that lasts."""

KINDS = {"control": 5, "everything": 4, "control, and once more while it starts": 1}
LONGEST_WAIT_S = 2.5
"""From everybody's return to the next kill."""

BACK_WITHIN_S = 30.0
"""From when the relay is ready: who is not back then does not come back."""

LOOKED_FOR_S = 3600.0
FROZEN_S = 1.0
TOLD_WITHIN_S = 120.0


async def play(
    kills: int,
    seed: int,
    folder: Path,
    say: Callable[[str], None] = lambda line: None,
    *,
    within_s: float = math.inf,
) -> Report:
    """
    Kill a relay so many times, or as often as it can be within that time. `folder` is where its files are, log and
    journal among them.
    """
    dice = random.Random(seed)
    ledger, report, began = Ledger(), Report(seed=seed), time.monotonic()
    async with (
        receiver(random.Random(seed + 1)) as host,
        Supervised(folder, host.host.url) as relay,
        # No connection is kept: the relay that is killed would leave one behind.
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        _people() as patients,
        _people() as doctors,
        _Pulse() as pulse,
    ):
        assert relay.keys is not None
        desk = Desk(relay.admin_url, relay.keys, http, ledger)
        cast = Cast(relay.url, relay.keys, desk, ledger, random.Random(seed + 2), patients, doctors)
        cast.gate.set()
        await cast.begin_long()
        playing = [asyncio.create_task(cast.play()) for _ in range(LIVES)]
        for number in range(1, kills + 1):
            await asyncio.sleep(dice.uniform(0.2, LONGEST_WAIT_S))
            await _kill(dice, relay, cast, report, pulse)
            if time.monotonic() - began > within_s:
                break
            if number % 10 == 0:
                say(f"{number} kills after {time.monotonic() - began:.0f} s; wrong so far: {len(cast.wrong)}")
        cast.is_ending = True
        await asyncio.gather(*playing)
        await cast.end_long()
        await _all_told(host, relay)
        code = await relay.stop()
        report.wrong += cast.wrong + ([f"the relay exited with {code}"] if code not in (0, -signal.SIGTERM) else [])
        report.stages = cast.stages
        report.starts_s, report.waited_s = relay.starts_s, relay.waited_s
    report.lasted_s = time.monotonic() - began
    await _check(report, relay, cast, host)
    return report


async def _kill(dice: random.Random, relay: Supervised, cast: Cast, report: Report, pulse: _Pulse) -> None:
    """Once; returns when everybody is back."""
    kind = dice.choices(list(KINDS), list(KINDS.values()))[0]
    seats = list(cast.seats.values())
    cast.killed()
    cast.gate.clear()
    report.stood_still_s = max(report.stood_still_s, pulse.longest_s)
    pulse.longest_s = 0.0
    killed_at = await relay.kill(with_workers=kind == "everything")
    cast.ledger.kills += 1
    await relay.spawn()
    if kind.startswith("control,"):
        await asyncio.sleep(dice.uniform(0.0, relay.starts_s[0]))
        await relay.kill(with_workers=False)
        await relay.spawn()
    is_new = kind == "everything"
    waiting = [
        asyncio.create_task(
            each.people.back(each.name, killed_at, LOOKED_FOR_S, is_new=is_new, is_alone=each.is_disturbed)
        )
        for each in seats
    ]
    await relay.ready()
    patience = Patience(BACK_WITHIN_S)
    found = [await _found(task, seat, patience) for task, seat in zip(waiting, seats, strict=True)]
    is_frozen = pulse.longest_s > FROZEN_S
    report.stood_still_s = max(report.stood_still_s, pulse.longest_s)
    report.kills[kind] += 1
    report.frozen += is_frozen
    for seat, back in zip(seats, found, strict=True):
        if back["what"] == "late" and not seat.is_disturbed:
            cast.wrong.append(
                f"{seat.name}: not back {BACK_WITHIN_S:g} s after the relay was, from a kill of {kind}: {back['shown']}"
            )
        if back["what"] in ("media", "seat") and not is_frozen:
            report.took_s.setdefault(f"{kind}: {back['what']}", []).append(back["took_s"])
            report.ran_s.append(max(0.0, back["took_s"] - relay.waited_s[-1]))
    cast.gate.set()


async def _found(task: asyncio.Task[Message], seat: Seat, patience: Patience) -> Message:
    """When somebody was back; "late" where patience, which begins when the relay is ready, has an end before."""
    while not task.done() and patience:
        await asyncio.wait([task], timeout=0.1)
    if task.done():
        return task.result()
    task.cancel()
    return {"what": "late", "shown": await seat.people.shown(seat.name)}


async def _all_told(host: Receiver, relay: Supervised) -> None:
    """Wait until the application has been told all there is."""
    patience = Patience(TOLD_WITHIN_S)
    while patience:
        journal = checks.Kept.read(relay.journal).journal
        if sum(map(len, journal.values())) == len({body["key"] for body in host.taken}):
            return
        await asyncio.sleep(0.5)


async def _check(report: Report, relay: Supervised, cast: Cast, host: Receiver) -> None:
    kept = checks.Kept.read(relay.journal)
    webhook, again = checks.webhook(host.taken, kept.journal)
    report.wrong += kept.gaps
    report.wrong += checks.lost(cast.ledger.told, kept.journal)
    report.wrong += checks.timers(cast.ledger.timers, kept.journal)
    report.wrong += checks.attested(cast.ended, kept)
    report.wrong += checks.seats(kept.journal)
    report.wrong += webhook
    if host.host.forged:
        report.wrong.append(f"{host.host.forged} webhooks were not signed as they should be")
    source, key = ("--journal", relay.journal), ("--key", relay.public_key)
    (chain,) = (await lines_of(*TELERELAY, "journal", "verify", *source, *key, "--json"))[-1:]
    if not chain["is_good"]:
        report.wrong.append(f"the journal does not verify: {chain}")
    out = relay.folder / "attestations"
    await lines_of(*TELERELAY, "attest", "export", *source, "--out", out, "--json")
    files = sorted(out.glob("*.json"))
    verdict = (await lines_of(*TELERELAY, "attest", "verify", *key, *files, "--json"))[-1]
    bad = [row for row in verdict["files"] if not row["is_good"]]
    if bad or len(files) != sum(kept.attestations.values()):
        report.wrong.append(f"of {len(files)} attestations {len(bad)} do not verify: {bad[:3]}")
    report.counted = {
        "consults": len(kept.journal),
        "facts": sum(map(len, kept.journal.values())),
        "acknowledged": len(cast.ledger.told),
        "told to the webhook": len({body["key"] for body in host.taken}),
        "told twice": again,
        "decisions asked": host.asked,
        "rules that had no answer in time": cast.rules_closed,
        "timers": len(cast.ledger.timers),
        "attestations": len(files),
        "anchors": chain["anchors"],
        "commands said again": cast.desk.said_again,
    }


@contextlib.asynccontextmanager
async def _people() -> AsyncIterator[People]:
    people = People()
    async with people:
        yield people


class _Pulse:
    """How long this loop did not get to run: where it did not, nobody here did."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Pulse:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _run(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.02)
            now = time.monotonic()
            self.longest_s = max(self.longest_s, now - before)
            before = now


async def play_in_a_folder(kills: int, seed: int, within_s: float, say: Callable[[str], None]) -> Report:
    """In a folder of its own, which is kept where something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="telerelay-kills-"))
    report = await play(kills, seed, folder, say, within_s=within_s)
    if report.wrong:
        say(f"the relay's log and journal are in {folder}")
    else:
        shutil.rmtree(folder)
    return report
