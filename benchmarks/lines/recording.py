"""
One run of a call as everybody counted it. Pure values; times are Unix seconds, which all clocks of one machine share.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

TOP_HEIGHT = 540
"""Lines of the largest of three pictures: the smallest size of which libwebrtc makes three."""

ONE_HEIGHT = 480
"""Lines of the picture of who sends one: like the page's own camera."""

Sample = tuple[float, list[dict[str, Any]]]


@dataclass(slots=True)
class Watched:
    """What one client counted: samples and signs with their times (Unix, s), and what the page said."""

    samples: list[Sample] = field(default_factory=list)
    signs: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    words: list[tuple[float, str]] = field(default_factory=list)
    tracks: dict[str, str] = field(default_factory=dict)
    """Of a peer: whose stream each is, by its section."""


@dataclass(slots=True)
class Recording:
    """One run, as it was seen from everywhere; times are Unix seconds."""

    case: str
    is_adaptive: bool
    joined_at: float = 0.0
    began_at: float = 0.0
    ended_at: float = 0.0
    is_seen: bool = False
    browser: Watched = field(default_factory=Watched)
    peers: dict[str, Watched] = field(default_factory=dict)
    link: list[dict[str, Any]] = field(default_factory=list)
    link_report: dict[str, Any] = field(default_factory=dict)
    metrics: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    processor: dict[str, tuple[float, float, int]] = field(default_factory=dict)
    """Of the relay, the browser and the people on good lines: seconds that threads ran, that they waited to, turns."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
