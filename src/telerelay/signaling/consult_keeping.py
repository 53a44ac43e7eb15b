"""
Where the facts of consults are kept, and what hangs on that: the outbox that tells hooks, and the attestations.

Event loop's thread; the disk is the journal's thread's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from telerelay.attest import Attestation, Attestor, SigningKey
from telerelay.config import Config
from telerelay.consult.facts import Fact
from telerelay.consult.plan import ConsultPlan
from telerelay.hooks import AttestRequest, HookRunner
from telerelay.hooks.outbox import Outbox
from telerelay.hooks.source import JournalSource
from telerelay.journal.journal import DAY_S, Journal
from telerelay.journal.schema import OWN, Entry
from telerelay.logs import say
from telerelay.protocol.names import is_room_name

# How often is looked for what is past its time: an hour more or less of a year is none.
EXPIRE_EVERY_S = 3600.0


class Keeping:
    """The journal of one relay. `open` it first, `close` it last; `now` is the consults' clock."""

    def __init__(self, config: Config, hooks: HookRunner, now: Callable[[], float]) -> None:
        self._config = config
        self._hooks = hooks
        self._now = now
        self._journal: Journal | None = None
        self._outbox: Outbox | None = None
        self._attestor: Attestor | None = None
        self._has_any = False

    async def open(self) -> Mapping[str, Sequence[Entry]]:
        """
        All facts of each consult that may have more, by consult. Raises ConfigError.
        """
        key_file = self._config.attest.key_file
        signer = SigningKey.load(Path(key_file)) if key_file else None
        # Without a key of its own a relay signs all the same: one changed byte shows, though not whose word it is.
        key = signer or SigningKey.new()
        journal = await Journal.of_file(self._config.journal.path, self._now, signer)
        try:
            self._attestor = Attestor(journal, key, self._now)
            await self._attestor.open()
            self._has_any = (await journal.head()).pos > 0
            found = await journal.open_consults(is_room_name)
            give_up_s = self._config.hooks.give_up_s
            self._outbox = Outbox(journal.store, JournalSource(journal), self._hooks, give_up_s=give_up_s)
            await self._outbox.start()
        except BaseException:
            await journal.store.close()
            raise
        journal.listen(self._wake)
        self._journal = journal
        return found

    async def close(self) -> None:
        """Tell what can be told, write what waits, and end. Safe twice."""
        if self._outbox is not None:
            await self._outbox.close()
        journal, self._journal = self._journal, None
        if journal is not None:
            await journal.store.close()

    def append(self, consult: str, made: Sequence[Fact]) -> Awaitable[tuple[Entry, ...]]:
        """Write facts down; done when they are durable."""
        self._has_any = True
        return self._opened.append(consult, made)

    async def is_known(self, consult: str) -> bool:
        """Whether there is, or was, a consult of that name."""
        return self._has_any and self._journal is not None and bool(await self._journal.read(consult, limit=1))

    async def entries(self, consult: str) -> tuple[Entry, ...]:
        """What is written down of a consult."""
        return await self._opened.read(consult)

    async def attest(self, plan: ConsultPlan) -> Attestation:
        """
        The attestation of a consult that has ended, made now or, where it was before, as it was made: durable, with
        what the host's policy says of it. Raises what the journal raises.
        """
        assert self._attestor is not None
        draft = await self._attestor.draft(plan.consult)
        request = AttestRequest(plan.consult, plan.policy, plan.policy_date, draft)
        result = await self._hooks.attest(request)
        return await self._attestor.attest(draft, None if result is None else dataclasses.asdict(result))

    async def document(self, consult: str) -> bytes | None:
        """The attestation as a file that is verified without the relay; None where there is none."""
        assert self._attestor is not None
        return await self._attestor.document(consult)

    @property
    def held(self) -> int:
        """Writes that are not durable yet."""
        return 0 if self._journal is None else self._journal.store.held

    @property
    def is_durable(self) -> bool:
        """Whether what is written becomes durable in time."""
        return self._journal is None or self._journal.store.is_durable

    async def expire(self) -> None:
        """Erase what is personal and past its time, now and every hour, until cancelled."""
        while True:
            if count := await self._opened.expire(self._config.journal.retain_days * DAY_S):
                say(logging.INFO, "consults_erased", count=count)
            await asyncio.sleep(EXPIRE_EVERY_S)

    @property
    def journal(self) -> Journal:
        """It, opened."""
        return self._opened

    @property
    def _opened(self) -> Journal:
        assert self._journal is not None
        return self._journal

    def _wake(self, entries: tuple[Entry, ...]) -> None:
        assert self._outbox is not None
        for consult in {entry.consult for entry in entries} - {OWN}:
            self._outbox.wake(consult)
