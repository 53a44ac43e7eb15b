"""WHIP and WHEP over HTTP: what is created, who may touch it, and how each refusal reads."""

import asyncio
import gc
import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from support.live_relay import PREFIX, Live, MakeLive, offer_sdp
from telerelay.signaling import seat as seats
from telerelay.signaling.host import MAX_RESOURCES
from telerelay.signaling.seat import Resource

RECVONLY = offer_sdp("chromium_recvonly_data")
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}
FRAGMENT = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "p" * 24 + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=end-of-candidates\r\n"


class Session:
    """What a POST made."""

    def __init__(self, status: int, headers: Any, body: str) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def location(self) -> str:
        return str(self.headers["Location"])


async def post(live: Live, path: str, sub: str, sdp: str = "", room: str = "r1", **headers: str) -> Session:
    data = sdp or (offer_sdp() if path.startswith("/whip") else RECVONLY)
    async with live.http.post(live.url + path, data=data, headers=live.bearer(sub, room) | headers) as response:
        return Session(response.status, response.headers, await response.text())


async def code_of(response: Any) -> tuple[int, str]:
    """Status and stable code of a refusal."""
    async with response as answer:
        body = await answer.json()
        assert {"error"} == set(body)
        assert {"code", "message"} == set(body["error"])
        return answer.status, body["error"]["code"]


# ---------------------------------------------------------------------- beginning and ending


@pytest.mark.parametrize("path", ["/whip/r1", "/whep/r1"])
async def test_a_post_creates_a_session(live: Live, path: str) -> None:
    """
    201 with the answer, an unguessable Location under the prefix the relay is mounted at, and an ETag.
    """
    first, second = await post(live, path, "cam-1"), await post(live, path, "cam-2")

    assert (201, "application/sdp") == (first.status, first.headers["Content-Type"])
    assert first.body.startswith("v=0\r\n")
    assert "a=setup:passive" in first.body
    assert first.location.startswith(f"{PREFIX}{path}/session/")
    assert len(first.location.rpartition("/")[2]) >= 32
    assert first.location != second.location
    assert first.headers["ETag"] != second.headers["ETag"]


async def test_a_delete_ends_a_session(live: Live) -> None:
    """
    Its transport goes, its participant leaves, its URL is unknown.
    """
    alice = await live.join("alice")
    session = await post(live, "/whip/r1", "camera")
    camera = (await alice.event("participant_joined"))["participant"]
    statuses = []
    for _ in range(2):
        async with live.http.delete(live.root + session.location, headers=live.bearer("camera")) as response:
            statuses.append(response.status)
    left = await alice.event("participant_left")
    await live.until(lambda: live.transports() <= 1)

    assert [200, 404] == statuses
    assert ("camera", camera["id"], "left") == (camera["sub"], left["participant"], left["reason"])


