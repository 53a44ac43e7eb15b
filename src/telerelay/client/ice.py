"""
Host candidates on loopback for aiortc.

aioice leaves 127.0.0.1 out when it lists a machine's addresses. A demo or a test that talks to a relay on loopback
needs just that address and no other: nothing else is bound, no packet leaves the machine, and it works on one without
a network. Event loop of the client. Touches one function of aioice, for the tasks that asked only.
"""

from __future__ import annotations

import contextlib
import contextvars
import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

import aioice.ice

_addresses: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("host_addresses", default=())
_get_host_addresses = aioice.ice.get_host_addresses


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return list(_addresses.get()) or _get_host_addresses(use_ipv4, use_ipv6)


@contextlib.contextmanager
def host_addresses(*addresses: str) -> Iterator[None]:
    """
    Within, and in tasks started within, ICE agents gather exactly `addresses`; with none given, the machine's as usual.
    """
    # Installed at first use, so that importing the client changes nothing for an application that uses aioice itself;
    # afterwards the answer differs only where this context variable is set.
    aioice.ice.get_host_addresses = _host_addresses
    token = _addresses.set(addresses)
    try:
        yield
    finally:
        _addresses.reset(token)


def local_addresses(url: str) -> tuple[str, ...]:
    """The addresses to gather for a relay at `url`: its own if that is a loopback address, else none (all of them)."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        host = "127.0.0.1"
    try:
        return (host,) if ipaddress.ip_address(host).is_loopback else ()
    except ValueError:
        return ()
