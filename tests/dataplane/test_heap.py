"""
What nobody uses of a process's memory goes back to the system, and when a worker process sees to that.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from telerelay._native import lib

from telerelay.dataplane import heap
from telerelay.dataplane import process as module
from telerelay.dataplane.frames import Frame, Kind
from telerelay.dataplane.settings import WorkerSettings


def _held_bytes() -> int:
    """Anonymous memory of this process that is really there."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))


def test_holes_of_the_heap_go_back_to_the_system() -> None:
    """
    Of 16 MiB in blocks of 4 KiB every hundredth stays, so that none of the rest is at the heap's end. At least half of
    it goes back.
    """
    blocks = [bytearray(4096) for _ in range(4096)]
    kept = blocks[::100]
    del blocks
    before = _held_bytes()
    given = heap.give_back()
    after = _held_bytes()

    assert 41 == len(kept)
    assert given
    assert before - after > 8 << 20


class Counters:
    """The extension, but for the counters of a worker that there is none of: who has ever come, and who is there."""

    def __init__(self) -> None:
        self.came = self.present = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(lib, name)

    def tr_worker_stats(self, _worker: object, stats: Any) -> None:
        stats.dtls_handshakes = self.came
        stats.transports[lib.TR_TRANSPORT_CONNECTED] = self.present


class Attended:
    """A worker process with a control that tells it who goes, and a clock of its own; it opens nothing."""

    def __init__(self, listener: socket.socket, control: socket.socket, path: Path) -> None:
        self.now = 1000.0
        self.counters = Counters()
        self.given: list[float] = []
        settings = WorkerSettings(index=0, binds=(("127.0.0.1", 0),), max_transports=64)
        self._process = module.WorkerProcess(settings, listener, path, 60.0)
        self._control = module._Control(control)
        self._control.is_attached = True
        self._process._controls[control] = self._control

    def goes(self, kind: Kind) -> None:
        self._process._take(self._control, Frame(kind, b"room/1/"))

    def patience(self) -> float | None:
        return self._process._patience()

    def passes(self, seconds: float) -> None:
        self.now += seconds
        self._process._look_at_the_clock()


@pytest.fixture
def attended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attended]:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_UNIX) as listener:
        made = Attended(listener, ours, tmp_path / "worker.sock")
        monkeypatch.setattr(module, "lib", made.counters)
        monkeypatch.setattr(module.time, "monotonic", lambda: made.now)
        monkeypatch.setattr(module.heap, "give_back", lambda: made.given.append(made.now))
        made._control.since = made.now
        yield made


@pytest.mark.parametrize("kind", [Kind.DELETE, Kind.DELETE_UNDER])
def test_a_worker_process_gives_memory_back_some_seconds_after_most_have_gone(attended: Attended, kind: Kind) -> None:
    """
    It looks five seconds after a note was forgotten, and sleeps on where none was: of 800 people 101 are too many to
    give anything back, 100 are not.
    """
    sleeps = [attended.patience()]
    for present in (101, 100):
        attended.counters.came, attended.counters.present = 800, present
        attended.goes(kind)
        sleeps.append(attended.patience())
        attended.passes(5)
        sleeps.append(attended.patience())

    assert [None, 5.0, None, 5.0, None] == sleeps
    assert [1010.0] == attended.given


def test_a_worker_process_looks_once_more_when_the_last_have_gone(attended: Attended) -> None:
    """
    Of two who go the second goes three seconds after the first, and is there yet when it looks for the first time.
    """
    attended.counters.came, attended.counters.present = 2, 2
    attended.goes(Kind.DELETE)
    attended.passes(3)
    attended.goes(Kind.DELETE)
    attended.passes(2)
    early, attended.counters.present = attended.given[:], 0
    left = attended.patience()
    attended.passes(3)

    assert ([], 3.0, [1008.0]) == (early, left, attended.given)
    assert None is attended.patience()
