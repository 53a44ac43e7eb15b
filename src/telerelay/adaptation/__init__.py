"""
One room's adaptation to everybody's line: who gets which layers and which copies of voices, what is worth sending, who
speaks.

Sans-I/O: what workers count and tell comes in with its time, what is to be told to workers and people comes out.
signaling/adapting.py carries both; docs/allocator.md has the rules in words.
"""

from telerelay.adaptation.degrading import How
from telerelay.adaptation.room import Decisions, Feed, Lacking, Line, RoomAdaptation
from telerelay.adaptation.speaker import Speaker
from telerelay.adaptation.tally import AdaptationTally
from telerelay.adaptation.voices import Voices

__all__ = ["AdaptationTally", "Decisions", "Feed", "How", "Lacking", "Line", "RoomAdaptation", "Speaker", "Voices"]
