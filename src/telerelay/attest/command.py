"""
`telerelay attest`, `telerelay journal` and `telerelay report`: from flags to library calls.

What is for people goes to stderr; with --json the last line of stdout is one JSON object. Exit 0, 1 failed, 2 usage.
"""

import argparse
import asyncio
import contextlib
import datetime
import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from telerelay import config as configuration
from telerelay.attest import report as reports
from telerelay.attest import sign
from telerelay.attest.attestation import consults_attested, document_in
from telerelay.attest.sign import SigningKey, TrustedKeys
from telerelay.attest.verifying import PROBLEMS, Verdict, verify
from telerelay.errors import ConfigError, TelerelayError
from telerelay.journal import Entry, Journal, Store, Verification, canonical, schema
from telerelay.logs import escape

OK, FAILED, USAGE = 0, 1, 2


# -------------------------------------------------------------------- attestations


def new_key(options: argparse.Namespace) -> int:
    if not options.new_key:
        print("telerelay attest: give --new-key FILE, or one of verify, export", file=sys.stderr)
        return USAGE
    key = sign.write_new_key(Path(options.new_key))
    print(f"key {key.key_id}; give {options.new_key}.pub to whoever verifies", file=sys.stderr)
    return OK


def verify_files(options: argparse.Namespace) -> int:
    trusted = TrustedKeys.load(map(Path, options.key)) if options.key else None
    rows = []
    for name, number, data in _lines(options.files):
        verdict = verify(data, trusted)
        rows.append(_row(verdict, name, number))
        print(_sentence(verdict, name, number), file=sys.stderr)
    is_good = bool(rows) and all(row["is_good"] for row in rows)
    if not rows:
        print("telerelay attest: there is no attestation in these files", file=sys.stderr)
    if options.json:
        print(json.dumps({"is_good": is_good, "files": rows}))
    return OK if is_good else FAILED


def _lines(files: list[str]) -> Iterator[tuple[str, int, bytes]]:
    """Each attestation with the file it is in and its line. Raises TelerelayError bad_file."""
    for name in files:
        try:
            with Path(name).open("rb") as file:
                for number, line in enumerate(file, 1):
                    yield name, number, line
        except OSError as error:
            raise TelerelayError("bad_file", f"cannot read {name}: {error.strerror}") from None


def _row(verdict: Verdict, name: str, number: int) -> dict[str, Any]:
    return {
        "file": name,
        "line": number,
        "is_good": verdict.is_good,
        "is_trusted": verdict.is_trusted,
        "consult": verdict.consult,
        "key_id": verdict.key_id,
        "digest": verdict.digest,
        "events": verdict.events,
        "problems": verdict.problems,
        "broken_at": verdict.seq,
        "fields": verdict.fields,
    }


def _sentence(verdict: Verdict, name: str, number: int) -> str:
    where = f"{name}:{number}"
    if verdict.is_good:
        trust = "of a trusted key" if verdict.is_trusted else "unchanged; whether to trust its key is yours to say"
        return f"{where}: good, {trust} ({escape(verdict.key_id)}), {verdict.events} facts"
    what = "; ".join(PROBLEMS[problem] for problem in verdict.problems)
    if verdict.seq is not None:
        what += f", fact {verdict.seq} the first"
    if verdict.fields:
        what += f": {', '.join(verdict.fields)}"
    return f"{where}: NOT good: {what}"


def export(options: argparse.Namespace) -> int:
    count, key = 0, _configured_key(options)
    with _reading(options) as connection:
        for consult in options.consult or consults_attested(connection):
            data = document_in(connection, consult, key)
            if data is None:
                raise TelerelayError("not_found", f"there is no attestation of {escape(consult)}")
            if options.out:
                _write(Path(options.out) / f"{consult}.json", data)
            else:
                sys.stdout.buffer.write(data)
            count += 1
    sys.stdout.flush()
    print(f"{count} attestations", file=sys.stderr)
    if options.json and options.out:
        print(json.dumps({"attestations": count, "out": options.out}))
    return OK


