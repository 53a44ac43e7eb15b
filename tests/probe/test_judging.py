"""What is found at a site, and what is said of it."""

from __future__ import annotations

import dataclasses
import re

import pytest

from telerelay.probe import Found, judge, passed
from telerelay.probe.judging import DEVICE_CODES, LINE_CODES, UDP_CODES
from telerelay.probe.sentences import WORDS, sentence

GOOD = Found(
    camera="ok",
    width=1280,
    height=720,
    microphone="ok",
    tcp="ok",
    port=443,
    tcp_443="ok",
    is_443_needed=True,
    udp="ok",
    up_bps=4e6,
    down_bps=8e6,
    lost_up=0.0,
    lost_down=0.0,
    jitter_up_ms=2.0,
    jitter_down_ms=3.0,
    delay_ms=40.0,
)


def results(found: Found) -> dict[str, tuple[str, str]]:
    return {check.name: (check.result, check.code) for check in judge(found)}


def test_a_good_site_passes_everything() -> None:
    """
    Each of the ten, in both languages.
    """
    for language in WORDS:
        checks = judge(GOOD, language)

        assert {"pass"} == {check.result for check in checks}
        assert passed(checks)
        assert 10 == len(checks)


def test_what_was_not_found_is_no_pass() -> None:
    """
    Nothing at all is known: all of it fails, by name.
    """
    checks = judge(Found())

    assert {("fail", "unknown")} == {(check.result, check.code) for check in checks}
    assert not passed(checks)


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"camera": "dark"}, "camera", ("fail", "dark")),
        ({"microphone": "permission_denied"}, "microphone", ("fail", "permission_denied")),
        ({"camera": "skipped"}, "camera", ("skipped", "skipped")),
        ({"width": None}, "camera", ("pass", "ok")),
        ({"tcp": "refused"}, "tcp", ("fail", "refused")),
        ({"udp": "no_answer"}, "udp", ("fail", "no_answer")),
        ({"up_bps": 1_300_000.0}, "up", ("pass", "ok")),
        ({"up_bps": 1_299_999.0}, "up", ("pass", "small")),
        ({"up_bps": 300_000.0}, "up", ("pass", "small")),
        ({"down_bps": 299_999.0}, "down", ("fail", "sound")),
        ({"down_bps": 59_999.0}, "down", ("fail", "none")),
        ({"down_bps": 0.0}, "down", ("fail", "none")),
        ({"lost_down": 0.02}, "loss", ("pass", "ok")),
        ({"lost_down": 0.1}, "loss", ("pass", "some")),
        ({"lost_up": 0.101}, "loss", ("fail", "much")),
        ({"lost_up": None}, "loss", ("fail", "unknown")),
        ({"lost_up": None, "lost_down": 0.2}, "loss", ("fail", "much")),
        ({"jitter_up_ms": 50.0}, "jitter", ("pass", "ok")),
        ({"jitter_down_ms": 50.1}, "jitter", ("fail", "much")),
        ({"delay_ms": 301.0}, "delay", ("fail", "much")),
    ],
)
def test_each_thing_has_its_bound(changes: dict[str, object], name: str, expected: tuple[str, str]) -> None:
    """
    At the bound and beside it; nothing else is judged otherwise for it.
    """
    found = results(dataclasses.replace(GOOD, **changes))  # type: ignore[arg-type]

    assert expected == found.pop(name)
    assert {"pass"} == {result for result, _ in found.values()}


def test_port_443_counts_where_the_relay_is_there() -> None:
    """
    A relay at another port can be reached without it: it fails for itself alone.
    """
    closed = dataclasses.replace(GOOD, tcp_443="refused")

    assert not passed(judge(closed))
    assert passed(judge(dataclasses.replace(closed, is_443_needed=False)))
    assert "fail" == results(dataclasses.replace(closed, is_443_needed=False))["tcp_443"][0]


def test_every_code_has_a_sentence_in_both_languages() -> None:
    """
    Whatever may be found can be said; both languages say the same things of the same values.
    """
    for found in (
        *(
            Found(camera=code, microphone=code, width=1, height=1)
            for code in DEVICE_CODES
            if code not in ("dark", "silent")
        ),
        *(Found(tcp=code, tcp_443=code) for code in LINE_CODES),
        *(Found(udp=code) for code in UDP_CODES),
        Found(camera="dark", microphone="silent"),
    ):
        for language in WORDS:
            assert all(check.text.endswith(".") for check in judge(found, language))
    assert set(WORDS["en"]) == set(WORDS["fr"])
    for key, text in WORDS["en"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", WORDS["fr"][key])), key


def test_french_is_set_as_french() -> None:
    """
    A decimal comma, and marks that stay with their word.
    """
    assert "1,5 Mbit/s en montée\u00a0: assez pour une image nette." == sentence("fr", "up_ok", value="1.5 Mbit/s")
