"""
The demo, as `make demo` runs it: two synthetic participants, four tracks, nothing lost, an exit code that tells.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from support.relay_process import MAIN, free_port


def demo(*arguments: str, http_port: int = 0, udp_port: int = 0) -> subprocess.Popen[str]:
    """Start `telerelay demo` on free ports."""
    http_port, udp_port = http_port or free_port(), udp_port or free_port(socket.SOCK_DGRAM)
    ports = ["--http", f"127.0.0.1:{http_port}", "--udp", f"127.0.0.1:{udp_port}"]
    command = [sys.executable, "-c", MAIN, "demo", *ports, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_demo_for_some_seconds_forwards_four_tracks_without_loss() -> None:
    """
    The last line of stdout is the result: four tracks, no loss, packets in both directions; a status line a second on
    stderr.
    """
    with demo("--duration", "6", "--json") as process:
        out, err = process.communicate(timeout=60)
    assert 0 == process.returncode, err
    result = json.loads(out.splitlines()[-1])

    assert (2, 4, 0) == (result["participants"], result["tracks_forwarded"], result["lost_packets"])
    assert 6 <= result["duration_s"] < 7
    assert result["rx_packets"] > 500
    assert result["tx_packets"] > 500
    assert 0 < result["cpu_percent"] < 100
    assert isinstance(result["drops"], dict)
    assert 5 <= sum("tracks forwarded" in line for line in err.splitlines()) <= 7
    assert "/?room=demo" in err


def test_ctrl_c_ends_the_demo_in_order() -> None:
    """
    SIGINT ends it with exit code 0 and the count so far.
    """
    with demo("--json") as process:
        assert process.stderr is not None
        while "tracks forwarded" not in process.stderr.readline():
            pass
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert 0 == process.returncode, err
    assert time.monotonic() - begun < 10
    assert 0 == json.loads(out.splitlines()[-1])["lost_packets"]


def test_busy_port_is_said_plainly() -> None:
    """
    With the TCP port taken the demo exits 1, and one line says which flag chooses another.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with demo("--duration", "1", http_port=taken.getsockname()[1]) as process:
            out, err = process.communicate(timeout=30)

    assert (1, "") == (process.returncode, out)
    assert "--http" in err
    assert "Traceback" not in err


def test_dead_participants_end_the_demo_with_an_error() -> None:
    """
    If the participants' process dies the demo says so and exits 1.
    """
    with demo("--json") as process:
        assert process.stderr is not None
        while "tracks forwarded" not in process.stderr.readline():
            pass
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for pid in children.split():
            os.kill(int(pid), signal.SIGKILL)
        _out, err = process.communicate(timeout=30)

    assert 1 == process.returncode
    assert "participants died" in err
