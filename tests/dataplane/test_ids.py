"""Ids of transports, receivers and senders."""

import pytest

from telerelay.dataplane.ids import MAX_INDEXES, RESTING, IdPool
from telerelay.errors import RemoteProtocolError


def index(taken: int) -> int:
    return taken & 0xFFFF


def generation(taken: int) -> int:
    return taken >> 16


def test_an_id_is_never_zero() -> None:
    """
    0 means "none" at the border, so even the first id of all has a generation.
    """
    assert IdPool(4).take() == 1 << 16


def test_every_index_is_handed_out_once() -> None:
    """
    A pool of n gives n different indexes below n.
    """
    pool = IdPool(5)

    assert {0, 1, 2, 3, 4} == {index(pool.take()) for _ in range(5)}
    assert 5 == len(pool)


def test_a_full_pool_refuses() -> None:
    """
    With every slot in use the relay is full, and says so with a stable code.
    """
    pool = IdPool(1)
    pool.take()

    with pytest.raises(RemoteProtocolError) as error:
        pool.take()
    assert "room_full" == error.value.code


def test_a_reused_index_has_another_generation() -> None:
    """
    A late command for the former tenant cannot reach the new one.
    """
    pool = IdPool(1)
    first = pool.take()
    pool.give_back(first)
    second = pool.take()

    assert index(first) == index(second)
    assert generation(first) + 1 == generation(second)


def test_the_index_free_for_longest_is_taken_first() -> None:
    """
    Freed indexes queue up behind those never used, as long as they are few.
    """
    pool = IdPool(3)
    a, b = pool.take(), pool.take()
    pool.give_back(b)
    pool.give_back(a)

    assert [2, index(b), index(a)] == [index(pool.take()) for _ in range(3)]


def test_joins_and_leaves_leave_nothing_behind() -> None:
    """
    However many come and go, no more indexes are used than were in use at once and those that rest.
    """
    pool = IdPool(MAX_INDEXES)
    for _ in range(10 * RESTING):
        three = [pool.take() for _ in range(3)]
        assert max(map(index, three)) < RESTING + 3
        for each in three:
            pool.give_back(each)


def test_a_freed_index_rests() -> None:
    """
    The next tenant of a slot comes only after RESTING others were freed.
    """
    pool = IdPool(MAX_INDEXES)
    first = pool.take()
    pool.give_back(first)
    later = []
    while index(first) not in later:
        taken = pool.take()
        later.append(index(taken))
        pool.give_back(taken)

    assert RESTING + 1 == len(later)


def test_giving_back_twice_changes_nothing() -> None:
    """
    An id that is not in use is not handed out twice.
    """
    pool = IdPool(2)
    taken = pool.take()
    pool.give_back(taken)
    pool.give_back(taken)

    assert index(pool.take()) != index(pool.take())
    assert 2 == len(pool)


def test_generations_wrap_past_zero() -> None:
    """
    After 65,535 tenants of one slot the generation is 1 again, never 0.
    """
    pool = IdPool(1)
    for _ in range(65535):
        pool.give_back(pool.take())

    assert 1 << 16 == pool.take()


@pytest.mark.parametrize("capacity", [0, MAX_INDEXES + 1])
def test_a_capacity_out_of_range_is_an_error(capacity: int) -> None:
    """
    An index has 16 bits.
    """
    with pytest.raises(ValueError, match="capacity"):
        IdPool(capacity)


def test_a_pool_goes_on_from_another_process() -> None:
    """
    What is in use stays in use; what is free below it comes under a generation that nothing in use has; then new ones.
    """
    pool = IdPool(6)
    pool.adopt([(1 << 16) | 0, (7 << 16) | 3])
    taken = [pool.take() for _ in range(4)]

    assert 6 == len(pool)
    assert [(1, 4), (1, 5), (8, 1), (8, 2)] == [(generation(each), index(each)) for each in taken]
    with pytest.raises(RemoteProtocolError):
        pool.take()
    pool.give_back((7 << 16) | 3)
    assert (8 << 16) | 3 == pool.take()


def test_a_pool_that_finds_nothing_begins_as_ever() -> None:
    """
    Whatever the worker had is gone.
    """
    pool = IdPool(4)
    pool.adopt([])
    assert 1 << 16 == pool.take()
