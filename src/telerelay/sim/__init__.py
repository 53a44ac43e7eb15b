"""
The network simulator: bad lines, senders and rate controllers in simulated time, and figures of how each fared.

`telerelay simulate` is its door; docs/simulator.md says what is simulated, how, and within what limits.
"""
