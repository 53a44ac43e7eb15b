"""
One packet on its way through simulated links.

Pure. A packet is made once and handed from hop to hop; nobody copies it.
"""

from typing import Any, Protocol

IP_UDP_BYTES = 28
"""IPv4 and UDP headers without options (RFC 791, RFC 768)."""

RTP_BYTES = 20
"""The RTP header (12) and one header extension with the transport-wide number (8 with its preamble; RFC 8285)."""

OVERHEAD_BYTES = IP_UDP_BYTES + RTP_BYTES
"""What a media packet has besides its payload; every rate in the simulator counts it."""


class Hop(Protocol):
    """Whatever takes packets: a link, or the receiver at the end of a route."""

    def take(self, now_us: int, packet: "Packet") -> None:
        """The packet has arrived here."""


class Packet:
    """
    `size_bytes` is what it has on the wire, IP and UDP included; `sent_us` is when it left its sender.

    `queue_us` grows with each link by the time it waited and was put on the line: one-way delay without propagation
    and jitter. `extra_us` is propagation of the flow's own, added by the last link.
    """

    __slots__ = ("content", "extra_us", "hop", "queue_us", "route", "sent_us", "seq", "size_bytes")

    def __init__(
        self,
        route: tuple[Hop, ...],
        size_bytes: int,
        sent_us: int,
        seq: int = 0,
        content: Any = None,
        extra_us: int = 0,
    ) -> None:
        self.route = route
        self.hop = 0
        self.size_bytes = size_bytes
        self.sent_us = sent_us
        self.queue_us = 0
        self.extra_us = extra_us
        self.seq = seq
        self.content = content

    def start(self, now_us: int) -> None:
        """Hand it to the first hop of its route."""
        self.route[0].take(now_us, self)


def arrive(now_us: int, packet: Packet) -> None:
    """Hand a packet that has crossed a link to the next hop."""
    packet.hop = hop = packet.hop + 1
    packet.route[hop].take(now_us, packet)
