"""
Where the examples are played: a folder with keys and a journal, a free port, an application in a process of its own.

Used by the `play.py` of each; starts what it is told to, and ends it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

# A machine with ten things going on takes its time over the imports.
START_S = 90.0
TELERELAY = (sys.executable, "-m", "telerelay.cli")


@dataclass(frozen=True, slots=True)
class Stage:
    """`url` is where the application listens; `folder` holds its journal, and the key it signs with."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"

    @property
    def public_key(self) -> Path:
        return self.folder / "signing.key.pub"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "FOLDER": str(self.folder),
            "TELERELAY_HTTP_PORT": str(self.port),
            "TELERELAY_UDP_BINDS": f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
            "TELERELAY_JOURNAL_PATH": str(self.journal),
            "TELERELAY_ATTEST_KEY_FILE": str(self.folder / "signing.key"),
            "TELERELAY_LOG_LEVEL": "error",
        }


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_key(file: Path) -> None:
    """A key that signs attestations, and FILE.pub for whoever verifies them."""
    subprocess.run([*TELERELAY, "attest", "--new-key", file], check=True, capture_output=True)


@contextlib.asynccontextmanager
async def stage(
    folder: Path, command: Sequence[str | Path], health: str, more: dict[str, str] | None = None
) -> AsyncIterator[Stage]:
    """
    The application that `command` starts, once `health` of it answers; ended behind. `more` goes into its environment.
    """
    made = Stage(folder, free_port())
    if not made.public_key.exists():
        new_key(folder / "signing.key")
    environment = {**made.environment, **(more or {})}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        await _healthy(made.url + health, process)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 2.0)
            except TimeoutError:
                process.terminate()  # a relay drains at the first one, and ends at the second
                await process.wait()


async def _healthy(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_S), aiohttp.ClientSession() as http:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise RuntimeError("the application ended before it could be reached")
