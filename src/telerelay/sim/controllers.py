"""
The rate controllers there are, by name.

Pure.
"""

from collections.abc import Callable

from telerelay.errors import ConfigError
from telerelay.sim.controller import Bounds, Controller
from telerelay.sim.gcc.controller import Gcc
from telerelay.sim.nada import Nada
from telerelay.sim.pacer import MakePacer

OWN = "telerelay"
"""The relay's own estimator: compiled, the same object that the relay runs."""

MAKERS: dict[str, Callable[[Bounds], Controller]] = {"gcc": Gcc, "nada": Nada}

PACERS: dict[str, MakePacer] = {}
"""Pacers that come with a controller; all others have the simulator's."""

NAMES = (OWN, *MAKERS)

NOT_THERE = "the controller telerelay is not there yet: the relay has no estimator of its own to run here"


def is_there(name: str) -> bool:
    """Whether it can be run."""
    return name in MAKERS


def check(name: str) -> None:
    """Raises ConfigError where it cannot be run."""
    if name in MAKERS:
        return
    if name == OWN:
        raise ConfigError("bad_value", NOT_THERE)
    raise ConfigError("bad_value", f"there is no controller {name}; there are {', '.join(NAMES)}")


def make(name: str, bounds: Bounds) -> Controller:
    """A new one. Raises ConfigError where it cannot be run."""
    check(name)
    return MAKERS[name](bounds)
