"""What the matrix is made of: a client, its version, and what it was seen to do. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

SEEN: set[Seen] = set()
"""Of this run."""


@dataclass(frozen=True, slots=True, order=True)
class Seen:
    """One cell: `did` is "publish" or "subscribe", `what` a codec or another feature."""

    client: str
    version: str
    did: str
    what: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.client} {self.version}: {self.did} {self.what}"


def seen(client: str, version: str, did: str, *what: str) -> None:
    """Note what a test has just asserted."""
    SEEN.update(Seen(client, version, did, each) for each in what)
