"""
`telerelay serve`: a relay as a process of its own, from its ready line to its drained end.

Event loop's thread. stdout gets exactly one line; all else goes to stderr as log lines.
"""

import asyncio
import contextlib
import json
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvloop
from aiohttp import web

from telerelay.config import Config, with_values
from telerelay.crash import say_no_words
from telerelay.errors import ConfigError
from telerelay.garbage import search_after_departures, spare_searches
from telerelay.hooks.entry import way_of
from telerelay.logs import say
from telerelay.observe import set_up_logging
from telerelay.protocol.grants import TokenKeys
from telerelay.relay import Relay, is_loopback
from telerelay.tasks import Tasks

# A listener that closes gives its requests so long; its WebSockets are told and closed before.
SHUTDOWN_S = 2.0
# Of connections not yet accepted, so that everybody may come at once; the system's net.core.somaxconn may allow fewer.
BACKLOG = 4096
MAX_HEADER_BYTES = 8190
MAX_HEADERS = 64


def serve(config: Config) -> int:
    """Run until drained after SIGTERM (or SIGINT), or until the second one. Raises ConfigError before it is ready."""
    set_up_logging(config.log.level, config.log.format)
    say_no_words()
    if config.workers.host == "auto":
        config = with_values(config, {"workers": {"host": "process"}})
    way_of(config.hooks)  # what cannot be imported is known before anything is bound
    # What this process holds in memory must not end up in a file (A61).
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: Config) -> int:
    stopping = _Stopping()
    async with contextlib.AsyncExitStack() as stack:
        # The addresses first: who cannot have them must not take the workers from a relay that runs.
        main = stack.enter_context(_bind(config.http.host, config.http.port, "http.port"))
        admin = None
        if config.http.admin_port:
            admin = stack.enter_context(_bind(config.http.admin_host, config.http.admin_port, "http.admin_port"))
        relay = await stack.enter_async_context(Relay(config, keys=_keys(config)))
        http = await _listen(stack, relay.app(), main, _tls(config), config)
        if admin is not None:
            await _listen(stack, relay.admin_app(), admin, None, config)
        stack.enter_context(_pid_file(config.serve.pid_file))
        stopping.listen()
        spare_searches()
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        tasks.spawn(search_after_departures(relay.attendance), "garbage")
        ready = {
            "event": "ready",
            "http": http,
            "udp": list(relay.udp_addresses),
            "pid": os.getpid(),
            "worker_pids": list(relay.worker_pids),
        }
        print(json.dumps(ready), flush=True)
        await stopping.first.wait()
        relay.drain()
        await _until_drained(relay, stopping, config.serve.drain_s)
    return 0


async def _until_drained(relay: Relay, stopping: "_Stopping", patience_s: float) -> None:
    waiting = [asyncio.ensure_future(relay.drained()), asyncio.ensure_future(stopping.second.wait())]
    try:
        await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


class _Stopping:
    """The first signal drains, the second ends."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _keys(config: Config) -> TokenKeys | None:
    """None: the key file's. Without one, a key for this run alone, and only where nobody else can reach us."""
    if config.tokens.key_file:
        return None
    if not is_loopback(config.http.host):
        raise ConfigError(
            "no_key",
            "no key for tokens: make one with `telerelay token --new-key FILE` and give it with --key-file FILE",
        )
    say(logging.WARNING, "ephemeral_key", reason="no --key-file: tokens are valid until this process ends")
    return TokenKeys.of(os.urandom(32), config.tokens.leeway_s)


def _bind(host: str, port: int, key: str) -> socket.socket:
    """A socket that is bound and does not listen yet. Raises ConfigError, naming the key."""
    try:
        numeric = "127.0.0.1" if host == "localhost" else host
        family, kind, protocol, _, address = socket.getaddrinfo(numeric, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # one listener never takes the other's addresses
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ConfigError("bind_failed", f"{key}: cannot listen on {host} port {port}: {reason}") from error
    return bound


async def _listen(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    bound: socket.socket,
    tls: ssl.SSLContext | None,
    config: Config,
) -> str:
    """Serve an application on a bound socket; returns its URL."""
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=config.limits.keep_alive_s,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
        lingering_time=1.0,
        auto_decompress=False,  # nothing that is packed is taken, so nothing need be unpacked
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.SockSite(runner, bound, ssl_context=tls, shutdown_timeout=SHUTDOWN_S, backlog=BACKLOG).start()
    except OSError as error:  # another listens there already, who also let the address be shared
        address, port = bound.getsockname()[:2]
        reason = os.strerror(error.errno or 0)
        raise ConfigError("bind_failed", f"cannot listen on {address} port {port}: {reason}") from error
    address, port = bound.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"


def _tls(config: Config) -> ssl.SSLContext | None:
    if not config.http.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(config.http.tls_cert, config.http.tls_key)
    return context


@contextlib.contextmanager
def _pid_file(name: str) -> Iterator[None]:
    if not name:
        yield
        return
    path = Path(name)
    try:
        path.write_text(f"{os.getpid()}\n", encoding="ascii")
    except OSError as error:
        raise ConfigError("bad_file", f"serve.pid_file: cannot write {path}: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