@pytest.fixture
def no_searches() -> Iterator[None]:
    """No garbage of before, and none is looked for."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_searches")
@pytest.mark.parametrize("path", ["/whip/r1", "/whep/r1"])
async def test_a_session_that_ended_is_gone_without_a_search_for_garbage(live: Live, path: str) -> None:
    """
    Its connection, whose news it is told, does not hold it; somebody else keeps the room.
    """

    def sessions() -> list[str]:
        return [each.secret for each in gc.get_objects() if type(each) is Resource]

    await live.join("alice")
    session = await post(live, path, "camera")
    during = sessions()
    async with live.http.delete(live.root + session.location, headers=live.bearer("camera")) as response:
        assert 200 == response.status
    await live.until(lambda: not sessions())

    assert [session.location.rpartition("/")[2]] == during


async def test_what_whip_publishes_is_told_and_offered(live: Live) -> None:
    """
    A camera by WHIP is a participant like any other to those who use the WebSocket.
    """
    alice = await live.join("alice")
    await post(live, "/whip/r1", "camera")
    kinds = {(await alice.event("published"))["publication"]["kind"]}
    kinds.add((await alice.event("published", alice.seq))["publication"]["kind"])
    offer = await alice.event("offer")

    assert {"audio", "video"} == kinds == {track["kind"] for track in offer["tracks"]}


async def test_whip_whep_and_websocket_of_one_sub_are_one_participant(live: Live) -> None:
    """
    In whatever order they come, the others see one person, and nobody is told of a duplicate.
    """
    bob = await live.join("bob")
    await post(live, "/whip/r1", "alice")
    await post(live, "/whep/r1", "alice")
    alice = await live.join("alice")
    await bob.ask("stats")

    assert 1 == sum(event["type"] == "participant_joined" for event in bob.events)
    assert not any(event["type"] == "participant_left" for event in bob.events)
    assert ["bob"] == [other["sub"] for other in alice.joined["participants"]]


async def test_a_second_whip_of_a_sub_replaces_the_first(live: Live) -> None:
    """
    An encoder that restarted without a DELETE takes over from itself.
    """
    alice = await live.join("alice")
    first = await post(live, "/whip/r1", "camera")
    second = await post(live, "/whip/r1", "camera")
    await alice.event("unpublished")
    await live.until(lambda: live.transports() == 2)

    async with live.http.delete(live.root + first.location, headers=live.bearer("camera")) as response:
        assert 404 == response.status
    async with live.http.delete(live.root + second.location, headers=live.bearer("camera")) as response:
        assert 200 == response.status
    assert 1 == sum(event["type"] == "participant_joined" for event in alice.events)


async def test_whep_sections_are_filled_as_tracks_come(live: Live) -> None:
    """
    In order, without a new offer; a track that ends frees its section.
    """
    await post(live, "/whep/r1", "wall")
    senders = live.relay.stats()[0].senders
    camera = await post(live, "/whip/r1", "camera")
    host = live.relay._rooms.hosts[0]
    (wall,) = [seat for seat in host.seats.values() if seat.participant.sub == "wall"]
    (resource,) = wall.resources.values()

    def bound() -> list[bool]:
        return [section.bound is not None for section in resource.connection.sections]  # type: ignore[union-attr]

    await live.until(lambda: all(bound()))
    async with live.http.delete(live.root + camera.location, headers=live.bearer("camera")):
        await live.until(lambda: not any(bound()))
    assert "reply" == (await (await live.join("alice")).publish())["type"]
    await live.until(lambda: all(bound()))

    assert 0 == senders or senders == len(bound())
    assert 2 == len(bound())


async def test_whep_of_one_participant_takes_only_its_tracks(live: Live) -> None:
    """
    Named by id or by sub; of everyone else nothing is sent.
    """
    alice, bob = await live.join("alice"), await live.join("bob")
    await bob.publish()
    assert 201 == (await post(live, f"/whep/r1/{alice.id}", "wall")).status
    assert 201 == (await post(live, "/whep/r1/alice", "wall")).status
    host = live.relay._rooms.hosts[0]
    (wall,) = [seat for seat in host.seats.values() if seat.participant.sub == "wall"]
    published = {each["id"] for each in (await alice.publish())["publications"]}

    def carried() -> list[set[str]]:
        return [
            {section.bound.publication for section in resource.connection.sections if section.bound}  # type: ignore[union-attr]
            for resource in wall.resources.values()
        ]

    await live.until(lambda: carried() == [published, published])


async def test_whep_of_nobody_is_not_found(live: Live) -> None:
    """
    An unknown participant in a room one may enter is 404, and leaves no room behind.
    """
    session = await post(live, "/whep/r1/nobody", "wall")

    assert 404 == session.status
    assert "not_found" in session.body
    assert () == live.relay._rooms.hosts


async def test_a_session_nobody_connects_to_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A half-open session does not keep its transport (A49).
    """
    monkeypatch.setattr("telerelay.signaling.host.UNCHECKED_DEADLINE_S", 0.05)
    alice = await live.join("alice")
    assert 201 == (await post(live, "/whip/r1", "camera")).status
    left = await alice.event("participant_left")
    await live.until(lambda: live.transports() <= 1)

    assert "timeout" == left["reason"]
    assert seats.UNCHECKED_DEADLINE_S < seats.HALF_OPEN_DEADLINE_S


