"""
GET /metrics: what the workers count, and what control knows, for Prometheus.

Read when scraped. Labels are words from fixed lists, and the host's ids of its tenants: no room, no person, no address
is ever one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from telerelay.adaptation import AdaptationTally
from telerelay.dataplane import WorkerStats
from telerelay.errors import RemoteProtocolError
from telerelay.observe.lag import BUCKETS, LoopLag
from telerelay.quality import Direction

_COUNTERS = {
    # metric: (attribute of WorkerStats, help)
    "telerelay_rx_packets": ("rx_packets", "Datagrams taken from the network"),
    "telerelay_rx_bytes": ("rx_bytes", "Bytes of them"),
    "telerelay_tx_packets": ("tx_packets", "Datagrams sent"),
    "telerelay_tx_bytes": ("tx_bytes", "Bytes of them"),
    "telerelay_rx_rtp_packets": ("rx_rtp_packets", "Media packets taken, resends included"),
    "telerelay_tx_rtp_packets": ("tx_rtp_packets", "Media packets forwarded, resends included"),
    "telerelay_rx_rtcp_packets": ("rtcp_rx", "RTCP packets taken"),
    "telerelay_tx_rtcp_packets": ("rtcp_tx", "RTCP packets sent"),
    "telerelay_stun_requests": ("stun_requests", "ICE checks answered"),
    "telerelay_dtls_handshakes": ("dtls_handshakes", "DTLS handshakes finished"),
    "telerelay_rx_nacks": ("nacks_rx", "Packets that receivers asked for again"),
    "telerelay_tx_nacks": ("nacks_tx", "Packets asked for again upstream"),
    "telerelay_resent_packets": ("resent_packets", "Packets resent from history"),
    "telerelay_rx_plis": ("plis_rx", "Keyframe requests taken"),
    "telerelay_tx_plis": ("plis_tx", "Keyframe requests sent upstream"),
    "telerelay_receive_calls": ("receive_calls", "System calls that took datagrams"),
    "telerelay_send_calls": ("send_calls", "System calls that sent datagrams"),
    "telerelay_wakes": ("wakes", "Turns of the workers' loops"),
    "telerelay_paced_packets": ("paced_packets", "Media packets that waited for a subscriber's line before they left"),
    "telerelay_paced_microseconds": ("paced_us", "How long all of them waited; part of no other delay"),
    "telerelay_padding_packets": ("padding_packets", "Packets sent to try a subscriber's line by"),
}
_GAUGES = {
    "telerelay_receivers": ("receivers", "Media streams that arrive"),
    "telerelay_senders": ("senders", "Media streams that leave"),
}


MAX_TENANTS = 64
"""By name: each is some lines in every scrape. Those beyond, in alphabetical order, are counted together."""
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """What control knows, now."""

    rooms: int
    participants: int
    interrupted: int
    sockets: int
    scores: Mapping[tuple[Direction, int, str], int]
    """How often a score was found with its cause, by direction."""
    held: int = 0
    """Pictures that are held back from somebody now, for lack of room on their line."""
    adapted: AdaptationTally = field(default_factory=AdaptationTally)
    consults: Mapping[str, int] = field(default_factory=dict)
    """Consults that are not over, by their state."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """How often somebody tried what he may not, by what."""
    tenant_consults: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The same by tenant and state, of consults that have a tenant."""
    tenant_people: Mapping[str, int] = field(default_factory=dict)
    """Seats in the consults of each."""
    tenant_attempts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Attempts by tenant and what."""
    documents: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """What became of documents and stills: (document or still, outcome)."""
    document_bytes: Mapping[str, int] = field(default_factory=dict)
    """Bytes of them that were taken ("in") and handed out ("out")."""
    recordings: Mapping[str, int] = field(default_factory=dict)
    """How often a recording came into which state."""
    recorded_bytes: int = 0
    """Bytes of recordings that were written."""
    journal_held: int = 0
    """Writes of the journal that are not durable yet."""
    is_durable: bool = True
    """Whether they become durable in time."""
    hook_failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often which of the application's hooks failed, and why."""
    hook_backlog: Mapping[str, int] = field(default_factory=dict)
    """Consults with something that the application was not told yet: pending, waiting for another try; letters."""
    samples: int = 0
    repeated_samples: int = 0
    """Of measurements: taken, and sent again though they had been."""
    measurements_refused: Mapping[str, int] = field(default_factory=dict)
    """Messages of measurements that were not taken, by code."""
    receivers_cut: int = 0
    """Receivers of measurements who kept others waiting for too long."""
    chat_messages: int = 0
    camera_commands: Mapping[str, int] = field(default_factory=dict)
    """By outcome."""


