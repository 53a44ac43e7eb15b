"""
Every leaf of native/src has a benchmark in native/bench, and every benchmark runs.

What the times are is not asked here: `make bench-leaves` says.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "native" / "src"

NOT_LEAVES = {
    "ahead.c": "fetches what others use: it shows in benchmarks/limits.py, where hundreds are connected",
    "border.c": "owns shared memory and eventfds; its rings are ring.c",
    "certificate.c": "runs once a process, at set-up",
    "choice.c": "asked where an encoding may begin and every 100 ms, not for what is forwarded",
    "counts.c": "reads counters when control asks, every two seconds: benchmarks/quality.py",
    "dispatch.c": "one packet of sender.c on its way out; counted by benchmarks/instructions.py",
    "dtls.c": "a handshake is OpenSSL's; benchmarks/limits.py counts how many a second",
    "dtls_records.c": "data of channels, a few records a second, in whose cost OpenSSL's ciphers are all there is",
    "delay.c": "part of estimator.c",
    "delivered.c": "part of estimator.c",
    "downlink.c": "feeds estimator.c; counted by benchmarks/instructions.py",
    "engine.c": "owns the transports; benchmarks/instructions.py counts a packet's way through it",
    "guesses.c": "counts failed checks; a check itself is stun.c's and ice.c's",
    "handshakes.c": "copies a datagram of a handshake, which is OpenSSL's: benchmarks/limits.py",
    "inherent.c": "part of estimator.c",
    "libctx.c": "runs once a worker; what it makes cheap is a handshake, which is OpenSSL's",
    "names.c": "tables of words for metrics and messages",
    "owners.c": "a packet's look-up is in owners.h and counted by benchmarks/instructions.py; changes with paths alone",
    "pages.c": "system calls when somebody comes or goes, never for a packet",
    "probes.c": "part of estimator.c",
    "registry.c": "tables by index; its inventory is asked for when control begins anew",
    "release.c": "takes from pacer.c, gives to sender.c; counted by benchmarks/instructions.py",
    "receiver.c": "owns streams and the fan-out; counted by benchmarks/instructions.py",
    "reports.c": "leads RTCP to receivers and senders; its parts are rtcp.c and twcc.c",
    "rungs.c": "does what ladder.c says; a look each 25 ms, which is ladder.c's",
    "sender.c": "owns one way out; counted by benchmarks/instructions.py",
    "sent.c": "part of estimator.c",
    "shown.c": "tells whole.c and picture.c of a packet; counted by benchmarks/instructions.py",
    "sound.c": "picks copies out of the history and asks opus.c to join: those two are timed",
    "source.c": "reads what others parse; it shows in resends and for who joins late",
    "telerelay.c": "the border's functions, called by control; no packet comes here",
    "sr.c": "one report a second; its few lines for each packet are counted by benchmarks/instructions.py",
    "strangers.c": "asked of SSRCs that lead nowhere, 32 and two a second",
    "timeline.c": "asked where an encoding begins; its lines for each packet: benchmarks/instructions.py",
    "told.c": "reports once a second, in place of feedback",
    "transport.c": "owns one participant's connection; counted by benchmarks/instructions.py",
    "udp.c": "system calls; benchmarks/forwarding.py measures them",
    "writer.c": "writes the packets of dispatch.c; counted by benchmarks/instructions.py",
    "worker.c": "the loop of the thread; benchmarks/forwarding.py measures it",
}
"""The files of native/src that are timed as part of something larger, and by what, or why not at all."""


@pytest.fixture(scope="module")
def native() -> ModuleType:
    """benchmarks/leaves/native.py, with the shared object built."""
    spec = importlib.util.spec_from_file_location("native_leaves", ROOT / "benchmarks" / "leaves" / "native.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert "" == module.build()
    return module


def test_every_leaf_has_a_benchmark(native: ModuleType) -> None:
    """
    A file of native/src is timed by one row at least, or stands in NOT_LEAVES with the reason; none is both.
    """
    files = {path.name for path in SOURCES.glob("*.c")}
    timed = {leaf.file for leaf in native.load()}

    assert set() == files - timed - NOT_LEAVES.keys(), "neither timed nor in NOT_LEAVES"
    assert set() == (timed | NOT_LEAVES.keys()) - files, "no such file"
    assert set() == timed & NOT_LEAVES.keys(), "timed, and in NOT_LEAVES too"


def test_every_benchmark_runs(native: ModuleType) -> None:
    """
    Once, again, and as often as it is timed: the leaf takes all its inputs each time.
    """
    leaves = [leaf for leaf in native.load() if leaf.is_available]
    refused = []
    for leaf in leaves:
        for iterations in (1, 1, leaf.iterations):
            leaf.prepare(iterations)
            if not leaf.run(iterations):
                refused.append((leaf.name, iterations))

    assert [] == refused


def test_names_are_told_once(native: ModuleType) -> None:
    """
    A name is a row of the table and a line of the report.
    """
    names = [leaf.name for leaf in native.load()]

    assert sorted(set(names)) == sorted(names)
