"""Counting what came, what came twice and what never came."""

from __future__ import annotations

import random

import pytest

from telerelay.client.gaps import MAX_DROPOUT, GapCounter


@pytest.mark.parametrize(
    ("seqs", "received", "lost", "duplicates"),
    [
        ([], 0, 0, 0),
        ([7], 1, 0, 0),
        ([1, 2, 3], 3, 0, 0),
        ([1, 3], 2, 1, 0),
        ([1, 3, 2], 3, 0, 0),
        ([1, 3, 2, 2], 3, 0, 1),
        ([1, 1, 1], 1, 0, 2),
        ([65534, 65535, 0, 1], 4, 0, 0),
        ([65534, 1], 2, 2, 0),
        ([65535, 1, 0], 3, 0, 0),
        ([0, 65535], 2, 0, 0),
        ([5, 2], 2, 2, 0),
        ([5, 2, 3, 4, 4], 4, 0, 1),
    ],
)
def test_packets_are_counted_by_sequence_number(seqs: list[int], received: int, lost: int, duplicates: int) -> None:
    """
    Lost is what lies between the first and the highest number and never came, whatever the order and the rollover.
    """
    counter = GapCounter()
    for seq in seqs:
        counter.add(seq)

    assert (received, lost, duplicates) == (counter.received, counter.lost, counter.duplicates)


def test_a_jump_is_a_new_beginning_and_not_a_loss() -> None:
    """
    A jump beyond MAX_DROPOUT counts as a restart (RFC 3550, A.1); what was missing before it stays lost.
    """
    counter = GapCounter()
    for seq in (10, 12, 12 + MAX_DROPOUT + 1, 12 + MAX_DROPOUT + 2):
        counter.add(seq)

    assert (1, 1, 4) == (counter.restarts, counter.lost, counter.received)


def test_an_hour_of_packets_with_seeded_loss_is_counted_exactly() -> None:
    """
    200,000 packets over three rollovers, 1 % never sent on, neighbours swapped: the count of the lost is exact.
    """
    chance = random.Random(4)
    kept = [n for n in range(200_000) if n in (0, 199_999) or chance.random() >= 0.01]
    for n in range(1, len(kept) - 2, 7):
        kept[n], kept[n + 1] = kept[n + 1], kept[n]
    counter = GapCounter()
    for n in kept:
        assert counter.add(n & 0xFFFF)

    assert (len(kept), 200_000 - len(kept), 0, 0) == (
        counter.received,
        counter.lost,
        counter.duplicates,
        counter.restarts,
    )
