"""
`telerelay hooks dead|replay`: the letters that never arrived, and having them told again.

Works on the journal's file beside a running relay, which notices within seconds; without one they are told when it
starts. Everything for people goes to stderr; with --json the last line of stdout is one object.
"""

import argparse
import asyncio
import datetime
import json
import sqlite3
import sys
from dataclasses import asdict
from pathlib import Path

from telerelay import config as configuration
from telerelay.errors import ConfigError
from telerelay.hooks import letters
from telerelay.hooks.letters import Letter
from telerelay.journal import Store

OK, USAGE = 0, 2


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit code. Raises ConfigError."""
    if options.what == "replay" and bool(options.consult) == options.all:
        print("telerelay hooks: replay wants --consult ID, or --all", file=sys.stderr)
        return USAGE
    if options.sequence and not options.consult:
        print("telerelay hooks: --sequence is of a --consult", file=sys.stderr)
        return USAGE
    path = options.journal or _configured(options.config)
    if not path.is_file():
        raise ConfigError("bad_file", f"there is no journal {path}")
    found = asyncio.run(_listed(path, options) if options.what == "dead" else _queued(path, options))
    if options.json:
        print(json.dumps(found))
    return OK


async def _listed(path: Path, options: argparse.Namespace) -> dict[str, object]:
    def read(connection: sqlite3.Connection) -> list[Letter]:
        return letters.letters(connection, consult=options.consult) if letters.has_tables(connection) else []

    store = await Store.open(str(path), is_owner=False)
    try:
        found = await store.read(read)
    finally:
        await store.close()
    for letter in found:
        print(_line(letter), file=sys.stderr)
    print(f"{len(found)} dead letters" if found else "no dead letters", file=sys.stderr)
    return {"dead": [{"key": letter.key, **asdict(letter)} for letter in found]}


async def _queued(path: Path, options: argparse.Namespace) -> dict[str, object]:
    def write(connection: sqlite3.Connection) -> int:
        if not letters.has_tables(connection):
            return 0
        return letters.queue(connection, consult=options.consult, sequence=options.sequence)

    store = await Store.open(str(path), is_owner=False)
    try:
        count = await store.write(write)
    finally:
        await store.close()
    print(f"{count} letters will be told again by the relay", file=sys.stderr)
    return {"queued": count}


def _configured(path: Path | None) -> Path:
    found = configuration.load(path).journal.path
    if not found:
        raise ConfigError("no_journal", "no journal: give --journal FILE, or a configuration with journal.path")
    return Path(found)


def _line(letter: Letter) -> str:
    status = f" {letter.status}" if letter.status else ""
    queued = ", to be told again" if letter.is_queued else ""
    return (
        f"{letter.key} {letter.kind}: {letter.why}{status}, {letter.attempts} tries from {_time(letter.first_at)}"
        f" to {_time(letter.dead_at)}{queued}"
    )


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
