"""
How good a call is for one person and one direction: from counters to a score of 1 to 5 and its worst cause.

Sans-I/O: nothing here reads a clock, awaits or logs.
"""

from telerelay.quality.meter import Meter, Stream
from telerelay.quality.model import CAUSES, AudioLeg, Quality, VideoLeg, audio_mos, judge, video_mos
from telerelay.quality.told import DIRECTIONS, Direction, Tally, Told

__all__ = [
    "CAUSES",
    "DIRECTIONS",
    "AudioLeg",
    "Direction",
    "Meter",
    "Quality",
    "Stream",
    "Tally",
    "Told",
    "VideoLeg",
    "audio_mos",
    "judge",
    "video_mos",
]
