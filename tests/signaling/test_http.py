"""The pages, health, metrics and demo tokens."""

import logging

import pytest
from aiohttp import ClientConnectionResetError, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from yarl import URL

import telerelay
from support.live_relay import Live, MakeLive
from telerelay.errors import RemoteProtocolError
from telerelay.signaling.http import errors, is_allowed_origin
from telerelay.signaling.pages import PAGES, load_pages


@pytest.mark.parametrize("path", sorted(PAGES))
async def test_a_page_comes_with_its_type_and_its_guards(live: Live, path: str) -> None:
    """
    Every file of the table is in the package; no inline script may run, no other page may learn where it came from.
    """
    async with live.http.get(live.url + path) as response:
        headers = response.headers
        body = await response.read()

    assert 200 == response.status
    assert PAGES[path][1] == response.content_type
    assert len(body) > 0
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "script-src 'self'" in headers["Content-Security-Policy"]
    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "no-referrer" == headers["Referrer-Policy"]
    assert "camera=(self), microphone=(self)" == headers["Permissions-Policy"]
    assert "no-cache" == headers["Cache-Control"]


async def test_an_unchanged_page_is_not_sent_again(live: Live) -> None:
    """
    no-cache asks each time; the ETag answers in a few bytes.
    """
    async with live.http.get(f"{live.url}/telerelay.js") as response:
        etag = response.headers["ETag"]
    async with live.http.get(f"{live.url}/telerelay.js", headers={"If-None-Match": etag}) as response:
        assert (304, b"") == (response.status, await response.read())


@pytest.mark.parametrize(
    "path", ["/../relay.py", "/%2e%2e/relay.py", "/web/index.html", "/telerelay.js/", "/index.html", "//etc/passwd"]
)
async def test_nothing_but_the_table_is_served(live: Live, path: str) -> None:
    """
    No path a client names is looked up anywhere (A59).
    """
    async with live.http.get(URL(live.url + path, encoded=True)) as response:
        assert 404 == response.status
        assert b"Relay" not in await response.read()


def test_the_table_is_the_package() -> None:
    """
    A file that is missing from the package would be a page that is missing from the relay.
    """
    assert set(PAGES) == set(load_pages())


async def test_health_follows_the_relay(live: Live) -> None:
    """
    200 while calls can be taken, 503 while draining: so that no new call is sent here.
    """
    async with live.http.get(f"{live.url}/healthz") as response:
        before = (response.status, await response.json())
    live.relay.drain()
    async with live.http.get(f"{live.url}/healthz") as response:
        after = (response.status, await response.json())

    assert ((200, {"status": "ok"}), (503, {"status": "draining"})) == (before, after)


async def test_metrics_count_what_is_there(live: Live) -> None:
    """
    Rooms and people are gauges, drops come by reason, all reasons from the start.
    """
    alice = await live.join("alice")
    await live.join("bob", room="r2")
    await alice.publish()
    await live.until(lambda: live.transports() == 1)
    async with live.http.get(f"{live.url}/metrics") as response:
        lines = (await response.text()).splitlines()

    for line in (
        "telerelay_rooms 2.0",
        "telerelay_participants 2.0",
        "telerelay_sockets 2.0",
        "telerelay_receivers 2.0",
        'telerelay_transports{state="new"} 1.0',
        'telerelay_drops_total{reason="srtp_replay"} 0.0',
        "telerelay_rx_packets_total 0.0",
        "telerelay_tx_packets_total 0.0",
    ):
        assert line in lines
    assert any(line.startswith("telerelay_loop_lag_seconds_bucket") for line in lines)


async def test_metrics_hold_nobodys_name(live: Live) -> None:
    """
    No room, sub, participant or token is ever a label (A61).
    """
    alice = await live.join("canary-sub", room="canary-room", role="patient")
    async with live.http.get(f"{live.url}/metrics") as response:
        text = await response.text()

    assert not [secret for secret in ("canary", alice.id, alice.joined["resume"]) if secret in text]


