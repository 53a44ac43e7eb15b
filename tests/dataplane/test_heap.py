"""
What nobody uses of a process's memory goes back to the system, and when a worker process sees to that.
"""

from __future__ import annotations

import socket
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


def test_a_worker_process_gives_memory_back_some_seconds_after_most_have_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It looks five seconds after a note was forgotten, and not again before another is: of 800 people 101 are too many
    to give anything back, 100 are not.
    """
    counters, now, given = Counters(), [1000.0], []
    monkeypatch.setattr(module, "lib", counters)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.heap, "give_back", lambda: given.append(now[0]))
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_UNIX) as listener:
        process = module.WorkerProcess(
            WorkerSettings(index=0, binds=(("127.0.0.1", 0),), max_transports=64), listener, tmp_path / "w", 60.0
        )
        control = module._Control(ours)
        control.is_attached = True
        process._controls[ours] = control

        def goes(kind: Kind, came: int, present: int) -> float | None:
            """Somebody goes; how long the process sleeps then. The time passes, and it looks."""
            counters.came, counters.present = came, present
            process._take(control, Frame(kind, b"room/1/"))
            patience = process._patience()
            now[0] += patience or 0.0
            process._look_at_the_clock()
            return patience

        assert process._patience() is None
        assert 5.0 == goes(Kind.DELETE, 800, 101)
        assert [] == given
        assert process._patience() is None
        assert 5.0 == goes(Kind.DELETE_UNDER, 800, 100)
        assert [1010.0] == given
        assert process._patience() is None
