"""
When so many have gone that what they left is worth looking for.

Pure, and without imports: worker processes have nothing else.
"""

LEAST_GONE = 100
"""Of people where others are still there: what fewer leave behind is less than a look is worth."""


class Departures:
    """
    Counts who has gone since the last look. One is due once `times` as many have gone as are there; where nobody is
    there it costs next to nothing, and is due once anybody has gone.
    """

    def __init__(self, times: int = 1) -> None:
        self._times = times
        self._gone_at_look = 0

    def is_look_due(self, taken: int, present: int) -> bool:
        """`taken`: who ever came; `present`: who is there now. True at most once for the same departures."""
        gone = taken - present
        enough = max(LEAST_GONE, self._times * present) if present else 1
        if gone - self._gone_at_look < enough:
            return False
        self._gone_at_look = gone
        return True
