"""
Encoder, pacer, feedback, repair: what a flow is made of.
"""

from array import array

import pytest

from telerelay.sim.capacity import Capacity
from telerelay.sim.clock import MS_US, SECOND_US, Clock, randomness
from telerelay.sim.controller import LOST, NO_PROBE, Bounds, Probe
from telerelay.sim.encoder import Encoder, SlideShow
from telerelay.sim.feedback import binned
from telerelay.sim.fixed import FixedRate
from telerelay.sim.flow import VideoFlow
from telerelay.sim.link import Link
from telerelay.sim.loss import RandomLoss
from telerelay.sim.pacer import AUDIO, RESEND, VIDEO, Pacer
from telerelay.sim.track import Piece, TrackReceiver, cut, freezes

MBPS = 1_000_000


def encoder(start_bps: int = MBPS) -> Encoder:
    return Encoder(randomness(1, "encoder"), start_bps=start_bps, min_bps=30_000, max_bps=2_500_000)


@pytest.mark.parametrize("bps", [150_000, MBPS, 2_500_000])
def test_encoder_keeps_its_rate_and_frame_rate(bps: int) -> None:
    """Over a minute the noise evens out and the first key frame is paid back."""
    source, when_us, total = encoder(bps), 0, 0
    frames = 0
    while when_us < 60 * SECOND_US:
        frame, gap_us = source.next_frame(when_us)
        total += frame.size_bytes
        when_us += gap_us
        frames += 1

    assert bps == pytest.approx(total * 8 / 60, rel=0.03)
    assert 30 * 60 == pytest.approx(frames, rel=0.02)


def test_burst_begins_with_a_key_frame_and_pays_it_back() -> None:
    """Ten frames together are ten mean frames, within the noise; the first has about four of them."""
    sizes = [[encoder_frame.size_bytes for encoder_frame in frames] for frames in _bursts()]
    mean = MBPS / 8 / 30

    assert 4.0 == pytest.approx(sum(burst[0] for burst in sizes) / len(sizes) / mean, rel=0.1)
    assert 10.0 == pytest.approx(sum(map(sum, sizes)) / len(sizes) / mean, rel=0.1)


def _bursts() -> list[list]:  # type: ignore[type-arg]
    source = encoder()
    bursts = []
    for _ in range(100):
        source.want_key_frame()
        bursts.append([source.next_frame(0)[0] for _ in range(10)])
    assert all(burst[0].is_key and not any(frame.is_key for frame in burst[1:]) for burst in bursts)
    return bursts


@pytest.mark.parametrize(
    ("asked", "after_us", "taken"),
    [
        (1_050_000, 200_000, 1_050_000),
        (1_300_000, 200_000, 1_100_000),
        (800_000, 200_000, 900_000),
        (1_600_000, 200_000, 1_600_000),
        (300_000, 200_000, 300_000),
        (1_050_000, 50_000, 1_000_000),
        (9_000_000, 200_000, 2_500_000),
    ],
)
def test_encoder_takes_a_target_as_encoders_do(asked: int, after_us: int, taken: int) -> None:
    """At most a tenth at a time, unless it is more than half; not twice within 100 ms; within its range."""
    source = encoder(990_000)
    source.set_target(0, MBPS)
    source.set_target(after_us, asked)

    assert taken == source.target_bps


def test_slide_show_has_the_rate_asked_for() -> None:
    """Mostly small frames, now and then a whole picture; the mean over many minutes is the target."""
    source = SlideShow(randomness(2, "slides"), target_bps=MBPS)
    frames = [source.next_frame(0)[0] for _ in range(20_000)]

    assert MBPS == pytest.approx(sum(frame.size_bytes for frame in frames) * 8 / (20_000 / 5), rel=0.1)
    assert frames[0].is_key
    assert 0.05 == pytest.approx(sum(frame.is_key for frame in frames) / 20_000, rel=0.1)


@pytest.mark.parametrize(
    ("size", "expected"), [(1, (1, 1)), (1_200, (1, 1_200)), (1_201, (2, 601)), (10_000, (9, 1_112))]
)
def test_frames_are_cut_evenly(size: int, expected: tuple[int, int]) -> None:
    """No payload above 1200 bytes, all of a frame's alike."""
    assert expected == cut(size)


