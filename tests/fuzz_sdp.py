"""
Fuzzes what reads SDP, from the offers in tests/data: python tests/fuzz_sdp.py --seconds N (make fuzz-sdp SECONDS=N).

Mutations know the grammar (lines cut, doubled, swapped, moved between offers; values at the edges of their ranges) and
some do not (bytes). Each text goes to the parser, and as an offer to both negotiations, fresh and standing. The oracle:
nothing but RemoteProtocolError with a documented code comes out; a refusal leaves a negotiation as it was; what was
read is written so that it reads the same again; none takes longer than the bound of A41, but for the machine's noise.

A finding ends the run with status 1 and stands in build/fuzz-sdp/, with the seed that made it. One thread, no network.
"""

from __future__ import annotations

import argparse
import copy
import functools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve().parent
for folder in (HERE.parent / "src", HERE / "protocol"):
    sys.path.insert(0, str(folder))

from negotiating import OFFERS, answer_to, counter, local, track  # noqa: E402

from telerelay.errors import RemoteProtocolError  # noqa: E402
from telerelay.protocol import sdp  # noqa: E402
from telerelay.protocol.fragment import IceFragment  # noqa: E402
from telerelay.protocol.negotiation import (  # noqa: E402
    CodecPolicy,
    PublishNegotiation,
    SubscribeNegotiation,
    WhepNegotiation,
)

