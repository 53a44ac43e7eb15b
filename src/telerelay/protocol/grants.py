"""
Tokens: who may enter which room as whom (RFC 7519; RFC 8725 for what goes wrong with them).

Sans-I/O but for the two functions that read and write a key file. The algorithm belongs to the key, never to the token;
a token's header may hold nothing that could name another key (A50, A51). Time is an argument.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.utils import base64url_decode, base64url_encode

from telerelay.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from telerelay.keyfile import decode_key, read_secret_text, write_new
from telerelay.protocol.names import is_room_name, is_sub

AUDIENCE = "telerelay"
ADMIN_AUDIENCE = "telerelay-admin"
"""Of tokens for the admin listener."""
DESK_AUDIENCE = "telerelay-desk"
"""Of tokens that open a desk. No kind is ever taken for another."""
MAX_QUEUES = 16
"""Of one desk's token."""
MIN_KEY_BYTES = 32
MAX_TOKEN_CHARS = 4096
MAX_TTL_S = 366 * 24 * 3600
_MAX_TIME = 2**53 - 1
_HEADER_FIELDS = {"alg", "typ", "kid"}
# Three parts of base64url without padding (RFC 7515, 3.1 and 2): a header, claims, a signature.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# A join shows its token several times within seconds; that of half a thousand people at once is kept.
_VERIFIED = 512


@dataclass(frozen=True, slots=True)
class Grant:
    """
    What a valid token says. `exp` and `iat` in Unix seconds; `exp` limits joining, not the call. With a `tenant` it
    opens that one's consults and nothing else; "": the host's own.
    """

    sub: str
    room: str
    role: str
    exp: int
    jti: str
    iat: int
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class DeskGrant:
    """What a valid desk token says: who is there, in which role, and for which queues. `exp` limits opening alone."""

    sub: str
    role: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    algorithm: str
    verifying: jwt.PyJWK  # prepared once, not for each token
    signing: bytes | Ed25519PrivateKey | None
    tenant: str = ""


def _oct(secret: bytes) -> jwt.PyJWK:
    return jwt.PyJWK({"kty": "oct", "k": base64url_encode(secret).decode(), "alg": "HS256"})


