"""The C half refers to no Python symbol: the forward path cannot take the interpreter's lock."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for folder in ("src", "load") for path in (ROOT / "native" / folder).glob("*.c"))
PYTHON = re.compile(r"\b_?Py[A-Z_]\w+|_cffi_\w+|Python\.h")


def test_no_source_names_python() -> None:
    """No file of native/src and native/load includes Python.h, or calls Python or CFFI."""
    assert SOURCES
    found = {path.name: PYTHON.findall(path.read_text()) for path in SOURCES}

    assert {} == {name: words for name, words in found.items() if words}


def test_no_object_refers_to_python(tmp_path: Path) -> None:
    """Compiled, the modules of the packet's way have no undefined symbol of Python's."""
    undefined: set[str] = set()
    for name in ("udp", "worker", "engine", "transport", "receiver", "sender", "egress"):
        target = tmp_path / f"{name}.o"
        include = [f"-I{ROOT / 'native' / folder}" for folder in ("include", "src")]
        source = ROOT / "native" / "src" / f"{name}.c"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-std=gnu11", *include, "-c", source, "-o", target], check=True)
        listing = subprocess.run(["nm", "--undefined-only", target], check=True, capture_output=True, text=True).stdout
        undefined |= {line.split()[-1] for line in listing.splitlines()}

    assert "tr__srtp_open_rtp" in undefined
    assert set() == {symbol for symbol in undefined if PYTHON.match(symbol)}
