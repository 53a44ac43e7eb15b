"""
What a participant may know of its own connections: counters, without addresses and without the relay's inner ids.

Pure.
"""

from collections.abc import Mapping

from telerelay.dataplane import StatsReport
from telerelay.dataplane.stats import NO_LAYER

Object = dict[str, object]


def _transport(report: StatsReport, srtp_profile: str) -> Object:
    transport = report.transport
    return {
        "state": transport.state,
        "srtp_profile": srtp_profile,
        "rx_packets": transport.rx_packets,
        "rx_bytes": transport.rx_bytes,
        "tx_packets": transport.tx_packets,
        "tx_bytes": transport.tx_bytes,
        "rtt_us": transport.rtt_us,
    }


def publish_stats(report: StatsReport, srtp_profile: str, mids: Mapping[int, str]) -> Object:
    """`mids`: of each receiver."""
    receivers = [
        {
            "mid": mids.get(each.receiver, ""),
            "encoding": each.encoding,
            "active": each.is_active,
            "rx_packets": each.rx_packets,
            "rx_bytes": each.rx_bytes,
            "keyframes": each.keyframes,
            "lost_packets": each.lost_packets,
            "repaired_packets": each.repaired_packets,
            "nacks": each.nacks,
            "plis": each.plis,
            "jitter_us": each.jitter_us,
            "rate_bps": each.rate_bps,
        }
        for each in report.receivers
    ]
    return {**_transport(report, srtp_profile), "receivers": receivers}


def subscribe_stats(report: StatsReport, srtp_profile: str, publications: Mapping[int, str]) -> Object:
    """`publications`: what each sender carries."""
    senders = [
        {
            "publication": publications.get(each.sender, ""),
            "encoding": 0 if each.encoding == NO_LAYER else each.encoding,
            "tx_packets": each.tx_packets,
            "tx_bytes": each.tx_bytes,
            "resent_packets": each.resent_packets,
            "nacks": each.nacks,
            "plis": each.plis,
            "peer_lost": each.peer_lost,
            "peer_fraction_lost": each.peer_fraction_lost,
            "peer_jitter": each.peer_jitter,
        }
        for each in report.senders
    ]
    return {**_transport(report, srtp_profile), "senders": senders}
