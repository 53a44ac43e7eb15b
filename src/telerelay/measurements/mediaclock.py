"""
How one participant's clock stands to the relay's, so that samples and pictures share one time.

Sans-I/O. The relay's sender reports say of a picture when it was taken: by the publisher's clock, plus the least
difference that the publisher's own reports came with (native/src/clock.c). The same rule is used here for the messages
that samples come in: what both ways have in common, the delay of the line, is in both and cancels.
"""

WINDOW_S = 10.0
"""As of the reports: clocks drift half a millisecond in it, and several messages fall into it that hardly waited."""
STEP_S = 5.0
"""A difference further off than this means that their clock was set."""


class MediaClock:
    """
    Seconds that are added to a time of theirs to have it by the relay's clock; `offset_s`: as a process before this
    one had it, so that a first message that was lost and sent again does not say it anew.
    """

    def __init__(self, offset_s: float | None = None) -> None:
        self._offset_s = offset_s
        self._least_s = 0.0 if offset_s is None else offset_s
        self._since = 0.0

    def told(self, now: float, their_s: float, our_s: float) -> None:
        """
        A message left there at `their_s` and came here at `our_s`, both Unix seconds; `now`: monotonic seconds.
        """
        found_s = our_s - their_s
        if self._offset_s is None or abs(found_s - self._offset_s) > STEP_S:
            self._offset_s = self._least_s = found_s
            self._since = now
            return
        self._least_s = min(self._least_s, found_s)
        self._offset_s = min(self._offset_s, found_s)
        if now - self._since >= WINDOW_S:
            # Upwards only after a whole window without anything lower: a longer way, and not one late message.
            self._offset_s, self._least_s, self._since = self._least_s, found_s, now

    def offset_s(self) -> float | None:
        """None: nothing was told yet."""
        return self._offset_s
