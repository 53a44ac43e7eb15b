"""
What people hand each other in a consult: documents, and stills that are asked for, allowed or refused, and taken.

Sans-I/O, as consult.py is. The bytes are elsewhere (telerelay.documents): here is only that they came, and from whom.
"""

from telerelay.consult import states
from telerelay.consult.chronicle import Chronicle
from telerelay.consult.draft import Facts
from telerelay.consult.facts import STILL_ANSWERS, Consent, DocumentReceived, StillAnswered, StillRequested, check_word
from telerelay.consult.record import Person, Still
from telerelay.errors import RemoteProtocolError

MAX_STILLS = 256
"""Requests of one consult: each is written down."""

ASKERS = frozenset({"practitioner", "expert"})
"""Who may ask for a still beside the deciders."""


class Objects(Chronicle):
    """One consult, and what is handed over in it."""

    def receive(self, now: float, received: DocumentReceived) -> Facts:
        """
        A document or still is here; `received` has a time that does not count.

        Raises RemoteProtocolError consult_over, forbidden (its sender is not in, or not the one a still was asked of),
        conflict (there is that document, or that still is not awaited).
        """
        record = self._live()
        self._inside(received.sub)
        if received.document in record.documents:
            raise RemoteProtocolError("conflict", "there is that document")
        if received.request:
            self.check_still(received.request, received.sub)
        draft = self._draft(now)
        made = DocumentReceived(
            draft.now,
            received.document,
            received.sub,
            received.what,
            received.size_bytes,
            received.sha256,
            received.media_type,
            received.label,
            received.request,
            received.source,
            received.name,
        )
        return draft.add(made).settle()

    def check_still(self, request: str, sub: str) -> Still:
        """
        The request that a still of this person's may answer now: one that was allowed. Raises RemoteProtocolError
        forbidden, conflict.
        """
        still = self._asked_of(request, sub)
        if still.state != "allowed":
            raise RemoteProtocolError("conflict", "no still is awaited under that request")
        return still

    def ask_still(
        self,
        now: float,
        request: str,
        sub: str,
        by: str,
        patience_s: float,
        label: str = "",
        reason: str = "",
        *,
        is_host: bool = False,
        is_allowed: bool = True,
    ) -> Facts:
        """
        `by` asks for a still of what `sub` shows, who has `patience_s` to answer and reads the `reason`. Where the
        host's rule does not allow it to be asked, that is written down and nobody is asked.

        Raises RemoteProtocolError forbidden (not for that role), not_found (nobody of that name is in), conflict (one
        is under way there), too_many_requests, consult_over.
        """
        record = self._live()
        if not is_host:
            role = self._inside(by).role
            if not record.is_decider(role) and role not in ASKERS:
                raise RemoteProtocolError("forbidden", "this role may not ask for a still")
        person = record.people.get(sub)
        if person is None or not person.is_admitted or sub == by:
            raise RemoteProtocolError("not_found", "nobody of that name is in")
        if any(each.until is not None and each.request.sub == sub for each in record.stills.values()):
            raise RemoteProtocolError("conflict", "a still is under way there")
        if len(record.stills) >= MAX_STILLS:
            raise RemoteProtocolError("too_many_requests", "this consult has as many requests as it may have")
        draft = self._draft(now)
        draft.add(StillRequested(draft.now, request, sub, by, draft.now + patience_s, label, reason))
        if not is_allowed:
            draft.add(StillAnswered(draft.now, request, sub, "forbidden"))
        return draft.settle()

    def answer_still(self, now: float, request: str, sub: str, answer: str, patience_s: float = 0.0) -> Facts:
        """
        What `sub`, of whom it was asked, says: `allowed`, with `patience_s` for the still to be here, `refused`, or,
        having allowed it, `failed`. What is said of consent is noted as that, too.

        Raises RemoteProtocolError bad_message (no such answer), forbidden (not asked of this person), conflict (it is
        answered), consult_over.
        """
        self._live()
        check_word("answer", answer, STILL_ANSWERS)
        still = self._asked_of(request, sub)
        if still.until is None or (still.state != "asked" and answer in ("allowed", "refused")):
            raise RemoteProtocolError("conflict", "it is answered")
        draft = self._draft(now)
        if answer in ("allowed", "refused"):
            is_given = answer == "allowed"
            if self._record.consents.get((sub, "still")) is not is_given:
                draft.add(Consent(draft.now, sub, "still", is_given))
        until = draft.now + patience_s if answer == "allowed" else 0.0
        return draft.add(StillAnswered(draft.now, request, sub, answer, until)).settle()

    def withdraw_still(self, now: float, request: str, by: str) -> Facts:
        """Whoever asked wants it no more. Raises as `answer_still` does."""
        self._live()
        still = self._record.stills.get(request)
        if still is None or still.request.by != by:
            raise RemoteProtocolError("forbidden", "this person asked for no such still")
        if still.until is None:
            raise RemoteProtocolError("conflict", "it is answered")
        draft = self._draft(now)
        return draft.add(StillAnswered(draft.now, request, still.request.sub, "withdrawn")).settle()

    def _asked_of(self, request: str, sub: str) -> Still:
        still = self._record.stills.get(request)
        if still is None or still.request.sub != sub:
            raise RemoteProtocolError("forbidden", "no such still was asked of this person")
        return still

    def _inside(self, sub: str) -> Person:
        person = self._record.people.get(sub)
        if person is None or person.status not in (states.LET_IN, states.INSIDE):
            raise RemoteProtocolError("forbidden", "only who is in may do that")
        return person
