"""
One signed attestation for each consult that ended, made of its journal and kept beside it.

The face is the event loop's; functions that are given a connection run on the store's thread.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import telerelay
from telerelay.attest.sign import SigningKey, base64url, key_id_of
from telerelay.attest.story import Told, summary
from telerelay.errors import LocalProtocolError
from telerelay.journal import Entry, Journal, canonical, links, schema

TYPE = "telerelay-attestation/1"

STATEMENT = (
    "The relay attests what it forwarded between these people and when. It does not attest what was displayed, heard,"
    " said or understood, nor who the people behind these identifiers are."
)

TABLE = """CREATE TABLE IF NOT EXISTS attestations (
    id INTEGER PRIMARY KEY, consult TEXT NOT NULL UNIQUE, at REAL NOT NULL, attestation TEXT NOT NULL,
    signature BLOB NOT NULL) STRICT"""

SIGNERS = """CREATE TABLE IF NOT EXISTS signers (
    id INTEGER PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, public_key BLOB NOT NULL) STRICT"""
"""The public half of each key that signs or signed here: another one may by the time an attestation is asked for."""


@dataclass(frozen=True, slots=True)
class Attestation:
    """
    What was signed, as canonical JSON, and its signature. `digest` is its SHA-256 in hex, for the fact `attested`.
    """

    consult: str
    at: float
    text: str
    signature: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = canonical.loads(self.text)
        return content

    @property
    def key_id(self) -> str:
        return str(self.content["key_id"])


class Attestor:
    """
    Makes attestations, at most one for each consult. `clock` gives Unix seconds.

    `draft`, then the host's word on it, then `attest`; a process that is killed between them begins again with `draft`,
    and what was kept already is what `attest` returns.
    """

    def __init__(self, journal: Journal, key: SigningKey, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._key = key
        self._clock = clock

    async def open(self) -> None:
        """Make the tables, and note whose key signs. Call it once, before anything else."""
        key = self._key
        if not await self._journal.store.read(lambda found: _has_table(found) and bool(_known_key(found, key.key_id))):
            await self._journal.store.write(lambda connection: _make_tables(connection, key))

    async def draft(self, consult: str) -> dict[str, Any]:
        """
        What is to be signed of a consult that has ended, without its policy: that is the host's to say.

        Raises LocalProtocolError not_ended; journal_broken where the journal's chain does not hold.
        """
        return draft_of(consult, await self._journal.read(consult))

    async def attest(
        self, draft: Mapping[str, Any], policy: Mapping[str, Any] | None = None, *, software: str = ""
    ) -> Attestation:
        """
        Sign the draft with the policy's part in it; done when it is durable. The one that is kept, where there is one.

        `policy` has what a dated rule of the host's found: `policy`, `date`, `outcome`, `claims`, `reason`.
        """
        plan_policy = draft["policy"]
        content = {
            **draft,
            "policy": {**plan_policy, **policy} if policy is not None else plan_policy,
            "software": software or f"telerelay {telerelay.__version__}",
            "attested_at": self._clock(),
            "key_id": self._key.key_id,
        }
        text = canonical.dumps(content)
        made = Attestation(draft["consult"], content["attested_at"], text.decode(), self._key.sign(text))
        return await self._journal.store.write(lambda connection: _keep(connection, made, self._key))

    async def get(self, consult: str) -> Attestation | None:
        """The attestation of that consult, if there is one."""
        return await self._journal.store.read(lambda connection: kept(connection, consult))

    async def document(self, consult: str) -> bytes | None:
        """The attestation as a file that can be verified without the relay; None where there is none."""
        return await self._journal.store.read(lambda connection: document_in(connection, consult, self._key))


def draft_of(consult: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """As `Attestor.draft`, of the entries of the consult's journal."""
    entries = _up_to_the_end(entries)
    link = links.START
    for seq, entry in enumerate(entries, 1):
        clear = canonical.dumps(dict(entry.clear)).decode()
        link = links.entry_link(
            link,
            consult=consult,
            seq=entry.seq,
            at=entry.at,
            kind=entry.kind,
            clear=clear,
            sealed_hash=entry.sealed_hash,
        )
        if entry.seq != seq or entry.link != link:
            raise LocalProtocolError("journal_broken", f"entry {seq} of the consult is not what was journalled")
    told = [Told(each.seq, each.at, each.kind, each.clear) for each in entries]
    plan = entries[0].clear.get("plan", {})
    return {
        "type": TYPE,
        "statement": STATEMENT,
        **summary(consult, told),
        "policy": {"policy": plan.get("policy", ""), "date": plan.get("policy_date", "")},
        "events": {"count": len(entries), "link": link.hex(), "position": entries[-1].pos},
    }


