"""
The data plane as Python sees it: workers, ids, events, counters. The only importer of telerelay._native.

Everything here runs on the event loop's thread, but for `process`, which is a program of its own. No packet of media
comes this way but those of a tap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telerelay.dataplane.certificate import Certificate, make_certificate
    from telerelay.dataplane.counts import Count, Rate
    from telerelay.dataplane.events import (
        DataReceived,
        LineEstimate,
        PathChanged,
        ReceiverActive,
        ReceiverIdle,
        SenderHeld,
        Tapped,
        TransportStateChanged,
        WorkerEvent,
        WorkerStopped,
    )
    from telerelay.dataplane.hosts import ProcessHost, ThreadHost
    from telerelay.dataplane.inventory import Inventory
    from telerelay.dataplane.settings import WorkerSettings
    from telerelay.dataplane.stats import ReceiverStats, SenderStats, StatsReport, TransportStats, WorkerStats
    from telerelay.dataplane.worker import Worker

_HOMES = {
    "Certificate": "certificate",
    "Count": "counts",
    "DataReceived": "events",
    "Inventory": "inventory",
    "LineEstimate": "events",
    "PathChanged": "events",
    "ProcessHost": "hosts",
    "Rate": "counts",
    "ReceiverActive": "events",
    "ReceiverIdle": "events",
    "ReceiverStats": "stats",
    "SenderHeld": "events",
    "SenderStats": "stats",
    "StatsReport": "stats",
    "Tapped": "events",
    "ThreadHost": "hosts",
    "TransportStateChanged": "events",
    "TransportStats": "stats",
    "Worker": "worker",
    "WorkerEvent": "events",
    "WorkerSettings": "settings",
    "WorkerStats": "stats",
    "WorkerStopped": "events",
    "make_certificate": "certificate",
}

__all__ = [
    "Certificate",
    "Count",
    "DataReceived",
    "Inventory",
    "LineEstimate",
    "PathChanged",
    "ProcessHost",
    "Rate",
    "ReceiverActive",
    "ReceiverIdle",
    "ReceiverStats",
    "SenderHeld",
    "SenderStats",
    "StatsReport",
    "Tapped",
    "ThreadHost",
    "TransportStateChanged",
    "TransportStats",
    "Worker",
    "WorkerEvent",
    "WorkerSettings",
    "WorkerStats",
    "WorkerStopped",
    "make_certificate",
]


def __getattr__(name: str) -> object:
    """Imported when first asked for (PEP 562), so that `process` runs without asyncio and all that is above it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
