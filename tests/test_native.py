"""
The C tests, each program as one pytest test, so that a failing one is named.

Built plain (no sanitizer): .ci/run runs the same programs under address, undefined and thread sanitizers.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

NATIVE = Path(__file__).resolve().parent.parent / "native"
# Those that run in real time for as long as all the others together.
SLOW = {"test_load_honesty", "test_load_engine"}
PROGRAMS = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in sorted(path.stem for path in (NATIVE / "tests").glob("test_*.c"))
]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in native/, without the flags of a make that may have started us."""
    environment = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    command = ["make", "--no-print-directory", "-C", str(NATIVE), "SANITIZE=none", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


@pytest.fixture(scope="session")
def built() -> None:
    """
    All programs that compile are compiled, two at a time; one that does not fails in its own test. Of two pytest
    processes the second waits for the first.
    """
    with (NATIVE / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make("-k", "-j2", "binaries")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", PROGRAMS)
def test_c_program_passes(built: None, program: str) -> None:
    """
    A C test program exits 0; what it prints names the check that failed.
    """
    result = make("test", f"ONLY={program}")

    assert 0 == result.returncode, result.stdout + result.stderr
