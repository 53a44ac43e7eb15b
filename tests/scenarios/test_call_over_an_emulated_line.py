"""
One short case of the benchmark of calls over emulated lines, with a real Chromium at the far end: what the benchmark
counts is what happened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The join, the case and the ends of everybody, on a machine that does other things as well.
RUN_TIMEOUT_S = 240.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timed,
    pytest.mark.browser,
    pytest.mark.netns,
    pytest.mark.may_skip,
    pytest.mark.timeout(2 * RUN_TIMEOUT_S),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


def measured(case: str, adaptation: str) -> dict[str, Any]:
    """The case's result; a run that is void is repeated once."""
    command = [sys.executable, str(ROOT / "benchmarks" / "lines"), case, "--runs", "1", "--json"]
    command += ["--adaptation", adaptation]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=RUN_TIMEOUT_S * 2, env=environment
    )
    (result,) = json.loads(done.stdout)
    return dict(result)


def test_a_join_over_two_megabits_is_measured_at_the_line_and_in_the_page() -> None:
    """
    The line carries no more than its rate and what the other person sends comes through; the page is seen and heard.
    """
    result = measured("join", "off")
    found = result["runs"][-1]["figures"]

    assert 200 < found["carried_down_kbps"] <= 2050
    assert 0 < found["fps_down"] <= 31
    assert 0 < found["fps_up"] <= 31
    assert found["concealed_down_pct"] is not None
    assert found["concealed_up_pct"] is not None
    assert found["paused_s_per_min"] == 0
