"""Where the rules come from is known before anything is bound."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.relay_process import MAIN
from support.rules import Misspelled
from telerelay import Config, ConfigError, Hooks, Relay, Systems, TokenKeys
from telerelay.cli import main
from telerelay.config import HooksConfig, load, with_values
from telerelay.hooks.entry import load_entry_point, way_of
from telerelay.hooks.threads import ThreadWay
from telerelay.hooks.webhooks import WebhookWay

KEYS = TokenKeys.of(b"k" * 32)


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    main(["token", "--new-key", str(tmp_path / "key")])
    return str(tmp_path / "key")


def hooks(**values: object) -> Config:
    return with_values(Config(), {"hooks": values})


def test_a_configuration_names_at_most_one_way(key_file: str) -> None:
    """
    None, a class, or an address.
    """
    assert way_of(HooksConfig()) is None
    assert isinstance(way_of(hooks(entry_point="support.rules:Sleepy").hooks), ThreadWay)
    way = way_of(hooks(webhook_url="http://127.0.0.1:1/", webhook_key_file=key_file).hooks)
    assert isinstance(way, WebhookWay)
    assert [True, False, True, False] == [
        way.hears(hook) for hook in ("authorize_join", "admit", "on_state", "on_quality")
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_package.rules:Rules", "cannot be imported: No module named 'no_such_package'"),
        ("support.no_such_rules:Rules", "cannot be imported: No module named 'support.no_such_rules'"),
        ("support.rules:NoSuchClass", "cannot be imported: support.rules has no NoSuchClass"),
        ("support.rules:NotHooks", "is not a class that inherits telerelay.Hooks"),
        ("support.rules:made", "is not a class that inherits telerelay.Hooks"),
        ("support.rules:time", "is not a class that inherits telerelay.Hooks"),
        (
            "support.rules:Misspelled",
            "cannot be taken: Misspelled.authorise_join is no hook; did you mean authorize_join?",
        ),
        ("support.leaving_rules:Rules", "cannot be imported: SystemExit"),
    ],
)
def test_what_cannot_be_had_is_named(name: str, message: str) -> None:
    """
    In one line, with the key and the name.
    """
    with pytest.raises(ConfigError) as caught:
        load_entry_point(name)

    assert f"hooks.entry_point: {name} {message}" == str(caught.value)
    with pytest.raises(ConfigError):
        Relay(hooks_and_keys(name), keys=KEYS)


def hooks_and_keys(name: str) -> Config:
    return hooks(entry_point=name)


def test_a_module_that_raises_is_named_without_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    They may hold anything.
    """
    (tmp_path / "raising_rules.py").write_text("raise RuntimeError('the password is hunter2')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"cannot be imported: RuntimeError$"):
        load_entry_point("raising_rules:Rules")


def test_serve_ends_before_it_binds(tmp_path: Path) -> None:
    """
    An address that is taken would be the first complaint otherwise; check-config finds the same.
    """
    config = tmp_path / "telerelay.toml"
    config.write_text('[hooks]\nentry_point = "no_such_package:Rules"\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-c", MAIN, "serve", "--config", str(config), "--http", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (1, "") == (done.returncode, done.stdout)
    assert "hooks.entry_point: no_such_package:Rules cannot be imported" in done.stderr
    assert "bind" not in done.stderr
    assert 1 == main(["check-config", "--config", str(config)])


def test_hooks_are_given_once() -> None:
    """
    In code or in the configuration.
    """

    class Rules(Hooks):
        pass

    with pytest.raises(ConfigError, match="in code and in the configuration"):
        Relay(hooks_and_keys("support.rules:Sleepy"), hooks=Rules(), keys=KEYS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"entry_point": "rules"}, "hooks.entry_point must be package.module:Class"),
        ({"entry_point": "a b:C"}, "hooks.entry_point must be package.module:Class"),
        ({"entry_point": "rules:C()"}, "hooks.entry_point must be package.module:Class"),
        ({"webhook_url": "https://a.example/"}, "belong together"),
        ({"webhook_url": "http://a.example/", "webhook_key_file": "k"}, "must be https, or http to a loopback"),
        ({"webhook_url": "http://10.0.0.1/", "webhook_key_file": "k"}, "must be https, or http to a loopback"),
        ({"webhook_url": "file:///etc/passwd", "webhook_key_file": "k"}, "must be an address"),
        ({"webhook_url": "https://u:hunter2@a.example/", "webhook_key_file": "k"}, "without user, password"),
        ({"webhook_url": "https://a.example/#f", "webhook_key_file": "k"}, "without user, password or fragment"),
        ({"webhook_url": "https://a.example:99999/", "webhook_key_file": "k"}, "must be an address"),
        ({"webhook_url": "https:///x", "webhook_key_file": "k"}, "must be an address"),
        ({"webhook_decisions": ["on_state"]}, "hooks.webhook_decisions must be one of authorize_join"),
        ({"webhook_events": ["authorize_join"]}, "hooks.webhook_events must be one of on_state"),
        ({"entry_point": "a:B", "webhook_url": "https://a.example/", "webhook_key_file": "k"}, "give one"),
    ],
)
def test_a_mistake_in_the_section_is_named(values: dict[str, Any], message: str) -> None:
    """
    In one line, and a password in an address is not repeated.
    """
    with pytest.raises(ConfigError) as caught:
        with_values(Config(), {"hooks": values})

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example", "https://a.example:8443/hooks?tenant=3", "http://localhost:1/", "http://[::1]:1/h"]
)
def test_an_address_may_be(url: str) -> None:
    """
    https anywhere, http on loopback.
    """
    assert url == hooks(webhook_url=url, webhook_key_file="k").hooks.webhook_url


def test_the_environment_names_a_way_too() -> None:
    """
    As every key.
    """
    config = load(None, {"TELERELAY_HOOKS_ENTRY_POINT": "support.rules:Sleepy"})

    assert "support.rules:Sleepy" == config.hooks.entry_point


class Helping(Hooks):
    """Methods of its own beside its rules."""

    async def authorize(self, sub: str) -> bool:
        return bool(sub)

    async def on_start(self) -> None: ...

    def admits(self, sub: str) -> bool:
        return bool(sub)

    async def _authorise_join(self) -> None: ...


def test_a_rule_that_nobody_would_ever_call_is_an_error_at_once() -> None:
    """
    Its name is nearly a hook's, of its own class or one it inherits; or there is a class and no object of it. What is
    of another name is the host's own.
    """

    class Inherits(Misspelled):
        pass

    made = (Misspelled, Inherits, lambda: Systems({"a-": Helping(), "b-": Misspelled()}))
    for make in made:
        with pytest.raises(ConfigError, match=r"authorise_join is no hook; did you mean authorize_join\?") as caught:
            Relay(hooks=make(), keys=KEYS)
        assert "bad_hooks" == caught.value.code
    with pytest.raises(ConfigError, match="must be an object of Helping, not the class"):
        Relay(hooks=Helping, keys=KEYS)  # type: ignore[arg-type]
    Relay(hooks=Helping(), keys=KEYS)
