"""
What a host sees of a consult: as it is now, as far as that is durable.

Pure.
"""

from dataclasses import dataclass
from typing import Any

from telerelay.consult.record import Record


@dataclass(frozen=True, slots=True)
class PersonStatus:
    """
    Somebody in a consult: `status` is waiting, admitted or inside, `since` Unix seconds, `lost` what is missed of
    socket, transport and camera, `held_at` the place in line for room in the relay, 0: not held.
    """

    sub: str
    role: str
    status: str
    since: float
    lost: tuple[str, ...]
    held_at: int


@dataclass(frozen=True, slots=True)
class ConsultStatus:
    """A consult as it is now; times are Unix seconds. `ringing` is for whom it rings, "": for nobody."""

    consult: str
    state: str
    queue: str
    starts_at: float | None
    is_emergency: bool
    people: tuple[PersonStatus, ...]
    ringing: str = ""

    @classmethod
    def of(cls, record: Record) -> "ConsultStatus":
        people = (
            PersonStatus(each.sub, each.role, each.status, each.since, tuple(sorted(each.lost)), each.held_at)
            for each in record.there
        )
        plan = record.plan
        return cls(
            plan.consult,
            record.state,
            plan.queue,
            record.starts_at,
            record.is_emergency,
            tuple(people),
            record.rota.ringing,
        )

    def to_json(self) -> dict[str, Any]:
        """As the admin listener has it."""
        people = [
            {
                "sub": each.sub,
                "role": each.role,
                "status": each.status,
                "since": each.since,
                "lost": list(each.lost),
                "held_at": each.held_at,
            }
            for each in self.people
        ]
        return {
            "consult": self.consult,
            "state": self.state,
            "queue": self.queue,
            "starts_at": self.starts_at,
            "emergency": self.is_emergency,
            "people": people,
            "ringing": self.ringing,
        }
