"""
Ed25519 keys (RFC 8032): what signs attestations and anchors of the journal, and what verifies them.

Pure but for the functions that read and write a key file. A key's id is its JWK thumbprint (RFC 7638, RFC 8037), so
that whoever has the key can tell its id.
"""

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from telerelay.errors import ConfigError
from telerelay.journal import canonical
from telerelay.keyfile import read_bytes, read_secret, write_new


def base64url(data: bytes) -> str:
    """Without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Raises ValueError for what `base64url` does not write, another spelling of the same bytes included."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64url(data) != text:
        raise ValueError("not base64url")
    return data


def key_id_of(key: Ed25519PublicKey) -> str:
    """The thumbprint of the key, 43 characters."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(key.public_bytes_raw())}
    return base64url(hashlib.sha256(canonical.dumps(jwk)).digest())


class SigningKey:
    """The private key of a relay."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        self._id = key_id_of(self._public)

    def __repr__(self) -> str:
        return f"SigningKey({self._id})"

    @classmethod
    def new(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        The key of a PEM file that only its owner may read. Raises ConfigError.
        """
        pem = read_secret(path)
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError):
            raise ConfigError("bad_key", f"the key file {path} holds no private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError("bad_key", f"the key file {path} holds a key that is not Ed25519")
        return cls(key)

    @property
    def key_id(self) -> str:
        return self._id

    @property
    def public(self) -> Ed25519PublicKey:
        return self._public

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def public_bytes(self) -> bytes:
        """The 32 bytes of the public key (RFC 8032, 5.1.5)."""
        return self._public.public_bytes_raw()

    def public_pem(self) -> str:
        """What whoever verifies needs, and may be published."""
        return self._public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class TrustedKeys:
    """Public keys whose signatures are believed, by id."""

    def __init__(self, keys: Iterable[Ed25519PublicKey] = ()) -> None:
        self._keys = {key_id_of(key): key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    @classmethod
    def load(cls, paths: Iterable[Path]) -> Self:
        """The keys of PEM files, public or private. Raises ConfigError."""
        return cls([_load_public(path) for path in paths])

    def is_signed(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Whether that key signed it. Raises KeyError for an id that is not known."""
        try:
            self._keys[key_id].verify(signature, message)
        except InvalidSignature:
            return False
        return True


def write_new_key(path: Path) -> SigningKey:
    """
    A new private key in a new file of mode 0600, its public half beside it with `.pub`. Raises ConfigError.
    """
    key = SigningKey.new()
    private = key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_new(path, private, 0o600)
    try:
        write_new(path.with_name(path.name + ".pub"), key.public_pem().encode(), 0o644)
    except ConfigError:
        path.unlink()  # of a pair both or neither: else the next try finds this one in its way
        raise
    return key


def _load_public(path: Path) -> Ed25519PublicKey:
    pem = read_bytes(path)
    if b"PRIVATE" in pem:
        return SigningKey.load(path).public
    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise ConfigError("bad_key", f"the key file {path} holds no key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError("bad_key", f"the key file {path} holds a key that is not Ed25519")
    return key
