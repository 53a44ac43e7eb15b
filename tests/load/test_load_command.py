"""
The command: what it refuses as usage, its exit codes, and that its last line of stdout is the report.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.relay_process import MAIN, RelayProcess
from telerelay.cli import main
from telerelay.load import flags, profiles, targets
from telerelay.load.procfs import Processes
from telerelay.load.tokens import CommandTokens, SignedTokens
from telerelay.protocol.grants import load_key, write_key

URL = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "consul"], "did you mean consult"),
        (["--rooms", "0"], "shape.rooms must be"),
        (["--fps", "1000"], "video.fps must be"),
        (["--slo", "p99<=1"], "needs a unit"),
        ([URL], "wants tokens"),
        ([URL, "--token", "a", "--token-command", "b"], "give one of"),
        ([URL, "--token", "a", "--janus", "ws://h"], "one target"),
        ([URL, "--token", "a", "--server-pid", "999999999"], "no process"),
        (["ftp://h", "--token", "a"], "must be like"),
        (["--whip", "http://h/{room}"], "give --whep"),
        (["--whep", "http://h/{room}"], "give --whip"),
        (["--whip", "http://h/{rom}", "--whep", "http://h"], "{room} and {participant}"),
        (["--whip", "h", "--whep", "http://h"], "must be an http or https URL"),
        (["--janus", "127.0.0.1"], "must be like ws://"),
        (["--token", "a"], "belong to a target"),
        ([URL, "--key-file", "/nonexistent"], "cannot read the key file"),
        ([URL, "--token", "a", "--media-address", "here"], "IP:PORT"),
        ([URL, "--token", "a", "--cpu", "9999"], "may not use it"),
        ([URL, "extra", "--token", "a"], "one target"),
        (["compare", "one.json"], "two reports"),
        (["compare", "no.json", "no.json"], "cannot read the report"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Before anything is started.
    """
    assert 2 == main(["load", *arguments])
    out, errors = capsys.readouterr()
    assert "" == out
    assert words in errors
    assert 1 == errors.count("\n")


@pytest.mark.parametrize(
    "arguments",
    [["--no-such-flag"], ["--codec", "AV1"], ["--bitrate", "fast"], ["--rooms", "x"], [URL, "--token-c", "a"]],
)
def test_what_the_parser_refuses_is_exit_2_too(arguments: list[str]) -> None:
    """
    As argparse has it.
    """
    with pytest.raises(SystemExit) as ended:
        main(["load", *arguments])
    assert 2 == ended.value.code


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"relay": "http://user:word@h:8080/a?token=b"}, "telerelay http://h:8080"),
        ({"whip": "https://user@h/{room}?token=b"}, "WHIP/WHEP https://h"),
        ({"janus": "ws://user:word@[::1]:8188"}, "Janus VideoRoom ws://[::1]:8188"),
    ],
)
def test_a_targets_name_says_where_it_is_and_not_who_asks(given: dict[str, str], name: str) -> None:
    """
    Reports are passed on.
    """
    assert name == targets.make(**given).name


def test_a_server_that_is_not_there_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    """
    One line says where nobody answered.
    """
    assert 1 == main(["load", URL, "--token", "a", "--rooms", "1", "--quiet"])
    assert "nobody answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_profile_is_shown_with_the_flags_over_it(capsys: pytest.CaptureFixture[str]) -> None:
    """
    So what is printed is what would run.
    """
    assert 0 == main(["load", "--show-profile", "--profile", "webinar", "--bitrate", "2M", "--repair", "off"])
    shown = capsys.readouterr().out
    assert "bitrate_bps = 2000000" in shown
    assert "has_nack = false" in shown
    assert "viewers = 50" in shown


def test_a_shorter_surge_is_a_steeper_one() -> None:
    """
    Its slots shrink with it; other profiles only end sooner.
    """
    surge = flags.stretched(profiles.PROFILES["surge"], 60.0).timing
    consult = flags.stretched(profiles.PROFILES["consult"], 60.0).timing

    assert (60.0, 30.0, 12.0) == (surge.duration_s, surge.slot_s, surge.slot_rush_s)
    assert profiles.PROFILES["consult"].timing.slot_s == consult.slot_s


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MAIN, "load", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    print(done.stderr)
    return done


