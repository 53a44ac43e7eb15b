"""
Whole runs: the same answer for the same seed, figures by their definitions, the scoreboard, the command.
"""

import json
from pathlib import Path

import pytest

from telerelay.cli import main
from telerelay.errors import ConfigError
from telerelay.sim import controllers, figures, page, runner, scoreboard, text
from telerelay.sim.case import Case, FlowPlan, LinePlan, RadioPlan, SteadyPlan, TcpPlan
from telerelay.sim.cases import lines, rfc8867, rfc8869
from telerelay.sim.controller import Bounds
from telerelay.sim.fixed import FixedRate
from telerelay.sim.runner import Outcome
from telerelay.sim.world import build

SHORT = Case("test", "short", "ten seconds", 10, (LinePlan(((0, 1.0), (5, 0.5)), 1.0),), flows=(FlowPlan(stop_s=9),))


def quiet(done: int, of: int, at: int, outcome: Outcome, share: float) -> None:
    """No progress."""


@pytest.fixture
def half_a_megabit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller `half` that always sends 500 kbit/s."""
    monkeypatch.setitem(controllers.MAKERS, "half", lambda bounds: FixedRate(500_000))


@pytest.mark.parametrize("controller", ["telerelay", "gcc", "nada"])
def test_same_seed_gives_the_same_answer_to_the_last_digit(controller: str) -> None:
    """And another seed another one."""
    runs = [runner.run(runner.Job(SHORT, controller, seed, True)) for seed in (1, 1, 2)]

    assert runs[0] == runs[1]
    assert runs[0].figures != runs[2].figures


def test_processes_change_nothing() -> None:
    """Two processes give what one gives, in the same order."""
    todo = runner.jobs([SHORT], ["gcc", "nada"], 2, keeps_series=False)

    assert runner.run_all(todo, 1, quiet) == runner.run_all(todo, 2, quiet)


@pytest.mark.usefixtures("half_a_megabit")
def test_figures_of_a_flow_that_is_known() -> None:
    """500 kbit/s on a line of 1 Mbit/s use half of it, with no queue to speak of, and never reach 90 %."""
    case = Case("test", "half", "", 30, (LinePlan(((0, 1.0),), 1.0),), flows=(FlowPlan(stop_s=29),), max_kbps=2_000)
    world = build(case, "half", 1)
    world.run()
    found = figures.figures(world)

    assert 0.5 == pytest.approx(found["utilisation"], rel=0.06)
    assert 500 == pytest.approx(found["rate_kbps"], rel=0.06)
    assert found["queue_p95_ms"] is not None
    assert 9 < found["queue_p95_ms"] < 40
    assert (0.0, 29.0, None, None) == (found["own_loss"], found["start_s"], found["up_s"], found["jain"])


@pytest.mark.usefixtures("half_a_megabit")
def test_audio_counts_as_used_and_as_wanted() -> None:
    """A line that carries no more than the microphone and the camera want is full."""
    line = LinePlan(((0, 0.5512),), 0.5512, 1_000)
    case = Case("test", "half", "", 30, (line,), flows=(FlowPlan(stop_s=29),), steadies=(SteadyPlan(stop_s=29),))
    world = build(case, "half", 1)
    world.run()

    assert 0.97 < (figures.figures(world)["utilisation"] or 0) <= 1.01


def test_queue_calms_down_after_a_drop_by_definition() -> None:
    """The time from the step until the queue is under 50 ms for a whole second."""
    case = Case(
        "test",
        "x",
        "",
        30,
        (LinePlan(((0, 2.0), (10, 0.5)), 2.0),),
        flows=(FlowPlan(stop_s=29),),
        tags=frozenset({"drop"}),
    )
    world = build(case, "gcc", 1)
    world.run()
    calm_s = figures.figures(world)["drop_s"] or 0.0
    flow = world.flows[0].receiver
    late = [
        queue
        for when, queue in zip(flow.received_us, flow.queue_us, strict=True)
        if 0 < when - 10_000_000 - calm_s * 1e6 <= 1_000_000
    ]

    assert 0.5 < calm_s < 10
    assert late
    assert max(late) < 50_000


@pytest.mark.parametrize(
    ("shares", "expected"), [([1.0, 1.0, 1.0], 1.0), ([1.0, 0.0], 0.5), ([], 0.0), ([2.0, 1.0], 0.9)]
)
def test_jain_is_jains(shares: list[float], expected: float) -> None:
    """1 where all are equal, 1 / n where one has it all."""
    assert expected == pytest.approx(figures.jain(shares))


def test_cases_are_those_of_the_rfcs() -> None:
    """Names are unique; every case of RFC 8867, 5, and of both parts of RFC 8869, 4, is there."""
    names = [case.name for suite in (rfc8867, rfc8869, lines) for case in suite.CASES]

    assert len(set(names)) == len(names)
    assert {f"5.{at}" for at in range(1, 9)} | {"6.3"} <= set(names)
    assert {f"4.1{letter}" for letter in "abcdefg"} | {"4.2d", "4.2e", "3.1", "3.2"} <= set(names)


def test_parking_lot_flow_crosses_every_line() -> None:
    """In 6.3 the first flow waits three times, each other one once."""
    case = next(case for case in rfc8867.CASES if case.name == "6.3")
    world = build(Case(**{**_fields(case), "duration_s": 20.0}), "nada", 1)  # type: ignore[arg-type]
    world.run()
    least_us = [min(flow.receiver.queue_us, default=0) for flow in world.flows]

    assert least_us[0] > 0
    assert [True, False, False, False] == [bool(flow.receiver.received_us) for flow in world.flows]
    assert [True, True, True] == [link.taken_packets == world.forward[0].taken_packets for link in world.forward]


def _fields(case: Case) -> dict[str, object]:
    flows = tuple(FlowPlan(each.start_s, min(each.stop_s, 19), hops=each.hops) for each in case.flows)
    return {name: getattr(case, name) for name in case.__slots__} | {"flows": flows}


def test_radio_carries_both_directions_on_one_channel() -> None:
    """Sixteen cameras that want more than the channel has share it, and nobody starves."""
    radio = RadioPlan(mbps=6.0)
    flows = tuple(FlowPlan(stop_s=19, is_backward=at % 2 == 1) for at in range(8))
    case = Case(
        "test", "radio", "", 20, (LinePlan(),), LinePlan(), flows, radio=radio, judged=tuple(range(8)), fair_s=(10, 19)
    )
    world = build(case, "nada", 1)
    world.run()
    total_bps = sum(flow.receiver.total_bytes for flow in world.flows) * 8 / 19

    assert 2e6 < total_bps < 6e6
    assert all(flow.receiver.total_bytes > 0 for flow in world.flows)
    assert sum(link.lost_packets for link in world.air) > 0


def test_tcp_and_video_share_by_definition() -> None:
    """The media's share is what it got of what both got."""
    case = Case(
        "test",
        "tcp",
        "",
        30,
        (LinePlan(((0, 2.0),), 2.0),),
        tcps=(TcpPlan(),),
        flows=(FlowPlan(stop_s=29),),
        fair_s=(10, 29),
    )
    world = build(case, "nada", 1)
    world.run()
    share = figures.figures(world)["tcp_share"]

    assert share is not None
    assert 0.05 < share < 0.7


