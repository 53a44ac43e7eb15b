"""
Traces: the two formats that are read, and the made-up ones that are shipped as code.
"""

from pathlib import Path

import pytest

from telerelay.errors import ConfigError
from telerelay.sim import traces
from telerelay.sim.clock import MS_US, SECOND_US


def test_rows_of_time_and_capacity_are_read(tmp_path: Path) -> None:
    """Bins of equal capacity are one step; the class comes from the name."""
    path = tmp_path / "lte_somewhere_dl_a.csv"
    path.write_text("time_ms,capacity_kbps\n0,1000\n200,1000\n400,0\n600,2500\n")
    trace = traces.read(path)

    assert 800 * MS_US == trace.length_us
    assert [(0, 1_000_000), (400 * MS_US, 0), (600 * MS_US, 2_500_000)] == list(trace.capacity().steps)
    assert traces.CLASSES["lte"] == trace.line


def test_mahimahi_lines_are_chances_of_1500_bytes(tmp_path: Path) -> None:
    """Ten of them within 200 ms are 600 kbit/s."""
    path = tmp_path / "drive.down"
    path.write_text("\n".join([*(str(at) for at in range(0, 200, 20)), "450"]) + "\n")
    trace = traces.read(path)

    assert [(0, 600_000), (200 * MS_US, 0), (400 * MS_US, 60_000)] == list(trace.capacity().steps)
    assert 600 * MS_US == trace.length_us


def test_short_trace_begins_anew() -> None:
    """A run that is longer than the trace plays it again."""
    trace = traces.Trace("x", SECOND_US, ((0, 1_000), (SECOND_US // 2, 2_000)))
    capacity = trace.capacity(3 * SECOND_US)

    assert [1_000, 2_000, 1_000, 2_000] == [capacity.at(at * SECOND_US // 2) for at in (0, 1, 4, 5)]


@pytest.mark.parametrize("content", ["", "hello\n", "time_ms,capacity_kbps\n0,-1\n200,5\n", "time_ms,capacity_kbps\n"])
def test_what_is_no_trace_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """A file that is neither format is named in one line."""
    path = tmp_path / "odd.csv"
    path.write_text(content)

    with pytest.raises(ConfigError, match=r"odd is no trace|odd\.csv is no trace"):
        traces.read(path)


def test_folder_without_traces_is_refused(tmp_path: Path) -> None:
    """An empty folder is a mistake, not a run of nothing."""
    with pytest.raises(ConfigError, match="there is no trace"):
        traces.read_all(tmp_path)


@pytest.mark.parametrize("name", sorted(traces.WEATHERS))
def test_made_up_traces_are_always_the_same_and_in_their_range(name: str) -> None:
    """Seeded by their names; a class with outages has some, the others have none."""
    trace, weather = traces.made_up(name), traces.WEATHERS[name]
    rates = [rate for _, rate in trace.steps]

    assert trace == traces.made_up(name)
    assert max(rates) <= weather.most_kbps * 1_000
    assert (0 in rates) == (weather.outage_s > 0)
    assert 0.4 < trace.capacity().mean_bps(trace.length_us) / (weather.median_kbps * 1_000) < 2.5


def test_made_up_traces_are_written_down_nowhere_but_here() -> None:
    """A change of the generator changes results that were published: this number says that it was changed."""
    assert 161_646_000 == sum(rate for trace in traces.all_made_up() for _, rate in trace.steps[::100])
