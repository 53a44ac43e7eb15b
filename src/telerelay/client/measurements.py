"""
Measurements of the Python client: what its devices measure goes out and is kept until it is safe; what others measure
comes in, in order and once.

Event loop of the client. measurements/outbox.py and inbox.py are the two ends; here is the channel between.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from aiortc import RTCDataChannel

from telerelay.client.channels import ChannelOptions
from telerelay.client.participant import Client
from telerelay.errors import TelerelayError
from telerelay.measurements import LABEL, PROTOCOL, Batch, Inbox, Outbox, Series
from telerelay.measurements.schema import HELLO_AGAIN, Value

# What waits here before the next batch is made: a channel that broke loses no more than that, and it is sent again.
SEND_BELOW_BYTES = 65536
# A channel that is another one is noticed after this, if nothing else happens.
LOOK_S = 0.05
# A relay that does not answer a hello by then does not know the channel: another one is opened.
WELCOME_S = 5.0
# Three lost packets in a row, each sent again after aiortc's first timeout of 3 s, and what the rest takes.
OPEN_S = 30.0


class Measurements:
    """
    `async with Measurements(client) as measurements:`, as long as the client is in. With `on_batch(sub, series, batch)`
    it receives, too; `on_gap(sub, series, first, next)` is told what will not come. `clock` is that of the samples'
    times, Unix seconds.
    """

    def __init__(
        self,
        client: Client,
        on_batch: Callable[[str, Series, Batch], None] | None = None,
        on_gap: Callable[[str, Series, int, int], None] = lambda sub, series, first, next: None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._clock = clock
        self._inbox = None if on_batch is None else Inbox(on_batch, on_gap)
        self.outbox = Outbox(receives=on_batch is not None)
        self._sent: dict[Series, Series] = {}
        self._changed = asyncio.Event()
        self._acknowledged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._line: RTCDataChannel | None = None
        self._comebacks = client.comebacks
        self._greeted_at = 0.0

    async def __aenter__(self) -> Measurements:
        channel = await self._client.channel(LABEL, ChannelOptions(protocol=PROTOCOL), self._on_message)
        await channel.opened(OPEN_S)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def declare(self, series: Series) -> Series:
        """
        There is such a series from now on; as it is sent. Its name gets an end of its own: numbers begin at 0 here, and
        a series that another process of the same person numbered is another one.
        """
        sent = self._sent.get(series)
        if sent is None:
            sent = self._sent[series] = replace(series, series=f"{series.series}.{secrets.token_hex(3)}")
            self.outbox.declare(sent)
            self._changed.set()
        return sent

    def record(
        self, series: Series, times: Sequence[float], values: Sequence[Value], device_at: float | None = None
    ) -> int:
        """Samples that follow the last ones; the number of the first. Raises LocalProtocolError as Outbox.record."""
        sent = self.declare(series)
        first = self.outbox.record(sent.device, sent.series, times, values, device_at)
        self._changed.set()
        return first

    async def delivered(self, timeout_s: float = 30.0) -> None:
        """Wait until all that was recorded is acknowledged. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.outbox.kept_samples:
                self._acknowledged.clear()
                await self._acknowledged.wait()

    # ------------------------------------------------------------------ within

    def _on_message(self, data: str | bytes) -> None:
        text = data if isinstance(data, str) else data.decode()
        if text == HELLO_AGAIN:
            self._greeted_at = time.monotonic()
        if self._inbox is None or not self._inbox.on_text(text):
            self.outbox.on_text(text)
            if text == HELLO_AGAIN and self._inbox is not None:
                self.outbox.hello(self._inbox.hello())
            self._acknowledged.set()
        self._changed.set()

    async def _open_another(self, line: RTCDataChannel) -> None:
        line.close()
        with contextlib.suppress(TelerelayError):  # the next look tries again
            await self._client.channel(LABEL, ChannelOptions(protocol=PROTOCOL))

    async def _run(self) -> None:
        channel = self._client.channels[LABEL]
        while True:
            line = channel.line
            if line is not None and (line is not self._line or self._comebacks != self._client.comebacks):
                # Another channel, or another relay behind it, that may know nothing of this one.
                self._line, self._comebacks = line, self._client.comebacks
                self._greeted_at = time.monotonic()
                self.outbox.opened()
                if self._inbox is not None:
                    self.outbox.hello(self._inbox.hello())
            elif line is not None and not self.outbox.is_welcome and time.monotonic() - self._greeted_at > WELCOME_S:
                self._greeted_at = time.monotonic()
                await self._open_another(line)
            while channel.is_open and channel.buffered_bytes < SEND_BELOW_BYTES:
                text = self.outbox.next_text(self._clock())
                if text is None and self._inbox is not None:
                    text = self._inbox.next_text()
                if text is None:
                    break
                channel.send(text)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
