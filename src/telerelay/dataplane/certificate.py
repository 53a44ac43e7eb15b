"""
The relay's DTLS certificate: made once, shared by its workers, never written anywhere.
"""

from dataclasses import dataclass, field
from typing import Any

from telerelay._native import ffi, lib
from telerelay.dataplane.status import check


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed ECDSA P-256 certificate with its key; `fingerprint` is the sha-256 over its DER form, 32 bytes."""

    fingerprint: bytes
    raw: Any = field(repr=False, compare=False)

    def forget(self) -> None:
        """Overwrite the private key. Workers have copies of their own and wipe them when they go."""
        ffi.buffer(self.raw)[:] = bytes(ffi.sizeof("tr_certificate"))


def make_certificate() -> Certificate:
    """A new certificate. Takes milliseconds of arithmetic: call it in an executor. Raises NativeError."""
    raw = ffi.new("tr_certificate *")
    check(lib.tr_certificate_make(raw), "make a certificate")
    text = ffi.string(raw.fingerprint).decode("ascii")
    return Certificate(fingerprint=bytes.fromhex(text.replace(":", "")), raw=raw)
