"""What a process says that ends by a fault: where, and never what anybody said."""

from __future__ import annotations

import subprocess
import sys

import pytest

CANARY = "Zorglub-crash"

BEGIN = """
import threading
from telerelay.crash import say_no_words
say_no_words()
word = "-".join(("Zorglub", "crash"))
def fail():
    try:
        raise KeyError(word)
    except KeyError as error:
        raise ValueError(f"cannot read {word}") from error
"""

ENDS = {
    "of the process": ("fail()", 1, "crashed"),
    "of a thread": ("thread = threading.Thread(target=fail); thread.start(); thread.join()", 0, "thread_crashed"),
    "of a finaliser": ("class Last:\n    def __del__(self):\n        fail()\nLast()", 0, "unraisable"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_crash_says_where_and_not_what(end: str) -> None:
    """
    Its type and its stack, in the main thread, another, and where Python ignores it; nor the words of what caused it.
    """
    program, code, event = ENDS[end]
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, check=False, timeout=60
    )

    assert code == done.returncode
    assert f"event={event} error=ValueError" in done.stderr
    assert "in fail" in done.stderr
    assert CANARY not in done.stdout + done.stderr
