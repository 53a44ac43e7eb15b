"""
What was found at a site, held against what a consult needs: for each thing pass or fail, and a sentence.

Pure. The one judge there is: `telerelay probe` calls it, the check page asks the relay to (docs/signaling.md, probe).
Whatever was not found is a failure, never a pass; only what somebody chose to leave out is `skipped`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from telerelay.probe.sentences import sentence

Result = Literal["pass", "fail", "skipped"]
Steps = tuple[tuple[float, str, Result], ...]
"""The most that each code goes for, least first."""

CALL_BPS = 1_300_000
"""A consult's call rate, 720 lines and sound, each way."""
PICTURE_BPS = 300_000
"""Below it the relay holds pictures back (docs/allocator.md): sound alone is no equipped site."""
SOUND_BPS = 60_000
MAX_LOST = 0.1
"""As in the waiting room: beyond a tenth words are missing, whatever is repaired."""
MAX_JITTER_MS = 50.0
"""Beyond it receivers hold sound back so long that people talk into each other's words."""
MAX_DELAY_MS = 300.0
"""There and back, as in the waiting room (ITU-T G.114)."""

DEVICE_CODES = (
    "ok",
    "skipped",
    "permission_denied",
    "no_device",
    "device_busy",
    "device_failed",
    "insecure_context",
    "unsupported",
    "dark",
    "silent",
)
"""What may be said of a camera or microphone; those of docs/browser.md, and a picture or sound that is none."""
LINE_CODES = ("ok", "skipped", "refused", "no_answer", "no_route", "no_name", "tls", "not_a_relay", "not_allowed")
"""What may be said of a TCP connection."""
UDP_CODES = ("ok", "skipped", "no_answer", "not_tried", "no_room")
"""What may be said of media over UDP; `no_room`: the relay took no connection, so nothing is known of the line."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    What was found. Rates are bits/s, lost a share (0-1), jitter (RFC 3550, 6.4.1) and delay (there and back) ms; None:
    not measured. `is_443_needed`: the relay's own address is at port 443, so that it must be reached there.
    """

    camera: str | None = None
    width: int | None = None
    height: int | None = None
    microphone: str | None = None
    tcp: str | None = None
    port: int | None = None
    tcp_443: str | None = None
    is_443_needed: bool = False
    udp: str | None = None
    up_bps: float | None = None
    down_bps: float | None = None
    lost_up: float | None = None
    lost_down: float | None = None
    jitter_up_ms: float | None = None
    jitter_down_ms: float | None = None
    delay_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. `value` is in `unit`; None where there is nothing to measure or it was not."""

    name: str
    result: Result
    code: str
    text: str
    value: float | None = None
    unit: str = ""
    is_needed: bool = True
    """Whether a consult cannot do without it; what is not needed fails for itself alone."""

    def as_object(self) -> dict[str, object]:
        """For JSON: on the wire and in the command's output."""
        return {
            "name": self.name,
            "result": self.result,
            "code": self.code,
            "text": self.text,
            "value": self.value,
            "unit": self.unit,
            "needed": self.is_needed,
        }


def judge(found: Found, language: str = "en") -> tuple[Check, ...]:
    """Each thing, in the order in which one reads it; sentences in `language`, "en" or "fr"."""

    def named(name: str, code: str | None, *, is_needed: bool = True, **shown: object) -> Check:
        code = code or "unknown"
        result: Result = "pass" if code.startswith("ok") else "skipped" if code == "skipped" else "fail"
        text = sentence(language, f"{name}_{code}", **shown)
        return Check(name, result, code.removesuffix("_unsized"), text, is_needed=is_needed)

    def measured(name: str, value: float | None, unit: str, show: Callable[[float], str], steps: Steps) -> Check:
        if value is None:
            return Check(name, "fail", "unknown", sentence(language, f"{name}_unknown"), unit=unit)
        code, result = next((code, result) for most, code, result in steps if value <= most)
        return Check(name, result, code, sentence(language, f"{name}_{code}", value=show(value)), value, unit)

    has_size = bool(found.width and found.height)
    camera = "ok_unsized" if found.camera == "ok" and not has_size else found.camera
    return (
        named("camera", camera, width=found.width, height=found.height),
        named("microphone", found.microphone),
        named("tcp", found.tcp, port=found.port),
        named("tcp_443", found.tcp_443, is_needed=found.is_443_needed),
        named("udp", found.udp),
        measured("up", found.up_bps, "bit/s", _rate, _RATES),
        measured("down", found.down_bps, "bit/s", _rate, _RATES),
        measured("loss", _worse(found.lost_up, found.lost_down, MAX_LOST), "", _share, _LOST),
        measured("jitter", _worse(found.jitter_up_ms, found.jitter_down_ms, MAX_JITTER_MS), "ms", _whole, _JITTER),
        measured("delay", found.delay_ms, "ms", _whole, _DELAY),
    )


def passed(checks: tuple[Check, ...]) -> bool:
    """Nothing that is needed has failed."""
    return not any(check.result == "fail" and check.is_needed for check in checks)


_RATES: Steps = (
    (math.nextafter(SOUND_BPS, 0), "none", "fail"),
    (math.nextafter(PICTURE_BPS, 0), "sound", "fail"),
    (math.nextafter(CALL_BPS, 0), "small", "pass"),
    (math.inf, "ok", "pass"),
)
_LOST: Steps = ((0.02, "ok", "pass"), (MAX_LOST, "some", "pass"), (math.inf, "much", "fail"))
_JITTER: Steps = ((MAX_JITTER_MS, "ok", "pass"), (math.inf, "much", "fail"))
_DELAY: Steps = ((MAX_DELAY_MS, "ok", "pass"), (math.inf, "much", "fail"))


def _worse(up: float | None, down: float | None, most: float) -> float | None:
    """Of the two directions; with one that is not known nothing passes, but what is too much is so without it."""
    known = [each for each in (up, down) if each is not None]
    return max(known) if len(known) == 2 or any(each > most for each in known) else None


def _rate(bps: float) -> str:
    if bps > 100e6:
        return "> 100 Mbit/s"  # what a probe sends is over too soon to say more
    return f"{bps / 1e6:.1f} Mbit/s" if bps >= 1e6 else f"{bps / 1e3:.0f} kbit/s"


def _share(share: float) -> str:
    return f"{share * 100:.1f}"


def _whole(value: float) -> str:
    return f"{value:.0f}"
