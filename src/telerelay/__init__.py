"""
telerelay: a media relay for teleconsultation.

`Relay(config, hooks=…, keys=…)` runs it, `relay.app()` is an aiohttp application to mount. docs/signaling.md says what
clients send, docs/configuration.md what can be set.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telerelay.config import Config
    from telerelay.consult.plan import ConsultPlan
    from telerelay.errors import ConfigError, LocalProtocolError, NativeError, RemoteProtocolError, TelerelayError
    from telerelay.hooks import (
        Admission,
        AdmitRequest,
        AttestRequest,
        EndEvent,
        Hooks,
        JoinRequest,
        MeasurementEvent,
        PersonEvent,
        PolicyResult,
        QualityEvent,
        Route,
        RouteRequest,
        StateEvent,
        Systems,
    )
    from telerelay.protocol.grants import TokenKeys
    from telerelay.relay import Relay
    from telerelay.signaling.http import refusals

__version__ = "0.1.0"

__all__ = [
    "Admission",
    "AdmitRequest",
    "AttestRequest",
    "Config",
    "ConfigError",
    "ConsultPlan",
    "EndEvent",
    "Hooks",
    "JoinRequest",
    "LocalProtocolError",
    "MeasurementEvent",
    "NativeError",
    "PersonEvent",
    "PolicyResult",
    "QualityEvent",
    "Relay",
    "RemoteProtocolError",
    "Route",
    "RouteRequest",
    "StateEvent",
    "Systems",
    "TelerelayError",
    "TokenKeys",
    "__version__",
    "refusals",
]

_HOMES = {
    "Admission": "hooks",
    "AdmitRequest": "hooks",
    "AttestRequest": "hooks",
    "Config": "config",
    "ConfigError": "errors",
    "ConsultPlan": "consult.plan",
    "EndEvent": "hooks",
    "Hooks": "hooks",
    "JoinRequest": "hooks",
    "LocalProtocolError": "errors",
    "MeasurementEvent": "hooks",
    "NativeError": "errors",
    "PersonEvent": "hooks",
    "PolicyResult": "hooks",
    "QualityEvent": "hooks",
    "Relay": "relay",
    "RemoteProtocolError": "errors",
    "Route": "hooks",
    "RouteRequest": "hooks",
    "StateEvent": "hooks",
    "Systems": "hooks",
    "TelerelayError": "errors",
    "TokenKeys": "protocol.grants",
    "refusals": "signaling.http",
}


def __getattr__(name: str) -> object:
    """Imported when first asked for (PEP 562): a worker process needs none of it, and starts ten times as fast so."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
