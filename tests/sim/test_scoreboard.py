"""
The scoreboard: its rows, what they fold, who is run on what, and the verdict that CI goes by.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from telerelay.cli import main
from telerelay.sim import allocators, board, controllers, kept, runner, scoreboard, text
from telerelay.sim.case import Case, FlowPlan, LinePlan
from telerelay.sim.cases import consults
from telerelay.sim.consult import ConsultCase
from telerelay.sim.consult_figures import quick_switches
from telerelay.sim.held import HELD
from telerelay.sim.rows import BASELINE, ROWS, Fold, Kind, Row
from telerelay.sim.runner import Job, Outcome
from telerelay.sim.traces import all_made_up

SECOND_US = 1_000_000


def outcome(case: str, contender: str, tags: tuple[str, ...] = (), seed: int = 1, **values: float) -> Outcome:
    return Outcome("test", case, f"title of {case}", tags, contender, seed, dict(values))


def with_rows(monkeypatch: pytest.MonkeyPatch, *made: Row) -> None:
    monkeypatch.setattr(scoreboard, "ROWS", made)


def test_rows_are_those_of_the_scoreboard() -> None:
    """All fourteen; rows 1 to 9 and 13 have gates, 10 to 12 and 14 aims alone; no label twice."""
    numbers = {row.number for row in ROWS if row.number}
    gates = {row.number for row in ROWS if row.number and row.kind is Kind.GATE}

    assert set(range(1, 15)) == numbers
    assert {10, 11, 12, 14} == numbers - gates
    assert {1} == set(Counter(row.label for row in ROWS).values())


def test_every_row_has_cases_that_measure_it() -> None:
    """No row of the table is empty: what it asks for is a name or a tag of a case that is run."""
    todo = board.jobs(["telerelay"], ["telerelay", "livekit"], all_made_up(), 1, keeps_series=False)
    words = {word for job in todo for word in (job.case.name, *job.case.tags)}

    assert [] == [row.label for row in ROWS if not words.intersection(row.where)]


def test_traces_are_reported_odd_and_even_apart() -> None:
    """By name the first, third, … are odd; every row of traces is there for all, for odd and for even ones."""
    alone, consults = board.trace_cases(all_made_up()), board.trace_consults(all_made_up())
    labels = {row.label for row in ROWS}

    assert [0, 2, 4, 6, 8] == [at for at, case in enumerate(alone) if "trace-odd" in case.tags]
    assert [1, 3, 5, 7] == [at for at, case in enumerate(consults) if "consult-trace-even" in case.tags]
    assert [] == [
        label
        for label in labels
        if "trace" in label and ", odd" not in label and ", even" not in label and "share of" not in label
        if not {f"{label}, odd", f"{label}, even"} <= labels
    ]


def test_percentiles_are_over_single_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not over the means of cases: 50 joins are 50 numbers."""
    with_rows(monkeypatch, Row(9, "p95", "s", 4.0, True, "top_s", Fold.RUNS_P95, ("join",)))
    seen = [outcome("join", "x", ("join",), seed, top_s=float(seed)) for seed in range(1, 6)]
    (found,) = scoreboard.scores(seen)

    assert 4.8 == pytest.approx(found.value)
    assert 0.8 == pytest.approx(found.missed_by)


