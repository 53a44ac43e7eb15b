"""
Who enters a room at once and who waits at its door.

Pure. Where a room has no consult, everyone enters at once; a consult brings a door of its own. Whoever waits is not
listed, hears nothing and is not heard, whatever the rest of the room does.
"""

from collections.abc import Callable

Door = Callable[[str, str], bool]
"""(sub, role) to whether this person enters without being admitted by someone."""


def is_admitted(sub: str, role: str) -> bool:
    """The open door."""
    return True


def seats_kept(seats: int) -> int:
    """
    Of a room's seats those that nobody who waits may take: they are for who enters at once. Otherwise a doctor who went
    out for a moment would find the room full of people whom nobody could let in any more.
    """
    return max(1, seats // 8) if seats > 1 else 0
