"""
The benchmark of calls over emulated lines: its schedules, and how figures come of what was counted. Pure.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from lines import cases, figures, report, shapes
from lines.recording import TOP_HEIGHT, Recording, Sample, Watched

T0 = 1000.0
EVERY_S = 0.25


def video(at: float, frames: int, height: int = 480, **more: Any) -> Sample:
    """A sample of one picture and of a camera with 30 frames a second."""
    picture = {
        "type": "inbound-rtp",
        "kind": "video",
        "id": "v",
        "framesDecoded": frames,
        "frameHeight": height,
        **more,
    }
    camera = {"type": "media-source", "kind": "video", "id": "c", "frames": round(30 * (at - T0))}
    return at, [picture, camera]


def watched(frames: Any, length_s: float = 80, **more: Any) -> Watched:
    """Samples of a picture whose frames are a function of the seconds since T0."""
    times = [index * EVERY_S for index in range(round(length_s / EVERY_S) + 1)]
    return Watched(samples=[video(T0 + at, round(frames(at)), **more) for at in times])


def run_of(browser: Watched, case: str = "squeeze", **more: Any) -> Recording:
    """A run of a call that began at T0, over a line that was on time."""
    length_s = cases.CASES[case].schedule.length_s
    run = Recording(
        case, True, joined_at=T0, began_at=T0, ended_at=T0 + length_s, is_seen=True, browser=browser, **more
    )
    run.link_report = {"late_ms_p99": 0.5, "late_ms_most": 12.0}
    return run


def held_from_22_to_58(at: float) -> float:
    """30 frames a second, but for a pause."""
    return 30 * (min(at, 22) + max(0.0, at - 58))


def sign(at: float, state: str, kind: str = "track_state") -> tuple[float, dict[str, Any]]:
    return T0 + at, {"type": kind, "publication": "p", "state": state, "reason": "line"}


def test_a_squeeze_is_told_by_its_times() -> None:
    """
    The cut is at 20 s and its end at 50: when the pause was told at either end, when frames stopped and came again.
    """
    browser = watched(held_from_22_to_58)
    browser.signs = [sign(21.5, "paused"), sign(57.5, "live")]
    browser.words = [(T0 + 21.7, "Sound only for now: your line is too weak for a picture.")]
    run = run_of(browser, peers={"dr": Watched(signs=[sign(21.6, "paused", "seen_by")])})
    found = figures.figures(run)

    assert 1.5 == pytest.approx(found["paused_after_s"])
    assert 1.5 == pytest.approx(found["told_after_s"])
    assert 1.6 == pytest.approx(found["told_other_after_s"])
    assert 1.7 == pytest.approx(found["said_after_s"])
    assert 2.0 == pytest.approx(found["stopped_after_s"], abs=0.3)
    assert 8.0 == pytest.approx(found["back_after_s"], abs=0.5)
    assert 2 / (80 / 60) == pytest.approx(found["switches_per_min"])
    for at, rows in browser.samples:
        rows[0]["frameHeight"] = 480 if at < T0 + 58 else 240 if at < T0 + 70 else 360
    # It came back smaller, which is no second switch; that it grew then is one.
    assert 3 / (80 / 60) == pytest.approx(figures.figures(run)["switches_per_min"])
    # 36 s, from the one sign to the other, of which the frames stopped half a second later and came as late.
    assert 36 * 60 / 80 == pytest.approx(found["paused_s_per_min"])
    assert 0 == pytest.approx(found["frozen_s_per_min"], abs=1.0)


def test_what_never_happened_is_a_failure() -> None:
    """
    A picture that stops and does not come back, and of which nobody was told: every limit with a time is missed.
    """
    run = run_of(watched(lambda at: 30 * min(at, 22)))
    found = figures.figures(run)
    missed = " ".join(figures.failures(cases.CASES["squeeze"], found))

    assert 58 * 60 / 80 == pytest.approx(found["frozen_s_per_min"], abs=0.5)
    for name in ("paused_after_s", "told_after_s", "told_other_after_s", "back_after_s"):
        assert found[name] is None
        assert f"{name} never" in missed


def test_a_picture_that_stutters_is_not_back() -> None:
    """
    Two frames a second from the end of the cut on, and pictures in earnest from 70 s on: that is when it is back.
    """

    def stutters(at: float) -> float:
        return 30 * min(at, 22) + 2 * max(0.0, min(at, 70) - 50) + 30 * max(0.0, at - 70)

    assert 20.0 == pytest.approx(figures.figures(run_of(watched(stutters)))["back_after_s"], abs=1.0)


def test_concealed_sound_is_that_of_the_worst_stream_without_silence() -> None:
    """
    4,800 of 96,000 samples were made up, half of them for silence: 2.5 %.
    """

    def row(name: str, share: float) -> dict[str, Any]:
        grown = {
            "totalSamplesReceived": 96_000,
            "concealedSamples": 4800 * share,
            "silentConcealedSamples": 2400 * share,
        }
        return {"type": "inbound-rtp", "kind": "audio", "id": name, **grown}

    counted = Watched(samples=[(T0 + 1, [row("a", 1), row("b", 0.5)])])

    assert 2.5 == pytest.approx(figures.concealed_pct(counted, T0, T0 + 2))
    assert figures.concealed_pct(Watched(), T0, T0 + 2) is None


def test_the_join_is_full_when_half_a_second_of_the_line_is() -> None:
    """
    2 Mbit/s are full at 1.8: carried from 1.5 s on, so seen half a second later.
    """
    link = []
    for index in range(100):
        at = index / 10
        carried = 125_000 * min(at, 1.5) + 240_000 * max(0.0, at - 1.5)
        link.append({"at": T0 + at, "a_to_b": {"rate_bps": 2e6, "queued_bytes": 0, "out_bytes": int(carried)}})

    assert 2.0 == pytest.approx(figures.full_after(run_of(Watched(), "join", link=link), 2e6), abs=0.11)


def test_a_good_line_is_judged_from_the_largest_picture_on() -> None:
    """
    The largest picture after 2 s, and one that is smaller for a while: two switches. One that never comes is a failure.
    """

    def of(heights: list[tuple[float, int]]) -> Recording:
        rows = []
        for index in range(241):
            at = index * EVERY_S
            rows.append(video(T0 + at, round(30 * at), [height for since, height in heights if since <= at][-1]))
        return run_of(Watched(samples=rows), "good")

    found = figures.figures(of([(0, 240), (2, 480), (30, 240), (40, 480)]))
    never = figures.figures(of([(0, 240)]))

    assert 2.0 == pytest.approx(found["top_after_s"])
    assert 2.0 == found["switches_after_top"]
    assert ["switches_after_top 2.0 (<= 0)"] == figures.failures(cases.CASES["good"], found)
    assert "top_after_s never (<= 3)" in figures.failures(cases.CASES["good"], never)


def test_others_keep_their_largest_picture_or_it_is_counted() -> None:
    """
    Of the people with good lines only each other's pictures count; one that was smaller for a tenth of the time.
    """

    def sizes(track: str, small_from: float) -> Watched:
        rows = []
        for index in range(321):
            at = index * EVERY_S
            height = TOP_HEIGHT // 2 if small_from <= at < small_from + 8 else TOP_HEIGHT
            rows.append((T0 + at, [video(T0 + at, round(30 * at), height)[1][0] | {"id": track}]))
        return Watched(samples=rows)

    one, other = sizes("of-2", 30), sizes("of-1", 1000)
    one.tracks, other.tracks = {"of-2": "dr2", "of-browser": "b"}, {"of-1": "dr1"}
    found = figures.figures(run_of(watched(lambda at: 30 * at), "apart", peers={"dr1": one, "dr2": other}))

    assert 95.0 == pytest.approx(found["others_top_pct"], abs=0.2)
    assert 2 == found["others_switches"]


@pytest.mark.parametrize(
    ("late", "most", "camera_fps", "gap_s", "reason"),
    [
        (0.5, 20.0, 30, 0, ""),
        (6.0, 20.0, 30, 0, "the line was late"),
        (0.5, 400.0, 30, 0, "the line was late"),
        (0.5, 20.0, 20, 0, "the browser's camera gave 20.0 frames/s"),
        (0.5, 20.0, 30, 5, "the browser did not run for 5.2 s"),
    ],
)
def test_a_run_that_was_short_of_processor_is_void(
    late: float, most: float, camera_fps: float, gap_s: float, reason: str
) -> None:
    """
    By the link's own lateness, by the camera of each client, by samples that did not come.
    """
    run = run_of(watched(lambda at: 30 * at))
    run.link_report = {"late_ms_p99": late, "late_ms_most": most}
    for at, rows in run.browser.samples:
        rows[1]["frames"] = round(camera_fps * (at - T0))
    run.browser.samples = [each for each in run.browser.samples if not 30 < each[0] - T0 <= 30 + gap_s]
    reasons = figures.void_reasons(run)

    assert reasons == [] if not reason else [reason] == [each[: len(reason)] for each in reasons]


def test_a_run_whose_threads_waited_for_a_processor_is_void() -> None:
    """
    More than two milliseconds each time: the relay did, the browser did not.
    """
    run = run_of(watched(lambda at: 30 * at))
    run.processor = {"the relay": (4.0, 5.0, 2_000), "the browser": (40.0, 39.0, 20_000)}

    assert ["the relay waited 2.5 ms for each turn of a processor"] == figures.void_reasons(run)


def test_medians_leave_void_runs_out_and_never_is_worse_than_any_time() -> None:
    """
    Of three runs that count, one was never back: the median is the later of the others; a void one changes nothing.
    """
    runs = [run_of(watched(held_from_22_to_58)), run_of(watched(held_from_22_to_58))]
    runs += [run_of(watched(lambda at: 30 * min(at, 22))), run_of(watched(lambda at: 0))]
    runs[3].link_report = {}
    found = report.result("squeeze", True, runs)

    assert 1 == found["void"]
    assert 8.0 == pytest.approx(found["median"]["back_after_s"], abs=0.5)
    assert figures.median([{"a": None}, {"a": None}, {"a": 1.0}]) == {"a": None}
    assert "run 4 is void" in report.table([found])


def test_every_case_has_a_schedule_that_begins_at_once_and_ends() -> None:
    """
    Steps and bursts are in order and within the length; a group's name stands for its five lines.
    """
    for case in cases.CASES.values():
        times = [step.at_s for step in case.schedule.steps]
        assert 0 == times[0]
        assert sorted(set(times)) == times
        assert times[-1] < case.schedule.length_s
        assert all(burst.at_s + burst.length_s < case.schedule.length_s for burst in case.schedule.bursts)
    assert ["two-N3", "two-R1", "two-R2", "two-R3", "two-R4"] == [case.name for case in cases.chosen(["two"])]
    assert len(cases.CASES) == len(cases.chosen([]))
    with pytest.raises(KeyError):
        cases.chosen(["three-N9"])
    assert shapes.CUT_BPS == cases.CASES["squeeze"].schedule.steps[1].down.rate_bps


def test_the_page_draws_what_was_counted_and_loads_nothing() -> None:
    """
    A document with a plot of each kind and no address.
    """
    link = [
        {
            "at": T0 + index / 10,
            **{key: {"rate_bps": 5e5, "queued_bytes": 500, "out_bytes": 6000 * index} for key in ends},
        }
        for index in range(800)
        for ends in [("a_to_b", "b_to_a")]
    ]
    run = run_of(watched(held_from_22_to_58), link=link)
    text = report.page([report.result("squeeze", True, [run])], {("squeeze", True): [run]}, "python benchmarks/lines")

    assert 4 == text.count("<figure>")
    assert "nothing was measured" not in text
    assert "http" not in text
