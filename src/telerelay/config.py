"""
All that can be set: one dataclass a section, each field with its default, its unit and a sentence.

Pure but for reading the one file it is given. `describe` prints the fields; that print is docs/configuration.md.
"""

import dataclasses
import difflib
import ipaddress
import os
import ssl
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from telerelay.errors import ConfigError

ENV_PREFIX = "TELERELAY_"

# Of hooks/asked.py and hooks/told.py, which stand above this module; a test holds them to each other.
DECISION_NAMES = (
    "authorize_join",
    "route",
    "admit",
    "surge",
    "publish_policy",
    "subscribe_policy",
    "channel_policy",
    "camera_control",
    "document_policy",
    "still_consent",
    "recording_consent",
    "waiting_content",
    "attest",
    "degrade",
)
EVENT_NAMES = (
    "on_state",
    "on_person",
    "on_quality",
    "on_timer",
    "on_document",
    "on_still",
    "on_expertise",
    "on_fact",
    "on_presence",
    "on_measurement",
    "on_end",
)

Check = Callable[[Any], str | None]
"""What is wrong with a value, as the end of a sentence that begins with the key; None where nothing is."""


# -------------------------------------------------------------------- what a value may be


def parse_bind(text: str) -> tuple[str, int]:
    """
    `127.0.0.1:40000` or `[::1]:40000` to address and port. Raises ValueError.
    """
    address, separator, port = text.rpartition(":")
    if not separator:
        raise ValueError("has no port")
    if address.startswith("[") and address.endswith("]"):
        parsed: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv6Address(address[1:-1])
    else:
        parsed = ipaddress.IPv4Address(address)
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("has a port that is not 0 to 65535")
    return str(parsed), int(port)


def _bind(value: str) -> str | None:
    try:
        parse_bind(value)
    except ValueError:
        return f"must hold ADDRESS:PORT like 127.0.0.1:40000 or [::1]:40000, not {_quoted(value)}"
    return None


def _address(value: str) -> str | None:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return f"must hold IP addresses, not {_quoted(value)}"
    return f"must hold addresses that can be reached, not {value}" if address.is_unspecified else None


def _host(value: str) -> str | None:
    if value == "localhost":
        return None
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f"must be an IP address or localhost, not {_quoted(value)}"
    return None


def _range(low: float, high: float) -> Check:
    return lambda value: None if low <= value <= high else f"must be {low} to {high}, not {value}"


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"must be one of {', '.join(words)}, not {_quoted(value)}"


def _origin(value: str) -> str | None:
    scheme, separator, rest = value.partition("://")
    if separator and scheme in ("http", "https") and rest and not set(rest) & set("/?#@ *"):
        return None
    return f"must hold origins like https://clinic.example, not {_quoted(value)}"


def _file(value: str) -> str | None:
    return f"names a file that does not exist: {value}" if value and not Path(value).is_file() else None


def _folder(value: str) -> str | None:
    """Of one that is made where there is none: what is there already must be folders."""
    path = Path(value)
    try:
        there = next((each for each in (path, *path.absolute().parents) if each.exists()), path)
    except OSError as error:
        return _unseen(value, error)
    return f"names a folder that cannot be: {there} is none" if value and not there.is_dir() else None


def _place(value: str) -> str | None:
    """Of a file that is made where there is none."""
    path = Path(value)
    try:
        if not value or path.is_file():
            return None
        if path.exists():
            return f"names what is no file: {value}"
        return None if path.absolute().parent.is_dir() else f"is in a folder that does not exist: {value}"
    except OSError as error:
        return _unseen(value, error)


def _unseen(value: str, error: OSError) -> str:
    """Nobody but the relay's user may look there, for instance."""
    return f"names what cannot be looked at: {value}: {error.strerror}"


def _entry_point(value: str) -> str | None:
    module, _, name = value.partition(":")
    if not value or (name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        return None
    return f"must be package.module:Class, not {_quoted(value)}"


def _webhook_url(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        is_good = not value or bool(parts.hostname and (parts.port is None or parts.port))
    except ValueError:
        is_good = False
        parts = urlsplit("")
    if not is_good or parts.username is not None or "#" in value or not value.isascii() or " " in value:
        # Not what it is: there may be a password in it.
        return "must be an address like https://clinic.example/hooks, without user, password or fragment"
    if value and parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname or "")):
        return "must be https, or http to a loopback address"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 64 else text[:61] + "...")


