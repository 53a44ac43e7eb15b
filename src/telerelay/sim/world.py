"""
One run of one case: the lines, flows and competitors it names, made and let go.

Sans-I/O. Same case, same controller, same seed: the same answer to the last digit.
"""

from dataclasses import dataclass

from telerelay.sim import controllers
from telerelay.sim.capacity import Capacity
from telerelay.sim.case import Case, FlowPlan, LinePlan
from telerelay.sim.clock import SECOND_US, Clock, randomness
from telerelay.sim.controller import Bounds
from telerelay.sim.feedback import BIN_US
from telerelay.sim.flow import VideoFlow
from telerelay.sim.jitter import Jitter
from telerelay.sim.link import Link, queue_bytes_of
from telerelay.sim.loss import BurstLoss, Loss, RandomLoss
from telerelay.sim.pacer import Pacer
from telerelay.sim.packet import Hop
from telerelay.sim.steady import AUDIO_BYTES, AUDIO_FRAME_US, SteadyFlow
from telerelay.sim.tcp import SEGMENT_BYTES, Tcp
from telerelay.sim.wifi import Radio, WifiLink

START_KBPS = {"nada": 150.0}
OTHER_START_KBPS = 300.0
"""What a controller starts with: what each was published with."""

UDP_BYTES = 1_028
"""Somebody else's UDP: 1000 bytes and headers."""

SHORT_GAP_S, SHORT_LEAST_KB, SHORT_MOST_KB, SHORT_AT_ONCE = 10.0, 100, 1_000, 2
"""RFC 8867, 5.7: two transfers at once, the others at exponential gaps; sizes uniform."""


@dataclass(slots=True)
class World:
    """Everything of one run, to be read after `run`."""

    case: Case
    clock: Clock
    forward: list[Link]
    backward: Link
    air: list[WifiLink]
    flows: list[VideoFlow]
    tcps: list[Tcp]
    tcp_bytes: list[list[int]]
    steadies: list[SteadyFlow]
    waiting_us: list[int]

    def run(self) -> None:
        """Let it all happen."""
        end_us = seconds(self.case.duration_s)
        self.clock.at(0, self._sample)
        self.clock.run(end_us + SECOND_US)

    def _sample(self, now_us: int, _: None) -> None:
        waiting = [link.waiting_us(now_us) for link in self.forward]
        self.waiting_us.append(max(waiting + [link.waiting_us(now_us) for link in self.air]))
        for tcp, totals in zip(self.tcps, self.tcp_bytes, strict=True):
            totals.append(tcp.received_bytes)
        if now_us + BIN_US < seconds(self.case.duration_s):
            self.clock.at(now_us + BIN_US, self._sample)


def seconds(value: float) -> int:
    """In microseconds."""
    return round(value * SECOND_US)


def bounds_of(case: Case, controller: str) -> Bounds:
    """The rates of a case's flows."""
    start_kbps = max(case.min_kbps, START_KBPS.get(controller, OTHER_START_KBPS))
    return Bounds(round(start_kbps * 1_000), round(case.min_kbps * 1_000), round(case.max_kbps * 1_000))


def build(case: Case, controller: str, seed: int) -> World:
    """The world of one run. Raises ConfigError where there is no such controller."""
    clock = Clock()
    forward = [make_link(clock, plan, seed, "forward", at) for at, plan in enumerate(case.forward)]
    backward = make_link(clock, case.backward, seed, "backward", 0)
    world = World(case, clock, forward, backward, [], [], [], [], [], [])
    air = _Air(clock, case, seed, world)
    bounds = bounds_of(case, controller)
    for at, plan in enumerate(case.flows):
        its_controller = plan.controller or controller
        flow = VideoFlow(
            clock,
            controllers.make(its_controller, bounds),
            randomness(seed, case.name, "flow", at),
            bounds,
            extra_us=round(plan.extra_ms * 1_000),
            repairs=case.repairs,
            make_pacer=controllers.PACERS.get(its_controller, Pacer),
        )
        ahead, back = air.routes(forward[plan.hops[0] : plan.hops[1] + 1], plan)
        flow.connect(ahead, back)
        silent = plan.silent_s and (seconds(plan.silent_s[0]), seconds(plan.silent_s[1]))
        flow.run(seconds(plan.start_s), seconds(plan.stop_s), silent or None)
        world.flows.append(flow)
    _competitors(world, air, seed)
    return world


