"""
The tables of docs/states.md are those of the code, and consults live by them.
"""

from itertools import product
from pathlib import Path

import pytest

from support.courses import START, Course
from telerelay import states as relay_states
from telerelay.consult import facts, states
from telerelay.errors import RemoteProtocolError

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "states.md"
CODES = {"", "conflict", "not_found", "consult_over", "denied", "forbidden"}
EVENTS = sorted({event for _, event in states.CONSULT} - {"closed"})
PERSON_EVENTS = sorted({event for _, event in states.PERSON})


def documented(title: str) -> dict[tuple[str, str], str]:
    section = PAGE.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {(state, event): following for state, event, following in rows[2:]}


@pytest.mark.parametrize("name", states.TABLES)
def test_the_page_has_the_tables_of_consults(name: str) -> None:
    """
    Row by row.
    """
    assert documented(f"{name.capitalize()}" if name == "consult" else "Person of a consult") == states.TABLES[name]


def test_every_state_is_in_the_table_and_no_other() -> None:
    """
    And each but the first is reached.
    """
    reached = set(states.CONSULT.values())

    assert set(states.STATES) == reached
    assert {state for state, _ in states.CONSULT} <= reached


def test_every_event_of_a_table_is_a_fact() -> None:
    """
    By its kind, or by what event_of makes of it.
    """
    words = set(facts.KINDS) | {"decider arrived", "denied last"}

    assert set() == {event for table in states.TABLES.values() for _, event in table} - words


# ---------------------------------------------------------------- a consult in each state


def course_in(state: str) -> Course:
    course = Course()
    consult = course.consult
    match state:
        case states.WAITING:
            course.waiting()
        case states.ADMITTED:
            course.admitted()
        case states.IN_PROGRESS:
            course.in_progress()
        case states.INTERRUPTED:
            course.in_progress()
            course.do(consult.lose(START, "pat", "socket"))
        case states.ENDED:
            course.in_progress()
            course.do(consult.end(START, "doc"))
        case states.CANCELLED:
            course.do(consult.cancel(START, "host"))
        case states.NO_SHOW:
            course.do(consult.tick(START + 600))
        case states.DENIED:
            course.waiting().attended()
            course.do(consult.deny(START, "pat", "doc"))
        case states.FAILED:
            course.do(consult.fail(START, "no_worker"))
    assert state == course.state
    return course


def happen(course: Course, event: str) -> None:
    """What makes that event, in a state in which it can be."""
    consult, now = course.consult, START + 601
    match event:
        case "arrived":
            course.do(consult.arrive(now, "late", "patient", "socket"))
        case "decider arrived":
            course.do(consult.arrive(now, "doc2", "practitioner", "whip"))
        case "admitted":
            course.do(consult.admit(now, "pat", "sheila", is_host=True))
        case "denied last":
            course.do(consult.deny(now, "pat", "sheila", is_host=True))
        case "cancelled":
            course.do(consult.cancel(now, "host"))
        case "rescheduled":
            course.do(consult.reschedule(now, START + 7200, "host"))
        case "failed":
            course.do(consult.fail(now, "no_worker"))
        case "ended":
            course.do(consult.end(now, "host", is_host=True))
        case "no_show":
            course.do(consult.tick(now))
        case "in_progress":
            course.do(consult.enter(now, "pat"))
            course.do(consult.enter(now, "doc"))
        case "interrupted":
            course.do(consult.lose(now, "pat", "transport"))
        case "resumed":
            course.do(consult.back(now, "pat", "socket"))


ELSEWHERE = {
    # Nobody who waits has come there: a course of its own, below.
    (states.WAITING, "no_show"),
    (states.WAITING, "in_progress"),
    (states.NO_SHOW, "in_progress"),
    # What cannot go on fails before a call, and ends after one began.
    (states.IN_PROGRESS, "failed"),
    (states.INTERRUPTED, "failed"),
}


