"""
What is there on a worker that ran before this process did: ids, and what belongs to what.

Values, and the arithmetic of pages. Read once, after attaching.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TransportFound:
    """`room` and `participant` are the numbers control gave it; `state` as in events.TRANSPORT_STATES."""

    transport: int
    room: int
    participant: int
    state: str
    is_admitted: bool
    srtp_profile: str
    local_ufrag: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceiverFound:
    receiver: int
    transport: int


@dataclass(frozen=True, slots=True)
class SenderFound:
    """`receiver` is what it forwards, 0: nothing."""

    sender: int
    transport: int
    receiver: int


Found = TransportFound | ReceiverFound | SenderFound


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of one worker, by id."""

    transports: dict[int, TransportFound]
    receivers: dict[int, ReceiverFound]
    senders: dict[int, SenderFound]
