"""A worker of C as asyncio sees it: real thread, real rings, loopback only."""

import asyncio
import dataclasses
import socket
import time
from collections.abc import AsyncIterator

import pytest

from telerelay.allocator import Rung
from telerelay.dataplane import (
    Certificate,
    TransportStateChanged,
    Worker,
    WorkerEvent,
    WorkerSettings,
    make_certificate,
)
from telerelay.dataplane.stats import NO_LAYER, drop_names
from telerelay.dataplane.worker import ANY_LAYER
from telerelay.errors import LocalProtocolError, NativeError
from telerelay.protocol.parameters import (
    Codec,
    DtlsParameters,
    Encoding,
    Fingerprint,
    IceParameters,
    NegotiatedCodec,
    ReceiveParameters,
    RemoteTransport,
    SendParameters,
)

OPUS = NegotiatedCodec(Codec("opus", 48000, 2, feedback=frozenset({"transport-cc"})), pt=111)
VP8 = NegotiatedCodec(Codec("VP8", 90000, feedback=frozenset({"nack", "nack pli", "ccm fir"})), pt=96, rtx_pt=97)
PWD = "p" * 32


def remote(ufrag: str = "peer") -> RemoteTransport:
    dtls = DtlsParameters((Fingerprint("sha-256", bytes(range(32))),), "actpass")
    return RemoteTransport(IceParameters(ufrag, "q" * 24), dtls)


def receive(mid: str = "0", codec: NegotiatedCodec = VP8, kind: str = "video") -> ReceiveParameters:
    return ReceiveParameters(mid, kind, (codec,), (Encoding("", 1234, 0),), {0: 1})  # type: ignore[arg-type]


def send(mid: str = "0", ssrc: int = 42, codec: NegotiatedCodec = VP8, kind: str = "video") -> SendParameters:
    return SendParameters("key", mid, kind, ssrc, ssrc + 1, "cname", (codec,), {0: 1})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return make_certificate()


@pytest.fixture
async def worker(certificate: Certificate) -> AsyncIterator[Worker]:
    worker = Worker(WorkerSettings(index=3, binds=(("127.0.0.1", 0),), max_transports=8), certificate)
    await worker.start()
    yield worker
    await worker.stop()


async def new_transport(worker: Worker, *, room: int = 1, is_admitted: bool = True) -> int:
    transport = worker.transports.take()
    await worker.add_transport(
        transport=transport,
        room=room,
        participant=transport,
        is_admitted=is_admitted,
        ufrag=f"03{transport:012x}",
        pwd=PWD,
    )
    return transport


async def settled_stats(worker: Worker, name: str, least: int) -> int:
    """The counter once it has reached `least`: the worker publishes its counters some milliseconds late."""
    async with asyncio.timeout(5):
        while getattr(worker.stats(), name) < least:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    return int(getattr(worker.stats(), name))


async def test_a_certificate_has_a_sha256_fingerprint(certificate: Certificate) -> None:
    """
    32 bytes, another at each making; the key is not in its repr.
    """
    other = make_certificate()

    assert 32 == len(certificate.fingerprint)
    assert other.fingerprint != certificate.fingerprint
    assert "raw" not in repr(certificate)


async def test_a_forgotten_certificate_holds_no_key() -> None:
    """
    What is left of it is zeros.
    """
    from telerelay._native import ffi

    certificate = make_certificate()
    certificate.forget()

    assert bytes(512) == bytes(ffi.buffer(certificate.raw.key_pem))


async def test_a_worker_tells_the_port_the_kernel_chose(worker: Worker) -> None:
    """
    Port 0 becomes a real one, and a datagram sent there is counted.
    """
    (port,) = worker.ports
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"\x00" * 40, ("127.0.0.1", port))

    assert 1 == await settled_stats(worker, "rx_packets", 1)


