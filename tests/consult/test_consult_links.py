"""
Links for one person: within their time, once, and until the consult has another time.
"""

import pytest

from support.courses import START, Course, refused
from telerelay.consult.effects import KillLinks, Remove
from telerelay.consult.record import Link

PAT, DOC, NONCE = "d1" * 32, "d2" * 32, "d3" * 32


def linked(**changes: object) -> Course:
    course = Course(START - 3600, **changes)
    course.do(course.consult.make_link(START - 3600, PAT, "pat", "patient"))
    return course


@pytest.mark.parametrize(
    ("second", "code"),
    [(-900.001, "too_early"), (-900, ""), (0, ""), (1800, ""), (1800.001, "too_late")],
)
def test_a_link_is_good_from_a_quarter_before_to_half_an_hour_after(second: float, code: str) -> None:
    """
    To the millisecond; one that was refused for its time is not used by that.
    """
    course = linked()
    if code:
        with refused(code):
            course.consult.use_link(START + second, PAT)
        assert not course.consult.record.links[PAT].is_used
    else:
        assert ["link_used"] == course.do(course.consult.use_link(START + second, PAT))


def test_a_link_is_good_once() -> None:
    """
    Also for another process.
    """
    course = linked()
    course.do(course.consult.use_link(START, PAT))
    course.restart(START + 1)

    with refused("forbidden"):
        course.consult.use_link(START + 2, PAT)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("nonce", "after_s", "is_good"), [(NONCE, 30, True), (NONCE, 30.001, False), ("d4" * 32, 1, False), ("", 1, False)]
)
def test_only_the_browser_that_used_a_link_is_answered_again(
    nonce: str, after_s: float, is_good: bool, restarts: bool
) -> None:
    """
    For half a minute, by another process too, and nothing is added by that.
    """
    course = linked()
    course.do(course.consult.use_link(START, PAT, NONCE))
    if restarts:
        course.restart(START + 0.5)
    if is_good:
        assert () == course.consult.use_link(START + after_s, PAT, nonce)
    else:
        with refused("forbidden"):
            course.consult.use_link(START + after_s, PAT, nonce)


def test_a_link_that_was_used_without_a_nonce_is_used() -> None:
    """
    Nobody can be known again by nothing.
    """
    course = linked()
    course.do(course.consult.use_link(START, PAT))
    for nonce in ("", NONCE):
        with refused("forbidden"):
            course.consult.use_link(START + 1, PAT, nonce)


def test_another_time_kills_a_link_for_who_used_it_too() -> None:
    """
    Whatever is shown with it.
    """
    course = linked()
    course.do(course.consult.use_link(START, PAT, NONCE))
    course.do(course.consult.reschedule(START + 1, START + 60, "host"))

    with refused("forbidden"):
        course.consult.use_link(START + 2, PAT, NONCE)


def test_a_link_says_who_comes_and_as_what() -> None:
    """
    And under which schedule it was made.
    """
    assert {PAT: Link("pat", "patient", 1)} == linked().consult.record.links


def test_another_time_kills_the_links_from_before() -> None:
    """
    At once, used or not; new ones are good in the new time.
    """
    course = linked()
    course.do(course.consult.reschedule(START - 1800, START + 86_400, "host"))
    assert KillLinks() in course.effects
    for second in (0, 86_400):
        with refused("forbidden"):
            course.consult.use_link(START + second, PAT)

    course.do(course.consult.make_link(START, DOC, "pat", "patient"))
    with refused("too_early"):
        course.consult.use_link(START, DOC)
    course.do(course.consult.use_link(START + 86_400, DOC))


def test_another_time_removes_who_waits_and_forgets_a_denial() -> None:
    """
    It is a new beginning, also for the no-show.
    """
    course = Course().waiting().attended()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    course.do(course.consult.deny(START, "com", "doc"))
    course.do(course.consult.reschedule(START + 10, START + 7200, "host"))
    assert {Remove("pat", "removed"), Remove("doc", "removed")} <= set(course.effects)

    course.do(course.consult.arrive(START + 7200, "com", "companion", "socket"))
    course.do(course.consult.leave(START + 7201, "com"))
    assert (["arrived", "left"], ()) == (course.kinds[-2:], course.consult.record.there)


def test_nothing_is_rescheduled_once_somebody_was_let_in() -> None:
    """
    Nor cancelled: it can be ended.
    """
    course = Course().admitted()

    with refused("conflict"):
        course.consult.reschedule(START, START + 7200, "host")
    with refused("conflict"):
        course.consult.cancel(START, "host")


@pytest.mark.parametrize("starts_at", [float("nan"), -1.0, 1e15])
def test_a_time_that_is_none_is_refused(starts_at: float) -> None:
    """
    As a message that makes no sense.
    """
    with refused("bad_message"):
        Course().consult.reschedule(START, starts_at, "host")


def test_a_link_that_was_not_made_is_refused_like_a_used_one() -> None:
    """
    Nobody learns which it was.
    """
    with refused("forbidden"):
        linked().consult.use_link(START, DOC)


def test_links_are_for_who_is_invited_and_have_a_bound() -> None:
    """
    64 for one consult, each another.
    """
    course = linked(invited=[{"sub": "pat", "role": "patient"}])
    with refused("forbidden"):
        course.consult.make_link(START, DOC, "eve", "patient")
    with refused("conflict"):
        course.consult.make_link(START, PAT, "pat", "patient")
    for number in range(63):
        course.do(course.consult.make_link(START, f"link-{number}", "pat", "patient"))
    with refused("too_many_requests"):
        course.consult.make_link(START, DOC, "pat", "patient")


@pytest.mark.parametrize(
    ("second", "code"),
    [(-900.001, "too_early"), (-900, ""), (1800, ""), (1800.001, "too_late")],
)
def test_a_token_opens_no_more_than_a_link_does(second: float, code: str) -> None:
    """
    For who comes for the first time.
    """
    course = Course(START - 3600)
    if code:
        with refused(code):
            course.consult.arrive(START + second, "pat", "patient", "socket")
    else:
        course.waiting(START + second)


def test_who_is_late_for_a_call_that_runs_may_come() -> None:
    """
    The doctor in any case, to a patient who waits.
    """
    waiting, running = Course().waiting(), Course().in_progress()

    assert ["arrived"] == waiting.do(waiting.consult.arrive(START + 1900, "doc", "practitioner", "socket"))
    assert ["arrived"] == running.do(running.consult.arrive(START + 1900, "com", "companion", "socket"))
    waiting.do(waiting.consult.leave(START + 1901, "pat"))
    assert ["arrived"] == waiting.do(waiting.consult.arrive(START + 1902, "pat", "patient", "socket"))
    with refused("too_late"):
        Course().waiting().consult.arrive(START + 1900, "com", "companion", "socket")