def _option(default: Any, doc: str, check: Check | None = None, later: Check | None = None) -> Any:
    """A field. `check` looks at the value (each item, of a tuple) at once; `later` at the machine, in `check` below."""
    return field(default=default, metadata={"doc": doc, "check": check, "later": later})


# -------------------------------------------------------------------- sections


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The main listener: signalling, WHIP, WHEP and the pages."""

    host: str = _option("127.0.0.1", "Address to listen on.", _host)
    port: int = _option(8080, "TCP port; 0 lets the system choose.", _range(0, 65535))
    allowed_origins: tuple[str, ...] = _option(
        (), "Origins of web pages that may use the relay; its own origin always may.", _origin
    )
    tls_cert: str = _option("", "Certificate chain file in PEM; empty: no TLS here.", later=_file)
    tls_key: str = _option("", "Private key file of that certificate, in PEM.", later=_file)
    admin_host: str = _option("127.0.0.1", "Address of the admin listener (metrics).", _host)
    admin_port: int = _option(
        0,
        "TCP port of the admin listener; 0: none, and metrics only on a main listener bound to loopback.",
        _range(0, 65535),
    )


@dataclass(frozen=True, slots=True)
class UdpConfig:
    """Where media comes and goes."""

    binds: tuple[str, ...] = _option(
        ("127.0.0.1:40000",),
        "ADDRESS:PORT to bind; worker i listens on port + i, and port 0 lets the system choose. At most 8.",
        _bind,
    )
    advertise: tuple[str, ...] = _option(
        (), "Addresses to tell clients instead of the bound ones of the same IP version (behind NAT).", _address
    )


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """What carries media."""

    count: int = _option(1, "How many workers.", _range(1, 64))
    host: str = _option(
        "auto",
        "Where a worker lives: thread, process, or auto: a process under `telerelay serve`, a thread where embedded.",
        _one_of("auto", "thread", "process"),
    )
    cpus: tuple[int, ...] = _option((), "CPU numbers to pin workers to, in order; empty: not pinned.", _range(0, 1023))
    max_transports: int = _option(4096, "Connections one worker may hold.", _range(1, 65535))
    udp_gro: bool = _option(
        True, "Whether a burst of one peer is received as one message (UDP_GRO), where the kernel can."
    )
    orphan_s: float = _option(
        600.0, "How long a worker in a process of its own goes on without a control process, seconds.", _range(1, 86400)
    )


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """Who may come in."""

    key_file: str = _option("", "File with the key tokens are signed with; empty: a key is given in code.", later=_file)
    leeway_s: int = _option(5, "Difference between clocks that is forgiven, seconds.", _range(0, 300))


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """What is carried, and what is kept of it."""

    audio_codecs: tuple[str, ...] = _option(
        ("opus",),
        "Audio codecs taken; red before opus asks publishers for redundancy (RFC 2198).",
        _one_of("opus", "red"),
    )
    video_codecs: tuple[str, ...] = _option(
        ("VP8", "H264", "VP9", "AV1", "H265"), "Video codecs taken.", _one_of("VP8", "VP9", "H264", "AV1", "H265")
    )
    video_history_bytes: int = _option(
        524288,
        "Packets kept of each video stream for resends, bytes at the most: a second of a slower stream takes less.",
        _range(16384, 16777216),
    )
    audio_history_bytes: int = _option(
        16384, "Packets kept of each audio stream for resends, bytes.", _range(4096, 1048576)
    )
    adaptation: bool = _option(
        True,
        "Whether each subscriber is sent what its line carries: packets are numbered across tracks, lines are estimated"
        " by what clients report of them, layers follow, and publishers are told what is worth sending.",
    )
    consent_timeout_s: int = _option(30, "Without a check for so long nothing more is sent, seconds.", _range(5, 120))


@dataclass(frozen=True, slots=True)
class RoomsConfig:
    """How many, and for how long."""

    max_participants: int = _option(
        16, "Participants of one room; an eighth of them, one at least, is kept from who waits.", _range(1, 1000)
    )
    max_publications: int = _option(16, "Publications of one participant.", _range(1, 32))
    max_rooms: int = _option(4096, "Rooms of the relay.", _range(1, 1000000))
    seat_s: int = _option(120, "How long the seat of a lost participant is kept, seconds.", _range(1, 3600))
    max_replayed_events: int = _option(
        512,
        "Events kept for a participant that lost its socket; past that its next join starts afresh.",
        _range(16, 65536),
    )


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What one peer may ask of us."""

    message_bytes: int = _option(65536, "Size of a WebSocket message, bytes.", _range(1024, 1048576))
    sdp_bytes: int = _option(65536, "Size of an offer or answer over HTTP, bytes.", _range(1024, 65536))
    join_timeout_s: float = _option(5.0, "From an open WebSocket to its join message, seconds.", _range(0.1, 60))
    body_timeout_s: float = _option(5.0, "For the body of an HTTP request to arrive, seconds.", _range(0.1, 60))
    keep_alive_s: float = _option(10.0, "How long an idle HTTP connection is kept, seconds.", _range(1, 3600))
    message_burst: int = _option(60, "WebSocket messages taken at once.", _range(1, 10000))
    messages_per_s: float = _option(20.0, "WebSocket messages taken a second, after that burst.", _range(0.1, 10000))
    offer_burst: int = _option(5, "Offers a connection may bring at once.", _range(1, 100))
    offer_every_s: float = _option(2.0, "Time from one offer to the next, after that burst, seconds.", _range(0, 60))
    auth_failure_burst: int = _option(20, "Refused tokens of one address taken at once.", _range(1, 10000))
    auth_failures_per_s: float = _option(1.0, "Refused tokens of one address a second, after that.", _range(0.01, 1000))


