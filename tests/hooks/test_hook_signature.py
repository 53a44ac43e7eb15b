"""A webhook's signature holds for one body, one time and one key."""

from pathlib import Path

import pytest

from telerelay.cli import main
from telerelay.errors import ConfigError
from telerelay.hooks.signature import TOLERANCE_S, load_keys, sign, verify

KEY, OTHER = b"k" * 32, b"o" * 32
BODY = b'{"version":1}'
NOW = 1_735_689_600.7


def test_the_signature_is_what_any_language_computes() -> None:
    """
    HMAC-SHA256 of digits, dot and body, in hex; the expected value was made with openssl dgst -sha256 -hmac.
    """
    assert "t=1735689600,v1=170b955baf76bda96fc4b37b1eef0e0f983e843e1e240d3b6449c97039f26d8f" == sign([KEY], BODY, NOW)


def test_what_was_signed_verifies() -> None:
    """
    Now, and as long as clocks may differ.
    """
    header = sign([KEY], BODY, NOW)

    assert verify(KEY, header, BODY, NOW)
    assert verify(KEY, header, BODY, NOW + TOLERANCE_S - 1)
    assert verify(KEY, header, BODY, NOW - TOLERANCE_S + 1)


@pytest.mark.parametrize(
    ("key", "header", "body", "now"),
    [
        (OTHER, None, BODY, NOW),
        (KEY, None, BODY + b" ", NOW),
        (KEY, None, BODY, NOW + TOLERANCE_S + 1),
        (KEY, None, BODY, NOW - TOLERANCE_S - 1),
        (KEY, "", BODY, NOW),
        (KEY, "t=1735689600", BODY, NOW),
        (KEY, "t=1735689600,v1=", BODY, NOW),
        (KEY, "t=1735689600,v1=" + "0" * 64, BODY, NOW),
        (KEY, "t=１735689600,v1=" + "0" * 64, BODY, NOW),
    ],
)
def test_what_was_not_signed_does_not_verify(key: bytes, header: str | None, body: bytes, now: float) -> None:
    """
    Another key, another body, another time, a header that is none.
    """
    assert not verify(key, sign([KEY], BODY, NOW) if header is None else header, body, now)


def test_the_time_cannot_be_exchanged() -> None:
    """
    It is signed with the body: what was recorded does not come back to life.
    """
    header = sign([KEY], BODY, NOW).replace("t=1735689600", "t=1735690600")

    assert not verify(KEY, header, BODY, NOW + 1000)


def test_while_a_key_is_replaced_both_verify() -> None:
    """
    The receiver may change its key whenever it likes.
    """
    header = sign([KEY, OTHER], BODY, NOW)

    assert verify(KEY, header, BODY, NOW)
    assert verify(OTHER, header, BODY, NOW)
    assert not verify(b"x" * 32, header, BODY, NOW)


def test_a_key_file_is_what_the_token_command_makes(tmp_path: Path) -> None:
    """
    One line; two while one replaces the other.
    """
    for name in ("one", "two"):
        main(["token", "--new-key", str(tmp_path / name)])
    both = tmp_path / "both"
    both.touch(0o600)
    both.write_text((tmp_path / "one").read_text() + (tmp_path / "two").read_text())

    assert (*load_keys(tmp_path / "one"), *load_keys(tmp_path / "two")) == load_keys(both)
    assert [32, 32] == [len(key) for key in load_keys(both)]


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        (None, 0o600, "cannot read"),
        ("", 0o600, "must hold one key"),
        ("a\nb\nc\n", 0o600, "must hold one key"),
        ("a" * 43, 0o644, "open to others"),
        ("a" * 20, 0o600, "at least 32 bytes"),
        ("ä" * 43, 0o600, "holds no key"),
        ("*" * 43, 0o600, "holds no key"),
    ],
)
def test_a_key_file_that_will_not_do_is_refused(text: str | None, mode: int, message: str, tmp_path: Path) -> None:
    """
    One line that names the file, and never what is in it.
    """
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(ConfigError, match=message) as caught:
        load_keys(path)
    assert "a" * 20 not in str(caught.value)