def _configured_key(options: argparse.Namespace) -> SigningKey | None:
    """The key that the configuration names. Raises ConfigError."""
    name = configuration.load(options.config).attest.key_file if options.config else ""
    return SigningKey.load(Path(name)) if name else None


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise TelerelayError("bad_file", f"cannot write {path}: {error.strerror}") from None


# -------------------------------------------------------------------- journals


@contextlib.contextmanager
def _reading(options: argparse.Namespace) -> Iterator[sqlite3.Connection]:
    """The journal, for reading alone; a relay may be writing it. Raises ConfigError."""
    path = _path(options)
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            if not schema.has_tables(connection):
                raise ConfigError("bad_file", f"{path} is no journal")
            yield connection
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise ConfigError("bad_file", f"cannot read the journal {path}: {error}") from None


def _path(options: argparse.Namespace) -> Path:
    name = options.journal or (configuration.load(options.config).journal.path if options.config else "")
    if not name:
        raise ConfigError("no_journal", "give --journal FILE, or --config with journal.path")
    if not Path(name).is_file():
        raise ConfigError("bad_file", f"there is no journal {name}")
    return Path(name)


def verify_journal(options: argparse.Namespace) -> int:
    keys = TrustedKeys.load(map(Path, options.key)) if options.key else None
    with _reading(options) as connection:
        verdict = Verification(connection, keys).whole()
        problems = [
            {"position": each.pos, "what": each.what, "consult": each.consult, "seq": each.seq}
            for each in verdict.problems
        ]
        if options.anchor and not _holds(connection, options.anchor):
            problems.append(
                {"position": int(options.anchor.partition(":")[0]), "what": "anchor", "consult": "", "seq": 0}
            )
    print(
        f"{verdict.entries} entries of {verdict.consults} consults, {verdict.erased} erased, {verdict.anchors} anchors;"
        f" signed up to entry {verdict.anchored}",
        file=sys.stderr,
    )
    for each in problems:
        print(f"entry {each['position']}: {each['what']} {escape(each['consult'])} {each['seq']}", file=sys.stderr)
    print("the journal is good" if not problems else "the journal is NOT good", file=sys.stderr)
    if options.json:
        print(
            json.dumps(
                {
                    "is_good": not problems,
                    "entries": verdict.entries,
                    "consults": verdict.consults,
                    "erased": verdict.erased,
                    "anchors": verdict.anchors,
                    "anchored": verdict.anchored,
                    "problems": problems,
                }
            )
        )
    return FAILED if problems else OK


def _holds(connection: sqlite3.Connection, anchor: str) -> bool:
    pos, separator, link = anchor.partition(":")
    if not separator or not pos.isdigit():
        raise ConfigError("usage", "--anchor must be POS:LINK, as the log's journal_anchor has count and link")
    row = connection.execute("SELECT file_link FROM entries WHERE pos = ?", (int(pos),)).fetchone()
    return row is not None and row[0].hex() == link.lower()


def show(options: argparse.Namespace) -> int:
    with _reading(options) as connection:
        if options.consult is None:
            query = "SELECT consult, seq, last_at, is_open, is_erased FROM consults WHERE consult != ? ORDER BY id"
            rows = [
                {
                    "consult": row[0],
                    "facts": row[1],
                    "last_at": row[2],
                    "is_open": bool(row[3]),
                    "is_erased": bool(row[4]),
                }
                for row in connection.execute(query, (schema.OWN,))
            ]
        else:
            rows = [_shown(each, options.personal) for each in schema.entries_of(connection, options.consult)]
    if options.json:
        print(json.dumps({"consults" if options.consult is None else "facts": rows}))
        return OK
    for row in rows:
        print(" ".join(_cell(name, value) for name, value in row.items()))
    return OK


