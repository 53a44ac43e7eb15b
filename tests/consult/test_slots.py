"""
Times at a desk: of two who hold the same one, the first wins.
"""

from support.courses import START, Course, plan, refused
from telerelay.consult.slots import HOLD_S, Slots

SLOT = ("dr-7", START)


def test_of_two_holds_one_wins() -> None:
    """
    The other may hold another slot, or the same desk's next.
    """
    slots = Slots()
    slots.hold(START, SLOT, "ann")
    with refused("conflict"):
        slots.hold(START, SLOT, "ben")

    slots.hold(START, ("dr-7", START + 900), "ben")
    slots.hold(START, ("dr-8", START), "ben")


def test_a_hold_ends_by_itself_or_by_who_has_it() -> None:
    """
    And by nobody else; who asks again has it longer.
    """
    slots = Slots()
    slots.hold(START, SLOT, "ann")
    slots.hold(START + 100, SLOT, "ann")
    slots.release(SLOT, "ben")
    with refused("conflict"):
        slots.hold(START + HOLD_S + 99, SLOT, "ben")

    slots.hold(START + HOLD_S + 100, SLOT, "ben")
    slots.release(SLOT, "ben")
    slots.hold(START + HOLD_S + 101, SLOT, "cem")


def test_what_is_booked_is_nobodys_to_hold() -> None:
    """
    Not even for who had held it, until the consult has another time, or is over.
    """
    slots, course = Slots(), Course(START - 3600, queue="dr-7")
    slots.hold(START - 3600, SLOT, "ann")
    slots.see(course.consult.record)
    with refused("conflict"):
        slots.check(START - 3600, SLOT, "ann")

    course.do(course.consult.reschedule(START - 3600, START + 900, "host"))
    slots.see(course.consult.record)
    slots.check(START - 3600, SLOT, "ann")
    with refused("conflict"):
        slots.check(START - 3600, ("dr-7", START + 900), "ben")

    course.do(course.consult.cancel(START - 3600, "host"))
    slots.see(course.consult.record)
    slots.check(START - 3600, ("dr-7", START + 900), "ben")


def test_a_consult_without_a_desk_or_a_time_has_no_slot() -> None:
    """
    It stands in nobody's way.
    """
    slots = Slots()
    for changes in ({"queue": "dr-7", "starts_at": None}, {"queue": ""}):
        slots.see(Course(**changes).consult.record)

    slots.check(START, SLOT, "ann")
    slots.check(START, ("", START), "ann")


def test_a_time_is_booked_by_who_holds_it() -> None:
    """
    And is nobody else's from that moment on, though nothing is written down yet; what comes to nothing is free again.
    """
    slots, wanted = Slots(), plan(queue="dr-7")
    with refused("conflict"):
        slots.book(START, wanted, "ann")
    slots.hold(START, SLOT, "ann")
    with refused("conflict"):
        slots.book(START, wanted, "ben")
    assert SLOT == slots.book(START, wanted, "ann")
    with refused("conflict"):
        slots.hold(START, SLOT, "ann")
    slots.unbook(SLOT, "c1")
    slots.hold(START, SLOT, "ben")
    with refused("bad_message"):
        slots.book(START, plan(), "ben")


def test_what_is_written_down_is_not_unbooked() -> None:
    """
    A move that is refused leaves the time from before.
    """
    slots, course = Slots(), Course(START - 3600, queue="dr-7")
    slots.see(course.consult.record)
    later = ("dr-7", START + 900)
    assert later == slots.take(START, plan(queue="dr-7", starts_at=START + 900), "ann")
    slots.unbook(later, "c1")
    slots.unbook(SLOT, "c1")
    slots.hold(START, later, "ben")
    with refused("conflict"):
        slots.hold(START, SLOT, "ben")
