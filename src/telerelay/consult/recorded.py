"""
Recording a consult: who may ask for it, and what people say to it.

Sans-I/O, as consult.py is. When it runs follows from that by itself (recording.py).
"""

from telerelay.consult.draft import Facts
from telerelay.consult.facts import Consent, RecordingSet
from telerelay.consult.objects import Objects
from telerelay.consult.recording import UNASKED, WHAT, asked
from telerelay.errors import RemoteProtocolError

MAX_RECORDINGS = 64
"""Of one consult: each is written down, and asks everybody."""


class Recorded(Objects):
    """One consult, and the recording of it."""

    def ask_recording(
        self, now: float, recording: str, by: str, *, is_host: bool = False, is_allowed: bool = True
    ) -> Facts:
        """
        A decider who is in, or the host in the name of `by`, wants this consult recorded: everybody who is in is asked
        from now on; a decider agrees by asking. Where the host's rule does not allow it, that is written down and
        nobody is asked.

        Raises RemoteProtocolError forbidden (no decider), conflict (one is under way, or nobody is in),
        too_many_requests, consult_over.
        """
        record = self._live()
        self.check_recording(by, is_host=is_host)
        draft = self._draft(now)
        if not is_allowed:
            return draft.add(RecordingSet(draft.now, recording, "forbidden", by, "rule")).settle()
        if record.recording is not None and record.recording.is_active:
            raise RemoteProtocolError("conflict", "a recording is under way")
        if not asked(record):
            raise RemoteProtocolError("conflict", "nobody is in who could agree")
        draft.add(RecordingSet(draft.now, recording, "asked", by))
        if any(each.sub == by for each in asked(record)):
            draft.add(Consent(draft.now, by, WHAT, True))
        return draft.settle()

    def check_recording(self, by: str, *, is_host: bool = False) -> None:
        """Whether this person may ask for a recording. Raises RemoteProtocolError forbidden, too_many_requests."""
        record = self._live()
        if not is_host and not record.is_decider(self._inside(by).role):
            raise RemoteProtocolError("forbidden", "only who decides over this consult may have it recorded")
        if record.recordings >= MAX_RECORDINGS:
            raise RemoteProtocolError("too_many_requests", "this consult has as many recordings as it may have")

    def answer_recording(self, now: float, sub: str, is_given: bool) -> Facts:
        """
        Somebody who is in agrees to being recorded, or does not, or takes it back: then the recording stops.

        Raises RemoteProtocolError forbidden (not in, or nobody who is asked), conflict (nothing is asked),
        consult_over.
        """
        record = self._live()
        if self._inside(sub).role in UNASKED:
            raise RemoteProtocolError("forbidden", "this role is not asked")
        found = record.recording
        if found is None or not found.is_active:
            raise RemoteProtocolError("conflict", "there is no recording to agree to")
        if is_given and sub in found.agreed:
            return ()
        draft = self._draft(now)
        return draft.add(Consent(draft.now, sub, WHAT, is_given)).settle()

    def stop_recording(self, now: float, by: str, *, is_host: bool = False) -> Facts:
        """A decider, or the host, wants no more of it. Raises RemoteProtocolError forbidden, conflict, consult_over."""
        record = self._live()
        if not is_host and not record.is_decider(self._inside(by).role):
            raise RemoteProtocolError("forbidden", "only who decides over this consult may stop it")
        if record.recording is None or not record.recording.is_active:
            raise RemoteProtocolError("conflict", "there is no recording to stop")
        draft = self._draft(now)
        return draft.add(RecordingSet(draft.now, record.recording.id, "stopped", by, "asked")).settle()

    def break_recording(self, now: float, why: str) -> Facts:
        """It cannot go on: of facts.RECORDING_REASONS. Nothing, where there is none."""
        found = self._record.recording
        if self._record.is_over or found is None or not found.is_active:
            return ()
        draft = self._draft(now)
        return draft.add(RecordingSet(draft.now, found.id, "stopped", why=why)).settle()
