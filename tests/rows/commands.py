"""
Examples and `telerelay` as a row runs them: processes of their own, by what they print.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rows.figures import EXAMPLES

TELERELAY = ("-m", "telerelay.cli")


async def lines_of(*arguments: str | Path, **settings: str) -> list[dict[str, Any]]:
    """
    What `python ARGUMENTS` prints, a JSON object a line; whatever it exits with. `settings` are environment. Raises
    RuntimeError, with the end of what it said, where that is nothing.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment() | settings,
    )
    out, said = await process.communicate()
    if process.returncode and not out:
        raise RuntimeError(f"{arguments[:3]} ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
    return [json.loads(line) for line in out.splitlines()]


def _environment() -> dict[str, str]:
    """This process's own, and where the rows are."""
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places)}


async def telerelay(*arguments: str | Path) -> dict[str, Any]:
    """The last line that a command prints with --json."""
    (answer,) = (await lines_of(*TELERELAY, *arguments, "--json"))[-1:]
    return answer


async def verified(key: Path, *files: str | Path) -> list[dict[str, Any]]:
    """The verdict of `telerelay attest verify` on each attestation of these files."""
    rows: list[dict[str, Any]] = (await telerelay("attest", "verify", "--key", key, *files))["files"]
    return rows


def attestations(*files: str | Path) -> list[dict[str, Any]]:
    """What the attestations of files say, a line each."""
    return [json.loads(line)["attestation"] for name in files for line in Path(name).read_bytes().splitlines()]


def rules_of(example: str) -> ModuleType:
    """The module with an example's rules."""
    name = f"rules_of_{example}"
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / example / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