# ---------------------------------------------------------------------- scores and reports


def outcome(case: str, contender: str, tags: tuple[str, ...] = (), seed: int = 1, **values: float) -> Outcome:
    return Outcome("test", case, f"title of {case}", tags, contender, seed, dict(values))


def test_scores_fold_means_over_seeds() -> None:
    """A row takes the mean over seeds of each case first, then the mean, the least or the most over cases."""
    seen = [
        outcome("5.1", "gcc", ("wired",), 1, utilisation=0.8, queue_p95_ms=40.0),
        outcome("5.1", "gcc", ("wired",), 2, utilisation=0.9, queue_p95_ms=44.0),
        outcome("5.4", "gcc", ("wired",), 1, utilisation=0.97, queue_p95_ms=60.0),
    ]
    found = {each.label: each for each in scoreboard.scores(seen)}

    assert 0.91 == pytest.approx(found["utilisation, wired, mean"].value)
    assert 0.85 == pytest.approx(found["utilisation, wired, least"].value)
    assert (42.0, True, 1.0) == (
        found["p95 queue, 5.1 and 5.2"].value,
        found["p95 queue, 5.1 and 5.2"].is_met,
        found["p95 queue, 5.1 and 5.2"].score,
    )
    assert (60.0, False, 0.5) == (
        found["p95 queue, 5.4 and 5.5"].value,
        found["p95 queue, 5.4 and 5.5"].is_met,
        found["p95 queue, 5.4 and 5.5"].score,
    )
    assert "join to top layer, p50" not in found


