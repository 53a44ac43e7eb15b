"""
What a receiver could get: tracks with their layers, and what is known of who needs them for what.

Pure values.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Purpose(StrEnum):
    """What a track shows."""

    FACE = "face"
    SCOPE = "scope"
    """A camera that is held onto or into a patient."""
    SCREEN = "screen"
    DOCUMENT = "document"
    OTHER = "other"


class Profile(StrEnum):
    """What a picture must not lose when it cannot have everything."""

    TALK = "talk"
    """Small will do, so that a mouth is seen to move."""
    MOTION = "motion"
    """Frame rate: a tremor of 12 Hz needs 24 frames a second before it needs a large picture."""
    DETAIL = "detail"
    """Resolution: skin, a wound, a document; five frames a second will do."""


PROFILE_OF = {
    Purpose.FACE: Profile.TALK,
    Purpose.SCOPE: Profile.DETAIL,
    Purpose.SCREEN: Profile.DETAIL,
    Purpose.DOCUMENT: Profile.DETAIL,
    Purpose.OTHER: Profile.TALK,
}
"""Where nobody says more."""

PRIORITY_OF = {
    Purpose.FACE: 0,
    Purpose.SCOPE: 2,
    Purpose.SCREEN: 0,
    Purpose.DOCUMENT: 0,
    Purpose.OTHER: 0,
}
"""What is examined comes before whoever shows it: a wound is why the call is made."""


@dataclass(frozen=True, slots=True)
class Layer:
    """
    One way to forward a track, with all that it is built on: an encoding, in it a spatial and a temporal layer.

    Rates are bit/s on the wire: `rate_bps` the mean of the last second, `peak_bps` the 90th percentile of five,
    `target_bps` what the publisher announced, where it did. Size and frame rate are 0 where nobody knows them.
    """

    encoding: int
    spatial: int
    temporal: int
    rate_bps: int
    peak_bps: int = 0
    target_bps: int = 0
    height: int = 0
    frame_rate: float = 0.0

    @property
    def cost_bps(self) -> int:
        """What it takes to forward it: a still scene looks cheap until something moves, so the peak counts."""
        return self.target_bps or max(self.rate_bps, self.peak_bps)


@dataclass(frozen=True, slots=True)
class Track:
    """
    One track on its way to one receiver. `sender` is its id on the worker; `priority` 0 or more, higher first.

    An audio track has one layer; `redundancy_bps` is what copies of earlier packets add for this receiver. A picture
    that is shown `shown_height` pixels high needs no layer above the smallest that fills it; 0: not known.
    """

    sender: int
    kind: Literal["audio", "video"]
    layers: tuple[Layer, ...]
    purpose: Purpose = Purpose.FACE
    profile: Profile | None = None
    priority: int = 0
    is_on_stage: bool = False
    redundancy_bps: int = 0
    shown_height: int = 0

    @property
    def task(self) -> Profile:
        """Its profile, or its purpose's."""
        return self.profile or PROFILE_OF[self.purpose]
