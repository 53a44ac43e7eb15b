"""`telerelay probe`: what it prints, and its exit code."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl

import pytest

from telerelay.cli import main
from telerelay.probe.devices import Seen, listen, look
from telerelay.probe.probing import line_code

NO_DEVICES = ("--camera", "none", "--microphone", "none")


@pytest.fixture
def closed_port() -> int:
    """A port of 127.0.0.1 that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_relay_that_is_not_there_is_said_so(closed_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exit 1, one JSON object: refused, and nothing else was tried.
    """
    code = main(["probe", f"http://127.0.0.1:{closed_port}", "--json", "--language", "en", *NO_DEVICES])
    result = json.loads(capsys.readouterr().out)
    codes = {check["name"]: check["code"] for check in result["checks"]}

    assert (1, False) == (code, result["passed"])
    assert ("refused", "not_tried", "skipped") == (codes["tcp"], codes["udp"], codes["camera"])
    assert result["seconds"] < 15


def test_people_get_sentences_and_what_comes_of_them(closed_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A line for each thing, and one that names what failed; in French, if so asked.
    """
    main(["probe", f"http://127.0.0.1:{closed_port}", "--language", "fr", *NO_DEVICES])
    lines = capsys.readouterr().out.splitlines()

    assert 12 == len(lines)
    assert lines[0].startswith("non vérifié")
    assert lines[-1].startswith("Ce site n’est pas prêt pour une consultation\u00a0: connexion (TCP), UDP,")


@pytest.mark.parametrize("url", ["ftp://relay.example", "http://", "http://relay.example:x"])
def test_what_is_no_address_is_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exit 2, and why.
    """
    assert 2 == main(["probe", url])
    assert "telerelay probe: the address" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), "no_answer"),
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), "refused"),
        (OSError(errno.ENETUNREACH, ""), "no_route"),
        (OSError(errno.EHOSTUNREACH, ""), "no_route"),
        (socket.gaierror(socket.EAI_NONAME, ""), "no_name"),
        (ssl.SSLCertVerificationError(), "tls"),
        (ValueError(), "not_a_relay"),
    ],
)
def test_why_a_connection_failed(error: Exception, expected: str) -> None:
    """
    Each cause has its own word.
    """
    assert expected == line_code(error)


def test_devices_that_are_not_there() -> None:
    """
    Said as such; and what is left out is.
    """
    assert Seen("no_device") == look("/dev/video-none")
    assert Seen("skipped") == look("none")
    assert Seen("skipped") == listen("none")


async def test_something_else_that_answers_is_no_relay(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A server that speaks another language than HTTP.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.to_thread(main, ["probe", f"http://127.0.0.1:{port}", "--json", *NO_DEVICES])
    server.close()
    codes = {check["name"]: check["code"] for check in json.loads(capsys.readouterr().out)["checks"]}

    assert "not_a_relay" == codes["tcp"]