@pytest.mark.parametrize(
    ("values", "host", "status"),
    [
        ({}, "", 404),
        ({"serve": {"is_demo": True}}, "", 200),
        ({"serve": {"is_demo": True}, "http": {"host": "0.0.0.0"}}, "", 404),
        ({"serve": {"is_demo": True}}, "rebound.example", 404),
    ],
)
async def test_demo_tokens_are_for_loopback_in_demo_mode(
    make_live: MakeLive, values: dict[str, dict[str, object]], host: str, status: int
) -> None:
    """
    Not without demo mode, not for a listener others can reach, not for a foreign name that leads here.
    """
    live = await make_live(values)
    headers = {"Host": host} if host else {}
    async with live.http.get(f"{live.url}/demo-token", params={"room": "demo"}, headers=headers) as response:
        assert status == response.status
        if status == 200:
            token = (await response.json())["token"]
            peer = await live.connect()
            assert "reply" == (await peer.ask("join", room="demo", token=token))["type"]


async def test_a_demo_token_needs_a_room(make_live: MakeLive) -> None:
    """
    A name no room can have is refused by name.
    """
    live = await make_live({"serve": {"is_demo": True}})
    async with live.http.get(f"{live.url}/demo-token", params={"room": "a b"}) as response:
        assert (400, "bad_message") == (response.status, (await response.json())["error"]["code"])


@pytest.mark.parametrize("path", ["/metrics", "/demo-token?room=r"])
async def test_a_listener_that_is_not_loopback_shows_no_metrics(make_live: MakeLive, path: str) -> None:
    """
    404, as if they did not exist.
    """
    live = await make_live({"http": {"host": "0.0.0.0"}})
    async with live.http.get(live.url + path) as response:
        assert 404 == response.status


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        (None, True),
        ("http://relay.example:8080", True),
        ("https://relay.example:8080", True),
        ("HTTP://RELAY.example:8080", True),
        ("http://relay.example", False),
        ("http://relay.example:8080.evil.example", False),
        ("https://listed.example", True),
        ("https://listed.example:444", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://relay.example:8080@evil.example", False),
    ],
)
def test_origins(origin: str | None, is_allowed: bool) -> None:
    """
    Same host and port, or listed, or no browser; nothing that only begins alike.
    """
    headers = {"Host": "relay.example:8080"} | ({} if origin is None else {"Origin": origin})
    request = make_mocked_request("GET", "/ws", headers=headers)

    assert is_allowed == is_allowed_origin(request, ("https://listed.example", "null"))


async def test_who_hangs_up_before_the_answer_is_no_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    In a storm of joins many give up; each would otherwise leave a stack at level ERROR.
    """

    async def gone(request: web.Request) -> web.StreamResponse:
        raise ClientConnectionResetError("Cannot write to closing transport")

    with caplog.at_level(logging.INFO):
        response = await errors(make_mocked_request("GET", "/v1/ws"), gone)

    assert 499 == response.status
    assert "" == caplog.text


async def test_what_an_embedding_application_is_refused_leaves_as_the_relays_own() -> None:
    """
    What is not the relay's refusal stays the application's.
    """

    async def refused(request: web.Request) -> web.Response:
        raise RemoteProtocolError("not_found", "there is no such consult", status=404)

    async def own(request: web.Request) -> web.Response:
        raise web.HTTPConflict(text="own words")

    app = web.Application(middlewares=[telerelay.refusals])
    app.router.add_get("/refused", refused)
    app.router.add_get("/own", own)
    async with TestClient(TestServer(app)) as client:
        answer, theirs = await client.get("/refused"), await client.get("/own")

        assert (404, {"error": {"code": "not_found", "message": "there is no such consult"}}) == (
            answer.status,
            await answer.json(),
        )
        assert "no-store" == answer.headers["Cache-Control"]
        assert (409, "own words") == (theirs.status, await theirs.text())
