"""What a worker is started with: as control says it, as JSON has it, and as C has it."""

from __future__ import annotations

import dataclasses
import json

import pytest
from telerelay._native import ffi

from telerelay.config import Config
from telerelay.dataplane import WorkerSettings, make_certificate
from telerelay.dataplane.settings import native_config

SETTINGS = WorkerSettings(3, (("127.0.0.1", 40000), ("::1", 0)), 64, 65536, 8192, 5_000_000, 1)


def test_settings_come_out_of_json_as_they_went_in() -> None:
    """
    What is not known is passed over, what is not named has its default: a worker may be of another version.
    """
    plain = json.loads(json.dumps(dataclasses.asdict(SETTINGS)))
    some = {"index": 3, "binds": plain["binds"], "colour": "red"}

    assert SETTINGS == WorkerSettings.of(plain)
    assert WorkerSettings(3, SETTINGS.binds) == WorkerSettings.of(some)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"cpu": -1}, ("cpu",)),
        ({"max_transports": 65, "consent_timeout_us": 1}, ("max_transports", "consent_timeout_us")),
        ({"binds": (("127.0.0.1", 40000), ("::1", 40000))}, ()),
        ({"binds": (("127.0.0.1", 40002), ("::1", 40000))}, ("binds",)),
        ({"binds": (("127.0.0.2", 40000), ("::1", 40000))}, ("binds",)),
        ({"binds": (("127.0.0.1", 40000),)}, ("binds",)),
    ],
)
def test_differences_are_named(changes: dict[str, object], expected: tuple[str, ...]) -> None:
    """
    A port that the system was to choose is whichever it chose.
    """
    assert expected == SETTINGS.differences(dataclasses.replace(SETTINGS, **changes))  # type: ignore[arg-type]


def test_c_is_told_all_of_them() -> None:
    """
    Each by its own name, and the certificate.
    """
    certificate = make_certificate()
    config = native_config(SETTINGS, certificate.raw[0])
    names = [each.name for each in dataclasses.fields(SETTINGS) if each.name != "binds"]

    assert [getattr(SETTINGS, name) for name in names] == [getattr(config, name) for name in names]
    assert 2 == config.bind_count
    assert (40000, 0) == (config.binds[0].port, config.binds[1].port)
    assert bytes(ffi.buffer(certificate.raw)) == bytes(ffi.buffer(ffi.addressof(config, "certificate")))


def test_the_defaults_of_the_configuration_are_those_of_c() -> None:
    """
    So a worker of a test, and one of `telerelay serve`, are alike.
    """
    given, ours = Config(), WorkerSettings(0, ())

    assert given.workers.max_transports == ours.max_transports
    assert given.media.video_history_bytes == ours.video_history_bytes
    assert given.media.audio_history_bytes == ours.audio_history_bytes
    assert given.media.consent_timeout_s * 1_000_000 == ours.consent_timeout_us
