"""
Memory of this process that nobody uses any more, back to the system.

A heap is as large as the most people at once made it, and keeps its holes for the next ones. While people come and go
that is right: holes are filled again. Once most of them have gone it is not. Any thread.
"""

from telerelay._native import lib

WORTH_IT = 7
"""
Times as many have gone as are there: an eighth of who there was, at the most, is left then. In a storm of comings and
goings it is seldom true, so that pages are not given back to be taken again.
"""


def give_back() -> bool:
    """
    Whole pages of all heaps of C, whichever thread made them: some milliseconds after hundreds of people. Whether there
    were any.
    """
    return bool(lib.tr_heap_trim())