async def test_sessions_of_one_sub_have_an_end(live: Live) -> None:
    """
    A wall of screens fits, a leak does not.
    """
    for _ in range(MAX_RESOURCES):
        assert 201 == (await post(live, "/whep/r1", "wall")).status
    session = await post(live, "/whep/r1", "wall")
    await live.until(lambda: live.transports() == MAX_RESOURCES)

    assert (409, True) == (session.status, "conflict" in session.body)


# ---------------------------------------------------------------------- refusals


async def test_a_refused_offer_is_seen_by_nobody(live: Live) -> None:
    """
    No participant, no transport, no event: the others never hear of it.
    """
    alice = await live.join("alice")
    session = await post(live, "/whip/r1", "camera", sdp="v=0\r\n")
    await live.until(lambda: live.transports() == 0)
    await alice.ask("stats")

    assert (400, True) == (session.status, "bad_sdp" in session.body)
    assert [] == alice.events


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("no token", 401, "unauthorized"),
        ("bad token", 401, "unauthorized"),
        ("foreign room", 403, "forbidden"),
        ("missing room", 403, "forbidden"),
        ("impossible room", 403, "forbidden"),
        ("wrong type", 415, "unsupported_media_type"),
        ("packed", 415, "unsupported_media_type"),
        ("too large", 413, "too_large"),
        ("not utf-8", 400, "bad_message"),
        ("observer", 403, "forbidden"),
        ("unknown role", 403, "forbidden"),
        ("get", 405, "method_not_allowed"),
        ("elsewhere", 404, "not_found"),
    ],
)
async def test_each_refusal_has_its_status_and_code(live: Live, name: str, status: int, code: str) -> None:
    """
    And is JSON of one shape.
    """
    await live.join("somebody", room="r2")
    url, good = live.url, live.bearer("camera")
    sdp = offer_sdp()
    match name:
        case "no token":
            response = live.http.post(f"{url}/whip/r1", data=sdp, headers={"Content-Type": "application/sdp"})
        case "bad token":
            response = live.http.post(f"{url}/whip/r1", data=sdp, headers=good | {"Authorization": "Bearer x.y.z"})
        case "foreign room":
            response = live.http.post(f"{url}/whip/r2", data=sdp, headers=good)
        case "missing room":
            response = live.http.post(f"{url}/whip/r3", data=sdp, headers=good)
        case "impossible room":
            response = live.http.post(f"{url}/whip/a%20b", data=sdp, headers=good)
        case "wrong type":
            response = live.http.post(f"{url}/whip/r1", data=sdp, headers=good | {"Content-Type": "text/plain"})
        case "packed":
            packed = good | {"Content-Type": "application/sdp", "Content-Encoding": "gzip"}
            response = live.http.post(f"{url}/whip/r1", data=gzip.compress(sdp.encode()), headers=packed)
        case "too large":
            response = live.http.post(f"{url}/whip/r1", data="v" * 65537, headers=good)
        case "not utf-8":
            response = live.http.post(f"{url}/whip/r1", data=b"\xff\xfe", headers=good)
        case "observer" | "unknown role":
            role = "observer" if name == "observer" else "king"
            response = live.http.post(f"{url}/whip/r1", data=sdp, headers=live.bearer("camera", role=role))
        case "get":
            response = live.http.get(f"{url}/whip/r1", headers=good)
        case _:
            response = live.http.post(f"{url}/whop/r1", data=sdp, headers=good)

    assert (status, code) == await code_of(response)
    assert 0 == live.transports()


async def test_a_401_says_how_to_authenticate(live: Live) -> None:
    """
    RFC 6750, 3.
    """
    async with live.http.post(f"{live.url}/whip/r1", data="") as response:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ("nobody", (401, "unauthorized")),
        ("another in the room", (404, "not_found")),
        ("same sub, another room", (403, "forbidden")),
    ],
)
async def test_only_its_own_sub_may_touch_a_session(
    live: Live, method: str, who: str, expected: tuple[int, str]
) -> None:
    """
    Knowing the URL is not enough; a stranger does not even learn that it exists (A58).
    """
    session = await post(live, "/whip/r1", "camera")
    headers: dict[str, str] = {
        "nobody": {},
        "another in the room": live.bearer("mallory"),
        "same sub, another room": live.bearer("camera", "r2"),
    }[who] | TRICKLE
    for path in (session.location, session.location[:-4] + "AAAA"):
        answer = await code_of(live.http.request(method, live.root + path, headers=headers, data=FRAGMENT))
        assert expected == answer
    async with live.http.delete(live.root + session.location, headers=live.bearer("camera")) as response:
        assert 200 == response.status


