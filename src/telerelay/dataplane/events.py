"""
What a worker tells: frozen values made from the records of its event ring.

Ids are the numbers control chose; addresses are for the operator's eyes only and reach no log and no peer.
"""

from dataclasses import dataclass, field

TRANSPORT_STATES = ("new", "checked", "connected", "disconnected", "failed", "closed")
"""By tr_transport_state."""

SRTP_PROFILES = {0x01: "AES_CM_128_HMAC_SHA1_80", 0x07: "AEAD_AES_128_GCM", 0x08: "AEAD_AES_256_GCM"}
"""By the low byte of the number in RFC 5764, 4.1.2, and RFC 7714, 14.2."""


@dataclass(frozen=True, slots=True)
class TransportStateChanged:
    """A transport moved; `reason` is a stable code where it failed, else empty."""

    transport: int
    state: str
    srtp_profile: str
    reason: str


@dataclass(frozen=True, slots=True)
class PathChanged:
    """Media of a transport now takes another path: "address port" on both ends."""

    transport: int
    local: str = field(repr=False)
    remote: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReceiverActive:
    """An encoding of a receiver began to arrive."""

    receiver: int
    encoding: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class ReceiverIdle:
    """An encoding of a receiver has not been heard of for a while."""

    receiver: int
    encoding: int
    ssrc: int


@dataclass(frozen=True, slots=True)
class DataReceived:
    """One DTLS record's worth of application data (SCTP)."""

    transport: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """The worker's thread has ended; nothing follows."""


WorkerEvent = TransportStateChanged | PathChanged | ReceiverActive | ReceiverIdle | DataReceived | WorkerStopped
