"""
What is due by itself: when, once, and also where nothing ran at the time.
"""

import pytest

from support.courses import START, Course, refused
from telerelay.consult import states
from telerelay.consult.effects import TellTimer
from telerelay.consult.facts import NoShow, Returned, TimerFired
from telerelay.consult.timers import CLOSE, EMPTY, NO_SHOW, OVERRUN, SEAT, TAKE, Timer, timers_of


def names(course: Course) -> list[tuple[str, float]]:
    return [(timer.name, timer.due_at - START) for timer in timers_of(course.consult.record)]


def course_at(point: str) -> Course:
    course = Course(overrun_after_s=1200)
    match point:
        case "a patient waits":
            course.waiting()
        case "a doctor waits":
            course.attended()
        case "the patient went again":
            course.waiting()
            course.do(course.consult.leave(START + 5, "pat"))
        case "admitted":
            course.admitted()
        case "in progress":
            course.in_progress()
        case "lost":
            course.in_progress()
            course.do(course.consult.lose(START + 7, "pat", "transport"))
        case "all went":
            course.in_progress()
            course.do(course.consult.leave(START + 7, "pat"))
            course.do(course.consult.leave(START + 8, "doc"))
        case "taken":
            course.waiting()
            course.do(course.consult.take(START + 3, "doc"))
        case "ended":
            course.in_progress()
            course.do(course.consult.end(START, "doc"))
        case "cancelled":
            course.do(course.consult.cancel(START, "host"))
    return course


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("scheduled", [(NO_SHOW, 600), (CLOSE, 1800)]),
        ("a patient waits", []),
        ("a doctor waits", [(NO_SHOW, 600)]),
        ("the patient went again", [(CLOSE, 1800)]),
        ("admitted", []),
        ("in progress", [(OVERRUN, 1200)]),
        ("lost", [(SEAT, 127), (OVERRUN, 1200)]),
        ("all went", [(EMPTY, 128), (OVERRUN, 1200)]),
        ("taken", [(TAKE, 63)]),
        ("ended", []),
        ("cancelled", []),
    ],
)
def test_which_timers_run(point: str, expected: list[tuple[str, float]]) -> None:
    """
    Seconds after the start.
    """
    assert expected == names(course_at(point))


def test_a_consult_without_a_start_closes_if_nobody_comes() -> None:
    """
    As long after it was made as another after its start.
    """
    course = Course(starts_at=None)

    assert [(CLOSE, 1800.0)] == names(course)
    assert ["timer_fired", "no_show", "closed"] == course.do(course.consult.tick(START + 1800))


def test_nobody_came_is_told_once_at_ten_minutes() -> None:
    """
    However often it is asked.
    """
    course = Course()
    assert [] == course.do(course.consult.tick(START + 599.9))
    for second in range(600, 1800, 60):
        course.do(course.consult.tick(START + second))

    assert [TimerFired(START + 600, NO_SHOW, START + 600), NoShow(START + 600, "patient_side")] == course.facts[1:]
    assert states.NO_SHOW == course.state


def test_what_fell_due_while_nothing_ran_is_told_once_with_its_time() -> None:
    """
    By the process that comes next, be it hours later, and by none after that.
    """
    course = Course()
    course.do(course.consult.set_timer(START, "reminder", START + 300, "host"))
    course.restart(START + 1000)
    for hours in (1, 2, 3):
        course.restart(START + 3600 * hours)

    fired = [fact for fact in course.facts if isinstance(fact, TimerFired)]
    assert [
        TimerFired(START + 1000, "reminder", START + 300),
        TimerFired(START + 1000, NO_SHOW, START + 600),
        TimerFired(START + 3600, CLOSE, START + 1800),
    ] == fired


def test_what_was_not_written_down_has_not_happened() -> None:
    """
    A process that dies between the due time and the disk leaves it to the next one.
    """
    course = Course()
    course.consult.apply(*course.consult.tick(START + 600))  # and killed before it was durable
    course.restart(START + 601)

    assert 1 == course.kinds.count("no_show")


def test_seats_are_kept_anew_by_a_process_that_comes_back() -> None:
    """
    Nobody could come back while there was none.
    """
    course = Course().in_progress()
    course.do(course.consult.lose(START + 10, "pat", "socket"))
    course.restart(START + 500)
    course.do(course.consult.tick(START + 619))
    assert course.consult.is_admitted("pat", "patient")

    course.do(course.consult.tick(START + 620))
    assert not course.consult.is_admitted("pat", "patient")


