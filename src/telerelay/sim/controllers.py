"""
The rate controllers there are, by name.

Pure.
"""

from collections.abc import Callable

from telerelay.errors import ConfigError
from telerelay.sim.controller import Bounds, Controller
from telerelay.sim.gcc.controller import Gcc
from telerelay.sim.nada import Nada
from telerelay.sim.ours import Ours
from telerelay.sim.pacer import MakePacer

OWN = "telerelay"
"""The relay's own estimator: compiled, the same object that the relay runs."""

MAKERS: dict[str, Callable[[Bounds], Controller]] = {OWN: Ours, "gcc": Gcc, "nada": Nada}

PACERS: dict[str, MakePacer] = {}
"""Pacers that come with a controller; all others have the simulator's."""

NAMES = tuple(MAKERS)


def check(name: str) -> None:
    """Raises ConfigError where there is none of that name."""
    if name in MAKERS:
        return
    raise ConfigError("bad_value", f"there is no controller {name}; there are {', '.join(NAMES)}")


def make(name: str, bounds: Bounds) -> Controller:
    """A new one. Raises ConfigError where there is none of that name."""
    check(name)
    return MAKERS[name](bounds)
