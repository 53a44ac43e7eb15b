"""What the documents list is what the code has."""

import re
from pathlib import Path

from telerelay._native import ffi, lib

DOCS = Path(__file__).resolve().parent.parent / "docs"


def drop_names() -> set[str]:
    return {ffi.string(lib.tr_drop_name(reason)).decode() for reason in range(1, lib.TR_DROP_COUNT)}


def test_operations_explains_every_drop_and_no_other() -> None:
    """The table of docs/operations.md has one row for each member of enum tr_drop."""
    section = (DOCS / "operations.md").read_text().split("## Why a packet was dropped", 1)[1]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(listed) == sorted(set(listed))
    assert drop_names() == set(listed)


def test_packet_walk_names_functions_that_exist() -> None:
    """Every function named in docs/packet.md is defined in native/src."""
    code = "\n".join(path.read_text() for path in (DOCS.parent / "native" / "src").glob("*.[ch]"))
    named = (
        set(re.findall(r"`(tr__\w+|[a-z]+_[a-z_]+)`", (DOCS / "packet.md").read_text())) - drop_names() - {"tr_drop"}
    )
    missing = {name for name in named if not re.search(rf"\b{name}\(", code)}

    assert set() == missing
