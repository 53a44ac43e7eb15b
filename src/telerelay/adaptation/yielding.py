"""
Who makes room on a line that several pictures leave a home by: the face, while what is examined lacks it.

Sans-I/O: times are arguments, microseconds. A browser shares a line evenly among its pages, whatever they show, and
knows nothing of another's; so it is the relay that tells those beside a wound to send less.
"""

from dataclasses import dataclass

YIELD_BPS = 150_000
"""What a picture that gives way may have: the least of a face that still moves."""

LACKS_BPS = 1_200_000
"""An examined picture lacks room below that: its task is 720 lines (allocator.md)."""

ENOUGH_BPS = 2 * LACKS_BPS
"""And has it from there on, though its encoder would take more."""

LACKS_US = 5_000_000
"""So long it lacks room before others make some: a call that begins, or a burst, is over by then."""

HOLD_US, HOLD_MOST_US = 10_000_000, 160_000_000
"""So long it has all it wants before the others come back; twice as long where that did not last, up to the second."""

LASTED_US = 30_000_000
"""Others that came back so long ago did not take what is lacking now."""


@dataclass(slots=True)
class Yielding:
    """One line that leaves a home, with an examined picture on it, and others."""

    is_on: bool = False
    _hold_us: int = HOLD_US
    _lacks_since_us: int | None = None
    _has_since_us: int | None = None
    _ended_us: int | None = None

    def look(self, now_us: int, *, examined_bps: int, is_held_back: bool, are_others_held_back: bool) -> bool:
        """
        What comes of the examined picture, and whether its line holds it back, as its client says; whether `is_on` is
        another now. Nobody gives way whose own client has said nothing of a lack: that is another line.
        """
        if not self.is_on:
            if not (is_held_back and are_others_held_back and examined_bps < LACKS_BPS):
                self._lacks_since_us = None
                return False
            if self._lacks_since_us is None:
                self._lacks_since_us = now_us
            if now_us - self._lacks_since_us < LACKS_US:
                return False
            has_failed = self._ended_us is not None and now_us - self._ended_us < LASTED_US
            self._hold_us = min(2 * self._hold_us, HOLD_MOST_US) if has_failed else HOLD_US
            self.is_on, self._lacks_since_us, self._has_since_us = True, None, None
            return True
        if is_held_back and examined_bps < ENOUGH_BPS:
            self._has_since_us = None
        elif self._has_since_us is None:
            self._has_since_us = now_us
        elif now_us - self._has_since_us >= self._hold_us:
            self.is_on, self._ended_us = False, now_us
            return True
        return False
