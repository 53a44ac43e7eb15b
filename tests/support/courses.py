"""
A consult with somebody who runs it as the relay does: facts are applied at once, kept in a journal, and their effects
collected; after each step the journal is held against the record.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from telerelay.consult.consult import Consult, schedule
from telerelay.consult.effects import Effect
from telerelay.consult.facts import Fact, from_json
from telerelay.consult.plan import ConsultPlan
from telerelay.errors import TelerelayError

START = 1_700_000_000.0
"""When the consults of tests begin, Unix seconds."""


@contextmanager
def refused(code: str) -> Iterator[None]:
    """What is done within is refused with that code."""
    with pytest.raises(TelerelayError) as caught:
        yield
    assert code == caught.value.code


def plan(**changes: object) -> ConsultPlan:
    """As from JSON, with lists where the plan has tuples."""
    return ConsultPlan.from_json({"consult": "c1", "starts_at": START} | changes)


class Course:
    """One consult, its journal and its effects so far."""

    def __init__(self, at: float = START, **changes: object) -> None:
        first = schedule(at, plan(**changes), "host")
        self.facts: list[Fact] = [first]
        self.effects: list[Effect] = []
        self.consult = Consult(first)

    @property
    def state(self) -> str:
        return self.consult.state

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts]

    def do(self, facts: Iterable[Fact]) -> list[str]:
        """What a command returned; the kinds of its facts."""
        facts = tuple(facts)
        self.effects.extend(self.consult.apply(*facts))
        self.facts.extend(facts)
        return [fact.kind for fact in facts]

    def read_again(self) -> Consult:
        """The consult as another process reads it, from what was written down."""
        return Consult.replay(
            from_json(kind, fact.at, clear, personal) for fact, (kind, clear, personal) in written(self.facts)
        )

    def restart(self, now: float) -> list[str]:
        """Another process goes on."""
        self.consult = self.read_again()
        return self.do(self.consult.restart(now)) + self.do(self.consult.tick(now))

    def waiting(self, at: float = START, sub: str = "pat") -> "Course":
        """A patient has come."""
        self.do(self.consult.arrive(at, sub, "patient", "socket"))
        return self

    def attended(self, at: float = START, sub: str = "doc") -> "Course":
        """A doctor has come, and is connected."""
        self.do(self.consult.arrive(at, sub, "practitioner", "socket"))
        self.do(self.consult.enter(at, sub))
        return self

    def admitted(self, at: float = START) -> "Course":
        """A doctor let a patient in."""
        self.waiting(at).attended(at)
        self.do(self.consult.admit(at, "pat", "doc"))
        return self

    def in_progress(self, at: float = START) -> "Course":
        """Both talk."""
        self.admitted(at)
        self.do(self.consult.enter(at, "pat"))
        return self


def written(facts: Iterable[Fact]) -> list[tuple[Fact, tuple[str, dict[str, object], dict[str, object]]]]:
    """Each fact with what the journal keeps of it."""
    return [(fact, fact.to_json()) for fact in facts]