def test_an_overrun_is_told_and_ends_nothing() -> None:
    """
    Once, also of a call that is interrupted then.
    """
    course = Course(overrun_after_s=1200).in_progress()
    course.do(course.consult.lose(START + 1199, "pat", "camera"))
    course.do(course.consult.tick(START + 1200))
    course.do(course.consult.tick(START + 5000))

    assert [TellTimer(OVERRUN, START + 1200)] == [each for each in course.effects if isinstance(each, TellTimer)]
    assert states.INTERRUPTED == course.state


def test_timers_fire_in_the_order_they_were_due() -> None:
    """
    Whichever way they were set.
    """
    course = Course()
    for name, due in (("late", 50), ("early", 10), ("middle", 30)):
        course.do(course.consult.set_timer(START, name, START + due, "host"))
    course.do(course.consult.tick(START + 60))

    assert ["early", "middle", "late"] == [each.timer for each in course.facts if isinstance(each, TimerFired)]


def test_a_hosts_timer_can_be_moved_and_cleared() -> None:
    """
    And has no name of the consult's own.
    """
    course = Course()
    course.do(course.consult.set_timer(START, "reminder", START + 10, "host"))
    course.do(course.consult.set_timer(START, "reminder", START + 20, "host"))
    assert [] == course.do(course.consult.tick(START + 19))
    assert ["timer_cleared"] == course.do(course.consult.clear_timer(START + 19, "reminder"))
    assert [] == course.do(course.consult.clear_timer(START + 19, "reminder"))
    assert [] == course.do(course.consult.tick(START + 21))

    with refused("bad_timer"):
        course.consult.set_timer(START, SEAT, START + 1, "host")
    with refused("bad_timer"):
        course.consult.set_timer(START, "never", float("inf"), "host")


@pytest.mark.parametrize("has_fired", [False, True])
def test_a_timer_that_is_said_twice_is_one(has_fired: bool) -> None:
    """
    A host that had no answer says it again, before it is due or after; another time is another timer.
    """
    course = Course()
    course.waiting()
    course.do(course.consult.set_timer(START + 4, "own", START + 10, "host"))
    if has_fired:
        course.do(course.consult.tick(START + 11))

    assert () == course.consult.set_timer(START + 12, "own", START + 10, "host")
    assert 1 == len(course.consult.set_timer(START + 12, "own", START + 20, "host"))


def test_a_consult_has_no_more_timers_than_it_may_have() -> None:
    """
    One that is moved is not another.
    """
    course = Course()
    for number in range(16):
        course.do(course.consult.set_timer(START, f"t{number}", START + 10, "host"))
    course.do(course.consult.set_timer(START, "t1", START + 20, "host"))

    with refused("too_many_requests"):
        course.consult.set_timer(START, "t16", START + 10, "host")


def test_a_doctor_who_does_not_take_it_up_gives_it_back() -> None:
    """
    After a minute; one who came does not, however long it takes.
    """
    absent, present = course_at("taken"), course_at("taken").attended(START + 10)
    for course in (absent, present):
        course.do(course.consult.tick(START + 63))

    assert Returned(START + 63, "doc") == absent.facts[-1]
    assert "doc" == present.consult.record.taken_by


def test_a_consult_goes_on_ahead_of_a_clock_that_was_set_back() -> None:
    """
    Between two processes: its timers neither stand still nor fire again, and the loop is woken by its own clock.
    """
    course = Course().in_progress(START + 4000 - 3000)
    course.do(course.consult.lose(START + 1000, "pat", "socket"))
    course.restart(START + 1000 - 3600)
    assert START + 1000 - 3600 + 120 == course.consult.next_due()

    course.do(course.consult.tick(START + 1000 - 3600 + 119))
    assert course.consult.is_admitted("pat", "patient")
    course.do(course.consult.tick(START + 1000 - 3600 + 120))
    assert not course.consult.is_admitted("pat", "patient")
    assert START + 1120 == course.facts[-1].at


def test_a_record_says_what_is_next() -> None:
    """
    First due first, equal ones by name.
    """
    course = Course()
    course.do(course.consult.set_timer(START, "a", START + 600, "host"))

    assert (Timer(START + 600, "a"), Timer(START + 600, NO_SHOW), Timer(START + 1800, CLOSE)) == timers_of(
        course.consult.record
    )
