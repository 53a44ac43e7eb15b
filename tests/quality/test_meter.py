"""From running counters to what happened in between."""

from telerelay.dataplane.counts import WRAP, Count
from telerelay.quality import Meter


def count(id: int = 5, *, is_sender: int = 0, **rest: int) -> Count:
    fields = dict.fromkeys(Count._fields, 0) | {"id": id, "is_sender": is_sender, "is_active": 1} | rest
    return Count(**fields)


def meter_of(*looks: list[Count]) -> Meter:
    """Looked at every two seconds."""
    meter = Meter()
    for index, rows in enumerate(looks):
        meter.take(100 + 2 * index, rows)
    return meter


def test_one_look_says_nothing_and_two_say_the_difference() -> None:
    """
    A stream that was just seen for the first time has no past; then packets, bytes and losses are those since.
    """
    before, now = count(packets=100, bytes=10_000, lost=2, gaps=1), count(packets=196, bytes=22_000, lost=6, gaps=3)
    stream = meter_of([before], [now]).receiver(5)

    assert meter_of([before]).receiver(5) is None
    assert stream is not None
    assert (96, 12_000, 4, 2) == (stream.packets, stream.bytes, stream.lost, stream.gaps)
    assert 48_000 == stream.rate_bps
    assert 0.04 == stream.loss


def test_counters_run_over() -> None:
    """
    They are told modulo 2^32.
    """
    stream = meter_of([count(packets=WRAP - 10, bytes=WRAP - 100)], [count(packets=90, bytes=900)]).receiver(5)

    assert stream is not None
    assert (100, 1000) == (stream.packets, stream.bytes)


def test_what_came_late_after_all_is_no_loss() -> None:
    """
    The count of lost packets may go back.
    """
    stream = meter_of([count(packets=100, lost=9)], [count(packets=200, lost=5)]).receiver(5)

    assert stream is not None
    assert 0.0 == stream.loss


def test_silence_is_where_something_was() -> None:
    """
    A stream that never began is not silent; one that stopped is.
    """
    never, stopped = [count(packets=0)] * 2, [count(packets=50)] * 2

    for rows, is_silent in ((never, False), (stopped, True)):
        stream = meter_of([rows[0]], [rows[1]]).receiver(5)
        assert stream is not None
        assert is_silent == stream.is_silent


def test_bursts_and_redundancy() -> None:
    """
    12 lost in 4 gaps are bursts of three; where each packet repeats the one before, the last of each run is there.
    """
    stream = meter_of([count(packets=0)], [count(packets=88, lost=12, gaps=4)]).receiver(5)

    assert stream is not None
    assert 3 * 0.88 == stream.burst_ratio
    assert 0.08 == stream.residual_loss


def test_a_receiver_and_a_sender_may_have_one_number() -> None:
    """
    Their ids are counted apart.
    """
    rows = [count(5, packets=1), count(5, is_sender=1, packets=7)]
    later = [count(5, packets=11), count(5, is_sender=1, packets=27)]
    meter = meter_of(rows, later)
    receiver, sender = meter.receiver(5), meter.sender(5)

    assert receiver is not None
    assert sender is not None
    assert (10, 20) == (receiver.packets, sender.packets)


def test_another_encoding_has_other_counters() -> None:
    """
    Of a simulcast publisher the best encoding is counted; where that is another than before, nothing is known yet.
    """
    meter = meter_of([count(encoding=2, packets=500)], [count(encoding=1, packets=90)])

    assert meter.receiver(5) is None


def test_fine_is_what_flows_and_loses_nothing() -> None:
    """
    One that stands still, lost a packet, is told of losses, has another encoding or was not there before is not.
    """
    before = count(packets=100, lost=3)
    others = [
        before,
        count(packets=200, lost=4),
        count(packets=200, lost=3, fraction_lost=1),
        count(packets=200, lost=3, encoding=1),
    ]

    fine = meter_of([before], [count(packets=200, lost=3)])
    assert count(packets=200, lost=3) == fine.fine_receiver(5)
    assert fine.fine_sender(5) is None
    assert [] == [each for each in others if meter_of([before], [each]).fine_receiver(5)]
    assert meter_of([count(packets=200)]).fine_receiver(5) is None
    assert meter_of([count(packets=0)], [count(packets=200)]).fine_receiver(5) is None


def test_the_rate_of_what_is_fine_is_that_of_the_whole() -> None:
    """
    Both ways of asking give one figure.
    """
    meter = meter_of([count(packets=1, bytes=WRAP - 1000)], [count(packets=9, bytes=99_000)])
    stream = meter.receiver(5)

    assert stream is not None
    assert 400_000 == meter.rate_bps(5) == stream.rate_bps
