"""One request for each decision, and how it is asked."""

from typing import Any

from telerelay.hooks import (
    AdmitRequest,
    AttestRequest,
    CameraRequest,
    ChannelRequest,
    DegradeRequest,
    DocumentRequest,
    HookRunner,
    JoinRequest,
    PublishRequest,
    RecordingRequest,
    RouteRequest,
    StillRequest,
    SubscribeRequest,
    SurgeRequest,
    WaitingRequest,
)

REQUESTS: dict[str, Any] = {
    "authorize_join": JoinRequest("c1", "p-9", "patient"),
    "route": RouteRequest("c1", "", "desk-1", "75", False),
    "admit": AdmitRequest("c1", "", "desk-1", "p-9", "patient", 1.0, 1),
    "surge": SurgeRequest("c1", "", "desk-1", False, 361, 45_000, 45_000, 3),
    "publish_policy": PublishRequest("c1", "p-9", "patient", "video", "screen"),
    "subscribe_policy": SubscribeRequest("c1", "p-9", "patient", "dr-7", "practitioner", "video", "camera"),
    "channel_policy": ChannelRequest("c1", "p-9", "patient", "chat"),
    "camera_control": CameraRequest("c1", "dr-7", "practitioner", "cab-1", "device"),
    "document_policy": DocumentRequest("c1", "p-9", "patient", "send", "document", "letter", "application/pdf", 1000),
    "still_consent": StillRequest("c1", "dr-7", "practitioner", "p-9", "patient", "mole"),
    "recording_consent": RecordingRequest("c1", "", "cnam", "dr-7", "practitioner"),
    "waiting_content": WaitingRequest("c1", "", "desk-1", "75", "p-9", "patient"),
    "attest": AttestRequest("c1", "cnam", "2020-03", {"two_way_video_s": 600}),
    "degrade": DegradeRequest("c1", "p-9", "patient", "down", "camera", 100_000),
}


async def ask(runner: HookRunner, hook: str, request: Any = None) -> Any:
    """The answer to that request, or to the one above."""
    return await getattr(runner, hook)(REQUESTS[hook] if request is None else request)
