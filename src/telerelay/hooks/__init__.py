"""
Where the application's rules come in: decisions the relay asks for, events it tells of (docs/hooks.md).

A decision has two seconds; silence or an exception is answered closed. Events never delay media: those of a consult
come in order, each at least once and out of its journal; those of a room without one as long as the process lives.
"""

from telerelay.hooks.asked import (
    Admission,
    AdmitRequest,
    AttestRequest,
    CameraRequest,
    ChannelRequest,
    DegradeAnswer,
    DegradeRequest,
    DocumentRequest,
    JoinRequest,
    PolicyResult,
    PublishRequest,
    RecordingRequest,
    Route,
    RouteRequest,
    StillRequest,
    SubscribeRequest,
    SurgeAnswer,
    SurgeRequest,
    WaitingContent,
    WaitingItem,
    WaitingRequest,
)
from telerelay.hooks.hooks import Hooks, NoHooks
from telerelay.hooks.runner import DECISION_DEADLINE_S, HookFailure, HookRunner
from telerelay.hooks.systems import Systems
from telerelay.hooks.told import (
    DocumentEvent,
    EndEvent,
    ExpertiseEvent,
    FactEvent,
    MeasuredBatch,
    MeasurementEvent,
    PersonEvent,
    PresenceEvent,
    QualityEvent,
    StateEvent,
    StillEvent,
    TimerEvent,
)

__all__ = [
    "DECISION_DEADLINE_S",
    "Admission",
    "AdmitRequest",
    "AttestRequest",
    "CameraRequest",
    "ChannelRequest",
    "DegradeAnswer",
    "DegradeRequest",
    "DocumentEvent",
    "DocumentRequest",
    "EndEvent",
    "ExpertiseEvent",
    "FactEvent",
    "HookFailure",
    "HookRunner",
    "Hooks",
    "JoinRequest",
    "MeasuredBatch",
    "MeasurementEvent",
    "NoHooks",
    "PersonEvent",
    "PolicyResult",
    "PresenceEvent",
    "PublishRequest",
    "QualityEvent",
    "RecordingRequest",
    "Route",
    "RouteRequest",
    "StateEvent",
    "StillEvent",
    "StillRequest",
    "SubscribeRequest",
    "SurgeAnswer",
    "SurgeRequest",
    "Systems",
    "TimerEvent",
    "WaitingContent",
    "WaitingItem",
    "WaitingRequest",
]
