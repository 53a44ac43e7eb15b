"""
The eight rules that every teleconsultation relies on, one after the other, as far as the consult itself has them.
"""

import pytest

from support.courses import START, Course, plan, refused
from telerelay.consult import effects, states
from telerelay.consult.consult import Consult, schedule
from telerelay.consult.effects import Admit, Attest, EndRoom, Forget, Remove
from telerelay.consult.facts import FINAL_KINDS, KINDS, Admitted, Attested, Ended, Fact, Interrupted, Lost, Measured
from telerelay.rooms.policy import ROLES

# ---------------------------------------------------------------- 1. nobody becomes host by arriving first


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"practitioner"}))
def test_who_comes_first_waits(role: str) -> None:
    """
    Whatever the role, unless it is a decider's.
    """
    course = Course()
    course.do(course.consult.arrive(START, "first", role, "socket"))

    assert states.WAITING == course.state
    assert not course.consult.is_admitted("first", role)
    assert [] == [each for each in course.effects if isinstance(each, Admit)]


@pytest.mark.parametrize("command", ["admit", "deny", "end", "priority", "remove"])
def test_who_came_first_decides_nothing(command: str) -> None:
    """
    Not of itself and not of others, waiting or admitted.
    """
    course = Course().admitted()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    for by in ("pat", "com", "stranger"):
        with refused("forbidden"):
            match command:
                case "admit":
                    course.consult.admit(START, "com", by)
                case "deny":
                    course.consult.deny(START, "com", by)
                case "end":
                    course.consult.end(START, by)
                case "priority":
                    course.consult.set_priority(START, True, by)
                case "remove":
                    course.consult.remove(START, "pat", by)


def test_only_who_is_invited_may_come() -> None:
    """
    Once anybody is: as that person, and in that role.
    """
    course = Course(invited=[{"sub": "pat", "role": "patient"}])
    for sub, role in (("pat", "practitioner"), ("eve", "patient"), ("doc", "practitioner")):
        with refused("forbidden"):
            course.consult.arrive(START, sub, role, "socket")

    assert ["arrived"] == course.do(course.consult.arrive(START, "pat", "patient", "socket"))


# ---------------------------------------------------------------- 2. one by one, by a named person or hook


def test_one_is_admitted_and_the_others_wait() -> None:
    """
    By whom is in the fact.
    """
    course = Course().waiting().attended()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    course.effects.clear()
    course.do(course.consult.admit(START + 1, "pat", "doc"))

    assert Admitted(START + 1, "pat", "doc") == course.facts[-1]
    assert [Admit("pat")] == [each for each in course.effects if isinstance(each, Admit)]
    assert ["com"] == [each.sub for each in course.consult.record.waiting]


def test_of_two_doctors_one_admits() -> None:
    """
    The other is told that it was decided, be it the same doctor once more.
    """
    course = Course().waiting().attended().attended(sub="rem")
    course.do(course.consult.admit(START, "pat", "rem"))

    for by in ("doc", "rem"):
        with refused("conflict"):
            course.consult.admit(START, "pat", by)
        with refused("conflict"):
            course.consult.deny(START, "pat", by)


def test_two_decisions_made_of_one_record_do_not_both_come_true() -> None:
    """
    Where the caller let another command in between, the second one cannot be applied.
    """
    course = Course().waiting().attended().attended(sub="rem")
    first = course.consult.admit(START, "pat", "rem")
    second = course.consult.deny(START, "pat", "doc")
    course.do(first)
    before = course.consult.record

    with refused("bad_fact"):
        course.consult.apply(*second)
    assert before is course.consult.record


def test_who_is_held_is_not_admitted_unless_it_is_an_emergency() -> None:
    """
    There is no room for another call; nobody is failed for it.
    """
    course = Course().waiting().attended()
    course.do(course.consult.hold(START, "pat", 4))
    assert [] == course.do(course.consult.hold(START, "pat", 3))
    with refused("no_capacity"):
        course.consult.admit(START, "pat", "doc")

    urgent = Course().waiting().attended()
    urgent.do(urgent.consult.hold(START, "pat", 4))
    urgent.do(urgent.consult.set_priority(START, True, "doc"))
    assert ["admitted"] == urgent.do(urgent.consult.admit(START, "pat", "doc"))

    assert ["released"] == course.do(course.consult.release(START, "pat"))
    assert [] == course.do(course.consult.release(START, "pat"))
    assert ["admitted"] == course.do(course.consult.admit(START, "pat", "doc"))


