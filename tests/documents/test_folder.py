"""The folder that a configuration names: made at the start, or said to be impossible then."""

from pathlib import Path

import pytest

from telerelay import Config, Relay, TokenKeys
from telerelay.config import with_values
from telerelay.errors import ConfigError


@pytest.mark.parametrize("section", ["documents", "recording"])
async def test_a_folder_that_cannot_be_made_stops_a_relay_at_its_start(tmp_path: Path, section: str) -> None:
    """
    And not the first patient who hands something over.
    """
    (tmp_path / "file").write_text("")
    values: dict[str, dict[str, object]] = {
        "udp": {"binds": ["127.0.0.1:0"]},
        "recording": {"enabled": True},
    }
    values.setdefault(section, {})["folder"] = f"{tmp_path}/file/{section}"
    with pytest.raises(ConfigError) as caught:
        async with Relay(with_values(Config(), values), keys=TokenKeys.of(b"k" * 32)):
            raise AssertionError("it runs")

    assert ("bad_file", True) == (caught.value.code, section in str(caught.value))


async def test_a_folder_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "documents"
    values = {"udp": {"binds": ["127.0.0.1:0"]}, "documents": {"folder": str(folder)}}
    async with Relay(with_values(Config(), values), keys=TokenKeys.of(b"k" * 32)):
        assert 0o700 == folder.stat().st_mode & 0o777
