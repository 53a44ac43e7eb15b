"""
A process of a row's: takes orders as lines of JSON, answers each, and tells what happens to it.

Event loop of the row. The end of its stdin is the order to end, so it outlives nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rows.figures import HERE

Message = dict[str, Any]

# A machine with ten things going on takes its time, over imports above all.
TIMEOUT_S = 60.0
MAX_LINE_BYTES = 1 << 20


class Failed(Exception):
    """An order was answered with an error; `code` is its word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Process:
    """
    `async with Process(module, …)`: `python -m module …`, started and ended. `events` are what it told, in order.

    `environment` is added to this process's own; what it writes to stderr goes into the file `log`, where one is given.
    """

    timeout_s = TIMEOUT_S
    """How long an order may take."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """`before` is put before the command line."""
        self._command = [*before, sys.executable, "-m", module, *arguments]
        self._environment = dict(environment or {})
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._pidfd = -1
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._changed = asyncio.Event()
        self.events: list[Message] = []
        self.has_ended = False

    async def __aenter__(self) -> Process:
        paths = [str(HERE.parent), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        with self._log.open("wb") if self._log is not None else contextlib.nullcontext() as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self._environment, "PYTHONPATH": os.pathsep.join(paths)},
                limit=MAX_LINE_BYTES,
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(10.0):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        os.close(self._pidfd)

    def signal(self, number: signal.Signals) -> None:
        """Nothing, where it has ended. By its pidfd: subprocess would reap it under the loop's eyes."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.signal(signal.SIGKILL)

    async def do(self, what: str, **fields: Any) -> Message:
        """Have it do something. Raises Failed with its code; ConnectionError if it ended."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self._process.stdin.write(json.dumps({"id": number, "do": what, **fields}).encode() + b"\n")
        try:
            async with asyncio.timeout(self.timeout_s):
                return await answer
        finally:
            del self._asked[number]

    async def event(
        self,
        kind: str,
        is_it: Callable[[Message], bool] = lambda message: True,
        since: int = 0,
        within_s: float = TIMEOUT_S,
    ) -> Message:
        """
        The first thing told of that kind that `is_it`, behind the first `since` of `events`, waited for if need be;
        `at` is when it was, monotonic seconds.
        """
        seen = since
        async with asyncio.timeout(within_s):
            while True:
                for message in self.events[seen:]:
                    if message["type"] == kind and is_it(message):
                        return message
                seen = len(self.events)
                if self.has_ended:
                    raise ConnectionError(f"the process ended before it told of {kind}")
                self._changed.clear()
                await self._changed.wait()

    def forget(self) -> None:
        """What it told so far: something new begins."""
        self.events.clear()

    def count(self, kind: str) -> int:
        """How often it told of that so far."""
        return sum(message["type"] == kind for message in self.events)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message: Message = json.loads(line)
            answer = self._asked.get(message.pop("id", 0))
            if answer is None:
                self.events.append(message)
                self._changed.set()
            elif answer.done():
                continue
            elif "error" in message:
                answer.set_exception(Failed(message["error"], message.get("message", "")))
            else:
                answer.set_result(message)
        self.has_ended = True
        self._changed.set()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the process ended"))
