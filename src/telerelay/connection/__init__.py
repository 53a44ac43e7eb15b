"""
One participant's connections: negotiation (sans-I/O) wired to a worker.

asyncio, event loop's thread. A publishing connection takes the client's offers; a subscribing one makes offers of its
own; a WHEP connection takes one offer and fills its sections as tracks come.
"""

from telerelay.connection.publish import PublishConnection, Receiving
from telerelay.connection.source import Source
from telerelay.connection.subscribe import SubscribeConnection
from telerelay.connection.transport import Connection, Site
from telerelay.connection.whep import WhepConnection

__all__ = [
    "Connection",
    "PublishConnection",
    "Receiving",
    "Site",
    "Source",
    "SubscribeConnection",
    "WhepConnection",
]