class Sent:
    """Notes what a pacer lets go."""

    def __init__(self) -> None:
        self.all: list[tuple[int, int, object, int]] = []

    def __call__(self, now_us: int, size_bytes: int, content: object, probe_id: int) -> None:
        self.all.append((now_us, size_bytes, content, probe_id))


def test_pacer_spaces_what_it_holds() -> None:
    """At 1 Mbit/s a packet of 1250 bytes follows the one before after 10 ms; audio waits for nothing."""
    clock, sent = Clock(), Sent()
    pacer = Pacer(clock, FixedRate(MBPS, pacing_bps=MBPS), sent)
    for name in ("a", "b", "c"):
        pacer.put(0, 1_250, name, VIDEO)
    pacer.put(0, 1_250, "again", RESEND)
    pacer.put(0, 100, "sound", AUDIO)
    clock.run(SECOND_US)

    assert [(0, "sound"), (0, "again"), (10_000, "a"), (20_000, "b"), (30_000, "c")] == [
        (when, content) for when, _, content, _ in sent.all
    ]
    assert 0 == pacer.queued_bytes


def test_streams_take_turns_by_bytes() -> None:
    """A picture of ten packets on one does not hold up a frame of two on the other; idle time is no credit."""
    clock, sent = Clock(), Sent()
    pacer = Pacer(clock, FixedRate(MBPS, pacing_bps=MBPS), sent)
    for _ in range(10):
        pacer.put(0, 1_250, "picture", VIDEO, 1)
    for _ in range(2):
        pacer.put(0, 1_250, "frame", VIDEO, 2)
    clock.run(SECOND_US)

    assert ["frame", "frame"] == [content for _, _, content, _ in sent.all[:5] if content == "frame"]
    assert 12 == len(sent.all)


def test_pacer_lets_a_long_queue_go_within_two_seconds() -> None:
    """Whatever the pace, 250 kB do not wait for 20 s."""
    clock, sent = Clock(), Sent()
    pacer = Pacer(clock, FixedRate(100_000, pacing_bps=100_000), sent)
    for _ in range(200):
        pacer.put(0, 1_250, "x")
    clock.run(6 * SECOND_US)

    assert 150 < len(sent.all)


def test_probe_is_sent_at_its_rate_with_media_first() -> None:
    """A cluster of 2 Mbit/s takes what is queued, fills up with padding, and ends when it has both its minima."""
    clock, sent = Clock(), Sent()
    pacer = Pacer(clock, FixedRate(MBPS, pacing_bps=MBPS), sent)
    pacer.put(0, 1_250, "a")
    pacer.start_probe(0, Probe(7, 2 * MBPS, 3_750))
    clock.run(SECOND_US)
    total = sum(size for _, size, _, _ in sent.all)

    assert {7} == {probe for _, _, _, probe in sent.all}
    assert ["a", None] == [content for _, _, content, _ in sent.all][:2]
    assert len(sent.all) >= 5
    assert 2 * MBPS == pytest.approx((total - sent.all[-1][1]) * 8 * SECOND_US / sent.all[-1][0], rel=0.01)
    assert pacer.padding_bytes == total - 1_250


def flow(loss: float = 0.0, repairs: bool = False, rate: int = MBPS, line: Capacity | None = None) -> VideoFlow:
    """Twenty seconds of a flow of fixed rate over 50 ms each way."""
    clock = Clock()
    forward = Link(
        clock,
        line or Capacity.constant(4 * MBPS),
        delay_us=50 * MS_US,
        queue_bytes=1 << 20,
        loss=RandomLoss(loss, randomness(1, "loss")) if loss else None,
    )
    backward = Link(clock, Capacity.constant(100 * MBPS), delay_us=50 * MS_US, queue_bytes=1 << 20)
    bounds = Bounds(start_bps=rate, min_bps=30_000, max_bps=rate)
    made = VideoFlow(clock, FixedRate(rate), randomness(1, "flow"), bounds, repairs=repairs)
    made.connect((forward,), (backward,))
    made.run(0, 20 * SECOND_US)
    clock.run(22 * SECOND_US)
    return made