async def test_each_drop_has_its_name(worker: Worker) -> None:
    """
    A byte of no known protocol moves `class`, media from a stranger `unknown_path`.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"\xff" * 40, ("127.0.0.1", worker.ports[0]))
        peer.sendto(b"\x80" * 40, ("127.0.0.1", worker.ports[0]))
    await settled_stats(worker, "rx_packets", 2)

    assert {"class": 1, "unknown_path": 1} == worker.stats().drops


def test_drop_names_are_distinct_words() -> None:
    """
    They are metric labels: each is there, none twice.
    """
    names = drop_names()

    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() and name.islower() for name in names)


async def test_a_port_in_use_is_one_precise_error(worker: Worker, certificate: Certificate) -> None:
    """
    The address, the port and the kernel's word are in it, and nothing runs.
    """
    second = Worker(WorkerSettings(index=0, binds=(("127.0.0.1", worker.ports[0]),)), certificate)

    with pytest.raises(NativeError, match=f"127.0.0.1 port {worker.ports[0]}: Address already in use"):
        await second.start()
    assert not second.is_running


async def test_transports_come_and_go(worker: Worker) -> None:
    """
    A transport that was added can be asked about until it is removed.
    """
    transport = await new_transport(worker)
    report = await worker.transport_stats(transport)
    await worker.remove_transport(transport)

    assert ("new", True, 0) == (report.transport.state, report.transport.is_admitted, report.transport.rx_packets)
    with pytest.raises(NativeError) as error:
        await worker.transport_stats(transport)
    assert "not_found" == error.value.code


async def test_a_fragment_is_taken_once(worker: Worker) -> None:
    """
    Two transports of one worker cannot have the same local fragment.
    """
    transport = await new_transport(worker)

    with pytest.raises(NativeError) as error:
        await worker.add_transport(
            transport=worker.transports.take(),
            room=1,
            participant=1,
            is_admitted=True,
            ufrag=f"03{transport:012x}",
            pwd=PWD,
        )
    assert "exists" == error.value.code


async def test_statistics_belong_to_the_one_who_asked(worker: Worker) -> None:
    """
    Reports of two transports asked for at once are not mixed.
    """
    first, second = await new_transport(worker), await new_transport(worker)
    await worker.set_remote(first, remote())
    receiver = worker.receivers.take()
    await worker.add_receiver(receiver, first, receive())
    sender = worker.senders.take()
    await worker.add_sender(sender, second, send())

    of_first, of_second = await asyncio.gather(worker.transport_stats(first), worker.transport_stats(second))

    assert (first, second) == (of_first.transport.transport, of_second.transport.transport)
    assert [receiver] == [each.receiver for each in of_first.receivers]
    assert [sender] == [each.sender for each in of_second.senders]
    assert () == of_first.senders == of_second.receivers


async def test_media_does_not_cross_rooms(worker: Worker) -> None:
    """
    Whatever control asks for, C refuses a sender across two rooms or across the waiting room's door.
    """
    here = await new_transport(worker, room=1)
    there = await new_transport(worker, room=2)
    waiting = await new_transport(worker, room=1, is_admitted=False)
    receiver = worker.receivers.take()
    await worker.add_receiver(receiver, here, receive())

    for transport in (there, waiting):
        sender = worker.senders.take()
        await worker.add_sender(sender, transport, send())
        with pytest.raises(NativeError) as error:
            await worker.bind_sender(sender, receiver, [96], [97])
        assert "forbidden" == error.value.code


async def test_an_estimate_is_asked_for_within_bounds_that_can_be(worker: Worker) -> None:
    """
    Before and after the first track, and again with others; refused are bounds that contradict each other, and a
    transport that is not there.
    """
    transport = await new_transport(worker)
    await worker.set_downlink(transport, start_bps=600_000, least_bps=50_000, most_bps=4_000_000)
    params = dataclasses.replace(send(), extensions={0: 1, 4: 3})
    await worker.add_sender(worker.senders.take(), transport, params)
    await worker.set_downlink(transport, start_bps=600_000, least_bps=50_000, most_bps=2_000_000)
    await worker.leave_downlink(transport)
    with pytest.raises(NativeError) as beyond:
        await worker.set_downlink(transport, start_bps=600_000, least_bps=50_000, most_bps=500_000)
    with pytest.raises(NativeError) as missing:
        await worker.leave_downlink(0x70007)

    assert ("argument", "not_found") == (beyond.value.code, missing.value.code)


async def test_a_ladder_is_set_for_a_transport_that_is_there(worker: Worker) -> None:
    """
    Before and after its tracks, and again with others; refused are costs that fall, too many rungs, and a transport
    that is not there. What arrives nowhere has no rates, and nothing is held back.
    """
    transport = await new_transport(worker)
    sender = worker.senders.take()
    await worker.set_ladder(transport, [Rung(sender, 50_000, is_paused=True), Rung(sender, 150_000)])
    await worker.add_sender(sender, transport, dataclasses.replace(send(), extensions={0: 1, 4: 3}))
    await worker.set_ladder(transport, [Rung(sender, 150_000, temporal=ANY_LAYER)])
    await worker.set_ladder(transport, [])
    refused = []
    for at, rungs in (
        (transport, [Rung(sender, 2), Rung(sender, 1)]),
        (transport, [Rung(sender, 1)] * 65),
        (0x70007, [Rung(sender, 1)]),
    ):
        with pytest.raises(NativeError) as error:
            await worker.set_ladder(at, rungs)
        refused.append(error.value.code)

    assert ["argument", "argument", "not_found"] == refused
    assert [] == await worker.rates()
    assert not (await worker.inventory()).senders[sender].is_held


async def test_a_sender_is_bound_within_its_room(worker: Worker) -> None:
    """
    Bound, paused, resumed, unbound and removed without complaint.
    """
    publisher, subscriber = await new_transport(worker), await new_transport(worker)
    receiver, sender = worker.receivers.take(), worker.senders.take()
    await worker.add_receiver(receiver, publisher, receive())
    await worker.add_sender(sender, subscriber, send())
    await worker.bind_sender(sender, receiver, [96], [97])
    bound = (await worker.transport_stats(subscriber)).senders[0].receiver
    await worker.pause_sender(sender, True)
    await worker.pause_sender(sender, False)
    await worker.request_keyframe(receiver)
    await worker.bind_sender(sender, 0)
    unbound = (await worker.transport_stats(subscriber)).senders[0].receiver
    await worker.remove_sender(sender)
    await worker.remove_receiver(receiver)

    assert (receiver, 0) == (bound, unbound)
    assert ((), ()) == (
        (await worker.transport_stats(publisher)).receivers,
        (await worker.transport_stats(subscriber)).senders,
    )


async def test_an_audio_receiver_may_have_no_declared_encoding(worker: Worker) -> None:
    """
    Its SSRC is then learned from the MID extension.
    """
    transport = await new_transport(worker)
    params = ReceiveParameters("a", "audio", (OPUS,), (), {0: 4, 3: 1})
    receiver = worker.receivers.take()
    await worker.add_receiver(receiver, transport, params)

    assert [receiver] == [each.receiver for each in (await worker.transport_stats(transport)).receivers]


async def test_many_commands_at_once_are_all_answered(worker: Worker) -> None:
    """
    A storm of commands keeps its order and loses no result.
    """
    transport = await new_transport(worker)
    reports = await asyncio.gather(*(worker.transport_stats(transport) for _ in range(300)))

    assert 300 == sum(report.transport.transport == transport for report in reports)


async def test_a_cancelled_caller_does_not_confuse_the_next(worker: Worker) -> None:
    """
    The result of a command whose caller has gone is thrown away, the next one's reaches it.
    """
    transport = await new_transport(worker)
    gone = asyncio.ensure_future(worker.transport_stats(transport))
    await asyncio.sleep(0)
    gone.cancel()

    assert transport == (await worker.transport_stats(transport)).transport.transport


async def test_events_reach_the_listener_of_their_transport(worker: Worker) -> None:
    """
    A listener hears of its transport alone; without one, `on_event` hears it.
    """
    heard: list[WorkerEvent] = []
    unheard: list[WorkerEvent] = []
    worker.on_event = unheard.append
    worker.listen(7, heard.append)
    from telerelay._native import ffi, lib

    body = ffi.new("tr_transport_changed *", {"transport": 7, "state": 2, "srtp_profile": 7})
    worker._on_record(lib.TR_EVENT_TRANSPORT_STATE, 0, ffi.cast("uint8_t *", body))
    worker.unlisten(7)
    worker._on_record(lib.TR_EVENT_TRANSPORT_STATE, 0, ffi.cast("uint8_t *", body))

    expected = TransportStateChanged(7, "connected", "AEAD_AES_128_GCM", "")
    assert [expected] == heard == unheard


async def test_a_stopped_worker_refuses(certificate: Certificate) -> None:
    """
    Stopping twice is harmless; commands after it are errors, not waits.
    """
    worker = Worker(WorkerSettings(index=0, binds=(("127.0.0.1", 0),)), certificate)
    await worker.start()
    await worker.stop()
    await worker.stop()

    with pytest.raises(NativeError) as error:
        await worker.remove_transport(1)
    assert "state" == error.value.code


async def test_a_blocked_loop_does_not_stop_the_worker(worker: Worker) -> None:
    """
    Datagrams are taken while Python's only thread does something else.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for _ in range(20):
            peer.sendto(b"\xff" * 40, ("127.0.0.1", worker.ports[0]))
        deadline = time.monotonic() + 5
        while worker.stats().rx_packets < 20 and time.monotonic() < deadline:
            pass  # holds the event loop, and the GIL most of the time

    assert 20 == worker.stats().rx_packets


