"""
When each packet of a stream was captured, by the sender reports of the relay (RFC 3550, 6.4.1): what is of one person
is in step by that.

Sans-I/O: all times are Unix seconds of the relay's clock, as its sender reports say them.
"""

WAIT_S = 3.0
"""Reports come each second. A stream without any by then is timed by when its first packet came."""

_NTP_EPOCH_S = 2208988800


def unix_s(ntp: int) -> float:
    """An NTP timestamp of 64 bits as Unix seconds."""
    return (ntp >> 32) - _NTP_EPOCH_S + (ntp & 0xFFFFFFFF) / (1 << 32)


class StreamClock:
    """One stream's; `rate` in Hz."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._first: tuple[float, int] | None = None
        self._report: tuple[float, int] | None = None

    def see(self, now: float, timestamp: int) -> None:
        """A packet came."""
        if self._first is None:
            self._first = now, timestamp

    def report(self, at: float, timestamp: int) -> None:
        """A sender report: that timestamp was at that time."""
        self._report = at, timestamp

    def is_known(self, now: float) -> bool:
        """Whether `at` says what is so."""
        return self._report is not None or (self._first is not None and now - self._first[0] >= WAIT_S)

    def at(self, timestamp: int) -> float:
        """When it was captured; by its arrival, where no report has come."""
        base = self._report or self._first
        assert base is not None, "a packet was seen"
        ahead = (timestamp - base[1]) & 0xFFFFFFFF
        return base[0] + (ahead - (1 << 32) if ahead & 0x80000000 else ahead) / self._rate
