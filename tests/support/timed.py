"""
Tests of real browsers, lines and clocks, where a bound on time decides: `@pytest.mark.timed`.

One that fails is played twice more, and has to hold both times: what counts is the median of three. That it failed
once, and how, is told at the end of the run. It is not for what may never happen (a lost fact, a byte before a
consent): such a test fails the first time.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest
from _pytest.runner import runtestprotocol

MORE = 2
FAILED_ONCE = "failed_once"
"""The property of a report that has how the first play failed."""


class Timed:
    """The plugin. Plays in whatever process runs the test; tells in the one that reports."""

    def __init__(self) -> None:
        self._failed_once: list[tuple[str, str]] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Of a marked test instead of pytest's own."""
        if item.get_closest_marker("timed") is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in played(item, nextitem):
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed_once += [
            (report.nodeid, str(text)) for name, text in report.user_properties if name == FAILED_ONCE
        ]

    @pytest.hookimpl(wrapper=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        yield
        if not self._failed_once:
            return
        terminalreporter.section(f"failed once, held twice: {len(self._failed_once)}")
        for name, text in self._failed_once:
            terminalreporter.line(name)
            terminalreporter.line(text)


def played(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """The reports that count: of the first play if it holds, of one that failed, or of the last."""
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if not (how := _failure(reports)):
        return reports
    for _ in range(MORE):
        item._initrequest()  # type: ignore[attr-defined]
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if _failure(reports):
            break
    else:
        reports[-1].user_properties.append((FAILED_ONCE, how))
    return reports


def _failure(reports: list[pytest.TestReport]) -> str:
    return "\n".join(report.longreprtext for report in reports if report.failed)
