"""
The receiver's end: every sample once, in the order of its number, and a word where one is missing.

Sans-I/O. The caller hands in what comes on the channel and takes what is fresh out; `next_text` is what to confirm.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.measurements import schema
from telerelay.measurements.schema import Batch, Series, SeriesKey


@dataclass(slots=True)
class _Heard:
    series: Series
    next: int
    told: int


class Inbox:
    """
    `on_batch(sub, series, batch)` gets what is fresh; `on_gap(sub, series, first, next)` that the samples from `first`
    on, those before `next`, will not come: they were handed to others before this client asked for any, or it was away
    for longer than they are held.
    """

    def __init__(
        self,
        on_batch: Callable[[str, Series, Batch], None],
        on_gap: Callable[[str, Series, int, int], None] = lambda sub, series, first, next: None,
    ) -> None:
        self._on_batch = on_batch
        self._on_gap = on_gap
        self._heard: dict[SeriesKey, _Heard] = {}

    def hello(self) -> str:
        """The first word on a channel, and after `again`."""
        # Of more than may be named the latest: of the others it is confirmed one by one how far they came.
        latest = dict(list(self._heard.items())[-schema.MAX_ACKED :])
        for key, each in self._heard.items():
            each.told = each.next if key in latest else 0
        return schema.hello_text(True, {key: each.next for key, each in latest.items()})

    def next_text(self) -> str | None:
        """What to confirm, or None: once for all that came of a series meanwhile."""
        for key, each in self._heard.items():
            if each.told < each.next:
                each.told = each.next
                return schema.got_text(key, each.next)
        return None

    def on_text(self, text: str) -> bool:
        """Something came; False: it is for the sending end. Raises LocalProtocolError bad_message."""
        try:
            said = json.loads(text)
            kind = said.pop("type")
            if kind in ("series", "samples") and "sub" not in said:
                return True  # nobody's: another client's words, by a relay that does not know these channels
            if kind == "series":
                self._series(str(said.pop("sub")), int(said.pop("next")), schema.read_series(said))
            elif kind == "samples":
                self._samples(str(said.pop("sub")), schema.read_batch(said))
            else:
                return False
        except (ValueError, TypeError, KeyError, AttributeError, RemoteProtocolError) as error:
            raise LocalProtocolError("bad_message", "the relay said what is no measurement message") from error
        return True

    def _series(self, sub: str, next: int, series: Series) -> None:
        key = series.key(sub)
        heard = self._heard.get(key)
        if heard is None:
            self._heard[key] = _Heard(series, next, next)
            if next:
                self._on_gap(sub, series, 0, next)
        elif next > heard.next:
            first, heard.next, heard.told = heard.next, next, next
            self._on_gap(sub, series, first, next)

    def _samples(self, sub: str, batch: Batch) -> None:
        heard = self._heard.get(batch.key(sub))
        if heard is None or batch.end <= heard.next:
            return  # it came already
        if batch.seq > heard.next:
            self._on_gap(sub, heard.series, heard.next, batch.seq)
            heard.next = batch.seq
        fresh = batch.after(heard.next, heard.series.rate_hz)
        heard.next = fresh.end
        self._on_batch(sub, heard.series, fresh)