def _up_to_the_end(entries: Sequence[Entry]) -> Sequence[Entry]:
    """
    The entries that are attested: all but the last fact, which names the attestation.

    Facts may follow the end, so a draft that was made before them and one made after differ; the kept one counts.
    """
    if not any(each.kind == "ended" for each in entries):
        raise LocalProtocolError("not_ended", "only a consult that has ended is attested")
    return [each for each in entries if each.kind != "attested"]


# -------------------------------------------------------------------- kept beside the journal


def _has_table(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'attestations'").fetchone()[0])


def _make_tables(connection: sqlite3.Connection, key: SigningKey) -> None:
    connection.execute(TABLE)
    _know(connection, key)


def _know(connection: sqlite3.Connection, key: SigningKey) -> None:
    connection.execute(SIGNERS)
    connection.execute(
        "INSERT OR IGNORE INTO signers (key_id, public_key) VALUES (?, ?)", (key.key_id, key.public_bytes())
    )


def _known_key(connection: sqlite3.Connection, key_id: str) -> bytes:
    """The public key of that id; empty where it never signed here, or what is kept is not that key."""
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'signers'").fetchone()[0]:
        return b""
    row = connection.execute("SELECT public_key FROM signers WHERE key_id = ?", (key_id,)).fetchone()
    try:
        return row[0] if row and key_id_of(Ed25519PublicKey.from_public_bytes(row[0])) == key_id else b""
    except ValueError:
        return b""


def _keep(connection: sqlite3.Connection, made: Attestation, key: SigningKey) -> Attestation:
    _know(connection, key)
    connection.execute(
        "INSERT OR IGNORE INTO attestations (consult, at, attestation, signature) VALUES (?, ?, ?, ?)",
        (made.consult, made.at, made.text, made.signature),
    )
    found = kept(connection, made.consult)
    assert found is not None
    return found


def kept(connection: sqlite3.Connection, consult: str) -> Attestation | None:
    """The kept attestation of that consult."""
    if not _has_table(connection):
        return None
    row = connection.execute(
        "SELECT consult, at, attestation, signature FROM attestations WHERE consult = ?", (consult,)
    ).fetchone()
    return None if row is None else Attestation(*row)


def consults_attested(connection: sqlite3.Connection) -> list[str]:
    """Those there is an attestation of, those first that ended first."""
    if not _has_table(connection):
        return []
    return [row[0] for row in connection.execute("SELECT consult FROM attestations ORDER BY id")]


# -------------------------------------------------------------------- as a file


def document(attestation: Attestation, entries: Sequence[Entry], public_key: bytes = b"") -> bytes:
    """
    The attestation, its signature, and the facts it was made of with their links, as one line of canonical JSON.

    `public_key`, 32 bytes, says which key it was signed with; whether to believe that key is for others to say.
    """
    count = attestation.content["events"]["count"]
    events = [
        {
            "seq": each.seq,
            "at": each.at,
            "kind": each.kind,
            "clear": dict(each.clear),
            "sealed": each.sealed_hash.hex(),
            "link": each.link.hex(),
        }
        for each in entries[:count]
    ]
    return (
        canonical.dumps(
            {
                "attestation": attestation.content,
                "signature": base64url(attestation.signature),
                "public_key": base64url(public_key),
                "events": events,
            }
        )
        + b"\n"
    )


def document_in(connection: sqlite3.Connection, consult: str, key: SigningKey | None = None) -> bytes | None:
    """
    The document of a consult of a journal; None where it has no attestation.

    The journal knows the keys that signed; `key` may be one that it does not, where an older version wrote it.
    """
    attestation = kept(connection, consult)
    if attestation is None:
        return None
    public_key = _known_key(connection, attestation.key_id)
    if not public_key and key is not None and key.key_id == attestation.key_id:
        public_key = key.public_bytes()
    return document(attestation, schema.entries_of(connection, consult), public_key)