def test_ratio_is_to_the_baseline_on_the_same_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means over both cases; the baseline itself has none, and nobody has one where it ran on other cases."""
    with_rows(monkeypatch, Row(12, "ratio", "%", 40, True, "freeze", Fold.RATIO, ("fixed",), 100))
    seen = [
        outcome(case, name, ("fixed",), freeze=value)
        for name, values in ((BASELINE, (4.0, 12.0)), ("mine", (0.0, 4.0)))
        for case, value in zip(("a", "b"), values, strict=True)
    ]

    assert [("mine", 25.0)] == [(each.contender, each.value) for each in scoreboard.scores(seen)]
    assert [] == scoreboard.scores(seen[1:])


def test_what_is_only_shown_is_neither_missed_nor_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """And has no bound in the table."""
    with_rows(monkeypatch, Row(0, "seen", "ms", 0, True, "queue_p95_ms", Fold.MOST, ("a",), kind=Kind.SHOWN))
    report = scoreboard.report("test", [outcome("a", "x", queue_p95_ms=7.0)], ["x"], 1, "0")

    assert (True, None) == (report["scores"][0]["is_met"], report["composite"]["x"])
    assert [(["row", "what", "bound", "x"], ["", "seen, ms", "", "7"])] == [
        (headings, found[0]) for headings, found in text.score_tables(report)
    ]


def test_table_says_what_is_measured_in_part_and_by_how_much_a_bound_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Controllers and pairs have a table each; an aim stands in brackets; without powers of ten."""
    with_rows(
        monkeypatch,
        Row(1, "used", "", 0.9, False, "used", Fold.MEAN, ("a",), part="one line only"),
        Row(12, "frozen", "s", 0.5, True, "frozen", Fold.MEAN, ("b",), kind=Kind.AIM),
    )
    seen = [outcome("a", "gcc", used=0.8), outcome("b", BASELINE, frozen=1234.5)]
    report = scoreboard.report("test", seen, ["gcc", BASELINE], 1, "0")

    assert [
        (["row", "what", "bound", "gcc"], ["1", "used *", ">= 0.9", "0.8 x 0.1"]),
        (["row", "what", "bound", BASELINE], ["12", "frozen, s", "(<= 0.5)", "1234 x 1234"]),
    ] == [(headings, found[0]) for headings, found in text.score_tables(report)]
    assert [
        "x: missed, and by how much",
        "(in brackets): an aim; all others are gates",
        "* measured in part: 1, used: one line only",
    ] == text.notes(report)
    assert "| 1 | used \\* | >= 0.9 | 0.8 x 0.1 |\n" in text.markdown(report)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([(5, 1), (8, 2)], 1),
        ([(5, 1), (9, 2)], 0),
        ([(0, 2), (5, 1), (6, 0)], 0),
        ([(0, 2), (5, 1), (6, 2), (7, 1)], 2),
        ([(0, 0), (0.5, 1), (1, 2)], 0),
        ([(5, 0), (6, -1), (7, 0)], 1),
    ],
)
def test_two_switches_within_four_seconds_are_quick_unless_both_go_down(
    moves: Sequence[tuple[float, int]], expected: int
) -> None:
    """The first second is the start and does not count."""
    made = [(round(when * SECOND_US), layer) for when, layer in moves]
    before = [(0, 0)] if made[0][0] else []

    assert expected == quick_switches([*before, *made])


# ---------------------------------------------------------------------- who runs where


def test_the_relays_own_allocator_belongs_to_its_own_controller() -> None:
    """Rivals are run with rivals' policies; the oracle is by itself."""
    assert ["telerelay+telerelay", "telerelay+livekit", "gcc+livekit", "oracle"] == board.pairs(
        ["telerelay", "gcc"], ["telerelay", "livekit", "oracle"]
    )


def test_check_runs_the_own_one_on_all_seeds_and_rivals_on_one() -> None:
    """
    Each case of CI is run by its own contender as often as asked, by each rival once; joins have fifty seeds, squeezes
    twenty, and no rivals.
    """
    todo = board.check_jobs(all_made_up(), 3, keeps_series=True)
    often = (consults.JOIN, *consults.SQUEEZES)
    of = Counter((job.case.name, job.contender) for job in todo if job.case not in often)
    squeezes = Counter((job.case.name, job.contender) for job in todo if job.case in consults.SQUEEZES)
    joins = Counter(job.contender for job in todo if job.case is consults.JOIN)

    assert {3} == {count for (_, name), count in of.items() if name in ("telerelay", board.own_pair())}
    assert {1} == {count for (_, name), count in of.items() if name in ("gcc", "nada", BASELINE, "oracle")}
    assert {1} == {job.seed for job in todo if job.keeps_series}
    assert {50} == set(joins.values())
    assert {("R19", board.own_pair()): 20, ("R19-jitter", board.own_pair()): 20} == squeezes


def test_rivals_may_have_fewer_seeds() -> None:
    """Of the scoreboard with everything; the relay's own has all of them, joins have fifty."""
    todo = board.jobs(controllers.NAMES, allocators.NAMES, all_made_up(), 3, keeps_series=False, rival_seeds=1)
    alone = Counter(job.contender for job in todo if job.case.name == "5.1")
    consulted = Counter(job.contender for job in todo if job.case.name == "R5-1M")

    assert {"telerelay": 3, "gcc": 1, "nada": 1} == alone
    assert {3: 1, 1: len(consulted) - 1} == Counter(consulted.values())
    assert {50} == set(Counter(job.contender for job in todo if job.case is consults.JOIN).values())


def test_scoreboard_has_the_policies_of_others_on_gcc_only() -> None:
    """NADA is there by itself; redundancy, which the relay does not have, is a line of its own."""
    todo = board.jobs(controllers.NAMES, allocators.NAMES, all_made_up(), 1, keeps_series=False)
    names = {job.contender for job in todo if isinstance(job.case, ConsultCase)}
    red = board.with_red(board.own_pair())

    assert {"gcc+livekit", "gcc+mediasoup", "oracle", red} == names - {board.OWN_PAIR, board.STAND_IN}
    assert {True} == {job.case.line.loss > 0 or "3g" in job.case.name for job in todo if job.contender == red}


