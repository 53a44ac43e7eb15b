"""
Configuration is right or refused in one line that names the key and, for an unknown one, the nearest known.
"""

import re
from pathlib import Path

import pytest

from telerelay.config import Config, check, describe, load, parse_bind, with_values
from telerelay.errors import ConfigError

DOCS = Path(__file__).resolve().parent.parent / "docs"


def refusal(toml: str, tmp_path: Path) -> str:
    path = tmp_path / "telerelay.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_without_file_and_environment_the_defaults_hold() -> None:
    """
    An empty configuration serves on loopback.
    """
    config = load(None, {})

    assert Config() == config
    assert ("127.0.0.1", 8080, ("127.0.0.1:40000",)) == (config.http.host, config.http.port, config.udp.binds)


def test_the_file_goes_over_the_defaults_and_the_environment_over_both(tmp_path: Path) -> None:
    """
    Lists in the environment have commas.
    """
    path = tmp_path / "telerelay.toml"
    path.write_text('[http]\nport = 1\nhost = "127.0.0.2"\n[workers]\ncount = 3\n[limits]\njoin_timeout_s = 3\n')
    env = {"TELERELAY_HTTP_PORT": "2", "TELERELAY_UDP_BINDS": "127.0.0.1:1, [::1]:2", "TELERELAY_SERVE_IS_DEMO": "true"}
    config = load(path, {**env, "PATH": "/bin", "TELERELAY_OTHER_THING": "x"})

    assert ("127.0.0.2", 2, 3, 3.0) == (
        config.http.host,
        config.http.port,
        config.workers.count,
        config.limits.join_timeout_s,
    )
    assert (("127.0.0.1:1", "[::1]:2"), True) == (config.udp.binds, config.serve.is_demo)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[http]\nprot = 1", "unknown key 'http.prot'; did you mean http.port?"),
        ("[http]\nkey_file = 'x'", "unknown key 'http.key_file'; did you mean attest.key_file?"),
        ("[htpp]\nport = 1", "unknown section 'htpp'; did you mean http?"),
        ("[http]\nzzzzzzzz = 1", "unknown key 'http.zzzzzzzz'"),
        ("http = 1", "http is a section: write [http]"),
        ("[http]\nport = 65536", "http.port must be 0 to 65535, not 65536"),
        ("[http]\nport = '8080'", "http.port must be an integer, not '8080'"),
        ("[http]\nport = true", "http.port must be an integer, not 'True'"),
        ("[http]\nhost = 'nowhere'", "http.host must be an IP address or localhost, not 'nowhere'"),
        ("[http]\nhost = 1", "http.host must be a string, not '1'"),
        (
            "[http]\nallowed_origins = ['clinic.example']",
            "http.allowed_origins must hold origins like https://clinic.example",
        ),
        ("[http]\nallowed_origins = ['https://a/b']", "http.allowed_origins must hold origins like"),
        ("[http]\ntls_cert = 'x'", "http.tls_cert and http.tls_key belong together"),
        ("[udp]\nbinds = '127.0.0.1:1'", "udp.binds must be a list"),
        ("[udp]\nbinds = []", "udp.binds must hold 1 to 8 addresses"),
        ("[udp]\nbinds = ['127.0.0.1']", "udp.binds must hold ADDRESS:PORT like"),
        ("[udp]\nbinds = ['127.0.0.1:65536']", "udp.binds must hold ADDRESS:PORT like"),
        ("[udp]\nbinds = ['::1:40000']", "udp.binds must hold ADDRESS:PORT like"),
        ("[udp]\nbinds = ['127.0.0.1:65535']\n[workers]\ncount = 2", "leaves no ports for 2 workers"),
        ("[udp]\nadvertise = ['x']", "udp.advertise must hold IP addresses, not 'x'"),
        ("[udp]\nadvertise = ['0.0.0.0']", "udp.advertise must hold addresses that can be reached"),
        ("[workers]\nhost = 'fork'", "workers.host must be one of auto, thread, process, not 'fork'"),
        ("[workers]\ncount = 0", "workers.count must be 1 to 64, not 0"),
        ("[workers]\ncpus = ['0']", "workers.cpus must be an integer"),
        ("[media]\nvideo_codecs = ['VP7']", "media.video_codecs must be one of VP8"),
        ("[media]\naudio_codecs = []\nvideo_codecs = []", "must not both be empty"),
        ("[media]\nvideo_history_bytes = 100", "media.video_history_bytes must be 16384 to 16777216, not 100"),
        ("[limits]\njoin_timeout_s = 'soon'", "limits.join_timeout_s must be a number, not 'soon'"),
        ('[serve]\npid_file = "a\\nb"', "serve.pid_file holds characters"),
        ("[http", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_in_one_line(toml: str, message: str, tmp_path: Path) -> None:
    """
    F40: what is wrong, where, and what it should be.
    """
    assert message in refusal(toml, tmp_path)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (
            {"TELERELAY_HTTP_PROT": "1"},
            "unknown environment variable 'TELERELAY_HTTP_PROT'; did you mean TELERELAY_HTTP_PORT?",
        ),
        ({"TELERELAY_HTTP_PORT": "x"}, "TELERELAY_HTTP_PORT must be an integer, not 'x'"),
        ({"TELERELAY_HTTP_PORT": "70000"}, "TELERELAY_HTTP_PORT must be 0 to 65535"),
        ({"TELERELAY_SERVE_IS_DEMO": "perhaps"}, "TELERELAY_SERVE_IS_DEMO must be true or false"),
        ({"TELERELAY_WORKERS_CPUS": "0,x"}, "TELERELAY_WORKERS_CPUS must be an integer"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(env: dict[str, str], message: str) -> None:
    """
    As the operator wrote it.
    """
    with pytest.raises(ConfigError) as caught:
        load(None, env)

    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """
    Absent, a directory, or not text.
    """
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("absent", "", "binary"):
        with pytest.raises(ConfigError, match=re.escape(str(tmp_path / name))):
            load(tmp_path / name, {})


def test_flags_go_over_everything() -> None:
    """
    with_values is how a command adds its own, and the original stays as it is.
    """
    config = load(None, {"TELERELAY_HTTP_PORT": "2"})
    changed = with_values(config, {"http": {"port": 3}, "udp": {"binds": ["127.0.0.1:0"]}})

    assert (2, 3, ("127.0.0.1:0",)) == (config.http.port, changed.http.port, changed.udp.binds)
    with pytest.raises(ConfigError):
        with_values(config, {"http": {"port": -1}})


def test_what_is_missing_on_the_machine_is_found_before_anything_is_bound(tmp_path: Path) -> None:
    """
    One line for each problem; none for a configuration that will do.
    """
    bad = with_values(
        Config(),
        {
            "http": {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")},
            "tokens": {"key_file": str(tmp_path / "tokens")},
            "workers": {"cpus": [1023]},
        },
    )

    assert () == check(Config())
    assert [
        f"http.tls_cert names a file that does not exist: {tmp_path / 'cert'}",
        f"http.tls_key names a file that does not exist: {tmp_path / 'key'}",
        f"tokens.key_file names a file that does not exist: {tmp_path / 'tokens'}",
        "workers.cpus names CPUs this process may not use: 1023",
    ] == list(check(bad))


def test_a_certificate_that_is_none_is_found(tmp_path: Path) -> None:
    """
    The files are there and hold something else.
    """
    for name in ("cert", "key"):
        (tmp_path / name).write_text("hello")
    config = with_values(Config(), {"http": {"tls_cert": str(tmp_path / "cert"), "tls_key": str(tmp_path / "key")}})

    assert ("http.tls_cert and http.tls_key are not a certificate and its key in PEM",) == check(config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:65535", ("::1", 65535)), ("[0:0::1]:1", ("::1", 1))],
)
def test_a_bind_is_an_address_and_a_port(text: str, expected: tuple[str, int]) -> None:
    """
    IPv6 in brackets.
    """
    assert expected == parse_bind(text)


@pytest.mark.parametrize(
    "text", ["", ":", "1", "127.0.0.1:", "127.0.0.1:+1", "127.0.0.1:٣", "::1", "[127.0.0.1]:1", "a:1"]
)
def test_what_is_no_bind_is_refused(text: str) -> None:
    """
    ValueError, for the caller to say where it stood.
    """
    with pytest.raises(ValueError):  # noqa: PT011
        parse_bind(text)


def test_what_is_described_can_be_loaded_again(tmp_path: Path) -> None:
    """
    The print of show-config is a configuration file.
    """
    config = with_values(
        Config(), {"http": {"port": 1}, "udp": {"advertise": ["192.0.2.1"]}, "serve": {"is_demo": True}}
    )
    toml = describe(config).partition("```toml\n")[2].partition("```")[0]
    path = tmp_path / "telerelay.toml"
    path.write_text(toml)

    assert config == load(path, {})


def test_every_field_says_what_it_is() -> None:
    """
    And its unit stands in its name or its sentence: docs/configuration.md is this print.
    """
    assert describe() == (DOCS / "configuration.md").read_text()
    assert not re.search(r"# \n", describe())