def test_composite_is_the_mean_of_what_is_met() -> None:
    """100 where all gates are met."""
    seen = [outcome("5.4", "x", (), jain=1.0, queue_p95_ms=20.0, own_loss=0.0, queue_p99_ms=60.0)]

    assert 100 == scoreboard.composite(scoreboard.scores(seen), "x")
    assert scoreboard.composite([], "x") is None


def test_tables_show_only_what_was_measured() -> None:
    """A column no case has is not there; a missed gate is marked."""
    seen = [outcome("5.4", name, (), jain=value) for name, value in (("gcc", 0.95), ("nada", 0.999))]
    shown = text.lines(scoreboard.report("test", seen, ["gcc", "nada"], 1, "0"))

    assert ["case", "controller", "Jain"] == shown[0].split()
    assert ["7", "Jain,", "three", "flows", "(5.4)", ">=", "0.99", "0.95", "x", "0.04", "0.999"] == shown[5].split()


def test_page_has_a_plot_of_rate_and_queue_and_loads_nothing() -> None:
    """One figure each for every case and contender; no address to fetch anything from."""
    todo = runner.jobs([SHORT], ["gcc", "nada"], 1, keeps_series=True)
    done = runner.run_all(todo, 1, quiet)
    made = page.page(scoreboard.report("test", done, ["gcc", "nada"], 1, "0"), done, "telerelay simulate <x>")

    assert 4 == made.count("<svg")
    assert "http" not in made
    assert "telerelay simulate &lt;x&gt;" in made


# ---------------------------------------------------------------------- the command


def test_command_prints_tables_and_one_line_of_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Tables and progress for people on stderr, the report on stdout, the page in its file."""
    target = tmp_path / "page.html"
    trace = tmp_path / "lte_x.csv"
    trace.write_text("time_ms,capacity_kbps\n" + "".join(f"{at * 1000},{1000 + at % 3 * 300}\n" for at in range(12)))
    arguments = [
        "simulate",
        "traces",
        "--dir",
        str(tmp_path),
        "--seeds",
        "1",
        "--jobs",
        "1",
        "--json",
        "--html",
        str(target),
    ]
    code = main([*arguments, "--controller", "gcc,nada"])
    printed = capsys.readouterr()
    report = json.loads(printed.out)

    assert 0 == code
    assert ["gcc", "nada"] == report["contenders"]
    assert ["lte_x"] == [case["case"] for case in report["cases"]]
    assert "2/2 lte_x nada seed 1" in printed.err
    assert "utilisation, traces, mean, odd" in printed.err
    assert target.read_text().startswith("<!doctype html>")
    assert str(tmp_path) not in target.read_text()


def test_command_runs_its_own_controller_among_the_others() -> None:
    """The relay's own estimator comes first where nobody is named."""
    assert ("telerelay", "gcc", "nada") == controllers.NAMES
    with pytest.raises(ConfigError, match="no estimator of 500000 <= 300000 <= 1500000"):
        controllers.make("telerelay", Bounds(min_bps=500_000))


def test_own_controller_keeps_to_the_queue_and_the_line() -> None:
    """5.1, one seed: what the gates of rows 1, 2, 5 and 6 ask for."""
    case = next(each for each in rfc8867.CASES if each.name == "5.1")
    scored = scoreboard.scores([runner.run(runner.Job(case, "telerelay", 1, False))])

    assert {1, 2, 4, 5, 6} <= {each.number for each in scored}
    assert [] == [each for each in scored if each.number in (1, 2, 4, 5, 6) and not each.is_met]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rfc8867", "--controller", "bbr"], "there is no controller bbr"),
        (["rfc8867", "--case", "9.9"], "there is no case 9.9"),
        (["rfc8867", "--dir", "x"], "--dir belongs to traces"),
        (["rfc8867", "--check"], "--check belongs to scoreboard"),
        (["scoreboard", "--check", "--controller", "gcc"], "--check belongs to scoreboard"),
        (["scoreboard", "--case", "5.1"], "--case does not belong to scoreboard"),
        (["rfc8867", "--allocator", "livekit"], "--allocator belongs to consult, joins, squeeze, storm and scoreboard"),
        (["voice", "--controller", "gcc"], "--controller does not belong to voice"),
        (["lines", "--rival-seeds", "1"], "--rival-seeds belongs to scoreboard"),
        (["rfc8867", "--controller", ","], "--controller names none"),
        (["traces", "--dir", "/nowhere/at/all", "--controller", "gcc"], "there is no trace"),
    ],
)
def test_command_refuses_what_it_does_not_know(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that names it, and exit code 2."""
    assert 2 == main(["simulate", *arguments])
    assert said in capsys.readouterr().err
