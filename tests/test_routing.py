"""Where publications meet receivers, in memory."""

from telerelay.connection.source import Source
from telerelay.protocol.parameters import Codec, Encoding, NegotiatedCodec, ReceiveParameters
from telerelay.routing import Router

PARAMS = ReceiveParameters("0", "audio", (NegotiatedCodec(Codec("opus", 48000, 2), 111),), (Encoding(),), {})


def source(publication: str, participant: str = "alice", receiver: int = 1) -> Source:
    return Source(publication, participant, receiver, PARAMS)


class Recorder:
    """Remembers what it is to send."""

    def __init__(self) -> None:
        self.wanted: dict[str, int] = {}
        self.calls = 0

    def want(self, source: Source) -> None:
        self.calls += 1
        self.wanted[source.publication] = source.receiver

    def unwant(self, publication: str) -> None:
        self.calls += 1
        del self.wanted[publication]


def test_a_track_flows_where_source_route_and_subscriber_meet() -> None:
    """
    In whatever order the three come.
    """
    steps = {
        "source": lambda router, recorder: router.add_source(source("p")),
        "route": lambda router, recorder: router.route("p", "bob"),
        "subscriber": lambda router, recorder: router.attach("bob", recorder),
    }
    for order in (
        ("source", "route", "subscriber"),
        ("subscriber", "route", "source"),
        ("route", "source", "subscriber"),
        ("source", "subscriber", "route"),
    ):
        router, recorder = Router(), Recorder()
        for step in order[:-1]:
            steps[step](router, recorder)
            assert {} == recorder.wanted
        steps[order[-1]](router, recorder)
        assert {"p": 1} == recorder.wanted


def test_nobody_gets_what_is_not_routed_to_him() -> None:
    """
    The room decides; a connection alone entitles to nothing.
    """
    router, bob, carol = Router(), Recorder(), Recorder()
    router.attach("bob", bob)
    router.attach("carol", carol)
    router.add_source(source("p"))
    router.route("p", "bob")

    assert ({"p": 1}, {}) == (bob.wanted, carol.wanted)


def test_every_connection_of_a_participant_is_told() -> None:
    """
    A WebSocket and two WHEP sessions of one person each send what he is to get.
    """
    router, recorders = Router(), [Recorder() for _ in range(3)]
    router.route("p", "bob")
    for recorder in recorders:
        router.attach("bob", recorder)
    router.add_source(source("p"))
    router.detach("bob", recorders[0])
    router.unroute("p", "bob")

    assert [{"p": 1}, {}, {}] == [recorder.wanted for recorder in recorders]


def test_a_connection_to_one_publisher_hears_of_no_other() -> None:
    """
    Neither at its beginning nor later.
    """
    router, recorder = Router(), Recorder()
    router.add_source(source("a1", "alice"))
    router.add_source(source("c1", "carol"))
    for publication in ("a1", "a2", "c1", "c2"):
        router.route(publication, "bob")
    router.attach("bob", recorder, publisher="alice")
    router.add_source(source("a2", "alice"))
    router.add_source(source("c2", "carol"))

    assert {"a1": 1, "a2": 1} == recorder.wanted


def test_a_new_receiver_is_told_and_the_same_one_is_not() -> None:
    """
    After a renegotiation the senders must be bound anew, and only then.
    """
    router, recorder = Router(), Recorder()
    router.attach("bob", recorder)
    router.route("p", "bob")
    router.add_source(source("p", receiver=1))
    router.add_source(source("p", receiver=1))
    router.add_source(source("p", receiver=2))

    assert ({"p": 2}, 2) == (recorder.wanted, recorder.calls)


def test_publications_the_room_no_longer_has_are_forgotten() -> None:
    """
    Their subscribers are told, the others are not disturbed.
    """
    router, recorder = Router(), Recorder()
    router.attach("bob", recorder)
    for publication in ("p", "q"):
        router.add_source(source(publication))
        router.route(publication, "bob")
    router.keep_only({"q"})
    late = Recorder()
    router.attach("bob", late)

    assert {"q": 1} == recorder.wanted == late.wanted


def test_one_who_left_is_told_nothing_more() -> None:
    """
    His routes are gone with him: a new participant of the same name would start without any.
    """
    router, recorder = Router(), Recorder()
    router.attach("bob", recorder)
    router.route("p", "bob")
    router.forget("bob")
    router.add_source(source("p"))
    again = Recorder()
    router.attach("bob", again)

    assert ({}, {}) == (recorder.wanted, again.wanted)
