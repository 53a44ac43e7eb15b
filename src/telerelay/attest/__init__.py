"""
Attestations of ended consults: made from the journal's entries, signed, verified without a relay, and counted.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telerelay.attest.attestation import Attestation, Attestor
    from telerelay.attest.sign import SigningKey, TrustedKeys
    from telerelay.attest.verifying import Verdict, verify

__all__ = ["Attestation", "Attestor", "SigningKey", "TrustedKeys", "Verdict", "verify"]

_HOMES = {
    "Attestation": "attestation",
    "Attestor": "attestation",
    "SigningKey": "sign",
    "TrustedKeys": "sign",
    "Verdict": "verifying",
    "verify": "verifying",
}


def __getattr__(name: str) -> object:
    """Imported when first asked for (PEP 562): the command's flags are here too, and every command reads them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
