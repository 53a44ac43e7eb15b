"""
Whom a consult rings for: one after the other, until somebody answers.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from support.courses import START, Course, refused
from telerelay.consult import states
from telerelay.errors import RemoteProtocolError

ALL_THERE = {"doc": "available", "dora": "available", "dan": "available"}


def ringing(*people: str, at: float = START, presence: dict[str, str] | None = None, **plan: object) -> Course:
    """A patient waits, and these are to be rung for him."""
    course = Course(at, starts_at=None, **plan)
    course.do(course.consult.route(at, "stroke", people or ("doc", "dora", "dan")))
    course.waiting(at)
    course.do(course.consult.ring(at, ALL_THERE if presence is None else presence))
    return course


def rings_at(course: Course) -> str:
    return course.consult.record.rota.ringing


def test_the_next_one_rings_when_nobody_has_answered_for_30_s() -> None:
    """
    Not a second earlier; each step is a fact, and the timer fires once.
    """
    course = ringing()
    assert ("doc", START + 30) == (rings_at(course), course.consult.next_due())
    assert [] == course.do(course.consult.tick(START + 29.9))
    assert ["timer_fired", "ring_ended"] == course.do(course.consult.tick(START + 30))
    assert ["rung"] == course.do(course.consult.ring(START + 30, ALL_THERE))
    assert [] == course.do(course.consult.ring(START + 31, ALL_THERE))

    assert "dora" == rings_at(course)
    assert {"doc": "unanswered"} == course.consult.record.rota.ended


def test_who_answers_first_gets_it() -> None:
    """
    Be it late; the others are told that somebody was first.
    """
    course = ringing()
    course.do(course.consult.tick(START + 30))
    course.do(course.consult.ring(START + 30, ALL_THERE))

    assert ["ring_ended", "taken"] == course.do(course.consult.accept(START + 31, "doc", "practitioner"))
    assert [] == course.do(course.consult.accept(START + 32, "doc", "practitioner"))
    assert ("", "doc") == (rings_at(course), course.consult.record.taken_by)
    with refused("conflict"):
        course.consult.accept(START + 32, "dora", "practitioner")
    with refused("conflict"):
        course.consult.accept(START + 32, "dan", "practitioner")
    with refused("not_found"):
        course.consult.accept(START + 32, "eve", "practitioner")
    with refused("forbidden"):
        course.consult.accept(START + 32, "doc", "patient")


def test_who_answered_and_does_not_come_is_passed_over() -> None:
    """
    After a minute the next one is rung.
    """
    course = ringing()
    course.do(course.consult.accept(START + 5, "doc", "practitioner"))
    assert ["timer_fired", "returned"] == course.do(course.consult.tick(START + 65))
    course.do(course.consult.ring(START + 65, ALL_THERE))

    assert "dora" == rings_at(course)


def test_who_declines_is_not_rung_again() -> None:
    """
    Nor may he answer after all; when all have declined, the host is to name others.
    """
    course = ringing("doc", "dora")
    for at, sub in enumerate(("doc", "dora")):
        assert ["ring_ended"] == course.do(course.consult.decline(START + at, sub))
        course.do(course.consult.ring(START + at, ALL_THERE))

    assert ("", True) == (rings_at(course), course.consult.is_unanswered)
    with refused("conflict"):
        course.consult.accept(START + 2, "doc", "practitioner")
    assert ["routed"] == course.do(course.consult.route(START + 2, "second", ("dan",), attempt=2))
    course.do(course.consult.ring(START + 2, ALL_THERE))
    assert ("dan", "second", ("stroke",)) == (
        rings_at(course),
        course.consult.record.plan.queue,
        course.consult.record.rota.queues,
    )


def test_an_answer_without_people_ends_the_asking() -> None:
    """
    And leaves those to be rung whom nobody reached.
    """
    course = ringing("doc", presence={})
    assert course.consult.is_unanswered
    course.do(course.consult.route(START + 1, "second", (), attempt=2))

    assert not course.consult.is_unanswered
    assert ["rung"] == course.do(course.consult.ring(START + 2, ALL_THERE))


def test_who_cannot_be_reached_is_passed_over_and_rung_when_he_is_there() -> None:
    """
    Named as absent, away or busy.
    """
    course = ringing(presence={"dora": "away", "dan": "busy"})

    assert {"doc": "absent", "dora": "away", "dan": "busy"} == course.consult.record.rota.ended
    assert [] == course.do(course.consult.ring(START + 1, {"dora": "away", "dan": "busy"}))
    assert ["rung"] == course.do(course.consult.ring(START + 2, {"dora": "away", "dan": "available"}))
    assert "dan" == rings_at(course)


def test_an_emergency_rings_wherever_a_desk_is_open() -> None:
    """
    Away or with a patient; not where nobody is.
    """
    course = ringing(presence={"dora": "away"}, is_emergency=True)

    assert ("dora", {"doc": "absent"}) == (rings_at(course), course.consult.record.rota.ended)


def test_nobody_is_rung_who_need_not_come() -> None:
    """
    Before anybody waits, when the patient has gone, when a doctor is there by himself, when it is over.
    """
    course = Course(starts_at=None)
    course.do(course.consult.route(START, "stroke", ("doc",)))
    assert [] == course.do(course.consult.ring(START, ALL_THERE))
    for way in ("leave", "come", "end"):
        course = ringing("doc", "dora")
        match way:
            case "leave":
                course.do(course.consult.leave(START + 1, "pat"))
            case "come":
                course.attended(START + 1, "dora")
            case "end":
                course.do(course.consult.end(START + 1, "host", is_host=True))
        assert "" == rings_at(course)
        assert [] == course.do(course.consult.ring(START + 2, ALL_THERE))


def test_who_comes_to_wait_anew_is_rung_for_anew() -> None:
    """
    From the first on.
    """
    course = ringing("doc", "dora")
    course.do(course.consult.decline(START, "doc"))
    course.do(course.consult.leave(START + 1, "pat"))
    course.waiting(START + 2)
    course.do(course.consult.ring(START + 2, ALL_THERE))

    assert "doc" == rings_at(course)


def test_a_colleague_is_rung_during_a_call() -> None:
    """
    By the host's word; the call goes on, and is nobody else's.
    """
    course = Course().in_progress()
    course.do(course.consult.route(START, "heart", ("dora",), "nurse", is_now=True))
    course.do(course.consult.ring(START, ALL_THERE))
    assert "dora" == rings_at(course)
    assert ["ring_ended"] == course.do(course.consult.accept(START + 1, "dora", "practitioner"))
    assert ["arrived"] == course.do(course.consult.arrive(START + 2, "dora", "practitioner", "socket"))

    assert (states.IN_PROGRESS, "") == (course.state, course.consult.record.taken_by)


def test_who_is_rung_is_invited() -> None:
    """
    As a decider, and as nothing else.
    """
    course = ringing("doc", invited=[{"sub": "pat", "role": "patient"}])
    with refused("forbidden"):
        course.consult.arrive(START, "doc", "patient", "socket")
    with refused("forbidden"):
        course.consult.arrive(START, "eve", "practitioner", "socket")
    assert ["arrived"] == course.do(course.consult.arrive(START, "doc", "practitioner", "socket"))


def test_a_ring_outlives_the_process() -> None:
    """
    It rings on; and one that fell due meanwhile is unanswered, once.
    """
    course = ringing()
    course.restart(START + 10)
    assert ("doc", START + 30) == (rings_at(course), course.consult.next_due())
    course.restart(START + 500)

    assert ("", 1) == (rings_at(course), sum(fact.kind == "ring_ended" for fact in course.facts))


def test_what_nobody_may_be_rung_by_is_refused() -> None:
    """
    Too many, or one twice.
    """
    course = Course()
    for people in (("doc", "doc"), tuple(f"doc-{number}" for number in range(33))):
        with refused("bad_message"):
            course.consult.route(START, "stroke", people)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ring", "accept", "decline", "tick", "leave", "come", "attend", "route", "restart"]),
        st.sampled_from(["doc", "dora", "dan"]),
        st.sampled_from(["available", "busy", "away", "gone"]),
        st.floats(0.0, 40.0),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_happens_one_rings_and_one_gets_it(steps: list[tuple[str, str, str, float]]) -> None:
    """
    Never two at once, never who declined, never while somebody is there who could let in; read again it is the same.
    """
    course, at, refusals = ringing(), START, set[str]()
    for what, sub, status, later_s in steps:
        at += later_s
        consult = course.consult
        try:
            match what:
                case "ring":
                    course.do(consult.ring(at, {**ALL_THERE, sub: status}))
                case "accept":
                    course.do(consult.accept(at, sub, "practitioner"))
                case "decline":
                    course.do(consult.decline(at, sub))
                case "tick":
                    course.do(consult.tick(at))
                case "leave":
                    course.do(consult.leave(at, "pat"))
                case "come":
                    course.do(consult.arrive(at, "pat", "patient", "socket"))
                case "attend":
                    course.do(consult.arrive(at, sub, "practitioner", "socket"))
                case "route":
                    course.do(consult.route(at, "stroke", ("doc", sub) if sub != "doc" else ("doc",)))
                case "restart":
                    course.restart(at)
        except RemoteProtocolError as error:
            refusals.add(error.code)
        record = course.consult.record
        if record.rota.ringing:
            assert record.awaits_answer
            assert "declined" != record.rota.ended.get(record.rota.ringing)
            assert not any(record.is_decider(each.role) for each in record.there)
        assert record == course.read_again().record
    assert refusals <= {"conflict", "not_found", "consult_over", "denied"}
