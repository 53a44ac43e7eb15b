"""
Who waits at whose desk, in which order, and who is handed out to whom.
"""

import random

from support.courses import START, Course, refused
from telerelay.consult.consult import Consult
from telerelay.consult.waiting import WaitingQueue


class Desk:
    """Consults at one queue, and the queue that sees each change of them."""

    def __init__(self) -> None:
        self.queue = WaitingQueue()
        self.courses: dict[str, Course] = {}

    def patient(self, name: str, at: float, *, is_emergency: bool = False, queue: str = "desk") -> Course:
        course = Course(consult=name, queue=queue, starts_at=None, is_emergency=is_emergency)
        self.courses[name] = course
        self.do(name, course.consult.arrive(at, f"pat-{name}", "patient", "socket"))
        return course

    def do(self, name: str, facts: object) -> None:
        self.courses[name].do(facts)  # type: ignore[arg-type]
        self.queue.see(self.courses[name].consult.record)

    def consult(self, name: str) -> Consult:
        return self.courses[name].consult

    def line(self, queue: str = "desk") -> list[str]:
        return [each.consult for each in self.queue.line(queue)]

    def positions(self) -> dict[str, int]:
        return {name: self.queue.position(name) for name in self.courses}

    def take(self, by: str, at: float = START + 100) -> str:
        name = self.queue.take("desk", by)
        self.do(name, self.consult(name).take(at, by))
        return name


def test_emergencies_are_first_and_then_who_came_first() -> None:
    """
    At this desk, and not at another.
    """
    desk = Desk()
    desk.patient("b", START + 2)
    desk.patient("a", START + 1)
    desk.patient("c", START + 3, is_emergency=True)
    desk.patient("d", START, queue="another")

    assert ["c", "a", "b"] == desk.line()
    assert {"c": 1, "a": 2, "b": 3, "d": 1} == desk.positions()


def test_who_becomes_urgent_moves_up() -> None:
    """
    And down again, to where it was.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.patient("b", START + 1)
    desk.do("b", desk.consult("b").set_priority(START + 2, True, "host", is_host=True))
    assert ["b", "a"] == desk.line()

    desk.do("b", desk.consult("b").set_priority(START + 3, False, "host", is_host=True))
    assert ["a", "b"] == desk.line()


def test_whoever_leaves_moves_the_others_up() -> None:
    """
    As does one who is let in, or whose consult is over.
    """
    desk = Desk()
    for number, name in enumerate("abcd"):
        desk.patient(name, START + number)
    desk.do("a", desk.consult("a").leave(START + 10, "pat-a"))
    assert {"a": 0, "b": 1, "c": 2, "d": 3} == desk.positions()

    desk.do("b", desk.consult("b").admit(START + 11, "pat-b", "host", is_host=True))
    desk.do("c", desk.consult("c").cancel(START + 12, "host"))
    assert {"a": 0, "b": 0, "c": 0, "d": 1} == desk.positions()


def test_who_is_lost_keeps_the_place() -> None:
    """
    As long as the seat.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.patient("b", START + 1)
    desk.do("a", desk.consult("a").lose(START + 2, "pat-a", "socket"))
    assert ["a", "b"] == desk.line()

    desk.do("a", desk.consult("a").tick(START + 122))
    assert ["b"] == desk.line()


def test_a_companion_does_not_stand_in_line_twice() -> None:
    """
    A consult does, once, with all who wait for it.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.do("a", desk.consult("a").arrive(START + 1, "com", "companion", "socket"))
    desk.patient("b", START + 2)

    assert [("pat-a", "com"), ("pat-b",)] == [each.subs for each in desk.queue.line("desk")]


def test_who_is_held_for_lack_of_room_is_not_handed_out() -> None:
    """
    Until there is room.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.do("a", desk.consult("a").hold(START, "pat-a", 1))
    with refused("not_found"):
        desk.queue.take("desk", "doc")

    desk.do("a", desk.consult("a").release(START + 1, "pat-a"))
    assert "a" == desk.take("doc")


def test_a_doctor_has_one_patient_at_a_time() -> None:
    """
    Two tabs of one doctor, two doctors at once: one consult each, until it is over.
    """
    desk = Desk()
    for number, name in enumerate("abc"):
        desk.patient(name, START + number)
    assert "a" == desk.queue.take("desk", "doc")
    with refused("busy"):
        desk.queue.take("desk", "doc")
    assert "b" == desk.queue.take("desk", "rem")

    desk.do("a", desk.consult("a").take(START + 5, "doc"))
    desk.do("a", desk.consult("a").arrive(START + 6, "doc", "practitioner", "socket"))
    with refused("busy"):
        desk.queue.take("desk", "doc")
    desk.do("a", desk.consult("a").end(START + 7, "doc"))
    assert "c" == desk.queue.take("desk", "doc")