@dataclass(frozen=True, slots=True)
class HooksConfig:
    """The application's own rules: docs/hooks.md."""

    decision_timeout_s: float = _option(2.0, "A decision that takes longer is a refusal, seconds.", _range(0.01, 60))
    event_timeout_s: float = _option(10.0, "An event that is not taken by then has failed, seconds.", _range(0.01, 60))
    emergency_passes: bool = _option(
        False, "Whether whoever joins an emergency consult is let in when authorize_join fails; else nobody is."
    )
    entry_point: str = _option(
        "",
        "Class with the hooks, package.module:Class, made and run on a thread of its own.",
        _entry_point,
    )
    webhook_url: str = _option(
        "", "Address that hooks are posted to instead: https, or http to loopback; empty: none.", _webhook_url
    )
    webhook_key_file: str = _option(
        "",
        "File with the key to sign what is posted, or with two while one replaces the other.",
        later=_file,
    )
    webhook_decisions: tuple[str, ...] = _option(
        ("authorize_join",),
        "Decisions that are asked for over HTTP; of others the relay's own answers hold.",
        _one_of(*DECISION_NAMES),
    )
    webhook_events: tuple[str, ...] = _option(
        (
            *("on_state", "on_person", "on_timer", "on_document", "on_still", "on_expertise", "on_fact"),
            *("on_presence", "on_end"),
        ),
        "Events that are told over HTTP; on_quality is for whoever wants it every two seconds, on_measurement for"
        " whoever takes measurements: their senders then wait for it.",
        _one_of(*EVENT_NAMES),
    )
    give_up_s: float = _option(
        259200.0,
        "An event of a consult that nobody takes for so long becomes a dead letter, seconds.",
        _range(1, 2592000),
    )


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """What is kept of consults, so that a process that is killed goes on where it was (docs/journal.md)."""

    path: str = _option(
        "", "File of the journal, made if need be; empty: in memory, gone with the process.", later=_place
    )
    retain_days: float = _option(
        365.0,
        "How long after its end the personal parts of a consult are kept, days; then they are erased.",
        _range(0, 36525),
    )


@dataclass(frozen=True, slots=True)
class AttestConfig:
    """What is signed of consults that have ended."""

    key_file: str = _option(
        "",
        "File with the Ed25519 key that signs attestations and the journal's anchors; empty: a key of this process"
        " alone signs attestations, which nobody can be held to.",
        later=_file,
    )


@dataclass(frozen=True, slots=True)
class ConsultsConfig:
    """What the relay knows of consults: who waits, who lets in, what is remembered of them."""

    required: bool = _option(False, "Whether a room without a consult is refused to everyone.")
    packets_per_s: float = _option(
        361.0, "What one consult counts for: packets forwarded a second, of two people at call rate.", _range(1, 1e6)
    )
    capacity_packets_per_s: float = _option(
        0.0,
        "What all consults may take together, packets a second; past that people wait with a position. 0: no bound.",
        _range(0, 1e9),
    )
    emergency_share: float = _option(0.1, "Share of that capacity that is kept for emergencies.", _range(0, 1))
    token_s: int = _option(600, "How long a token is valid that a link was changed for, seconds.", _range(1, 86400))


