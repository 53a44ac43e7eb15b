"""
Consults: publishers of layers, allocators of others, and what a doctor sees of it.
"""

import itertools

import pytest

from telerelay.sim import consult_figures, runner
from telerelay.sim.allocators import LiveKit, Mediasoup, Oracle
from telerelay.sim.case import LinePlan
from telerelay.sim.cases import consults
from telerelay.sim.choices import NONE, Choice, best, cost_bps
from telerelay.sim.clock import SECOND_US, Clock, randomness
from telerelay.sim.consult import ConsultCase, ConsultWorld
from telerelay.sim.encoder import Frame
from telerelay.sim.simulcast import IMAGE, PATIENT, RELATIVE, Publisher, is_forwarded
from telerelay.sim.traces import all_made_up

PLANS = (PATIENT, RELATIVE, IMAGE)
KBPS = 1_000


def consult(mbps: float, seconds: float = 30.0, contender: str = "gcc+livekit", loss: float = 0.0) -> ConsultWorld:
    line = LinePlan(((0, mbps),), mbps, 300, delay_ms=30, loss=loss)
    world = ConsultWorld(ConsultCase("test", "x", "x", seconds, line), contender, 1)
    world.run()
    return world


def test_publisher_makes_every_layer_and_key_frames_on_request_only() -> None:
    """Rates are the layers'; a request brings one key frame, a second one within half a second none."""
    clock, seen = Clock(), []
    publisher = Publisher(clock, 0, PATIENT, randomness(1, "p"), lambda *what: seen.append(what))
    publisher.run(0, 10 * SECOND_US)
    clock.at(5 * SECOND_US, lambda now, _: publisher.want_key_frame(now, 1))
    clock.at(5 * SECOND_US + 100_000, lambda now, _: publisher.want_key_frame(now, 1))
    clock.run(11 * SECOND_US)
    keys = [(now, layer) for now, _, layer, frame in seen if frame.is_key]
    rates = [sum(frame.size_bytes for _, _, at, frame in seen if at == layer) * 8 / 10_000 for layer in range(3)]

    assert [0, 1, 1, 2] == sorted(layer for _, layer in keys)
    assert 5.0 < max(now for now, _ in keys) / SECOND_US < 5.2
    assert 1 == publisher.key_requests
    assert [150, 500, 2_500] == pytest.approx(rates, rel=0.1)


def test_temporal_layers_have_their_shares() -> None:
    """A quarter, a half and all of the frames, 40, 60 and 100 % of the rate; key frames belong to all of them."""
    clock, seen = Clock(), []
    publisher = Publisher(clock, 0, RELATIVE, randomness(1, "p"), lambda *what: seen.append(what[2:]))
    publisher.run(0, 60 * SECOND_US)
    clock.run(61 * SECOND_US)
    frames = [frame for layer, frame in seen if layer == 1]
    kept = [[frame for frame in frames if is_forwarded(frame, temporal)] for temporal in range(3)]
    sizes = [sum(frame.size_bytes for frame in each) for each in kept]

    assert [0.25, 0.5, 1.0] == pytest.approx([len(each) / len(frames) for each in kept], abs=0.01)
    assert [0.4, 0.6, 1.0] == pytest.approx([size / sizes[2] for size in sizes], abs=0.02)
    assert is_forwarded(Frame(3, 0, 1, True), 0)


@pytest.mark.parametrize("maker", [LiveKit, Mediasoup, Oracle])
def test_allocators_give_everything_on_a_wide_line_and_nothing_on_none(maker) -> None:  # type: ignore[no-untyped-def]
    """And whatever they choose between costs no more than the estimate allows."""
    for bps in (0, 100 * KBPS, 400 * KBPS, 1_200 * KBPS, 2_000 * KBPS, 3_000 * KBPS):
        choices = maker(PLANS).allocate(0, bps, 0.0, [bps])
        assert sum(map(cost_bps, PLANS, choices)) <= bps * 1.08

    assert [best(plan) for plan in PLANS] == maker(PLANS).allocate(0, 10_000 * KBPS, 0.0, [10_000 * KBPS])
    assert [NONE] * 3 == maker(PLANS).allocate(0, 0, 0.0, [0])


def test_livekit_is_stable_until_the_estimate_is_too_small() -> None:
    """Then the image comes first, and steps come back one each tick where there is room."""
    allocator = LiveKit(PLANS)
    allocator.allocate(0, 10_000 * KBPS, 0.0, [0])
    down = allocator.allocate(1, 1_500 * KBPS, 0.0, [0])
    ticks = [allocator.allocate(at, 10_000 * KBPS, 0.0, [0]) for at in range(2, 12)]
    changes = [
        sum(was != now for was, now in zip(before, after, strict=True)) for before, after in itertools.pairwise(ticks)
    ]

    assert best(IMAGE) == down[2]
    assert down[0].spatial < 2
    assert max(changes) <= 1
    assert [best(plan) for plan in PLANS] == ticks[-1]


