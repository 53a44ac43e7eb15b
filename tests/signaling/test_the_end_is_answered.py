"""
Whoever ends a consult has the answer before the connection closes, however busy the relay is.
"""

from __future__ import annotations

import pytest

from support.live_relay import MakeLive
from telerelay.signaling import consult_live


async def test_the_answer_comes_before_the_end_without_any_time_between(
    make_live: MakeLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    On a loop that is late every time is over at once: turns of the loop are what counts then.
    """
    monkeypatch.setattr(consult_live, "ANSWERED_S", 0.0)
    live = await make_live()
    await live.schedule()
    doctor = await live.join("doctor")
    reply = await doctor.ask("end")
    ended = await doctor.event("ended")

    assert "reply" == reply["type"]
    assert "ended" == ended["reason"]
    assert 4010 == await doctor.close_code()
