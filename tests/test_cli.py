"""The command: what it prints, and what it exits with."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.relay_process import MAIN, RelayProcess
from telerelay import config as configuration
from telerelay.cli import main
from telerelay.protocol.grants import load_key


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`telerelay …` in a process of its own."""
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=os.environ | env)


# ---------------------------------------------------------------------- tokens and configuration


def test_a_key_is_written_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """
    Mode 0600; an existing file is never overwritten.
    """
    key = tmp_path / "key"

    assert 0 == main(["token", "--new-key", str(key)])
    before = key.read_bytes()
    assert 0o600 == key.stat().st_mode & 0o777
    assert 1 == main(["token", "--new-key", str(key)])
    assert before == key.read_bytes()


@pytest.mark.parametrize("command", ["token", "attest"])
def test_a_key_that_cannot_be_written_whole_is_none(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On a full disk: one clear error, and nothing that would stand in the way of the next try.
    """
    key = tmp_path / "key"
    with monkeypatch.context() as full:
        full.setattr(os, "fdopen", lambda descriptor, mode: Path("/dev/full").open(mode))  # noqa: SIM115
        assert 1 == main([command, "--new-key", str(key)])
    assert f"telerelay {command}: cannot write the key file {key}: No space left on device\n" == capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())
    assert 0 == main([command, "--new-key", str(key)])


def test_of_a_pair_of_keys_there_are_both_or_neither(tmp_path: Path) -> None:
    """
    A public key that is there already stands for another pair.
    """
    key, public = tmp_path / "key", tmp_path / "key.pub"
    public.write_text("another's")

    assert 1 == main(["attest", "--new-key", str(key)])
    assert (False, "another's") == (key.exists(), public.read_text())


def test_what_cannot_be_printed_is_said() -> None:
    """
    Exit 1 and one line, not a stack.
    """
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", MAIN, "show-config"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )

    assert (1, "telerelay show-config: cannot write its output: No space left on device\n") == (
        ended.returncode,
        ended.stderr,
    )


def test_a_command_without_a_place_to_print_to_has_worked() -> None:
    """
    Standard output is closed from the start.
    """
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -c '{MAIN}' check-config >&-"], stderr=subprocess.PIPE, timeout=60
    )

    assert (0, b"the configuration is good\n") == (done.returncode, done.stderr)


def test_a_token_is_all_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    So that a script can take it as it is.
    """
    key = tmp_path / "key"
    main(["token", "--new-key", str(key)])
    arguments = ["token", "--key-file", str(key), "--room", "r1", "--sub", "dr-7", "--role", "practitioner"]
    code = main([*arguments, "--ttl", "60"])
    grant = load_key(key).verify(capsys.readouterr().out.strip(), time.time())

    assert 0 == code
    assert ("dr-7", "r1", "practitioner", 60) == (grant.sub, grant.room, grant.role, grant.exp - grant.iat)


def test_a_token_needs_all_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Usage, exit 2, naming what is missing.
    """
    assert 2 == main(["token", "--room", "r1"])
    assert "--key-file, --sub, --role" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["serve", "--no-such-flag"], ["demo", "--duration", "-1"], ["fly"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    """
    As argparse has it.
    """
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert 2 == ended.value.code


def test_show_config_is_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    """
    docs/configuration.md is this print.
    """
    assert 0 == main(["show-config"])
    assert configuration.describe() == capsys.readouterr().out


def test_check_config_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An unknown key with the nearest known one; a missing file by its path.
    """
    unknown, missing = tmp_path / "unknown.toml", tmp_path / "missing.toml"
    unknown.write_text("[http]\nprt = 1\n")
    missing.write_text('[tokens]\nkey_file = "/nonexistent/key"\n')

    assert 1 == main(["check-config", "--config", str(unknown)])
    assert "http.port" in capsys.readouterr().err
    assert 1 == main(["check-config", "--config", str(missing)])
    assert "/nonexistent/key" in capsys.readouterr().err
    assert 0 == main(["check-config"])


@pytest.mark.parametrize(
    ("section", "key", "value", "word"),
    [
        ("documents", "folder", "file/documents", "documents.folder names a folder that cannot be"),
        ("recording", "folder", "file", "recording.folder names a folder that cannot be"),
        ("journal", "path", "nowhere/journal.db", "journal.path is in a folder that does not exist"),
        ("journal", "path", ".", "journal.path names what is no file"),
        ("serve", "pid_file", "nowhere/pid", "serve.pid_file is in a folder that does not exist"),
    ],
)
def test_check_config_and_serve_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str, key: str, value: str, word: str
) -> None:
    """
    What stops a relay is said beforehand, and in the same words when it is started all the same.
    """
    (tmp_path / "file").write_text("")
    config = tmp_path / "relay.toml"
    config.write_text(f'[http]\nport = 0\n[udp]\nbinds = ["127.0.0.1:0"]\n[{section}]\n{key} = "{tmp_path / value}"\n')

    assert 1 == main(["check-config", "--config", str(config)])
    assert word in capsys.readouterr().err
    assert 1 == main(["serve", "--config", str(config), "--worker-host", "thread"])
    found = capsys.readouterr()
    assert (True, "") == (word in found.err, found.out)


