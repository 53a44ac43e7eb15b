"""
`telerelay load`: from flags to a run, a search or a comparison, and to an exit code.

Everything for people goes to stderr; with --json the last line of stdout is the report.
"""

import argparse
import asyncio
import contextlib
import datetime
import ipaddress
import json
import os
import platform
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

import telerelay
from telerelay.errors import ConfigError, TelerelayError
from telerelay.load import findmax, flags, page, profiles, report, slo, targets, text
from telerelay.load.measurement import EngineSettings, Network, RunSettings
from telerelay.load.procfs import Processes, machine
from telerelay.load.profiles import Profile
from telerelay.load.targets.base import Target, Tokens
from telerelay.load.tokens import CommandTokens, FixedToken, SignedTokens

OK, FAILED, USAGE = 0, 1, 2


def run(options: argparse.Namespace) -> int:
    """Carry the command out; its exit code."""
    try:
        if options.target == "compare":
            return _compare(options)
        if options.files:
            raise ConfigError("usage", f"there is one target, not also {options.files[0]}")
        profile = flags.profile_of(options)
        if options.show_profile:
            print(profiles.describe(profile), end="")
            return OK
        plan = _Plan(options, profile)
    except ConfigError as error:
        print(f"telerelay load: {error}", file=sys.stderr)
        return USAGE
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(plan.carry_out())
    for line in text.lines(found):
        print(line, file=sys.stderr)
    if "find_max" in found:
        print(_found_line(found["find_max"]), file=sys.stderr)
    if options.html:
        _write(Path(options.html), page.page(found))
    if options.json:
        print(json.dumps(found, allow_nan=False))
    return OK if found["slo_met"] else FAILED


def _compare(options: argparse.Namespace) -> int:
    if len(options.files) != 2:
        raise ConfigError("usage", "compare takes two reports: telerelay load compare A.json B.json")
    first, second = (text.read(Path(name)) for name in options.files)
    for line in text.compare_lines(first, second):
        print(line, file=sys.stderr)
    if options.json:
        print(json.dumps(text.compare(first, second), allow_nan=False))
    return OK


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, "utf-8")
    except OSError as error:
        raise TelerelayError("bad_file", f"cannot write {path}: {error.strerror}") from None


def _found_line(found: dict[str, Any]) -> str:
    broke = f"broke at {found['broke_at']}" if found["broke_at"] is not None else "nothing broke"
    return f"most rooms within the objective: {found['rooms']} ({broke}; confidence {found['confidence']})"


