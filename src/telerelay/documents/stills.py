"""
Stills that are asked for: who may ask, what whoever is asked says, and what both are told of it.

Event loop's thread. What is said becomes facts of the consult (consult/objects.py), which has the times, too.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from telerelay.consult.draft import Facts
from telerelay.consult.record import Record, Still
from telerelay.errors import RemoteProtocolError
from telerelay.events import StillInfo, StillsChanged
from telerelay.hooks import StillRequest

if TYPE_CHECKING:
    from telerelay.documents.documents import Documents
    from telerelay.signaling.consult_live import LiveConsult


class Stills:
    """Of one relay."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def request(
        self, live: LiveConsult, by: str, sub: str, label: str = "", reason: str = "", *, is_host: bool = False
    ) -> str:
        """
        Ask `sub` for a still, in the name of `by`: the request, when it is durable and shown. Raises
        RemoteProtocolError: as Objects.ask_still, and forbidden where the host's rule does not let it be asked, which
        is written down; not_found where the relay takes no documents.
        """
        documents = self._documents
        if not documents.limits.enabled:
            raise RemoteProtocolError("not_found", "there are no documents here")
        request, patience_s = secrets.token_urlsafe(12), documents.limits.answer_s

        def ask(is_allowed: bool) -> Facts:
            return live.consult.ask_still(
                documents.now(), request, sub, by, patience_s, label, reason, is_host=is_host, is_allowed=is_allowed
            )

        try:
            ask(True)
        except RemoteProtocolError as error:
            if error.code == "forbidden":
                documents.counts["still", "refused"] += 1
                live.tried(by, "still")
            raise
        people = live.consult.record.people
        by_role = people[by].role if by in people else ""
        is_allowed = await documents.hooks.still_consent(
            StillRequest(live.id, by, by_role, sub, people[sub].role, label)
        )
        await live.settle(ask(is_allowed))  # once more: time has passed
        if not is_allowed:
            documents.counts["still", "refused"] += 1
            raise RemoteProtocolError("forbidden", "the application does not let this be asked")
        return request

    async def answer(self, live: LiveConsult, sub: str, request: str, answer: str) -> None:
        """What whoever was asked says. Returns when it is durable. Raises RemoteProtocolError."""
        documents = self._documents
        await live.settle(live.consult.answer_still(documents.now(), request, sub, answer, documents.limits.still_s))

    async def withdraw(self, live: LiveConsult, by: str, request: str) -> None:
        """Whoever asked wants it no more. Returns when it is durable. Raises RemoteProtocolError."""
        await live.settle(live.consult.withdraw_still(self._documents.now(), request, by))

    def show(self, live: LiveConsult) -> None:
        """Tell those whom it concerns, as far as it is another than they were told."""
        record = live.durable
        if live.host is None or not record.stills:
            return
        for seat in tuple(live.host.seats.values()):
            participant = seat.participant
            if participant.is_admitted:
                found = tuple(
                    _info(record, request, still)
                    for request, still in record.stills.items()
                    if record.is_decider(participant.role) or participant.sub in (still.request.sub, still.request.by)
                )
                live.show_to(seat, StillsChanged(found), is_nothing=not found)


def _info(record: Record, request: str, still: Still) -> StillInfo:
    asked = still.request
    by = record.people.get(asked.by)
    return StillInfo(
        request=request,
        sub=asked.sub,
        by=asked.by,
        by_role=by.role if by is not None else "",
        state=still.state,
        until=still.until or 0.0,
        label=asked.label,
        reason=asked.reason,
        document=still.document,
    )
