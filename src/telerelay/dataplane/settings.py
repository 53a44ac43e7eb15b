"""
What one worker is started with, and how C is told.

Any thread, of control and of the worker process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from telerelay._native import ffi, lib

_DEFAULTS = ffi.new("tr_worker_config *")
lib.tr_worker_config_init(_DEFAULTS)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """
    `binds` are (address, UDP port), port 0 lets the kernel choose; `cpu` -1: none. The defaults are those of C.
    """

    index: int
    binds: tuple[tuple[str, int], ...]
    max_transports: int = _DEFAULTS.max_transports
    video_history_bytes: int = _DEFAULTS.video_history_bytes
    audio_history_bytes: int = _DEFAULTS.audio_history_bytes
    consent_timeout_us: int = _DEFAULTS.consent_timeout_us
    cpu: int = _DEFAULTS.cpu
    udp_gro: bool = bool(_DEFAULTS.udp_gro)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "WorkerSettings":
        """
        Out of JSON. Another version may have said it: what it does not name has its default, what is not known here is
        passed over. Raises KeyError, TypeError or ValueError for what are no settings.
        """
        given = {each.name: plain[each.name] for each in fields(cls) if each.name in plain}
        return cls(**{**given, "binds": tuple((str(address), int(port)) for address, port in plain["binds"])})

    def differences(self, found: "WorkerSettings") -> tuple[str, ...]:
        """The names of those that a found worker has otherwise than they are wanted here."""
        names = [each.name for each in fields(self) if getattr(self, each.name) != getattr(found, each.name)]
        return tuple(name for name in names if name != "binds" or not _are_met(self.binds, found.binds))


def _are_met(wanted: tuple[tuple[str, int], ...], found: tuple[tuple[str, int], ...]) -> bool:
    """Port 0 is any port."""
    return len(wanted) == len(found) and all(
        address == other and port in (0, given) for (address, port), (other, given) in zip(wanted, found, strict=True)
    )


def native_config(settings: WorkerSettings, certificate: Any) -> Any:
    """A `tr_worker_config *` with a copy of this `tr_certificate`; wipe it after use."""
    config = ffi.new("tr_worker_config *")
    lib.tr_worker_config_init(config)
    config.bind_count = len(settings.binds)
    for slot, (address, port) in zip(config.binds, settings.binds, strict=False):
        slot.address = address.encode("ascii")
        slot.port = port
    for each in fields(settings):
        if each.name != "binds":
            setattr(config, each.name, getattr(settings, each.name))
    config.certificate = certificate
    return config
