"""
Where the documents of a relay lie: a folder for each consult, whose names are digests, with three files a document.

Blocking; the documents' thread alone. Nothing that anybody chose is ever part of a path.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telerelay.documents.frames import Sealer, Unreadable
from telerelay.documents.volume import FULL, Volume, replace, storage_error, sync_folder
from telerelay.errors import RemoteProtocolError

# So long is what is said of a document at least, sealed: a length does not tell one name from another.
META_PAD_BYTES = 512

_NOWHERE = Path("/nonexistent")
_FOLDER = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DOCUMENT = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Found:
    """A document that another process took: its id, what was said of it, and what there is of it."""

    document: str
    meta: dict[str, Any]
    volume: Volume


class Vault:
    """
    One relay's folder, made with the first document, of which it is the only owner: what it does not know there it
    removes. None: a temporary one.
    """

    def __init__(self, folder: Path | None, name: str = "documents") -> None:
        self._folder = folder
        self._name = name
        self._own: Path | None = None

    def prepare(self) -> None:
        """Make a folder that has a name and is not there yet, where its disk has room. Raises OSError."""
        if self._folder is None or self._folder.is_dir():
            return
        try:
            self._made()
        except OSError as error:
            if error.errno not in FULL:
                raise

    def close(self) -> None:
        """A temporary folder goes."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def free_bytes(self) -> int:
        """What the disk has left for us. Raises RemoteProtocolError storage_full, storage_failed."""
        try:
            found = os.statvfs(self._made())
        except OSError as error:
            raise storage_error(error) from error
        return found.f_bavail * found.f_frsize

    def _made(self) -> Path:
        """The folder, made for its owner alone. Raises OSError."""
        if self._folder is None:
            self._folder = self._own = Path(tempfile.mkdtemp(prefix=f"telerelay-{self._name}-"))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._folder

    def create(self, key: bytes, consult: str, document: str, meta: dict[str, Any]) -> Volume:
        """A new document's, empty. Raises RemoteProtocolError storage_full, storage_failed."""
        sealer = Sealer(key, consult, document)
        try:
            root = self._made()
            folder = self._of(consult)
            if not folder.is_dir():
                folder.mkdir(mode=0o700)
                sync_folder(root)
            replace(folder / f"{document}.meta", _sealed(sealer, meta))
        except OSError as error:
            self.remove(consult, document)
            raise storage_error(error) from error
        try:
            return Volume.create(folder / f"{document}.data", sealer)
        except RemoteProtocolError:
            self.remove(consult, document)
            raise

    def describe(self, key: bytes, consult: str, document: str, meta: dict[str, Any]) -> None:
        """Something else is to be said of it. Raises RemoteProtocolError storage_full, storage_failed."""
        try:
            replace(self._of(consult) / f"{document}.meta", _sealed(Sealer(key, consult, document), meta))
        except OSError as error:
            raise storage_error(error) from error

    def find(self, key: bytes, consult: str) -> tuple[Found, ...]:
        """A consult's documents, as far as they are readable; what is not is removed."""
        folder, found = self._of(consult), []
        for path in sorted(folder.glob("*.meta")) if folder.is_dir() else ():
            document = path.stem
            try:
                if _DOCUMENT.fullmatch(document) is None:
                    raise Unreadable
                sealer = Sealer(key, consult, document)
                meta = json.loads(sealer.open("meta", 0, path.read_bytes()))
                found.append(Found(document, meta, Volume.open(folder / f"{document}.data", sealer)))
            except (Unreadable, RemoteProtocolError, OSError, ValueError):
                self.remove(consult, document)
        return tuple(found)

    def remove(self, consult: str, document: str) -> None:
        """One document's files, if there are any."""
        for path in self._of(consult).glob(f"{document}.*"):
            _quietly(path.unlink)

    def drop(self, consult: str) -> None:
        """All of a consult's."""
        shutil.rmtree(self._of(consult), ignore_errors=True)

    def sweep(self, kept: Iterable[str]) -> int:
        """Remove all of ours but of these consults; how many folders that were."""
        names = {self._of(consult).name for consult in kept}
        if self._folder is None or not self._folder.is_dir():
            return 0
        found = [path for path in self._folder.iterdir() if _FOLDER.fullmatch(path.name)]
        strangers = [path for path in found if path.name not in names]
        for path in strangers:
            shutil.rmtree(path, ignore_errors=True)
        return len(strangers)

    def _of(self, consult: str) -> Path:
        return (self._folder or _NOWHERE) / hashlib.sha256(consult.encode()).hexdigest()[:32]


def _sealed(sealer: Sealer, meta: dict[str, Any]) -> bytes:
    text = json.dumps(meta, separators=(",", ":")).encode()
    return sealer.seal("meta", 0, text + b" " * (-len(text) % META_PAD_BYTES))


def _quietly(act: Callable[[], object]) -> None:
    try:
        act()
    except OSError:
        return
