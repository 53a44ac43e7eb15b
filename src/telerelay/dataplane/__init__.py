"""
The data plane as Python sees it: workers, ids, events, counters. The only importer of telerelay._native.

Everything here runs on the event loop's thread; no packet ever comes this way.
"""

from telerelay.dataplane.certificate import Certificate, make_certificate
from telerelay.dataplane.events import (
    DataReceived,
    PathChanged,
    ReceiverActive,
    ReceiverIdle,
    TransportStateChanged,
    WorkerEvent,
    WorkerStopped,
)
from telerelay.dataplane.stats import ReceiverStats, SenderStats, StatsReport, TransportStats, WorkerStats
from telerelay.dataplane.worker import Worker, WorkerSettings

__all__ = [
    "Certificate",
    "DataReceived",
    "PathChanged",
    "ReceiverActive",
    "ReceiverIdle",
    "ReceiverStats",
    "SenderStats",
    "StatsReport",
    "TransportStateChanged",
    "TransportStats",
    "Worker",
    "WorkerEvent",
    "WorkerSettings",
    "WorkerStats",
    "WorkerStopped",
    "make_certificate",
]
