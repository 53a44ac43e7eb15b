"""Several systems at one relay: each is asked and told of its own alone."""

import pytest

from telerelay.errors import LocalProtocolError
from telerelay.hooks import (
    EndEvent,
    ExpertiseEvent,
    HookRunner,
    Hooks,
    JoinRequest,
    MeasurementEvent,
    PresenceEvent,
    Route,
    RouteRequest,
    Systems,
)
from telerelay.hooks.told import Told


class Booking(Hooks):
    """Lets nobody in whom it does not know, and is told of ends, desks and requests."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def authorize_join(self, request: JoinRequest) -> bool:
        return request.sub == "alice"

    async def on_end(self, event: EndEvent) -> None:
        self.told.append(event.room)

    async def on_presence(self, event: PresenceEvent) -> None:
        self.told.append(event.queue)

    async def on_expertise(self, event: ExpertiseEvent) -> None:
        self.told.append(event.request)


class Strokes(Hooks):
    """Names desks, takes measurements, and lets in whom the relay lets in."""

    async def route(self, request: RouteRequest) -> Route:
        return Route("stroke-desk")

    async def on_measurement(self, event: MeasurementEvent) -> None:
        return


@pytest.fixture
def booking() -> Booking:
    return Booking()


@pytest.fixture
def runner(booking: Booking) -> HookRunner:
    return HookRunner(Systems({"book-": booking, "now-": booking, "stroke-": Strokes()}))


@pytest.mark.parametrize(
    ("room", "sub", "expected"),
    [
        ("book-1", "alice", True),
        ("now-1", "alice", True),
        ("now-1", "bob", False),
        ("stroke-1", "bob", True),
        ("other-1", "alice", False),
        ("book", "alice", False),
    ],
)
async def test_each_room_has_the_rules_of_the_system_whose_word_it_bears(
    runner: HookRunner, room: str, sub: str, expected: bool
) -> None:
    """
    A system without a rule there has the relay's own; a room of nobody's is closed.
    """
    assert expected == await runner.authorize_join(JoinRequest(room, sub, "patient"))


async def test_a_rule_of_one_system_is_not_asked_of_another(runner: HookRunner) -> None:
    """
    What has no rule is answered as if there were none at all, and is not even asked.
    """
    assert Route("stroke-desk") == await runner.route(RouteRequest("stroke-1", "", "usual", "", False))
    assert Route("usual") == await runner.route(RouteRequest("book-1", "", "usual", "", False))
    assert [True, False] == [runner.hears("on_measurement", room) for room in ("stroke-1", "book-1")]
    assert not runner.failures


async def test_what_belongs_to_nobody_is_closed_and_counted(runner: HookRunner) -> None:
    """
    A room that no system has is a mistake of somebody's, not an open door.
    """
    await runner.authorize_join(JoinRequest("other-1", "alice", "patient"))

    assert {("authorize_join", "exception"): 1} == dict(runner.failures)
    assert not runner.hears("on_end", "other-1")


async def test_events_desks_and_requests_are_told_to_whose_they_are(runner: HookRunner, booking: Booking) -> None:
    """
    By the consult's id, the desk's queue, the request's name.
    """
    for event in (
        EndEvent("book-1", 1, "book-1:1", 0.0),
        EndEvent("stroke-1", 1, "stroke-1:1", 0.0),
        EndEvent("other-1", 1, "other-1:1", 0.0),
        PresenceEvent("now-desk", "dr-1", "practitioner", True, 0.0),
        PresenceEvent("stroke-desk", "dr-1", "practitioner", True, 0.0),
        ExpertiseEvent("book-e1", 1, "expertise/book-e1:1", 0.0, "answered"),
    ):
        await runner.tell(Told.of(event))

    assert ["book-1", "now-desk", "book-e1"] == booking.told


@pytest.mark.parametrize("words", [(), ("",), ("book-", "book-now-"), ("a", "b", "ab")])
def test_words_that_do_not_tell_systems_apart_are_refused(words: tuple[str, ...]) -> None:
    """
    None, an empty one, one that begins another.
    """
    with pytest.raises(LocalProtocolError) as raised:
        Systems({word: Strokes() for word in words})

    assert "bad_systems" == raised.value.code
