"""
When each packet of a stream was captured, by the sender reports of the relay (RFC 3550, 6.4.1): what is of one person
is in step by that.

Sans-I/O: all times are Unix seconds of the relay's clock, as its sender reports say them. A tap is told only of reports
that were made from the publisher's own.
"""

WAIT_S = 8.0
"""Browsers report sound each 5 s, and the first time after half of that, or 7.5 s. Without any by then, by arrival."""

STRAY_S = 10.0
"""No packet is on its way for so long on a line that carries a call: its stream is on another timeline, or it lies."""

_NTP_EPOCH_S = 2208988800


def unix_s(ntp: int) -> float:
    """An NTP timestamp of 64 bits as Unix seconds."""
    return (ntp >> 32) - _NTP_EPOCH_S + (ntp & 0xFFFFFFFF) / (1 << 32)


class StreamClock:
    """One stream's; `rate` in Hz."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since: float | None = None
        self._quickest: tuple[float, int] = 0.0, 0
        self._report: tuple[float, int] | None = None

    def see(self, now: float, timestamp: int) -> bool:
        """A packet came; whether that is when it could have."""
        if self._since is None:
            self._since, self._quickest = now, (now, timestamp)
        late_s = now - self.at(timestamp)
        if abs(late_s) > STRAY_S:
            return False
        # The packet that hardly waited on its way is nearest to when it was captured. Both are told by this timestamp
        # from now on: half their range is some hours.
        self._quickest = min(now, self.by_arrival(timestamp)), timestamp
        if self._report is not None:
            self._report = self.at(timestamp), timestamp
        return True

    def report(self, at: float, timestamp: int) -> None:
        """A sender report: that timestamp was at that time. One that strays from when packets came is not believed."""
        if self._since is None or abs(at - self.by_arrival(timestamp)) <= STRAY_S:
            self._report = at, timestamp

    def is_known(self, now: float) -> bool:
        """Whether `at` says what is so."""
        return self._report is not None or (self._since is not None and now - self._since >= WAIT_S)

    def at(self, timestamp: int) -> float:
        """When it was captured; by arrival, where no report has come."""
        return self._of(self._report, timestamp) if self._report is not None else self.by_arrival(timestamp)

    def by_arrival(self, timestamp: int) -> float:
        """When it would have come, had it been as quick as the quickest."""
        assert self._since is not None, "a packet was seen"
        return self._of(self._quickest, timestamp)

    def _of(self, base: tuple[float, int], timestamp: int) -> float:
        ahead = (timestamp - base[1]) & 0xFFFFFFFF
        return base[0] + (ahead - (1 << 32) if ahead & 0x80000000 else ahead) / self._rate
