"""
What one call of each leaf of native/src costs, without the relay around it.

usage: make bench-leaves ARGS="-k srtp"
"""

from typing import Any

import native
import pytest
from reporting import report

ROUNDS = 100
"""Of 1,000 calls each: a tenth of a second for a leaf of a microsecond, and a median that a burst of others spares."""

if problem := native.build():
    raise RuntimeError(f"the leaves do not build:\n{problem}")


@pytest.mark.benchmark(group="native leaves")
@pytest.mark.parametrize("leaf", native.load(), ids=lambda leaf: leaf.name)
def test_native_leaf(benchmark: Any, leaf: native.Leaf) -> None:
    """
    A leaf takes what it is given; how long is for the reader to judge.
    """
    if not leaf.is_available:
        pytest.skip("this build or processor has no ipsec-mb")
    total = benchmark.pedantic(leaf.run, setup=leaf.prepare, rounds=ROUNDS, warmup_rounds=3)

    assert total, "the leaf refused its inputs"
    report(benchmark, leaf.name, native.ITERATIONS)
