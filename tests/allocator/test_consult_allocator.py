"""
The relay's own allocator: what comes first, whatever the line.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerelay.allocator import (
    MAX_RUNGS,
    PRIORITY_OF,
    Allocator,
    ConsultAllocator,
    Ladder,
    Layer,
    Profile,
    Purpose,
    Track,
)

SHARES = (0.4, 0.6, 1.0)
KBPS = 1_000


def layers(*kbps: int) -> tuple[Layer, ...]:
    """Encodings of these rates, each in three temporal layers."""
    return tuple(
        Layer(encoding, 0, temporal, round(rate * KBPS * share))
        for encoding, rate in enumerate(kbps)
        for temporal, share in enumerate(SHARES)
    )


VOICE = Track(1, "audio", (Layer(0, 0, 0, 50 * KBPS),))
PATIENT = Track(2, "video", layers(150, 500, 2_500), profile=Profile.MOTION, priority=1, is_on_stage=True)
RELATIVE = Track(3, "video", layers(150, 500), is_on_stage=True)
IMAGE = Track(4, "video", (Layer(0, 0, 0, 1_000 * KBPS),), Purpose.DOCUMENT)
CONSULT = (VOICE, PATIENT, RELATIVE, IMAGE)


def chosen(ladder: Ladder, bps: int) -> dict[int, tuple[int, int]]:
    return {sender: (rung.encoding, rung.temporal) for sender, rung in ladder.layers_at(bps).items()}


def ladder_of(*tracks: Track) -> Ladder:
    allocator: Allocator = ConsultAllocator()
    return allocator.allocate(tracks)


def path(track: Track) -> list[tuple[int, int]]:
    """The layers a track goes through as its line grows."""
    return [(rung.encoding, rung.temporal) for rung in ladder_of(track).rungs if not rung.is_paused]


def test_consult_fills_up_from_faces_to_the_top() -> None:
    """
    Both faces small, the patient's larger, the image, the relative's larger, the patient's top: as the line grows.
    """
    lines_kbps = (100, 160, 260, 500, 800, 1_720, 2_300, 5_000)
    seen = [
        {sender: layer[0] for sender, layer in chosen(ladder_of(*CONSULT), kbps * KBPS).items()} for kbps in lines_kbps
    ]

    assert [{}, {2: 0}, {2: 0, 3: 0}, {2: 0, 3: 0}, {2: 1, 3: 0}, {2: 1, 3: 0, 4: 0}] == seen[:6]
    assert [{2: 1, 3: 1, 4: 0}, {2: 2, 3: 1, 4: 0}] == seen[6:]


def test_room_below_a_dear_step_is_used_meanwhile() -> None:
    """
    Below the image the relative is larger for as long as the image does not fit; the ladder is one line all the same.
    """
    ladder = ladder_of(*CONSULT)

    assert (1, 2) == chosen(ladder, 1_300 * KBPS)[3]
    assert {2: 1, 3: 0, 4: 0} == {sender: layer[0] for sender, layer in chosen(ladder, 1_800 * KBPS).items()}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (Profile.MOTION, [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2)]),
        (Profile.TALK, [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]),
        (Profile.DETAIL, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]),
    ],
)
def test_profile_says_what_is_given_up_first(profile: Profile, expected: list[tuple[int, int]]) -> None:
    """
    Motion never has fewer frames for a larger picture; detail gives up frames before size; talk keeps 15 a second.
    """
    track = Track(2, "video", layers(150, 500, 2_500), profile=profile, is_on_stage=True)

    assert expected == path(track)


def test_detail_on_stage_comes_before_a_second_face_grows() -> None:
    """
    A wound on stage has its 720 lines, at 7.5 frames a second, before the face beside it is more than small.
    """
    wound = Track(2, "video", layers(150, 500, 2_500), Purpose.SCOPE, priority=1, is_on_stage=True)
    face = Track(3, "video", layers(150, 500, 2_500), is_on_stage=True)

    assert {2: (2, 0), 3: (0, 2)} == chosen(ladder_of(VOICE, wound, face), 1_230 * KBPS)


@pytest.mark.parametrize("kbps", [240, 400, 600, 1_000])
def test_a_wound_comes_before_the_face_beside_it(kbps: int) -> None:
    """
    By the priority of its purpose: on lines up to 1 Mbit/s it never has less than the face.
    """
    wound = Track(2, "video", layers(150, 500), Purpose.SCOPE, priority=PRIORITY_OF[Purpose.SCOPE], is_on_stage=True)
    face = Track(3, "video", layers(150, 500), priority=PRIORITY_OF[Purpose.FACE], is_on_stage=True)
    has = chosen(ladder_of(VOICE, wound, face), kbps * KBPS)

    assert 2 in has
    assert has[2] >= has.get(3, (-1, -1))


def test_dear_screen_on_stage_does_not_hide_faces() -> None:
    """
    A screen in one piece of a megabit, of highest priority, waits until the faces on stage are there.
    """
    screen = Track(5, "video", (Layer(0, 0, 0, 1_000 * KBPS),), Purpose.SCREEN, priority=9, is_on_stage=True)

    assert {2, 3} == chosen(ladder_of(VOICE, PATIENT, RELATIVE, screen), 500 * KBPS).keys()


def test_picture_is_no_larger_than_it_is_shown() -> None:
    """
    A tile of 300 pixels is filled by 360 lines; what is above is on no rung.
    """
    tile = Track(2, "video", layers(150, 500, 2_500), is_on_stage=True, shown_height=300)

    assert 1 == max(encoding for encoding, _ in path(tile))


def test_voices_and_their_copies_are_kept_free() -> None:
    """
    All voices, what redundancy adds, and a tenth of both, are in the cost of every rung.
    """
    voices = (VOICE, Track(9, "audio", (Layer(0, 0, 0, 50 * KBPS),), redundancy_bps=30 * KBPS))
    first, second, *_ = ladder_of(*voices, PATIENT).rungs

    assert (True, 143 * KBPS) == (first.is_paused, first.cost_bps)
    assert 143 * KBPS + 60 * KBPS == second.cost_bps


def test_no_picture_below_150_kbps() -> None:
    """
    However cheap the first layer is.
    """
    ladder = ladder_of(Track(2, "video", layers(20), is_on_stage=True))

    assert {} == chosen(ladder, 149 * KBPS)
    assert {2: (0, 2)} == chosen(ladder, 150 * KBPS)


def test_peak_counts_where_nothing_was_announced() -> None:
    """
    What was announced, else the larger of the mean of a second and the peak of five.
    """
    assert 900 == Layer(0, 0, 0, 300, peak_bps=900).cost_bps
    assert 300 == Layer(0, 0, 0, 300, peak_bps=200).cost_bps
    assert 500 == Layer(0, 0, 0, 300, peak_bps=900, target_bps=500).cost_bps


def test_what_cannot_be_sent_has_no_rung() -> None:
    """
    Voices alone, or tracks of which nothing has come yet, make an empty ladder.
    """
    assert Ladder() == ladder_of(VOICE)
    assert Ladder() == ladder_of(Track(2, "video", ()))


@pytest.mark.parametrize("people", [2, 8, 30, 63, 90])
def test_many_people_fit_into_one_command(people: int) -> None:
    """
    Never more rungs than a command holds; the least layers of all come first, as far as they fit.
    """
    tracks = [Track(at, "video", layers(150, 500, 2_500), is_on_stage=at % 2 == 0) for at in range(people)]
    rungs = ladder_of(*tracks).rungs

    assert len(rungs) <= MAX_RUNGS
    assert min(people, MAX_RUNGS - 1) == len({each.sender for each in rungs})


def test_encodings_within_reach_are_kept_on() -> None:
    """
    All that a line of that rate may be given on its way up, not only what it has at the end.
    """
    ladder = ladder_of(*CONSULT)

    assert {2: {0, 1}, 3: {0, 1}, 4: {0}} == ladder.encodings_below(2_300 * KBPS)
    assert {2: set(), 3: set(), 4: set()} == ladder.encodings_below(100 * KBPS)


def test_example_of_the_documents_is_an_allocator() -> None:
    """
    The class in docs/allocator.md runs as it stands there: with a scope, faces have no rung.
    """
    text = (Path(__file__).resolve().parents[2] / "docs" / "allocator.md").read_text()
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    allocator: Allocator = names["ScopeFirst"]()
    scope = Track(5, "video", layers(150, 500), Purpose.SCOPE)

    assert {5} == {each.sender for each in allocator.allocate((VOICE, PATIENT, scope)).rungs}
    assert ladder_of(*CONSULT) == allocator.allocate(CONSULT)


rates = st.integers(10, 4_000).map(lambda kbps: kbps * KBPS)
some_layers = st.lists(
    st.builds(Layer, st.integers(0, 2), st.integers(0, 2), st.integers(0, 3), rates, rates),
    min_size=1,
    max_size=9,
    unique_by=lambda layer: (layer.encoding, layer.spatial, layer.temporal),
).map(tuple)
some_track = st.builds(
    Track,
    st.integers(1, 1_000),
    st.sampled_from(["video", "video", "video", "audio"]),
    some_layers,
    st.sampled_from(Purpose),
    st.none() | st.sampled_from(Profile),
    st.integers(0, 9),
    st.booleans(),
    st.integers(0, 50_000),
    st.sampled_from([0, 0, 180, 700]),
)
some_tracks = st.lists(some_track, max_size=6, unique_by=lambda track: track.sender)


@settings(max_examples=100, deadline=None)
@given(some_tracks)
def test_costs_rise_and_are_what_the_layers_cost(tracks: list[Track]) -> None:
    """
    A rung that is affordable implies those below it, and what is taken never costs more than its rung says.
    """
    rungs = ladder_of(*tracks).rungs
    costs = [each.cost_bps for each in rungs]
    spent = [_spent(tracks, rungs[: at + 1]) for at in range(len(rungs))]

    assert sorted(costs) == costs
    assert all(cost >= real for cost, real in zip(costs, spent, strict=True))


@settings(max_examples=60, deadline=None)
@given(some_tracks, st.randoms())
def test_order_of_tracks_does_not_matter(tracks: list[Track], random: object) -> None:
    """
    The same tracks, the same ladder; senders and layers of the tracks only.
    """
    shuffled = list(tracks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    ladder = ladder_of(*tracks)
    known = {(track.sender, each.encoding, each.spatial, each.temporal) for track in tracks for each in track.layers}
    told = {(each.sender, each.encoding, each.spatial, each.temporal) for each in ladder.rungs if not each.is_paused}

    assert ladder == ladder_of(*shuffled)
    assert len(ladder.rungs) <= MAX_RUNGS
    assert set() == told - known


@settings(max_examples=100, deadline=None)
@given(some_tracks, st.integers(0, 20_000))
def test_nobody_takes_the_least_of_who_is_on_stage(tracks: list[Track], kbps: int) -> None:
    """
    Whoever has more than its least layer, or any without being on stage, leaves nobody on stage without a picture that
    costs no more than 300 kbit/s, and nobody at all on stage once those are there.
    """
    on_stage = [track for track in tracks if track.kind == "video" and track.is_on_stage]
    ladder = ladder_of(*tracks)
    taken = ladder.layers_at(kbps * KBPS)
    given = [each.sender for each in ladder.taken(kbps * KBPS) if not each.is_paused]
    on_stage_ids = {track.sender for track in on_stage}
    is_beyond = any(sender not in on_stage_ids or given.count(sender) > 1 for sender in taken)
    cheap = {track.sender for track in on_stage if min(each.cost_bps for each in track.layers) <= 300 * KBPS}

    if is_beyond:
        assert set() == cheap - taken.keys()


def _spent(tracks: Sequence[Track], rungs: Sequence[object]) -> int:
    """What voices and the layers taken cost."""
    of = {(track.sender, each.encoding, each.spatial, each.temporal): each for track in tracks for each in track.layers}
    last = {rung.sender: rung for rung in rungs}  # type: ignore[attr-defined]
    video = sum(
        of[(rung.sender, rung.encoding, rung.spatial, rung.temporal)].cost_bps
        for rung in last.values()
        if not rung.is_paused
    )
    return video + sum(track.layers[0].cost_bps + track.redundancy_bps for track in tracks if track.kind == "audio")
