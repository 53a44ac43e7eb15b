"""Files that hold a key, and who may read them."""

import base64
from pathlib import Path

import pytest

from telerelay import keyfile
from telerelay.errors import ConfigError

KEY = bytes(range(32))


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_is_read_with_its_padding_or_without(tmp_path: Path) -> None:
    """
    base64url of 32 bytes has one character of padding, which tools write or leave out.
    """
    padded = base64.urlsafe_b64encode(KEY).decode()
    path = write(tmp_path / "key", padded.encode())

    assert padded == keyfile.read_secret_text(path)
    assert [KEY, KEY] == [keyfile.decode_key(text, path) for text in (padded, padded.rstrip("="))]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """
    Whoever can read it can be the relay. Of a public key nobody minds.
    """
    path = write(tmp_path / "key", b"secret", mode)

    with pytest.raises(ConfigError, match="must have mode 0600") as refused:
        keyfile.read_secret(path)

    assert "bad_key" == refused.value.code
    assert b"secret" == keyfile.read_bytes(path)


@pytest.mark.parametrize("data", ["ä".encode(), b"\xff\xfe", b"\x80"])
def test_what_is_no_text_is_no_key(tmp_path: Path, data: bytes) -> None:
    """
    Nothing of what the file holds stands in the error.
    """
    path = write(tmp_path / "key", data)

    with pytest.raises(ConfigError, match=r"holds no key$") as refused:
        keyfile.read_secret_text(path)

    assert "bad_key" == refused.value.code


@pytest.mark.parametrize("text", ["*" * 43, "a", "ab cd"])
def test_what_is_not_base64url_is_no_key(tmp_path: Path, text: str) -> None:
    """
    A character too many or a space is a mistake in copying, and would be another key.
    """
    with pytest.raises(ConfigError, match=r"holds no key$"):
        keyfile.decode_key(text, tmp_path / "key")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """
    The operator is told which file, and why.
    """
    with pytest.raises(ConfigError, match="No such file") as refused:
        keyfile.read_secret(tmp_path / "none")

    assert "bad_file" == refused.value.code
    assert str(tmp_path / "none") in str(refused.value)


def test_a_new_file_is_nobody_elses_and_never_in_place_of_another(tmp_path: Path) -> None:
    """
    A key that is overwritten is lost with all it signed.
    """
    path = tmp_path / "key"
    keyfile.write_new(path, b"first")

    with pytest.raises(ConfigError, match="File exists") as refused:
        keyfile.write_new(path, b"second")

    assert "bad_file" == refused.value.code
    assert b"first" == keyfile.read_secret(path)
    assert 0o600 == path.stat().st_mode & 0o777
