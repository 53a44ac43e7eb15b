"""The demo around its relay: words, busy ports, the count at the end. The whole of it runs in tests/scenarios."""

from __future__ import annotations

import socket

import pytest

from telerelay.client.demo import DemoError, counted, refuse_busy_ports, status_line
from telerelay.config import Config, with_values


def config(http_port: int, udp_port: int) -> Config:
    """The defaults on other ports."""
    return with_values(Config(), {"http": {"port": http_port}, "udp": {"binds": [f"127.0.0.1:{udp_port}"]}})


@pytest.mark.parametrize(("kind", "flag"), [(socket.SOCK_STREAM, "--http"), (socket.SOCK_DGRAM, "--udp")])
def test_a_busy_port_names_the_flag_that_changes_it(kind: socket.SocketKind, flag: str) -> None:
    """
    Whichever of the two ports is taken, the error says which, and how to choose another.
    """
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        ports = (port, 0) if kind is socket.SOCK_STREAM else (0, port)
        with pytest.raises(DemoError) as raised:
            refuse_busy_ports(config(*ports))

    assert f"port {port} on 127.0.0.1 is in use" in str(raised.value)
    assert flag in str(raised.value)


def test_free_ports_are_not_refused() -> None:
    """
    Port 0 is always free.
    """
    refuse_busy_ports(config(0, 0))


def test_status_line_says_what_goes_on() -> None:
    """
    Time, tracks, packets, losses and CPU on one line.
    """
    counters = {"rx_packets": 120, "tx_packets": 118, "drops": {"srtp_auth": 2, "class": 1}}
    line = status_line(75.4, counters, {"tracks_forwarded": 4, "lost_packets": 0}, 6.6)

    assert "1:15  4 tracks forwarded  120 packets in, 118 out  0 lost, 3 dropped  CPU 7 %" == line


def test_nothing_heard_of_the_participants_counts_as_nothing() -> None:
    """
    Participants that died before they counted leave zeros, not a missing key.
    """
    assert {0} == set(counted({}).values())
    assert {"participants", "tracks_forwarded", "lost_packets"} <= set(counted({}))
