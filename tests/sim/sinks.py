"""
What the simulator's tests share: the end of a route that notes what arrives.
"""

from telerelay.sim.packet import Hop, Packet


class Sink:
    """Notes (time in us, seq, queue in us) of all that arrives."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[int, int, int]] = []

    def take(self, now_us: int, packet: Packet) -> None:
        self.arrivals.append((now_us, packet.seq, packet.queue_us))


def send_all(hops: tuple[Hop, ...], times_us: list[int], size_bytes: int = 1_250) -> None:
    """Put one packet on the route at each of those times; only for routes that begin with a plain link."""
    for seq, when_us in enumerate(times_us):
        Packet(hops, size_bytes, when_us, seq).start(when_us)
