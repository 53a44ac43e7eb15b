"""
A WebRTC participant in Python (aiortc): what the demo's bots, the probe and the tests are made of.

Beside the relay, not part of it: nothing on the relay's side imports this.
"""

from telerelay.client.media import MovingPicture, Tone
from telerelay.client.participant import Client, Publication, RemoteTrack, TrackStats
from telerelay.client.whip import publish_whip, subscribe_whep

__all__ = [
    "Client",
    "MovingPicture",
    "Publication",
    "RemoteTrack",
    "Tone",
    "TrackStats",
    "publish_whip",
    "subscribe_whep",
]