def test_a_second_decider_may_decide_too() -> None:
    """
    And one who left and comes back comes in again.
    """
    course = Course().attended().attended(sub="rem").waiting()
    course.do(course.consult.leave(START + 1, "doc"))
    course.do(course.consult.admit(START + 2, "pat", "rem"))
    course.do(course.consult.arrive(START + 3, "doc", "practitioner", "socket"))

    assert course.consult.is_admitted("doc", "practitioner")
    assert states.ADMITTED == course.state


def test_a_decider_who_left_decides_nothing_more() -> None:
    """
    Until it is back.
    """
    course = Course().waiting().attended()
    course.do(course.consult.leave(START + 1, "doc"))

    with refused("forbidden"):
        course.consult.admit(START + 2, "pat", "doc")


def test_the_host_decides_by_name() -> None:
    """
    A hook or a desk of its own, with nobody inside.
    """
    course = Course().waiting()
    course.do(course.consult.admit(START, "pat", "triage-hook", is_host=True))

    assert ("triage-hook", True) == (course.facts[-1].by, course.facts[-1].is_host)
    assert states.ADMITTED == course.state


def test_who_was_denied_does_not_come_again() -> None:
    """
    The others do, and the consult goes on with them.
    """
    course = Course().waiting().attended()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    assert ["denied"] == course.do(course.consult.deny(START, "com", "doc", reason="identity", note="not the daughter"))
    assert Remove("com", "denied") in course.effects

    with refused("denied"):
        course.consult.arrive(START + 1, "com", "companion", "socket")
    assert states.WAITING == course.state


def test_a_consult_whose_patient_is_denied_is_over() -> None:
    """
    Unless another patient waits, or is invited.
    """
    assert ["denied", "closed"] == denied(Course())
    assert ["denied"] == denied(Course().waiting(sub="son"))
    assert ["denied"] == denied(
        Course(invited=[{"sub": each, "role": "patient"} for each in ("pat", "son")], deciders=[])
    )


def denied(course: Course) -> list[str]:
    course.waiting()
    return course.do(course.consult.deny(START, "pat", "host", is_host=True))


# ---------------------------------------------------------------- 3. lost is interrupted, not ended


@pytest.mark.parametrize("what", ["socket", "transport", "camera"])
@pytest.mark.parametrize("sub", ["pat", "doc"])
def test_a_loss_interrupts_and_coming_back_resumes(sub: str, what: str) -> None:
    """
    On whichever side, and with no new admission.
    """
    course = Course().in_progress()
    course.do(course.consult.lose(START + 10, sub, what))
    assert [Lost(START + 10, sub, what), Interrupted(START + 10, sub, what)] == course.facts[-2:]

    course.do(course.consult.tick(START + 129))
    assert ["back", "resumed"] == course.do(course.consult.back(START + 129, sub, what))
    assert course.consult.is_admitted(sub, "patient" if sub == "pat" else "practitioner")


def test_another_loss_does_not_resume_and_all_must_be_mended() -> None:
    """
    A call is whole when nobody misses anything.
    """
    course = Course().in_progress()
    course.do(course.consult.lose(START + 1, "pat", "socket"))
    course.do(course.consult.lose(START + 2, "pat", "camera"))
    course.do(course.consult.lose(START + 3, "doc", "transport"))

    assert ["back"] == course.do(course.consult.back(START + 4, "pat", "socket"))
    assert ["back"] == course.do(course.consult.back(START + 5, "pat", "camera"))
    assert ["back", "resumed"] == course.do(course.consult.back(START + 6, "doc", "transport"))


