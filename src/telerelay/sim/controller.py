"""
What a rate controller is to the simulator: numbers in, numbers out.

Sans-I/O: a controller is told what was sent and what the peer reported, with the time; it answers with rates. That is
also all that a compiled one has to do: each method has plain integers or a flat list of them, so that the product's
own estimator is plugged in by a class of some thirty lines that copies the results into an array of C structs, with
nothing of it simulated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

LOST = -1
"""Instead of a time of arrival."""

NO_PROBE = -1
"""Of a packet that belongs to no probe."""

TICK_US = 25_000
"""How often a controller is given the time: GoogCC's process interval; a compiled one may ignore ticks in between."""


class Result(NamedTuple):
    """
    What feedback says of one packet: `seq` is its transport-wide number, not wrapped; `size_bytes` is on the wire.

    `received_us` is the receiver's clock in steps of 250 us (the feedback format's), or LOST. A packet reported LOST
    may be reported again, as received, when it was only late.
    """

    seq: int
    size_bytes: int
    sent_us: int
    received_us: int
    probe_id: int


@dataclass(frozen=True, slots=True)
class Probe:
    """A cluster the controller wants: at `rate_bps` for at least so many bytes and packets; `probe_id` comes back."""

    probe_id: int
    rate_bps: int
    least_bytes: int
    least_packets: int = 5


@dataclass(frozen=True, slots=True)
class Bounds:
    """The rates a controller starts with and stays within, bit/s on the wire."""

    start_bps: int = 300_000
    min_bps: int = 150_000
    max_bps: int = 1_500_000


class Controller(Protocol):
    """
    One sender's rate controller. Times are integer microseconds and never go back.

    After any call, `target_bps` is what to send at most, `pacing_bps` how fast to let go of what is queued, and
    `padding_bps` the rate to fill up to where there is not enough media (0: do not pad).
    """

    target_bps: int
    pacing_bps: int
    padding_bps: int

    def on_packet_sent(self, now_us: int, seq: int, size_bytes: int, probe_id: int) -> None:
        """One packet has left the pacer."""

    def on_feedback(self, now_us: int, results: Sequence[Result]) -> None:
        """One transport-wide feedback has come, its packets in order of their numbers."""

    def on_time(self, now_us: int, queued_bytes: int) -> None:
        """Every TICK_US; `queued_bytes` wait in the pacer."""

    def on_demand(self, now_us: int, wanted_bps: int) -> None:
        """How much the sender could use, where that has changed."""

    def next_probe(self) -> Probe | None:
        """A probe to send now, if there is one; asked after every other call until None."""
