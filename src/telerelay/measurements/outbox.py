"""
The sender's end: samples get their numbers here and are kept until the relay has acknowledged them.

Sans-I/O. The caller records samples, sends what `next_text` gives as fast as its channel takes it, and hands in what
the relay says. A channel that broke, a relay that began anew and a network that was away change nothing: what is not
acknowledged is sent again, from the first of it.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from telerelay.errors import LocalProtocolError
from telerelay.measurements import schema
from telerelay.measurements.schema import MAX_SAMPLES, Batch, Series, Value

WINDOW_SAMPLES = 16_384
"""Sent and not acknowledged, of one series: a minute of 250 Hz, and less than the relay holds."""
MAX_KEPT_SAMPLES = 20_000_000
"""Of all series together: a day of 250 Hz. What comes beyond is refused, and never what is kept dropped."""

Key = tuple[str, str]
"""Device and series."""


@dataclass(slots=True)
class _Kept:
    series: Series
    base: int = 0
    next: int = 0
    cursor: int = 0
    is_declared: bool = False
    is_refused: bool = False
    batches: list[Batch] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


class Outbox:
    """What one person's devices measured in one room. `receives`: this client also wants what others send."""

    def __init__(self, *, receives: bool = False, max_samples: int = MAX_KEPT_SAMPLES) -> None:
        self._kept: dict[Key, _Kept] = {}
        self._receives = receives
        self._max_samples = max_samples
        self._texts: list[str] = []
        self.is_welcome = False
        """The relay has answered the last hello: the channel is what it should be."""
        self.refusals: list[Mapping[str, Any]] = []
        """What the relay did not take, as it said so."""

    # ---------------------------------------------------------------- what is measured

    def declare(self, series: Series) -> None:
        """There is such a series from now on. Raises LocalProtocolError conflict: another one of that name."""
        key = series.device, series.series
        if key in self._kept and self._kept[key].series != series:
            raise LocalProtocolError("conflict", "there is another series of that name")
        self._kept.setdefault(key, _Kept(series))

    def record(
        self, device: str, series: str, times: Sequence[float], values: Sequence[Value], device_at: float | None = None
    ) -> int:
        """
        Samples that follow the last ones; the number of the first. Of a wave `times` is the time of the first alone.
        Raises LocalProtocolError: not_found (not declared), bad_value, full (so much waits that no more can be kept).
        """
        kept = self._kept.get((device, series))
        if kept is None:
            raise LocalProtocolError("not_found", "the series is not declared")
        is_wave = kept.series.kind == "wave"
        if not values or len(times) != (1 if is_wave else len(values)):
            raise LocalProtocolError("bad_value", "samples need their times: one of a wave, else one each")
        if self.kept_samples + len(values) > self._max_samples:
            raise LocalProtocolError("full", "more samples wait than are kept")
        first = kept.next
        whole = Batch(device, series, first, tuple(times), tuple(values), device_at)
        for at in range(first, whole.end, MAX_SAMPLES):
            part = whole.after(at, kept.series.rate_hz)
            length = min(MAX_SAMPLES, whole.end - at)
            part = replace(part, values=part.values[:length], times=part.times if is_wave else part.times[:length])
            kept.batches.append(part)
            kept.ends.append(part.end)
        kept.next = whole.end
        return first

    @property
    def kept_samples(self) -> int:
        """Not acknowledged yet."""
        return sum(each.next - each.base for each in self._kept.values())

    def positions(self) -> dict[Key, tuple[int, int]]:
        """Of each series: all before the first number are acknowledged, all before the second recorded."""
        return {key: (each.base, each.next) for key, each in self._kept.items()}

    def waiting(self) -> Iterator[tuple[Series, int, tuple[Batch, ...]]]:
        """What is not acknowledged, series by series with its first number: for who keeps it over a restart."""
        for each in self._kept.values():
            yield each.series, each.base, tuple(each.batches)

    # ---------------------------------------------------------------- the channel

    def opened(self) -> None:
        """A channel is open, the first or another one."""
        self._texts = [schema.hello_text(self._receives)]
        self.is_welcome = False
        for each in self._kept.values():
            each.is_declared = False

    def hello(self, text: str) -> None:
        """Say this hello instead of one's own: of a client that receives too, and has something already."""
        self._texts = [text]

    def next_text(self, now_s: float) -> str | None:
        """What to send next, or None; `now_s` is the time by the clock that `times` are of."""
        if self._texts:
            return self._texts.pop(0)
        for each in self._kept.values():
            if each.is_refused:
                continue
            if not each.is_declared:
                each.is_declared = True
                each.cursor = each.base
                return schema.declare_text(each.series, each.base, now_s)
            if each.cursor < each.next and each.cursor - each.base < WINDOW_SAMPLES:
                batch = each.batches[bisect_right(each.ends, each.cursor)]
                each.cursor = batch.end
                return schema.samples_text(replace(batch, sent_at=now_s))
        return None

    def on_text(self, text: str) -> bool:
        """Something came on the channel; False: it is none of this one's affairs. Raises LocalProtocolError."""
        try:
            said = json.loads(text)
            kind = said["type"]
        except (ValueError, TypeError, KeyError):
            raise LocalProtocolError("bad_message", "the relay said what is no measurement message") from None
        match kind:
            case "welcome":
                self.is_welcome = True
            case "again":
                self.opened()
            case "acked":
                self._acked(said)
            case "resend":
                if (kept := self._of(said)) is not None:
                    kept.cursor = min(max(kept.base, int(said["next"])), kept.next)
            case "refused":
                self.refusals.append(said)
                kept = self._of(said)
                # The rest of the series would be refused as well; what is kept of it stays for the caller to look at.
                if kept is not None and said["code"] in ("type_not_allowed", "too_many_series", "conflict"):
                    kept.is_refused = True
            case _:
                return False
        return True

    def acknowledged(self, device: str, series: str, next: int) -> None:
        """All of that series before that number was taken, by another way than a channel."""
        self._acked({"device": device, "series": series, "next": next})

    def _of(self, said: Mapping[str, Any]) -> _Kept | None:
        return self._kept.get((str(said.get("device")), str(said.get("series"))))

    def _acked(self, said: Mapping[str, Any]) -> None:
        kept = self._of(said)
        at = int(said["next"])
        if kept is None or not kept.base < at <= kept.next:
            return
        kept.base = at
        kept.cursor = max(kept.cursor, at)
        gone = bisect_right(kept.ends, at)
        del kept.batches[:gone], kept.ends[:gone]