def test_a_companions_loss_interrupts_while_two_others_talk() -> None:
    """
    The call is not ended, nor whole.
    """
    course = Course().in_progress()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    course.do(course.consult.admit(START, "com", "doc"))
    course.do(course.consult.enter(START, "com"))
    course.do(course.consult.lose(START + 1, "com", "socket"))
    assert states.INTERRUPTED == course.state

    course.do(course.consult.tick(START + 121))
    assert states.IN_PROGRESS == course.state


@pytest.mark.parametrize("role", ["interpreter", "observer", "recorder", "device"])
def test_others_are_in_a_call_and_make_none(role: str) -> None:
    """
    What they lose interrupts nothing.
    """
    course = Course().in_progress()
    course.do(course.consult.arrive(START, "oth", role, "whep"))
    course.do(course.consult.admit(START, "oth", "doc"))
    course.do(course.consult.enter(START, "oth"))
    course.do(course.consult.lose(START + 1, "oth", "transport"))

    assert states.IN_PROGRESS == course.state


def test_a_seat_is_kept_to_the_second() -> None:
    """
    120 s after the first loss, and a new admission after that.
    """
    course = Course().in_progress()
    course.do(course.consult.lose(START + 10, "pat", "transport"))
    course.do(course.consult.lose(START + 60, "pat", "socket"))
    assert START + 130 == course.consult.next_due()
    assert [] == course.do(course.consult.tick(START + 129.999))
    assert ["timer_fired", "left"] == course.do(course.consult.tick(START + 130))

    assert (states.INTERRUPTED, Remove("pat", "timeout")) == (course.state, course.effects[-2])
    assert ["arrived"] == course.do(course.consult.arrive(START + 131, "pat", "patient", "socket"))
    assert not course.consult.is_admitted("pat", "patient")


def test_a_camera_that_is_lost_costs_nobody_the_seat() -> None:
    """
    However long.
    """
    course = Course().in_progress()
    course.do(course.consult.lose(START, "pat", "camera"))
    course.do(course.consult.tick(START + 86_400))

    assert course.consult.is_admitted("pat", "patient")


def test_the_camera_of_who_waits_is_nobodys_loss() -> None:
    """
    It is tried out there; what was lost and is lost again, or of who is not there, is nothing either.
    """
    course = Course().waiting()
    assert () == course.consult.lose(START, "pat", "camera")
    assert () == course.consult.lose(START, "eve", "socket")
    assert () == course.consult.back(START, "pat", "socket")
    assert ["lost"] == course.do(course.consult.lose(START, "pat", "socket"))
    assert () == course.consult.lose(START, "pat", "socket")


def test_who_waits_keeps_the_place_too() -> None:
    """
    Since when it waits is what it was.
    """
    course = Course().waiting()
    course.do(course.consult.lose(START + 100, "pat", "socket"))
    course.do(course.consult.arrive(START + 200, "pat", "patient", "socket"))

    assert [START] == [each.since for each in course.consult.record.waiting]


def test_a_second_tab_takes_the_seat_over() -> None:
    """
    No fact, no admission: the person is there.
    """
    course = Course().in_progress()

    assert [] == course.do(course.consult.arrive(START + 1, "pat", "patient", "socket"))
    assert course.consult.is_admitted("pat", "patient")


def test_a_second_tab_in_another_role_is_refused() -> None:
    """
    What somebody is, is what the token said that brought it in.
    """
    course = Course().waiting()

    with refused("conflict"):
        course.consult.arrive(START + 1, "pat", "practitioner", "socket")


def test_a_doctor_who_leaves_is_not_locked_out() -> None:
    """
    The patient stays, the call is interrupted, and goes on.
    """
    course = Course().in_progress()
    course.do(course.consult.leave(START + 10, "doc"))
    assert Interrupted(START + 10, "doc", "left") == course.facts[-1]

    course.do(course.consult.tick(START + 3000))
    course.do(course.consult.arrive(START + 3001, "doc", "practitioner", "socket"))
    course.do(course.consult.enter(START + 3002, "doc"))
    assert states.IN_PROGRESS == course.state


