"""
Whom a consult rings for: the people its route named, one after the other, until somebody answers.

Pure, a part of the record: the same facts give the same rota. When somebody is to be rung at all is the record's to say
(`awaits_answer`), and who can be reached is told by whoever knows the desks (presence.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from telerelay.consult.facts import RingEnded, Routed, Rung

UNREACHED = frozenset({"absent", "away", "busy"})
"""Why somebody was passed over: tried again as soon as the desk can be rung."""


@dataclass(frozen=True, slots=True)
class Rota:
    """`ended` has why the last ring of each ended; `since` is when `ringing` began to ring, Unix seconds."""

    people: tuple[str, ...] = ()
    attempt: int = 1
    queues: tuple[str, ...] = ()
    """Desks of the attempts before."""

    is_now: bool = False
    """The host has them rung whether or not anybody waits."""

    is_last: bool = True
    """No other people are asked for when these are through."""

    ringing: str = ""
    since: float = 0.0
    ended: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_accepted(self) -> bool:
        return "accepted" in self.ended.values()

    @property
    def is_through(self) -> bool:
        """All of them were rung, or passed over."""
        return not self.ringing and all(sub in self.ended for sub in self.people)

    def may_accept(self, sub: str) -> bool:
        """It rings there, or did, and was not declined: who is late is better than nobody."""
        return sub != "" and (self.ringing == sub or self.ended.get(sub) == "unanswered")

    # ---------------------------------------------------------------- as facts have it

    def after_routed(self, fact: Routed, queue: str) -> "Rota":
        """`queue` is the desk before. An answer without people changes the desk; who was not reached may be yet."""
        is_another = fact.attempt > 1 and queue not in ("", *self.queues)
        queues = (*self.queues, queue) if is_another else self.queues
        if not fact.people:
            return replace(self, attempt=fact.attempt, queues=queues, is_last=True)
        return Rota(fact.people, fact.attempt, queues, fact.is_now, is_last=False)

    def after_rung(self, fact: Rung) -> "Rota":
        return replace(self, ringing=fact.sub, since=fact.at)

    def after_ended(self, fact: RingEnded) -> "Rota":
        ringing = "" if fact.sub == self.ringing else self.ringing
        return replace(self, ringing=ringing, ended={**self.ended, fact.sub: fact.why})

    def returned(self, sub: str) -> "Rota":
        """Who answered did not come."""
        return replace(self, ended={**self.ended, sub: "unanswered"}) if sub in self.people else self

    def silent(self) -> "Rota":
        """Nobody is to be rung any more, for now."""
        return replace(self, ringing="") if self.ringing else self

    def anew(self) -> "Rota":
        """Somebody else waits: everybody is rung for that, from the first on."""
        return replace(self, ringing="", ended={}) if self.people else self
