"""
Kills of a served relay: eight here, two hundred by `make kills`; and that what is looked for would be found.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kills import checks
from kills.__main__ import main
from kills.checks import Kept
from kills.driver import play
from kills.ledger import Ledger
from kills.report import Report, share

KILLS = 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_served_relay_killed_at_random_moments_has_lost_nothing(tmp_path: Path) -> None:
    """
    What was acknowledged is on the disk and at the webhook, timers fired once, each end has one attestation, chains
    hold, and everybody is back by himself. How fast is for `make kills`, on a machine with nothing else to do.
    """
    report = await play(KILLS, 6, tmp_path)

    assert [] == report.wrong
    assert KILLS == sum(report.kills.values())
    assert report.all_s or report.frozen == KILLS
    assert report.counted["acknowledged"] > 4 * KILLS
    assert report.counted["attestations"] >= 1


# -------------------------------------------------------------------- what is wrong is found

FIRED = ("timer_fired", {"timer": "own.first", "due_at": 5.0})
COURSE: list[tuple[str, dict[str, Any]]] = [
    ("scheduled", {"by": "desk-3"}),
    ("timer_set", {"timer": "own.first", "due_at": 5.0}),
    ("arrived", {"sub": "pat"}),
    ("admitted", {"sub": "pat", "by": "doc"}),
    FIRED,
    ("ended", {"by": "doc"}),
    ("attested", {"digest": "ab"}),
]


def body(number: int, consult: str = "c1", hook: str = "on_fact", what: str = "") -> dict[str, Any]:
    """What the webhook was told of a fact."""
    event = {"what": what}
    return {
        "room": consult,
        "sequence": number,
        "key": f"{consult}:{number}",
        "events": [{"hook": hook, "event": event}],
    }


def told(facts: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """All of them, as they should be."""
    return [
        body(number, hook="on_timer", what="fired") if kind == "timer_fired" else body(number)
        for number, (kind, _) in enumerate(facts, 1)
    ]


def test_a_whole_course_has_nothing_wrong() -> None:
    """
    So that what follows is found for its own sake.
    """
    ledger = Ledger()
    ledger.note("c1", "admitted", sub="pat")
    journal = {"c1": COURSE}

    assert [] == checks.lost(ledger.told, journal)
    assert [] == checks.timers([("c1", "own.first", 5.0)], journal)
    assert [] == checks.attested({"c1"}, Kept(journal, [], Counter(c1=1)))
    assert [] == checks.seats(journal)
    assert ([], 1) == checks.webhook([*told(COURSE), told(COURSE)[-1]], journal)


@pytest.mark.parametrize("kind", ["scheduled", "admitted", "ended"])
def test_what_was_acknowledged_and_is_not_there_is_named(kind: str) -> None:
    """
    With the consult, and after how many kills.
    """
    ledger = Ledger()
    ledger.kills = 3
    ledger.note("c1", kind)
    (wrong,) = checks.lost(ledger.told, {"c1": [fact for fact in COURSE if fact[0] != kind]})

    assert "c1" in wrong
    assert "3 kills" in wrong


def test_a_fact_of_another_person_is_not_the_one() -> None:
    """
    Nor of another consult.
    """
    ledger = Ledger()
    ledger.note("c1", "admitted", sub="com")
    ledger.note("c2", "admitted", sub="pat")

    assert 2 == len(checks.lost(ledger.told, {"c1": COURSE}))


@pytest.mark.parametrize(
    ("facts", "wrong"),
    [
        ([each for each in COURSE if each != FIRED and each[0] not in ("ended", "attested")], "fired 0 times"),
        ([*COURSE[:5], FIRED, *COURSE[5:]], "fired 2 times"),
    ],
)
def test_a_timer_that_did_not_fire_or_fired_again_is_named(facts: list[tuple[str, Any]], wrong: str) -> None:
    """
    One whose consult was over before it was due need not.
    """
    found = checks.timers([("c1", "own.first", 5.0)], {"c1": facts})

    assert found
    assert all(wrong in each for each in found)
    assert [] == checks.timers([("c1", "own.first", 5.0)], {"c1": [each for each in COURSE if each != FIRED]})


@pytest.mark.parametrize(
    ("facts", "attestations"),
    [(COURSE, 0), (COURSE[:-1], 0), ([*COURSE, COURSE[-1]], 1), ([*COURSE, ("lost", {})], 1), (COURSE[:-2], 0)],
)
def test_an_end_without_its_one_attestation_is_named(facts: list[tuple[str, Any]], attestations: int) -> None:
    """
    None, two, one that is not the last fact, or no end where one was told.
    """
    assert checks.attested({"c1"}, Kept({"c1": facts}, [], Counter(c1=attestations)))


def test_a_seat_that_was_lost_and_a_second_admission_are_named() -> None:
    """
    Who left and was let in again is neither.
    """
    again = [*COURSE[:4], ("admitted", {"sub": "pat"})]
    lost = [*COURSE[:4], ("left", {"sub": "pat", "reason": "timeout"})]
    back = [*COURSE[:4], ("left", {"sub": "pat", "reason": "left"}), ("admitted", {"sub": "pat"})]

    assert [1, 1, 0] == [len(checks.seats({"c1": facts})) for facts in (again, lost, back)]


@pytest.mark.parametrize("fault", ["gap", "order", "other words", "not on the disk", "not told", "timer not told"])
def test_what_the_webhook_should_not_have_seen_is_named(fault: str) -> None:
    """
    Each alone.
    """
    bodies, journal = told(COURSE), {"c1": COURSE}
    match fault:
        case "gap":
            del bodies[2]
        case "order":
            bodies[2], bodies[3] = bodies[3], bodies[2]
        case "other words":
            bodies.append(body(7, hook="on_end"))
        case "not on the disk":
            bodies.append(body(8))
        case "not told":
            bodies.pop()
        case "timer not told":
            bodies[4] = body(5)

    assert checks.webhook(bodies, journal)[0]


def test_numbers_that_the_file_lacks_are_named(tmp_path: Path) -> None:
    """
    Read with SQLite alone.
    """
    import sqlite3

    path = tmp_path / "journal.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE entries (consult TEXT, seq INTEGER, kind TEXT, clear TEXT)")
    connection.execute("CREATE TABLE attestations (consult TEXT)")
    for seq in (1, 3):
        connection.execute("INSERT INTO entries VALUES ('c1', ?, 'lost', '{}')", (seq,))
    connection.commit()
    connection.close()

    assert ["c1: number 3 follows on 1"] == Kept.read(path).gaps


@pytest.mark.parametrize(("took_s", "wrong", "code"), [(4.9, [], 0), (5.1, [], 1), (1.0, ["lost"], 1)])
def test_who_is_back_too_late_and_what_is_wrong_fail_it(
    took_s: float, wrong: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    An exit code, a line for people, and an object for programs.
    """

    async def played(kills: int, seed: int, within_s: float, say: object) -> Report:
        return Report(kills=Counter(control=kills), seed=seed, took_s={"control: media": [took_s] * 20}, wrong=wrong)

    monkeypatch.setattr("kills.__main__.play_in_a_folder", played)
    found = main(["--kills", "20", "--seed", "1", "--json"])
    lines = capsys.readouterr().out.splitlines()

    assert code == found
    assert (code == 0) is json.loads(lines[-1])["is_reached"]
    assert any(("MISSED" if took_s > 5 else "reached") in line for line in lines)


def test_nobody_measured_has_reached_nothing() -> None:
    """
    The 95th of a hundred is no number of none.
    """
    assert math.isnan(share([], 0.95))
    assert not Report().is_reached
    assert 95 == share(range(1, 101), 0.95)
