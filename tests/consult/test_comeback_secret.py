"""Secrets by which somebody is known to belong to a seat that only the journal remembers."""

from dataclasses import replace

import pytest

from telerelay.consult.comeback import SeatSecrets
from telerelay.consult.record import Person

PATIENT = Person("pat", "patient", since=1_800_000_000.25)
SECRETS = SeatSecrets(b"k" * 32)


def test_a_secret_is_its_persons_and_another_each_time() -> None:
    """
    Each one that was made for this arrival is good; none says anything of whoever has it.
    """
    made = [SECRETS.make(PATIENT) for _ in range(3)]

    assert 3 == len(set(made))
    assert [48] * 3 == [len(each) for each in made]
    assert all(SECRETS.is_of(PATIENT, each) for each in made)


@pytest.mark.parametrize(
    "other", [{"sub": "com"}, {"role": "companion"}, {"since": 1_800_000_001.25}, {"sub": "pat\npatient", "role": ""}]
)
def test_a_secret_is_of_no_other_person_role_or_arrival(other: dict[str, object]) -> None:
    """
    Who left and came again has another seat: what led to the one before leads nowhere.
    """
    assert not SECRETS.is_of(replace(PATIENT, **other), SECRETS.make(PATIENT))  # type: ignore[arg-type]


def test_a_secret_of_another_key_is_none() -> None:
    """
    Another consult's, or one made up.
    """
    assert not SECRETS.is_of(PATIENT, SeatSecrets(b"l" * 32).make(PATIENT))


def test_what_was_changed_or_is_no_secret_at_all_is_none() -> None:
    """
    One letter of either half, a piece of it, nothing, and text that is not ASCII.
    """
    made = SECRETS.make(PATIENT)
    changed = [made[:at] + ("A" if made[at] != "A" else "B") + made[at + 1 :] for at in range(len(made))]
    wrong = [*changed, made[:24], made[24:], made + "A", "", "é" * 48, "\ud800" * 48]

    assert [] == [each for each in wrong if SECRETS.is_of(PATIENT, each)]


def test_a_secret_is_not_shown() -> None:
    """
    The key is in no log line by accident.
    """
    assert "SeatSecrets()" == repr(SECRETS)
