"""
What a client of the matrix may lack, where Node's stacks are installed, and how a slow cell is marked. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
NODE_FOLDER = ROOT / "build" / "interop" / "node"

_Test = TypeVar("_Test", bound=Callable[..., Any])


class MissingError(Exception):
    """A client is not installed; the argument says which package it is."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed: `make interop` installs it")


def slow(test: _Test) -> _Test:
    """Mark a test that only `make interop` runs, and that may be skipped everywhere else, CI included."""
    return pytest.mark.may_skip(pytest.mark.interop(pytest.mark.timeout(180)(test)))