def test_a_call_that_all_have_left_ends() -> None:
    """
    As long after the last one as a seat is kept, by itself.
    """
    course = Course().in_progress()
    course.do(course.consult.leave(START + 10, "pat"))
    course.do(course.consult.leave(START + 20, "doc"))
    course.do(course.consult.tick(START + 139.9))
    assert states.INTERRUPTED == course.state

    course.do(course.consult.tick(START + 140))
    assert Ended(START + 140, "relay", "left") == course.facts[-1]


def test_a_call_that_all_were_lost_from_ends_as_a_failure() -> None:
    """
    Seats first, and then the rest.
    """
    course = Course().in_progress()
    for sub in ("pat", "doc"):
        course.do(course.consult.lose(START, sub, "transport"))
    course.do(course.consult.tick(START + 1000))
    course.do(course.consult.tick(START + 2000))

    assert (states.ENDED, "technical_failure") == (course.state, course.consult.record.ended.outcome)


# ---------------------------------------------------------------- 4. one attestation


def test_the_end_asks_for_one_attestation() -> None:
    """
    And nothing follows on it.
    """
    course = Course().in_progress()
    course.effects.clear()
    course.do(course.consult.end(START + 60, "doc", "video_sufficient"))
    assert [EndRoom("ended"), Attest()] == course.effects[1:]
    with refused("consult_over"):
        course.consult.end(START + 61, "doc")

    course.do(course.consult.measure(Measured(START + 61, two_way_video_s=58.0)))
    course.do(course.consult.attested(START + 62, "ab" * 32, "k1"))
    assert Forget() == course.effects[-1]
    assert () == course.consult.attested(START + 63, "cd" * 32, "k1")
    with refused("bad_fact"):
        course.consult.apply(Attested(START + 63, "cd" * 32, "k1"))


def test_an_attestation_that_was_not_made_is_owed() -> None:
    """
    To the next process; one that was is not.
    """
    course = Course().in_progress()
    course.do(course.consult.end(START + 60, "doc"))
    assert (EndRoom("ended"), Attest()) == effects.owed(course.read_again().record)

    course.do(course.consult.attested(START + 62, "ab" * 32, "k1"))
    assert (EndRoom("ended"), Forget()) == effects.owed(course.read_again().record)


def test_who_was_let_in_is_let_in_again_by_the_next_process() -> None:
    """
    And who waits is not.
    """
    course = Course().in_progress()
    course.do(course.consult.arrive(START, "com", "companion", "socket"))

    assert (Admit("pat"), Admit("doc")) == effects.owed(course.read_again().record)


@pytest.mark.parametrize("way", ["cancel", "deny", "fail", "close"])
def test_what_was_no_call_has_no_attestation(way: str) -> None:
    """
    It is closed instead: the last fact either way.
    """
    course = Course().waiting()
    consult = course.consult
    match way:
        case "cancel":
            course.do(consult.cancel(START, "host", "patient"))
        case "deny":
            course.do(consult.deny(START, "pat", "host", is_host=True))
        case "fail":
            course.do(consult.fail(START, "no_worker"))
        case "close":
            course.do(consult.leave(START, "pat"))
            course.do(consult.tick(START + 1800))

    assert ("closed", True) == (course.kinds[-1], consult.record.is_closed)
    assert not any(isinstance(each, Attest) for each in course.effects)
    assert [EndRoom(consult.state), Forget()] == course.effects[-2:]


@pytest.mark.parametrize("kind", sorted(FINAL_KINDS))
def test_the_last_facts_are_facts(kind: str) -> None:
    """
    By which a journal knows what need not be read again.
    """
    assert kind in KINDS


# ---------------------------------------------------------------- 5. to 8.


def test_a_hook_that_fails_is_noted_by_name() -> None:
    """
    Rule 5: what was refused by it is refused by whoever asked; also after the end, for the attestation's own.
    """
    course = Course().in_progress()
    course.do(course.consult.hook_failed(START, "authorize_join", "timeout"))
    course.do(course.consult.end(START, "doc"))

    assert ["hook_failed"] == course.do(course.consult.hook_failed(START, "attest", "exception"))


