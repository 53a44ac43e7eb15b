"""
Who speaks: one at a time, by how loud everybody has been.
"""

from telerelay.adaptation import Speaker

STEP_US = 500_000


def run(speaker: Speaker, *levels: dict[str, int], from_us: int = 0) -> list[str | None]:
    """Who speaks after each half second."""
    found = []
    for at, each in enumerate(levels):
        speaker.on_levels(each, from_us + (at + 1) * STEP_US)
        found.append(speaker.participant)
    return found


ADA, BOB, QUIET = {"ada": 100, "bob": 40}, {"ada": 40, "bob": 100}, {"ada": 40, "bob": 40}


def test_the_first_who_is_loud_speaks_at_once() -> None:
    """
    Nobody does before.
    """
    assert [None, "ada"] == run(Speaker(), QUIET, ADA)


def test_a_cough_takes_nothing_over() -> None:
    """
    Within two seconds of the last change nobody else speaks, and the last one stays in a silence.
    """
    assert ["ada"] * 7 == run(Speaker(), ADA, ADA, BOB, ADA, ADA, QUIET, QUIET)


def test_who_answers_in_a_pause_speaks() -> None:
    """
    Once the one before has had two seconds.
    """
    assert ["ada"] * 4 + ["bob"] == run(Speaker(), ADA, ADA, ADA, ADA, BOB)


def test_of_two_at_once_the_clearly_louder_one_takes_over_after_a_while() -> None:
    """
    Six decibels more for a second; a little more is not enough.
    """
    both, louder = {"ada": 95, "bob": 98}, {"ada": 90, "bob": 100}

    assert ["ada"] * 9 == run(Speaker(), ADA, ADA, ADA, ADA, both, both, both, both, both)
    assert ["ada"] * 6 + ["bob"] == run(Speaker(), ADA, ADA, ADA, ADA, louder, louder, louder)


def test_who_has_left_speaks_no_longer() -> None:
    """
    That is a change, too.
    """
    speaker = Speaker()
    run(speaker, ADA)

    assert speaker.on_levels({"bob": 40}, 9 * STEP_US)
    assert speaker.participant is None