def test_held_gates_are_rows_of_the_scoreboard() -> None:
    """No gate is held by a name that nothing has, and none twice."""
    bounded = {row.label for row in ROWS if row.kind is not Kind.SHOWN}

    assert [] == [label for label in HELD if label not in bounded]
    assert len(HELD) == len(set(HELD))


def test_verdict_names_what_is_lost_and_what_could_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """A held gate that is missed or not measured is lost; rivals count for nothing."""
    monkeypatch.setattr(board, "HELD", ("Jain, three flows (5.4)", "own loss, 5.4 and 5.5"))
    seen = [outcome("5.4", "telerelay", (), jain=0.9, queue_p95_ms=10.0), outcome("5.4", "gcc", (), jain=0.999)]

    assert (
        ["Jain, three flows (5.4): 0.9, missed by 0.09", "own loss, 5.4 and 5.5: not measured"],
        ["p95 queue, 5.4 and 5.5: 10"],
    ) == board.verdict(scoreboard.report("scoreboard", seen, ["telerelay", "gcc"], 1, "0"))


# ---------------------------------------------------------------------- runs


SHORT = Case("test", "5.4", "", 8, (LinePlan(((0, 1.0),), 1.0),), flows=(FlowPlan(stop_s=7), FlowPlan(stop_s=7)))
SHORT_CONSULT = ConsultCase("test", "R5", "", 6.0, LinePlan(((0, 1.0),), 1.0), tags=frozenset({"fixed"}))


def short_jobs(*_: Any, **__: Any) -> list[Job]:
    return [Job(SHORT, name, 1) for name in ("telerelay", "gcc")] + [Job(SHORT_CONSULT, BASELINE, 1)]


def test_scoreboard_command_is_the_same_to_the_last_digit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one process or two; both tables are printed, the longest run is done first and time left is told."""
    monkeypatch.setattr(board, "jobs", short_jobs)
    printed = []
    for processes in ("1", "2", "1"):
        assert 0 == main(["simulate", "scoreboard", "--json", "--seeds", "1", "--jobs", processes])
        printed.append(capsys.readouterr())
    report = json.loads(printed[0].out)

    assert 1 == len({each.out for each in printed})
    assert ["telerelay", "gcc", BASELINE] == report["contenders"]
    assert 2 == printed[0].err.count("row  what")


def test_check_fails_where_a_held_gate_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit 1 and one line for each; the page is written all the same."""
    monkeypatch.setattr(board, "check_jobs", short_jobs)
    monkeypatch.setattr(board, "HELD", ("queue calm after a drop",))
    target = tmp_path / "page.html"

    assert 1 == main(["simulate", "scoreboard", "--check", "--html", str(target)])
    assert "LOST: queue calm after a drop: not measured" in capsys.readouterr().err
    assert "Scoreboard" in target.read_text()

    monkeypatch.setattr(board, "HELD", ())
    assert 0 == main(["simulate", "scoreboard", "--check", "--seeds", "1"])


def test_runs_are_kept_and_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """
    What was run is not run again, the answer is the same to the last digit; a line cut off, or of other code, counts
    for nothing.
    """
    monkeypatch.setattr(board, "jobs", short_jobs)
    command = ["simulate", "scoreboard", "--json", "--seeds", "1", "--keep", str(tmp_path / "runs"), "--jobs", "1"]
    assert 0 == main(command)
    first = capsys.readouterr()
    (tmp_path / "runs").write_text(f'{(tmp_path / "runs").read_text()}["cut')
    with monkeypatch.context() as no_runs:
        no_runs.setattr(runner, "run", None)
        assert 0 == main(command)
    again = capsys.readouterr()
    monkeypatch.setattr(kept, "_code", lambda: "other")

    assert (first.out, "3 of 3 runs are kept") == (again.out, again.err.splitlines()[0])
    assert ({}, [0, 1, 2]) == kept.missing(short_jobs(), kept.Kept(tmp_path / "runs"))


def test_longer_runs_weigh_more() -> None:
    """More flows and more seconds take longer: that is what time left is reckoned by."""
    assert Job(SHORT, "gcc", 1).weight < Job(SHORT_CONSULT, BASELINE, 1).weight
    assert 0 < Job(SHORT, "gcc", 1).weight


def test_progress_tells_the_share_that_is_done() -> None:
    """It rises with every run, and ends at all."""
    shares: list[float] = []
    runner.run_all(short_jobs(), 1, lambda done, of, at, outcome, share: shares.append(share))

    assert shares == sorted(shares)
    assert 1.0 == pytest.approx(shares[-1])