@pytest.mark.parametrize(
    ("condition", "media_type", "status", "code"),
    [
        (None, "application/trickle-ice-sdpfrag", 428, "precondition_required"),
        ('"other"', "application/trickle-ice-sdpfrag", 412, "precondition_failed"),
        ("etag", "application/sdp", 415, "unsupported_media_type"),
        ("etag", "application/trickle-ice-sdpfrag", 204, ""),
    ],
)
async def test_a_patch_under_the_etag_trickles(
    live: Live, condition: str | None, media_type: str, status: int, code: str
) -> None:
    """
    Candidates are taken (and ignored) under the session's ETag, and under no other.
    """
    session = await post(live, "/whip/r1", "camera")
    headers = live.bearer("camera") | {"Content-Type": media_type}
    if condition is not None:
        headers["If-Match"] = session.headers["ETag"] if condition == "etag" else condition
    async with live.http.patch(live.root + session.location, headers=headers, data=FRAGMENT) as response:
        assert status == response.status
        if code:
            assert code == (await response.json())["error"]["code"]


async def patch(live: Live, session: Session, condition: str, fragment: str = FRAGMENT) -> Session:
    headers = live.bearer("camera") | TRICKLE | {"If-Match": condition}
    async with live.http.patch(live.root + session.location, headers=headers, data=fragment) as response:
        return Session(response.status, response.headers, await response.text())


def credentials(text: str) -> tuple[str, str]:
    """Fragment and password of a description's first section."""
    return text.split("a=ice-ufrag:")[1].split("\r\n")[0], text.split("a=ice-pwd:")[1].split("\r\n")[0]


@pytest.mark.parametrize("path", ["/whip/r1", "/whep/r1"])
@pytest.mark.parametrize("condition", ["*", '"*"'])
async def test_a_patch_restarts_ice(live: Live, path: str, condition: str) -> None:
    """
    RFC 9725, 4.3.3: 200 with the relay's new credentials and candidates in the client's first section, and another
    ETag, under which trickling goes on; the old one is stale.
    """
    session = await post(live, path, "camera")
    restarted = await patch(live, session, condition)
    stale = await patch(live, session, session.headers["ETag"])
    fresh = await patch(live, session, restarted.headers["ETag"])

    assert (200, TRICKLE["Content-Type"]) == (restarted.status, restarted.headers["Content-Type"])
    assert session.headers["ETag"] != restarted.headers["ETag"]
    assert set() == set(credentials(session.body)) & set(credentials(restarted.body))
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n" in restarted.body
    assert session.body.split("a=candidate:")[1].split("\r\n")[0] in restarted.body
    assert (412, 204) == (stale.status, fresh.status)
    assert 1 == live.transports()


async def test_a_restart_whose_response_was_lost_is_answered_again(live: Live) -> None:
    """
    The same credentials are the same restart; others are the next one.
    """
    session = await post(live, "/whip/r1", "camera")
    first, again = await patch(live, session, "*"), await patch(live, session, "*")
    second = await patch(live, session, "*", FRAGMENT.replace("abcd", "efgh"))

    assert (first.body, first.headers["ETag"]) == (again.body, again.headers["ETag"])
    assert credentials(first.body)[0] != credentials(second.body)[0]
    assert first.headers["ETag"] != second.headers["ETag"]


@pytest.mark.parametrize(
    "fragment",
    ["", "a=ice-ufrag:abcd\r\n", FRAGMENT.replace("abcd", "abc"), FRAGMENT + "a=ice-ufrag:other\r\n"],
    ids=["nothing", "no password", "too short", "two of them"],
)
async def test_a_restart_without_good_credentials_leaves_the_session(live: Live, fragment: str) -> None:
    """
    400, and the session is as it was.
    """
    session = await post(live, "/whip/r1", "camera")
    refused = await patch(live, session, "*", fragment)

    assert 400 == refused.status
    assert "bad_sdp" in refused.body
    assert 204 == (await patch(live, session, session.headers["ETag"])).status


