"""
From a tr_status to an exception: the only place where a negative number becomes a NativeError.
"""

import os

from telerelay._native import ffi, lib
from telerelay.errors import NativeError


def status_name(status: int) -> str:
    """The stable word of a tr_status: `not_found`."""
    name = lib.tr_status_name(status)
    return "unknown" if name == ffi.NULL else str(ffi.string(name).decode("ascii"))


def why(status: int) -> str:
    """The same, but for an error of the system its own words: `Address already in use`. Right after the call."""
    if status == lib.TR_ERR_SYSTEM and ffi.errno:
        return os.strerror(ffi.errno)
    return status_name(status)


def check(status: int, doing: str) -> int:
    """Hand back a status of 0 or more; raise NativeError, with the status and what was being done, for the rest."""
    if status >= 0:
        return status
    raise NativeError(status, f"{doing}: {why(status)}", code=status_name(status))