async def test_counts_of_all_streams_come_in_pages(worker: Worker) -> None:
    """
    Every receiver and sender has one row, whatever transport it is on; more rows than fit one page are told in several.
    """
    for transport in range(1, 5):
        await worker.add_transport(
            transport=transport, room=1, participant=1, is_admitted=True, ufrag=f"counts{transport}", pwd=PWD
        )
        for each in range(12):
            number = transport * 100 + each
            params = dataclasses.replace(receive(mid=str(each)), encodings=(Encoding("", 1234 + each, 0),))
            await worker.add_receiver(number, transport, params)
        await worker.add_sender(transport * 100, transport, send(ssrc=5000))
    rows = await worker.counts()

    receivers = {transport * 100 + each for transport in range(1, 5) for each in range(12)}
    assert receivers == {row.id for row in rows if not row.is_sender}
    assert {100, 200, 300, 400} == {row.id for row in rows if row.is_sender}
    assert 52 == len(rows)
    assert {0} == {row.packets for row in rows}


async def test_what_was_seen_is_told_of_the_transports_asked_about(worker: Worker) -> None:
    """
    Each of their senders has one row, bound or not; more rows than a page, and more transports than a question, are
    told in several. Others, and what there is not, have none.
    """
    for transport in range(1, 5):
        await worker.add_transport(
            transport=transport, room=1, participant=1, is_admitted=True, ufrag=f"seen{transport}", pwd=PWD
        )
        for each in range(20):
            await worker.add_sender(transport * 100 + each, transport, send(mid=str(each), ssrc=5000 + 2 * each))
    await worker.add_receiver(7, 4, receive())
    await worker.bind_sender(100, 7, [96], [97])
    rows = await worker.seen([3, 77, 1, 2, *range(1000, 1100)])

    assert {100 * transport + each for transport in (1, 2, 3) for each in range(20)} == {row.sender for row in rows}
    assert 60 == len(rows)
    assert [(100, 7)] == [(row.sender, row.receiver) for row in rows if row.receiver]
    assert {(0, 0, 0, 0, 0)} == {(row.packets, row.frames, row.keyed_frames, row.height, row.reports) for row in rows}
    assert [] == await worker.seen([])


