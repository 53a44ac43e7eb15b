"""
Two reports side by side: ratios of every figure, and what differs in set-up.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from load.reports import build, measurement, settings
from telerelay.cli import main
from telerelay.errors import ConfigError
from telerelay.load import text
from telerelay.load.measure import Tally


def test_ratios_are_the_second_to_the_first() -> None:
    """
    Of what both have.
    """
    seen = measurement()
    twice = replace(seen, after=replace(seen.after, media=Tally(sent=2000, received=1998, lost=2)))
    figures = text.compare(build(), build(twice))["figures"]

    assert (1000, 2000, 2.0) == tuple(figures["sent"][key] for key in ("first", "second", "ratio"))
    assert 0.5 == figures["server CPU ns/packet"]["ratio"]


def test_nothing_to_divide_by_has_no_ratio() -> None:
    """
    Nor what one of them did not measure.
    """
    without = build(replace(measurement(), server_before=None, server_after=None, server_empty=None))
    figures = text.compare(build(), without)["figures"]

    assert None is figures["duplicates"]["ratio"]
    assert (None, None) == tuple(figures["server CPU ns/packet"][key] for key in ("second", "ratio"))


def test_what_differs_in_set_up_is_named() -> None:
    """
    So that no lamp is compared with a lion; the same load differs in nothing.
    """
    other = settings(video={"fps": 15.0})

    assert [("video.fps", 30.0, 15.0)] == text.differences(build(), build(measurement(other), other))
    assert "set-up: the same" in text.compare_lines(build(), build())


def test_the_command_prints_ratios_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Reports as --json wrote them, whatever stood above the last line.
    """
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text("some words\n" + json.dumps(build()) + "\n")
    second.write_text(json.dumps(build(), indent=1))

    assert 0 == main(["load", "compare", str(first), str(second), "--json"])
    out, errors = capsys.readouterr()
    assert 1.0 == json.loads(out)["figures"]["sent"]["ratio"]
    assert "B/A" in errors


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"tool": "other"}'])
def test_what_is_no_report_is_refused(content: str | None, tmp_path: Path) -> None:
    """
    By its name.
    """
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigError, match=r"report\.json"):
        text.read(path)
