"""
telerelay: a media relay for teleconsultation.

`Relay(config, hooks=…, keys=…)` runs it, `relay.app()` is an aiohttp application to mount. docs/signaling.md says what
clients send, docs/configuration.md what can be set.
"""

from telerelay.config import Config
from telerelay.errors import ConfigError, LocalProtocolError, NativeError, RemoteProtocolError, TelerelayError
from telerelay.hooks import EndEvent, Hooks, JoinRequest, PersonEvent
from telerelay.protocol.grants import TokenKeys
from telerelay.relay import Relay

__version__ = "0.1.0"

__all__ = [
    "Config",
    "ConfigError",
    "EndEvent",
    "Hooks",
    "JoinRequest",
    "LocalProtocolError",
    "NativeError",
    "PersonEvent",
    "Relay",
    "RemoteProtocolError",
    "TelerelayError",
    "TokenKeys",
    "__version__",
]
