"""
One decision for each pair of people, denied by default.
"""

import itertools

import pytest

from telerelay.errors import RemoteProtocolError
from telerelay.rooms.participant import Participant
from telerelay.rooms.policy import ROLES, check_role, may_publish, may_subscribe


def participant(name: str, role: str = "patient", is_admitted: bool = True) -> Participant:
    return Participant(name, name, role, is_admitted)


@pytest.mark.parametrize(("hearing", "heard"), list(itertools.product([True, False], repeat=2)))
def test_both_must_be_admitted(hearing: bool, heard: bool) -> None:
    """
    Whoever waits neither hears nor is heard.
    """
    expected = hearing and heard

    assert expected == may_subscribe(participant("a", is_admitted=hearing), participant("b", is_admitted=heard))


@pytest.mark.parametrize(("hearing", "heard"), list(itertools.product(sorted(ROLES), repeat=2)))
def test_every_role_hears_every_other(hearing: str, heard: str) -> None:
    """
    And nobody himself.
    """
    assert may_subscribe(participant("a", hearing), participant("b", heard))
    assert not may_subscribe(participant("a", hearing), participant("a", hearing))


def test_who_may_publish() -> None:
    """
    All but those who only watch.
    """
    assert {"observer", "recorder"} == {role for role in ROLES if not may_publish(participant("a", role))}


@pytest.mark.parametrize("role", ["", "host", "Patient", "admin"])
def test_an_unknown_role_may_nothing(role: str) -> None:
    """
    forbidden, 403, whatever is asked.
    """
    for do in (
        lambda: check_role(role),
        lambda: may_publish(participant("a", role)),
        lambda: may_subscribe(participant("a", role), participant("b")),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            do()
        assert ("forbidden", 403) == (caught.value.code, caught.value.status)
