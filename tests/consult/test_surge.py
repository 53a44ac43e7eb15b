"""
Room for calls, counted in packets: who has it keeps it, who has none stands in line.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from telerelay.consult.surge import PACKETS_PER_S, Holding, Surge

NOW = 1_700_000_000.0


def surge_of(calls: float, reserve: float = 0.0) -> Surge:
    """With room for so many."""
    return Surge(calls * PACKETS_PER_S, reserve)


def test_there_is_room_up_to_the_capacity_and_a_place_in_line_after_that() -> None:
    """
    131 calls, the peak day's, are 47,291 packets a second.
    """
    surge = Surge(47_300, reserve=0)
    asked = [surge.ask(NOW + number, f"c{number}", False) for number in range(133)]

    assert [0] * 131 + [1, 2] == asked
    assert 47_291 == surge.used_packets_per_s


def test_without_a_capacity_there_is_always_room() -> None:
    """
    Zero is none.
    """
    assert {0} == {Surge(0).ask(NOW, f"c{number}", False) for number in range(10)}


def test_positions_fall_in_order() -> None:
    """
    As room is made, and by who leaves the line.
    """
    surge = surge_of(2)
    for number, name in enumerate("abcdef"):
        surge.ask(NOW + number, name, False)
    assert {"c": 1, "d": 2, "e": 3, "f": 4} == positions(surge)

    assert ("c",) == surge.finish("a")
    assert {"d": 1, "e": 2, "f": 3} == positions(surge)
    assert () == surge.finish("e")
    assert {"d": 1, "f": 2} == positions(surge)


def positions(surge: Surge) -> dict[str, int]:
    return {each.consult: surge.position(each.consult) for each in surge.line()}


def test_who_asks_again_keeps_the_place() -> None:
    """
    Or has the room it has.
    """
    surge = surge_of(1)
    surge.ask(NOW, "a", False)
    surge.ask(NOW + 1, "b", False)
    surge.ask(NOW + 2, "c", False)

    assert [0, 1, 2] == [surge.ask(NOW + 9, name, False) for name in "abc"]


def test_emergencies_have_the_reserve_to_themselves() -> None:
    """
    Routine calls end where it begins; an emergency never takes a routine call's room away.
    """
    surge = surge_of(10, 0.2)
    routine = [surge.ask(NOW, f"r{number}", False) for number in range(10)]
    urgent = [surge.ask(NOW, f"u{number}", True) for number in range(3)]

    assert [0] * 8 + [1, 2] == routine
    assert [0, 0, 1] == urgent
    assert 10 == len(surge.running)


def test_an_emergency_beyond_the_reserve_is_first_in_line() -> None:
    """
    Before all who came earlier.
    """
    surge = surge_of(1)
    surge.ask(NOW, "a", False)
    surge.ask(NOW + 1, "b", False)
    surge.ask(NOW + 2, "u", True)

    assert {"u": 1, "b": 2} == positions(surge)
    assert ("u",) == surge.finish("a")


def test_who_becomes_an_emergency_in_line_is_let_in() -> None:
    """
    Where the reserve has room.
    """
    surge = surge_of(10, 0.1)
    for number in range(10):
        surge.ask(NOW, f"r{number}", False)

    assert ("r9",) == surge.set_priority("r9", True)


def test_running_calls_are_never_touched() -> None:
    """
    Not by less capacity, nor by what they turn out to cost.
    """
    surge = surge_of(4)
    for name in "abcde":
        surge.ask(NOW, name, False)
    surge.set_capacity(PACKETS_PER_S)
    surge.measure("a", 5000)
    assert {"a", "b", "c", "d"} == surge.running

    surge.measure("a", PACKETS_PER_S)
    assert ("e",) == surge.set_capacity(5 * PACKETS_PER_S)


def test_a_call_that_costs_less_makes_room() -> None:
    """
    What is measured counts from then on.
    """
    surge = surge_of(1)
    surge.ask(NOW, "a", False)
    surge.ask(NOW, "b", False)

    assert () == surge.measure("a", 10)
    surge.set_capacity(PACKETS_PER_S + 10)
    assert frozenset("ab") == surge.running


def test_another_process_has_the_same_room_and_line() -> None:
    """
    Who had room has it, though there may be less of it now.
    """
    surge = surge_of(1)

    assert () == surge.restore([("a", False), ("b", False)], [Holding("d", NOW + 1, False), Holding("c", NOW, False)])
    assert ({"a", "b"}, {"c": 1, "d": 2}) == (set(surge.running), positions(surge))
    assert () == surge.finish("a")
    assert ("c",) == surge.finish("b")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["ask", "finish", "priority"]), st.integers(0, 12), st.booleans()), max_size=60),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.2, 0.5]),
)
def test_whatever_happens(steps: list[tuple[str, int, bool]], calls: int, reserve: float) -> None:
    """
    Nobody overtakes, who has room keeps it, and no more is given than there is.
    """
    surge = surge_of(calls, reserve)
    now = NOW
    for what, number, is_urgent in steps:
        now += 1
        name = f"c{number}"
        running, line = surge.running, [each.consult for each in surge.line()]
        match what:
            case "ask":
                surge.ask(now, name, is_urgent)
            case "finish":
                came = surge.finish(name)
                assert [each for each in line if each != name][: len(came)] == list(came)
            case "priority":
                surge.set_priority(name, is_urgent)
        left = {name} if what == "finish" else set()
        assert running - left <= surge.running
        assert surge.used_packets_per_s <= calls * PACKETS_PER_S
        assert [each.rank for each in surge.line()] == sorted(each.rank for each in surge.line())
        assert not surge.running & {each.consult for each in surge.line()}
