"""
Voices: what is heard of them when, what is asked for again, what copies bring, and what they are said to be worth.
"""

import random

import pytest

from telerelay.sim import playout, runner, voice_figures
from telerelay.sim.case import LinePlan
from telerelay.sim.cases import voices
from telerelay.sim.clock import Clock
from telerelay.sim.playout import Arrival
from telerelay.sim.redundancy import Redundancy
from telerelay.sim.voice import Repair, Voice, VoicePiece
from telerelay.sim.voice_world import NOTHING, PLANNED, TODAY, VoiceCase, VoiceWorld

MS, SECOND = 1_000, 1_000_000
FRAME = 20 * MS


def arrivals(delays_ms: list[float | None]) -> list[Arrival]:
    """Frame n was sent at n times 20 ms and came so much later; None: never."""
    made = [
        Arrival(round(at * FRAME + delay * MS), at, at * FRAME)
        for at, delay in enumerate(delays_ms)
        if delay is not None
    ]
    return sorted(made, key=lambda each: each.when_us)


def run(case_name: str, contender: str) -> dict[str, float | None]:
    (case,) = [each for each in voices.CASES if each.name == case_name]
    return runner.run(runner.Job(case, contender, 1)).figures


# ---------------------------------------------------------------------- playout


def test_voice_on_a_steady_line_is_heard_whole_and_soon() -> None:
    """Nothing is made up but what the clock needs to come down from its start, and the wait is two frames or less."""
    heard = playout.play(arrivals([50.0] * 500), 500 * FRAME)

    assert len(heard.made_up_us) <= 2
    assert max(late for _, late in heard.frames[250:]) <= 50 * MS + 2 * FRAME


def test_frame_that_never_comes_is_made_up_once() -> None:
    """Two steps of 10 ms for each, and the frame behind it is heard in its place."""
    heard = playout.play(arrivals([None if at in (300, 400) else 50.0 for at in range(500)]), 490 * FRAME)
    without = playout.play(arrivals([50.0] * 500), 490 * FRAME)

    assert 4 == len(heard.made_up_us) - len(without.made_up_us)


def test_pause_of_the_line_is_made_up_and_then_caught_up() -> None:
    """300 ms that all come at once are heard all the same, late, and half a minute later the delay is as before."""
    delays: list[float | None] = [50.0] * 2_000
    delays[300:315] = [50.0 + 20 * (15 - at) for at in range(15)]
    heard = playout.play(arrivals(delays), 2_000 * FRAME)
    late = [each for _, each in heard.frames]

    assert 200 * MS <= len(heard.made_up_us) * playout.STEP_US <= 320 * MS
    assert max(late) >= 250 * MS
    assert max(late[-100:]) <= 50 * MS + 3 * FRAME
    assert len(late) >= 1_990


def test_more_jitter_means_more_delay() -> None:
    """So that nearly all of it is heard: under 3 % made up at 0 to 100 ms."""
    source = random.Random(1)
    jittery = arrivals([50.0 + source.uniform(0, 100) for _ in range(2_000)])
    heard = playout.play(jittery, 1_990 * FRAME)

    assert len(heard.made_up_us) / 2 / 2_000 < 0.03
    assert 90 * MS < sorted(late for _, late in heard.frames)[1_000] - 50 * MS < 250 * MS


def test_resends_are_waited_for_where_there_are_enough_of_them() -> None:
    """One in ten 80 ms late is worth the wait, one in a hundred is not."""

    def made_up(one_in: int) -> float:
        heard = playout.play(arrivals([130.0 if at % one_in == 5 else 50.0 for at in range(4_000)]), 3_990 * FRAME)
        return sum(when > 40 * SECOND for when in heard.made_up_us) / 4_000

    assert made_up(10) < 0.001
    assert made_up(100) > 0.005


def test_nothing_that_came_is_nothing_heard() -> None:
    """And no error."""
    assert playout.Heard() == playout.play([], SECOND)


# ---------------------------------------------------------------------- repair


def spoken(
    repair: Repair, requests: dict[int, list[int]], frames: int, estimate_bps: int = 1_000_000
) -> list[VoicePiece]:
    """What is sent of a voice, where the receiver asks for those frames while that one is spoken."""
    clock, sent = Clock(), list[VoicePiece]()
    voice = Voice(clock, 0, repair, lambda _, piece: sent.append(piece), lambda: estimate_bps)
    voice.run(0, frames * FRAME)
    for at, seqs in requests.items():
        clock.at(at * FRAME + MS, lambda now, wanted: voice.on_request(now, wanted, 60 * MS), seqs)
    clock.run(frames * FRAME)
    return sent


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (lambda at: False, ()),
        (lambda at: at % 50 == 0, ()),
        (lambda at: at % 15 == 0, (1,)),
        (lambda at: at % 6 == 0, (1, 2)),
        (lambda at: at % 30 < 3, (1, 3)),
    ],
)
def test_distance_of_copies_goes_by_how_much_is_lost_and_in_which_runs(lost, expected) -> None:  # type: ignore[no-untyped-def]
    """None where little is; the last frame; the last two; the last and the third last where losses come in runs."""
    redundancy = Redundancy()
    for seq in range(500):
        if lost(seq):
            redundancy.on_request(seq)
        found = redundancy.next_distances(seq, 0.1)

    assert expected == found


