"""
What a control process leaves with its workers for the one that comes after it.

`codec` turns frozen values into bytes and back. What the values are is said where they belong: connection.state,
signaling.notes.
"""

from telerelay.notes.codec import FORMAT, decode, encode

__all__ = ["FORMAT", "decode", "encode"]