def test_facts_are_counted_without_a_gap_and_never_go_back_in_time() -> None:
    """
    Rule 6: the number of a fact is its place, whatever `now` says.
    """
    course = Course().waiting(START + 50)
    course.do(course.consult.lose(START - 1000, "pat", "socket"))
    course.do(course.consult.back(START - 2000, "pat", "socket"))

    assert (4, [START, START + 50, START + 50, START + 50]) == (
        course.consult.record.count,
        [fact.at for fact in course.facts],
    )


@pytest.mark.parametrize(
    "fact",
    [
        Lost(START - 1, "pat", "socket"),
        Lost(START, "eve", "socket"),
        Admitted(START, "doc", "doc"),
        Attested(START, "ab", "k1"),
        Interrupted(START - 1, "pat", "socket"),
        schedule(START, plan()),
    ],
)
def test_a_fact_that_cannot_be_the_next_one_is_refused(fact: Fact) -> None:
    """
    It is older, of somebody who is not there, or of another state; nothing is changed by it, nor by what came with it.
    """
    course = Course().waiting().attended()
    before = course.consult.record
    with refused("bad_fact"):
        course.consult.apply(Lost(START, "pat", "socket"), fact)

    assert before is course.consult.record


@pytest.mark.parametrize("role", sorted(ROLES))
def test_everybody_who_is_in_is_in_the_record_with_a_role(role: str) -> None:
    """
    Rule 7: recorder and observer are people like others: they wait, are admitted, and are listed.
    """
    course = Course().attended()
    course.do(course.consult.arrive(START, "x", role, "whep"))
    if role != "practitioner":
        course.do(course.consult.admit(START, "x", "doc"))

    assert ("x", role) in [(each.sub, each.role) for each in course.consult.record.there]


def test_a_role_there_is_not_does_not_come_in() -> None:
    """
    Not in a token either.
    """
    with refused("forbidden"):
        Course().consult.arrive(START, "x", "ghost", "socket")


def test_an_attempt_to_get_past_the_door_is_noted_once() -> None:
    """
    For each person and way; a flood of them is not a flood of facts.
    """
    course = Course().waiting()
    for _ in range(1000):
        course.do(course.consult.bypass(START, "pat", "media"))
    course.do(course.consult.bypass(START, "pat", "data"))
    for number in range(1000):
        course.do(course.consult.bypass(START, f"stranger-{number}", "token"))

    assert 256 == course.kinds.count("bypass_tried")


def test_what_somebody_wrote_is_personal_and_nothing_else_is() -> None:
    """
    Rule 8: none of it stands in the clear parts of any fact.
    """
    course = Course(labels={"reason": "canary-1", "canary-2": "x"}).waiting()
    course.do(course.consult.note(START, "host", "canary-3"))
    course.do(course.consult.arrive(START, "com", "companion", "socket"))
    course.do(course.consult.deny(START, "com", "host", is_host=True, note="canary-4"))
    course.do(course.consult.end(START, "host", is_host=True, note="canary-5"))
    parts = [fact.to_json() for fact in course.facts]

    assert "canary" not in repr([(kind, clear) for kind, clear, _ in parts])
    assert all(f"canary-{number}" in repr([personal for _, _, personal in parts]) for number in range(1, 6))


# ---------------------------------------------------------------- words that come from outside


def test_words_that_are_not_in_the_lists_are_refused() -> None:
    """
    With the words there are; and notes have an end.
    """
    course = Course().in_progress()
    consult = course.consult
    with refused("bad_message"):
        consult.end(START, "doc", "he was rude")
    with refused("bad_message"):
        consult.consent(START, "pat", "everything", True)
    with refused("too_large"):
        consult.end(START, "doc", note="x" * 4097)
    with refused("bad_message"):
        Course().consult.cancel(START, "host", "because")


def test_nothing_is_scheduled_that_nobody_can_come_to() -> None:
    """
    Nor moved there.
    """
    with refused("too_late"):
        schedule(START + 1801, plan())
    with refused("too_late"):
        Consult(schedule(START, plan())).reschedule(START, START - 1801, "host")
