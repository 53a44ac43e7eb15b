"""
Who is in which room, and who may hear whom. Sans-I/O: `now` (monotonic seconds) comes in, effects go out.
"""

from telerelay.rooms.effects import AdmissionChanged, CloseParticipant, Effect, Pause, Route, Tell, Unroute
from telerelay.rooms.participant import Participant
from telerelay.rooms.publication import Publication, TrackDescription
from telerelay.rooms.room import Joined, Room, RoomLimits
from telerelay.rooms.rooms import Rooms

__all__ = [
    "AdmissionChanged",
    "CloseParticipant",
    "Effect",
    "Joined",
    "Participant",
    "Pause",
    "Publication",
    "Room",
    "RoomLimits",
    "Rooms",
    "Route",
    "Tell",
    "TrackDescription",
    "Unroute",
]