CODES = frozenset({"bad_sdp", "unsupported_sdp", "no_common_codec", "too_large"})
# A41 allows 5 ms; a text that takes ten times that in the best of three is no noise of the machine.
SLOW_S = 0.05
FOUND = HERE.parent / "build" / "fuzz-sdp"
NUMBERS = ["-1", "0", "1", "15", "16", "96", "127", "128", "255", "256", "4095", "4096", "4351", "4352", "65535"]
NUMBERS += ["65536", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", "9" * 30]
NUMBERS += ["+1", "1_0", "١", "01"]
LINES = [
    "a=mid:0",
    "a=mid:" + "m" * 33,
    "a=group:BUNDLE 0 1",
    "a=group:BUNDLE",
    "a=setup:active",
    "a=setup:holdconn",
    "a=bundle-only",
    "a=rtcp-mux",
    "a=ice-lite",
    "a=inactive",
    "a=crypto:1 x",
    "a=rid:q send pt=96;max-width=1",
    "a=simulcast:send ~q,h;f recv x",
    "a=ssrc-group:FID 1 2",
    "a=ssrc-group:SIM 1 2 3",
    "a=ssrc:1 cname:x",
    "a=extmap:4096/sendonly urn:x",
    "a=fmtp:96 apt=96",
    "a=rtpmap:96 rtx/90000",
    "a=rtcp-fb:* nack",
    "a=sctp-port:5000",
    "a=max-message-size:0",
    "a=candidate:1 1 udp 1 a.local 9 typ host",
    "m=video 0 UDP/TLS/RTP/SAVPF 96",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP6 ::1",
    "b=AS:1",
]
# Twice what is read of a text, and more.
MAX_LINES = 5000
Found = tuple[str, str]
T = TypeVar("T")


def mutated(rng: random.Random, corpus: list[str]) -> str:
    """An offer of the corpus with one to eight changes."""
    lines = rng.choice(corpus).splitlines()
    other = rng.choice(corpus).splitlines()
    for _ in range(rng.randrange(1, 9)):
        at = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(10) if lines else 9:
            case 0:
                del lines[at]
            case 1:
                lines.insert(rng.randrange(len(lines) + 1), lines[at])
            case 2:
                to = rng.randrange(len(lines))
                lines[at], lines[to] = lines[to], lines[at]
            case 3:
                lines.insert(at, rng.choice(other))
            case 4:
                lines[at] = _with_number(rng, lines[at])
            case 5:
                lines[at] = _with_noise(rng, lines[at])
            case 6:
                start = rng.randrange(len(other))
                lines[at:at] = other[start : start + rng.randrange(1, 60)]
            case 7:
                lines[at : at + 1] = [lines[at]] * rng.choice([2, 2, 5, 17, 33, 65, 200, 2000])
            case 8:
                lines[at] = (lines[at] * rng.choice([2, 40, 1000]))[: 2 * sdp.MAX_BYTES]
            case _:
                lines.insert(at, rng.choice(LINES))
        # Multiplied again and again it would be gigabytes of what is cut off below.
        del lines[MAX_LINES:]
    return rng.choice(["\r\n", "\r\n", "\n"]).join(lines)[: 2 * sdp.MAX_BYTES]


def _with_number(rng: random.Random, line: str) -> str:
    """Another number in the place of one of the line's."""
    starts = [n for n, each in enumerate(line) if each.isdigit() and (n == 0 or not line[n - 1].isdigit())]
    if not starts:
        return line + rng.choice(NUMBERS)
    start = end = rng.choice(starts)
    while end < len(line) and line[end].isdigit():
        end += 1
    return line[:start] + rng.choice(NUMBERS) + line[end:]


def _with_noise(rng: random.Random, line: str) -> str:
    """A few bytes scribbled over, put in or cut out, read as UTF-8 as an HTTP body is, or as a JSON string may be."""
    data = bytearray(line.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
    return data.decode("utf-8", rng.choice(["replace", "surrogateescape", "ignore"]))


class Judge:
    """Runs one text through everything and says what is wrong with it."""

    def __init__(self, good: str) -> None:
        policy = CodecPolicy()
        self.outcomes: Counter[str] = Counter()
        self._publishing = (PublishNegotiation(policy), PublishNegotiation(policy))
        self._publishing[1].on_offer(good, local())
        self._receiving = (WhepNegotiation(policy), WhepNegotiation(policy))
        self._receiving[1].on_offer(good.replace("a=sendrecv", "a=recvonly"), local(), counter())
        self._offering = SubscribeNegotiation("cname")
        self._offering.set_tracks([track("a", "audio"), track("b", "video")])
        self._offer_id = self._offering.make_offer(local(), counter()).offer_id
        again = copy.copy(self._offering)
        again._pending = None
        self._answer = answer_to(again.make_offer(local(), counter()).sdp)

    def wrong(self, text: str) -> str:
        """What is wrong, "" for nothing."""
        for check in (self._read, self._fragment, self._publish, self._whep, self._subscribe):
            begun = time.thread_time()
            try:
                wrong = check(text)
            except Exception as error:
                return f"{check.__name__}: {type(error).__name__}: {error}"
            if wrong:
                return f"{check.__name__}: {wrong}"
            if time.thread_time() - begun > SLOW_S and min(_cost_s(check, text) for _ in range(3)) > SLOW_S:
                return f"{check.__name__}: takes longer than {SLOW_S} s"
        return ""

    def _refusal(self, do: Callable[[], object]) -> str:
        try:
            do()
        except RemoteProtocolError as error:
            self.outcomes[error.code] += 1
            return error.code
        self.outcomes["taken"] += 1
        return ""

    def _read(self, text: str) -> str:
        code = self._refusal(lambda: sdp.parse(text))
        if code:
            return "" if code in CODES else f"the code {code}"
        session = sdp.parse(text)
        return "" if session == sdp.parse(sdp.serialise(session)) else "does not read back as it was written"

    def _fragment(self, text: str) -> str:
        code = self._refusal(lambda: IceFragment.parse(text))
        return "" if code in ("", "bad_sdp") else f"the code {code}"

    def _negotiated(self, negotiations: Iterable[T], do: Callable[[T], object]) -> str:
        """Each is asked for itself; after a refusal it holds what it held."""
        for each in negotiations:
            asked = copy.copy(each)
            before = _state(asked)
            code = self._refusal(functools.partial(do, asked))
            if code and code not in CODES:
                return f"the code {code}"
            if code and before != _state(asked):
                return "a refusal changed something"
        return ""

    def _publish(self, text: str) -> str:
        return self._negotiated(self._publishing, lambda each: each.on_offer(text, local()))

    def _whep(self, text: str) -> str:
        turned = text.replace("a=sendonly", "a=recvonly")
        return self._negotiated(self._receiving, lambda each: each.on_offer(turned, local(), counter()))

    def _subscribe(self, text: str) -> str:
        """Lines of the text in those of a good answer; the text alone is hardly ever an answer."""
        lines, spoilt = text.splitlines(), self._answer.splitlines()
        for n in range(0, min(len(lines), 200), 7):
            spoilt[(n * n) % len(spoilt)] = lines[n]
        answer = "\r\n".join(spoilt)
        return self._negotiated([self._offering], lambda each: each.on_answer(self._offer_id, answer))


def _state(negotiation: object) -> dict[str, object]:
    """What a negotiation holds; its containers copied, for they may change."""
    return {name: copy.copy(value) for name, value in vars(negotiation).items()}


def _cost_s(check: Callable[[str], str], text: str) -> float:
    begun = time.thread_time()
    check(text)
    return time.thread_time() - begun


def run(seconds: float, seed: int) -> tuple[int, Counter[str], Found | None]:
    """Texts tried, what came of them, and the first finding: what is wrong, and the text."""
    corpus = [path.read_bytes().decode() for path in sorted(OFFERS.rglob("*.sdp"))]
    rng, judge = random.Random(seed), Judge(corpus[0])
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        text = mutated(rng, corpus)
        count += 1
        if wrong := judge.wrong(text):
            return count, judge.outcomes, (wrong, text)
    return count, judge.outcomes, None


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz what reads SDP.")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same texts")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    count, outcomes, found = run(options.seconds, seed)
    print(f"fuzz_sdp: {count} texts, seed {seed}: {dict(outcomes.most_common())}")
    if found is None:
        return 0
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{seed}-{count}.sdp"
    path.write_bytes(found[1].encode("utf-8", "surrogatepass"))
    print(f"fuzz_sdp: FOUND {found[0]}\nfuzz_sdp: the text is in {path}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
