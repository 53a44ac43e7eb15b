"""
Who comes and goes when: the same for the same seed, and as the profile says.
"""

from itertools import pairwise

import pytest

from telerelay.load.profiles import PROFILES, Profile, with_values
from telerelay.load.schedule import JOIN, LEAVE, Schedule, make


def profile(name: str, **timing: object) -> Profile:
    return with_values(PROFILES[name], {"timing": timing})


def joins(schedule: Schedule) -> list[float]:
    return [step.at_s for step in schedule.steps if step.action == JOIN]


@pytest.mark.parametrize("name", ["consult", "surge", "churn", "reconnect"])
def test_the_same_seed_makes_the_same_schedule(name: str) -> None:
    """
    And steps are in order of time.
    """
    first, again = make(PROFILES[name], 7), make(PROFILES[name], 7)

    assert first == again
    assert [step.at_s for step in first.steps] == sorted(step.at_s for step in first.steps)


def test_another_seed_makes_another_surge() -> None:
    """
    Of the same size.
    """
    one, two = make(PROFILES["surge"], 1), make(PROFILES["surge"], 2)

    assert one != two
    assert len(one.steps) == len(two.steps) == 262


def test_a_ramp_joins_at_its_rate_and_is_measured_once_all_are_there() -> None:
    """
    Twenty people at ten a second, then the warm-up.
    """
    schedule = make(profile("consult", joins_per_s=10, warmup_s=2, duration_s=5), 1)

    assert [index / 10 for index in range(20)] == joins(schedule)
    assert (3.9, 8.9) == (schedule.measure_s, schedule.end_s)


def test_a_surge_grows_fifty_times_and_half_of_each_slot_comes_early() -> None:
    """
    R01: 131 consults in ten minutes, each slot's first half within two minutes, all of it measured.
    """
    schedule = make(PROFILES["surge"], 3)
    times = joins(schedule)

    assert (0.0, 600.0) == (schedule.measure_s, schedule.end_s)
    assert 262 == len(times)
    for begin, end in pairwise([0, 300, 600]):
        slot = [at_s for at_s in times if begin <= at_s < end]
        early = sum(at_s < begin + 120 for at_s in slot)
        assert abs(early - len(slot) / 2) <= 1
    # A rate that grows e^kt by fifty has 7.07 times as many people in the second half as in the first.
    first, second = sum(at_s < 300 for at_s in times), sum(at_s >= 300 for at_s in times)
    assert 6.5 <= second / first <= 7.7


def test_both_of_a_consult_come_in_the_same_slot() -> None:
    """
    Nobody waits five minutes for the doctor.
    """
    schedule = make(PROFILES["surge"], 4)
    slots: dict[int, set[int]] = {}
    for step in schedule.steps:
        slots.setdefault(schedule.people[step.person].room, set()).add(int(step.at_s // 300))

    assert {1} == {len(each) for each in slots.values()}


def test_people_of_a_churn_leave_and_come_back_in_turn() -> None:
    """
    Each person's steps alternate and begin with a join; stays are as long on average as the profile says.
    """
    schedule = make(profile("churn", stay_s=10, away_s=2, duration_s=2000), 5)
    by_person: dict[int, list[tuple[float, str]]] = {}
    for step in schedule.steps:
        by_person.setdefault(step.person, []).append((step.at_s, step.action))
    stays = [
        after[0] - before[0] for each in by_person.values() for before, after in pairwise(each) if before[1] == JOIN
    ]

    for each in by_person.values():
        assert [JOIN, LEAVE] * (len(each) // 2) + [JOIN] * (len(each) % 2) == [action for _, action in each]
    assert 9 <= sum(stays) / len(stays) <= 11


def test_all_leave_and_come_back_in_the_same_moment() -> None:
    """
    Everybody leaves before he joins again, at each return.
    """
    schedule = make(profile("reconnect", reconnect_every_s=10, duration_s=25, warmup_s=1), 1)
    at_s = schedule.returns_s[0]
    here = [step for step in schedule.steps if step.at_s == at_s]

    assert (schedule.measure_s + 10, schedule.measure_s + 20) == schedule.returns_s
    assert 2 * PROFILES["reconnect"].people == len(here)
    assert [LEAVE, JOIN] == [step.action for step in here if step.person == 0]


def test_publishers_come_first_in_a_webinar() -> None:
    """
    One sends, fifty receive.
    """
    people = make(PROFILES["webinar"], 1).people

    assert [True] + [False] * 50 == [person.publishes for person in people]
