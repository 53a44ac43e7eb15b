"""
The tables of docs/states.md are those of the code, and the code does what they say.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.live_relay import answer_to, offer_sdp
from telerelay import states
from telerelay.connection import PublishConnection, Site
from telerelay.dataplane.events import TRANSPORT_STATES
from telerelay.dataplane.ids import IdPool
from telerelay.errors import NativeError, RemoteProtocolError
from telerelay.protocol.negotiation import CodecPolicy, SubscribedTrack, SubscribeNegotiation
from telerelay.protocol.parameters import Codec, Fingerprint, IceParameters, LocalTransport
from telerelay.rooms import Room, RoomLimits
from telerelay.signaling import socket as sockets
from telerelay.signaling.host import RoomHost
from telerelay.signaling.seat import Resource

ROOT = Path(__file__).resolve().parent.parent
LOCAL = LocalTransport(IceParameters("u" * 16, "p" * 32, is_lite=True), Fingerprint("sha-256", bytes(32)))
EVENTS = ("check", "check, with keys", "keys", "consent lost", "failure", "close")


def documented(title: str) -> dict[tuple[str, str], str]:
    """The rows of one section of docs/states.md."""
    section = (ROOT / "docs" / "states.md").read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {(state, event): following for state, event, following in rows[2:]}


def events_of(table: states.Table) -> list[str]:
    return sorted({event for _, event in table})


def every(all_states: Iterable[str], all_events: Iterable[str]) -> list[tuple[str, str]]:
    return list(product(all_states, all_events))


def states_of(table: states.Table) -> list[str]:
    return sorted({state for state, _ in table} | set(table.values()))


@pytest.mark.parametrize("name", states.TABLES)
def test_the_page_has_the_tables_of_the_code(name: str) -> None:
    """
    Row by row.
    """
    assert documented(name.capitalize()) == dict(states.TABLES[name])


def test_the_page_has_the_transports_table() -> None:
    """
    As transport.c has it, without the rows that change nothing.
    """
    code = (ROOT / "native" / "src" / "transport.c").read_text()
    rows = re.findall(r"\[([A-Z]+)\]\s*= \{ ([^}]*) \}", code)
    table = {
        (state.lower(), event): following.strip().lower()
        for state, cells in rows
        for event, following in zip(EVENTS, cells.split(","), strict=True)
    }

    assert sorted(TRANSPORT_STATES) == sorted({state for state, _ in table})
    assert documented("Transport") == {key: value for key, value in table.items() if key[0] != value}


# ---------------------------------------------------------------- a participant


def participant_state(room: Room) -> str:
    found = room.by_sub("ada")
    if found is None:
        return "absent"
    if found.is_interrupted:
        return "interrupted"
    return "seated" if found.has_socket else "attached"


def room_in(state: str) -> Room:
    room = Room("r", RoomLimits())
    if state == "attached":
        room.attach(0.0, "ada", "patient", "w1", lambda: "id1")
    elif state != "absent":
        room.join(0.0, "ada", "patient", None, lambda: "id1")
        if state == "interrupted":
            room.interrupt(0.0, "id1")
    return room


@pytest.mark.parametrize(("state", "event"), every(states_of(states.PARTICIPANT), events_of(states.PARTICIPANT)))
def test_a_participant_lives_by_its_table(state: str, event: str) -> None:
    """
    Every event in every state.
    """
    room = room_in(state)
    try:
        match event:
            case "join":
                room.join(1.0, "ada", "patient", None, lambda: "id2")
            case "attach":
                room.attach(1.0, "ada", "patient", "w2", lambda: "id2")
            case "detach last":
                room.detach(1.0, "id1", "w1")
            case "lose socket":
                room.interrupt(1.0, "id1")
            case "leave":
                if state != "attached":  # to leave is a message of the socket
                    room.leave(1.0, "id1")
            case "expire":
                room.expire(1e6)
            case "end":
                room.end(1.0, "over")
    except RemoteProtocolError as error:
        code = error.code
    else:
        code = ""

    assert code in ("", "not_found" if state == "absent" else "")
    assert states.after(states.PARTICIPANT, state, event) == participant_state(room)


def test_who_has_a_session_besides_outlives_his_seat() -> None:
    """
    The one row with a condition.
    """
    room = room_in("interrupted")
    room.attach(1.0, "ada", "patient", "w1", lambda: "id2")
    room.expire(1e6)

    assert "attached" == participant_state(room)


# ---------------------------------------------------------------- connections


class Worker:
    """Takes every command, or refuses to add receivers."""

    index = 0
    is_running = True

    def __init__(self) -> None:
        self.transports, self.receivers, self.senders = (IdPool(8) for _ in range(3))
        self.refuses = False

    def __getattr__(self, name: str) -> Any:
        if name in ("listen", "unlisten"):
            return lambda *_: None

        async def command(*_: object, **__: object) -> None:
            if self.refuses and name in ("add_receiver", "set_remote"):
                raise NativeError(-1, "full", code="full")

        return command


@pytest.mark.parametrize(("state", "event"), every(("new", "agreed"), events_of(states.PUBLISHING)))
async def test_a_publishing_connection_lives_by_its_table(state: str, event: str) -> None:
    """
    A refused offer leaves it, a refusing worker breaks it.
    """
    worker = Worker()
    site = Site(worker, Fingerprint("sha-256", bytes(32)), (), 1)  # type: ignore[arg-type]
    connection = PublishConnection(site, CodecPolicy(), participant=1, is_admitted=True)
    has_agreed = state == "agreed"
    if has_agreed:
        await connection.offer(offer_sdp())
    worker.refuses = event == "worker refuses"
    sdp = offer_sdp() if event != "refused offer" else "v=1"
    # Asked again for what it has agreed to, a connection asks the worker for nothing.
    sdp = re.sub("a=ice-ufrag:.*", "a=ice-ufrag:other\r", sdp) if worker.refuses else sdp
    try:
        await connection.offer(sdp)
        has_agreed = True
    except RemoteProtocolError:
        pass
    found = "broken" if connection.is_broken else "agreed" if has_agreed else "new"

    assert states.after(states.PUBLISHING, state, event) == found


@pytest.mark.parametrize(("state", "event"), every(states_of(states.SUBSCRIBING), events_of(states.SUBSCRIBING)))
def test_a_subscribing_connection_lives_by_its_table(state: str, event: str) -> None:
    """
    One offer is in flight at a time, until the answer that is taken.
    """
    negotiation = SubscribeNegotiation("cname")
    negotiation.set_tracks([SubscribedTrack("k", "audio", ("p", "k"), (Codec("opus", 48000, 2),), "c")])
    sdp, offer_id = "", 0
    if state == "in flight":
        offer = negotiation.make_offer(LOCAL, lambda: 7)
        sdp, offer_id = offer.sdp, offer.offer_id
    try:
        match event:
            case "offer" if not negotiation.in_flight:
                negotiation.make_offer(LOCAL, lambda: 7)
            case "answer":
                negotiation.on_answer(offer_id, answer_to(sdp))
            case "refused answer":
                negotiation.on_answer(offer_id, "v=1")
    except RemoteProtocolError:
        assert event == "refused answer" or state == "idle"

    assert states.after(states.SUBSCRIBING, state, event) == ("in flight" if negotiation.in_flight else "idle")


@pytest.mark.parametrize(
    ("state", "event"), every(states_of(states.SESSION), ("checked", "connected", "disconnected", "failed", "closed"))
)
async def test_a_session_lives_by_its_table(state: str, event: str) -> None:
    """
    What its transport does; a state with a deadline is armed with it, one without is not.
    """
    resource = Resource("secret", "etag", connection=None, state=state)  # type: ignore[arg-type]
    ended: list[str] = []
    host = SimpleNamespace(end_resource=lambda _, reason="left": ended.append(reason), _seat_s=120.0, seats={})
    host.arm = partial(RoomHost.arm, host)
    RoomHost._resource_changed(host, resource, event)  # type: ignore[arg-type]
    expected = states.after(states.SESSION, state, event)

    assert expected == resource.state
    assert (expected == "ended" and state != "ended") == bool(ended)
    if expected != state:
        assert (expected in ("checked", "disconnected")) == (resource.timer is not None)
    resource.disarm()


@pytest.mark.parametrize("transport", TRANSPORT_STATES)
def test_a_session_goes_on_where_its_transport_left_it(transport: str) -> None:
    """
    In a state of the table; one whose transport was over has no note, for it has ended.
    """
    assert (states.session_at(transport) in states_of(states.SESSION)) == (transport not in ("failed", "closed"))


# ---------------------------------------------------------------- a socket


@pytest.mark.parametrize(("state", "event"), every(states_of(states.SOCKET), events_of(states.SOCKET)))
async def test_a_socket_lives_by_its_table(state: str, event: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every event in every state; a deadline there is only for one that closes.
    """
    monkeypatch.setattr(sockets, "CLOSE_DEADLINE_S", 0.001 if event == "deadline" else 60.0)
    socket = sockets.Socket(SimpleNamespace(), None)  # type: ignore[arg-type]
    if state == "closing":
        socket.close(1000, "")
    elif state == "cut":
        socket.cut()
    match event:
        case "close":
            socket.close(1000, "")
        case "cut":
            socket.cut()
        case "too much waits":
            socket.send("x" * (sockets.MAX_QUEUED_BYTES + 1))
        case "silent" if state == "open":
            for _ in range(sockets.MAX_MISSED):
                socket._pulse()
        case "deadline":
            fired = asyncio.Event()
            asyncio.get_running_loop().call_later(0.02, fired.set)
            await fired.wait()
    found = "cut" if socket.is_lost else "closing" if socket._is_closing else "open"

    assert states.after(states.SOCKET, state, event) == found
