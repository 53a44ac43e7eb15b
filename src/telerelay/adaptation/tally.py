"""
What adaptation did, for an operator: nothing in it is anybody's.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class AdaptationTally:
    """
    Since the process began: pictures held back, ladders given to workers, limits told to publishers, changes of
    speaker, plans for voices (copies, longer packets) given to workers, and calls of an allocator that raised.
    """

    holds: int = 0
    ladders: int = 0
    limits: int = 0
    speakers: int = 0
    voices: int = 0
    failures: int = 0
