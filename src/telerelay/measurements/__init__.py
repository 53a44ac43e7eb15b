"""
Measurements of a consult: what devices measure, in order and none lost, from whoever sends to whoever receives.

Sans-I/O: schema.py says what a measurement is and reads messages, outbox.py is the sender's end, exchange.py the
relay's, inbox.py the receiver's, mediaclock.py lines their times up with pictures. docs/measurements.md has the whole.
"""

from telerelay.measurements.exchange import Exchange, Limits, Position, Receiver
from telerelay.measurements.inbox import Inbox
from telerelay.measurements.mediaclock import MediaClock
from telerelay.measurements.outbox import Outbox
from telerelay.measurements.schema import LABEL, PROTOCOL, Batch, Series, SeriesKey

__all__ = [
    "LABEL",
    "PROTOCOL",
    "Batch",
    "Exchange",
    "Inbox",
    "Limits",
    "MediaClock",
    "Outbox",
    "Position",
    "Receiver",
    "Series",
    "SeriesKey",
]
