"""What becomes of a test that is marked timed: the median of three plays."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = "pytester"


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of their own: a pytest within this one would leave its traces in the tests that follow."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


INI = "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
CONFTEST = """
from support.timed import Timed

def pytest_configure(config):
    config.addinivalue_line("markers", "timed: as in the project")
    config.pluginmanager.register(Timed(), "timed")
"""


@pytest.mark.parametrize(
    ("plays", "passed", "failed", "count"),
    [("1", 1, 0, 1), ("011", 1, 0, 3), ("010", 0, 1, 3), ("00", 0, 1, 2)],
)
def test_the_median_of_three_plays_counts(
    pytester: pytest.Pytester, plays: str, passed: int, failed: int, count: int
) -> None:
    """
    One that holds is played once; whatever failed once is told.
    """
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        f"""
        import pytest
        played = []

        @pytest.fixture
        def fresh():
            return []

        @pytest.mark.timed
        def test_it(fresh):
            fresh.append(1)
            played.append(1)
            print("play", len(played))
            assert [1] == fresh
            assert "1" == {plays!r}[len(played) - 1], f"play {{len(played)}} failed"

        def test_how_often():
            assert {count} == len(played)
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=passed + 1, failed=failed)
    told = [line for line in result.outlines if "failed once, held twice: 1" in line]
    assert (passed and count > 1) == len(told)
    if told:
        result.stdout.fnmatch_lines(["*failed once, held twice: 1*", "*test_it*", "*play 1 failed*"])


def test_what_is_not_marked_is_played_once(pytester: pytest.Pytester) -> None:
    """
    What may never happen fails the first time.
    """
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("played = []\ndef test_it():\n    played.append(1)\n    assert len(played) > 1\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)