@pytest.mark.parametrize(("section", "word"), [("tokens", "holds no key"), ("attest", "holds no private key in PEM")])
def test_check_config_looks_into_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], section: str, word: str
) -> None:
    """
    A file that is there and holds no key stops a relay as one that is missing does.
    """
    no_key, config = tmp_path / "no_key", tmp_path / "relay.toml"
    no_key.write_text("!")
    no_key.chmod(0o600)
    config.write_text(f'[{section}]\nkey_file = "{no_key}"\n')

    assert 1 == main(["check-config", "--config", str(config)])
    assert word in capsys.readouterr().err


def test_folders_and_files_that_are_made_may_be_missing(tmp_path: Path) -> None:
    """
    Their own folders, not those that they are in.
    """
    config = tmp_path / "relay.toml"
    config.write_text(f'[documents]\nfolder = "{tmp_path}/a/b"\n[journal]\npath = "{tmp_path}/journal.db"\n')

    assert 0 == main(["check-config", "--config", str(config)])


def test_a_token_is_for_a_role_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Else it would open nothing, and say so only to whoever comes with it.
    """
    key = tmp_path / "key"
    main(["token", "--new-key", str(key)])
    code = main(["token", "--key-file", str(key), "--room", "r1", "--sub", "dr-7", "--role", "practicioner"])
    found = capsys.readouterr()

    assert (2, "") == (code, found.out)
    assert "practitioner" in found.err


# ---------------------------------------------------------------------- serve


def test_serve_prints_one_ready_line_and_drains(tmp_path: Path) -> None:
    """
    The line says where everything is; SIGTERM with no call running ends at once, with 0, and leaves no pid file.
    """
    pid_file = tmp_path / "pid"
    with RelayProcess("--pid-file", str(pid_file), "--workers", "2", "--advertise", "127.0.0.1") as relay:
        with urllib.request.urlopen(f"{relay.url}/healthz", timeout=5) as response:
            assert {"status": "ok"} == json.load(response)
        assert {"event", "http", "udp", "pid", "worker_pids"} == set(relay.ready)
        assert relay.pid == relay.ready["pid"] == int(pid_file.read_text())
        first, second = [int(each.rpartition(":")[2]) for each in relay.ready["udp"]]
        assert first + 1 == second
        process = relay._process
        assert process is not None
        process.send_signal(signal.SIGTERM)

        assert 0 == process.wait(10)
        assert relay._lines.get(timeout=5) is None
    assert not pid_file.exists()


def test_a_second_signal_ends_a_draining_relay() -> None:
    """
    While a call runs the first one waits for it; new rooms are refused meanwhile, at once, however many are asked for.
    """
    offer = (Path(__file__).parent / "data" / "offers" / "chromium_audio_video.sdp").read_bytes()
    with RelayProcess() as relay:
        process, keys = relay._process, load_key(relay.key_file)
        assert process is not None

        def post(room: str) -> int:
            token = keys.sign(room=room, sub="cam", role="device", ttl_s=600, now=time.time())
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            request = urllib.request.Request(f"{relay.url}/whip/{room}", offer, headers)
            try:
                with urllib.request.urlopen(request, timeout=60) as response:
                    return int(response.status)
            except urllib.error.HTTPError as error:
                return error.code

        is_signalled = threading.Event()

        def open_rooms(client: int) -> tuple[int, int]:
            """One new room after the other, until one is refused: the refusal, and how many came after the signal."""
            late = 0
            for number in itertools.count():
                if (status := post(f"r-{client}-{number}")) != 201:
                    return status, late
                late += is_signalled.is_set()
            raise AssertionError

        with ThreadPoolExecutor(8) as clients:
            flood = [clients.submit(open_rooms, client) for client in range(8)]
            assert 201 == post("r1")
            process.send_signal(signal.SIGTERM)
            is_signalled.set()
            refused = [each.result() for each in flood]
        may_still_come = post("r1")

        assert [503] * 8 == [status for status, _ in refused]
        assert max(late for _, late in refused) <= 3  # what was under way, and what it woke up to
        assert (201, None) == (may_still_come, process.poll())
        process.send_signal(signal.SIGTERM)

        assert 0 == process.wait(60)


def test_serve_refuses_to_listen_to_others_without_a_key() -> None:
    """
    One clear error, before anything is bound.
    """
    done = run("serve", "--http", "0.0.0.0:0", "--udp", "127.0.0.1:0")

    assert (1, "") == (done.returncode, done.stdout)
    assert "--new-key" in done.stderr


def test_serve_on_loopback_makes_a_key_and_says_so() -> None:
    """
    Good for trying out; the key itself is printed nowhere.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", MAIN, "serve", "--http", f"127.0.0.1:{port}", "--udp", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
    finally:
        process.terminate()
        out, errors = process.communicate(timeout=10)

    assert f"http://127.0.0.1:{port}" == ready["http"]
    assert "event=ephemeral_key" in errors
    assert "" == out


