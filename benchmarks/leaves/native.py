"""
The leaves of native/src as native/bench/bench_leaves.c lists them: builds the shared object, loads it, runs a leaf.

Used by the benchmarks beside it and by tests/test_benchmarks.py. Any thread, one at a time.
"""

import fcntl
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cffi import FFI

NATIVE = Path(__file__).resolve().parents[2] / "native"
OBJECT = NATIVE.parent / "build" / "native" / "bench" / "libleaves.so"

ITERATIONS, PREPARED_ITERATIONS = 10_000, 1_000
"""
Of one run: the call from Python costs half a microsecond, as much as 250 of the cheapest leaf's. Runs that use up what
was prepared are of dear leaves, and are bounded by MAX_PREPARED of native/bench/leaves.h.
"""

CDEF = """
typedef struct bench_leaf {
    const char *name, *file;
    int crypto;
    uint64_t (*run)(uint32_t iterations);
    void (*prepare)(uint32_t iterations);
} bench_leaf;
const bench_leaf *bench_leaf_at(uint32_t i);
int bench_leaf_is_available(const bench_leaf *leaf);
"""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One row of the table; `file` is the one in native/src that it measures."""

    name: str
    file: str
    is_available: bool
    """False: this build or this machine has not the cipher library it needs."""
    row: Any

    @property
    def iterations(self) -> int:
        """How many a run is timed over."""
        return PREPARED_ITERATIONS if self.row.prepare else ITERATIONS

    def prepare(self, iterations: int) -> None:
        """Make what the next run uses up. Before each run, with the same number."""
        if self.row.prepare:
            self.row.prepare(iterations)

    def run(self, iterations: int) -> int:
        """The sum of what the leaf said; 0: it refused its inputs."""
        return int(self.row.run(iterations))


def build() -> str:
    """Make the shared object; "" or what the compiler said. Of two processes the second waits for the first."""
    environment = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    with (NATIVE / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["make", "--no-print-directory", "-s", "-C", str(NATIVE), "leaves"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.stdout + done.stderr if done.returncode else ""


def load() -> list[Leaf]:
    """The table of the object that was built, in its order."""
    ffi = FFI()
    ffi.cdef(CDEF)
    library = ffi.dlopen(str(OBJECT))
    leaves = []
    while row := library.bench_leaf_at(len(leaves)):
        name, file = (ffi.string(text).decode() for text in (row.name, row.file))
        leaves.append(Leaf(name, file, bool(library.bench_leaf_is_available(row)), row))
    _loaded.append(library)
    return leaves


_loaded: list[Any] = []
"""Libraries stay loaded as long as the process: rows point into them."""
