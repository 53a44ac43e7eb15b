"""
Attestations of ended consults: made from the journal's entries, signed, verified without a relay, and counted.
"""

from telerelay.attest.attestation import Attestation, Attestor
from telerelay.attest.sign import SigningKey, TrustedKeys
from telerelay.attest.verify import Verdict, verify

__all__ = ["Attestation", "Attestor", "SigningKey", "TrustedKeys", "Verdict", "verify"]
