"""
Who is at which desk: only what changes is told.
"""

from support.courses import START, refused
from telerelay.consult.presence import MAX_PLACES, AtDesk, Desk, Presence


def nobody_is_busy(sub: str) -> bool:
    return False


def doctor(*queues: str, is_away: bool = False) -> Desk:
    return Desk("doc", "practitioner", queues or ("q1",), is_away)


def told(presence: Presence, at: float = START, busy: str = "") -> list[tuple[str, str]]:
    return sorted((each.queue, each.status) for each in presence.look(at, lambda sub: sub == busy))


def test_who_opens_a_desk_is_there_and_who_closes_it_is_gone() -> None:
    """
    At each of its queues, and told once.
    """
    presence = Presence()
    presence.open(1, doctor("q1", "q2"))
    assert [("q1", "available"), ("q2", "available")] == told(presence)
    assert [] == told(presence, START + 1)
    assert (AtDesk("q1", "doc", "practitioner", "available", START),) == presence.at("q1")
    presence.close(1)
    presence.close(1)
    assert [("q1", "gone"), ("q2", "gone")] == told(presence, START + 2)

    assert ((), "gone") == (presence.at("q1"), presence.status("doc"))


def test_who_is_away_or_has_a_patient_is_there_otherwise() -> None:
    """
    Away counts before busy, and each ends by itself.
    """
    presence = Presence()
    presence.open(1, doctor())
    told(presence)
    steps = []
    for is_away, busy in ((False, "doc"), (True, "doc"), (True, ""), (False, "")):
        presence.set_away(1, is_away)
        steps.append(told(presence, START + 1, busy))

    assert [[("q1", "busy")], [("q1", "away")], [], [("q1", "available")]] == steps


def test_who_has_the_desk_open_twice_is_there_if_one_of_them_says_so() -> None:
    """
    And gone when the last one is closed.
    """
    presence = Presence()
    presence.open(1, doctor(is_away=True))
    presence.open(2, doctor())
    assert [("q1", "available")] == told(presence)
    presence.close(2)
    assert [("q1", "away")] == told(presence)
    presence.close(1)
    assert [("q1", "gone")] == told(presence)


def test_one_person_has_so_many_desks_and_no_more() -> None:
    """
    Others are not affected.
    """
    presence = Presence()
    for key in range(MAX_PLACES):
        presence.open(key, doctor())
    with refused("too_many_requests"):
        presence.open("more", doctor())
    presence.open("other", Desk("dora", "practitioner", ("q1",)))

    assert 2 == len(presence.look(START, nobody_is_busy))
