"""
Attestations of ended consults: made from the journal's entries, signed, verified without a relay, and counted.
"""

from telerelay.attest.sign import SigningKey, TrustedKeys

__all__ = ["SigningKey", "TrustedKeys"]