def _shown(entry: Entry, has_personal: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"seq": entry.seq, "at": entry.at, "kind": entry.kind, "clear": dict(entry.clear)}
    if has_personal:
        row["personal"] = None if entry.personal is None else dict(entry.personal)
    return row


def _cell(name: str, value: Any) -> str:
    if name in ("at", "last_at"):
        return datetime.datetime.fromtimestamp(value, datetime.UTC).isoformat(timespec="milliseconds")
    if isinstance(value, bool):
        return f"{name}={str(value).lower()}"
    return json.dumps(value) if isinstance(value, dict) else escape(value)


def erase(options: argparse.Namespace) -> int:
    path = _path(options)
    erased = asyncio.run(_erase_all(str(path), options.consults, _configured_key(options)))
    for consult in (consult for consult, is_erased in erased.items() if not is_erased):
        print(f"{escape(consult)}: there is no such consult, or it was erased before", file=sys.stderr)
    print(f"erased {sum(erased.values())} of {len(erased)}", file=sys.stderr)
    if options.json:
        print(json.dumps({"erased": erased}))
    return OK if all(erased.values()) else FAILED


async def _erase_all(path: str, consults: list[str], signer: SigningKey | None) -> dict[str, bool]:
    # Beside a relay that may be running: nothing is taken over.
    store = await Store.open(path, is_owner=False)
    try:
        journal = await Journal.open(store, time.time, signer)
        return {consult: await journal.erase(consult) for consult in consults}
    finally:
        await store.close()


# -------------------------------------------------------------------- reports


def report(options: argparse.Namespace) -> int:
    trusted = TrustedKeys.load(map(Path, options.key)) if options.key else None
    found = _Found(options.files, trusted)
    try:
        if options.files:
            result = reports.report(found.of_files(), options.zone)
        else:
            with _reading(options) as connection:
                result = reports.report(found.of_journal(connection), options.zone)
    except reports.NotOne:
        raise TelerelayError("bad_file", f"{found.place} is no attestation") from None
    except ValueError as error:
        raise TelerelayError("bad_file", str(error)) from None
    for line in reports.text(result):
        print(line, file=sys.stderr)
    if options.html:
        _write(Path(options.html), reports.page(result).encode())
    if options.json:
        print(json.dumps(result.to_json()))
    return OK


class _Found:
    """What there is to report, each attestation once; `place` says where the latest is, for people."""

    def __init__(self, files: list[str], trusted: TrustedKeys | None) -> None:
        self._files = files
        self._trusted = trusted
        self.place = ""

    def of_files(self) -> Iterator[dict[str, Any]]:
        """Raises ValueError; NotOne for what is no JSON of an attestation."""
        seen: set[bytes] = set()
        for name, number, line in _lines(self._files):
            self.place = f"{name}:{number}"
            if self._trusted is not None and not verify(line, self._trusted).is_good:
                raise ValueError(f"{self.place} is not signed with a key that was given, or was changed")
            try:
                attestation = canonical.loads(line)["attestation"]
                digest = hashlib.sha256(canonical.dumps(attestation)).digest()
            except (ValueError, TypeError, KeyError):
                raise reports.NotOne from None
            if digest not in seen:  # however it was exported: with the key that signed it, or without
                seen.add(digest)
                yield attestation

    def of_journal(self, connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
        """Raises ValueError."""
        if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'attestations'").fetchone()[0]:
            return
        query = "SELECT id, attestation, signature FROM attestations ORDER BY id"
        for number, text, signature in connection.execute(query):
            self.place = f"attestation {number} of the journal"
            attestation = json.loads(text)
            if self._trusted is not None:
                key_id = attestation["key_id"]
                if key_id not in self._trusted or not self._trusted.is_signed(key_id, text.encode(), signature):
                    raise ValueError(
                        f"an attestation is not signed with a key that was given: {escape(attestation['consult'])}"
                    )
            yield attestation
