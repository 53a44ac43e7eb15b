"""
Profiles: what comes with the tool, what a file may say, and what is refused by name.
"""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from telerelay.errors import ConfigError
from telerelay.load import profiles
from telerelay.load.profiles import PROFILES, describe, load, with_values


def refusal(toml: str, folder: Path) -> str:
    path = folder / "own.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_profiles_that_come_with_it() -> None:
    """
    The seven that the command names.
    """
    assert ["consult", "expert", "webinar", "surge", "churn", "reconnect", "soak"] == list(PROFILES)


@pytest.mark.parametrize(
    ("name", "people", "paths"),
    [("consult", 20, 40), ("expert", 20, 120), ("webinar", 51, 100), ("surge", 262, 524)],
)
def test_how_many_people_and_tracks_a_profile_is(name: str, people: int, paths: int) -> None:
    """
    Of a room of two each receives two tracks, of four six; of a webinar the speaker receives none.
    """
    assert (people, paths) == (PROFILES[name].people, PROFILES[name].paths)


def test_a_consult_is_a_camera_at_one_and_a_half_megabits() -> None:
    """
    What figures are judged by: 1.5 Mbit/s VP8 at 30 frames a second in bursts, plus Opus.
    """
    video = PROFILES["consult"].video

    assert ("VP8", 1_500_000, 30.0, "camera") == (video.codec, video.bitrate_bps, video.fps, video.pattern)
    assert PROFILES["consult"].audio.is_on


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_profile_printed_and_read_back_is_the_same(name: str, tmp_path: Path) -> None:
    """
    So a print is where one's own begins.
    """
    path = tmp_path / f"{name}.toml"
    path.write_text(describe(PROFILES[name]))

    assert PROFILES[name] == load(str(path))


def test_a_file_begins_from_the_profile_it_names(tmp_path: Path) -> None:
    """
    Its name is the file's.
    """
    path = tmp_path / "evening.toml"
    path.write_text('base = "webinar"\n[shape]\nviewers = 7\n[video]\nfps = 15\n')
    profile = load(str(path))

    assert ("evening", 1, 7, 15.0) == (profile.name, profile.shape.publishers, profile.shape.viewers, profile.video.fps)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[video]\nbitrate = 1\n", "'video.bitrate'"),
        ("[video]\nbitrate_bsp = 1\n", "video.bitrate_bps"),
        ("[vidoe]\nfps = 1\n", "did you mean video"),
        ("[timing]\nfps = 1\n", "did you mean video.fps"),
        ("[video]\nfps = 'fast'\n", "video.fps must be a number"),
        ("[video]\nis_on = 1\n", "video.is_on must be true or false"),
        ("[shape]\nrooms = true\n", "shape.rooms must be an integer"),
        ("[video]\nfps = 1000\n", "video.fps must be 0.5 to 120"),
        ("[video]\ncodec = 'AV1'\n", "VP8, H264"),
        ("video = 3\n", "write [video]"),
        ("base = 'talk'\n", "base must be one of"),
        ("[video]\nis_on = false\n[audio]\nis_on = false\n", "must not both be false"),
        ("[timing]\nslot_s = 10\nslot_rush_s = 20\n", "slot_rush_s"),
        ("[video\n", "not TOML"),
    ],
)
def test_what_a_file_may_not_say_is_refused_by_name(toml: str, words: str, tmp_path: Path) -> None:
    """
    In one line, an unknown key with the nearest known one.
    """
    assert words in refusal(toml, tmp_path)


def test_an_unknown_profile_names_the_nearest() -> None:
    """
    What ends in .toml is a file instead.
    """
    with pytest.raises(ConfigError, match="did you mean consult"):
        load("consults")
    with pytest.raises(ConfigError, match="cannot read"):
        load("no-such.toml")


def test_every_key_has_a_sentence() -> None:
    """
    The print explains all of it.
    """
    lines = describe(PROFILES["surge"]).splitlines()
    said = [(after.partition(" = ")[0], before) for before, after in pairwise(lines) if re.match(r"\w+ = ", after)]

    assert [key.partition(".")[2] for key in profiles._all_keys()] == [key for key, _ in said]
    assert [] == [key for key, sentence in said if not re.fullmatch(r"# \S.*\.", sentence)]
    assert 'arrival = "surge"' in lines


def test_values_go_over_a_profile() -> None:
    """
    A flag changes one key and leaves the rest.
    """
    changed = with_values(PROFILES["consult"], {"shape": {"rooms": 3}})

    assert (3, 2) == (changed.shape.rooms, changed.shape.publishers)
    assert PROFILES["consult"].video == changed.video
