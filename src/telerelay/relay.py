"""
The relay as an application holds it: workers, rooms, and an aiohttp application to mount.

Event loop's thread. `async with Relay(config) as relay:` runs it; nothing is started before, nothing is left after.
"""

import asyncio
import contextlib
import dataclasses
import ipaddress
import itertools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import TracebackType

from aiohttp import web

from telerelay.allocator import Allocator
from telerelay.config import Config, parse_bind
from telerelay.connection.candidates import host_candidates
from telerelay.dataplane import (
    Certificate,
    ProcessHost,
    ThreadHost,
    Worker,
    WorkerSettings,
    WorkerStats,
    make_certificate,
)
from telerelay.dataplane.hosts import WorkerHost, end_surplus
from telerelay.dataplane.rundir import RunDir
from telerelay.dataplane.stats import drop_names
from telerelay.documents.http import DocumentHandlers, HostDocuments
from telerelay.errors import ConfigError, LocalProtocolError, NativeError, RemoteProtocolError, TelerelayError
from telerelay.expertise import ExpertiseStore
from telerelay.hooks import HookRunner, Hooks, NoHooks, Systems
from telerelay.hooks.entry import way_of
from telerelay.hooks.ways import Way
from telerelay.logs import say
from telerelay.observe import LoopLag, RelayCollector, RelayFacts, add_health, add_metrics
from telerelay.protocol.grants import TokenKeys, load_key
from telerelay.protocol.names import is_room_name
from telerelay.protocol.parameters import Candidate, Fingerprint
from telerelay.recording.http import HostRecordings
from telerelay.signaling.consult_api import ConsultHandlers, add_links
from telerelay.signaling.consults import Consults
from telerelay.signaling.desks import desk_handler
from telerelay.signaling.expertise_api import ExpertiseHandlers
from telerelay.signaling.http import errors
from telerelay.signaling.live import LiveRooms, WorkerSite
from telerelay.signaling.measurement_api import MeasurementHandlers
from telerelay.signaling.pages import add_pages
from telerelay.signaling.probe import Probes
from telerelay.signaling.websocket import websocket_handler
from telerelay.signaling.whip import WhipHandlers
from telerelay.tasks import Tasks

DEMO_TOKEN_TTL_S = 3600
DEMO_ROLE = "practitioner"

# From one try to start a worker in a lost one's place to the next: its port may be in another's hands for a while.
RETRY_DELAYS_S = (0.1, 0.5, 2.0, 5.0)


