"""
Ten health systems at one relay: each has its own site, rules and people, and none knows of the others.

`Systems` asks and tells each of what bears its own words. The relay is the same under each site's /consult, and each
site is under its own name here; a proxy in front of them gives each a host name of its own. Settings come from the
environment, as docs/configuration.md has them. Bind it to loopback: whoever reaches it may open a call.
"""

import importlib.util
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from aiohttp import web

from telerelay import Config, Hooks, Relay, Systems, TokenKeys
from telerelay.config import load

EXAMPLES = Path(__file__).resolve().parents[1]
Clock = Callable[[], float]


def _part(name: str) -> ModuleType:
    """Of another example, its app.py, with what stands beside that."""
    sys.path.append(str(EXAMPLES / name))
    spec = importlib.util.spec_from_file_location(f"together_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RULES: dict[str, Callable[[ModuleType, Clock, Clock], Hooks]] = {
    "booking": lambda part, wall, monotonic: part.Booking(wall),
    "campaign": lambda part, wall, monotonic: part.Campaign(wall),
    "deserts": lambda part, wall, monotonic: part.Territories(monotonic),
    "ehpad": lambda part, wall, monotonic: part.Homes(),
    "helloconsult": lambda part, wall, monotonic: part.Desks(),
    "medipeps": lambda part, wall, monotonic: part.Practices(),
    "scad": lambda part, wall, monotonic: part.Followup(),
    "teleavc": lambda part, wall, monotonic: part.Strokes(),
    "telecabine": lambda part, wall, monotonic: part.Booth(),
    "unite_sanitaire": lambda part, wall, monotonic: part.Unit(),
}
"""The ten, and the object with the rules of each."""


def make(config: Config, wall: Clock = time.time, monotonic: Clock = time.monotonic) -> tuple[web.Application, Relay]:
    """Ten sites, each under its name with the relay under /consult of it; the clocks are arguments, and everybody's."""
    parts = {name: _part(name) for name in RULES}
    rules = {name: RULES[name](part, wall, monotonic) for name, part in parts.items()}
    systems = Systems({word: rules[name] for name, part in parts.items() for word in part.WORDS})
    relay = Relay(config, hooks=systems, keys=TokenKeys.of(secrets.token_bytes(32)), wall=wall, monotonic=monotonic)
    app = web.Application()
    app.cleanup_ctx.append(relay.lifetime)
    for name, part in parts.items():
        site = part.site(relay, rules[name])
        site.add_subapp("/consult/", relay.app())
        app.add_subapp(f"/{name}/", site)
    return app, relay


if __name__ == "__main__":
    made, its_relay = make(load(None, os.environ))
    web.run_app(made, host=its_relay.config.http.host, port=its_relay.config.http.port)
