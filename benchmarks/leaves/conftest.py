"""
What the benchmarks of leaves share: the way to the tests' helpers, and one table of nanoseconds at the end.

pytest-benchmark's own table is of rounds, and a round is many calls: `ns_each` in a benchmark's extra_info is of one.
Time is the processor time of the thread: while others have the processor, the clock stands.
"""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT / "src", ROOT / "tests", ROOT / "tests" / "protocol"):
    sys.path.append(str(folder))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Each leaf's median and least nanoseconds a call, the cheapest first."""
    session = getattr(config, "_benchmarksession", None)
    rows = [each for each in session.benchmarks if "ns_each" in each.extra_info] if session else []
    for group in sorted({str(each.group) for each in rows}):
        ours = sorted((each for each in rows if each.group == group), key=lambda each: each.extra_info["ns_each"])
        terminalreporter.section(f"{group}: ns a call")
        terminalreporter.write_line(f"{'':32} {'median':>12} {'least':>12}")
        for each in ours:
            info = each.extra_info
            terminalreporter.write_line(f"{info['leaf']:32} {info['ns_each']:12,.1f} {info['ns_least']:12,.1f}")
