"""What may follow on what, of a request for expertise, and what falls due of it."""

import dataclasses

import pytest

from telerelay.consult.facts import RELAY
from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.expertise import record
from telerelay.expertise.facts import KINDS, Answered, Overdue, Reminded, Requested, WentLive, check_request, from_json
from telerelay.expertise.record import ExpertiseStatus

HOUR_S = 3600.0
BEGAN = 1_800_000_000.0
IMAGE = "ab" * 32


def requested(**parts: object) -> Requested:
    return Requested(BEGAN, **{"by": "gp-1", "queue": "skin", "images": (IMAGE,), "question": "mole?", **parts})  # type: ignore[arg-type]


def opened() -> ExpertiseStatus:
    return record.begin("e-1", requested())


def accepted() -> ExpertiseStatus:
    return record.fold(opened(), *record.accept(BEGAN + 1, opened(), "expert-1"))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (19.99, ()),
        (20.0, (Reminded(BEGAN + 20 * HOUR_S, BEGAN + 20 * HOUR_S),)),
        (23.0, (Reminded(BEGAN + 23 * HOUR_S, BEGAN + 20 * HOUR_S),)),
        (24.0, (Overdue(BEGAN + 24 * HOUR_S, BEGAN + 24 * HOUR_S),)),
        (90.0, (Overdue(BEGAN + 90 * HOUR_S, BEGAN + 24 * HOUR_S),)),
    ],
)
def test_what_fell_due_is_told_with_the_time_it_was_due(hours: float, expected: tuple[object, ...]) -> None:
    """
    Of a request that is overdue nobody is reminded any more.
    """
    assert expected == record.due(BEGAN + hours * HOUR_S, opened())


def test_each_falls_due_once() -> None:
    """
    Looked at every hour for four days: one reminder, one overdue.
    """
    status, told = accepted(), []
    for hour in range(96):
        made = record.due(BEGAN + hour * HOUR_S, status)
        status = record.fold(status, *made)
        told += [each.kind for each in made]

    assert ["expertise_reminded", "expertise_overdue"] == told
    assert status.next_due() is None


def test_nothing_is_due_of_what_is_answered() -> None:
    """
    An answer a second before the time is in time.
    """
    status = accepted()
    status = record.fold(status, *record.answer(BEGAN + 24 * HOUR_S - 1, status, "expert-1", "benign"))

    assert () == record.due(BEGAN + 48 * HOUR_S, status)


def test_what_is_overdue_may_still_be_answered() -> None:
    """
    Late is better than never.
    """
    status = record.fold(accepted(), Overdue(BEGAN + 24 * HOUR_S, BEGAN + 24 * HOUR_S))

    assert record.ANSWERED == record.fold(status, *record.answer(BEGAN + 25 * HOUR_S, status, "expert-1", "x")).state


def test_a_clock_behind_the_last_fact_makes_nothing_older() -> None:
    """
    A wall clock that was set back between two processes.
    """
    assert BEGAN + 1 == record.answer(BEGAN - 99, accepted(), "expert-1", "x")[0].at


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda: record.accept(BEGAN + 2, accepted(), "expert-2"), "conflict"),
        (lambda: record.answer(BEGAN + 2, opened(), "expert-1", "x"), "conflict"),
        (lambda: record.answer(BEGAN + 2, accepted(), "expert-2", "x"), "forbidden"),
        (lambda: record.decline(BEGAN + 2, accepted(), "gp-1"), "forbidden"),
        (lambda: record.go_live(BEGAN + 2, opened(), "gp-1", "c-1"), "conflict"),
        (lambda: record.go_live(BEGAN + 2, accepted(), "gp-2", "c-1"), "forbidden"),
    ],
)
def test_what_may_not_be_is_refused(command: object, code: str) -> None:
    """
    By a stable code, and with nothing done.
    """
    with pytest.raises(RemoteProtocolError) as caught:
        command()  # type: ignore[operator]

    assert code == caught.value.code


def test_what_was_given_back_is_accepted_by_another_and_keeps_its_time() -> None:
    """
    Whoever asks waits for an answer, not for one expert's.
    """
    status = record.fold(accepted(), *record.decline(BEGAN + 2, accepted(), "expert-1"))
    status = record.fold(status, *record.accept(BEGAN + 3, status, "expert-2"))

    assert ("expert-2", BEGAN + 24 * HOUR_S) == (status.expert, status.due_at)


def test_one_consult_goes_live_once() -> None:
    """
    Said again after a crash it is no second one.
    """
    status = record.fold(accepted(), *record.go_live(BEGAN + 2, accepted(), "gp-1", "c-1"))

    assert ("c-1",) == status.live
    assert () == record.go_live(BEGAN + 3, status, "gp-1", "c-1")


@pytest.mark.parametrize("fact", [requested(), Answered(BEGAN + 9, "expert-1"), WentLive(BEGAN - 9, "gp-1", "c-1")])
def test_a_fact_that_cannot_follow_is_none(fact: object) -> None:
    """
    A second request, an answer of what nobody accepted, and what is older than the fact before.
    """
    with pytest.raises(LocalProtocolError):
        record.fold(opened(), fact)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {"images": ("x",)},
        {"images": (IMAGE, IMAGE)},
        {"images": tuple(f"{number:064x}" for number in range(17))},
        {"by": ""},
        {"consult": "a/b"},
        {"remind_after_s": 90000.0},
        {"remind_after_s": 0.0},
        {"due_after_s": 1e9},
    ],
)
def test_a_request_that_cannot_be_one_is_refused(changed: dict[str, object]) -> None:
    """
    Hashes that are none, too many of them, times in no order.
    """
    with pytest.raises(RemoteProtocolError, match=r"^(?!.*gp-1)"):
        check_request("e-1", requested(**changed))


def test_every_fact_is_written_and_read_as_it_was() -> None:
    """
    And what was destroyed of it is empty.
    """
    values = {"by": "x-1", "consult": "c-1", "due_at": 5.0, "answer": "benign"}
    for kind, made in KINDS.items():
        names = {each.name for each in dataclasses.fields(made)}
        fact = requested() if made is Requested else made(1.0, **{n: v for n, v in values.items() if n in names})
        wrote, clear, personal = fact.to_json()

        assert (kind, fact) == (wrote, from_json(kind, fact.at, clear, personal))
        assert "benign" not in str(clear)
        assert "mole?" not in str(clear)
    assert "" == from_json("expertise_requested", BEGAN, requested().to_json()[1], None).question  # type: ignore[attr-defined]
    assert RELAY == KINDS["expertise_withdrawn"](1.0).by  # type: ignore[attr-defined]
