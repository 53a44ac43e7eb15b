"""
A call of numbered packets: one end talks, the other has to get each packet once, in order and unchanged.

How a packet travels is the subclass's: `say` sends one, and what arrives is given to `hear`.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time

from support import sealing

INTERVAL_S = 0.01


class Numbered:
    """What was said, and what was heard of it."""

    def __init__(self) -> None:
        self.said = 0
        self.heard: list[int] = []
        self.changed = 0
        """Packets that came with other bytes than they left with."""

    @staticmethod
    def words(number: int) -> bytes:
        """The payload of this packet."""
        return struct.pack("!Q", number) + random.Random(number).randbytes(72)

    def say(self, number: int) -> None:
        """Send this packet."""
        raise NotImplementedError

    async def talk(self) -> None:
        """A packet every INTERVAL_S, until cancelled."""
        due = time.monotonic()
        while True:
            self.say(self.said)
            self.said += 1
            due += INTERVAL_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def hear(self, packet: bytes) -> None:
        """A plain RTP packet that came."""
        payload = packet[sealing.header_size(packet) :]
        number = int.from_bytes(payload[:8], "big")
        self.heard.append(number)
        self.changed += payload != self.words(number)
