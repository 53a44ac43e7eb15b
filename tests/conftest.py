"""
What all tests share: the path to tests/support, and the rule that in CI a skipped test is a failed one.

A test that may be skipped (no root, no ipsec-mb in this build) says so with `@pytest.mark.may_skip`; with CI=true in
the environment any other skip, of a test or of a whole file, fails the run.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "src"):
    if str(folder) not in sys.path and (folder == HERE or "PYTHONPATH" not in os.environ):
        sys.path.insert(0, str(folder))

CROWD_FILES = 8192
"""The largest crowd is five thousand sockets; the rest is what a run has open besides."""

from support.timed import Timed  # noqa: E402 - its path is the one above

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks that this file gives a meaning to."""
    config.addinivalue_line("markers", "may_skip: may be skipped in CI too, where its reason applies")
    config.addinivalue_line("markers", "timed: a bound on time decides; failed once, it has to hold twice more")
    config.pluginmanager.register(Timed(), "timed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure in CI, unless the test is marked may_skip."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("may_skip") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI without @pytest.mark.may_skip: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that skips itself as a whole."""
    report = yield
    if IN_CI and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"a whole file skipped in CI: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: Any) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many open files as a crowd of thousands needs, in processes started meanwhile too; put back afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CROWD_FILES)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def relay() -> Iterator[Any]:
    """A relay in a process of its own on free ports, ended after the test."""
    from support.relay_process import RelayProcess

    with RelayProcess() as process:
        yield process


@pytest.fixture
async def wrtc_peers(relay: Any) -> AsyncIterator[Any]:
    """A maker of libwebrtc participants on `relay`; all of them have left after the test."""
    from support.wrtc_peer import Peers

    async with Peers(relay) as peers:
        yield peers
