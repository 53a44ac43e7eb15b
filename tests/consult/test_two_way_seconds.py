"""
The definition of a two-way second at each of its edges, and what becomes of seconds that nobody looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from telerelay.consult.seconds import (
    LONGEST_GAP_S,
    REPORT_WAIT_S,
    SIDES,
    WRAP,
    Kind,
    Seconds,
    Totals,
    Track,
)
from telerelay.rooms.policy import ROLES

UNIX = 1_700_000_000.0
"""Unix seconds when a call begins."""


def camera(source: str = "patient", target: str = "practitioner", **values: object) -> Track:
    """A track of one person, named by the role, to another."""
    return _track("video", source, target, height=720, **values)


def voice(source: str = "patient", target: str = "practitioner", **values: object) -> Track:
    return _track("audio", source, target, **values)


def _track(kind: Kind, source: str, target: str, **values: object) -> Track:
    track = Track(
        counter=(kind, source, target),
        kind=kind,
        source=source,
        source_role=source,
        target=target,
        target_role=target,
        packets=0,
    )
    return replace(track, **values)  # type: ignore[arg-type]


BOTH = (camera(), camera("practitioner", "patient"))
VOICES = (voice(), voice("practitioner", "patient"))


class Call:
    """A call that is looked at: what is sent in a second is said in it, and what its receivers report."""

    def __init__(self, *tracks: Track, before: Totals | None = None, first: int = 0) -> None:
        self.seconds = Seconds(before)
        self.now = 0.0
        self.tracks = {each.counter: replace(each, packets=first, frames=first) for each in tracks}
        self.look()

    def look(self) -> None:
        self.seconds.look(self.now, UNIX + self.now, self.tracks.values())

    def go_on(
        self,
        length: float = 1.0,
        *,
        frames: int = 15,
        packets: int = 50,
        loss: float | None = 0.0,
        only: Iterable[Track] | None = None,
    ) -> None:
        """So much of each track, or of `only` some; `loss` None: nothing is reported."""
        self.now += length
        chosen = {each.counter for each in only} if only is not None else self.tracks.keys()
        for counter in chosen:
            track = self.tracks[counter]
            self.tracks[counter] = replace(
                track,
                packets=(track.packets + packets) % WRAP,
                frames=(track.frames + frames) % WRAP if track.kind == "video" else 0,
                reports=track.reports + (loss is not None),
                fraction_lost=track.fraction_lost if loss is None else int(256 * loss),
            )
        self.look()

    @property
    def totals(self) -> Totals:
        return self.seconds.totals


def test_ten_seconds_of_both_are_ten() -> None:
    """
    Pictures and sound both ways: each second counts as video and as sound, and none as sound alone.
    """
    call = Call(*BOTH, *VOICES)
    for _ in range(10):
        call.go_on()

    assert Totals(10.0, 10.0, 0.0, ((720, 10.0),), first_at=UNIX, last_at=UNIX + 10) == call.totals


@pytest.mark.parametrize(("frames", "expected"), [(0, 0.0), (4, 0.0), (5, 1.0), (30, 1.0)])
def test_five_pictures_make_a_second(frames: int, expected: float) -> None:
    """
    Five complete pictures in each direction, not four.
    """
    call = Call(*BOTH)
    call.go_on(frames=frames)

    assert expected == call.totals.two_way_video_s


@pytest.mark.parametrize("short", BOTH)
def test_both_directions_have_to_have_them(short: Track) -> None:
    """
    Five one way and four the other are no second, whichever way is short.
    """
    call = Call(*BOTH)
    call.tracks[short.counter] = replace(call.tracks[short.counter], frames=WRAP - 1)
    call.look()
    call.now += 1
    call.tracks = {key: replace(each, frames=5, reports=1) for key, each in call.tracks.items()}
    call.tracks[short.counter] = replace(call.tracks[short.counter], frames=4)
    call.look()

    assert 0.0 == call.totals.two_way_video_s


@pytest.mark.parametrize(("fraction", "expected"), [(0, 1.0), (50, 1.0), (51, 1.0), (52, 0.0), (255, 0.0)])
def test_a_fifth_lost_is_too_much(fraction: int, expected: float) -> None:
    """
    51 of 256 are 19.9 %, 52 are 20.3 %: under 20 % counts.
    """
    call = Call(*BOTH)
    call.go_on(loss=None)
    call.tracks = {key: replace(each, reports=1) for key, each in call.tracks.items()}
    call.tracks[BOTH[0].counter] = replace(call.tracks[BOTH[0].counter], fraction_lost=fraction)
    call.go_on(loss=None, frames=0)

    assert expected == call.totals.two_way_video_s


def test_the_next_report_is_of_all_the_seconds_before_it() -> None:
    """
    Nothing counts before its receiver has reported; then one report judges what waited for it.
    """
    call = Call(*BOTH)
    for _ in range(3):
        call.go_on(loss=None)
    before = call.totals.two_way_video_s
    call.go_on(loss=0.0)

    assert (0.0, 4.0) == (before, call.totals.two_way_video_s)


def test_a_bad_report_is_of_all_the_seconds_before_it_too() -> None:
    """
    Seconds that waited for a report are lost with it; those after it are others'.
    """
    call = Call(*BOTH)
    for _ in range(3):
        call.go_on(loss=None)
    call.go_on(loss=0.5)
    call.go_on(loss=0.0)

    assert 1.0 == call.totals.two_way_video_s


def test_who_never_reports_received_nothing() -> None:
    """
    A line that is dead one way: no report comes, and after seven seconds and a half none is waited for.
    """
    call = Call(*BOTH)
    for _ in range(12):
        call.go_on(loss=None)
    call.go_on(loss=0.0)

    assert 1.0 + int(REPORT_WAIT_S) == call.totals.two_way_video_s


def test_the_last_seconds_stand_by_the_last_report() -> None:
    """
    Whoever leaves reports no more: what it was sent before counts by its last report, unless that is too old.
    """
    call = Call(*BOTH)
    call.go_on()
    for _ in range(2):
        call.go_on(loss=None)
    call.tracks = {}
    call.go_on()
    of_a_call_that_nobody_reported_on = Call(*BOTH)
    of_a_call_that_nobody_reported_on.go_on(loss=None)

    assert 3.0 == call.totals.two_way_video_s
    assert 0.0 == of_a_call_that_nobody_reported_on.seconds.close().two_way_video_s


def test_the_end_is_judged_at_the_end() -> None:
    """
    As above, where all is over at once; and closed again it is the same.
    """
    call = Call(*BOTH, *VOICES)
    call.go_on()
    call.go_on(loss=None)

    assert 2.0 == call.seconds.close().two_way_video_s
    assert 2.0 == call.seconds.close().two_way_audio_s


# ---------------------------------------------------------------- keyframes


def test_pictures_without_a_keyframe_before_them_are_none() -> None:
    """
    The worker counts no picture in front of a complete keyframe among `frames`: it is none here either.
    """
    call = Call(*BOTH)
    call.go_on(only=BOTH[:1])
    without = call.totals.two_way_video_s
    call.go_on()

    assert (0.0, 1.0) == (without, call.totals.two_way_video_s)


def test_where_nobody_can_tell_it_counts_and_is_said() -> None:
    """
    Encrypted end to end: what is sent counts, and that its keyframes are unknown goes with it.
    """
    call = Call(replace(BOTH[0], has_keyframes=False), BOTH[1])
    call.go_on()

    assert (1.0, True) == (call.totals.two_way_video_s, call.totals.has_unknown_keyframes)


def test_another_camera_whose_keyframes_are_known_makes_it_known() -> None:
    """
    Nothing rests on the closed track where an open one beside it shows the same person.
    """
    closed = replace(BOTH[0], counter="closed", has_keyframes=False)
    call = Call(closed, *BOTH)
    call.go_on()

    assert (1.0, False) == (call.totals.two_way_video_s, call.totals.has_unknown_keyframes)


def test_pictures_that_begin_to_be_told_apart_begin_anew() -> None:
    """
    Two counters, one in front of and one behind a keyframe: their difference is no number of pictures.
    """
    call = Call(replace(BOTH[0], has_keyframes=False), BOTH[1])
    call.tracks[BOTH[0].counter] = replace(call.tracks[BOTH[0].counter], has_keyframes=True, frames=500)
    call.go_on(frames=5)

    assert 0.0 == call.totals.two_way_video_s


# ---------------------------------------------------------------- sides, pairs, sound


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("patient", "practitioner", 1.0),
        ("companion", "practitioner", 1.0),
        ("patient", "expert", 1.0),
        ("patient", "requester", 1.0),
        ("patient", "companion", 0.0),
        ("practitioner", "expert", 0.0),
        ("patient", "interpreter", 0.0),
        ("patient", "observer", 0.0),
        ("patient", "assistant", 0.0),
        ("practitioner", "device", 0.0),
        ("patient", "recorder", 0.0),
    ],
)
def test_two_people_of_two_sides_make_a_consult(one: str, other: str, expected: float) -> None:
    """
    Two of one side, or one who is on neither, make none.
    """
    call = Call(camera(one, other), camera(other, one), voice(one, other), voice(other, one))
    call.go_on()

    assert (expected, expected) == (call.totals.two_way_video_s, call.totals.two_way_audio_s)


def test_every_side_is_of_roles_there_are() -> None:
    """
    The table names no role that rooms do not know.
    """
    assert set() == SIDES.keys() - set(ROLES)


def test_the_two_directions_are_of_one_pair() -> None:
    """
    A patient who sees one doctor and is seen by another has no two-way picture with either.
    """
    call = Call(camera("patient", "practitioner"), camera("expert", "patient"))
    call.go_on()

    assert 0.0 == call.totals.two_way_video_s


def test_several_pairs_make_one_second() -> None:
    """
    Two experts and a patient: a second is a second.
    """
    call = Call(*BOTH, camera("patient", "expert"), camera("expert", "patient"))
    call.go_on()

    assert 1.0 == call.totals.two_way_video_s


def test_sound_alone_is_told_apart() -> None:
    """
    Voices both ways and a picture one way only: sound, no two-way video, and the height of what was received.
    """
    call = Call(*VOICES, BOTH[0])
    for _ in range(10):
        call.go_on()

    totals = call.totals
    assert (0.0, 10.0, 10.0) == (totals.two_way_video_s, totals.two_way_audio_s, totals.audio_only_s)
    assert ((720, 10.0),) == totals.by_height


def test_sound_one_way_is_none() -> None:
    """
    A patient who is not heard.
    """
    call = Call(VOICES[1], *BOTH)
    call.go_on()

    assert (1.0, 0.0, 0.0) == (call.totals.two_way_video_s, call.totals.two_way_audio_s, call.totals.audio_only_s)


def test_silence_that_is_left_out_is_sound() -> None:
    """
    Who says nothing sends two packets a second; one will do, for they come unevenly; none is a line that is dead.
    """
    call = Call(*VOICES)
    call.go_on(packets=1)
    with_one = call.totals.two_way_audio_s
    call.go_on(packets=0)

    assert (1.0, 1.0) == (with_one, call.totals.two_way_audio_s)


# ---------------------------------------------------------------- heights


@pytest.mark.parametrize(
    ("height", "expected"), [(0, 0), (89, 0), (90, 90), (719, 540), (720, 720), (1079, 720), (65535, 2160)]
)
def test_a_picture_counts_for_the_height_it_reaches(height: int, expected: int) -> None:
    """
    Publishers scale to any height: an attestation has a dozen.
    """
    call = Call(replace(BOTH[0], height=height), BOTH[1])
    call.go_on()

    assert ((expected, 1.0),) == call.totals.by_height


def test_heights_are_of_what_the_practitioner_is_sent() -> None:
    """
    The best of several cameras; the patient's picture of the doctor is another matter.
    """
    call = Call(
        replace(BOTH[0], height=180), replace(BOTH[0], counter="second", height=360), replace(BOTH[1], height=1080)
    )
    call.go_on()

    assert ((360, 1.0),) == call.totals.by_height


# ---------------------------------------------------------------- counters


@pytest.mark.parametrize("first", [0, 1000, WRAP - 7])
def test_counters_wrap(first: int) -> None:
    """
    They are told modulo 2^32.
    """
    call = Call(*BOTH, *VOICES, first=first)
    for _ in range(3):
        call.go_on()

    assert (3.0, 3.0) == (call.totals.two_way_video_s, call.totals.two_way_audio_s)


def test_another_worker_begins_anew() -> None:
    """
    Other counters, or the same that went back: the second between is lost, no other, and nothing is made up.
    """
    call = Call(*BOTH, first=100_000)
    call.go_on()
    call.tracks = {("again", key): replace(each, counter=("again", key), frames=0) for key, each in call.tracks.items()}
    call.go_on()
    call.go_on()
    with_others = call.totals.two_way_video_s
    call.tracks = {key: replace(each, frames=3) for key, each in call.tracks.items()}
    call.go_on(frames=0)
    call.go_on()

    assert (2.0, 3.0) == (with_others, call.totals.two_way_video_s)


def test_what_was_sent_before_anybody_looked_is_not_counted() -> None:
    """
    A track of which a million pictures were sent begins to count when it is first looked at.
    """
    call = Call(*BOTH, first=1_000_000)

    assert 0.0 == call.totals.two_way_video_s


# ---------------------------------------------------------------- seconds that nobody looked at


def test_a_control_that_stopped_for_five_seconds_loses_none() -> None:
    """
    Media went on, and the counters with it: at the pace of before, what came took the whole of the gap.
    """
    call = Call(*BOTH, *VOICES)
    call.go_on()
    call.go_on(5.0, frames=75, packets=250)
    call.go_on()

    assert (7.0, 7.0, 0.0) == (call.totals.two_way_video_s, call.totals.two_way_audio_s, call.totals.missed_s)


def test_a_gap_in_which_less_came_counts_for_less() -> None:
    """
    45 pictures at 15 a second took three of five seconds, whenever that was; of two directions the lesser counts.
    """
    call = Call(*BOTH)
    call.go_on()
    call.go_on(5.0, frames=45)

    assert 4.0 == call.totals.two_way_video_s


@pytest.mark.parametrize("frames", [0, 4])
def test_a_gap_in_which_next_to_nothing_came_is_none(frames: int) -> None:
    """
    Fewer pictures than one second has.
    """
    call = Call(*BOTH)
    call.go_on()
    call.go_on(5.0, frames=frames)

    assert 1.0 == call.totals.two_way_video_s


def test_what_began_in_a_gap_begins_behind_it() -> None:
    """
    Without a pace of before nothing says how long a hundred pictures took.
    """
    call = Call(*BOTH)
    call.go_on(frames=0)
    call.go_on(5.0, frames=100)
    call.go_on()

    assert 1.0 == call.totals.two_way_video_s


def test_more_than_was_due_in_a_gap_is_no_more_than_the_gap() -> None:
    """
    A camera that went from 5 to 60 pictures a second.
    """
    call = Call(*BOTH)
    call.go_on(frames=5)
    call.go_on(5.0, frames=300)

    assert 6.0 == call.totals.two_way_video_s


def test_a_long_gap_is_not_judged_and_is_said() -> None:
    """
    Beyond ten seconds nothing is known, however many pictures came.
    """
    call = Call(*BOTH)
    call.go_on()
    call.go_on(LONGEST_GAP_S + 1, frames=10_000)
    call.go_on()

    assert (2.0, LONGEST_GAP_S + 1) == (call.totals.two_way_video_s, call.totals.missed_s)


def test_looks_may_come_early_and_late() -> None:
    """
    A loop under load: what is counted is how long it was, and two looks at nearly one moment are one.
    """
    call = Call(*BOTH)
    for length in (1.4, 0.6, 1.1, 0.1, 0.8, 1.0):
        call.go_on(length, frames=int(15 * length))

    assert 5.0 == pytest.approx(call.totals.two_way_video_s)


@pytest.mark.parametrize(("frames", "expected"), [(6, 0.0), (7, 1.4)])
def test_a_long_second_needs_more(frames: int, expected: float) -> None:
    """
    Five a second: of 1.4 s seven.
    """
    call = Call(*BOTH)
    call.go_on(1.4, frames=frames)

    assert expected == pytest.approx(call.totals.two_way_video_s)


# ---------------------------------------------------------------- from one process to the next


def test_totals_go_on_from_the_journal() -> None:
    """
    What was journalled stays, and how long nobody looked is said.
    """
    before = Totals(60.0, 61.0, 1.0, ((360, 20.0), (720, 40.0)), True, 2.0, UNIX - 90, UNIX - 20)
    seconds = Seconds(before, missed_s=20.0)
    seconds.look(0.0, UNIX, BOTH)
    seconds.look(1.0, UNIX + 1, [replace(each, frames=15, reports=1) for each in BOTH])

    expected = Totals(61.0, 61.0, 1.0, ((360, 20.0), (720, 41.0)), True, 22.0, UNIX - 90, UNIX + 1)
    assert expected == seconds.totals