@pytest.mark.parametrize(("state", "event"), sorted(set(product(states.STATES, EVENTS)) - ELSEWHERE))
def test_a_consult_lives_by_its_table(state: str, event: str) -> None:
    """
    Every event in every state; what no row lists is refused, or changes nothing.
    """
    course = course_in(state)
    code = ""
    try:
        happen(course, event)
    except RemoteProtocolError as error:
        code = error.code

    assert code in CODES
    assert relay_states.after(states.CONSULT, state, event) == course.state
    assert course.consult.record == course.read_again().record


@pytest.mark.parametrize("state", [states.IN_PROGRESS, states.INTERRUPTED])
def test_a_call_that_cannot_go_on_ends(state: str) -> None:
    """
    It was one, and is attested.
    """
    course = course_in(state)
    course.do(course.consult.fail(START + 1, "no_worker"))

    assert (states.ENDED, "technical_failure") == (course.state, course.consult.record.ended.outcome)


def test_a_doctor_who_waits_alone_sees_a_no_show() -> None:
    """
    And stays; who comes late is waiting again, and the no-show is not told twice.
    """
    course = Course().attended()
    course.do(course.consult.tick(START + 600))
    assert states.NO_SHOW == course.state

    course.waiting(START + 700)
    course.do(course.consult.leave(START + 800, "pat"))
    course.do(course.consult.leave(START + 900, "doc"))
    course.do(course.consult.tick(START + 1800))

    assert (states.NO_SHOW, 1, "closed") == (course.state, course.kinds.count("no_show"), course.kinds[-1])


@pytest.mark.parametrize("at", [START, START + 600])
def test_deciders_alone_come_to_a_call(at: float) -> None:
    """
    Where all are of deciders' roles nobody has to be let in, be it after the no-show.
    """
    course = Course(deciders=("practitioner", "expert"))
    course.do(course.consult.tick(at))
    course.attended(at)
    course.do(course.consult.arrive(at, "exp", "expert", "socket"))
    course.do(course.consult.enter(at, "exp"))

    assert states.IN_PROGRESS == course.state


# ---------------------------------------------------------------- a person in each state


def person_in(status: str) -> Course:
    course = Course().attended()
    consult = course.consult
    if status != states.ABSENT:
        course.do(consult.arrive(START, "ben", "patient", "socket"))
    match status:
        case states.LET_IN | states.INSIDE:
            course.do(consult.admit(START, "ben", "doc"))
        case states.REFUSED:
            course.waiting()
            course.do(consult.deny(START, "ben", "doc"))
    if status == states.INSIDE:
        course.do(consult.enter(START, "ben"))
    assert status == status_of(course)
    return course


def status_of(course: Course) -> str:
    person = course.consult.record.people.get("ben")
    return states.ABSENT if person is None else person.status


@pytest.mark.parametrize(
    ("status", "event"),
    list(product((states.ABSENT, states.AT_DOOR, states.LET_IN, states.INSIDE, states.REFUSED), PERSON_EVENTS)),
)
def test_a_person_lives_by_its_table(status: str, event: str) -> None:
    """
    Every event in every state.
    """
    course = person_in(status)
    consult, now = course.consult, START + 1
    code = ""
    role = "practitioner" if event == "decider arrived" else "patient"
    try:
        match event:
            case "arrived" | "decider arrived":
                course.do(consult.arrive(now, "ben", role, "socket"))
            case "admitted":
                course.do(consult.admit(now, "ben", "doc"))
            case "denied":
                course.do(consult.deny(now, "ben", "doc"))
            case "entered":
                course.do(consult.enter(now, "ben"))
            case "left":
                course.do(consult.leave(now, "ben"))
            case "rescheduled":
                course.do(consult.reschedule(now, START + 7200, "host"))
    except RemoteProtocolError as error:
        code = error.code

    expected = relay_states.after(states.PERSON, status, event)
    if event == "rescheduled" and status == states.AT_DOOR:
        expected = states.ABSENT  # who waits is removed first
    assert code in CODES
    assert expected == status_of(course)
