"""
A mail server of a row's: aiosmtpd, on the row's own loop. It may refuse the first messages, as one that is busy does.
"""

from __future__ import annotations

import asyncio
import email
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, cast

from aiosmtpd.smtp import SMTP


class Mailbox:
    """`async with Mailbox(refuses=2) as box:` is at `box.address`; `messages` are those it took, in order."""

    def __init__(self, refuses: int) -> None:
        self._refuses = refuses
        self._server: asyncio.Server | None = None
        self.refused = 0
        self.messages: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.address = ""
        self._came = asyncio.Event()

    async def __aenter__(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, hostname="box.example"), "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """aiosmtpd's word for a message that has come."""
        if self.refused < self._refuses:
            self.refused += 1
            return "451 come again"
        data = bytes(envelope.content)
        self.raw.append(data)
        self.messages.append(cast(EmailMessage, email.message_from_bytes(data, policy=default)))
        self._came.set()
        return "250 taken"

    async def until_one(self, patience_s: float = 60.0) -> EmailMessage:
        """The first message, once it has come."""
        async with asyncio.timeout(patience_s):
            await self._came.wait()
        return self.messages[0]


def headers(message: EmailMessage) -> str:
    """All headers of a message and of its parts, decoded: what servers on its way may log."""
    return "\n".join(f"{name}: {value}" for part in message.walk() for name, value in part.items())
