"""
Is this site fit for a consult? Camera, microphone, TCP, UDP, rates, loss and jitter, each with a plain sentence, and
nobody's consult entered: `telerelay probe`, and the judge that the relay's check page asks too.
"""

from telerelay.probe.judging import Check, Found, judge, passed

__all__ = ["Check", "Found", "judge", "passed"]