class RelayCollector(Collector):
    """One relay's numbers, summed over its workers."""

    def __init__(
        self,
        stats: Callable[[], Sequence[WorkerStats]],
        drop_names: Sequence[str],
        facts: Callable[[], RelayFacts],
        lag: LoopLag,
    ) -> None:
        self._stats = stats
        self._drop_names = drop_names
        self._facts = facts
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        workers = self._stats()
        for name, (attribute, text) in _COUNTERS.items():
            yield CounterMetricFamily(name, text, value=sum(getattr(worker, attribute) for worker in workers))
        for name, (attribute, text) in _GAUGES.items():
            yield GaugeMetricFamily(name, text, value=sum(getattr(worker, attribute) for worker in workers))
        yield self._drops(workers)
        transports = GaugeMetricFamily("telerelay_transports", "Transports by state", labels=["state"])
        for state in dict.fromkeys(state for worker in workers for state in worker.transports):
            transports.add_metric([state], sum(worker.transports.get(state, 0) for worker in workers))
        yield transports
        cpu = CounterMetricFamily("telerelay_worker_cpu_seconds", "CPU time of the workers' threads", labels=["worker"])
        for index, worker in enumerate(workers):
            cpu.add_metric([str(index)], worker.thread_cpu_ns / 1e9)
        yield cpu
        yield from self._control()

    def _drops(self, workers: Sequence[WorkerStats]) -> Metric:
        drops = CounterMetricFamily("telerelay_drops", "Packets that went no further, by reason", labels=["reason"])
        for reason in self._drop_names:
            drops.add_metric([reason], sum(worker.drops.get(reason, 0) for worker in workers))
        return drops

    def _control(self) -> Iterator[Metric]:
        facts = self._facts()
        yield GaugeMetricFamily("telerelay_rooms", "Rooms with anyone in them", value=facts.rooms)
        yield GaugeMetricFamily(
            "telerelay_participants", "Seats taken, interrupted ones included", value=facts.participants
        )
        yield GaugeMetricFamily("telerelay_interrupted", "Seats kept for someone cut off", value=facts.interrupted)
        yield GaugeMetricFamily("telerelay_sockets", "Signalling sockets open", value=facts.sockets)
        yield GaugeMetricFamily(
            "telerelay_held_pictures", "Pictures held back now from somebody whose line is too weak", value=facts.held
        )
        for name, text, value in (
            ("telerelay_holds", "Times a picture was held back for a line", facts.adapted.holds),
            ("telerelay_ladders", "Ladders given to workers, one for each line and change", facts.adapted.ladders),
            ("telerelay_limits", "Times a publisher was told what is worth sending", facts.adapted.limits),
            ("telerelay_speaker_changes", "Times another was found to speak", facts.adapted.speakers),
            ("telerelay_voice_plans", "Times a voice was given copies or longer packets", facts.adapted.voices),
            ("telerelay_allocator_failures", "Times the allocator raised", facts.adapted.failures),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield from _of_consults(facts)
        yield from _of_tenants(facts)
        yield from _of_objects(facts)
        scores = CounterMetricFamily(
            "telerelay_quality",
            "Scores found, one each two seconds for each person",
            labels=["direction", "score", "cause"],
        )
        for (direction, score, cause), count in sorted(facts.scores.items()):
            scores.add_metric([direction, str(score), cause or "none"], count)
        yield scores
        failures = CounterMetricFamily(
            "telerelay_hook_failures", "Calls of the application's hooks that failed, and why", labels=["hook", "why"]
        )
        for (hook, why), count in sorted(facts.hook_failures.items()):
            failures.add_metric([hook, why], count)
        yield failures
        for name, text in (
            ("pending", "Consults of which the application has something to be told"),
            ("waiting", "Those of them whose last try failed"),
            ("letters", "Facts that were given up: telerelay hooks dead lists them"),
        ):
            yield GaugeMetricFamily(f"telerelay_hook_{name}", text, value=facts.hook_backlog.get(name, 0))
        running, buckets = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._lag.counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        yield HistogramMetricFamily(
            "telerelay_loop_lag_seconds", "How late the event loop runs", buckets=buckets, sum_value=self._lag.total_s
        )
        yield GaugeMetricFamily("telerelay_loop_lag_max_seconds", "The latest it ever ran", value=self._lag.max_s)


def add_metrics(app: web.Application, collector: RelayCollector, is_exposed: Callable[[web.Request], bool]) -> None:
    """GET /metrics; 404 while `is_exposed` says no."""
    registry = CollectorRegistry()
    registry.register(collector)

    async def metrics(request: web.Request) -> web.Response:
        if not is_exposed(request):
            raise RemoteProtocolError("not_found", "metrics are served on loopback only", status=404)
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST, "Cache-Control": "no-store"}
        )

    app.router.add_get("/metrics", metrics)


