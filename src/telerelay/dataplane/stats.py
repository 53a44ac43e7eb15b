"""
Counters of a worker and of single transports, as frozen values.

Packets, bytes and microseconds, cumulative since the thing began, unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from telerelay._native import ffi, lib
from telerelay.dataplane.events import TRANSPORT_STATES

NO_LAYER: int = lib.TR_LAYER_ANY
"""In place of a layer's number: nothing is forwarded."""


@cache
def drop_names() -> tuple[str, ...]:
    """
    Every reason a packet may be dropped for, in the order of tr_drop: stats key, metric label, row in
    docs/operations.md.
    """
    return tuple(ffi.string(lib.tr_drop_name(drop)).decode("ascii") for drop in range(1, lib.TR_DROP_COUNT))


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """All that a worker counts. Datagrams of any class but where a name says rtp or rtcp."""

    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_rtp_packets: int
    tx_rtp_packets: int
    rtcp_rx: int
    rtcp_tx: int
    stun_requests: int
    dtls_handshakes: int
    nacks_rx: int
    nacks_tx: int
    resent_packets: int
    plis_rx: int
    plis_tx: int
    receive_calls: int
    send_calls: int
    wakes: int
    paced_packets: int
    paced_us: int
    padding_packets: int
    receivers: int
    senders: int
    thread_cpu_ns: int
    transports: Mapping[str, int]
    """Transports by state, now."""
    drops: Mapping[str, int]
    """Dropped packets by reason; a reason without drops is absent."""


@dataclass(frozen=True, slots=True)
class TransportStats:
    """One transport. `rtt_us` is 0 while unknown; `last_consent_us` is an age."""

    transport: int
    state: str
    is_admitted: bool
    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rtt_us: int
    last_consent_us: int


@dataclass(frozen=True, slots=True)
class LayerRate:
    """
    What a layer takes with all it needs below it, in bits a second of datagrams with IPv4 and UDP headers: `rate_bps`
    in the latest second, `peak_bps` what nine quarters of a second in ten stay within, of the latest five seconds.
    """

    rate_bps: int
    peak_bps: int


@dataclass(frozen=True, slots=True)
class ReceiverStats:
    """
    One encoding of one receiver; `lost_packets` never arrived, not even as a resend; `gaps` counts runs of packets that
    did not come in their turn.
    """

    receiver: int
    encoding: int
    is_active: bool
    rx_packets: int
    rx_bytes: int
    keyframes: int
    lost_packets: int
    repaired_packets: int
    nacks: int
    plis: int
    gaps: int
    jitter_us: int
    rate_bps: int
    layers: tuple[tuple[LayerRate, ...], ...]
    """By spatial and by temporal layer, both from the lowest, as many as came in the latest five seconds."""


@dataclass(frozen=True, slots=True)
class SenderStats:
    """
    One sender; `peer_*` is what the latest receiver report said, jitter in RTP clock units. `nacks` counts packets as
    often as they were asked for, `asked` each once, `asked_runs` the runs they come in. `encoding`, `spatial` and
    `temporal` are the highest of each that is forwarded now, counted from the lowest, NO_LAYER while nothing is.
    """

    sender: int
    receiver: int
    tx_packets: int
    tx_bytes: int
    resent_packets: int
    nacks: int
    asked: int
    asked_runs: int
    plis: int
    peer_lost: int
    peer_fraction_lost: int
    peer_jitter: int
    encoding: int
    spatial: int
    temporal: int


@dataclass(frozen=True, slots=True)
class StatsReport:
    """What GetStats answers about one transport."""

    transport: TransportStats
    receivers: tuple[ReceiverStats, ...]
    senders: tuple[SenderStats, ...]


_WORKER_NUMBERS = tuple(
    name for name in WorkerStats.__dataclass_fields__ if name not in ("thread_cpu_ns", "transports", "drops")
)


def worker_stats(raw: Any, thread_cpu_ns: int) -> WorkerStats:
    """From a `tr_stats *`."""
    numbers = {name: int(getattr(raw, name)) for name in _WORKER_NUMBERS}
    return WorkerStats(
        **numbers,
        thread_cpu_ns=thread_cpu_ns,
        transports={state: int(raw.transports[index]) for index, state in enumerate(TRANSPORT_STATES)},
        drops={name: int(raw.drops[drop]) for drop, name in enumerate(drop_names(), 1) if raw.drops[drop]},
    )


def transport_stats(raw: Any) -> TransportStats:
    """From a `tr_transport_stats *`."""
    return TransportStats(
        transport=raw.transport,
        state=TRANSPORT_STATES[raw.state],
        is_admitted=bool(raw.is_admitted),
        rx_packets=raw.rx_packets,
        rx_bytes=raw.rx_bytes,
        tx_packets=raw.tx_packets,
        tx_bytes=raw.tx_bytes,
        rtt_us=raw.rtt_us,
        last_consent_us=raw.last_consent_us,
    )


def receiver_stats(raw: Any) -> ReceiverStats:
    """From a `tr_receiver_stats *`."""
    return ReceiverStats(
        receiver=raw.receiver,
        encoding=raw.encoding,
        is_active=bool(raw.is_active),
        rx_packets=raw.rx_packets,
        rx_bytes=raw.rx_bytes,
        keyframes=raw.keyframes,
        lost_packets=raw.lost_packets,
        repaired_packets=raw.repaired_packets,
        nacks=raw.nacks,
        plis=raw.plis,
        gaps=raw.gaps,
        jitter_us=raw.jitter_us,
        rate_bps=raw.rate_bps,
        layers=tuple(
            tuple(LayerRate(each.rate_bps, each.peak_bps) for each in raw.layers[spatial][0 : raw.temporal_layers])
            for spatial in range(raw.spatial_layers)
        ),
    )


def sender_stats(raw: Any) -> SenderStats:
    """From a `tr_sender_stats *`."""
    return SenderStats(
        sender=raw.sender,
        receiver=raw.receiver,
        tx_packets=raw.tx_packets,
        tx_bytes=raw.tx_bytes,
        resent_packets=raw.resent_packets,
        nacks=raw.nacks,
        asked=raw.asked,
        asked_runs=raw.asked_runs,
        plis=raw.plis,
        peer_lost=raw.peer_lost,
        peer_fraction_lost=raw.peer_fraction_lost,
        peer_jitter=raw.peer_jitter,
        encoding=raw.encoding,
        spatial=raw.spatial,
        temporal=raw.temporal,
    )
