"""What a benchmark of a leaf leaves behind for the table at the end and for --benchmark-json."""

from typing import Any


def report(benchmark: Any, leaf: str, calls: int) -> None:
    """Nanoseconds of one call, median and least, where a round was `calls` of them."""
    if not benchmark.stats:  # --benchmark-disable: it ran once, nothing was timed
        return
    benchmark.extra_info["leaf"] = leaf
    benchmark.extra_info["ns_each"] = benchmark.stats.stats.median * 1e9 / calls
    benchmark.extra_info["ns_least"] = benchmark.stats.stats.min * 1e9 / calls
