"""
What names may look like, wherever they come from: a URL, a token, a message.

Pure.
"""

import re

_ROOM = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_SUB_MAX_CHARS = 128


def is_room_name(name: str) -> bool:
    """1 to 64 letters, digits, dots, dashes and underscores; not only dots, which a URL would not keep."""
    return _ROOM.fullmatch(name) is not None and name.strip(".") != ""


def is_sub(sub: str) -> bool:
    """1 to 128 printable characters: opaque to the relay."""
    return 1 <= len(sub) <= _SUB_MAX_CHARS and sub.isprintable()
