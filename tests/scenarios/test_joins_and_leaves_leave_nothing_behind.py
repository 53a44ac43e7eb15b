"""
A platform's day is thousands of people who come for some minutes and go: none of them may leave anything behind.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# 160 bytes a join. What benchmarks/limits.py is to reach on a quiet machine is 64; a test runs beside others, where in
# a slow moment more people are in the relay at once than in the round before, and a heap keeps what they took.
MOST_KIB = 160


@pytest.mark.soak
@pytest.mark.parametrize("whip", [False, True], ids=["websocket", "whip"])
async def test_joins_and_leaves_leave_nothing_behind(whip: bool) -> None:
    """
    A relay without anybody holds no more after four rounds of comings and goings than after two.
    """
    spec = importlib.util.spec_from_file_location("limits", ROOT / "benchmarks" / "limits.py")
    assert spec
    assert spec.loader
    limits = importlib.util.module_from_spec(spec)
    sys.modules["limits"] = limits
    spec.loader.exec_module(limits)
    bench = limits.Bench(quick=True, capacity=40, gro=False)

    async with bench.relay() as relay:
        growth, joined = await limits.growth_bytes(bench, relay, rounds=2, whip=whip)

    assert joined >= 500
    assert growth / joined * 1000 / 1024 <= MOST_KIB
