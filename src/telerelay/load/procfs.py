"""
What a server's processes use, read from outside: CPU time of all threads, and memory that is really there; and what
the machine is and does.

Reads /proc alone. Any thread, of each `Processes` one. Children are counted with their parents, for a server may have
its workers there.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from telerelay.errors import ConfigError

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one moment: CPU used so far by all threads, memory (proportional set size where readable), threads."""

    cpu_ns: int
    memory_bytes: int
    threads: int


class Processes:
    """
    Some processes and their descendants. CPU of a thread or child that has ended is kept: `read` never goes back.
    """

    def __init__(self, pids: tuple[int, ...], root: Path = Path("/proc")) -> None:
        self._pids = pids
        self._root = root
        self._cpu_ns: dict[tuple[int, int], int] = {}
        self._memory_bytes = 0
        for pid in pids:
            if not (root / str(pid) / "stat").exists():
                raise ConfigError("no_process", f"--server-pid: there is no process {pid}")

    def read(self, *, with_memory: bool = True) -> Usage:
        """
        Now. A process that is gone counts with what it had used. Without memory, it is as it was read last: the kernel
        goes through every page for it, which takes the milliseconds that a live view must not.
        """
        threads = 0
        pids = self._all()
        for pid in pids:
            threads += self._read_threads(pid)
        if with_memory:
            self._memory_bytes = sum(_memory_bytes(self._root / str(pid)) for pid in pids)
        return Usage(sum(self._cpu_ns.values()), self._memory_bytes, threads)

    def private_bytes(self) -> int:
        """
        What they hold of their own: memory of no file, and what they share with each other counted once. Unlike the
        proportional set size it does not move when another process of the machine maps the same libraries, or ends.
        """
        return sum(_smaps_bytes(self._root / str(pid), ("Pss_Anon:", "Pss_Shmem:")) for pid in self._all())

    def _all(self) -> list[int]:
        found, queue = [], list(self._pids)
        while queue:
            pid = queue.pop()
            if pid in found:
                continue
            found.append(pid)
            for children in (self._root / str(pid) / "task").glob("*/children"):
                try:
                    queue += map(int, children.read_text().split())
                except OSError:
                    continue
        return found

    def _read_threads(self, pid: int) -> int:
        count = 0
        for task in (self._root / str(pid) / "task").glob("[0-9]*"):
            used = _thread_cpu_ns(task)
            if used is not None:
                count += 1
                key = (pid, int(task.name))
                self._cpu_ns[key] = max(used, self._cpu_ns.get(key, 0))
        return count


def machine_busy_ns(root: Path = Path("/proc")) -> int:
    """What all processors of the machine have worked so far, whoever for; 0 where it cannot be read."""
    try:
        fields = [int(field) for field in (root / "stat").read_text().split("\n", 1)[0].split()[1:]]
    except (OSError, ValueError):
        return 0
    # user nice system idle iowait irq softirq steal: all but idle, waiting, and what a hypervisor took.
    return (sum(fields[:3]) + sum(fields[5:7])) * 1_000_000_000 // _TICKS_PER_S


def machine(root: Path = Path("/proc")) -> str:
    """The machine in a line, for a report: processor, how many, kernel."""
    model = ""
    with contextlib.suppress(OSError), (root / "cpuinfo").open() as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "")
    kernel = os.uname()
    return f"{model or kernel.machine}, {os.cpu_count()} processors, {kernel.sysname} {kernel.release}"


def _thread_cpu_ns(task: Path) -> int | None:
    """In nanoseconds from the scheduler where it tells, else in ticks of 10 ms."""
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        pass
    try:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // _TICKS_PER_S
    except (OSError, IndexError, ValueError):
        return None


def _smaps_bytes(process: Path, keys: tuple[str, ...]) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(keys))
    except (OSError, IndexError, ValueError):
        return 0


def _memory_bytes(process: Path) -> int:
    """Proportional set size; of a process that is not ours to look into, the resident set."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in (process / name).read_text().splitlines():
                if line.startswith(key):
                    return int(line.split()[1]) * 1024
        except (OSError, IndexError, ValueError):
            continue
    return 0
