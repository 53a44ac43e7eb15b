"""
A report counts what is attested, and holds no id (scenarios, R22).
"""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from support.told_consult import START, told_consult
from telerelay import cli
from telerelay.attest.attestation import TABLE
from telerelay.attest.report import page, report, text
from telerelay.attest.story import Told, summary
from telerelay.journal import canonical, schema

DAY_S = 86_400.0


def attestation(consult: str = "c", **how: object) -> dict[str, object]:
    """What an attestation says, without a signature."""
    facts = told_consult(consult, **how)  # type: ignore[arg-type]
    told = [Told(seq, fact.at, fact.kind, fact.clear) for seq, fact in enumerate(facts, 1)]
    plan = facts[0].clear["plan"]
    return {**summary(consult, told), "policy": {"policy": plan["policy"], "date": plan["policy_date"]}}


def test_acts_professionals_peak_and_shares_are_counted() -> None:
    """
    Two acts on one day and one on the next, by two professionals; one emergency, one without video.
    """
    result = report(
        [
            attestation(practitioner="d1", outcome="completed"),
            attestation(
                practitioner="d2", start=START + 600, is_emergency=True, region="bretagne", outcome="completed"
            ),
            attestation(practitioner="d1", start=START + DAY_S, video_s=0.0, outcome="technical_failure"),
        ]
    ).to_json()

    assert (3, 3, 2, {"day": "2025-11-24", "acts": 2}, 2) == (
        result["attestations"],
        result["acts"],
        result["professionals"],
        result["peak"],
        result["concurrent"],
    )
    assert [("2025-11-24", 2, 2), ("2025-11-25", 1, 1)] == [tuple(each.values()) for each in result["days"]]
    assert (0.6667, 0.3333) == (result["share"]["two_way_video"], result["share"]["emergency"])
    assert {"completed": 0.6667, "technical_failure": 0.3333} == result["share"]["outcome"]
    assert {"occitanie": 0.6667, "bretagne": 0.3333} == result["share"]["region"]


def test_days_are_those_of_the_time_zone() -> None:
    """
    What ends at half past eleven in the evening in London ends tomorrow in Paris.
    """
    late = START - START % DAY_S + 23.5 * 3600 - 1200

    assert "2025-11-24" == report([attestation(start=late)], "Europe/London").peak[0]
    assert "2025-11-25" == report([attestation(start=late)], "Europe/Paris").peak[0]
    with pytest.raises(ValueError, match="no time zone"):
        report([], "Europe/Nowhere")


def test_a_consult_without_a_call_is_no_act() -> None:
    """
    It is attested and counted apart.
    """
    facts = told_consult()
    told = [Told(seq, fact.at, fact.kind, fact.clear) for seq, fact in enumerate([*facts[:5], facts[-1]], 1)]
    result = report([{**summary("c", told), "policy": {"policy": "", "date": ""}}])

    assert (1, 0, ("", 0)) == (result.attestations, result.acts, result.peak)
    assert "acts           0" in text(result)
    assert "nothing was measured" in page(result)


def test_what_is_no_attestation_is_refused() -> None:
    """
    By its place, not by a stack.
    """
    with pytest.raises(ValueError, match="attestation 2 is none"):
        report([attestation(), {"states": [{"state": "in_progress", "at": 1.0}]}])


def synthetic(path: Path, acts: int, professionals: int, peak: int, days: int) -> None:
    """Attestations of so many acts over two months, the peak on the thirtieth day."""
    connection = sqlite3.connect(path, isolation_level=None)
    schema.create(connection)
    connection.execute(TABLE)
    template = canonical.dumps({**attestation("CONSULT", practitioner="DOCTOR"), "key_id": "k"}).decode()
    times = [START + at for at in (0, 10, 20, 22, 40, 41, 100, 300, 310, 1200)]
    others = [(acts - peak) // (days - 1)] * (days - 1)
    others[-1] += acts - peak - sum(others)
    by_day = [*others[:30], peak, *others[30:]]
    connection.execute("BEGIN")
    number = 0
    for day, count in enumerate(by_day):
        moved = template
        for at in times:
            moved = moved.replace(f"{at:.0f}", f"{at + day * DAY_S:.0f}")
        for _ in range(count):
            made = moved.replace("CONSULT", f"c{number}").replace("DOCTOR", f"d{number % professionals}")
            connection.execute("INSERT INTO attestations VALUES (NULL, ?, 0.0, ?, x'')", (f"c{number}", made))
            number += 1
    connection.execute("COMMIT")
    connection.close()


@pytest.mark.parametrize(
    ("acts", "professionals", "peak"), [(2500, 188, 100), pytest.param(50_000, 3750, 2000, marks=pytest.mark.slow)]
)
def test_fifty_thousand_acts_give_their_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], acts: int, professionals: int, peak: int
) -> None:
    """
    50,000 synthetic acts by 3,750 professionals return 50,000, 3,750 and the 2,000 peak, in a few seconds.
    """
    path = tmp_path / "journal.db"
    synthetic(path, acts, professionals, peak, 61)
    begun_s = time.monotonic()
    code = cli.main(["report", "--journal", str(path), "--json", "--html", str(tmp_path / "report.html")])
    took_s = time.monotonic() - begun_s
    result = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (0, acts, professionals, {"day": "2025-12-24", "acts": peak}) == (
        code,
        result["acts"],
        result["professionals"],
        result["peak"],
    )
    assert (61, acts) == (len(result["days"]), sum(each["acts"] for each in result["days"]))
    assert took_s < 20.0
    assert (tmp_path / "report.html").read_text().count("<svg") == 2
