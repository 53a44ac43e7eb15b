"""
The CFFI builds of telerelay._native (the relay's packet path) and telerelay._load (the load tester's peers).

The declarations are the slice of each one's header between its two marks: there is no second copy. ipsec-mb is taken
when its header and library are there; TELERELAY_IPSEC_MB=0 builds without it.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).resolve().parent
HEADER = ROOT / "include" / "telerelay.h"
LOAD_HEADER = ROOT / "include" / "telerelay_load.h"


def declarations(header: Path = HEADER) -> str:
    """The cdef: what lies between the marks, without comments, with the numbers of #define kept."""
    text = header.read_text()
    text = text.split("/* cffi: begin */", 1)[1].split("/* cffi: end */", 1)[0]
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"^[ \t]+$", "", text, flags=re.MULTILINE)


def links(source: str, *flags: str) -> bool:
    """True if this C program compiles and links."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or "cc"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "try.c"
        program.write_text(source)
        command = [*compiler.split(), str(program), "-o", str(Path(folder) / "try"), *flags]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def has_ipsec_mb() -> bool:
    if os.environ.get("TELERELAY_IPSEC_MB") == "0":
        return False
    return links("#include <intel-ipsec-mb.h>\nint main(void) { return alloc_mb_mgr(0) == 0; }", "-lIPSec_MB")


def make(module: str, header: Path, folders: list[str]) -> FFI:
    """One extension from all of `folders`: the load tester is built on the relay's own modules."""
    builder = FFI()
    builder.cdef(declarations(header))
    libraries = ["ssl", "crypto", "pthread"]
    macros: list[tuple[str, str | None]] = [("_GNU_SOURCE", None), ("Py_LIMITED_API", "0x030b0000")]
    if has_ipsec_mb():
        libraries.append("IPSec_MB")
        macros.append(("TR_WITH_IPSEC_MB", None))
    sources = sorted(path for folder in folders for path in (ROOT / folder).glob("*.c"))
    headers = [header, HEADER, *sorted(path for folder in folders for path in (ROOT / folder).glob("*.h"))]
    relative = os.path.relpath
    builder.set_source(
        module,
        f'#include "{header.name}"',
        sources=[relative(path) for path in sources],
        depends=[relative(path) for path in headers],
        include_dirs=[relative(ROOT / folder) for folder in ["include", *folders]],
        libraries=libraries,
        define_macros=macros,
        # No contraction: the estimator's doubles are the same on a machine that could multiply and add at once.
        extra_compile_args=[
            "-std=gnu11",
            "-O2",
            "-g",
            "-fno-omit-frame-pointer",
            "-fvisibility=hidden",
            "-ffp-contract=off",
        ],
        extra_link_args=["-Wl,--exclude-libs,ALL"],
        py_limited_api=True,
    )
    return builder


ffi = make("telerelay._native", HEADER, ["src"])
load_ffi = make("telerelay._load", LOAD_HEADER, ["src", "load"])
