"""
What is known of a connection beyond what its worker knows: values that another process can go on from.

Ids are the worker's. Pure.
"""

from dataclasses import dataclass, field

from telerelay.protocol.data import ChannelParameters, DataParameters
from telerelay.protocol.parameters import IceParameters, ReceiveParameters, RemoteTransport, SendParameters
from telerelay.protocol.publish import PublishState
from telerelay.protocol.subscribe import SubscribeState
from telerelay.protocol.whep import WhepState


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One open data channel by its SCTP stream. `is_own`: the peer opened it."""

    stream: int
    parameters: ChannelParameters
    is_own: bool


@dataclass(frozen=True, slots=True)
class TransportState:
    """
    `transport` 0: not opened yet. `state` is what a client was last told, if one is told at all. `data` is the peer's
    end of its data channels, None where there are none.
    """

    transport: int
    ice: IceParameters
    name: str
    remote: RemoteTransport | None
    state: str
    ssrcs: tuple[int, ...]
    data: DataParameters | None = None
    channels: tuple[ChannelState, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivingState:
    receiver: int
    params: ReceiveParameters


@dataclass(frozen=True, slots=True)
class PublishConnectionState:
    """`receiving` by mid."""

    transport: TransportState
    receiving: dict[str, ReceivingState]
    negotiation: PublishState


@dataclass(frozen=True, slots=True)
class SendingState:
    sender: int
    params: SendParameters


@dataclass(frozen=True, slots=True)
class SubscribeConnectionState:
    """`sending` has the sender of each publication; what was negotiated for it is in `negotiation`."""

    transport: TransportState
    sending: dict[str, int]
    negotiation: SubscribeState
    answered: int = 0
    paused: frozenset[str] = field(default_factory=frozenset)
    wants_data: bool = False
    must_restart: bool = False


@dataclass(frozen=True, slots=True)
class WhepConnectionState:
    """`sections` in the order of the client's offer."""

    transport: TransportState
    sections: tuple[SendingState, ...]
    negotiation: WhepState