def _okp(key: Ed25519PublicKey) -> jwt.PyJWK:
    x = base64url_encode(key.public_bytes_raw()).decode()
    return jwt.PyJWK({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"})


class TokenKeys:
    """
    The keys tokens may be signed with, by kid; the first added signs. A key with a `tenant` is that one's own: what it
    signs are tokens for the consults of that tenant, whatever they say, and it signs none here.
    """

    def __init__(self, leeway_s: int = 5) -> None:
        self._leeway_s = leeway_s
        self._keys: dict[str, _Key] = {}
        self._claims = lru_cache(_VERIFIED)(partial(self._verified, AUDIENCE, ("sub", "room", "role")))

    def __repr__(self) -> str:
        return f"TokenKeys({len(self._keys)} keys)"

    @classmethod
    def of(cls, secret: bytes, leeway_s: int = 5) -> "TokenKeys":
        """Keys with one HS256 secret."""
        keys = cls(leeway_s)
        keys.add_hs256(secret)
        return keys

    def add_hs256(self, secret: bytes, kid: str = "", tenant: str = "") -> None:
        """Raises ConfigError weak_key under 32 bytes (RFC 7518, 3.2)."""
        if len(secret) < MIN_KEY_BYTES:
            raise ConfigError("weak_key", f"an HS256 key must have at least {MIN_KEY_BYTES} bytes")
        self._add(kid, _Key("HS256", _oct(secret), secret, tenant))

    def add_ed25519(self, key: Ed25519PublicKey | Ed25519PrivateKey, kid: str = "", tenant: str = "") -> None:
        """An Ed25519 key (RFC 8037); with the public half alone tokens can only be verified."""
        signing = key if isinstance(key, Ed25519PrivateKey) else None
        public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        self._add(kid, _Key("EdDSA", _okp(public), signing, tenant))

    def _add(self, kid: str, key: _Key) -> None:
        if kid in self._keys:
            raise ConfigError("duplicate_key", "two token keys have the same kid")
        self._keys[kid] = key
        self._claims.cache_clear()

    def sign(self, *, room: str, sub: str, role: str, ttl_s: int, now: float, tenant: str = "") -> str:
        """
        A token for that sub, room and role, valid `ttl_s` from `now` (Unix seconds); with a `tenant` for no other's
        consult. Raises LocalProtocolError.
        """
        if not is_room_name(room) or not is_sub(sub) or not role or (tenant and not is_sub(tenant)):
            raise LocalProtocolError("bad_grant", "the room, sub, role or tenant is not one a token may have")
        if not 1 <= ttl_s <= MAX_TTL_S:
            raise LocalProtocolError("bad_grant", f"a token's life is 1 to {MAX_TTL_S} seconds")
        whose = {"tenant": tenant} if tenant else {}
        return self._sign(AUDIENCE, ttl_s, now, {"sub": sub, "room": room, "role": role, **whose})

    def sign_admin(self, *, sub: str, ttl_s: int, now: float) -> str:
        """A token for the admin listener; `sub` is whose decisions they are. Raises LocalProtocolError."""
        if not is_sub(sub) or not 1 <= ttl_s <= MAX_TTL_S:
            raise LocalProtocolError("bad_grant", "the sub or the life is not one a token may have")
        return self._sign(ADMIN_AUDIENCE, ttl_s, now, {"sub": sub})

    def sign_desk(self, *, sub: str, queues: Sequence[str], role: str, ttl_s: int, now: float) -> str:
        """A token for one person's desk at these queues, 1 to 16. Raises LocalProtocolError."""
        if not is_sub(sub) or not _is_role(role) or not _are_queues(queues) or not 1 <= ttl_s <= MAX_TTL_S:
            raise LocalProtocolError("bad_grant", "the sub, role, queues or life is not one a token may have")
        return self._sign(DESK_AUDIENCE, ttl_s, now, {"sub": sub, "role": role, "queues": list(queues)})

    def _sign(self, audience: str, ttl_s: int, now: float, claims: Mapping[str, str | int | list[str]]) -> str:
        able = [
            (kid, key.algorithm, key.signing)
            for kid, key in self._keys.items()
            if key.signing is not None and not key.tenant
        ]
        if not able:
            raise LocalProtocolError("no_key", "there is no key to sign with")
        kid, algorithm, signing = able[0]
        times: dict[str, str | int] = {"iat": int(now), "exp": int(now) + ttl_s, "jti": secrets.token_urlsafe(12)}
        return jwt.encode(
            {"aud": audience, **claims, **times}, signing, algorithm, headers={"kid": kid} if kid else None
        )

    def verify(self, token: str, now: float, *, may_be_expired: bool = False) -> Grant:
        """
        What the token grants at `now` (Unix seconds). Raises RemoteProtocolError unauthorized or token_expired.

        `may_be_expired` is for whoever proves in another way that he is in the call already: `exp` limits joining.
        """
        claims = self._claims(token)
        grant = _grant(claims)
        self._check_times(claims, now, may_be_expired=may_be_expired)
        return grant

    def verify_admin(self, token: str, now: float) -> str:
        """Whose admin token this is, at `now` (Unix seconds). Raises RemoteProtocolError as `verify`."""
        claims = self._verified(ADMIN_AUDIENCE, ("sub",), token)
        if not isinstance(claims["sub"], str) or not is_sub(claims["sub"]):
            raise _unauthorized()
        self._check_times(claims, now)
        return str(claims["sub"])

    def verify_desk(self, token: str, now: float) -> DeskGrant:
        """What a desk's token grants at `now` (Unix seconds). Raises RemoteProtocolError as `verify`."""
        claims = self._verified(DESK_AUDIENCE, ("sub", "role", "queues"), token)
        sub, role, queues = claims["sub"], claims["role"], claims["queues"]
        if not (isinstance(sub, str) and is_sub(sub) and _is_role(role) and _are_queues(queues)):
            raise _unauthorized()
        self._check_times(claims, now)
        return DeskGrant(sub, role, tuple(dict.fromkeys(queues)))

    def _check_times(self, claims: Mapping[str, Any], now: float, *, may_be_expired: bool = False) -> None:
        exp, iat = claims["exp"], claims["iat"]
        if not _is_time(exp) or not _is_time(iat) or iat > exp:
            raise _unauthorized()
        if exp + self._leeway_s <= now and not may_be_expired:
            raise RemoteProtocolError("token_expired", "the token has expired")
        not_before = claims.get("nbf", iat)
        if not _is_time(not_before) or max(iat, not_before) > now + self._leeway_s:
            raise _unauthorized()

    def _verified(self, audience: str, needed: tuple[str, ...], token: str) -> Mapping[str, Any]:
        """What a token says, its signature verified and its claims complete. Its times are not looked at."""
        if len(token) > MAX_TOKEN_CHARS or _COMPACT.fullmatch(token) is None:
            raise _unauthorized()
        try:
            key = self._key_for(json.loads(base64url_decode(token.partition(".")[0])))
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                audience=audience,
                options={
                    "require": ["exp", "iat", "aud", "jti", *needed],
                    "strict_aud": True,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _unauthorized() from None
        if key.tenant:
            if audience != AUDIENCE or claims.get("tenant", key.tenant) != key.tenant:
                raise _unauthorized()
            return {**claims, "tenant": key.tenant}
        return claims

    def _key_for(self, header: object) -> _Key:
        if not isinstance(header, dict) or not header.keys() <= _HEADER_FIELDS or header.get("typ", "JWT") != "JWT":
            raise _unauthorized()
        kid = header.get("kid", "")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None and kid == "" and len(self._keys) == 1:
            key = next(iter(self._keys.values()))
        if key is None or header.get("alg") != key.algorithm:
            raise _unauthorized()
        return key


def _unauthorized() -> RemoteProtocolError:
    # One sentence for all: what is wrong with a token helps only whoever forges it.
    return RemoteProtocolError("unauthorized", "the token is not valid")


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MAX_TIME


def _is_role(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 32


def _are_queues(value: object) -> bool:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_QUEUES:
        return False
    return all(isinstance(each, str) and is_sub(each) for each in value)


def _grant(claims: Mapping[str, Any]) -> Grant:
    sub, room, role, jti = (claims[name] for name in ("sub", "room", "role", "jti"))
    tenant = claims.get("tenant", "")
    if not all(isinstance(value, str) for value in (sub, room, role, jti, tenant)) or (tenant and not is_sub(tenant)):
        raise _unauthorized()
    is_valid = is_sub(sub) and is_room_name(room) and 1 <= len(role) <= 32 and is_sub(jti)
    if not is_valid or not _is_time(claims["exp"]) or not _is_time(claims["iat"]) or claims["iat"] > claims["exp"]:
        raise _unauthorized()
    return Grant(sub, room, role, claims["exp"], jti, claims["iat"], tenant)


# -------------------------------------------------------------------- key files


def new_key() -> str:
    """A new HS256 key as a key file holds it: one line, base64url of 32 random bytes."""
    return secrets.token_urlsafe(MIN_KEY_BYTES)


def write_key(path: Path) -> None:
    """A new key into a new file of mode 0600. Raises ConfigError if it exists or cannot be written."""
    write_new(path, f"{new_key()}\n".encode(), 0o600)


def load_key(path: Path, leeway_s: int = 5) -> TokenKeys:
    """
    The keys of a file: one line of base64url (HS256), or an Ed25519 key in PEM (EdDSA).

    Raises ConfigError: not readable, readable by others, too short, or neither of the two.
    """
    text = read_secret_text(path).strip()
    keys = TokenKeys(leeway_s)
    if text.startswith("-----BEGIN"):
        keys.add_ed25519(_load_pem(text.encode(), path))
        return keys
    keys.add_hs256(decode_key(text, path))
    return keys


def _load_pem(pem: bytes, path: Path) -> Ed25519PublicKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, None) if b"PRIVATE" in pem else load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise ConfigError("bad_key", f"the key file {path} holds no key") from None
    if not isinstance(key, Ed25519PublicKey | Ed25519PrivateKey):
        raise ConfigError("bad_key", f"the key file {path} holds a key that is not Ed25519")
    return key
