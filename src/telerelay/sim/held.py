"""
The rows of the scoreboard whose bound the relay's own meets: CI fails where one of them is missed again.

Pure: a list. The bound is the scoreboard's, never today's value; a row that comes to be met is added here. Rows of
consults are those of `board.own_pair()`.
"""

HELD: tuple[str, ...] = (
    "utilisation, wired, mean",
    "utilisation, wired, least",
    "p95 queue, 5.1 and 5.2",
    "p99 queue, wired",
    "utilisation, traces, mean, odd",
    "p95 queue, traces, median",
    "p95 queue, traces, median, odd",
    "p95 queue, traces, median, even",
    "own loss, 5.1 to 5.5",
    "own loss, 5.4 and 5.5",
    "queue calm after a drop",
    "90 % after the start",
    "90 % after a step up",
    "90 % after an outage",
    "Jain, three flows (5.4)",
    "Jain, five round trips (5.5)",
    "share beside a TCP (5.6), at least",
    "share beside a TCP (5.6), at most",
    "utilisation at 10 % loss",
    "utilisation at 20 % loss",
    "p95 queue with loss",
    "utilisation, 5.1 with 2 % loss",
    "p95 queue, 5.1 with 2 % loss",
    "p99 queue, 5.1 with 2 % loss",
    "join to top layer, p50 of 50",
    "join to top layer, p95 of 50",
    "first frame behind a round trip, p95 of 50",
    "p95 audio queue, fixed lines",
    "top layer in a join storm, p95",
    "feedback in a join storm",
    "padding in a join storm",
    "… while the queue is long",
    "feedback of media",
    "padding of what is sent",
)
