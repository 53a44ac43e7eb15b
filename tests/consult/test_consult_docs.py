"""
docs/consult.md lists what the code has, and nothing else.
"""

import re
from pathlib import Path
from typing import get_args

from telerelay.consult import states, timers
from telerelay.consult.effects import Effect
from telerelay.consult.facts import KINDS
from telerelay.errors import STATUS_BY_CODE

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "consult.md").read_text()


def first_cells(head: str) -> list[str]:
    """The first cell of each row of the table that begins so."""
    table = PAGE.split(f"| {head} |", 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_every_fact_is_listed_once() -> None:
    """
    By its kind.
    """
    assert sorted(KINDS) == sorted(re.findall(r"`(\w+)`", " ".join(first_cells("facts"))))


def test_every_effect_is_listed_with_its_parts() -> None:
    """
    By name.
    """
    expected = {f"`{each.__name__}({', '.join(each.__match_args__)})`" for each in get_args(Effect)}

    assert expected == set(first_cells("effect"))


def test_every_state_and_timer_is_listed() -> None:
    """
    In the order of a life.
    """
    assert list(states.STATES[:5]) == first_cells("state")[:5]
    assert set(states.STATES) == set(first_cells("state"))
    assert {f"`{name}`" for name in timers.OWN} == set(first_cells("timer")) - {"the host's own"}


def test_every_code_of_a_consult_is_listed() -> None:
    """
    With a status for each.
    """
    sources = "".join(path.read_text() for path in (ROOT / "src/telerelay/consult").glob("*.py"))
    raised = set(re.findall(r'RemoteProtocolError\(\s*"(\w+)"', sources))
    listed = set(re.findall(r"`(\w+)`", " ".join(first_cells("code"))))

    assert raised == listed
    assert set() == listed - STATUS_BY_CODE.keys()
