"""
Who comes and goes when: a profile and a seed make a list of steps, always the same one.

Pure. Times are seconds from the start. The runner only carries the list out; how late it was is in its report.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from telerelay.load.profiles import Profile, Timing

JOIN, LEAVE = "join", "leave"


@dataclass(frozen=True, slots=True)
class Person:
    """One participant of one room; `number` counts all of them, `publishes` those who send."""

    number: int
    room: int
    name: str
    publishes: bool


@dataclass(frozen=True, slots=True)
class Step:
    """At `at_s` this person joins or leaves."""

    at_s: float
    action: str
    person: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """
    The steps in time order. Counting begins at `measure_s` and ends at `end_s`; at each of `returns_s` all come back at
    once.
    """

    people: tuple[Person, ...]
    steps: tuple[Step, ...]
    measure_s: float
    end_s: float
    returns_s: tuple[float, ...] = ()


def people_of(profile: Profile) -> tuple[Person, ...]:
    """Everybody, room by room, publishers first."""
    shape = profile.shape
    found: list[Person] = []
    for room in range(shape.rooms):
        for index in range(shape.publishers + shape.viewers):
            publishes = index < shape.publishers
            found.append(Person(len(found), room, f"{'p' if publishes else 'v'}{index}", publishes))
    return tuple(found)


def make(profile: Profile, seed: int) -> Schedule:
    """The schedule of a profile; the same for the same seed."""
    timing = profile.timing
    people = people_of(profile)
    chance = random.Random(f"schedule {seed}")
    arrivals = _arrivals(timing, len(people), chance)
    is_surge = timing.arrival == "surge"
    # A surge is itself what is measured; all others are measured once everybody is there.
    measure_s = timing.warmup_s + (0.0 if is_surge else max(arrivals))
    end_s = measure_s + timing.duration_s
    steps = [Step(at_s, JOIN, person.number) for at_s, person in zip(arrivals, people, strict=True)]
    if timing.stay_s:
        for step in list(steps):
            steps += _comings_and_goings(step, timing, end_s, chance)
    returns: list[float] = []
    if timing.reconnect_every_s:
        at_s = measure_s + timing.reconnect_every_s
        while at_s < end_s - 1:
            returns.append(at_s)
            for person in people:
                steps += [Step(at_s, LEAVE, person.number), Step(at_s, JOIN, person.number)]
            at_s += timing.reconnect_every_s
    # Stable: at one moment a person leaves before he comes back, as the steps were made.
    steps.sort(key=lambda step: step.at_s)
    return Schedule(people, tuple(steps), measure_s, end_s, tuple(returns))


def _arrivals(timing: Timing, count: int, chance: random.Random) -> list[float]:
    match timing.arrival:
        case "at_once":
            return [0.0] * count
        case "surge":
            return _surge(timing, count, chance)
        case _:
            return [index / timing.joins_per_s for index in range(count)]


def _surge(timing: Timing, count: int, chance: random.Random) -> list[float]:
    """
    Arrivals over the whole duration. The rate grows exponentially, `surge_growth` times from start to end; within each
    slot half the people come in its first `slot_rush_s` seconds. A person's slot is that of his consult, so those who
    follow each other in the list (a room) come in one slot.
    """
    total_s = timing.duration_s
    edges = [slot * timing.slot_s for slot in range(math.ceil(total_s / timing.slot_s))] + [total_s]
    slots = list(pairwise(edges))
    weights = [_mass(begin, end, total_s, timing.surge_growth) for begin, end in slots]
    bounds = [sum(weights[: index + 1]) / sum(weights) for index in range(len(weights))]
    arrivals = []
    for index in range(count):
        # By place in the list, not by lot: how many come in a slot is the profile's affair, not the seed's.
        place = (index // 2 * 2 + 1) / max(1, count)
        begin, end = slots[next((slot for slot, bound in enumerate(bounds) if place <= bound), len(slots) - 1)]
        rush_end = min(end, begin + timing.slot_rush_s)
        is_early = index % 2 == 0 if rush_end < end else True
        low, high = (begin, rush_end) if is_early else (rush_end, end)
        arrivals.append(_draw(low, high, total_s, timing.surge_growth, chance.random()))
    return arrivals


def _mass(begin: float, end: float, total_s: float, growth: float) -> float:
    """How much of an exponential growth falls between two times."""
    if growth == 1:
        return end - begin
    rate = math.log(growth) / total_s
    return (math.exp(rate * end) - math.exp(rate * begin)) / rate


def _draw(low: float, high: float, total_s: float, growth: float, chance: float) -> float:
    """A time between two others, later ones likelier as the rate grows."""
    if growth == 1:
        return low + (high - low) * chance
    rate = math.log(growth) / total_s
    bottom, top = math.exp(rate * low), math.exp(rate * high)
    return math.log(bottom + (top - bottom) * chance) / rate


def _comings_and_goings(joined: Step, timing: Timing, end_s: float, chance: random.Random) -> Iterator[Step]:
    """A person's later steps: stays and absences, exponential as those of people who do not know of each other."""
    at_s = joined.at_s
    while True:
        at_s += chance.expovariate(1 / timing.stay_s)
        if at_s >= end_s:
            return
        yield Step(at_s, LEAVE, joined.person)
        at_s += chance.expovariate(1 / timing.away_s) if timing.away_s else 0.0
        if at_s >= end_s:
            return
        yield Step(at_s, JOIN, joined.person)
