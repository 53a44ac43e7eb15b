"""
The oracle of the SDP fuzzer finds what it is there to find.
"""

from __future__ import annotations

import pytest

import fuzz_sdp
from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.negotiation import PublishNegotiation
from telerelay.protocol.session import Session

GOOD = (fuzz_sdp.OFFERS / "chromium_audio_video.sdp").read_bytes().decode()


def test_a_good_offer_is_no_finding() -> None:
    """
    Nor is a text that is refused; both are counted.
    """
    judge = fuzz_sdp.Judge(GOOD)

    assert ["", ""] == [judge.wrong(GOOD), judge.wrong("v=0")]
    assert judge.outcomes["taken"] >= 4
    assert judge.outcomes["bad_sdp"] >= 4


def test_the_same_seed_makes_the_same_texts() -> None:
    """
    A finding can be made again.
    """
    made = [[fuzz_sdp.mutated(fuzz_sdp.random.Random(7), [GOOD]) for _ in range(3)] for _ in range(2)]

    assert made[0] == made[1]


@pytest.mark.parametrize("fault", ["exception", "code", "state", "round trip", "time"])
def test_a_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Another exception, an undocumented code, a refusal that changes something, a text that does not read back, one that
    takes too long.
    """
    judge = fuzz_sdp.Judge(GOOD)
    parse, on_offer = sdp.parse, PublishNegotiation.on_offer

    def faulty_parse(text: str, **options: int) -> Session:
        match fault:
            case "exception":
                raise IndexError
            case "code":
                raise RemoteProtocolError("whatever", "")
        return parse(text, **options)

    def faulty_offer(self: PublishNegotiation, *arguments: object) -> object:
        self._version += 1
        return on_offer(self, *arguments)  # type: ignore[arg-type]

    if fault == "state":
        monkeypatch.setattr(PublishNegotiation, "on_offer", faulty_offer)
    elif fault == "time":
        monkeypatch.setattr(fuzz_sdp, "SLOW_S", 0.0)
    elif fault == "round trip":
        other = GOOD.replace("a=mid:1", "a=mid:7").replace("BUNDLE 0 1", "BUNDLE 0 7")
        monkeypatch.setattr(sdp, "serialise", lambda session: other)
    else:
        monkeypatch.setattr(sdp, "parse", faulty_parse)

    assert judge.wrong(GOOD.replace("a=mid:1", "a=mid:0") if fault == "state" else GOOD)
