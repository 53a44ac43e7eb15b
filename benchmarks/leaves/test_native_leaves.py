"""
What one call of each leaf of native/src costs, without the relay around it.

usage: make bench-leaves ARGS="-k srtp"
"""

import time
from typing import Any

import native
import pytest
from reporting import report

ROUNDS = 50
"""Of 10,000 calls each: half a second for a leaf of a microsecond, and a median that a burst of others spares."""

if problem := native.build():
    raise RuntimeError(f"the leaves do not build:\n{problem}")


@pytest.mark.benchmark(group="native leaves", timer=time.thread_time)
@pytest.mark.parametrize("leaf", native.load(), ids=lambda leaf: leaf.name)
def test_native_leaf(benchmark: Any, leaf: native.Leaf) -> None:
    """
    A leaf takes what it is given; how long is for the reader to judge.
    """
    if not leaf.is_available:
        pytest.skip("this build or processor has no ipsec-mb")

    def prepare() -> tuple[tuple[int], dict[str, Any]]:
        leaf.prepare(leaf.iterations)
        return (leaf.iterations,), {}

    total = benchmark.pedantic(leaf.run, setup=prepare, rounds=ROUNDS, warmup_rounds=3)

    assert total, "the leaf refused its inputs"
    report(benchmark, leaf.name, leaf.iterations)
