"""The host's rules for tests of the consult page and of rules: what waits see, and a companion who has sound alone."""

import os
from pathlib import Path

from telerelay import Hooks
from telerelay.hooks import PublishRequest, SubscribeRequest, WaitingContent, WaitingItem, WaitingRequest

LONG_TITLE = "Ce que vous pouvez préparer : votre ordonnance, vos résultats d’analyses et votre carte Vitale"


class Rules(Hooks):
    """
    In rooms that end with `-shown` there is something of each kind; in those with `-heard` companions have sound. From
    when the file CLOSED is there only sound is allowed.
    """

    async def publish_policy(self, request: PublishRequest) -> bool:
        return _may(request.room, request.role, request.kind)

    async def subscribe_policy(self, request: SubscribeRequest) -> bool:
        return _may(request.room, request.role, request.kind)

    async def waiting_content(self, request: WaitingRequest) -> WaitingContent:
        if not request.room.endswith("-shown"):
            return WaitingContent()
        return WaitingContent(
            (
                WaitingItem("t1", "text", title=LONG_TITLE),
                WaitingItem("v1", "video", "/film.webm", "Bien se placer devant la caméra"),
                WaitingItem("i1", "image", "/favicon.svg", "La maison de santé"),
                WaitingItem("p1", "page", "https://clinic.example/prepare", "Préparer la consultation"),
            )
        )


def _may(room: str, role: str, kind: str) -> bool:
    if (closed := os.environ.get("CLOSED")) and Path(closed).exists():
        return kind == "audio"
    return not room.endswith("-heard") or role != "companion" or kind == "audio"
