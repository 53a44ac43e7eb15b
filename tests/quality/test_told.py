"""What is told of a score, and when."""

from telerelay.quality import Quality, Tally, Told


def quality(score: float, cause: str = "") -> Quality:
    return Quality(score, cause, None, None)


def test_only_another_score_or_cause_is_news() -> None:
    """
    The first one is told, then changes of the number shown or of its cause.
    """
    told = Told()
    looks = [quality(5.0), quality(4.8), quality(3.2, "loss"), quality(3.3, "loss"), quality(3.3, "jitter")]

    assert [True, False, True, False, True] == [told.take(each) for each in looks]
    assert (3, "jitter") == (told.score, told.cause)


def test_a_score_on_the_border_does_not_flicker() -> None:
    """
    From 4.45 to 4.55 and back is no news, from 4.3 on it is.
    """
    told = Told()
    assert told.take(quality(4.55))

    assert [False, False, False] == [told.take(quality(each, "delay")) for each in (4.45, 4.55, 4.42)]
    assert told.take(quality(4.3, "delay"))
    assert (4, "delay") == (told.score, told.cause)
    assert not told.take(quality(4.55))
    assert (4, "delay") == (told.score, told.cause)


def test_nothing_to_judge_is_told_once() -> None:
    """
    Who mutes everything loses the sign, and gets it again afterwards.
    """
    told = Told()
    told.take(quality(4.0, "loss"))

    assert [True, False] == [told.forget(), told.forget()]
    assert told.take(quality(4.0, "loss"))


def test_the_tally_knows_numbers_and_nobody() -> None:
    """
    Scores are counted by direction, number and cause.
    """
    tally = Tally()
    for each in (quality(4.9), quality(4.6), quality(2.4, "loss")):
        tally.count("up", each)

    assert {("up", 5, ""): 2, ("up", 2, "loss"): 1} == dict(tally.counts)
