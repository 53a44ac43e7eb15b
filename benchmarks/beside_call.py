"""
What a document beside a call does to the voice on the same line, for several values of `documents.beside_call_bps`.

    python benchmarks/beside_call.py                 # ten minutes; as root
    python benchmarks/beside_call.py 300000 0        # these values; 0 is no bound
    python benchmarks/beside_call.py --counted       # the table of docs/documents.md: no clients, no clock, no noise

The line and the call are those of row R02 (tests/rows/letters.py). A value whose clients or line lacked the processor
says so. What is counted is the same line, with the relay's pace and a model of TCP (tests/support/file_on_a_line.py).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from rows.letters import DOWN, UP, Beside, Letters  # noqa: E402
from support.file_on_a_line import FileOnALine  # noqa: E402
from support.netsim import NamespacePair, Shape  # noqa: E402
from telerelay.documents.pace import Pace  # noqa: E402

VALUES = (0.0, 1_000_000.0, 600_000.0, 400_000.0, 300_000.0, 200_000.0)
LINES = {
    "2 Mbit/s up, a picture of 1.2 Mbit/s (R02)": (UP, 1.2e6),
    "2 Mbit/s up, a picture of 1.6 Mbit/s": (UP, 1.6e6),
    "1 Mbit/s up, a picture of 600 kbit/s": (Shape(rate_bps=1e6, queue_bytes=50_000, delay_ms=25), 0.6e6),
    "256 kbit/s up, 100 ms, a picture of 80 kbit/s": (Shape(rate_bps=256e3, queue_bytes=32_000, delay_ms=100), 80e3),
}
COUNTED_S = 60.0
FILE_SECONDS, LEAST_BYTES, MOST_BYTES = 25.0, 400_000, 4_000_000


async def compare(bps: float) -> None:
    """One value, both ways."""
    size = int(min(MOST_BYTES, max(LEAST_BYTES, bps * FILE_SECONDS / 8))) if bps else MOST_BYTES
    net = NamespacePair(DOWN, UP, seed=2, watch=lambda _: None)  # the line keeps time where clients do not
    with net:
        async with Letters(net, {"TELERELAY_DOCUMENTS_BESIDE_CALL_BPS": str(bps)}) as call:
            up, _ = await call.beside("patient", size)
            document, _ = await call.send("practitioner", size + 1)
            down, _ = await call.beside("patient", size + 1, document)
    for way, each in (("up", up), ("down", down)):
        print(_line(bps, way, each) + ("  the line ran late" if net.was_late else ""), flush=True)


def _line(bps: float, way: str, each: Beside) -> str:
    return (
        f"{bps / 1e3:6.0f} kbit/s {way:<5} file {each.bps / 1e3:6.0f} kbit/s"
        f"  gap p95 {1e3 * each.quiet_s:5.1f} -> {1e3 * each.beside_s:5.1f} ms (+{each.grew_ms:.1f})"
        f"  late p95 {1e3 * each.quiet_late_s:6.1f} -> {1e3 * each.late_s:6.1f} ms (+{each.later_ms:.1f})"
        f"  of the sound {each.left:.0%}"
    )


def count() -> None:
    """Each value on each line: the first minute of a document, and the same minute without one."""
    for name, (line, picture_bps) in LINES.items():
        quiet = FileOnALine(line, picture_bps).run(COUNTED_S)
        print(f"{name}: without one, gap p95 {1e3 * quiet.gap_s:.1f} ms, late p95 {1e3 * quiet.late_s:.1f} ms")
        for bps in VALUES[1:]:
            found = FileOnALine(line, picture_bps, Pace(bps, 0.0)).run(COUNTED_S)
            print(
                f"  {bps / 1e3:5.0f} kbit/s  file {found.file_bps / 1e3:4.0f} kbit/s"
                f"  gap p95 {1e3 * (found.gap_s - quiet.gap_s):+6.1f} ms"
                f"  late p95 {1e3 * (found.late_s - quiet.late_s):+6.1f} ms",
                flush=True,
            )


async def _main() -> None:
    for bps in [float(each) for each in sys.argv[1:]] or VALUES:
        await compare(bps)


if __name__ == "__main__":
    if "--counted" in sys.argv:
        count()
    else:
        asyncio.run(_main())
