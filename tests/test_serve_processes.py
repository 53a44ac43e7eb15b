"""`telerelay serve` with its workers in processes: who starts them, who finds them, and that they end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.processes import ended, is_alive
from support.relay_process import MAIN, RelayProcess, free_port

OFFER = (Path(__file__).parent / "data" / "offers" / "chromium_audio_video.sdp").read_bytes()


def begin_call(relay: RelayProcess) -> str:
    """A WHIP session whose client never comes; its URL."""
    headers = {"Authorization": f"Bearer {relay.token('r', 'a')}", "Content-Type": "application/sdp"}
    request = urllib.request.Request(f"{relay.url}/whip/r", OFFER, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert 201 == response.status
        return relay.url + response.headers["Location"]


def delete(relay: RelayProcess, session: str, sub: str) -> int:
    """The status of a DELETE of a session with this person's token."""
    headers = {"Authorization": f"Bearer {relay.token('r', sub)}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(session, None, headers, method="DELETE")) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("signals", [1, 2])
def test_workers_end_with_their_control(signals: int) -> None:
    """
    Drained after the first SIGTERM, or told twice: exit 0, no process left, nothing in the run directory but the lock.
    """
    with RelayProcess("--workers", "2") as relay:
        workers = relay.worker_pids
        process = relay._process
        assert process is not None
        assert 2 == len(workers)
        if signals == 2:
            begin_call(relay)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
            assert [True, True] == [is_alive(pid) for pid in workers]
        process.send_signal(signal.SIGTERM)

        assert 0 == process.wait(15)
        assert sorted(workers) == ended(workers)
        assert ["control.lock"] == [each.name for each in relay.run_dir.iterdir()]


def test_a_second_relay_is_refused_and_takes_nothing() -> None:
    """
    The same command by mistake: it names what is in use, and the first one still has its workers.
    """
    with RelayProcess() as relay:
        session = begin_call(relay)
        command = [
            sys.executable,
            "-c",
            MAIN,
            "serve",
            "--key-file",
            str(relay.key_file),
            "--udp",
            relay._udp,
        ]
        environment = {**os.environ, "TELERELAY_SERVE_RUN_DIR": str(relay.run_dir)}
        for address, reason in ((relay._http, "http.port: cannot listen"), ("127.0.0.1:0", "another process controls")):
            done = subprocess.run(
                [*command, "--http", address], capture_output=True, text=True, env=environment, timeout=90
            )
            assert 1 == done.returncode
            assert reason in done.stderr
        assert 200 == delete(relay, session, "a")
        assert [True] == [is_alive(pid) for pid in relay.worker_pids]


def test_a_session_outlives_the_control_process_it_began_with() -> None:
    """
    Killed and started again: the same workers; the session's URL is good for its own token, and 404 for another's.
    """
    with RelayProcess() as relay:
        session, workers = begin_call(relay), relay.worker_pids
        relay.kill()
        assert [True] == [is_alive(pid) for pid in workers]
        relay.start()

        assert workers == relay.worker_pids
        assert [404, 200, 404] == [delete(relay, session, sub) for sub in ("b", "a", "a")]


def test_a_worker_keeps_its_settings_though_they_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Started again with a second bind, an address of its kind to advertise and more transports: it says that the worker
    it found has none of that, and the worker and its session go on.
    """
    monkeypatch.setenv("TELERELAY_WORKERS_MAX_TRANSPORTS", "8")
    with RelayProcess() as relay:
        session, workers, udp = begin_call(relay), relay.worker_pids, relay.ready["udp"]
        relay.kill()
        monkeypatch.setenv("TELERELAY_WORKERS_MAX_TRANSPORTS", "16")
        relay._arguments = ("--udp", f"[::1]:{free_port(socket.SOCK_DGRAM)}", "--advertise", "127.0.0.1", "::1")
        relay.start()

        assert (workers, udp) == (relay.worker_pids, relay.ready["udp"])
        assert ["binds max_transports"] == re.findall(
            r'event=worker_settings_differ worker=0 reason="(.*)"', "".join(relay.log)
        )
        assert 200 == delete(relay, session, "a")


def test_a_worker_too_many_is_ended() -> None:
    """
    Started again with fewer workers: the surplus ones would be nobody's.
    """
    with RelayProcess("--workers", "2") as relay:
        first, second = relay.worker_pids
        relay.kill()
        relay._arguments = ("--workers", "1")
        relay.start()

        assert [first] == relay.worker_pids
        assert [second] == ended([second])


def test_workers_without_control_end_when_their_patience_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `workers.orphan_s` after they lost it; with a control they wait for longer than that.
    """
    monkeypatch.setenv("TELERELAY_WORKERS_ORPHAN_S", "2")
    with RelayProcess() as relay:
        workers = relay.worker_pids
        assert [] == ended(workers, within_s=2.5)
        relay.kill()
        assert [] == ended(workers, within_s=0.5)
        assert workers == ended(workers)
