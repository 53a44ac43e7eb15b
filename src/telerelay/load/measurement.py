"""
What a run is given and what it saw, as values: nothing here does anything, so a report needs no engine to be made.

Pure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telerelay.load.measure import Histogram, Tally, Totals
from telerelay.load.procfs import Usage
from telerelay.load.profiles import Profile
from telerelay.load.schedule import Person, Schedule

if TYPE_CHECKING:
    from telerelay.load.peers import PublishPeer, ReceivePeer
    from telerelay.load.targets.base import Session

# The first picture must have come by then, or the join has failed: nobody waits longer for a doctor to appear.
JOIN_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an engine is started with. `bind_address`: a socket for each peer, for servers elsewhere."""

    seed: int = 1
    max_peers: int = 16384
    bind_address: str = ""
    has_gso: bool = True
    has_gro: bool = True
    flight_us: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One track on its way to one receiver, at the end."""

    peer: int
    kind: str
    tally: Tally


@dataclass(slots=True)
class Moments:
    """When what happened to one stay of one participant, in CLOCK_MONOTONIC nanoseconds; 0: not yet."""

    click_ns: int = 0
    signalled_ns: int = 0
    publish_connected_ns: int = 0
    receive_connected_ns: int = 0
    first_packet_ns: int = 0
    first_frame_ns: int = 0
    seen_ns: int = 0
    left_ns: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """
    Where media goes: "" and 0 leave the server's candidates as they are. What our sockets reach: `is_ipv4_only`, and
    `is_local_only` where peers share sockets, each with a loopback address of its own.
    """

    media_host: str = ""
    media_port: int = 0
    is_ipv4_only: bool = True
    is_local_only: bool = True


@dataclass(slots=True)
class Visit:
    """One stay of one participant. `base_ns`: when there was somebody to see, or the click if later."""

    person: Person
    moments: Moments
    base_ns: int = 0
    receives: bool = False
    publish: PublishPeer | None = None
    receive: ReceivePeer | None = None
    session: Session | None = None
    early_failure: str = ""
    """Of a connection, while the signalling had not finished: what the signalling says comes first."""

    @property
    def is_over(self) -> bool:
        return bool(self.moments.left_ns)


@dataclass(frozen=True, slots=True)
class Sample:
    """One second: totals and usage so far, latency of that second, people who are in."""

    at_s: float
    totals: Totals
    latency: Histogram
    server: Usage | None
    own_cpu_ns: int
    people: int
    joins: int
    failed_joins: int


@dataclass(slots=True)
class Measurement:
    """
    All that was seen. `before` and `end` bound what is counted; `after`: once nobody sent any more and what was on its
    way had come. `late_s`: by how much steps came too late.
    """

    schedule: Schedule
    before: Totals
    end: Totals
    after: Totals
    latency: dict[str, Histogram]
    server_before: Usage | None
    server_after: Usage | None
    server_empty: Usage | None
    own_cpu_before_ns: int
    own_cpu_after_ns: int
    machine_before_ns: int
    machine_after_ns: int
    samples: list[Sample]
    visits: list[Visit]
    legs: tuple[Leg, ...]
    who: dict[int, Person]
    failures: Counter[str]
    late_s: float
    people_full: int
    began_ns: int
    crypto: str
    returns_ns: tuple[int, ...] = ()
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How to run: see the command's flags of the same names."""

    profile: Profile
    seed: int = 1
    engine: EngineSettings = field(default_factory=EngineSettings)
    network: Network = field(default_factory=Network)
    server_pids: tuple[int, ...] = ()
    room_prefix: str = "load"
    leaves_vanish: bool = False
