"""
What a role may do: one table, deny by default. Every permission of a room is decided here and nowhere else.

Pure.
"""

from dataclasses import dataclass

from telerelay.errors import RemoteProtocolError
from telerelay.rooms.participant import Participant


@dataclass(frozen=True, slots=True)
class RolePolicy:
    may_publish: bool
    may_subscribe: bool
    may_move_cameras: bool = False
    """Of others, as far as the application and those others agree."""


ROLES: dict[str, RolePolicy] = {
    "patient": RolePolicy(may_publish=True, may_subscribe=True),
    "companion": RolePolicy(may_publish=True, may_subscribe=True),
    "practitioner": RolePolicy(may_publish=True, may_subscribe=True, may_move_cameras=True),
    "requester": RolePolicy(may_publish=True, may_subscribe=True, may_move_cameras=True),
    "expert": RolePolicy(may_publish=True, may_subscribe=True, may_move_cameras=True),
    "assistant": RolePolicy(may_publish=True, may_subscribe=True, may_move_cameras=True),
    "interpreter": RolePolicy(may_publish=True, may_subscribe=True),
    "device": RolePolicy(may_publish=True, may_subscribe=True),
    "observer": RolePolicy(may_publish=False, may_subscribe=True),
    "recorder": RolePolicy(may_publish=False, may_subscribe=True),
}
"""Every role there is. All of them are visible to everyone else in the room: there is no hidden participant."""


def check_role(role: str) -> RolePolicy:
    """What this role may do. Raises RemoteProtocolError forbidden for one that is not in the table."""
    try:
        return ROLES[role]
    except KeyError:
        raise RemoteProtocolError("forbidden", "this role is not known") from None


def may_publish(participant: Participant) -> bool:
    return check_role(participant.role).may_publish


def may_subscribe(subscriber: Participant, publisher: Participant) -> bool:
    """All hear all others, once both are admitted; nobody hears himself."""
    return (
        subscriber.id != publisher.id
        and subscriber.is_admitted
        and publisher.is_admitted
        and check_role(subscriber.role).may_subscribe
    )
