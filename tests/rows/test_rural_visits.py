"""
What R19 makes of a visit that two clients counted. Pure.
"""

from __future__ import annotations

from typing import Any

from rows.row_r19 import Course, Recording, Watched, of_visit, void_reasons

T0 = 1000.0
COURSE = Course(20.0, 30.0, 40.0)


def watched(frames: Any, made_up: Any = lambda at: 0.0) -> Watched:
    """Four samples a second of a picture with so many frames after so many seconds, and of a voice."""
    samples = []
    for index in range(round(4 * COURSE.length_s) + 1):
        at = index / 4
        picture = {
            "type": "inbound-rtp",
            "kind": "video",
            "id": "v",
            "framesDecoded": round(frames(at)),
            "frameHeight": 360,
        }
        voice = {
            "type": "inbound-rtp",
            "kind": "audio",
            "id": "a",
            "totalSamplesReceived": round(48_000 * at),
            "concealedSamples": round(48_000 * made_up(at)),
        }
        camera = {"type": "media-source", "kind": "video", "id": "c", "frames": round(30 * at)}
        samples.append((T0 + at, [picture, voice, camera]))
    return Watched(samples=samples)


def sign(kind: str, at: float, state: str) -> tuple[float, dict[str, Any]]:
    return T0 + at, {"type": kind, "publication": "p", "state": state, "reason": "line"}


def visit(patient: Watched, doctor: Watched) -> Recording:
    run = Recording("squeeze", True, T0, T0, T0 + COURSE.length_s, True, patient, {"doctor": doctor})
    run.link_report = {"late_ms_p99": 0.5, "late_ms_most": 12.0}
    return run


def test_a_visit_is_told_by_what_its_clients_counted() -> None:
    """
    Cut from 20 to 50 s: paused at once and told at both ends, back at 60 s; a fiftieth of the patient's sound made up
    before the cut, and all of it after, which is not asked for.
    """
    patient = watched(
        lambda at: 30 * (min(at, 22) + max(0.0, at - 60)), lambda at: 0.02 * min(at, 20) + max(0, at - 20)
    )
    patient.signs = [sign("track_state", 24, "paused"), sign("track_state", 59.5, "live")]
    doctor = watched(lambda at: 15 * at, lambda at: 0.01 * at)
    doctor.signs = [sign("seen_by", 21.5, "paused"), sign("seen_by", 59.25, "live")]
    run = visit(patient, doctor)
    found = {name: round(value, 2) for name, value in of_visit(run, COURSE).items() if value is not None}

    assert {
        "down_pct": 2.0,
        "up_pct": 1.0,
        "paused_s": 1.5,
        "told_s": 4.0,
        "untold": 0.0,
        "back_s": 10.25,
        "changes": 2.0,
        "switches": 1.33,
    } == found
    assert [] == void_reasons(run, 0.0)


def test_what_one_end_was_not_told_is_counted() -> None:
    """
    The doctor hears of the pause and of no end of it, the patient of nothing; the picture does not come back.
    """
    doctor = watched(lambda at: 15 * at)
    doctor.signs = [sign("seen_by", 21.5, "paused")]
    found = of_visit(visit(watched(lambda at: 30 * min(at, 22)), doctor), COURSE)

    assert 3.0 == found["untold"]
    assert None is found["told_s"]
    assert None is found["back_s"]
    assert 1.5 == found["paused_s"]


def test_a_visit_whose_clients_did_not_run_is_void() -> None:
    """
    More than a fifth of a second for each minute.
    """
    run = visit(watched(lambda at: 30 * at), watched(lambda at: 30 * at))

    assert [] == void_reasons(run, 0.3)
    assert ["a client did not get to run for 0.31 s"] == void_reasons(run, 0.31)