class _Air:
    """The radio behind the line, where a case has one: who sends over it on which side."""

    def __init__(self, clock: Clock, case: Case, seed: int, world: World) -> None:
        self._clock = clock
        self._world = world
        self._seed = seed
        self._plan = case.radio
        self._radio: Radio | None = None
        if case.radio is not None:
            self._radio = Radio(
                clock,
                Capacity.constant(round(case.radio.mbps * 1e6)),
                randomness(seed, case.name, "radio"),
                retry_share=case.radio.retry_share,
            )
            # The access point has one queue for all; each station has its own.
            self._down = self._station()

    def _station(self) -> WifiLink:
        assert self._radio is not None
        assert self._plan is not None
        loss: Loss | None = None
        if self._plan.loss:
            source = randomness(self._seed, "air", len(self._world.air))
            loss = BurstLoss(self._plan.loss, self._plan.burst, source)
        link = WifiLink(self._clock, self._radio, loss=loss)
        self._world.air.append(link)
        return link

    def routes(self, forward: list[Link], plan: FlowPlan) -> tuple[tuple[Hop, ...], tuple[Hop, ...]]:
        """(the media's hops, the feedback's)."""
        down: tuple[Hop, ...] = tuple(forward)
        up: tuple[Hop, ...] = (self._world.backward,)
        if self._radio is not None:
            down = (*down, self._down)
            up = (self._station(), *up)
        return (up, down) if plan.is_backward else (down, up)


def _competitors(world: World, air: _Air, seed: int) -> None:
    case, clock = world.case, world.clock
    plans = [
        (
            plan.start_s,
            plan.stop_s,
            Tcp(
                clock,
                is_cubic=plan.is_cubic,
                segments=None if plan.kilobytes is None else -(-plan.kilobytes * 1_000 // SEGMENT_BYTES),
            ),
            plan.is_backward,
        )
        for plan in case.tcps
    ]
    source = randomness(seed, case.name, "short")
    start_s = 0.0
    for at in range(case.short_tcps):
        start_s += source.expovariate(1 / SHORT_GAP_S) if at >= SHORT_AT_ONCE else 0.0
        size = source.uniform(SHORT_LEAST_KB, SHORT_MOST_KB) * 1_000
        plans.append((start_s, case.duration_s, Tcp(clock, segments=-(-round(size) // SEGMENT_BYTES)), False))
    for start_s, stop_s, tcp, is_backward in plans:
        tcp.connect(*air.routes(world.forward, FlowPlan(is_backward=is_backward)))
        clock.at(seconds(start_s), tcp.start)
        clock.at(seconds(min(stop_s, case.duration_s)), tcp.stop)
        world.tcps.append(tcp)
        world.tcp_bytes.append([])
    for plan in case.steadies:
        size, gap_us = AUDIO_BYTES, AUDIO_FRAME_US
        if plan.kbps is not None:
            size, gap_us = UDP_BYTES, round(UDP_BYTES * 8_000 / plan.kbps)
        flow = SteadyFlow(clock, size_bytes=size, gap_us=gap_us)
        flow.connect(air.routes(world.forward, FlowPlan(is_backward=plan.is_backward))[0])
        flow.run(seconds(plan.start_s), seconds(plan.stop_s))
        world.steadies.append(flow)


def make_link(clock: Clock, plan: LinePlan, seed: int, side: str, at: int) -> Link:
    """One direction of a line, made by its plan."""
    loss: Loss | None = None
    if plan.loss:
        source = randomness(seed, "loss", side, at)
        loss = BurstLoss(plan.loss, plan.burst, source) if plan.burst > 1 else RandomLoss(plan.loss, source)
    jitter = None
    if plan.jitter_ms:
        half_us = round(plan.jitter_ms * 500)
        jitter = Jitter(
            randomness(seed, "jitter", side, at), sigma_us=half_us // 3, offset_us=half_us, keeps_order=plan.keeps_order
        )
    return Link(
        clock,
        Capacity.in_seconds(*plan.steps),
        delay_us=round(plan.delay_ms * 1_000),
        queue_bytes=queue_bytes_of(plan.reference_mbps * 1e6, round(plan.queue_ms * 1_000), plan.least_queue_bytes),
        loss=loss,
        jitter=jitter,
        drops_when_down=plan.drops_when_down,
    )
