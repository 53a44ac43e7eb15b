"""
What is there on a worker that ran before this process did: ids, and what belongs to what.

Pure values. Event loop's thread, which takes an inventory once, after attaching.
"""

from collections.abc import Iterable
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
    """`receiver` is what it forwards, 0: nothing. `is_held`: its transport's ladder holds it back."""

    sender: int
    transport: int
    receiver: int
    is_held: bool = False


Found = TransportFound | ReceiverFound | SenderFound


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of one worker, by id; `receivers_of` and `senders_of` have the ids of what hangs on each transport."""

    transports: dict[int, TransportFound]
    receivers: dict[int, ReceiverFound]
    senders: dict[int, SenderFound]
    receivers_of: dict[int, set[int]]
    senders_of: dict[int, set[int]]

    @classmethod
    def of(cls, found: Iterable[Found]) -> "Inventory":
        all_of = cls({}, {}, {}, {}, {})
        for each in found:
            match each:
                case TransportFound():
                    all_of.transports[each.transport] = each
                case ReceiverFound():
                    all_of.receivers[each.receiver] = each
                    all_of.receivers_of.setdefault(each.transport, set()).add(each.receiver)
                case SenderFound():
                    all_of.senders[each.sender] = each
                    all_of.senders_of.setdefault(each.transport, set()).add(each.sender)
        return all_of