def test_flow_sends_its_target_headers_included() -> None:
    """What a controller allows is on the wire: payload, headers and nothing else."""
    made = flow()

    assert MBPS == pytest.approx(made.receiver.total_bytes * 8 / 20, rel=0.05)
    assert made.sender.sent_packets == len(made.receiver.received_us)
    assert 0 == made.sender.lost_packets
    assert 100_000 <= made.sender.rtt_us <= 220_000


def test_feedback_reports_every_packet_once() -> None:
    """What is lost is reported lost, what came is reported with its time in steps of 250 us."""
    seen = []

    class Watching(FixedRate):
        def on_feedback(self, now_us: int, results) -> None:  # type: ignore[no-untyped-def]
            seen.extend(results)

    clock = Clock()
    loss = RandomLoss(0.1, randomness(1, "loss"))
    forward = Link(clock, Capacity.constant(4 * MBPS), delay_us=0, queue_bytes=1 << 20, loss=loss)
    backward = Link(clock, Capacity.constant(4 * MBPS), delay_us=0, queue_bytes=1 << 20)
    made = VideoFlow(clock, Watching(MBPS), randomness(1, "flow"), Bounds(start_bps=MBPS))
    made.connect((forward,), (backward,))
    made.run(0, 5 * SECOND_US)
    clock.run(7 * SECOND_US)
    lost = [each for each in seen if each.received_us == LOST]

    assert forward.lost_packets - len(lost) in (0, 1)
    assert len({each.seq for each in seen}) == len(seen)
    assert all(each.received_us % 250 == 0 for each in seen if each.received_us != LOST)
    assert all(each.received_us >= each.sent_us - 250 for each in seen if each.received_us != LOST)
    assert {NO_PROBE} == {each.probe_id for each in seen}


def test_repair_shows_nearly_every_frame_through_loss() -> None:
    """With a tenth lost, a picture without repair stands still; with it all but a few frames are shown."""
    without, with_it = flow(0.1), flow(0.1, repairs=True)

    assert len(without.track.shown_us) < 60
    assert len(with_it.track.shown_us) > 0.95 * 20 * 30
    assert 0 < with_it.resent_bytes < 0.2 * with_it.sender.sent_bytes
    assert with_it.track.recovered_pieces > 0


def test_line_that_is_down_freezes_the_picture_for_as_long() -> None:
    """A second without a line is one freeze of about a second, by the rule of the W3C."""
    made = flow(line=Capacity.in_seconds((0, 4), (10, 0), (11, 4)))
    found = freezes(made.track.shown_us)

    assert 1 == len(found)
    assert 1.0 == pytest.approx(found[0][1] / SECOND_US, abs=0.15)


def test_freezes_follow_the_rule() -> None:
    """Three times the average, and at least 150 ms more than it; not before the fifth gap."""
    steady = [at * 33_000 for at in range(40)]

    assert [] == freezes(array("q", [0, 900_000, 933_000, 966_000]))
    assert [] == freezes(array("q", [*steady, steady[-1] + 182_000]))
    assert [(steady[-1], 183_000)] == freezes(array("q", [*steady, steady[-1] + 183_000]))


def test_missing_piece_is_asked_for_ten_times() -> None:
    """At once, then once in a round trip, then given up."""
    track = TrackReceiver()
    for seq in (0, 2):
        track.on_piece(0, Piece(0, seq, seq, 0, 0, 1, 1_248, seq == 0))
    asked = [track.next_nacks(at * 20_000, 100_000) for at in range(100)]

    assert [[1]] * 10 == [each for each in asked if each]
    assert [0, 5, 10] == [at for at, each in enumerate(asked) if each][:3]


def test_key_frame_is_asked_for_when_nothing_can_be_shown() -> None:
    """Frames that need one which never came are no picture; a second is what it may take."""
    track = TrackReceiver()
    track.on_piece(0, Piece(0, 0, 0, 0, 0, 1, 1_248, True))
    track.on_piece(100_000, Piece(0, 2, 2, 0, 0, 1, 1_248, False))

    assert [False, True, False, True] == [track.wants_key(at) for at in (900_000, 1_100_000, 1_500_000, 2_100_000)]


def test_bins_hold_rates() -> None:
    """Five bins a second; what comes after the end is in none."""
    times, sizes = array("q", [0, 199_999, 200_000, 900_000]), array("q", [1_000, 1_000, 500, 1])

    assert [80_000.0, 20_000.0] == binned(times, sizes, 400_000)
