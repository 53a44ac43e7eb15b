"""docs/interop.md names tests that exist, and each of its cells names one. Fast; reads files only."""

from __future__ import annotations

import re

from interop.programs import ROOT

PAGE = (ROOT / "docs" / "interop.md").read_text()
ROW = re.compile(r"^\| (\w) \| `(tests/[\w/]+\.py)::(\w+)` \|$", re.MULTILINE)


def test_every_test_of_the_page_exists() -> None:
    """
    A file of that name has a test of that name.
    """
    rows = ROW.findall(PAGE)
    missing = [name for _, file, name in rows if f"def {name}(" not in (ROOT / file).read_text()]

    assert len(rows) > 10
    assert [] == missing


def test_every_cell_says_which_test_saw_it() -> None:
    """
    Whatever is not "—" has letters, and all letters are those of a test.
    """
    table = PAGE.split("|---|---|---|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    cells = [cell.strip() for line in table.splitlines() for cell in line.strip("|").split("|")[2:]]
    claims = [cell for cell in cells if cell != "—"]
    letters = {letter for cell in claims for group in re.findall(r"\[([^]]+)\]", cell) for letter in group.split(", ")}

    assert [] == [cell for cell in claims if not cell.endswith("]")]
    assert letters <= {letter for letter, _, _ in ROW.findall(PAGE)}
