"""
Who gets what of a line that does not carry everything: a ladder of layers for each receiver.

Sans-I/O. Control says once what is worth how much; a worker climbs the ladder alone, with the estimate of the line.
docs/allocator.md says in words what is decided, and how an application puts its own class here.
"""

from telerelay.allocator.consult import ConsultAllocator
from telerelay.allocator.dynacast import Dynacast, SoleLimit, following
from telerelay.allocator.ladder import MAX_RUNGS, Allocator, Ladder, Rung
from telerelay.allocator.rates import SteadyRates
from telerelay.allocator.survival import VoiceLook, VoicePlan, VoiceRule, copies_bps
from telerelay.allocator.tracks import PRIORITY_OF, Layer, Profile, Purpose, Track

__all__ = [
    "MAX_RUNGS",
    "PRIORITY_OF",
    "Allocator",
    "ConsultAllocator",
    "Dynacast",
    "Ladder",
    "Layer",
    "Profile",
    "Purpose",
    "Rung",
    "SoleLimit",
    "SteadyRates",
    "Track",
    "VoiceLook",
    "VoicePlan",
    "VoiceRule",
    "copies_bps",
    "following",
]
