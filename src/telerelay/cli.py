"""
The `telerelay` command: thin doors to library calls.

What is meant for people goes to stderr; stdout has only what a program would read. Exit 0, 1 failed, 2 usage.
"""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from telerelay import config as configuration
from telerelay.config import Config
from telerelay.errors import ConfigError, TelerelayError

OK, FAILED, USAGE = 0, 1, 2
_UNPRINTED = (errno.EPIPE, errno.ENOSPC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:  # closed by whoever started this
            sys.stdout.flush()
    except TelerelayError as error:
        print(f"telerelay {options.command}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    except OSError as error:
        if error.errno not in _UNPRINTED or options.command == "serve":  # which has more to write than this
            raise
        # Whoever reads has gone, or there is no room: Python would try once more at its end, and say so with a stack.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"telerelay {options.command}: cannot write its output: {error.strerror}", file=sys.stderr)
        return FAILED
    return code


# ---------------------------------------------------------------------- commands


def _serve(options: argparse.Namespace) -> int:
    from telerelay.serve import serve

    config = _config(options)
    problems = configuration.check(config)
    if problems:
        raise ConfigError("bad_value", "; ".join(problems))
    return serve(config)


def _demo(options: argparse.Namespace) -> int:
    from telerelay.client.demo import run_demo
    from telerelay.observe import set_up_logging

    config = _config(options)
    # The demo's own lines are for people; of the relay's only what goes wrong belongs between them.
    set_up_logging("warning")
    return run_demo(duration=options.duration, json_output=options.json, config=config)


def _load(options: argparse.Namespace) -> int:
    from telerelay.load.command import run

    return run(options)


def _simulate(options: argparse.Namespace) -> int:
    from telerelay.sim.command import run

    return run(options)


def _probe(options: argparse.Namespace) -> int:
    from telerelay.probe.command import run

    return run(options)


def _hooks(options: argparse.Namespace) -> int:
    from telerelay.hooks.command import run

    return run(options)


def _token(options: argparse.Namespace) -> int:
    import time

    from telerelay.protocol.grants import load_key, write_key
    from telerelay.rooms.policy import ROLES

    if options.new_key:
        write_key(Path(options.new_key))
        return OK
    needed = ("key_file", "sub") if options.admin or options.desk else ("key_file", "room", "sub", "role")
    missing = [f"--{name.replace('_', '-')}" for name in needed if not getattr(options, name)]
    if missing:
        print(f"telerelay token: give --new-key, or {', '.join(missing)}", file=sys.stderr)
        return USAGE
    if options.role and options.role not in ROLES:
        print(f"telerelay token: --role must be one of {', '.join(ROLES)}", file=sys.stderr)
        return USAGE
    keys = load_key(Path(options.key_file))
    if options.admin:
        print(keys.sign_admin(sub=options.sub, ttl_s=options.ttl, now=time.time()))
        return OK
    if options.desk:
        role = options.role or "practitioner"
        print(keys.sign_desk(sub=options.sub, queues=options.desk, role=role, ttl_s=options.ttl, now=time.time()))
        return OK
    print(keys.sign(room=options.room, sub=options.sub, role=options.role, ttl_s=options.ttl, now=time.time()))
    return OK


def _show_config(options: argparse.Namespace) -> int:
    print(configuration.describe(configuration.load(options.config)), end="")
    return OK


def _check_config(options: argparse.Namespace) -> int:
    from telerelay.attest.sign import SigningKey
    from telerelay.hooks.entry import way_of
    from telerelay.protocol.grants import load_key

    config = configuration.load(options.config)
    problems = list(configuration.check(config))
    looks: list[Callable[[], object]] = [lambda: way_of(config.hooks)]
    for name, load in ((config.tokens.key_file, load_key), (config.attest.key_file, SigningKey.load)):
        if name and Path(name).is_file():  # else it is said already
            looks.append(partial(load, Path(name)))
    for look in looks:
        try:
            look()
        except ConfigError as error:
            problems.append(str(error))
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print("the configuration is good", file=sys.stderr)
    return FAILED if problems else OK


# ---------------------------------------------------------------------- flags


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="telerelay", description="A media relay for teleconsultation.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run a relay")
    _add_relay_flags(serve)
    serve.add_argument("--worker-host", choices=("thread", "process"), help="where a worker lives")
    serve.add_argument("--cpus", help="CPUs to pin workers to, like 0,1")
    serve.add_argument("--key-file", help="file with the key of tokens; needed unless all is on loopback")
    serve.add_argument("--pid-file", help="file to write the process id to")
    serve.add_argument("--tls-cert", help="certificate chain of the HTTP listener, PEM")
    serve.add_argument("--tls-key", help="its private key, PEM")
    serve.add_argument("--demo", action="store_true", help="on loopback, give a token to whoever opens the page")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="a relay on this machine, with two synthetic participants")
    _add_relay_flags(demo)
    demo.add_argument("--duration", type=_seconds, help="end after so many seconds")
    demo.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    demo.set_defaults(run=_demo)

    from telerelay.load import flags

    flags.add_to(commands).set_defaults(run=_load)

    from telerelay.sim import flags as sim_flags

    sim_flags.add_to(commands).set_defaults(run=_simulate)

    from telerelay.probe import command as probe_command

    probe_command.add_to(commands).set_defaults(run=_probe)

    from telerelay.attest import flags as attest_flags

    attest_flags.add_to(commands)
    hooks = commands.add_parser("hooks", help="events that the application never took")
    hooks.add_argument("what", choices=("dead", "replay"), help="list the dead letters, or have them told again")
    hooks.add_argument("--config", type=Path, help="TOML file, for the journal's path")
    hooks.add_argument("--journal", type=Path, help="the journal's file, in place of the configuration's")
    hooks.add_argument("--consult", default="", help="of this consult alone")
    hooks.add_argument("--sequence", type=int, default=0, help="replay: this fact of it alone")
    hooks.add_argument("--all", action="store_true", help="replay: those of all consults")
    hooks.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    hooks.set_defaults(run=_hooks)

    token = commands.add_parser("token", help="make a key, or a token")
    token.add_argument("--new-key", metavar="FILE", help="write a new key to this new file")
    token.add_argument("--key-file", metavar="FILE", help="the key to sign with")
    token.add_argument("--room", help="the room it opens")
    token.add_argument("--sub", help="whom it is for: an opaque id")
    token.add_argument("--role", help="what that person may do")
    token.add_argument("--admin", action="store_true", help="for the admin listener instead: --key-file and --sub")
    token.add_argument("--desk", metavar="QUEUE", action="append", help="for a desk at this queue; may be repeated")
    token.add_argument("--ttl", type=int, default=600, help="seconds it is valid for (600)")
    token.set_defaults(run=_token)

    for name, run, text in (
        ("show-config", _show_config, "print every setting with its value"),
        ("check-config", _check_config, "say what would stop a relay with this configuration"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, help="TOML file")
        command.set_defaults(run=run)
    return parser


def _add_relay_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, help="TOML file; flags go over it")
    parser.add_argument("--http", metavar="HOST:PORT", help="where to listen for HTTP (127.0.0.1:8080)")
    parser.add_argument(
        "--udp", metavar="HOST:PORT", action="extend", nargs="+", help="where to take media (127.0.0.1:40000)"
    )
    parser.add_argument(
        "--advertise",
        metavar="IP",
        action="extend",
        nargs="+",
        help="addresses to tell clients instead of the bound ones",
    )
    parser.add_argument("--workers", type=int, help="how many workers carry media")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError("must be a number of seconds, more than 0")
    return value


