"""
Third parties: who is let in only while the patient, who is in, consents to that.
"""

import pytest

from support.courses import START, Course, refused
from telerelay.consult.effects import Remove
from telerelay.consult.facts import CONSENTS, Consent


def course_with(*others: str) -> Course:
    """A doctor and a patient talk; an interpreter, and whoever else, waits."""
    course = Course(third_parties=["interpreter", "companion"]).in_progress()
    for role in ("interpreter", *others):
        course.do(course.consult.arrive(START, role, role, "socket"))
    return course


def said(course: Course, is_given: bool, sub: str = "pat", what: str = "third_party") -> list[str]:
    return course.do(course.consult.consent(START + 5, sub, what, is_given, "nurse-2"))


@pytest.mark.parametrize("is_host", [False, True])
def test_a_third_party_is_let_in_by_nobody_without_the_patients_consent(is_host: bool) -> None:
    """
    Neither by a decider nor by the host, nor in an emergency; consent to something else, or a doctor's, is none.
    """
    course = course_with()
    for what in set(CONSENTS) - {"third_party"}:
        said(course, True, what=what)
    said(course, True, sub="doc")
    course.do(course.consult.set_priority(START, True, "doc"))
    with refused("no_consent"):
        course.consult.admit(START, "interpreter", "doc", is_host=is_host)
    said(course, True)

    assert ["admitted"] == course.do(course.consult.admit(START, "interpreter", "doc", is_host=is_host))


def test_without_a_patient_there_is_nobody_to_consent() -> None:
    """
    Who waits has not been let in, and cannot consent either.
    """
    course = Course(third_parties=["interpreter"]).waiting().attended()
    course.do(course.consult.arrive(START, "ali", "interpreter", "socket"))
    with refused("forbidden"):
        said(course, True)
    with refused("no_consent"):
        course.consult.admit(START, "ali", "doc")


def test_who_takes_the_consent_back_has_every_third_party_out() -> None:
    """
    In the same piece of the journal, and in the next process as well; they wait when they come again.
    """
    course = course_with("companion")
    said(course, True)
    for sub in ("interpreter", "companion"):
        course.do(course.consult.admit(START, sub, "doc"))
        course.do(course.consult.enter(START, sub))
    taken_back = said(course, False)
    course.consult = course.read_again()
    course.do(course.consult.arrive(START + 9, "interpreter", "interpreter", "socket"))

    assert ["consent", "left", "left"] == taken_back
    assert [Remove("interpreter", "removed"), Remove("companion", "removed")] == [
        each for each in course.effects if isinstance(each, Remove)
    ]
    assert ["interpreter"] == [each.sub for each in course.consult.record.waiting]
    with refused("no_consent"):
        course.consult.admit(START + 9, "interpreter", "doc")


def test_another_patient_who_has_not_consented_puts_them_out() -> None:
    """
    Each patient who is in consents; one who has left is asked no longer.
    """
    course = course_with()
    said(course, True)
    course.do(course.consult.admit(START, "interpreter", "doc"))
    course.do(course.consult.arrive(START, "son", "patient", "socket"))
    let_in = course.do(course.consult.admit(START, "son", "doc"))
    course.do(course.consult.leave(START, "son"))
    course.do(course.consult.arrive(START + 9, "interpreter", "interpreter", "socket"))

    assert ["admitted", "left"] == let_in
    assert ["admitted"] == course.do(course.consult.admit(START + 9, "interpreter", "doc"))


def test_what_was_said_for_a_patient_has_who_said_so() -> None:
    """
    In the journal; and once only, as long as it does not change.
    """
    course = course_with()
    said(course, True)

    assert [] == said(course, True)
    assert [("pat", "third_party", True, "nurse-2")] == [
        (each.sub, each.what, each.is_given, each.by) for each in course.facts if isinstance(each, Consent)
    ]


def test_where_no_role_is_a_third_partys_no_consent_is_needed() -> None:
    """
    As in most consults.
    """
    course = Course().in_progress()
    course.do(course.consult.arrive(START, "ali", "interpreter", "socket"))

    assert ["admitted"] == course.do(course.consult.admit(START, "ali", "doc"))