@dataclass(frozen=True, slots=True)
class MeasurementsConfig:
    """What devices may measure, and how much of it (docs/measurements.md)."""

    max_series: int = _option(
        32, "Series of one person in a room at once; those of pages that were reloaded make room.", _range(1, 256)
    )
    samples_per_s: float = _option(
        10000.0, "Samples taken of one person, a second; more wait with their sender.", _range(10, 1e6)
    )
    buffer_bytes: int = _option(
        524288,
        "What is held of one series until everybody has it, bytes as it is written: a wave of 250 Hz takes 1 to 2 KB a"
        " second.",
        _range(16384, 16777216),
    )
    types: tuple[str, ...] = _option((), "Types that are taken, such as ecg or heart_rate; empty: all.")


@dataclass(frozen=True, slots=True)
class DocumentsConfig:
    """Documents and stills that people hand each other in a consult (docs/documents.md)."""

    enabled: bool = _option(True, "Whether there are any: in a consult; a room without one never has.")
    folder: str = _option(
        "",
        "Folder they are kept in, encrypted, until the end of their consult, one relay's own; empty: one beside the"
        " journal's file, named like it with .documents, or, with the journal in memory, a temporary one.",
        later=_folder,
    )
    max_bytes: int = _option(104857600, "Size of one, bytes.", _range(1, 2**40))
    per_person: int = _option(32, "How many one person may send in a consult.", _range(1, 1024))
    per_consult: int = _option(64, "How many there may be in a consult.", _range(1, 1024))
    consult_bytes: int = _option(524288000, "Size of all of a consult, bytes.", _range(1, 2**44))
    keep_free_bytes: int = _option(
        268435456, "What is left free on their disk, bytes: nothing is taken that would use it.", _range(0, 2**44)
    )
    beside_call_bps: float = _option(
        600000.0,
        "How fast at most a document comes from, or goes to, somebody whose sound and picture are connected, bit/s; 0:"
        " as fast as it can. Stills are not held back.",
        _range(0, 1e10),
    )
    idle_s: float = _option(
        30.0, "How long a body may pause before its connection is given up, seconds.", _range(1, 600)
    )
    expire_s: float = _option(3600.0, "How long an upload is kept that nothing is added to, seconds.", _range(1, 86400))
    answer_s: float = _option(60.0, "How long somebody has to allow or refuse a still, seconds.", _range(1, 3600))
    still_s: float = _option(120.0, "How long a still may take that was allowed, seconds.", _range(1, 3600))


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """What `telerelay probe` and the check page may ask of the relay, before anybody has an appointment."""

    enabled: bool = _option(True, "Whether sites may be checked.")
    needs_token: bool = _option(False, "Whether only who has a token may; else whoever has the address.")
    at_once: int = _option(4, "How many checks may run beside each other.", _range(1, 1000))
    burst: int = _option(40, "Checks from one address taken at once.", _range(1, 10000))
    every_s: float = _option(
        5.0, "Time from one check of an address to the next, after that burst, seconds.", _range(0.01, 3600)
    )


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Consults that are recorded, where everybody in them agrees (docs/recording.md)."""

    enabled: bool = _option(False, "Whether a consult can be recorded at all.")
    folder: str = _option(
        "",
        "Folder recordings are kept in, encrypted, one relay's own; empty: one beside the journal's file, named like it"
        " with .recordings, or, with the journal in memory, a temporary one.",
        later=_folder,
    )
    retain_days: float = _option(
        30.0,
        "How long a consult's recordings are kept after the latest of them, days; then their key is destroyed.",
        _range(0, 36525),
    )
    keep_free_bytes: int = _option(
        268435456, "What is left free on their disk, bytes: a recording that would use it stops.", _range(0, 2**44)
    )


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """The process of `telerelay serve`."""

    pid_file: str = _option("", "File to write the process id to; empty: none.", later=_place)
    run_dir: str = _option(
        "",
        "Directory of the worker processes' sockets, 0700; empty: one named after the first UDP bind, in"
        " $XDG_RUNTIME_DIR/telerelay, /run/telerelay (root) or among the temporary files.",
    )
    is_demo: bool = _option(False, "On loopback, give tokens to whoever opens the page.")
    drain_s: float = _option(3600.0, "How long a draining relay waits for its calls to end, seconds.", _range(0, 86400))


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written, to standard error."""

    level: str = _option("info", "debug, info, warning or error.", _one_of("debug", "info", "warning", "error"))
    format: str = _option(
        "text",
        "text: `ts=… level=… event=…`; or json: an object a line with the same members.",
        _one_of("text", "json"),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """Everything. Use `load`, or `with_values` over the defaults, so that values are checked."""

    http: HttpConfig = field(default_factory=HttpConfig)
    udp: UdpConfig = field(default_factory=UdpConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    tokens: TokensConfig = field(default_factory=TokensConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    rooms: RoomsConfig = field(default_factory=RoomsConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    hooks: HooksConfig = field(default_factory=HooksConfig)
    journal: JournalConfig = field(default_factory=JournalConfig)
    attest: AttestConfig = field(default_factory=AttestConfig)
    consults: ConsultsConfig = field(default_factory=ConsultsConfig)
    measurements: MeasurementsConfig = field(default_factory=MeasurementsConfig)
    documents: DocumentsConfig = field(default_factory=DocumentsConfig)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    recording: RecordingConfig = field(default_factory=RecordingConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    log: LogConfig = field(default_factory=LogConfig)


# -------------------------------------------------------------------- loading


def load(path: Path | None = None, env: Mapping[str, str] | None = None) -> Config:
    """
    Defaults, then the TOML file, then the environment (TELERELAY_HTTP_PORT=8081, lists with commas).

    Raises ConfigError with one line that names the key.
    """
    values = {} if path is None else _read(path)
    config = with_values(Config(), values)
    return with_values(config, _from_env(os.environ if env is None else env), _env_name)


def with_values(
    config: Config,
    values: Mapping[str, Mapping[str, object]],
    name: Callable[[str, str], str] = lambda section, key: f"{section}.{key}",
) -> Config:
    """
    The config with other values: section to key to value, as in the TOML file. Raises ConfigError; `name` spells keys.
    """
    sections: dict[str, Any] = {}
    for section_name, keys in values.items():
        known_sections = [each.name for each in dataclasses.fields(config)]
        if section_name not in known_sections:
            _unknown("section", section_name, known_sections)
        if not isinstance(keys, Mapping):
            raise ConfigError("bad_value", f"{section_name} is a section: write [{section_name}]")
        section = getattr(config, section_name)
        fields = {each.name: each for each in dataclasses.fields(section)}
        checked = {}
        for key, value in keys.items():
            if key not in fields:
                _unknown("key", f"{section_name}.{key}", _all_keys())
            checked[key] = _checked(name(section_name, key), fields[key], value)
        sections[section_name] = dataclasses.replace(section, **checked)
    changed = dataclasses.replace(config, **sections)
    _check_together(changed)
    return changed


def check(config: Config) -> tuple[str, ...]:
    """
    What would stop a relay with this config on this machine, one line each: files missing, pairs that do not fit.
    """
    problems = []
    for section, each in _fields(config):
        later = each.metadata["later"]
        problem = later(getattr(getattr(config, section), each.name)) if later else None
        if problem:
            problems.append(f"{section}.{each.name} {problem}")
    if config.http.tls_cert and not problems:
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(config.http.tls_cert, config.http.tls_key)
        except (OSError, ssl.SSLError):
            problems.append("http.tls_cert and http.tls_key are not a certificate and its key in PEM")
    missing = set(config.workers.cpus) - os.sched_getaffinity(0)
    if missing:
        problems.append(f"workers.cpus names CPUs this process may not use: {', '.join(map(str, sorted(missing)))}")
    return tuple(problems)


def describe(config: Config | None = None) -> str:
    """Every key with its value, as a commented TOML file in Markdown; of the defaults it is docs/configuration.md."""
    config = Config() if config is None else config
    lines = [
        "# Configuration",
        "",
        "A TOML file given with `--config`, over these defaults; the environment over both: `http.port` is",
        "`TELERELAY_HTTP_PORT`, lists have commas. Flags of `telerelay serve` over all. An unknown key is an error.",
        "This page is what `telerelay show-config` prints.",
        "",
        "```toml",
    ]
    for section in dataclasses.fields(config):
        value = getattr(config, section.name)
        lines += [f"# {value.__doc__}", f"[{section.name}]"]
        for each in dataclasses.fields(value):
            lines += [f"# {each.metadata['doc']}", f"{each.name} = {_toml(getattr(value, each.name))}"]
        lines.append("")
    lines[-1] = "```"
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError("bad_file", f"cannot read the config file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("bad_file", f"the config file {path} is not TOML: {error}") from None


def _from_env(env: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """What of the environment is ours: variables that begin with our prefix and the name of a section."""
    values: dict[str, dict[str, object]] = {}
    sections = {each.name: getattr(Config(), each.name) for each in dataclasses.fields(Config)}
    for variable in sorted(env):
        section_name, separator, key = variable.removeprefix(ENV_PREFIX).lower().partition("_")
        if not variable.startswith(ENV_PREFIX) or not separator or section_name not in sections:
            continue
        fields = {each.name: each for each in dataclasses.fields(sections[section_name])}
        if key not in fields:
            known = [_env_name(*name.split(".")) for name in _all_keys()]
            _unknown("environment variable", variable, known)
        values.setdefault(section_name, {})[key] = _from_text(variable, fields[key].type, env[variable])
    return values


def _env_name(section: str, key: str) -> str:
    return f"{ENV_PREFIX}{section}_{key}".upper()


def _from_text(name: str, kind: Any, text: str) -> object:
    if isinstance(kind, types.GenericAlias):
        item = typing.get_args(kind)[0]
        return [_from_text(name, item, part.strip()) for part in text.split(",") if part.strip()]
    try:
        return {"1": True, "true": True, "0": False, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise ConfigError("bad_value", f"{name} must be {_TYPE_WORDS[kind]}, not {_quoted(text)}") from None


_TYPE_WORDS: dict[Any, str] = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


def _checked(name: str, each: dataclasses.Field[Any], value: object) -> object:
    """The value as the field's type, or ConfigError."""
    kind: Any = each.type
    if isinstance(kind, types.GenericAlias):
        if not isinstance(value, list | tuple):
            raise ConfigError("bad_value", f"{name} must be a list")
        item = typing.get_args(kind)[0]
        result: object = tuple(_typed(name, item, part) for part in value)
        items: tuple[object, ...] = tuple(value)
    else:
        result = _typed(name, kind, value)
        items = (result,)
    problem = next(filter(None, map(each.metadata["check"] or (lambda item: None), items)), None)
    if problem:
        raise ConfigError("bad_value", f"{name} {problem}")
    return result


def _typed(name: str, kind: Any, value: object) -> object:
    is_right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not is_right:
        raise ConfigError("bad_value", f"{name} must be {_TYPE_WORDS[kind]}, not {_quoted(value)}")
    if isinstance(value, str) and not value.isprintable():
        raise ConfigError("bad_value", f"{name} holds characters that it may not hold")
    return value


def _check_together(config: Config) -> None:
    """What no single value shows."""
    if bool(config.http.tls_cert) != bool(config.http.tls_key):
        raise ConfigError("bad_value", "http.tls_cert and http.tls_key belong together: give both or neither")
    if config.hooks.entry_point and config.hooks.webhook_url:
        raise ConfigError("bad_value", "hooks.entry_point and hooks.webhook_url are two ways to one thing: give one")
    if bool(config.hooks.webhook_url) != bool(config.hooks.webhook_key_file):
        raise ConfigError(
            "bad_value", "hooks.webhook_url and hooks.webhook_key_file belong together: give both or neither"
        )
    if not 1 <= len(config.udp.binds) <= 8:
        raise ConfigError("bad_value", "udp.binds must hold 1 to 8 addresses")
    if not config.media.audio_codecs and not config.media.video_codecs:
        raise ConfigError("bad_value", "media.audio_codecs and media.video_codecs must not both be empty")
    for bind in config.udp.binds:
        port = parse_bind(bind)[1]
        if port and port + config.workers.count - 1 > 65535:
            raise ConfigError("bad_value", f"udp.binds: {bind} leaves no ports for {config.workers.count} workers")


def _fields(config: Config) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for section in dataclasses.fields(config):
        for each in dataclasses.fields(getattr(config, section.name)):
            yield section.name, each


def _all_keys() -> list[str]:
    return [f"{section}.{each.name}" for section, each in _fields(Config())]


def _unknown(what: str, name: str, known: list[str]) -> NoReturn:
    by_last = {each.rpartition(".")[2]: each for each in known}
    near = difflib.get_close_matches(name, known, 1, 0.5) or [
        by_last[last] for last in difflib.get_close_matches(name.rpartition(".")[2], list(by_last), 1, 0.5)
    ]
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError("unknown_key", f"unknown {what} {_quoted(name)}{hint}")


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)
