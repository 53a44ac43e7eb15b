"""
ICE credentials of the relay (RFC 8839, 5.4).

The fragment's first two characters name the worker, so that workers can share a port one day.
"""

import base64
import secrets

from telerelay.protocol.parameters import IceParameters

# 14 random characters are 84 bits, 32 are 192: neither is met by guessing within the life of a call.
_UFRAG_CHARS = 14
_PWD_CHARS = 32


def random_ice_chars(count: int) -> str:
    """`count` characters of 6 random bits each: the alphabet of base64 is that of ICE (RFC 8839, 5.4)."""
    return base64.b64encode(secrets.token_bytes(-(-count // 4) * 3))[:count].decode("ascii")


def new_credentials(worker_index: int) -> IceParameters:
    """A fragment and a password for one transport on that worker."""
    return IceParameters(
        ufrag=f"{worker_index:02x}{random_ice_chars(_UFRAG_CHARS)}", pwd=random_ice_chars(_PWD_CHARS), is_lite=True
    )