def test_a_record_from_before_takes_nothing_back() -> None:
    """
    Facts become durable one after the other: what was handed out stays so until its own fact is seen.
    """
    desk = Desk()
    for number, name in enumerate("abc"):
        desk.patient(name, START + number)
    before = desk.consult("a").record
    assert "a" == desk.queue.take("desk", "doc")
    desk.courses["a"].do(desk.consult("a").take(START + 5, "doc"))
    desk.queue.see(before)
    with refused("busy"):
        desk.queue.take("desk", "doc")
    assert "b" == desk.queue.take("desk", "rem")

    desk.queue.see(desk.consult("a").record)
    desk.do("a", desk.consult("a").give_back(START + 6, "doc"))
    assert "a" == desk.queue.take("desk", "doc")


def test_what_could_not_be_taken_is_handed_out_to_nobody() -> None:
    """
    The record says why: here its patient went meanwhile.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.queue.take("desk", "doc")
    desk.courses["a"].do(desk.consult("a").leave(START + 1, "pat-a"))
    with refused("conflict"):
        desk.consult("a").take(START + 1, "doc")
    desk.queue.see(desk.consult("a").record)

    assert () == desk.queue.consults_of("doc")
    assert [] == desk.line()


def test_a_doctor_who_is_in_a_consult_is_handed_none() -> None:
    """
    However the doctor came in, and at whichever desk.
    """
    desk = Desk()
    desk.patient("a", START, queue="another")
    desk.patient("b", START)
    desk.do("a", desk.consult("a").arrive(START, "doc", "practitioner", "socket"))

    with refused("busy"):
        desk.queue.take("desk", "doc")
    assert ("a",) == desk.queue.consults_of("doc")


def test_a_consult_whose_doctor_is_there_is_handed_to_nobody() -> None:
    """
    Its patient waits for that one, and has a place all the same.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.do("a", desk.consult("a").arrive(START, "doc", "practitioner", "socket"))

    assert 1 == desk.queue.position("a")
    with refused("not_found"):
        desk.queue.take("desk", "rem")
    with refused("conflict"):
        desk.consult("a").take(START, "rem")


def test_a_patient_who_was_not_fetched_is_first_again() -> None:
    """
    A minute later, at the place that the time of coming gives.
    """
    desk = Desk()
    desk.patient("a", START)
    desk.patient("b", START + 1)
    desk.take("doc")
    desk.do("a", desk.consult("a").tick(START + 160))

    assert "a" == desk.take("rem", START + 161)
    assert "b" == desk.take("doc", START + 161)


def test_another_process_sees_the_same_queue() -> None:
    """
    From the records alone.
    """
    desk = Desk()
    for number, name in enumerate("abcd"):
        desk.patient(name, START + number)
    desk.take("doc")
    again = WaitingQueue()
    for name in reversed(desk.courses):
        again.see(desk.courses[name].read_again().record)

    assert desk.queue.line("desk") == again.line("desk")
    assert ("a",) == again.consults_of("doc")


def test_two_hundred_patients_and_twenty_doctors() -> None:
    """
    In whatever order they ask: nobody is seen twice, no doctor has two, and of those in line the first is always next.
    """
    desk, chance = Desk(), random.Random(7)
    for number in range(200):
        desk.patient(f"p{number:03}", START + number / 10, is_emergency=number % 17 == 0)
    has: dict[str, str] = {}
    seen: list[str] = []
    while len(seen) < 200 or has:
        doctor = f"doc-{chance.randrange(20)}"
        line = [each.consult for each in desk.queue.line("desk") if each.is_free]
        if doctor in has and chance.random() < 0.5:
            name = has.pop(doctor)
            desk.do(name, desk.consult(name).end(START + 1000, "host", is_host=True))
        elif doctor in has:
            with refused("busy"):
                desk.queue.take("desk", doctor)
        elif line:
            has[doctor] = desk.take(doctor)
            assert line[0] == has[doctor]
            seen.append(has[doctor])
        assert all((has[each],) == desk.queue.consults_of(each) for each in has)

    assert 200 == len(set(seen))
