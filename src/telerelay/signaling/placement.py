"""
Which worker a new room goes to: the one with the least to do.

Pure; `now` in monotonic seconds comes in. What a worker has to do is packets. What it was seen to do lately is the best
guess at what it will; a room that was opened just now carries none yet, and counts for what a consult usually is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

# Two people at call rate: 180 packets a second each way, in and out of the relay.
CONSULT_PPS = 722.0
# From a room's opening until its packets can be seen: people join, devices are opened, checks are made.
SETTLING_S = 10.0
# Of two looks half a second apart the later one counts for a third: a burst is no load, and a minute is too late.
SMOOTHING = 0.3


@dataclass(slots=True)
class _Load:
    packets: int | None = None
    at: float = 0.0
    rate_pps: float = 0.0
    opened: list[float] = field(default_factory=list)


class Placement:
    """The load of each worker, by its index."""

    def __init__(self) -> None:
        self._loads: dict[int, _Load] = {}

    def seen(self, now: float, worker: int, packets: int) -> None:
        """A worker has carried so many packets by now, in and out; fewer than before: it is another one."""
        load = self._loads.setdefault(worker, _Load())
        if load.packets is not None and now > load.at:
            if packets < load.packets:
                load.rate_pps = 0.0
            else:
                rate = (packets - load.packets) / (now - load.at)
                load.rate_pps += SMOOTHING * (rate - load.rate_pps)
        load.packets, load.at = packets, now
        load.opened = [opened for opened in load.opened if opened > now - SETTLING_S]

    def opened(self, now: float, worker: int) -> None:
        """A room was opened there."""
        self._loads.setdefault(worker, _Load()).opened.append(now)

    def load_pps(self, now: float, worker: int) -> float:
        """What it has to do, packets a second."""
        load = self._loads.get(worker)
        if load is None:
            return 0.0
        return load.rate_pps + CONSULT_PPS * sum(opened > now - SETTLING_S for opened in load.opened)

    def choose(self, now: float, workers: Sequence[tuple[int, int]]) -> int:
        """The index of one of these (index, transports): least load, then fewest transports, then the first."""
        return min(workers, key=lambda each: (self.load_pps(now, each[0]), each[1]))[0]
