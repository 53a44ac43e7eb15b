"""
A token says who may enter which room as whom, or it is refused; its algorithm is the key's.
"""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from telerelay.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from telerelay.protocol.grants import Grant, TokenKeys, load_key, new_key, write_key

SECRET = b"0123456789abcdef0123456789abcdef"
NOW = 1_800_000_000
CLAIMS = {
    "aud": "telerelay",
    "sub": "alice",
    "room": "demo",
    "role": "patient",
    "iat": NOW,
    "exp": NOW + 600,
    "jti": "one",
}


@pytest.fixture
def keys() -> TokenKeys:
    return TokenKeys.of(SECRET)


def token(claims: dict[str, Any] = CLAIMS, *, key: Any = SECRET, algorithm: str = "HS256", **headers: Any) -> str:
    return jwt.encode(claims, key, algorithm, headers=headers or None)


def refusal(keys: TokenKeys, text: str, now: float = NOW) -> str:
    try:
        keys.verify(text, now)
    except RemoteProtocolError as error:
        return error.code if error.status == 401 else f"{error.code} with status {error.status}"
    return ""


def test_what_was_signed_is_granted(keys: TokenKeys) -> None:
    """
    A token of ours says what it was asked to say.
    """
    grant = keys.verify(keys.sign(room="demo", sub="alice", role="patient", ttl_s=600, now=NOW + 0.5), NOW)

    assert ("alice", "demo", "patient", NOW, NOW + 600) == (grant.sub, grant.room, grant.role, grant.iat, grant.exp)


def test_a_token_from_elsewhere_is_granted(keys: TokenKeys) -> None:
    """
    The application may sign with any JWT library.
    """
    assert Grant("alice", "demo", "patient", NOW + 600, "one", NOW) == keys.verify(token(), NOW)


def test_two_tokens_are_never_the_same(keys: TokenKeys) -> None:
    """
    Each has a jti of its own.
    """
    assert 2 == len({keys.sign(room="demo", sub="alice", role="patient", ttl_s=600, now=NOW) for _ in range(2)})


@pytest.mark.parametrize(
    ("now", "code"), [(NOW + 604, ""), (NOW + 605, "token_expired"), (NOW - 5, ""), (NOW - 6, "unauthorized")]
)
def test_a_token_has_its_time(keys: TokenKeys, now: float, code: str) -> None:
    """
    Until exp, and not before iat, give or take the leeway of 5 s.
    """
    assert code == refusal(keys, token(), now)


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_every_claim_is_required(keys: TokenKeys, claim: str) -> None:
    """
    A52.
    """
    assert "unauthorized" == refusal(keys, token({name: value for name, value in CLAIMS.items() if name != claim}))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", "other"),
        ("aud", ["telerelay"]),
        ("exp", str(NOW + 600)),
        ("exp", NOW + 600.5),
        ("exp", True),
        ("exp", 2**60),
        ("exp", -1),
        ("exp", None),
        ("exp", NOW - 1),
        ("iat", NOW + 0.5),
        ("iat", NOW + 601),
        ("nbf", NOW + 60),
        ("nbf", "x"),
        ("sub", ""),
        ("sub", "a" * 129),
        ("sub", "a\nb"),
        ("room", ""),
        ("room", "a b"),
        ("room", "../x"),
        ("room", ["demo"]),
        ("role", ""),
        ("role", {}),
        ("jti", ""),
    ],
)
def test_a_claim_that_is_wrong_or_extreme_is_refused(keys: TokenKeys, claim: str, value: Any) -> None:
    """
    A52: strings are strings, times integers.
    """
    try:
        text = token({**CLAIMS, claim: value})
    except TypeError:  # this library will not even write it
        segments = [{"alg": "HS256", "typ": "JWT"}, {**CLAIMS, claim: value}]
        text = jwt.api_jws.encode(json.dumps(segments[1]).encode(), SECRET, "HS256")

    assert "unauthorized" == refusal(keys, text)


@pytest.mark.parametrize(
    "headers",
    [
        {"kid": "other"},
        {"jku": "https://example.test/keys"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5u": "https://example.test/cert"},
        {"crit": ["exp"]},
        {"b64": False},
        {"typ": "other"},
        {"unknown": 1},
    ],
)
def test_a_header_that_names_a_key_or_is_unknown_is_refused(keys: TokenKeys, headers: dict[str, Any]) -> None:
    """
    A51: keys come from our own map and from nowhere else.
    """
    assert "unauthorized" == refusal(keys, token(**headers))


def test_the_algorithm_is_the_keys() -> None:
    """
    A50: none, another HMAC, an asymmetric one, and a public key used as an HMAC secret.
    """
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    eddsa = TokenKeys()
    eddsa.add_ed25519(public)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).rstrip(b"=")
    confused = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(header + b"." + body, pem)
    forged = b".".join([header, body, base64.urlsafe_b64encode(confused).rstrip(b"=")]).decode()
    hmac = TokenKeys.of(SECRET)

    assert "" == refusal(eddsa, token(key=private, algorithm="EdDSA"))
    assert "unauthorized" == refusal(eddsa, forged)
    assert "unauthorized" == refusal(eddsa, token())
    assert "unauthorized" == refusal(hmac, token(key=None, algorithm="none"))
    assert "unauthorized" == refusal(hmac, token(key=SECRET * 2, algorithm="HS512"))
    assert "unauthorized" == refusal(hmac, token(key=private, algorithm="EdDSA"))
    assert "unauthorized" == refusal(hmac, token(key=generate_private_key(65537, 2048), algorithm="RS256"))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "x" * 5000, "\ud800"])
def test_what_is_no_token_is_refused(keys: TokenKeys, text: str) -> None:
    """
    By the same code and sentence as a forged one.
    """
    assert "unauthorized" == refusal(keys, text)