def test_mediasoup_gives_everybody_a_picture_first_and_holds_after_a_fall() -> None:
    """No higher spatial layer for ten seconds after the estimate took one away; looks once a second only."""
    allocator = Mediasoup(PLANS)
    allocator.allocate(0, 10_000 * KBPS, 0.0, [0])
    unmoved = allocator.allocate(500_000, 0, 0.0, [0])
    down = allocator.allocate(1_000_000, 1_300 * KBPS, 0.0, [0])
    held = allocator.allocate(8_000_000, 10_000 * KBPS, 0.0, [0])
    back = allocator.allocate(12_000_000, 10_000 * KBPS, 0.0, [0])

    assert [best(plan) for plan in PLANS] == unmoved
    assert all(choice.spatial >= 0 for choice in down)
    assert down[0].spatial == held[0].spatial < 2
    assert best(PATIENT) == back[0]


def test_oracle_wants_faces_before_the_image_and_the_top_last() -> None:
    """What a consult needs, in its order, as the line grows."""
    lines_kbps = (200, 400, 800, 1_900, 2_300, 5_000)
    spatial = [[each.spatial for each in Oracle(PLANS).allocate(0, 0, 0.0, [kbps * KBPS])] for kbps in lines_kbps]

    assert [[0, -1, -1], [0, 0, -1], [1, 0, -1], [1, 0, 0], [1, 1, 0], [2, 1, 0]] == spatial


def test_oracle_does_not_follow_what_does_not_last() -> None:
    """It keeps what the next second carries, and takes more only if the seconds after it carry it too."""
    oracle = Oracle(PLANS)
    bps = [[3_000, 3_000], [5_000, 3_000], [5_000, 5_000], [5_000, 1_000], [1_000, 5_000]]
    patient = [oracle.allocate(0, 0, 0.0, [each * KBPS for each in ahead])[0].spatial for ahead in bps]

    assert [1, 1, 2, 2, 1] == patient


def test_consult_on_a_wide_line_is_at_the_top_and_stays_there() -> None:
    """Next to nothing is made up of voices, nothing freezes, the oracle's layers are forwarded."""
    found = consult_figures.figures(consult(10.0, contender="oracle"))

    assert (found["audio_concealed"] or 0.0) < 0.001
    assert (found["wrong_layer"] or 0.0) < 0.05
    assert (found["freeze_s_per_10_min"] or 0.0) < 5
    assert (found["queue_p95_ms"] or 0.0) < 60


def test_oracle_neither_switches_nor_queues_on_a_line_that_stays() -> None:
    """It paces by the line: a picture of 200 kB on 2 Mbit/s is its own affair."""
    world = consult(2.0, contender="oracle")
    found = consult_figures.figures(world)

    assert 0 == world.link.dropped_packets
    assert (0.0, 0.0) == (found["wrong_layer"], found["switches_per_min"])
    assert (found["queue_p95_ms"] or 0.0) < 60


def test_consult_on_a_narrow_line_forwards_what_fits() -> None:
    """On 400 kbit/s nobody gets the top, and what arrives is no more than the line carries."""
    world = consult(0.4, contender="gcc+mediasoup")

    assert max(world.layers[0][50:]) < 2
    assert world.receiver.total_bytes * 8 / 30 <= 400_000
    assert (consult_figures.figures(world)["wrong_layer"] or 0.0) > 0


def test_pause_by_choice_is_no_freeze() -> None:
    """On a line that carries no camera all of the time is a pause, and none of it a freeze."""
    found = consult_figures.figures(consult(0.15, contender="oracle"))

    assert 1.0 == found["paused"]
    assert 0.0 == found["freeze_s_per_10_min"]


def test_voices_are_repaired() -> None:
    """At 5 % of loss less than half of that is made up."""
    assert (consult_figures.figures(consult(6.0, loss=0.05))["audio_concealed"] or 0.0) < 0.02


def test_consult_is_the_same_for_the_same_seed_and_has_series_of_layers() -> None:
    """As every run is; layers are drawn for each track, as many points as seconds."""
    case = ConsultCase("test", "x", "x", 10.0, LinePlan(((0, 2.0), (5, 0.5)), 2.0, 300))
    runs = [runner.run(runner.Job(case, "nada+livekit", 1, True)) for _ in range(2)]
    series = runs[0].series or {}

    assert runs[0] == runs[1]
    assert ["patient", "relative", "image"] == [name for name, _, _ in series["layers"]]
    assert {10} == {len(values) for _, has, truth in series["layers"] for values in (has, truth)}
    assert 10 == len(series["rates_kbps"][0]) == len(series["targets_kbps"][0])


def test_choices_cost_what_their_layers_do() -> None:
    """Headers included; without the uppermost temporal layer 60 % of it."""
    assert 2_600_000 == cost_bps(PATIENT, Choice(2, 2))
    assert 312_000 == cost_bps(RELATIVE, Choice(1, 1))
    assert 0 == cost_bps(RELATIVE, NONE)


def test_every_trace_becomes_a_consult_with_its_class() -> None:
    """3G is judged apart."""
    cases = {case.name: case for case in map(consults.consult_on, all_made_up())}

    assert "consult-3g" in cases["R5-3g_drive"].tags
    assert "consult-fast" in cases["R5-lte_edge"].tags
