"""
Where the application's rules come in: decisions the relay asks for, events it tells of.

A decision has two seconds; silence or an exception refuses. Events come in order within a room, each at least once as
long as the process lives, and never delay media.
"""

from telerelay.hooks.hooks import EndEvent, Hooks, JoinRequest, NoHooks, PersonEvent, QualityEvent
from telerelay.hooks.runner import DECISION_DEADLINE_S, HookRunner

__all__ = [
    "DECISION_DEADLINE_S",
    "EndEvent",
    "HookRunner",
    "Hooks",
    "JoinRequest",
    "NoHooks",
    "PersonEvent",
    "QualityEvent",
]
