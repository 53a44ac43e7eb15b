"""
The run directory: where the sockets of worker processes are, and the lock of whoever controls them.

Event loop's thread, once at start. Nobody but this user may look in (A61): the directory is 0700 and its owner's, or it
is not used.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from telerelay.errors import ConfigError

# sockaddr_un holds 108 bytes, the last of which is zero (unix(7)).
_MAX_SOCKET_PATH_BYTES = 107


class RunDir:
    """One relay's. While it is held no other process of the same configuration can be control."""

    def __init__(self, path: Path, *, is_temporary: bool) -> None:
        self.path = path
        self._is_temporary = is_temporary
        self._lock = -1

    @classmethod
    def open(cls, configured: str, binds: Sequence[tuple[str, int]]) -> Self:
        """
        Make and lock it. It is found again by the first bind, or at `configured`; where the system chooses the ports
        and nothing is configured it is a new one, which no successor finds. Raises ConfigError.
        """
        is_temporary = not configured and any(port == 0 for _, port in binds)
        if configured:
            path = _private(Path(configured))
        elif is_temporary:
            path = Path(tempfile.mkdtemp(prefix="telerelay-"))
        else:
            address, port = binds[0]
            path = _private(_private(_base()) / f"{address.replace(':', '_')}-{port}")
        if len(os.fsencode(path / "worker-255.sock")) > _MAX_SOCKET_PATH_BYTES:
            raise ConfigError("bad_value", f"serve.run_dir: {path} is too long a path for a Unix socket")
        found = cls(path, is_temporary=is_temporary)
        found._take_lock()
        return found

    def worker_indexes(self) -> list[int]:
        """Of the workers whose sockets are there, be they alive or not."""
        names = [each.stem.removeprefix("worker-") for each in self.path.glob("worker-*.sock")]
        return sorted(int(name) for name in names if name.isdecimal())

    def close(self) -> None:
        """Let go of the lock; a directory that nobody would find again goes."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._is_temporary and not self.worker_indexes():
            shutil.rmtree(self.path, ignore_errors=True)

    def _take_lock(self) -> None:
        try:
            self._lock = os.open(
                self.path / "control.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ConfigError(
                "already_running", f"serve.run_dir: another process controls the workers of {self.path}"
            ) from None
        except OSError as error:
            raise ConfigError("bad_file", f"serve.run_dir: cannot use {self.path}: {error.strerror}") from None


def _base() -> Path:
    """The user's runtime directory, the system's for root, else one among the temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "telerelay"
    if os.geteuid() == 0 and os.access("/run", os.W_OK):
        return Path("/run/telerelay")
    return Path(tempfile.gettempdir()) / f"telerelay-{os.geteuid()}"


def _private(path: Path) -> Path:
    """This directory, made if need be: ours, and closed to others. Raises ConfigError."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ConfigError("bad_file", f"serve.run_dir: cannot make {path}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise ConfigError("bad_file", f"serve.run_dir: {path} must be a directory of this user, with mode 0700")
    return path