class Relay:
    """
    A media relay. `keys` sign and verify tokens; without them the file of `tokens.key_file` is read. `allocator` says
    what comes first on a line that does not carry everything, in place of ConsultAllocator. `wall` and `monotonic` are
    the clocks that consults go by, seconds, for whoever rehearses hours (put both forward alike, then call
    `consults.tick`); tokens and media keep to the system's. `expertise_store` keeps requests for expertise in place of
    the journal. `hooks` are one system's rules, or those of several (Systems).

    Raises ConfigError at once where the configuration cannot work, and at start where an address cannot be bound.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        hooks: Hooks | Systems | None = None,
        keys: TokenKeys | None = None,
        allocator: Allocator | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        expertise_store: ExpertiseStore | None = None,
    ) -> None:
        self.config = Config() if config is None else config
        self._keys = keys or self._load_keys()
        self._hooks = HookRunner(
            self._way(hooks),
            decision_deadline_s=self.config.hooks.decision_timeout_s,
            event_deadline_s=self.config.hooks.event_timeout_s,
            emergency_passes=self.config.hooks.emergency_passes,
        )
        self.consults = Consults(
            self.config, self._keys, self._hooks, wall=wall, monotonic=monotonic, expertise_store=expertise_store
        )
        """The consults of this relay, and what its host may do with them."""
        self._rooms = LiveRooms(self.config, self._keys, self._hooks, allocator, self.consults)
        self._hooks.before_telling = self._rooms.flush_notes
        self._probes = Probes(self._rooms)
        self._tasks = Tasks()
        self._lag = LoopLag()
        self._workers: tuple[Worker, ...] = ()
        self._certificate: Certificate | None = None
        self._run_dir: RunDir | None = None
        self._new_host: Callable[[], WorkerHost] | None = None

    # ---------------------------------------------------------------- life

    async def __aenter__(self) -> "Relay":
        if self._workers:
            raise LocalProtocolError("state", "the relay runs already")
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._hooks.close, 0.0)
            await self._hooks.start()
            stack.push_async_callback(self.consults.close)
            await self.consults.open()
            self._new_host = await self._hosts(stack)
            workers = []
            for index in range(self.config.workers.count):
                worker = Worker(self._settings(index), self._new_host())
                stack.push_async_callback(_give_up, worker)
                try:
                    await worker.start()
                except NativeError as error:
                    code = "version" if error.code == "version" else "bind_failed"
                    raise ConfigError(code, str(error)) from error
                workers.append(worker)
                if differences := self._settings(index).differences(worker.settings):
                    say(logging.WARNING, "worker_settings_differ", worker=index, reason=" ".join(differences))
            sites = [self._site(worker) for worker in workers]
            for site in sites:
                if site.worker.is_found:
                    await self._rooms.restore(site)
            stack.pop_all()
        self._workers = tuple(workers)
        for worker in workers:
            worker.on_end = self._on_worker_end
        self._rooms.start(sites)
        self.consults.start()
        self._tasks.spawn(self._lag.run(), "loop_lag")
        say(logging.INFO, "relay_started", count=len(workers), udp=",".join(self.udp_addresses))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Everyone is told, connections are closed, workers end."""
        self.consults.leave()
        await self._rooms.close()
        await self.consults.close()
        await self._hooks.close()
        await self._tasks.close()
        workers, self._workers = self._workers, ()
        await asyncio.gather(*(worker.stop() for worker in workers))
        if self._certificate is not None:
            self._certificate.forget()
        if self._run_dir is not None:
            self._run_dir.close()
            self._run_dir = None

    async def lifetime(self, _app: web.Application) -> AsyncIterator[None]:
        """For `app.cleanup_ctx`: the relay runs as long as the application does."""
        async with self:
            yield

    def drain(self) -> None:
        """Take no new rooms; running calls go on."""
        self._rooms.drain()

    async def drained(self) -> None:
        """Returns when a draining relay has no room left."""
        await self._rooms.drained.wait()

    # ---------------------------------------------------------------- faces

    def app(self) -> web.Application:
        """An application to mount under any prefix, or to serve as it is. It does not start the relay."""
        app = web.Application(middlewares=[errors])
        app.router.add_get("/ws", websocket_handler(self._rooms))
        app.router.add_get("/desk", desk_handler(self.consults.desks))
        app.router.add_get("/probe", self._probes.handler())
        WhipHandlers(self._rooms).add_to(app)
        MeasurementHandlers(self._rooms, self._hooks, self.config.measurements).add_to(app)
        add_links(app, self.consults, self.config.http.allowed_origins)
        DocumentHandlers(self.consults.documents, self._rooms).add_to(app)
        add_health(app, self._health)
        add_metrics(app, self._collector(), self._is_on_loopback)
        app.router.add_get("/demo-token", self._demo_token)
        add_pages(app)
        app.on_shutdown.append(self._on_shutdown)
        return app

    def admin_app(self) -> web.Application:
        """Health, metrics and the host's commands on consults, for a listener of their own."""
        app = web.Application(middlewares=[errors])
        ConsultHandlers(self.consults, self._keys).add_to(app)
        ExpertiseHandlers(self.consults.expertise, self._keys).add_to(app)
        HostDocuments(self.consults.documents, self._keys).add_to(app)
        HostRecordings(self.consults, self._keys).add_to(app)
        add_health(app, self._health)
        add_metrics(app, self._collector(), lambda request: True)
        return app

    def token(self, *, room: str, sub: str, role: str, ttl_s: int = 600, tenant: str = "") -> str:
        """
        A token for one person and one room, as `Authorization: Bearer` or in the join message. With a `tenant` it opens
        the room only where that has a consult of that tenant's.
        """
        return self._keys.sign(room=room, sub=sub, role=role, ttl_s=ttl_s, now=time.time(), tenant=tenant)

    def admin_token(self, *, sub: str, ttl_s: int = 600) -> str:
        """A token for the consults of the admin listener; `sub` is an opaque id: whose decisions they are."""
        return self._keys.sign_admin(sub=sub, ttl_s=ttl_s, now=time.time())

    def desk_token(self, *, sub: str, queues: Sequence[str], role: str = "practitioner", ttl_s: int = 600) -> str:
        """A token that opens somebody's desk at these queues (1 to 16); it limits opening, not how long it is open."""
        return self._keys.sign_desk(sub=sub, queues=queues, role=role, ttl_s=ttl_s, now=time.time())

    def stats(self) -> tuple[WorkerStats, ...]:
        """Counters of each worker; one that was lost and is not replaced yet is left out."""
        return tuple(worker.stats() for worker in self._workers if worker.is_running)

    def attendance(self) -> tuple[int, int]:
        """Seats taken since the start, those of people who were found when it began included; and seats of now."""
        return self._rooms.seats_taken, sum(len(host.seats) for host in self._rooms.hosts)

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """Of the processes the workers live in, worker by worker: this process's own where they are threads."""
        return tuple(worker.pid for worker in self._workers)

    @property
    def udp_addresses(self) -> tuple[str, ...]:
        """Where media is taken, "address:port", worker by worker."""
        return tuple(
            f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
            for worker in self._workers
            for address, port in worker.binds
        )

    # ---------------------------------------------------------------- within

    def _load_keys(self) -> TokenKeys:
        if not self.config.tokens.key_file:
            raise ConfigError("no_key", "no key for tokens: set tokens.key_file (telerelay token --new-key makes one)")
        return load_key(Path(self.config.tokens.key_file), self.config.tokens.leeway_s)

    def _way(self, hooks: Hooks | Systems | None) -> Hooks | Way:
        """What is given in code, or else what the configuration names. Raises ConfigError."""
        way = way_of(self.config.hooks)
        if hooks is not None and way is not None:
            raise ConfigError("bad_value", "hooks are given in code and in the configuration: give them once")
        return hooks or way or NoHooks()

    async def _hosts(self, stack: contextlib.AsyncExitStack) -> Callable[[], WorkerHost]:
        """What makes the place of one worker after another. Raises ConfigError."""
        if self.config.workers.host != "process":
            certificate = await asyncio.get_running_loop().run_in_executor(None, make_certificate)
            self._certificate = certificate
            return lambda: ThreadHost(certificate)
        binds = [parse_bind(bind) for bind in self.config.udp.binds]
        run_dir = RunDir.open(self.config.serve.run_dir, binds)
        self._run_dir = run_dir
        stack.callback(run_dir.close)
        for index in run_dir.worker_indexes():
            if index >= self.config.workers.count:
                await _end_surplus(run_dir.path, index)
        return lambda: ProcessHost(run_dir.path, self.config.workers.orphan_s, _on_note_refused)

    def _on_worker_end(self, worker: Worker) -> None:
        """It died. Its rooms wait for the next one; nobody else's call notices."""
        say(logging.ERROR, "worker_lost", worker=worker.index, pid=worker.pid)
        self._rooms.worker_lost(worker)
        self._tasks.spawn(self._replace(worker), "replace_worker")

    async def _replace(self, worker: Worker) -> None:
        """Start another in its place, on its ports, and move its rooms there."""
        settings = dataclasses.replace(worker.settings, binds=worker.binds)
        began = time.monotonic()
        for attempt in itertools.count():
            assert self._new_host is not None
            fresh = Worker(settings, self._new_host())
            starting = asyncio.ensure_future(fresh.start())
            try:
                await asyncio.shield(starting)
                break
            except asyncio.CancelledError:  # the relay ends: what is being started must not be left behind
                await asyncio.wait({starting})
                await fresh.stop()
                raise
            except TelerelayError as error:
                say(logging.ERROR, "worker_not_replaced", worker=worker.index, code=error.code)
                await fresh.stop()
                await asyncio.sleep(RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S) - 1)])
        fresh.on_end = self._on_worker_end
        self._workers = tuple(fresh if each is worker else each for each in self._workers)
        self._rooms.replace(worker, self._site(fresh))
        took_ms = round((time.monotonic() - began) * 1000, 1)
        say(logging.WARNING, "worker_replaced", worker=fresh.index, pid=fresh.pid, duration_ms=took_ms)

    def _site(self, worker: Worker) -> WorkerSite:
        fingerprint = Fingerprint("sha-256", worker.fingerprint)
        return WorkerSite(worker, fingerprint, self._candidates(worker), self.config.media.adaptation)

    def _settings(self, index: int) -> WorkerSettings:
        config = self.config
        binds = [parse_bind(bind) for bind in config.udp.binds]
        return WorkerSettings(
            index=index,
            binds=tuple((address, port + index if port else 0) for address, port in binds),
            max_transports=config.workers.max_transports,
            video_history_bytes=config.media.video_history_bytes,
            audio_history_bytes=config.media.audio_history_bytes,
            consent_timeout_us=config.media.consent_timeout_s * 1_000_000,
            udp_gro=config.workers.udp_gro,
            cpu=config.workers.cpus[index % len(config.workers.cpus)] if config.workers.cpus else -1,
        )

    def _candidates(self, worker: Worker) -> tuple[Candidate, ...]:
        advertise = self.config.udp.advertise
        if worker.is_found:  # it may have fewer binds than are configured by now
            versions = {ipaddress.ip_address(address).version for address, _ in worker.binds}
            advertise = tuple(each for each in advertise if ipaddress.ip_address(each).version in versions)
        return host_candidates(worker.binds, advertise)

    def _collector(self) -> RelayCollector:
        return RelayCollector(self.stats, drop_names(), self._facts, self._lag)

    def _facts(self) -> RelayFacts:
        hosts = self._rooms.hosts
        people = [participant for host in hosts for participant in host.room.participants.values()]
        return RelayFacts(
            rooms=len(hosts),
            participants=len(people),
            interrupted=sum(participant.is_interrupted for participant in people),
            sockets=len(self._rooms.sockets),
            scores=self._rooms.tally.counts,
            held=sum(host.adapter.held_count for host in hosts),
            adapted=self._rooms.adapted,
            consults=self.consults.states(),
            documents=self.consults.documents.counts,
            document_bytes=self.consults.documents.bytes,
            recordings=self.consults.recordings.counts,
            recorded_bytes=self.consults.recordings.bytes,
            attempts=self.consults.attempts,
            tenant_consults=self.consults.tenant_states(),
            tenant_people=self.consults.tenant_people(),
            tenant_attempts=self.consults.tenant_attempts,
            journal_held=self.consults.journal_held,
            is_durable=self.consults.is_durable,
            hook_failures=self._hooks.failures,
            hook_backlog=dataclasses.asdict(self._hooks.backlog()),
            samples=self._rooms.shared.samples,
            repeated_samples=self._rooms.shared.repeated,
            measurements_refused=self._rooms.shared.refused,
            receivers_cut=self._rooms.shared.cut,
            chat_messages=self._rooms.shared.chat_messages,
            camera_commands=self._rooms.shared.camera_commands,
        )

    def _health(self) -> str:
        if not self._workers:
            return "stopped"
        if not all(worker.is_running for worker in self._workers):
            return "failed"
        return "draining" if self._rooms.is_draining else "ok"

    def _is_on_loopback(self, request: web.Request) -> bool:
        """
        Whether this listener is bound to loopback: the configuration says so, and so does the connection, for the
        application that mounts us may listen elsewhere.
        """
        name = request.transport.get_extra_info("sockname") if request.transport else None
        return is_loopback(self.config.http.host) and isinstance(name, tuple) and is_loopback(str(name[0]))

    async def _demo_token(self, request: web.Request) -> web.Response:
        """On loopback, in demo mode, whoever opens the page gets in: under a name of its own, for an hour."""
        # The page's own address must be a loopback one too: a foreign name that was made to lead here is none (DNS
        # rebinding).
        host = request.url.host or ""
        if not (self.config.serve.is_demo and self._is_on_loopback(request) and is_loopback(host)):
            raise RemoteProtocolError("not_found", "there are no demo tokens here")
        room = request.query.get("room", "")
        if not is_room_name(room):
            raise RemoteProtocolError("bad_message", "name a room: 1 to 64 letters, digits, dots, dashes, underscores")
        sub = f"guest-{secrets.token_hex(6)}"
        token = self.token(room=room, sub=sub, role=DEMO_ROLE, ttl_s=DEMO_TOKEN_TTL_S)
        return web.json_response({"token": token}, headers={"Cache-Control": "no-store"})

    async def _on_shutdown(self, _app: web.Application) -> None:
        """The listener ends: so do its sockets, or it would wait for them."""
        for socket in (*self._rooms.sockets, *self.consults.desks.sockets):
            socket.close(1001, "shutdown")
        await self._probes.close()


def _on_note_refused() -> None:
    say(logging.WARNING, "note_refused", reason="a worker's memory for notes is full: a restart would forget something")


async def _end_surplus(run_dir: Path, index: int) -> None:
    try:
        if await asyncio.to_thread(end_surplus, run_dir, index):
            say(logging.WARNING, "worker_surplus", worker=index)
    except NativeError as error:
        say(logging.ERROR, "worker_not_ended", worker=index, code=error.code)


async def _give_up(worker: Worker) -> None:
    """The relay does not start: what it started ends, what it found goes on."""
    if worker.is_running and worker.is_found:
        worker.leave()
    else:
        await worker.stop()


def is_loopback(host: str) -> bool:
    """`localhost` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
