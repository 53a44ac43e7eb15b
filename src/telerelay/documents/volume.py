"""
One document's files: what has come of it, sealed; what comes is added at its end.

Blocking; the documents' thread alone. What `settle` returned for is on the disk, and is there after a crash; what was
added since may be lost, and nothing else. Whole frames are appended to the data file and never written again; what does
not fill a frame yet lies in a file beside it, which is replaced as a whole.
"""

import contextlib
import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerelay.documents.frames import FRAME_BYTES, OVERHEAD_BYTES, SLOT_BYTES, Sealer, Unreadable
from telerelay.errors import RemoteProtocolError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a disk says that has no room."""


def storage_error(error: OSError) -> RemoteProtocolError:
    """What whoever uploads is told: the same may work later, and what was acknowledged is there."""
    if error.errno in FULL:
        return RemoteProtocolError("storage_full", "the relay's disk is full: what was acknowledged is kept")
    return RemoteProtocolError("storage_failed", "the relay's disk fails: what was acknowledged is kept")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a volume had come, to go back to."""

    frames: int
    tail: bytes
    hash: Any


class Volume:
    """`path` is the data file's; the others have its name and another ending. Make it with `create` or `open`."""

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self._path = path
        self._tail_path = path.with_suffix(".tail")
        self._sealer = sealer
        self._frames = 0
        self._tail = b""
        self._kept: tuple[int, bytes] = (0, b"")  # the tail as it is on the disk, and of which frame
        self._hash: Any = hashlib.sha256()  # None: of a volume that was there before, not read again yet
        self._file = -1
        self._finished_bytes = -1
        self.settled_bytes = 0
        """Of what came, so much is there after a crash."""

    @classmethod
    def create(cls, path: Path, sealer: Sealer) -> "Volume":
        """A new one, empty. Raises RemoteProtocolError storage_full, storage_failed."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(path.parent)
        except OSError as error:
            raise storage_error(error) from error
        return cls(path, sealer)

    @classmethod
    def open(cls, path: Path, sealer: Sealer) -> "Volume":
        """
        One that another process made, as far as it is good: a frame that was being written when it died is cut off.
        Raises Unreadable where the key is another, RemoteProtocolError storage_failed.
        """
        volume = cls(path, sealer)
        volume._hash = None
        try:
            volume._find()
        except OSError as error:
            raise storage_error(error) from error
        volume.settled_bytes = volume.offset
        return volume

    @property
    def offset(self) -> int:
        """Bytes that have come."""
        if self.is_finished:
            return self._finished_bytes
        return self._frames * FRAME_BYTES + len(self._tail)

    @property
    def is_finished(self) -> bool:
        """Nothing more comes. To be set of one that another process had finished."""
        return self._finished_bytes >= 0

    @is_finished.setter
    def is_finished(self, is_finished: bool) -> None:
        if not is_finished:
            self._finished_bytes = -1
            return
        self._finished_bytes, self._tail = self.offset, b""

    # ---------------------------------------------------------------- writing

    def append(self, data: bytes) -> None:
        """
        Add to the end. Raises RemoteProtocolError storage_full, storage_failed: `offset` says how much of it came in.
        """
        rest = memoryview(data)
        try:
            while len(self._tail) + len(rest) >= FRAME_BYTES:
                used = FRAME_BYTES - len(self._tail)
                self._write_frame(self._tail + rest[:used])
                self._count(rest[:used])
                self._frames, self._tail, rest = self._frames + 1, b"", rest[used:]
        except OSError as error:
            with contextlib.suppress(OSError):  # what was written of the frame is in nobody's way
                os.ftruncate(self._opened(), self._frames * SLOT_BYTES)
            raise storage_error(error) from error
        self._tail += rest
        self._count(rest)

    def settle(self) -> None:
        """
        All that came is on the disk. Raises RemoteProtocolError storage_full, storage_failed: then `offset` is what is.
        """
        try:
            if self._file >= 0:
                os.fdatasync(self._file)
            if self._tail and self._kept != (self._frames, self._tail):
                replace(self._tail_path, self._sealer.seal("tail", self._frames, self._tail))
                self._kept = (self._frames, self._tail)
        except OSError as error:
            frame, tail = self._kept
            self._tail = tail if frame == self._frames else b""
            self._hash = None
            raise storage_error(error) from error
        finally:
            self.rest()
        self.settled_bytes = self.offset

    def mark(self) -> Mark:
        """Where it is; to be asked for when it is settled."""
        return Mark(self._frames, self._tail, None if self._hash is None else self._hash.copy())

    def rewind(self, mark: Mark) -> None:
        """Go back to where it was. Raises RemoteProtocolError storage_failed."""
        try:
            os.ftruncate(self._opened(), mark.frames * SLOT_BYTES)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            self.rest()
        self._frames, self._tail, self._hash = mark.frames, mark.tail, mark.hash
        self.settled_bytes = min(self.settled_bytes, self.offset)

    def finish(self) -> None:
        """Nothing more comes: the last frame is a short one. Raises as `settle`."""
        try:
            if self._tail:
                self._write_frame(self._tail)
            os.fdatasync(self._opened())
            sync_folder(self._path.parent)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            self.rest()
        self.is_finished = True
        self.settled_bytes = self.offset
        with contextlib.suppress(OSError):
            self._tail_path.unlink(missing_ok=True)

    def rest(self) -> None:
        """Close what is open; it is opened again when need be."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # ---------------------------------------------------------------- reading

    def digest(self) -> str:
        """The SHA-256 of all that came, in hex. Raises Unreadable, RemoteProtocolError storage_failed."""
        if self._hash is None:
            found = hashlib.sha256()
            for at in range(0, self.offset, FRAME_BYTES):
                found.update(self.read(at, FRAME_BYTES))
            self._hash = found
        return str(self._hash.hexdigest())

    def read(self, start: int, size: int) -> bytes:
        """So many bytes from there on, fewer at the end. Raises Unreadable, RemoteProtocolError storage_failed."""
        end = min(start + size, self.offset)
        parts = []
        try:
            while start < end:
                index, skipped = divmod(start, FRAME_BYTES)
                is_tail = index == self._frames and not self.is_finished
                frame = self._tail if is_tail else self._read_frame(index, FRAME_BYTES)
                part = frame[skipped : skipped + end - start]
                parts.append(part)
                start += len(part)
        except OSError as error:
            raise storage_error(error) from error
        finally:
            if self.is_finished:
                self.rest()
        return b"".join(parts)

    # ---------------------------------------------------------------- within

    def _find(self) -> None:
        size = self._path.stat().st_size
        self._frames, left = divmod(size, SLOT_BYTES)
        if left > OVERHEAD_BYTES:
            with contextlib.suppress(Unreadable):
                self._tail = self._read_frame(self._frames, left - OVERHEAD_BYTES)
        if not self._tail:
            with contextlib.suppress(Unreadable, FileNotFoundError):
                self._tail = self._sealer.open("tail", self._frames, self._tail_path.read_bytes())
                self._kept = (self._frames, self._tail)
        if self._frames:
            self._read_frame(0, FRAME_BYTES)

    def _write_frame(self, data: bytes | memoryview) -> None:
        sealed = self._sealer.seal("data", self._frames, bytes(data))
        at = self._frames * SLOT_BYTES
        written = 0
        while written < len(sealed):
            written += os.pwrite(self._opened(), sealed[written:], at + written)

    def _read_frame(self, index: int, size: int) -> bytes:
        sealed = os.pread(self._opened(), size + OVERHEAD_BYTES, index * SLOT_BYTES)
        return self._sealer.open("data", index, sealed)

    def _count(self, data: memoryview) -> None:
        if self._hash is not None:
            self._hash.update(data)

    def _opened(self) -> int:
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDWR)
        return self._file


def replace(path: Path, data: bytes) -> None:
    """A small file, the old one or the new, whatever happens. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        written = 0
        while written < len(data):
            written += os.write(file, data[written:])
        os.fsync(file)
    finally:
        os.close(file)
    os.replace(fresh, path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """A file that was made or renamed there has its name after a crash."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
