"""
The matrix of docs/interop.md: real clients of many makers on one relay.

The fast half runs with all tests, on 127.0.0.1. The slow cells run by `make interop` (TELERELAY_INTEROP=1 in the
environment), in a network of their own. What was seen, with the versions it was seen with, goes to
build/interop/seen.json and into the summary.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from interop.network import ADDRESS, enter_new_network
from interop.programs import ROOT, MissingError
from interop.seen import SEEN
from support.relay_process import RelayProcess, free_port
from support.wrtc_peer import Peers

IS_ASKED = os.environ.get("TELERELAY_INTEROP", "") == "1"

_rooms = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Leave the machine's network before anything has a thread."""
    if IS_ASKED:
        enter_new_network()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """A client that is not installed skips its cells."""
    try:
        return (yield)
    except MissingError as error:
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which version of which client did what."""
    if not SEEN:
        return
    path = ROOT / "build" / "interop" / "seen.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([each.as_dict() for each in SEEN], indent=1) + "\n")
    terminalreporter.section("interop: seen")
    for each in sorted(SEEN):
        terminalreporter.line(str(each))


@pytest.fixture
def room() -> str:
    """A room that no other test uses."""
    return f"interop-{next(_rooms)}"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    """For each file, a relay in a process of its own; for `make interop`, media has an address beside loopback."""
    udp = f"{ADDRESS}:{free_port()}" if IS_ASKED else ""
    with RelayProcess(udp=udp) as process:
        yield process


@pytest_asyncio.fixture
async def wrtc_peers(relay: RelayProcess) -> AsyncIterator[Peers]:
    """A maker of libwebrtc participants; all of them have left after the test."""
    async with Peers(relay) as peers:
        yield peers
