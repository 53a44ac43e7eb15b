"""
The way that a configuration names: a class of a Python package, or an address of webhooks.

Imports what it is told to, once, before anything is bound.
"""

import importlib
from pathlib import Path

from telerelay.config import HooksConfig
from telerelay.errors import ConfigError
from telerelay.hooks.hooks import Hooks, check_class, overridden
from telerelay.hooks.signature import load_keys
from telerelay.hooks.threads import ThreadWay
from telerelay.hooks.ways import Way


def way_of(config: HooksConfig) -> Way | None:
    """The way; None where the configuration names none. Raises ConfigError, which names what cannot be had."""
    if config.entry_point:
        kind = load_entry_point(config.entry_point)
        return ThreadWay(kind, overridden(kind), config.entry_point)
    if config.webhook_url:
        from telerelay.hooks.webhooks import WebhookWay  # an HTTP client that nobody else needs

        keys = load_keys(Path(config.webhook_key_file))
        return WebhookWay(config.webhook_url, keys, {*config.webhook_decisions, *config.webhook_events})
    return None


def load_entry_point(name: str) -> type[Hooks]:
    """The class of `package.module:Class`. Raises ConfigError bad_hooks."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        # Its words name the module that is missing, which may be one that this one wants.
        raise _bad(name, f"cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise _bad(name, f"cannot be imported: {type(error).__name__}") from error
    kind = getattr(module, attribute, None)
    if kind is None:
        raise _bad(name, f"cannot be imported: {module_name} has no {attribute}")
    if not isinstance(kind, type) or Hooks not in kind.__mro__:
        raise _bad(name, "is not a class that inherits telerelay.Hooks")
    try:
        check_class(kind)
    except ConfigError as error:
        raise _bad(name, f"cannot be taken: {error}") from None
    return kind


def _bad(name: str, what: str) -> ConfigError:
    line = " ".join(f"hooks.entry_point: {name} {what}".split())
    return ConfigError("bad_hooks", line)
