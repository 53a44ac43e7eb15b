"""
When a consult is recorded: by what people said, and by nothing else.
"""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.courses import START, Course, refused
from telerelay.consult.facts import Admitted, Arrived, Consent, Fact, Left, RecordingSet
from telerelay.consult.recording import RECORDER
from telerelay.errors import RemoteProtocolError

NOW = START + 60.0


def in_call() -> Course:
    """A patient and a doctor."""
    return Course().waiting().attended().admitted()


def states(course: Course) -> list[str]:
    return [fact.state for fact in course.facts if isinstance(fact, RecordingSet)]


def reasons(course: Course) -> list[str]:
    return [fact.why for fact in course.facts if isinstance(fact, RecordingSet)]


def asked(course: Course) -> Course:
    course.do(course.consult.ask_recording(NOW, "r1", "doc"))
    return course


def running(course: Course) -> Course:
    asked(course).do(course.consult.answer_recording(NOW, "pat", True))
    return course


def test_it_runs_when_everybody_who_is_in_has_agreed_and_not_before():
    course = asked(in_call())
    assert ["asked"] == states(course)
    assert {("doc", "recording"): True} == dict(course.consult.record.consents)

    assert ["consent", "recording_set"] == course.do(course.consult.answer_recording(NOW, "pat", True))
    assert ["asked", "running"] == states(course)
    assert course.read_again().record == course.consult.record


def test_a_refusal_is_the_end_of_it():
    course = asked(in_call())
    course.do(course.consult.answer_recording(NOW, "pat", False))

    assert (["asked", "stopped"], ["", "refused"]) == (states(course), reasons(course))
    with refused("conflict"):
        course.consult.answer_recording(NOW, "pat", True)


@pytest.mark.parametrize("sub", ["pat", "doc"])
def test_a_consent_that_is_taken_back_stops_it_in_the_same_breath(sub):
    course = running(in_call())
    assert ["consent", "recording_set"] == course.do(course.consult.answer_recording(NOW, sub, False))
    assert "withdrawn" == reasons(course)[-1]


def test_whoever_comes_in_pauses_it_and_is_in_the_same_transaction_as_the_pause():
    course = running(in_call())
    course.do(course.consult.arrive(NOW, "com", "companion", "socket"))
    assert "running" == states(course)[-1], "who waits hears nothing and is not recorded"

    assert ["admitted", "recording_set"] == course.do(course.consult.admit(NOW, "com", "doc"))
    assert ("paused", "joined") == (states(course)[-1], reasons(course)[-1])
    course.do(course.consult.answer_recording(NOW, "com", True))
    assert "running" == states(course)[-1]


def test_who_comes_in_and_refuses_takes_nothing_back():
    """
    An attestation says what people did: nobody who had agreed thought better of it.
    """
    course = running(in_call())
    course.do(course.consult.arrive(NOW, "com", "companion", "socket"))
    course.do(course.consult.admit(NOW, "com", "doc"))
    course.do(course.consult.answer_recording(NOW, "com", False))

    assert ("stopped", "refused") == (states(course)[-1], reasons(course)[-1])
    assert course.read_again().record == course.consult.record


def test_who_asked_and_thinks_better_of_it_before_all_have_answered_takes_it_back():
    course = asked(in_call())
    course.do(course.consult.answer_recording(NOW, "doc", False))

    assert ("stopped", "withdrawn") == (states(course)[-1], reasons(course)[-1])


def test_whoever_comes_in_and_goes_again_without_a_word_leaves_it_running():
    course = running(in_call())
    course.do(course.consult.arrive(NOW, "com", "companion", "socket"))
    course.do(course.consult.admit(NOW, "com", "doc"))
    course.do(course.consult.leave(NOW, "com"))
    assert "running" == states(course)[-1]


def test_an_instrument_is_nobody_who_could_agree():
    course = running(in_call())
    course.do(course.consult.arrive(NOW, "cam", "device", "whip"))
    course.do(course.consult.admit(NOW, "cam", "doc"))
    assert "running" == states(course)[-1]
    with refused("forbidden"):
        course.consult.answer_recording(NOW, "cam", True)


