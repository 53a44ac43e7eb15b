"""
README.md is the list of rows: each of A01-A40 is in it, and what it names exists.
"""

from __future__ import annotations

import re
from pathlib import Path

from telerelay.dataplane.stats import drop_names

HERE = Path(__file__).resolve().parent
ROWS = [line for line in (HERE / "README.md").read_text().splitlines() if re.match(r"\| A\d\d ", line)]


def test_every_row_is_listed_once() -> None:
    """
    In order, none left out.
    """
    assert [f"A{n:02}" for n in range(1, 41)] == [row[2:5] for row in ROWS]


def test_every_test_is_listed_and_every_listed_test_exists() -> None:
    """
    In both directions.
    """
    sources = "".join(path.read_text() for path in HERE.glob("test_attacks_on_*.py"))
    written = set(re.findall(r"def (test_a\d\d\w*)", sources))
    listed = {name for row in ROWS for name in re.findall(r"`(test_a\d\d\w*)", row)}

    assert written == listed


def test_every_counter_that_is_named_exists() -> None:
    """
    By the names the relay's metrics have.
    """
    known = {*drop_names(), "plis_rx", "stun_*", "World.conflicts"}
    named = {name for row in ROWS for name in re.findall(r"`([^`\[]+)`", row.rsplit("|", 2)[1])}

    assert set() == named - known