@pytest.mark.parametrize("flag", ["--http", "--udp"])
def test_a_port_in_use_is_one_clear_error(flag: str) -> None:
    """
    It names the address, and stdout stays empty.
    """
    kind = socket.SOCK_STREAM if flag == "--http" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        addresses = {"--http": "127.0.0.1:0", "--udp": "127.0.0.1:0"} | {flag: f"127.0.0.1:{port}"}
        done = run("serve", *[word for pair in addresses.items() for word in pair])

    assert (1, "") == (done.returncode, done.stdout)
    assert str(port) in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_over_tls(tmp_path: Path) -> None:
    """
    The ready line says https, and a handshake succeeds with the given certificate.
    """
    import ssl

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost"
    command = [*request.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    with RelayProcess("--tls-cert", str(cert), "--tls-key", str(key)) as relay:
        context = ssl.create_default_context(cafile=str(cert))
        with urllib.request.urlopen(f"{relay.url}/healthz", timeout=5, context=context) as response:
            assert 200 == response.status

    assert relay.url.startswith("https://127.0.0.1:")


def test_the_admin_listener_has_metrics_of_a_relay_that_others_can_reach(tmp_path: Path) -> None:
    """
    The main listener then has none.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin = probe.getsockname()[1]
    config = tmp_path / "telerelay.toml"
    config.write_text(f"[http]\nadmin_port = {admin}\n")
    with RelayProcess("--config", str(config), http=f"0.0.0.0:{_free_port()}") as relay:
        main_port = relay.url.rpartition(":")[2]
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as response:
            assert b"telerelay_rx_packets_total" in response.read()
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"http://127.0.0.1:{main_port}/metrics", timeout=5)
        assert 404 == error.value.code


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
