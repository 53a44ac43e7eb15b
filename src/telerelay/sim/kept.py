"""
Runs that are kept in a file, so that an hour of them can be stopped and gone on with.

Reads and appends to one file of a line a run. A run is found again only where the code that made it, the compiled
objects, the case and the seed are the same; everything else in the file is left alone and not believed.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import telerelay
from telerelay.errors import TelerelayError
from telerelay.sim.runner import Job, Outcome

CODE = ("sim/**/*.py", "allocator/**/*.py", "dataplane/*.py", "_native*")
"""What a run's answer depends on, of the package."""


class Kept:
    """The runs of one file. Raises TelerelayError where it cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._code = _code()
        self._found: dict[str, Outcome] = {}
        try:
            path.touch()
            for line in path.read_text("utf-8").splitlines():
                self._take(line)
        except (OSError, UnicodeDecodeError) as error:
            raise TelerelayError("bad_file", f"cannot keep runs in {path}: {error}") from None

    def _take(self, line: str) -> None:
        try:
            key, fields = json.loads(line)
            self._found[key] = Outcome(**{**fields, "tags": tuple(fields["tags"])})
        except (ValueError, TypeError, KeyError):
            # The last line of a run that was killed while it wrote.
            return

    def get(self, job: Job) -> Outcome | None:
        """What that run came to, if it is kept."""
        return self._found.get(self._key(job))

    def put(self, job: Job, outcome: Outcome) -> None:
        """Keep it."""
        line = json.dumps([self._key(job), asdict(outcome)], allow_nan=False)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                # A line that was cut off before is ended first: it costs an empty one.
                file.write(f"\n{line}\n")
        except OSError as error:
            raise TelerelayError("bad_file", f"cannot keep runs in {self._path}: {error.strerror}") from None

    def _key(self, job: Job) -> str:
        case = {**asdict(job.case), "tags": sorted(job.case.tags)}
        return _hash(self._code, json.dumps(case), job.contender, str(job.seed), str(job.keeps_series))


def _code() -> str:
    root = Path(telerelay.__file__).parent
    files = sorted({path for pattern in CODE for path in root.glob(pattern)})
    return _hash(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in files))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def missing(todo: Sequence[Job], kept: Kept | None) -> tuple[dict[int, Outcome], list[int]]:
    """(what is kept, which are still to be run), by the place in `todo`."""
    found = {at: outcome for at, job in enumerate(todo) if kept is not None and (outcome := kept.get(job)) is not None}
    return found, [at for at in range(len(todo)) if at not in found]
