"""
In CI nothing is left out quietly: a skipped test fails the run unless it is marked as one that may be skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPPING = """
import pytest
def test_skips():
    pytest.skip("no such thing here")
@pytest.mark.may_skip
def test_may_skip():
    pytest.skip("nor this")
@pytest.mark.xfail(reason="known")
def test_fails_as_known():
    assert False
"""


def outcome(folder: Path, source: str, ci: str) -> str:
    """The closing line of a pytest run over one file with the project's conftest.py."""
    (folder / "test_it.py").write_text(source)
    (folder / "conftest.py").write_text((Path(__file__).parent / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder)]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(Path(__file__).parent)}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return run.stdout.strip().splitlines()[-1].split(" in ")[0]


@pytest.mark.parametrize(
    ("source", "ci", "expected"),
    [
        (SKIPPING, "", "2 skipped, 1 xfailed"),
        (SKIPPING, "true", "1 failed, 1 skipped, 1 xfailed"),
        ("import pytest\npytest.importorskip('no_such_module')\n", "", "1 skipped"),
        ("import pytest\npytest.importorskip('no_such_module')\n", "true", "1 error"),
    ],
)
def test_a_skip_is_a_failure_in_ci(tmp_path: Path, source: str, ci: str, expected: str) -> None:
    """
    With CI=true a skipped test fails and a file that skips itself is an error; a marked one, and an expected failure,
    stay what they are.
    """
    assert expected == outcome(tmp_path, source, ci)