def test_copies_are_left_out_where_the_line_carries_little_else() -> None:
    """At two fifths of the estimate and more."""
    requests = {at + 1: [at] for at in range(0, 400, 10)}

    assert any(piece.copies for piece in spoken(Repair(has_red=True), requests, 400))
    assert not any(piece.copies for piece in spoken(Repair(has_red=True), requests, 400, 100_000))
    assert not any(piece.copies for piece in spoken(Repair(), requests, 400))


def test_copies_cost_what_they_weigh() -> None:
    """84 bytes each: a frame of 80 and a header of four."""
    pieces = spoken(Repair(has_red=True), {at + 1: [at] for at in range(0, 400, 10)}, 400)
    sizes = {len(piece.copies): piece.size_bytes for piece in pieces}

    assert {0: 128, 1: 212, 2: 296} == {**sizes, 1: 128 + 84}
    assert [each.seq - 1 for each in pieces[-5:]] == [each.copies[0] for each in pieces[-5:]]


def test_frame_is_sent_again_once_a_round_trip() -> None:
    """Asked for three times within 60 ms it is sent twice: at once, and after the round trip."""
    sent = spoken(Repair(), {11: [10], 13: [10], 14: [10]}, 20)

    assert 3 == sum(piece.seq == 10 for piece in sent)


def test_repair_costs_what_the_arithmetic_says() -> None:
    """
    Random loss of 20 %: without repair about a fifth is made up, with NACK a twentieth, with RED besides under 1 %.
    """
    found = {name: run("R2-voice-20", name)["audio_concealed"] or 0.0 for name in (NOTHING, TODAY, PLANNED)}

    assert 0.14 < found[NOTHING] < 0.22
    assert 0.02 < found[TODAY] < 0.06
    assert found[PLANNED] < 0.01


def test_copies_help_most_where_a_resend_takes_long() -> None:
    """At 200 ms there and back nobody waits for a resend: NACK is as good as none, RED is."""
    found = {name: run("R2-voice-10-100ms", name) for name in (NOTHING, TODAY, PLANNED)}
    made_up = {name: each["audio_concealed"] or 0.0 for name, each in found.items()}

    assert 0.9 < made_up[TODAY] / made_up[NOTHING] < 1.1
    assert made_up[PLANNED] < 0.2 * made_up[TODAY]
    assert (found[TODAY]["audio_mos"] or 0.0) + 0.5 < (found[PLANNED]["audio_mos"] or 0.0)


# ---------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("made_up", "delay_ms", "expected"), [(0.0, 100, 4.36), (0.02, 100, 4.10), (0.05, 300, 2.76), (1.0, 900, 1.0)]
)
def test_mos_is_that_of_the_e_model(made_up: float, delay_ms: float, expected: float) -> None:
    """G.107 with Bpl 20, worked out by hand."""
    assert expected == pytest.approx(voice_figures.mos(made_up, 1.0, delay_ms), abs=0.02)


def test_runs_of_loss_are_worse_than_single_ones() -> None:
    """The same share, twice as long."""
    assert voice_figures.mos(0.05, 2.0, 150) < voice_figures.mos(0.05, 1.0, 150) - 0.05


def test_queue_of_a_voice_is_its_time_in_queues() -> None:
    """Neither propagation nor the wait for playout: on an empty line it is the packet's own time on it."""
    case = VoiceCase("test", "x", "x", 10.0, LinePlan(((0, 1.024),), 1.024, 300, delay_ms=70))
    world = VoiceWorld(case, TODAY, 1)
    world.run()
    found = world.figures()

    assert 1.0 == pytest.approx(found["audio_queue_p95_ms"])
    assert 70 + 46.5 < (found["audio_ear_p95_ms"] or 0.0) < 70 + 46.5 + 85
    assert 0.002 >= (found["audio_concealed"] or 0.0)  # one frame of ten seconds, while the wait is found


def test_outages_do_not_count() -> None:
    """What is made up in them is left out."""
    world = VoiceWorld(
        VoiceCase("test", "x", "x", 10.0, LinePlan(((0, 1.0), (4, 0.0), (6, 1.0)), 1.0, 10_000)), TODAY, 1
    )
    world.run()
    with_it = world.figures()["audio_concealed"] or 0.0
    without = voice_figures.figures([world.voice], 8 * SECOND, [(4 * SECOND, 7 * SECOND)])["audio_concealed"] or 0.0

    assert with_it > 0.15
    assert without < 0.01
