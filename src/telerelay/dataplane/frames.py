"""
What a worker process and its control say to each other beside the rings: frames on a Unix socket.

Pure, and the standard library alone: the worker process has nothing else. A frame is its size, its kind, a key and a
body. Bounded on both sides; whoever breaks the format is disconnected.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

PROTOCOL = 1
"""Of these frames: one more with every change to them that an older side would not understand."""

MAX_KEY_BYTES = 255
MAX_BODY_BYTES = 1 << 20
"""The largest note: a participant with every section it may have is a tenth of that."""

_HEADER = struct.Struct("!IBB")


class Kind(IntEnum):
    """Who says it: c the control, w the worker."""

    HELLO = 1  # c: {"protocol"}, the first frame
    WELCOME = 2  # w: {"protocol", "pid", "ports", "fingerprint", "settings"}, with three descriptors
    FAILED = 3  # w, instead: {"status", "reason"}; it ends then
    PUT = 4  # c: keep this note under this key
    DELETE = 5  # c: forget the note of this key
    DELETE_UNDER = 6  # c: forget all notes whose keys begin like that
    LIST = 7  # c: send all notes
    NOTE = 8  # w: one of them
    LISTED = 9  # w: those were all
    REFUSED = 10  # w: this note is past what may be kept
    STOP = 11  # c: end, with a goodbye on every transport


class Frame(NamedTuple):
    kind: int
    key: bytes = b""
    body: bytes = b""


def encode(kind: Kind, key: bytes = b"", body: bytes = b"") -> bytes:
    """Raises ValueError past the bounds."""
    if len(key) > MAX_KEY_BYTES or len(body) > MAX_BODY_BYTES:
        raise ValueError("a frame past its bounds")
    return _HEADER.pack(len(body), kind, len(key)) + key + body


class Decoder:
    """Frames out of a stream of bytes."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """The frames that are whole with these bytes. Raises ValueError for what is none."""
        self._bytes += data
        while len(self._bytes) >= _HEADER.size:
            size, kind, key_size = _HEADER.unpack_from(self._bytes)
            if size > MAX_BODY_BYTES:
                raise ValueError("a frame past its bounds")
            end = _HEADER.size + key_size + size
            if len(self._bytes) < end:
                return
            key = bytes(self._bytes[_HEADER.size : _HEADER.size + key_size])
            body = bytes(self._bytes[_HEADER.size + key_size : end])
            del self._bytes[:end]
            yield Frame(kind, key, body)
