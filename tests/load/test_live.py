"""
What is seen while a run goes on.
"""

import io
from dataclasses import replace

from load.reports import measurement
from telerelay.load.live import Live, block, line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_second_is_a_line() -> None:
    """
    How far it is, who is there, packets, bits, what was lost, latency, and whose processor time it took.
    """
    before, now = measurement().samples
    text = line(before, now, 2, 40.0)

    assert "2.0/40 s" in text
    assert "2/2 people" in text
    assert "999 packets/s" in text
    assert "8.0 Mbit/s" in text
    assert "lost 1" in text
    assert "p50 0.01 ms p99 0.02 ms" in text
    assert "server 200 %" in text
    assert "generator 70 %" in text
    assert "failed" not in text
    assert "3 joins failed" in line(before, replace(now, failed_joins=3), 2, 40.0)


def test_on_a_terminal_it_is_redrawn_with_a_bar() -> None:
    """
    Three lines, written over each other.
    """
    before, now = measurement().samples
    rows = block(before, now, 2, 10.0, 4.0)
    out = Terminal()
    live = Live(2, 10.0, 4.0, quiet=False, out=out)
    live.take(before)
    live.take(now)

    assert "[###############...............] joining and warming up" == rows[0]
    assert 3 == len(rows)
    assert 1 == out.getvalue().count("\x1b[3F")


def test_elsewhere_it_is_a_line_a_second_and_quiet_is_quiet() -> None:
    """
    Logs have no cursor.
    """
    samples = measurement().samples
    for quiet, lines in ((False, 2), (True, 0)):
        out = io.StringIO()
        live = Live(2, 10.0, 40.0, quiet=quiet, out=out)
        for sample in samples:
            live.take(sample)
        assert lines == out.getvalue().count("\n")
        assert "\x1b" not in out.getvalue()
