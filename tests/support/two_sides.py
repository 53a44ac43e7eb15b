"""
Drives the people of support/roaming.py: a process in one of two namespaces, asked line by line.

Blocks until it is answered: from an event loop, in a thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.netsim import NamespacePair

PROGRAM = Path(__file__).resolve().parent / "roaming.py"


class Program:
    """One of support/roaming.py's people."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, line: str) -> dict[str, Any]:
        """Say a line to it; what it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the program ended: its own words are above"
        return dict(json.loads(answer))


@contextmanager
def program(net: NamespacePair, side: str, role: str, **settings: str) -> Iterator[Program]:
    """Started in that namespace, and past its first answer; ended afterwards."""
    command = net.command(side, sys.executable, str(PROGRAM), role)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            made = Program(process)
            made.ask(json.dumps(settings))
            yield made
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
