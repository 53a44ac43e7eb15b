"""
The load tester: thousands of real WebRTC peers from one process, against any SFU, every packet accounted for.

`telerelay load` is its door; docs/load.md says how to use it and what each figure means.
"""
