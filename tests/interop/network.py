"""
A network of one's own: this process moves into a new network namespace with loopback and one other interface.

Firefox and libnice gather no loopback candidate while another interface exists, so that media goes to an address of
that other interface; pages stay on 127.0.0.1, where browsers give them camera and microphone. Nothing leads out of it,
and it vanishes with the process. Called once, before any thread is started: a thread stays where it was born.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import subprocess
from collections.abc import Iterator

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


class Elsewhere:
    """
    `with Elsewhere() as there:` a second machine: a namespace at the end of a cable, for a client whose address
    changes. This side is `near`; the other has `address`, which `move` takes away and replaces. Needs root.
    """

    near = "10.204.0.1"

    def __init__(self) -> None:
        self._name = f"tr-i-{os.getpid()}-{random.randrange(16**4):04x}"
        self._host = 7

    @property
    def address(self) -> str:
        return f"10.204.0.{self._host}"

    def __enter__(self) -> Elsewhere:
        _ip(f"netns add {self._name}")
        try:
            _ip(f"link add cable0 type veth peer name cable1 netns {self._name}")
            _ip(f"address add {self.near}/24 dev cable0")
            _ip("link set cable0 up")
            _ip(f"-n {self._name} link set lo up")
            _ip(f"-n {self._name} address add {self.address}/24 dev cable1")
            _ip(f"-n {self._name} link set cable1 up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "link", "del", "cable0"], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self._name], check=False, capture_output=True)

    def move(self) -> str:
        """The old address is gone, with whatever was bound to it; then there is another. Returns it."""
        _ip(f"-n {self._name} address del {self.address}/24 dev cable1")
        self._host += 1
        _ip(f"-n {self._name} address add {self.address}/24 dev cable1")
        return self.address

    def command(self, *arguments: str) -> list[str]:
        """The command line that runs `arguments` there."""
        return ["ip", "netns", "exec", self._name, *arguments]


@contextlib.contextmanager
def also_at(*addresses: str) -> Iterator[None]:
    """The interface that media goes to has these addresses too."""
    kinds = [(each, "64 nodad" if ":" in each else "24") for each in addresses]
    try:
        for address, rest in kinds:
            _ip(f"address add {address}/{rest} dev media0")
        yield
    finally:
        for address, rest in kinds:
            command = ["ip", "address", "del", f"{address}/{rest.split()[0]}", "dev", "media0"]
            subprocess.run(command, check=False, capture_output=True)


@contextlib.contextmanager
def blocked(address: str) -> Iterator[None]:
    """No UDP comes to this address, and nobody is told so: a firewall drops it."""
    family = "ip6" if ":" in address else "ip"
    rules = f"""
        table inet tr_blocked {{
            chain input {{
                type filter hook input priority 0
                {family} daddr {address} meta l4proto udp counter drop
            }}
        }}"""
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "inet", "tr_blocked"], check=True)


def dropped() -> int:
    """Datagrams that `blocked` has dropped."""
    listed = subprocess.run(["nft", "list", "table", "inet", "tr_blocked"], capture_output=True, text=True, check=True)
    found = re.search(r"counter packets (\d+)", listed.stdout)
    assert found is not None
    return int(found[1])


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)