def _of_consults(facts: RelayFacts) -> Iterator[Metric]:
    consults = GaugeMetricFamily("telerelay_consults", "Consults that are not over, by state", labels=["state"])
    for state, count in sorted(facts.consults.items()):
        consults.add_metric([state], count)
    yield consults
    attempts = CounterMetricFamily(
        "telerelay_consult_attempts", "Attempts at what is not one's own in a consult", labels=["what"]
    )
    for what, count in sorted(facts.attempts.items()):
        attempts.add_metric([what], count)
    yield attempts
    documents = CounterMetricFamily(
        "telerelay_documents", "Documents and stills, by what became of them", labels=["what", "outcome"]
    )
    for (kind, outcome), count in sorted(facts.documents.items()):
        documents.add_metric([kind, outcome], count)
    yield documents
    sizes = CounterMetricFamily(
        "telerelay_document_bytes", "Bytes of documents taken and handed out", labels=["direction"]
    )
    for direction, count in sorted(facts.document_bytes.items()):
        sizes.add_metric([direction], count)
    yield sizes
    recordings = CounterMetricFamily(
        "telerelay_recordings", "How often a recording of a consult came into which state", labels=["state"]
    )
    for state, count in sorted(facts.recordings.items()):
        recordings.add_metric([state], count)
    yield recordings
    yield CounterMetricFamily("telerelay_recorded_bytes", "Bytes of recordings written", value=facts.recorded_bytes)
    yield GaugeMetricFamily(
        "telerelay_journal_held", "Writes of the journal that are not durable yet", value=facts.journal_held
    )
    yield GaugeMetricFamily(
        "telerelay_journal_durable", "1 while the journal's disk keeps up, else 0", value=facts.is_durable
    )


def _of_tenants(facts: RelayFacts) -> Iterator[Metric]:
    """What each of the first MAX_TENANTS has, and the rest of them together."""
    tenants = sorted({tenant for tenant, _ in (*facts.tenant_consults, *facts.tenant_attempts)})
    named = {tenant: tenant for tenant in tenants[:MAX_TENANTS]}
    consults = GaugeMetricFamily(
        "telerelay_tenant_consults", "Consults that are not over, by tenant and state", labels=["tenant", "state"]
    )
    people = GaugeMetricFamily("telerelay_tenant_participants", "Seats in a tenant's consults", labels=["tenant"])
    attempts = CounterMetricFamily(
        "telerelay_tenant_attempts",
        "Attempts at what is not one's own in a tenant's consults",
        labels=["tenant", "what"],
    )
    totals: Counter[tuple[str, ...]] = Counter()
    for (tenant, state), count in facts.tenant_consults.items():
        totals["consults", named.get(tenant, OTHER), state] += count
    for tenant, count in facts.tenant_people.items():
        totals["people", named.get(tenant, OTHER)] += count
    for (tenant, what), count in facts.tenant_attempts.items():
        totals["attempts", named.get(tenant, OTHER), what] += count
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
        "consults": consults,
        "people": people,
        "attempts": attempts,
    }
    for (name, *labels), count in sorted(totals.items()):
        families[name].add_metric(labels, count)
    yield from families.values()


def _of_objects(facts: RelayFacts) -> Iterator[Metric]:
    """What people share in a call beside picture and sound."""
    for name, text, value in (
        ("telerelay_measurement_samples", "Samples of measurements taken", facts.samples),
        ("telerelay_measurement_repeats", "Samples that were sent again though they had come", facts.repeated_samples),
        ("telerelay_measurement_receivers_cut", "Receivers given up for keeping others waiting", facts.receivers_cut),
        ("telerelay_chat_messages", "Chat messages passed on", facts.chat_messages),
    ):
        yield CounterMetricFamily(name, text, value=value)
    refused = CounterMetricFamily(
        "telerelay_measurement_refusals", "Measurement messages that were not taken, by code", labels=["code"]
    )
    for code, count in sorted(facts.measurements_refused.items()):
        refused.add_metric([code], count)
    yield refused
    commands = CounterMetricFamily("telerelay_camera_commands", "Camera commands, by outcome", labels=["outcome"])
    for outcome, count in sorted(facts.camera_commands.items()):
        commands.add_metric([outcome], count)
    yield commands