def test_without_a_target_it_loads_a_relay_of_its_own(tmp_path: Path) -> None:
    """
    No flag is needed: figures on stderr, JSON as the last line of stdout, a page, the verdict as exit code.
    """
    page = tmp_path / "report.html"
    done = run("--rooms", "1", "--duration", "2", "--warmup", "1", "--json", "--html", str(page), "--slo", "loss<=1%")
    report = json.loads(done.stdout)

    assert (0, True) == (done.returncode, report["slo_met"])
    assert 1 == done.stdout.count("\n")
    assert (0, 0) == (report["unaccounted"], report["joins"]["failed"])
    assert report["server_cpu_ns_per_packet"] > 0
    assert "met: loss<=1%" in done.stderr
    assert "telerelay, of its own" in page.read_text()


@pytest.mark.parametrize("kind", ["websocket", "whip"])
def test_a_relay_is_loaded_over_either_signalling(relay: RelayProcess, kind: str) -> None:
    """
    Rooms of four: everybody sees the three others, and nothing is lost. An objective out of reach is exit 1.
    """
    target = (
        [relay.url]
        if kind == "websocket"
        else ["--whip", f"{relay.url}/whip/{{room}}", "--whep", f"{relay.url}/whep/{{room}}"]
    )
    arguments = ["--key-file", str(relay.key_file), "--profile", "expert", "--rooms", "1", "--duration", "2"]
    done = run(*target, *arguments, "--quiet", "--json", "--slo", "p50<=0.001us", "--server-pid", str(relay.pid))
    report = json.loads(done.stdout)

    assert (1, False) == (done.returncode, report["slo_met"])
    assert {} == report["joins"]["failures"]
    assert (4, 4) == (report["joins"]["attempted"], report["people"])
    assert 4 == report["joins"]["both_ways_ms"]["count"]
    assert (0, 0) == (report["lost"], report["unaccounted"])


def test_a_search_reports_the_most_and_how_sure_it_is(relay: RelayProcess) -> None:
    """
    Two rooms at most are tried; the answer is the bound.
    """
    done = run(
        relay.url, "--key-file", str(relay.key_file), "--find-max", "--find-first", "1", "--find-most", "2",
        "--duration", "1", "--warmup", "0", "--json", "--quiet", "--slo", "failed_joins<=0", "--bitrate", "100k",
    )  # fmt: skip
    found = json.loads(done.stdout)["find_max"]

    assert (0, 2, None, "bound") == (done.returncode, found["rooms"], found["broke_at"], found["confidence"])


# -------------------------------------------------------------------- what it reads and asks


def test_a_processs_time_and_memory_are_read_and_never_fall() -> None:
    """
    Of a parent that only waits they are its child's, and they stay counted when both have ended.
    """
    waits = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    parent = subprocess.Popen([sys.executable, "-c", waits], start_new_session=True)
    try:
        processes = Processes((parent.pid,))
        deadline = time.monotonic() + 60
        # Far more than the parent's interpreter needs to start.
        while (busy := processes.read()).cpu_ns < 1_500_000_000 and time.monotonic() < deadline:
            pass
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()

    assert busy.cpu_ns >= 1_500_000_000
    assert processes.read().cpu_ns >= busy.cpu_ns
    assert busy.memory_bytes > 5 << 20
    assert 2 == busy.threads


async def test_tokens_are_signed_for_each_and_kept(tmp_path: Path) -> None:
    """
    Viewers get a role that may only watch; who comes back has the same token.
    """
    path = tmp_path / "key"
    write_key(path)
    tokens, keys = SignedTokens.from_file(path), load_key(path)
    token = await tokens.of("r1", "p0", publishes=True)
    viewer = keys.verify(await tokens.of("r1", "v0", publishes=False), time.time())

    assert token == await tokens.of("r1", "p0", publishes=True)
    assert ("r1", "v0", "observer") == (viewer.room, viewer.sub, viewer.role)


async def test_a_token_command_is_told_for_whom() -> None:
    """
    By its words and by its environment.
    """
    tokens = CommandTokens("sh -c 'echo {room}:$PARTICIPANT'")

    assert "r1:p0" == await tokens.of("r1", "p0", publishes=True)
