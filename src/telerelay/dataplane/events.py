"""
What a worker tells: frozen values made from the records of its event ring.

Ids are the numbers control chose; addresses reach no log and no peer, and are only compared with each other.
"""

from dataclasses import dataclass, field

TRANSPORT_STATES = ("new", "checked", "connected", "disconnected", "failed", "closed")
"""By tr_transport_state."""

ESTIMATE_MODES = ("free", "draining", "contested", "silent", "told")
"""
By tr_estimator_mode: the line is free; its queue is drained; others hold it full; no feedback comes; receiver reports
and REMB decide.
"""

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
class Tapped:
    """What a sender of a tap sent: one RTP packet, or one compound of RTCP, as its peer would have opened it."""

    transport: int
    is_rtcp: bool
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LineEstimate:
    """
    What a transport's peer can be sent now, bits a second on the wire, and how its line is: `queue_us` that our packets
    wait on it, `pacer_us` the longest that one waited in the relay for it since the last of these events, `rtt_us` from
    a packet to its feedback (0: unknown), `loss` from 0 to 1 of the latest second, `mode` one of ESTIMATE_MODES.
    `estimate_bps` is what the line carries, whatever waits here and whether it is heard of just now; `rung` how many of
    the ladder's are taken. Told on a change of a tenth, of mode or of rung, at most five times a second, and every two
    seconds while media flows; only where `Worker.set_downlink` asked for it.
    """

    transport: int
    target_bps: int
    queue_us: int
    rtt_us: int
    loss: float
    mode: str
    pacer_us: int = 0
    estimate_bps: int = 0
    rung: int = 0


@dataclass(frozen=True, slots=True)
class SenderHeld:
    """The ladder holds a sender of the transport back for lack of room on its line, or no longer does."""

    transport: int
    sender: int
    is_held: bool


@dataclass(frozen=True, slots=True)
class WorkerStopped:
    """The worker's thread has ended; nothing follows."""


WorkerEvent = (
    TransportStateChanged
    | PathChanged
    | ReceiverActive
    | ReceiverIdle
    | DataReceived
    | Tapped
    | LineEstimate
    | SenderHeld
    | WorkerStopped
)
