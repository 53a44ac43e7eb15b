"""
A network of one's own: this process moves into a new network namespace with loopback and one other interface.

Firefox and libnice gather no loopback candidate while another interface exists, so that media goes to an address of
that other interface; pages stay on 127.0.0.1, where browsers give them camera and microphone. Nothing leads out of it,
and it vanishes with the process. Called once, before any thread is started: a thread stays where it was born.
"""

from __future__ import annotations

import ctypes
import os
import subprocess

ADDRESS = "10.203.0.1"
"""Of the interface that media goes to (RFC 1918)."""

_CLONE_NEWNET = 0x40000000

_COMMANDS = (
    "ip link set lo up",
    "ip link add media0 type veth peer name media1",
    f"ip address add {ADDRESS}/24 dev media0",
    "ip link set media0 up",
    "ip link set media1 up",
    # To nowhere: a browser without a default route takes itself for offline.
    "ip route add default dev media0",
)


def enter_new_network() -> None:
    """Raises OSError (not root) or CalledProcessError (no iproute2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"a network namespace: {os.strerror(error)}")
    for command in _COMMANDS:
        subprocess.run(command.split(), check=True)