@pytest.mark.parametrize("junk", ["=", "==", " ", "\n", "!", "+", "/", "é"])
def test_a_token_has_one_way_to_be_written(keys: TokenKeys, junk: str) -> None:
    """
    What a lenient reader of base64 passes over is refused, wherever it stands.
    """
    text = token()
    refused = {
        refusal(keys, text[:at] + junk + text[at:]) for at in (0, 5, text.index("."), text.rindex("."), len(text))
    }

    assert {"unauthorized"} == refused


def test_every_changed_character_is_noticed(keys: TokenKeys) -> None:
    """
    Header, claims and signature; the last character alone may differ in bits that base64 does not use.
    """
    text = token()
    accepted = [
        index
        for index in range(len(text) - 1)
        if not refusal(keys, text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :])
    ]

    assert [] == accepted


def test_keys_are_found_by_kid() -> None:
    """
    While keys are rotated the old one still verifies; the first added signs.
    """
    keys = TokenKeys()
    keys.add_hs256(SECRET, "new")
    keys.add_hs256(SECRET[::-1], "old")
    signed = keys.sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW)

    assert "new" == jwt.get_unverified_header(signed)["kid"]
    assert ["", "", "unauthorized", "unauthorized"] == [
        refusal(keys, signed),
        refusal(keys, token(key=SECRET[::-1], kid="old")),
        refusal(keys, token(key=SECRET[::-1], kid="new")),
        refusal(keys, token()),
    ]


def test_a_weak_key_is_refused_at_start() -> None:
    """
    HMAC keys under 32 bytes, and two of one kid.
    """
    with pytest.raises(ConfigError):
        TokenKeys.of(SECRET[:31])
    keys = TokenKeys.of(SECRET)
    with pytest.raises(ConfigError):
        keys.add_hs256(SECRET)


@pytest.mark.parametrize("changed", [{"room": "a b"}, {"sub": ""}, {"role": ""}, {"ttl_s": 0}, {"ttl_s": 10**9}])
def test_nothing_is_signed_that_would_not_be_granted(keys: TokenKeys, changed: dict[str, Any]) -> None:
    """
    The application hears of its mistake at once.
    """
    with pytest.raises(LocalProtocolError):
        keys.sign(**({"room": "demo", "sub": "alice", "role": "patient", "ttl_s": 60, "now": NOW} | changed))


def test_a_public_key_alone_cannot_sign() -> None:
    """
    A relay that only verifies needs no secret.
    """
    keys = TokenKeys()
    keys.add_ed25519(Ed25519PrivateKey.generate().public_key())
    with pytest.raises(LocalProtocolError):
        keys.sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW)


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    """
    Written with mode 0600, never over another; refused when others may read it.
    """
    path = tmp_path / "key"
    write_key(path)
    keys = load_key(path)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert "" == refusal(keys, keys.sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW))
    with pytest.raises(ConfigError):
        write_key(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="0600"):
        load_key(path)


@pytest.mark.parametrize(
    "content", ["", "not base64 at all!", "AAAA", "é", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    """
    One line that names the file.
    """
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_key(path)

    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError):
        load_key(tmp_path / "absent")


def test_an_ed25519_key_file_signs_and_verifies(tmp_path: Path) -> None:
    """
    PEM, private or public.
    """
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in (("private", pem), ("public", public)):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    signed = load_key(tmp_path / "private").sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW)

    assert "" == refusal(load_key(tmp_path / "public"), signed)


def test_a_new_key_is_32_bytes() -> None:
    """
    Base64url on one line.
    """
    assert 32 == len(base64.urlsafe_b64decode(new_key() + "="))


def test_keys_do_not_show_themselves() -> None:
    """
    A key that is printed by mistake is not in the log.
    """
    assert "0123" not in repr(TokenKeys.of(SECRET))


def test_a_tenants_key_signs_for_that_tenant_alone() -> None:
    """
    Whatever a token of it says or leaves out; and nothing that opens a desk or commands.
    """
    keys = TokenKeys.of(SECRET)
    own = b"a" * 32
    keys.add_hs256(own, "a", tenant="north")
    desk = {**CLAIMS, "aud": "telerelay-desk", "queues": ["q"]}

    assert "north" == keys.verify(token(key=own, kid="a"), NOW).tenant
    assert "north" == keys.verify(token({**CLAIMS, "tenant": "north"}, key=own, kid="a"), NOW).tenant
    assert "unauthorized" == refusal(keys, token({**CLAIMS, "tenant": "south"}, key=own, kid="a"))
    for refused in (
        lambda: keys.verify_desk(token(desk, key=own, kid="a"), NOW),
        lambda: keys.verify_admin(token({**CLAIMS, "aud": "telerelay-admin"}, key=own, kid="a"), NOW),
    ):
        with pytest.raises(RemoteProtocolError, match="not valid"):
            refused()


def test_a_tenants_key_never_signs_here() -> None:
    """
    Were it the first: what the relay signs is the host's.
    """
    keys = TokenKeys()
    keys.add_hs256(b"a" * 32, "a", tenant="north")
    keys.add_hs256(SECRET, "b")
    signed = keys.sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW)

    assert "" == keys.verify(signed, NOW).tenant
    assert (
        "south"
        == keys.verify(
            keys.sign(room="demo", sub="alice", role="patient", ttl_s=60, now=NOW, tenant="south"), NOW
        ).tenant
    )


@pytest.mark.parametrize("tenant", [7, None, ["north"], "a\nb", "x" * 129])
def test_a_tenant_that_cannot_be_one_is_refused(keys: TokenKeys, tenant: Any) -> None:
    assert "unauthorized" == refusal(keys, token({**CLAIMS, "tenant": tenant}))
