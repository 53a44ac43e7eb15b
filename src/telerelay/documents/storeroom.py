"""
Where sealed files of one kind are: the folder, the keys of consults, and the one thread that touches either.

Event loop's thread; a slow disk holds up that thread alone.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from telerelay.documents.keys import Keyring
from telerelay.documents.vault import Vault
from telerelay.errors import ConfigError

T = TypeVar("T")


class Storeroom:
    """One relay's, of that kind: "documents", "recordings"."""

    def __init__(self, kind: str) -> None:
        self.keyring: Keyring | None = None
        self.vault: Vault | None = None
        """None, both: it is not open."""
        self._kind = kind
        self._thread = ThreadPoolExecutor(1, f"telerelay-{kind}")

    def open(self, keyring: Keyring, folder: str, journal_path: str) -> Vault:
        """The folder, by default beside the journal, and without one a temporary one."""
        name = folder or (f"{journal_path}.{self._kind}" if journal_path else "")
        self.keyring, self.vault = keyring, Vault(Path(name) if name else None, self._kind)
        return self.vault

    async def prepare(self, folder: str) -> None:
        """A folder that the configuration names can be used. Raises ConfigError."""
        if not folder or self.vault is None:
            return  # beside the journal's file, which is there: made when it is needed
        try:
            await self.do(self.vault.prepare)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError("bad_file", f"{self._kind}: cannot make the folder {folder}: {reason}") from None

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """On the thread, after all that it was given before."""
        return await self.begin(work, *arguments)

    def begin(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """The same, for whoever does not wait."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def close(self) -> None:
        """When all that the thread was given is done. Safe twice."""
        await asyncio.to_thread(self._thread.shutdown)
        if self.vault is not None:
            await asyncio.to_thread(self.vault.close)
