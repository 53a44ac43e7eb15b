"""
Whom the load is for: one small file for each signalling, behind one protocol class (base.py).
"""

from telerelay.errors import ConfigError
from telerelay.load.targets.base import Target
from telerelay.load.targets.janus import JanusTarget
from telerelay.load.targets.websocket import WebSocketTarget
from telerelay.load.targets.whip import WhipTarget


def make(*, relay: str = "", whip: str = "", whep: str = "", janus: str = "") -> Target:
    """The target of the flags that were given. Raises ConfigError."""
    given = [bool(relay), bool(whip or whep), bool(janus)]
    if sum(given) != 1:
        raise ConfigError("bad_target", "give one target: an address, --whip and --whep, or --janus")
    if relay:
        return WebSocketTarget(relay)
    if janus:
        return JanusTarget(janus)
    return WhipTarget(whip, whep)