async def test_restarts_over_http_are_limited(make_live: MakeLive) -> None:
    """
    A storm of them is refused, and the session goes on (A44).
    """
    live = await make_live({"limits": {"offer_burst": 2, "offer_every_s": 60.0}})
    session = await post(live, "/whip/r1", "camera")
    statuses = [(await patch(live, session, "*", FRAGMENT.replace("abcd", f"abcd{n}"))).status for n in range(3)]

    assert [200, 200, 429] == statuses
    assert 1 == live.transports()


async def test_a_session_of_one_kind_is_not_one_of_the_other(live: Live) -> None:
    """
    A WHEP URL made of a WHIP one leads nowhere.
    """
    session = await post(live, "/whip/r1", "camera")
    path = session.location.replace("/whip/", "/whep/")

    assert (404, "not_found") == await code_of(live.http.delete(live.root + path, headers=live.bearer("camera")))


async def test_an_expired_token_still_ends_its_own_session(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `exp` limits joining, not the call: whoever was let in may hang up. It opens nothing new.
    """
    headers = live.bearer("camera", ttl_s=1)
    async with live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=headers) as response:
        location = response.headers["Location"]
    import time

    began = time.time()
    monkeypatch.setattr("telerelay.signaling.live.time.time", lambda: began + 3600)

    assert (401, "token_expired") == await code_of(
        live.http.post(f"{live.url}/whip/r1", data=offer_sdp(), headers=headers)
    )
    assert (401, "token_expired") == await code_of(live.http.delete(f"{live.root}{location}x", headers=headers))
    async with live.http.delete(live.root + location, headers=headers) as response:
        assert 200 == response.status


async def test_a_body_that_drips_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A slow body is answered with 408 and its connection ends (A47).
    """
    monkeypatch.setattr("telerelay.signaling.http.BODY_DEADLINE_S", 0.1)

    async def drip() -> Any:
        yield b"v=0\r\n"
        await asyncio.sleep(30)

    response = live.http.post(f"{live.url}/whip/r1", data=drip(), headers=live.bearer("camera"))
    assert (408, "timeout") == await code_of(response)


# ---------------------------------------------------------------------- browsers


@pytest.mark.parametrize("path", ["/whip/r1", "/whep/r1", "/whep/r1/someone", "/whip/r1/session/abc"])
async def test_preflights_are_answered_for_listed_origins_only(make_live: MakeLive, path: str) -> None:
    """
    A page of a listed origin may read what it gets, Location and ETag included; any other is refused.
    """
    live = await make_live({"http": {"allowed_origins": ["https://clinic.example"]}})
    async with live.http.options(live.url + path, headers={"Origin": "https://clinic.example"}) as response:
        allowed = response
    async with live.http.options(live.url + path, headers={"Origin": "https://evil.example"}) as response:
        refused = response

    assert (204, "https://clinic.example") == (allowed.status, allowed.headers["Access-Control-Allow-Origin"])
    assert "Location" in allowed.headers["Access-Control-Expose-Headers"]
    assert ("PATCH" if "session" in path else "POST") in allowed.headers["Access-Control-Allow-Methods"]
    assert 403 == refused.status
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_a_listed_page_can_read_errors_too(make_live: MakeLive) -> None:
    """
    Without CORS headers a browser would show its page nothing but "network error".
    """
    live = await make_live({"http": {"allowed_origins": ["https://clinic.example"]}})
    headers = {"Origin": "https://clinic.example", "Content-Type": "application/sdp"}
    async with live.http.post(f"{live.url}/whip/r1", data="", headers=headers) as response:
        assert (401, "https://clinic.example") == (response.status, response.headers["Access-Control-Allow-Origin"])


async def test_draining_refuses_new_sessions(live: Live) -> None:
    """
    503 `draining`, so that a client tries another relay.
    """
    live.relay.drain()

    session = await post(live, "/whip/r1", "camera")
    assert (503, True) == (session.status, "draining" in session.body)