def _config(options: argparse.Namespace) -> Config:
    """Defaults, file, environment, then flags. Raises ConfigError."""
    values: dict[str, dict[str, object]] = {}

    def put(section: str, key: str, value: object) -> None:
        if value is not None:
            values.setdefault(section, {})[key] = value

    if options.http is not None:
        host, separator, port = options.http.rpartition(":")
        if not separator or not (port.isascii() and port.isdigit()):
            raise ConfigError("bad_value", "--http must be HOST:PORT like 127.0.0.1:8080")
        put("http", "host", host.removeprefix("[").removesuffix("]"))
        put("http", "port", int(port))
    put("udp", "binds", options.udp)
    put("udp", "advertise", options.advertise)
    put("workers", "count", options.workers)
    put("workers", "host", getattr(options, "worker_host", None))
    put("workers", "cpus", _numbers(getattr(options, "cpus", None)))
    put("tokens", "key_file", getattr(options, "key_file", None))
    put("serve", "pid_file", getattr(options, "pid_file", None))
    put("serve", "is_demo", True if getattr(options, "demo", False) else None)
    put("http", "tls_cert", getattr(options, "tls_cert", None))
    put("http", "tls_key", getattr(options, "tls_key", None))
    return configuration.with_values(configuration.load(options.config), values)


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError("bad_value", "--cpus must be numbers with commas, like 0,1") from None


if __name__ == "__main__":
    sys.exit(main())
