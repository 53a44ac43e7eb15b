"""
Who has a seat and measures, or has measurements sent: what a booth's process and an onlooker's do alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Seated:
    """Of a process: its client, and its measurements, once there are any."""

    def __init__(self) -> None:
        self._client: Any = None
        self._measuring: Any = None

    async def request(self, kind: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(await self._client.request(kind, **fields))

    async def leave(self) -> Mapping[str, Any]:
        """Give up the seat; what was not acknowledged goes with it."""
        measuring, self._measuring = self._measuring, None
        if measuring is not None:
            await measuring.__aexit__(None, None, None)
        client, self._client = self._client, None
        if client is not None:
            await client.leave()
        return {}
