"""The score of one direction: figures of the E-model, what a picture is worth, and which cause is named."""

import pytest

from telerelay.quality import CAUSES, AudioLeg, VideoLeg, audio_mos, judge, video_mos
from telerelay.quality.model import FINE_BPS, FINE_MS, FIVE, REST_MS

GOOD = AudioLeg(delay_ms=25)
SHARP = VideoLeg(rate_bps=2_500_000, frames_per_s=30)


@pytest.mark.parametrize(
    ("delay_ms", "loss", "expected"),
    [(100, 0.0, 4.36), (100, 0.02, 4.1), (300, 0.05, 2.76)],
)
def test_sound_has_the_scores_of_the_e_model(delay_ms: float, loss: float, expected: float) -> None:
    """
    Mouth-to-ear delay and loss after repair give the mean opinion score of G.107 with the constants used here.
    """
    assert abs(expected - audio_mos(AudioLeg(loss=loss, delay_ms=delay_ms - REST_MS))) < 0.05


def test_loss_in_bursts_is_worse_than_the_same_loss_at_random() -> None:
    """
    G.107, 3.5: with a burst ratio above 1 the same share of loss costs more.
    """
    assert audio_mos(AudioLeg(loss=0.05, burst_ratio=3)) < audio_mos(AudioLeg(loss=0.05)) < audio_mos(AudioLeg())


@pytest.mark.parametrize(
    ("rate_bps", "lost"), [(32_000, 0.0), (24_000, 0.0), (16_000, 5.0), (10_000, 12.0), (6_000, 20.0), (1_000, 20.0)]
)
def test_a_low_rate_of_sound_impairs_it_by_table(rate_bps: int, lost: float) -> None:
    """
    Between the rows it is a straight line; outside them the last value holds.
    """
    from telerelay.quality.model import _impairment

    assert lost == _impairment(rate_bps)
    assert 8.5 == _impairment(13_000)


def test_scores_stay_between_1_and_5_whatever_comes() -> None:
    """
    The worst of everything is 1.0, nothing wrong is at most 5.0.
    """
    worst = judge(AudioLeg(1.0, 10, 10_000, 60_000, 0), [VideoLeg(0, 0.0, 1.0)])
    best = judge(AudioLeg(), [VideoLeg()])

    assert worst is not None
    assert best is not None
    assert (1.0, 1.0, 1.0) == (worst.score, worst.audio_mos, worst.video_mos)
    assert 4.9 < best.score <= 5.0
    assert "" == best.cause


def test_a_picture_is_worth_more_with_more_bits_and_frames_and_less_where_it_stands_still() -> None:
    """
    Each of the three moves the score the way it should; a paused picture is worth nothing.
    """
    rates = [video_mos(VideoLeg(rate_bps=rate, frames_per_s=30)) for rate in (50_000, 150_000, 500_000, 2_500_000)]
    frames = [video_mos(VideoLeg(rate_bps=1_000_000, frames_per_s=each)) for each in (1, 5, 15, 23)]
    frozen = [video_mos(VideoLeg(freeze=share)) for share in (1.0, 0.2, 0.1, 0.0)]

    assert sorted(set(rates)) == rates
    assert sorted(set(frames)) == frames
    assert sorted(set(frozen)) == frozen
    assert 1.0 == video_mos(VideoLeg(is_paused=True))


def test_sound_decides_and_a_picture_counts_for_a_third() -> None:
    """
    S = min(A, 0.65 A + 0.35 V): a good picture mends no sound, a bad one costs a third of what it lacks.
    """
    bad_sound = AudioLeg(loss=0.2)
    heard, alone = judge(bad_sound, [SHARP]), judge(bad_sound, [])
    paused = judge(GOOD, [VideoLeg(is_paused=True)])

    assert heard is not None
    assert alone is not None
    assert paused is not None
    assert heard.score == alone.score
    assert paused.audio_mos is not None
    mos = 0.65 * paused.audio_mos + 0.35
    assert abs(1 + 4 * (mos - 1) / 3.409 - paused.score) < 1e-9


@pytest.mark.parametrize(
    ("audio", "videos", "cause"),
    [
        (AudioLeg(delay_ms=25, loss=0.1), [SHARP], "loss"),
        (AudioLeg(delay_ms=600), [SHARP], "delay"),
        (AudioLeg(delay_ms=25, buffer_ms=400), [SHARP], "jitter"),
        (GOOD, [VideoLeg(freeze=0.4)], "freeze"),
        (GOOD, [VideoLeg(rate_bps=60_000, frames_per_s=30)], "bitrate"),
        (GOOD, [VideoLeg(frames_per_s=1)], "bitrate"),
        (AudioLeg(delay_ms=25, rate_bps=6_000), [], "bitrate"),
        (GOOD, [VideoLeg(is_paused=True)], "paused"),
        (AudioLeg(is_silent=True), [SHARP], "silent"),
        (AudioLeg(delay_ms=30, buffer_ms=60, loss=0.2), [VideoLeg(freeze=0.05)], "loss"),
        (None, [VideoLeg(freeze=0.4, rate_bps=400_000)], "freeze"),
        (GOOD, [SHARP], ""),
    ],
)
def test_the_cause_is_what_costs_most(audio: AudioLeg | None, videos: list[VideoLeg], cause: str) -> None:
    """
    Of everything that is wrong that one is named without which the score would be best; at 5 there is none.
    """
    quality = judge(audio, videos)

    assert quality is not None
    assert cause == quality.cause
    assert cause in ("", *CAUSES)


def test_where_nothing_is_due_there_is_no_score() -> None:
    """
    Somebody who has muted everything has no bad line.
    """
    assert judge(None, []) is None


@pytest.mark.parametrize(
    ("audio", "videos"),
    [
        (AudioLeg(delay_ms=FINE_MS / 2, buffer_ms=FINE_MS / 2), []),
        (AudioLeg(delay_ms=FINE_MS), [VideoLeg()]),
        (AudioLeg(delay_ms=FINE_MS), [VideoLeg(rate_bps=FINE_BPS), VideoLeg(rate_bps=FINE_BPS)]),
        (None, [VideoLeg(rate_bps=FINE_BPS)]),
    ],
)
def test_what_is_taken_for_fine_unjudged_would_show_as_5(audio: AudioLeg | None, videos: list[VideoLeg]) -> None:
    """
    At the edges of what is not even reckoned.
    """
    quality = judge(audio, videos)

    assert quality is not None
    assert quality.score >= FIVE
    assert "" == quality.cause