class _Plan:
    """What the flags ask for, checked before anything runs."""

    def __init__(self, options: argparse.Namespace, profile: Profile) -> None:
        self._options = options
        self._profile = profile
        self._bounds = slo.parse(options.slo)
        self._is_own = not (options.target or options.whip or options.whep or options.janus)
        if not self._is_own:
            self._target()
        elif options.token or options.token_command or options.key_file or options.server_pid:
            raise ConfigError("usage", "tokens and --server-pid belong to a target: name one")
        self._tokens = None if self._is_own else self._make_tokens()
        self._media_host, self._media_port = _media_address(options.media_address)
        Processes(tuple(options.server_pid))
        self._check_processors()
        self._stop: asyncio.Event | None = None
        if options.whip or options.whep:
            self._check_templates()

    def _check_processors(self) -> None:
        usable = os.sched_getaffinity(0)
        for flag in ("cpu", "relay_cpu"):
            cpu = getattr(self._options, flag)
            if cpu is not None and cpu not in usable:
                raise ConfigError("bad_value", f"--{flag.replace('_', '-')} {cpu}: this process may not use it")
        self._cpu: int | None = self._options.cpu
        self._relay_cpu: int | None = self._options.relay_cpu
        if self._is_own and len(usable) > 1:
            # The relay on the first, the generator on the last: so what is measured is the relay's one core.
            self._relay_cpu = min(usable) if self._relay_cpu is None else self._relay_cpu
            self._cpu = max(usable - {self._relay_cpu}) if self._cpu is None else self._cpu

    def _check_templates(self) -> None:
        shape = self._profile.shape
        if shape.publishers and not self._options.whip:
            raise ConfigError("usage", "this profile publishes: give --whip URL")
        if shape.publishers + shape.viewers > 1 and not self._options.whep:
            raise ConfigError("usage", "this profile receives: give --whep URL")

    def _target(self, relay: str = "") -> Target:
        options = self._options
        return targets.make(
            relay=relay or options.target or "", whip=options.whip, whep=options.whep, janus=options.janus
        )

    def _make_tokens(self) -> Tokens:
        options = self._options
        given = [each for each in (options.token, options.token_command, options.key_file) if each]
        if len(given) > 1:
            raise ConfigError("usage", "give one of --token, --token-command and --key-file")
        if options.key_file:
            return SignedTokens.from_file(Path(options.key_file))
        if options.token_command:
            return CommandTokens(options.token_command)
        if options.target and not options.token:
            raise ConfigError("usage", "a telerelay wants tokens: give --key-file, --token or --token-command")
        return FixedToken(options.token or "")

    # ---------------------------------------------------------------- running

    async def carry_out(self) -> dict[str, Any]:
        """One run, or a search; the report."""
        if self._cpu is not None:
            os.sched_setaffinity(0, {self._cpu})
        self._stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        if not self._options.find_max:
            return await self._once(self._profile)
        return await self._search()

    async def _search(self) -> dict[str, Any]:
        best: dict[int, dict[str, Any]] = {}
        last: dict[str, Any] = {}

        async def measure(rooms: int) -> findmax.Trial:
            nonlocal last
            print(f"trying {rooms} rooms", file=sys.stderr)
            last = await self._once(flags.with_rooms(self._profile, rooms))
            if last["is_interrupted"]:
                raise TelerelayError("interrupted", "the search was ended by hand")
            for each in last["slo"]:
                print(f"  {'met' if each['is_met'] else 'not met'}: {each['bound']} {each['shown']}", file=sys.stderr)
            for warning in last["warnings"]:
                print(f"  warning: {warning}", file=sys.stderr)
            if last["slo_met"]:
                best[rooms] = last
            return findmax.Trial(rooms, last["slo_met"], last["generator_limited"])

        options = self._options
        found = await findmax.find_max(measure, first=options.find_first, most=options.find_most)
        result = {**best.get(found.rooms, last)}
        result["slo_met"] = found.rooms >= options.at_least
        result["find_max"] = {
            "rooms": found.rooms,
            "broke_at": found.broke_at,
            "confidence": found.confidence,
            "trials": [{"rooms": each.rooms, "slo_met": each.is_met} for each in found.trials],
        }
        return result

    async def _once(self, profile: Profile) -> dict[str, Any]:
        if not self._is_own:
            assert self._tokens is not None
            return await self._run(profile, self._target(), self._tokens, tuple(self._options.server_pid))
        from telerelay.load.own_relay import OwnRelay

        async with OwnRelay(profile, cpu=self._relay_cpu) as relay:
            tokens = SignedTokens.from_file(relay.key_file)
            return await self._run(profile, self._target(relay.url), tokens, (relay.pid,))

    async def _run(self, profile: Profile, target: Target, tokens: Tokens, pids: tuple[int, ...]) -> dict[str, Any]:
        from telerelay.load import schedule
        from telerelay.load.live import Live
        from telerelay.load.runner import Run

        options = self._options
        # libnice, which Janus has its ICE from, answers no loopback address: its peers have sockets of their own.
        is_local = not options.bind and not options.janus and await self._is_local()
        settings = RunSettings(
            profile=profile,
            seed=options.seed,
            engine=EngineSettings(
                seed=options.seed,
                # Two transports a person, and those who left and are not gone yet.
                max_peers=min(65_536, max(64, 4 * profile.people)),
                bind_address="" if is_local else options.bind or _own_address(),
                has_gso=options.gso == "on",
                has_gro=options.gro == "on",
            ),
            network=Network(self._media_host, self._media_port, ":" not in options.bind, is_local_only=is_local),
            server_pids=pids,
            room_prefix=options.room_prefix,
            leaves_vanish=options.leave == "vanish",
        )
        plan = schedule.make(profile, options.seed)
        live = Live(profile.people, plan.measure_s, plan.end_s, quiet=options.quiet)
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        one = Run(settings, target, tokens, live.take)
        assert self._stop is not None
        stopping = asyncio.create_task(_interrupt(self._stop, one))
        try:
            seen = await one.measure()
        finally:
            stopping.cancel()
        return report.build(
            settings,
            seen,
            bounds=self._bounds,
            target="telerelay, of its own" if self._is_own else target.name,
            command=["telerelay", *sys.argv[1:]],
            machine=f"{machine()}, Python {platform.python_version()}",
            version=telerelay.__version__,
            started_at=started,
        )

    async def _is_local(self) -> bool:
        """Whether the target is on this machine: then peers share sockets, each with a loopback address of its own."""
        options = self._options
        if self._is_own:
            return True
        host = urlsplit(options.target or options.whip or options.whep or options.janus).hostname or ""
        with contextlib.suppress(OSError, ValueError):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            addresses: Sequence[str] = [str(each[4][0]) for each in found]
            return all(ipaddress.ip_address(each).is_loopback for each in addresses)
        return False


async def _interrupt(stop: asyncio.Event, one: Any) -> None:
    await stop.wait()
    one.interrupt()


def _own_address() -> str:
    """The address this machine speaks to others from; none is sent to for asking (RFC 5737: it is nobody's)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "0.0.0.0"
        return str(probe.getsockname()[0])


def _media_address(flag: str | None) -> tuple[str, int]:
    if not flag:
        return "", 0
    host, separator, port = flag.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        if not separator or not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise ConfigError("bad_value", "--media-address must be IP:PORT like 127.0.0.1:40000") from None
    return host.strip("[]"), int(port)
