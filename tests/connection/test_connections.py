"""Connections on a real worker: what is taken is given back, whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.live_relay import answer_to
from telerelay.connection import PublishConnection, Site, Source, SubscribeConnection, WhepConnection
from telerelay.connection.transport import Connection
from telerelay.dataplane import Worker, WorkerSettings, make_certificate
from telerelay.errors import NativeError, RemoteProtocolError
from telerelay.protocol.negotiation import CodecPolicy, Offer
from telerelay.protocol.parameters import Candidate, Fingerprint

OFFERS = Path(__file__).parent.parent / "data" / "offers"
POLICY = CodecPolicy()


def offer_sdp(name: str = "chromium_audio_video") -> str:
    return (OFFERS / f"{name}.sdp").read_text()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    certificate = make_certificate()
    worker = Worker(WorkerSettings(index=1, binds=(("127.0.0.1", 0),), max_transports=4), certificate)
    await worker.start()
    candidate = Candidate("1", 1, "udp", 1, "127.0.0.1", worker.ports[0], "host")
    yield Site(worker, Fingerprint("sha-256", certificate.fingerprint), (candidate,), room=1)
    await worker.stop()


def taken(site: Site) -> tuple[int, int, int]:
    """Ids of transports, receivers and senders in use."""
    return len(site.worker.transports), len(site.worker.receivers), len(site.worker.senders)


def publish_connection(site: Site) -> PublishConnection:
    return PublishConnection(site, POLICY, participant=1, is_admitted=True)


async def sources(site: Site, connection: PublishConnection, participant: str = "alice") -> list[Source]:
    await connection.offer(offer_sdp())
    return [
        Source(f"{participant}-{mid}", participant, each.receiver, each.params)
        for mid, each in connection.receiving.items()
    ]


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_an_offer_makes_receivers_and_closing_gives_all_back(site: Site) -> None:
    """
    One receiver for each section that sends; no id is left in use.
    """
    connection = publish_connection(site)
    answer = await connection.offer(offer_sdp())
    during = taken(site)
    await connection.close()
    await connection.close()

    assert connection.transport.local.ice.ufrag in answer
    assert ((1, 2, 0), (0, 0, 0)) == (during, taken(site))
    assert {} == connection.receiving


async def test_the_same_offer_again_changes_no_receiver(site: Site) -> None:
    """
    Renegotiation touches only what differs.
    """
    connection = publish_connection(site)
    await connection.offer(offer_sdp())
    before = dict(connection.receiving)
    await connection.offer(offer_sdp())

    assert before == connection.receiving


async def test_a_bad_offer_changes_nothing(site: Site) -> None:
    """
    The connection is as good as before.
    """
    connection = publish_connection(site)
    await connection.offer(offer_sdp())
    before = dict(connection.receiving)
    with pytest.raises(RemoteProtocolError):
        await connection.offer("v=0\r\n")

    assert (before, False) == (connection.receiving, connection.is_broken)


async def test_a_transport_that_cannot_be_made_leaves_nothing(site: Site) -> None:
    """
    The worker refuses, the id goes back, the error says why.
    """
    connection = Connection(site, participant=1, is_admitted=True)
    object.__setattr__(connection.local.ice, "ufrag", "x")  # too short for RFC 8839
    with pytest.raises(NativeError):
        await connection.open()

    assert (0, 0, 0) == taken(site)
    assert not connection.is_open


async def test_a_full_worker_says_so(site: Site) -> None:
    """
    One transport more than it may have is `room_full`, and what there is goes on.
    """
    connections = [Connection(site, participant=1, is_admitted=True) for _ in range(5)]
    for connection in connections[:4]:
        await connection.open()
    with pytest.raises(RemoteProtocolError) as error:
        await connections[4].open()

    assert "room_full" == error.value.code
    assert 4 == len(site.worker.transports)


async def test_an_opening_that_is_cancelled_leaves_nothing(site: Site) -> None:
    """
    Its client went away while the worker was asked.
    """
    connection = Connection(site, participant=1, is_admitted=True)
    opening = asyncio.ensure_future(connection.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    assert (0, 0, 0) == taken(site)


async def test_ssrcs_of_a_connection_are_distinct(site: Site) -> None:
    """
    Random, never 0, never the same twice.
    """
    connection = Connection(site, participant=1, is_admitted=True)
    made = [connection.new_ssrc() for _ in range(1000)]

    assert 1000 == len(set(made))
    assert all(0 < ssrc < 2**32 for ssrc in made)


async def test_closing_after_the_worker_stopped_is_quiet(site: Site) -> None:
    """
    At a relay's end the order does not matter.
    """
    connection = publish_connection(site)
    await connection.offer(offer_sdp())
    await site.worker.stop()
    await connection.close()

    assert (0, 0, 0) == taken(site)


async def test_what_is_wanted_is_offered_and_what_is_not_is_dropped(site: Site) -> None:
    """
    Wants that come together are one offer; nothing wanted opens no transport at all.
    """
    publisher = publish_connection(site)
    offers: list[Offer] = []
    subscriber = SubscribeConnection(site, participant=2, is_admitted=True, on_offer=offers.append)
    running = asyncio.ensure_future(subscriber.run())
    audio, video = await sources(site, publisher)
    assert not subscriber.transport.is_open
    subscriber.want(audio)
    subscriber.want(video)
    await until(lambda: offers)
    subscriber.unwant(audio.publication)
    await asyncio.sleep(0)

    assert 1 == len(offers)
    assert {audio.publication, video.publication} == {track.key for track in offers[0].tracks}
    running.cancel()
    await subscriber.close()
    assert 1 == len(site.worker.transports)


async def offered(site: Site) -> tuple[SubscribeConnection, list[Source], Offer, asyncio.Task[None]]:
    """A connection that was offered two tracks, and the task that runs it."""
    found = await sources(site, publish_connection(site))
    offers: list[Offer] = []
    subscriber = SubscribeConnection(site, participant=2, is_admitted=True, on_offer=offers.append)
    running = asyncio.create_task(subscriber.run())
    for source in found:
        subscriber.want(source)
    await until(lambda: offers)
    return subscriber, found, offers[0], running


@pytest.mark.parametrize("turns", range(4))
async def test_an_answer_and_a_close_at_once_are_quiet(site: Site, turns: int) -> None:
    """
    Whichever comes first, at whatever turn of the loop: no error of the worker, and nothing is left behind.
    """
    subscriber, found, offer, running = await offered(site)
    subscriber.pause(found[0].publication, True)
    answering = asyncio.create_task(subscriber.answer(offer.offer_id, answer_to(offer.sdp)))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await subscriber.close()
    outcome = (await asyncio.gather(answering, return_exceptions=True))[0]

    assert outcome is None or (isinstance(outcome, RemoteProtocolError) and outcome.code == "bad_message")
    assert (1, 2, 0) == taken(site)


async def test_an_answer_that_waits_while_its_connection_is_closed_is_quiet(site: Site) -> None:
    """
    It waits for what the connection is about to tell the worker; then its person is gone.
    """
    subscriber, _, offer, running = await offered(site)
    async with subscriber._lock:
        answering = asyncio.create_task(subscriber.answer(offer.offer_id, answer_to(offer.sdp)))
        await asyncio.sleep(0)
        running.cancel()
        closing = asyncio.create_task(subscriber.close())
        await asyncio.sleep(0)
    await closing
    await answering

    assert (1, 2, 0) == taken(site)


@pytest.mark.parametrize("how", ["closed", "lost"])
async def test_an_answer_to_a_connection_that_is_gone_is_refused(site: Site, how: str) -> None:
    """
    With the code of any answer that comes too late; the connection does not fail for it, and takes nothing.
    """
    subscriber, _, offer, running = await offered(site)
    states: list[str] = []
    subscriber._on_state = states.append
    running.cancel()
    if how == "closed":
        await subscriber.close()
    else:
        subscriber.transport.lost()
    with pytest.raises(RemoteProtocolError) as refused:
        await subscriber.answer(offer.offer_id, answer_to(offer.sdp))

    assert ("bad_message", []) == (refused.value.code, states)
    assert 0 == len(site.worker.senders)


async def test_an_answer_under_which_its_transport_is_lost_is_refused(site: Site) -> None:
    """
    That is told as a failed connection already; the answer is too late.
    """
    subscriber, _, offer, running = await offered(site)
    states: list[str] = []
    subscriber._on_state = states.append
    running.cancel()
    transport = subscriber.transport.id
    await site.worker.remove_transport(transport)  # as where its worker is gone
    answering = asyncio.create_task(subscriber.answer(offer.offer_id, answer_to(offer.sdp)))
    await asyncio.sleep(0)
    subscriber.transport.lost()
    with pytest.raises(RemoteProtocolError) as refused:
        await answering

    assert ("bad_message", []) == (refused.value.code, states)


async def test_whep_binds_an_admitted_connection(site: Site) -> None:
    """
    Sections are filled by the worker's leave: media does not cross the door of a waiting room.
    """
    publisher = publish_connection(site)
    audio, video = await sources(site, publisher)
    whep = WhepConnection(site, POLICY, participant=2, is_admitted=False)
    await whep.offer(offer_sdp("chromium_recvonly_data"))
    states: list[str] = []
    whep._on_state = states.append
    running = asyncio.ensure_future(whep.run())
    whep.want(audio)
    await until(lambda: states)
    await running
    await whep.transport.set_admitted(True)
    again = asyncio.ensure_future(whep.run())
    whep.want(video)
    await until(lambda: all(section.bound for section in whep.sections))
    again.cancel()

    assert ["failed"] == states
