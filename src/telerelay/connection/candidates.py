"""
The relay's own ICE candidates: host candidates of its UDP binds, or of the addresses it is told to advertise.

No address is ever looked up or asked for over the network: the machine's own list, and the operator's words.
"""

import ipaddress
from collections.abc import Callable, Sequence

from aioice.ice import get_host_addresses

from telerelay.errors import ConfigError
from telerelay.protocol.parameters import Candidate

_HOST_TYPE_PREFERENCE = 126  # RFC 8445, 5.1.2.2
_RTP_COMPONENT = 1


def priority(local_preference: int, component: int = _RTP_COMPONENT) -> int:
    """Of a host candidate (RFC 8445, 5.1.2.1); `local_preference` 0-65535, the best first."""
    return (_HOST_TYPE_PREFERENCE << 24) | (local_preference << 8) | (256 - component)


def machine_addresses(version: int) -> list[str]:
    """The machine's own addresses of IP version 4 or 6, without loopback."""
    return get_host_addresses(use_ipv4=version == 4, use_ipv6=version == 6)


def host_candidates(
    binds: Sequence[tuple[str, int]],
    advertise: Sequence[str] = (),
    own_addresses: Callable[[int], Sequence[str]] = machine_addresses,
) -> tuple[Candidate, ...]:
    """
    Candidates for the bound (address, port) pairs, most preferred first: IPv6 before IPv4 (RFC 8421, 4).

    An advertised address stands in for every bind of its IP version. A bind on the unspecified address without one
    offers all the machine has. Raises ConfigError when an advertised address has no bind of its version, or when
    nothing is left to offer.
    """
    pairs: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]] = []
    advertised = [ipaddress.ip_address(address) for address in advertise]
    bound = [(ipaddress.ip_address(address), port) for address, port in binds]
    for public in advertised:
        if all(address.version != public.version for address, _ in bound):
            raise ConfigError("bad_value", f"no UDP bind is of the IP version of the advertised address {public}")
    for address, port in bound:
        same_version = [public for public in advertised if public.version == address.version]
        if same_version:
            pairs.extend((public, port) for public in same_version)
        elif address.is_unspecified:
            pairs.extend((ipaddress.ip_address(own), port) for own in own_addresses(address.version))
        else:
            pairs.append((address, port))
    unique = sorted(dict.fromkeys(pairs), key=lambda pair: pair[0].version, reverse=True)
    if not unique:
        raise ConfigError("bad_value", "the UDP binds yield no address to offer: set udp.advertise")
    # Each address is a base of its own, hence the foundations; the binds' order decides among equals.
    foundations = {address: str(index + 1) for index, address in enumerate(dict.fromkeys(a for a, _ in unique))}
    return tuple(
        Candidate(
            foundation=foundations[address],
            component=_RTP_COMPONENT,
            protocol="udp",
            priority=priority(65535 - index),
            address=str(address),
            port=port,
            type="host",
        )
        for index, (address, port) in enumerate(unique)
    )