async def test_a_layer_is_wanted_of_a_sender_that_is_there(worker: Worker) -> None:
    """
    Whatever was wanted, nothing is forwarded of a receiver that nothing came for, and it has no layers.
    """
    publisher, subscriber = await new_transport(worker), await new_transport(worker)
    receiver, sender = worker.receivers.take(), worker.senders.take()
    await worker.add_receiver(receiver, publisher, receive())
    await worker.add_sender(sender, subscriber, send())
    await worker.bind_sender(sender, receiver, [96], [255])
    await worker.set_layer(sender, encoding=0, temporal=1)
    told = (await worker.transport_stats(subscriber)).senders[0]
    heard = (await worker.transport_stats(publisher)).receivers[0]

    assert (NO_LAYER, NO_LAYER, NO_LAYER) == (told.encoding, told.spatial, told.temporal)
    assert () == heard.layers
    with pytest.raises(NativeError) as error:
        await worker.set_layer(sender + 1)
    assert "not_found" == error.value.code


async def test_the_sound_of_a_sender_is_told_copies_and_a_packet_time(worker: Worker) -> None:
    """
    Up to two copies, rising, up to 16 packets back; up to 120 ms in one packet; of sound, and of a sender there is.
    """
    transport = await new_transport(worker)
    sound, picture = worker.senders.take(), worker.senders.take()
    await worker.add_sender(sound, transport, send("0", 42, OPUS, "audio"))
    await worker.add_sender(picture, transport, send("1", 52))
    for distances in ((), (1,), (3, 6), (15, 16)):
        await worker.set_redundancy(sound, distances)
    for ms in (0, 60, 120):
        await worker.set_packet_time(sound, ms)
    refused = {
        "argument": [
            worker.set_redundancy(sound, (3, 3)),
            worker.set_redundancy(sound, (6, 3)),
            worker.set_redundancy(sound, (0,)),
            worker.set_redundancy(sound, (1, 17)),
            worker.set_redundancy(picture, (1,)),
            worker.set_packet_time(sound, 121),
            worker.set_packet_time(picture, 60),
        ],
        "not_found": [worker.set_redundancy(picture + 1, (1,)), worker.set_packet_time(picture + 1, 60)],
    }

    for code, posted in refused.items():
        for each in posted:
            with pytest.raises(NativeError) as error:
                await each
            assert code == error.value.code
    with pytest.raises(LocalProtocolError):
        worker.set_redundancy(sound, (1, 2, 3))
