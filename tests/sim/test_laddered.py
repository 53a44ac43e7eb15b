"""
The relay's own allocator and ladder in a consult, and the pacer that comes with them.
"""

from typing import Any

from telerelay.sim import allocators, board, consult_figures
from telerelay.sim.allocators import Oracle
from telerelay.sim.case import LinePlan
from telerelay.sim.clock import SECOND_US, Clock
from telerelay.sim.consult import ConsultCase, ConsultWorld
from telerelay.sim.controller import Probe
from telerelay.sim.fixed import FixedRate
from telerelay.sim.laddered import Laddered
from telerelay.sim.own_pacer import OwnPacer
from telerelay.sim.pacer import AUDIO, VIDEO, Pacer
from telerelay.sim.simulcast import IMAGE, PATIENT, RELATIVE

PLANS = (PATIENT, RELATIVE, IMAGE)
KBPS = 1_000


def consult(line: LinePlan, seconds: float, contender: str = board.OWN_PAIR) -> ConsultWorld:
    world = ConsultWorld(ConsultCase("test", "x", "x", seconds, line), contender, 1)
    world.run()
    return world


def fixed(mbps: float, loss: float = 0.0) -> LinePlan:
    return LinePlan(((0, mbps),), mbps, 300, delay_ms=30, loss=loss)


def test_it_wants_what_the_oracle_wants() -> None:
    """The same pictures in the same sizes as the line grows, with voices and a tenth kept free."""
    for kbps in (100, 600, 900, 1_500, 1_970, 2_600, 5_000):
        oracle = Oracle(PLANS, 112_640).allocate(0, 0, 0.0, [kbps * KBPS])
        own = Laddered(PLANS).allocate(0, kbps * KBPS, 0.0, [])
        assert [each.spatial for each in oracle] == [each.spatial for each in own], kbps


def test_lines_that_stay_are_not_switched_on() -> None:
    """The oracle's layers within a twentieth of the time, at most one change in a minute, hardly a voice made up."""
    for mbps in (1.0, 2.0, 4.0):
        found = consult_figures.figures(consult(fixed(mbps), 60.0))

        assert (found["wrong_layer"] or 0.0) <= 0.05
        assert (found["switches_per_min"] or 0.0) <= 1
        assert (found["audio_concealed"] or 0.0) <= 0.01
        assert (found["audio_queue_p95_ms"] or 0.0) <= 60


def test_pictures_go_and_voices_stay_when_a_line_breaks_down() -> None:
    """To 130 kbit/s for twenty seconds: cameras are paused within three seconds, and are back within twelve."""
    line = LinePlan(((0, 2.0), (20, 0.13), (40, 2.0)), 2.0, 300, delay_ms=30)
    world = consult(line, 70.0)
    late_us = [
        sent_us
        for voice in world.voices
        for sent_us, queue_us in zip(voice.queue_sent_us, voice.queue_us, strict=True)
        if queue_us > 150_000
    ]

    assert {-1} == set(world.layers[0][23 * 5 : 40 * 5])
    assert -1 not in world.layers[0][53 * 5 :]
    # What was on the line when it broke down has to leave first; nothing else delays a voice.
    assert all(19 < sent_us / SECOND_US < 29 for sent_us in late_us)


def test_voices_pay_for_themselves_out_of_the_pace() -> None:
    """The other pacer lets go of a full pace of pictures beside them; none holds a voice back."""
    sent = {}
    for make in (Pacer, OwnPacer):
        clock = Clock()
        log: list[tuple[int, int, Any]] = []
        pacer = make(
            clock, FixedRate(400_000, 400_000), lambda now, size, what, probe, log=log: log.append((now, size, what))
        )
        for at in range(50):
            clock.at(at * 20_000, lambda now, _, pacer=pacer: pacer.put(now, 500, "voice", AUDIO))
        for _ in range(100):
            pacer.put(0, 1_000, "picture", VIDEO)
        clock.run(SECOND_US)
        assert [at * 20_000 for at in range(50)] == [now for now, _, what in log if what == "voice"]
        sent[make] = sum(size for now, size, _ in log) * 8

    assert 390_000 <= sent[OwnPacer] <= 420_000
    assert sent[Pacer] >= 580_000


def test_what_waits_of_a_stream_can_be_dropped() -> None:
    """It is told what, in its order; other streams go on, and a probe still finds its packets."""
    clock = Clock()
    log: list[Any] = []
    pacer = OwnPacer(clock, FixedRate(80_000, 80_000), lambda now, size, what, probe: log.append(what))
    for at in range(4):
        pacer.put(0, 1_000, f"a{at}", VIDEO, 1)
        pacer.put(0, 1_000, f"b{at}", VIDEO, 2)
    clock.run(150_000)

    assert ["a1", "a2", "a3"] == pacer.drop(1)
    assert [] == pacer.drop(1) == pacer.drop(9)
    assert 3_000 == pacer.queued_bytes
    pacer.start_probe(150_000, Probe(1, 800_000, 3_000))
    clock.run(SECOND_US)
    assert ["a0", "b0", "b1", "b2", "b3"] == [each for each in log if each]
    assert 0 == pacer.queued_bytes


def test_large_picture_has_no_credit_from_the_time_it_was_silent() -> None:
    """A stream that begins takes turns with the others at once, however much they had sent before."""
    clock = Clock()
    log: list[Any] = []
    pacer = Pacer(clock, FixedRate(8_000_000, 8_000_000), lambda now, size, what, probe: log.append(what))
    for at in range(100):
        clock.at(at * 10_000, lambda now, _: pacer.put(now, 1_000, "camera", VIDEO, 1))
    clock.run(SECOND_US)
    for _ in range(50):
        pacer.put(SECOND_US, 1_000, "image", VIDEO, 2)
    for _ in range(10):
        pacer.put(SECOND_US, 1_000, "camera", VIDEO, 1)
    clock.run(2 * SECOND_US)

    assert 10 == log[100:120].count("image")


def test_own_allocator_is_a_contender_with_the_own_controller_only() -> None:
    """And by its name the scoreboard's rows of consults are about it."""
    assert "telerelay" in allocators.MAKERS
    assert board.OWN_PAIR == board.own_pair()
    assert ["telerelay+telerelay", "gcc+livekit", "oracle"] == [
        each
        for each in board.pairs(["telerelay", "gcc"], ["telerelay", "livekit", "oracle"])
        if each != "telerelay+livekit"
    ]
