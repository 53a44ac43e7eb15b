"""
What one case is: lines, flows, competitors, and the windows its figures are taken from.

Pure: values only. Seconds and Mbit/s here, as the RFCs write them; microseconds and bit/s in what is built from them.
"""

from dataclasses import dataclass, field

Steps = tuple[tuple[float, float], ...]
"""(start in s, Mbit/s) of each step of a capacity."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """
    One direction of one line. `queue_ms` is at `reference_mbps`; `loss` is a share, in bursts of `burst` packets on
    average where that is above 1; `jitter_ms` is the most there is.
    """

    steps: Steps = ((0.0, 100.0),)
    reference_mbps: float = 100.0
    queue_ms: float = 300.0
    least_queue_bytes: int = 0
    delay_ms: float = 50.0
    loss: float = 0.0
    burst: float = 1.0
    jitter_ms: float = 0.0
    keeps_order: bool = True
    drops_when_down: bool = False


WIDE = LinePlan()
"""A direction that limits nothing."""


@dataclass(frozen=True, slots=True)
class RadioPlan:
    """A radio channel behind the line: its rate, how often it has to send again, and what is lost all the same."""

    mbps: float = 52.0
    retry_share: float = 0.15
    loss: float = 0.01
    burst: float = 3.0


@dataclass(frozen=True, slots=True)
class FlowPlan:
    """
    A video: when, in which direction, over which of the forward lines, how far away, and when it is silent.
    `controller` is whose rate it has, whatever is judged: the uplink of a browser follows its browser.
    """

    start_s: float = 0.0
    stop_s: float = 99.0
    is_backward: bool = False
    extra_ms: float = 0.0
    hops: tuple[int, int] = (0, 99)
    silent_s: tuple[float, float] | None = None
    controller: str | None = None


@dataclass(frozen=True, slots=True)
class TcpPlan:
    """A TCP: `kilobytes` of it, or as much as it can until `stop_s`."""

    start_s: float = 0.0
    stop_s: float = 1e6
    kilobytes: int | None = None
    is_cubic: bool = False
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class SteadyPlan:
    """A flow of constant rate; by default a microphone."""

    start_s: float = 0.0
    stop_s: float = 99.0
    kbps: float | None = None
    is_backward: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """
    One case. `forward` is a row of lines that are crossed one after the other; `backward` is the way back over all.

    Figures are of the flows in `judged` (numbers in `flows`; empty: all that go forward), from `from_s` on. `fair_s`
    is the window shares are taken from. `short_tcps` are that many transfers at random times, as RFC 8867 5.7 has.
    """

    suite: str
    name: str
    title: str
    duration_s: float
    forward: tuple[LinePlan, ...]
    backward: LinePlan = WIDE
    flows: tuple[FlowPlan, ...] = (FlowPlan(),)
    tcps: tuple[TcpPlan, ...] = ()
    steadies: tuple[SteadyPlan, ...] = ()
    short_tcps: int = 0
    radio: RadioPlan | None = None
    min_kbps: float = 150.0
    max_kbps: float = 1_500.0
    repairs: bool = False
    judged: tuple[int, ...] = ()
    from_s: float = 5.0
    fair_s: tuple[float, float] | None = None
    tags: frozenset[str] = field(default_factory=frozenset)

    @property
    def judged_flows(self) -> tuple[int, ...]:
        """The flows whose figures are the case's."""
        return self.judged or tuple(at for at, flow in enumerate(self.flows) if not flow.is_backward)
