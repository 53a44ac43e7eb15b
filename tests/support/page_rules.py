"""The host's rules for browser tests of the consult page: what is shown to who waits."""

from telerelay import Hooks
from telerelay.hooks import WaitingContent, WaitingItem, WaitingRequest

LONG_TITLE = "Ce que vous pouvez préparer : votre ordonnance, vos résultats d’analyses et votre carte Vitale"


class Rules(Hooks):
    """In rooms that end with `-shown` there is something of each kind."""

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