def test_an_earlier_yes_is_none_to_the_next_recording():
    course = running(in_call())
    course.do(course.consult.stop_recording(NOW, "doc"))
    course.do(course.consult.ask_recording(NOW, "r2", "doc"))
    assert ["asked", "running", "stopped", "asked"] == states(course)


def test_only_who_decides_asks_and_stops():
    course = in_call()
    with refused("forbidden"):
        course.consult.ask_recording(NOW, "r1", "pat")
    running(course)
    with refused("forbidden"):
        course.consult.stop_recording(NOW, "pat")
    with refused("conflict"):
        course.consult.ask_recording(NOW, "r2", "doc")
    assert ["recording_set"] == course.do(course.consult.stop_recording(NOW, "host", is_host=True))


def test_what_the_rule_forbids_is_written_down_and_nobody_is_asked():
    course = in_call()
    course.do(course.consult.ask_recording(NOW, "r1", "doc", is_allowed=False))
    assert (["forbidden"], ["rule"]) == (states(course), reasons(course))
    with refused("conflict"):
        course.consult.answer_recording(NOW, "pat", True)
    course.do(course.consult.ask_recording(NOW, "r2", "doc"))
    assert ["forbidden", "asked"] == states(course)


def test_it_ends_with_the_process_that_wrote_it():
    course = running(in_call())
    assert "recording_set" in course.restart(NOW + 5)
    assert ("stopped", "restarted") == (states(course)[-1], reasons(course)[-1])


def test_nobody_comes_in_under_the_recorders_name():
    course = in_call()
    with refused("forbidden"):
        course.consult.arrive(NOW, RECORDER, "recorder", "socket")


SUBS = {"pat": "patient", "doc": "practitioner", "com": "companion", "obs": "observer"}
STEPS = st.tuples(
    st.sampled_from(["arrive", "admit", "leave", "ask", "agree", "refuse", "stop", "restart"]),
    st.sampled_from(sorted(SUBS)),
)


def would_be(facts: Iterable[Fact]) -> bool:
    """Whether it may run after these facts: told apart from the machine, by the facts about people alone."""
    roles: dict[str, str] = {}
    inside: set[str] = set()
    agreed: set[str] = set()
    for fact in facts:
        match fact:
            case Arrived(_, sub, role, _, is_waiting):
                roles[sub] = role
                if not is_waiting:
                    inside.add(sub)
            case Admitted(_, sub):
                inside.add(sub)
            case Left(_, sub):
                inside.discard(sub)
            case Consent(_, sub, "recording", is_given):
                (agreed.add if is_given else agreed.discard)(sub)
            case RecordingSet(_, _, "asked"):
                agreed.clear()
    return bool(inside) and inside <= agreed


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_it_never_runs_without_everybody_in_whatever_order_things_happen(steps):
    course = in_call()
    for step, sub in steps:
        consult = course.consult
        commands = {
            "arrive": lambda c=consult, s=sub: c.arrive(NOW, s, SUBS[s], "socket"),
            "admit": lambda c=consult, s=sub: c.admit(NOW, s, "doc"),
            "leave": lambda c=consult, s=sub: c.leave(NOW, s),
            "ask": lambda c=consult, s=sub: c.ask_recording(NOW, f"r{c.record.count}", s),
            "agree": lambda c=consult, s=sub: c.answer_recording(NOW, s, True),
            "refuse": lambda c=consult, s=sub: c.answer_recording(NOW, s, False),
            "stop": lambda c=consult, s=sub: c.stop_recording(NOW, s),
        }
        try:
            if step == "restart":
                course.restart(NOW)
            else:
                course.do(commands[step]())
        except RemoteProtocolError:
            continue
        recording = course.consult.record.recording
        if recording is not None and recording.state == "running":
            assert would_be(course.facts)
    assert course.read_again().record == course.consult.record
