"""Webhooks mean what Python hooks mean, whatever the host on the other side does."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from support.hook_hosts import KEY, Host, host, raw_host
from support.hook_requests import REQUESTS, ask
from telerelay.hooks import (
    Admission,
    HookRunner,
    JoinRequest,
    PersonEvent,
    PolicyResult,
    Route,
    StateEvent,
    WaitingContent,
    WaitingItem,
    jsons,
)
from telerelay.hooks.asked import DECISIONS, Nonsense
from telerelay.hooks.told import EVENTS, Told
from telerelay.hooks.ways import HookError
from telerelay.hooks.webhooks import MAX_REPLY_BYTES, WebhookWay

PERSON = PersonEvent("c1", 3, "c1:3", "", "p-9", "patient", "admitted", at=1.0, by="dr-7", state="admitted")
STATE = StateEvent("c1", 3, "c1:3", 1.0, "admitted", "waiting", "admitted")
TOLD = Told("c1", 3, "c1:3", (PERSON, STATE))


class Calling:
    """A runner with webhooks at some address."""

    def __init__(self, url: str, *, deadline_s: float = 2.0, hooks: Any = None) -> None:
        way = WebhookWay(url, [KEY], {*DECISIONS, *EVENTS} if hooks is None else hooks)
        self.runner = HookRunner(way, decision_deadline_s=deadline_s, event_deadline_s=deadline_s)

    async def __aenter__(self) -> HookRunner:
        await self.runner.start()
        return self.runner

    async def __aexit__(self, *_: object) -> None:
        await self.runner.close()


def answering(answer: object) -> Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]:
    async def handle(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=answer) if isinstance(answer, bytes) else web.json_response(answer)

    return handle


@pytest.fixture
async def receiver() -> AsyncIterator[Host]:
    async with host() as running:
        yield running


# -------------------------------------------------------------------- one meaning


@pytest.mark.parametrize(
    ("hook", "answer", "expected"),
    [
        ("authorize_join", True, True),
        ("authorize_join", False, False),
        ("route", {"queue": "desk-2", "people": ["dr-7"]}, Route("desk-2", ("dr-7",))),
        ("route", {"queue": "desk-2"}, Route("desk-2")),
        ("admit", {"answer": "admit", "by": "rule-3"}, Admission("admit", "rule-3")),
        ("admit", {"answer": "wait"}, Admission("wait")),
        ("surge", "take", "take"),
        ("publish_policy", True, True),
        ("subscribe_policy", True, True),
        ("channel_policy", True, True),
        ("camera_control", True, True),
        ("document_policy", True, True),
        ("still_consent", False, False),
        ("recording_consent", False, False),
        (
            "waiting_content",
            {"items": [{"id": "w1", "kind": "video", "url": "https://a.example/v.mp4", "title": "Hands"}]},
            WaitingContent((WaitingItem("w1", "video", "https://a.example/v.mp4", "Hands"),)),
        ),
        ("waiting_content", {}, WaitingContent()),
        (
            "attest",
            {"policy": "cnam", "date": "2020-03", "outcome": "met", "claims": {"reimbursable": True}},
            PolicyResult("cnam", "2020-03", "met", {"reimbursable": True}),
        ),
        ("attest", None, None),
        ("degrade", "keep", "keep"),
    ],
)
async def test_a_decision_over_http_is_a_decision(hook: str, answer: object, expected: object, receiver: Host) -> None:
    """
    The request's members are those of the dataclass, the answer's too.
    """
    receiver.answer = answering({"answer": answer})
    async with Calling(receiver.url) as runner:
        found = await ask(runner, hook)

    body = receiver.bodies[0]
    assert expected == found
    assert {"version", "id", "hook", "request"} == body.keys()
    assert (1, hook) == (body["version"], body["hook"])
    request = REQUESTS[hook]
    assert {name: getattr(request, name) for name in request.__slots__} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in body["request"].items()
    }
    assert 0 == receiver.forged
    assert not runner.failures


@pytest.mark.parametrize(
    ("hook", "reply"),
    [
        ("authorize_join", reply)
        for reply in (
            b"",
            b"true",
            b"yes",
            b"\xff\xfe",
            b'{"answer":1}',
            b'{"answer":"true"}',
            b'{"answer":null}',
            b'{"answer":true,"extra":1}',
            b'{"answer":false,"answer":true}',
            b'{"Answer":true}',
            b'[{"answer":true}]',
            b'{"answer":true} {}',
            b'{"answer":' + b"[" * 30_000,
            b'{"answer":NaN}',
            b"\x1f\x8b\x08\x00",
        )
    ]
    + [
        ("route", b'{"answer":{"queue":"d","people":"dr-7"}}'),
        ("route", b'{"answer":{"queue":"d","rooms":[]}}'),
        ("route", b'{"answer":{"people":[]}}'),
        ("route", b'{"answer":{"queue":{}}}'),
        ("admit", b'{"answer":{"answer":"admit"}}'),
        ("admit", b'{"answer":{"answer":["admit"],"by":"x"}}'),
        ("surge", b'{"answer":{}}'),
        ("waiting_content", b'{"answer":{"items":[{"id":"a","kind":"video"}]}}'),
        ("waiting_content", b'{"answer":{"items":[7]}}'),
        ("attest", b'{"answer":{"policy":"a","date":"b","outcome":"c","claims":[]}}'),
        ("attest", b'{"answer":{"policy":"a","date":"b","outcome":"c","claims":{"a":1e999}}}'),
        ("degrade", b'{"answer":"audio"}'),
    ],
)
async def test_nonsense_is_closed(hook: str, reply: bytes, receiver: Host) -> None:
    """
    A reply that is not exactly an answer opens nothing, and is counted as what it is.
    """
    receiver.answer = answering(reply)
    async with Calling(receiver.url) as runner:
        found = await ask(runner, hook)

    assert DECISIONS[hook].closed(REQUESTS[hook]) == found
    assert {(hook, "nonsense"): 1} == runner.failures


async def test_one_post_tells_one_fact_to_every_hook_it_concerns(receiver: Host) -> None:
    """
    Under the fact's key and number; hooks that are not listened to are left out, and a post with none is not made.
    """
    async with Calling(receiver.url) as runner:
        await runner.tell(TOLD)
    async with Calling(receiver.url, hooks={"on_state"}) as runner:
        await runner.tell(TOLD)
        await runner.tell(Told.of(PERSON))

    first, second = receiver.bodies
    assert {"version": 1, "key": "c1:3", "room": "c1", "sequence": 3} == {
        name: first[name] for name in ("version", "key", "room", "sequence")
    }
    assert ["on_person", "on_state"] == [event["hook"] for event in first["events"]]
    assert {"sub": "p-9", "what": "admitted", "by": "dr-7", "state": "admitted"}.items() <= first["events"][0][
        "event"
    ].items()
    assert ["on_state"] == [event["hook"] for event in second["events"]]


async def test_what_is_not_asked_over_http_has_the_relays_own_answer(receiver: Host) -> None:
    """
    A host that has no rule for tracks is not asked about each of them.
    """
    async with Calling(receiver.url, hooks={"authorize_join"}) as runner:
        assert await ask(runner, "publish_policy") is True
        assert await ask(runner, "authorize_join") is True
    assert ["authorize_join"] == [body["hook"] for body in receiver.bodies]


# -------------------------------------------------------------------- hosts that misbehave (A63)


async def _hang(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _drip(writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n"
    writer.write(head)
    for byte in b'{"answer":true}' * 1000:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.3)


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def _garbage(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()


async def _headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n")
    await writer.drain()


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"answer":true}')
    await writer.drain()


async def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (_hang, "timeout"),
        (_drip, "timeout"),
        (_huge, "too_large"),
        (_garbage, "nonsense"),
        (_headers, "nonsense"),
        (_cut, "unreachable"),
        (_reset, "unreachable"),
    ],
)
async def test_a_decision_is_closed_in_time_whatever_the_host_does(
    reply: Callable[[asyncio.StreamWriter], Awaitable[None]], why: str
) -> None:
    """
    It hangs, drips, floods, speaks something else, or goes away.
    """
    async with raw_host(reply) as url, Calling(url, deadline_s=0.5) as runner:
        began = time.monotonic()
        assert await ask(runner, "authorize_join") is False
        took_s = time.monotonic() - began

    assert took_s < 1
    assert 1 == runner.failures["authorize_join", why], runner.failures


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 308, 400, 401, 404, 410, 500, 503])
async def test_a_status_that_is_not_200_is_no_answer(status: int, receiver: Host) -> None:
    """
    Not even where the body says yes; of events all of 200 to 299 are taken.
    """

    async def handle(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, body=b'{"answer":true}', headers={"Location": str(request.url)})

    receiver.answer = handle
    async with Calling(receiver.url) as runner:
        assert await ask(runner, "authorize_join") is False
        if status < 300:
            await runner.tell(TOLD)
        else:
            with pytest.raises(HookError) as caught:
                await runner.tell(TOLD)
            assert ("status", status) == (caught.value.why, caught.value.status)
    assert 1 == runner.failures["authorize_join", "status"]
    assert 2 == len(receiver.bodies)


async def test_a_redirect_leads_nowhere(receiver: Host) -> None:
    """
    Nothing is sent to the address it names (A63).
    """
    async with host() as elsewhere:

        async def handle(_request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": elsewhere.url})

        receiver.answer = handle
        async with Calling(receiver.url) as runner:
            assert await ask(runner, "authorize_join") is False

        assert [] == elsewhere.bodies


async def test_a_proxy_of_the_environment_is_not_taken(receiver: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The request goes where the configuration says, and a cookie that the host sets does not come back.
    """
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    cookies: list[str | None] = []

    async def handle(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie"))
        response = web.json_response({"answer": True})
        response.set_cookie("session", "1")
        return response

    receiver.answer = handle
    async with Calling(receiver.url) as runner:
        assert [True, True] == [await ask(runner, "authorize_join") for _ in range(2)]
    assert [None, None] == cookies


async def test_nobody_at_the_address() -> None:
    """
    Refused at once, and named.
    """
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with Calling(f"http://127.0.0.1:{bound.getsockname()[1]}/hooks") as runner:
            assert await ask(runner, "authorize_join") is False
    assert {("authorize_join", "unreachable"): 1} == runner.failures


async def test_a_connection_that_the_host_closed_meanwhile_refuses_nobody() -> None:
    """
    Servers close what is idle: the question is asked once more, on a connection of its own.
    """
    served = 0

    async def once(writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        if served == 2:
            writer.transport.abort()
            return
        body = b'{"answer":true}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    async with raw_host(once) as url, Calling(url) as runner:
        assert [True, True] == [await ask(runner, "authorize_join") for _ in range(2)]
    assert 3 == served
    assert not runner.failures


async def test_events_that_hang_take_nothing_from_decisions(receiver: Host) -> None:
    """
    More of them than there are connections, and every decision is still answered.
    """
    release = asyncio.Event()

    async def handle(_request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "events" in body:
            await release.wait()
        return web.json_response({"answer": True})

    receiver.answer = handle
    async with Calling(receiver.url, deadline_s=10) as runner:
        telling = [asyncio.ensure_future(runner.tell(TOLD)) for _ in range(200)]
        async with asyncio.timeout(5):
            answers = [await ask(runner, "authorize_join") for _ in range(20)]
        release.set()
        await asyncio.gather(*telling)

    assert [True] * 20 == answers


async def test_an_event_is_taken_by_its_status_alone() -> None:
    """
    What follows a 200, a flood or nothing, does not have it told again.
    """
    for reply in (_huge, _cut):
        async with raw_host(reply) as url, Calling(url, deadline_s=5) as runner:
            await runner.tell(TOLD)
        assert not runner.failures


async def test_every_request_is_signed_at_its_own_time(receiver: Host) -> None:
    """
    With each key of the file; a body that somebody changed on the way is told from ours.
    """
    seen: list[tuple[str, str]] = []

    async def handle(request: web.Request, _body: dict[str, Any]) -> web.StreamResponse:
        seen.append((request.headers["Telerelay-Signature"], request.headers["Content-Type"]))
        return web.json_response({"answer": True})

    receiver.answer = handle
    times = iter((1000.0, 2000.0))
    way = WebhookWay(receiver.url, [KEY, b"o" * 32], {"authorize_join"}, now=lambda: next(times))
    runner = HookRunner(way)
    await runner.start()
    for _ in range(2):
        await runner.authorize_join(JoinRequest("c1", "p-9", "patient"))
    await runner.close()

    assert ["t=1000", "t=2000"] == [header.partition(",")[0] for header, _ in seen]
    assert [2, 2] == [header.count(",v1=") for header, _ in seen]
    assert {"application/json"} == {kind for _, kind in seen}


def test_the_largest_answers_fit_a_reply() -> None:
    """
    The bound on replies refuses nothing that is an answer, were it written in escapes from end to end.
    """
    sign = "\U0001fa7a"  # twelve bytes of JSON
    item = {"id": sign * 128, "kind": "video", "url": "/" + "u" * 2047, "title": sign * 1024}
    text = {name: sign * 1024 for name in ("policy", "date", "outcome", "reason")}
    policy = {**text, "claims": {f"{number:02}" + sign * 62: sign * 128 for number in range(64)}}

    for hook, answer in (("waiting_content", {"items": [item] * 16}), ("attest", policy)):
        body = json.dumps({"answer": answer}).encode()
        assert DECISIONS[hook].is_answer(jsons.answer(hook, body))
        assert len(body) < MAX_REPLY_BYTES


WORDS = st.sampled_from(
    ["answer", "queue", "people", "by", "items", "id", "kind", "url", "title", "policy", "date", "outcome", "claims"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(hook=st.sampled_from(list(DECISIONS)), value=JSON, junk=st.binary(max_size=4), cut=st.integers(0, 40))
def test_whatever_is_replied_is_an_answer_or_nonsense(hook: str, value: object, junk: bytes, cut: int) -> None:
    """
    No reply raises anything else, and none passes that the table does not know as an answer.
    """
    whole = json.dumps({"answer": value}).encode()
    for body in (whole, whole + junk, junk + whole, whole[:cut], json.dumps(value).encode()):
        try:
            found = jsons.answer(hook, body)
        except Nonsense:
            continue
        assert DECISIONS[hook].is_answer(found) in (True, False)
