"""
The relay's end of all measurements of one room: taken from senders in order, held until everybody has them.

Sans-I/O: what comes in changes the state, what is due is pulled, one text after the other and for each person
(`next_for`), so that nothing piles up before a slow one. A sample is acknowledged to its sender once everybody who
receives has confirmed it and, where the host listens, the host has taken it. Until then its sender keeps it, and so
does this, in memory: nothing of it is on any disk.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from telerelay.bucket import Bucket
from telerelay.errors import RemoteProtocolError
from telerelay.measurements import schema
from telerelay.measurements.mediaclock import MediaClock
from telerelay.measurements.schema import Batch, Declare, Got, Hello, Series, SeriesKey

MAX_REFUSALS = 16
"""Waiting to be told to one person: who is refused more often does not read them."""
MAX_PAST = 16
"""Times the series that one person may have at once: so many that are over are remembered by name beside those."""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    `series` and `samples_per_s` are of one person; `buffer_bytes` of one series, as it is written; `types`: those that
    are taken, none: all.
    """

    series: int = 32
    samples_per_s: float = 10_000.0
    buffer_bytes: int = 524_288
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Position:
    """
    How far a series has got, for a successor of this process. `counted`: samples that were acknowledged, in this room,
    by whatever process.
    """

    sub: str
    series: Series
    acked: int
    counted: int


@dataclass(slots=True)
class _Line:
    """One series as the relay has it; entries are (first number, number after the last, text for receivers)."""

    series: Series
    acked: int
    next: int
    host: int
    counted: int = 0
    skipped_to: int = 0
    entries: list[tuple[int, int, str]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    size_bytes: int = 0
    is_blocked: bool = False
    resend_from: int | None = None
    """What its sender was told to go on at, and did not yet."""
    has_left: bool = False
    """Its sender gave up the seat: one of that name that begins at 0 again is another series."""
    is_declared: bool = True
    """Since its sender's latest hello: one that is not is of a page that was reloaded, and nothing more comes of it."""

    def after(self, position: int) -> tuple[int, int, str] | None:
        """The first entry that holds anything from there on."""
        at = bisect_right(self.ends, position)
        return self.entries[at] if at < len(self.entries) else None

    def drop(self, position: int) -> None:
        """Forget what ends there or before."""
        at = bisect_right(self.ends, position)
        if at:
            self.size_bytes -= sum(len(text) for _, _, text in self.entries[:at])
            del self.entries[:at], self.ends[:at]


@dataclass(slots=True)
class Receiver:
    """Who receives, and how far it was sent and has confirmed each series. `is_here`: it said hello to this process."""

    is_here: bool = False
    sent: dict[SeriesKey, int] = field(default_factory=dict)
    got: dict[SeriesKey, int] = field(default_factory=dict)
    untold: dict[SeriesKey, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Sender:
    rate: Bucket
    clock: MediaClock = field(default_factory=MediaClock)
    unacked: dict[SeriesKey, None] = field(default_factory=dict)
    resends: dict[SeriesKey, None] = field(default_factory=dict)
    is_greeted: bool = True
    """Its last hello was answered."""
    refusals: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_REFUSALS))


class Exchange:
    """One room's. `has_host`: the host takes measurements too, and is waited for."""

    def __init__(self, limits: Limits, *, has_host: bool = False) -> None:
        self._limits = limits
        self._has_host = has_host
        self._lines: dict[SeriesKey, _Line] = {}
        self._past: dict[SeriesKey, _Line] = {}
        self._receivers: dict[str, Receiver] = {}
        self._senders: dict[str, _Sender] = {}
        self._clocks: dict[str, float] = {}  # of those who were here before this process, and said nothing to it yet
        self.dirty: set[str] = set()
        """Subs for whom something may be due; the caller takes them off."""
        self.has_moved = False
        """Whether `positions` say more than when the caller looked last; the caller sets it back."""
        self.over: list[Position] = []
        """Series that made room for others: `positions` does not have them any more. The caller takes them off."""
        self.taken = 0
        self.repeated = 0
        """Samples that came, for the first time and again."""
        self.cut = 0
        """Receivers that were waited for long enough."""
        self.refused: dict[str, int] = {}
        """How often what was refused, by code."""

    # ---------------------------------------------------------------- from one process to the next

    @property
    def receivers(self) -> tuple[str, ...]:
        """Their subs."""
        return tuple(self._receivers)

    def positions(self) -> tuple[Position, ...]:
        return tuple(_position(key, line) for key, line in self._lines.items())

    def clocks(self) -> tuple[tuple[str, float], ...]:
        """Of each who sends, by sub: what is added to a time of theirs to have it by the relay's clock, seconds."""
        known = ((sub, each.clock.offset_s()) for sub, each in self._senders.items())
        return (*self._clocks.items(), *((sub, offset_s) for sub, offset_s in known if offset_s is not None))

    def restore(
        self, receivers: Iterable[str], positions: Iterable[Position], clocks: Iterable[tuple[str, float]] = ()
    ) -> None:
        """As another process left it: those receivers are waited for, until they say hello or leave."""
        self._clocks = dict(clocks)
        for each in positions:
            key = each.series.key(each.sub)
            self._lines[key] = _Line(each.series, each.acked, each.acked, each.acked, each.counted, is_declared=False)
        for sub in receivers:
            self._receivers[sub] = Receiver(got={key: line.acked for key, line in self._lines.items()})

    # ---------------------------------------------------------------- what people say

    def take(self, now: float, our_s: float, sub: str, said: schema.Said) -> bool:
        """
        Something was said by `sub`; `our_s` is the relay's Unix time, as its sender reports have it. False: it comes
        too fast, and is to be offered again later. Raises RemoteProtocolError, which `refuse` can pass on.
        """
        match said:
            case Hello():
                self._sender(now, sub).is_greeted = False
                for key, line in self._lines.items():
                    line.is_declared = line.is_declared and key.sub != sub
                self._hello(sub, said)
            case Declare(series, base, sent_at):
                if sent_at is not None:  # small, and ahead of all that was kept: it hardly waited
                    self._sender(now, sub).clock.told(now, sent_at, our_s)
                self._declare(now, sub, series, base)
            case Got(key, at):
                self._got(sub, key, at)
            case schema.Samples(batch):
                return self._samples(now, our_s, sub, batch)
        return True

    def refuse(self, now: float, sub: str, error: RemoteProtocolError, batch: Batch | Series | None = None) -> None:
        """Something that this person said was not taken."""
        self.refused[error.code] = self.refused.get(error.code, 0) + 1
        self._sender(now, sub).refusals.append(schema.refused_text(error.code, str(error), batch))
        self.dirty.add(sub)

    def left(self, sub: str) -> None:
        """This person is out of the room: nobody waits for it any more. What it sent goes on to the others."""
        self._senders.pop(sub, None)
        self._clocks.pop(sub, None)
        for key, line in (*self._lines.items(), *self._past.items()):
            line.has_left = line.has_left or key.sub == sub
            line.is_declared = line.is_declared and key.sub != sub
        if self._receivers.pop(sub, None) is not None:
            self.has_moved = True
            self._settle_all()

    def lost(self, sub: str) -> None:
        """This person's channel is gone: it says hello on the next one."""
        receiver = self._receivers.get(sub)
        if receiver is not None:
            receiver.is_here = False
            receiver.sent.clear()

    # ---------------------------------------------------------------- what is due

    def next_for(self, sub: str) -> str | None:
        """The next text that is due to this person; asked only when it can be sent."""
        sender = self._senders.get(sub)
        if sender is not None:
            if not sender.is_greeted:
                sender.is_greeted = True
                return schema.WELCOME
            if sender.refusals:
                return sender.refusals.popleft()
            if sender.unacked:
                key, _ = sender.unacked.popitem()
                return schema.acked_text(key.device, key.series, self._lines[key].acked)
            if sender.resends:
                key, _ = sender.resends.popitem()
                self._lines[key].resend_from = self._lines[key].next
                return schema.resend_text(key.device, key.series, self._lines[key].next)
        receiver = self._receivers.get(sub)
        return self._next_of(sub, receiver) if receiver is not None and receiver.is_here else None

    def _next_of(self, sub: str, receiver: Receiver) -> str | None:
        while receiver.untold:
            key = next(iter(receiver.untold))
            del receiver.untold[key]
            return schema.told_series_text(self._lines[key].series, key.sub, receiver.sent[key])
        for key, at in receiver.sent.items():
            entry = self._lines[key].after(at)
            if entry is not None:
                receiver.sent[key] = entry[1]
                return entry[2]
        return None

    # ---------------------------------------------------------------- the host

    def for_host(self) -> Iterator[tuple[SeriesKey, Series, tuple[str, ...]]]:
        """What the host has not taken yet, one series after the other, each from its first such batch on."""
        if not self._has_host:
            return
        for key, line in self._lines.items():
            at = bisect_right(line.ends, line.host)
            if at < len(line.entries):
                yield key, line.series, tuple(text for _, _, text in line.entries[at:])

    def host_has(self, key: SeriesKey, next: int) -> None:
        """The host has taken all before that number."""
        line = self._lines.get(key)
        if line is not None and next > line.host:
            line.host = min(next, line.next)
            self._settle(key, line)

    # ---------------------------------------------------------------- within: receivers

    def _hello(self, sub: str, said: Hello) -> None:
        self.dirty.add(sub)
        if not said.receives:
            if self._receivers.pop(sub, None) is not None:
                self._settle_all()
            self.has_moved = True
            return
        before = self._receivers.get(sub)
        receiver = self._receivers[sub] = Receiver(is_here=True)
        has = dict(said.has)
        for key, line in self._lines.items():
            if key.sub == sub:
                continue
            # What everybody had is forgotten here: whoever has less begins there, and sees the gap in the numbers.
            at = max(has.get(key, before.got.get(key, 0) if before is not None else 0), line.acked)
            receiver.sent[key] = receiver.got[key] = at
            receiver.untold[key] = None
        if before is None:
            self.has_moved = True
        self._settle_all()

    def _got(self, sub: str, key: SeriesKey, at: int) -> None:
        line, receiver = self._lines.get(key), self._receivers.get(sub)
        if line is None or receiver is None or not receiver.is_here:
            return  # of before a restart, or of a series that nobody has any more
        if at > max(line.next, receiver.sent.get(key, 0)):
            raise RemoteProtocolError("bad_message", "more was confirmed than was sent")
        if at > receiver.got.get(key, 0):
            receiver.got[key] = at
            self._settle(key, line)

    # ---------------------------------------------------------------- within: senders

    def _declare(self, now: float, sub: str, series: Series, base: int) -> None:
        key = series.key(sub)
        sender = self._sender(now, sub)
        if self._limits.types and series.type not in self._limits.types:
            raise RemoteProtocolError("type_not_allowed", "this relay does not take measurements of that type")
        line = self._lines.get(key) or self._past.get(key) or _Line(series, base, base, base)
        if line.series != series or (line.has_left and base < line.acked):
            raise RemoteProtocolError("conflict", "there is, or was, another series of that name")
        if key not in self._lines:
            self._make_place(sub)
            self._past.pop(key, None)
            self._lines[key] = line
            for name, receiver in self._receivers.items():
                if name != sub:
                    receiver.got[key] = line.next
                    if receiver.is_here:
                        receiver.sent[key] = line.next
                        receiver.untold[key] = None
                        self.dirty.add(name)
            self.has_moved = True
        if base > line.next:
            # A process before this one acknowledged it: everybody has it.
            self._forward(key, line, base)
        line.is_blocked = line.has_left = False
        line.is_declared = True
        line.resend_from = None
        sender.unacked[key] = None
        sender.resends[key] = None
        self.dirty.add(sub)

    def _make_place(self, sub: str) -> None:
        """
        For one more series of this person: the oldest goes that its sender does not have any more, and everybody has
        all of. Raises RemoteProtocolError too_many_series.
        """
        own = [(key, line) for key, line in self._lines.items() if key.sub == sub]
        if len(own) < self._limits.series:
            return
        over = next((key for key, line in own if not line.is_declared and line.acked == line.next), None)
        past = sum(key.sub == sub for key in self._past)
        if over is None or past >= MAX_PAST * self._limits.series:
            raise RemoteProtocolError("too_many_series", f"a person has at most {self._limits.series} series")
        line = self._past[over] = self._lines.pop(over)
        self.over.append(_position(over, line))
        for receiver in self._receivers.values():
            receiver.sent.pop(over, None)
            receiver.got.pop(over, None)
            receiver.untold.pop(over, None)
        self._senders[sub].unacked.pop(over, None)
        self._senders[sub].resends.pop(over, None)

    def _forward(self, key: SeriesKey, line: _Line, base: int) -> None:
        line.acked = line.next = line.host = base
        line.entries.clear()
        line.ends.clear()
        line.size_bytes = 0
        for receiver in self._receivers.values():
            if key in receiver.got:
                receiver.got[key] = max(receiver.got[key], base)
            if key in receiver.sent:
                receiver.sent[key] = max(receiver.sent[key], base)

    def _samples(self, now: float, our_s: float, sub: str, batch: Batch) -> bool:
        key = batch.key(sub)
        line = self._lines.get(key)
        if line is None:
            raise RemoteProtocolError("unknown_series", "the series was not declared")
        schema.check_shape(line.series, batch)
        sender = self._sender(now, sub)
        if batch.end <= line.next:
            self.repeated += len(batch.values)
            sender.unacked[key] = None
            self.dirty.add(sub)
            return True
        if batch.seq > line.next:
            self._ask_again(sender, sub, key, line)
            return True
        if not sender.rate.take(now, min(len(batch.values), self._limits.samples_per_s)):
            return False
        if batch.sent_at is not None:
            sender.clock.told(now, batch.sent_at, our_s)
        self.repeated += line.next - batch.seq
        fresh = batch.after(line.next, line.series.rate_hz)
        text = schema.samples_text(
            Batch(
                fresh.device,
                fresh.series,
                fresh.seq,
                fresh.times,
                fresh.values,
                fresh.device_at,
                None,
                sender.clock.offset_s(),
            ),
            sub,
        )
        if line.size_bytes + len(text) > self._limits.buffer_bytes and not self._make_room(key, line, len(text)):
            line.is_blocked = True
            return True
        line.entries.append((fresh.seq, fresh.end, text))
        line.ends.append(fresh.end)
        line.size_bytes += len(text)
        line.next = fresh.end
        line.resend_from = None
        self.taken += len(fresh.values)
        for name, receiver in self._receivers.items():
            if key in receiver.sent:
                self.dirty.add(name)
        return True

    def _ask_again(self, sender: _Sender, sub: str, key: SeriesKey, line: _Line) -> None:
        """A gap: its sender goes back, and is told so once for each place."""
        if line.resend_from != line.next and not line.is_blocked:
            sender.resends[key] = None
            self.dirty.add(sub)

    def _make_room(self, key: SeriesKey, line: _Line, size_bytes: int) -> bool:
        """Whoever keeps all others waiting is not waited for any longer; it sees the gap when it is here again."""
        ahead = [each.got.get(key, 0) for each in self._receivers.values() if key in each.got]
        if self._has_host:
            ahead.append(line.host)
        if not ahead or max(ahead) == line.acked:
            return False  # nobody is further
        slow = [sub for sub, each in self._receivers.items() if key in each.got and each.got[key] == line.acked]
        for sub in slow:
            del self._receivers[sub]
            self.cut += 1
        self.has_moved = self.has_moved or bool(slow)
        self._settle_all()
        return line.size_bytes + size_bytes <= self._limits.buffer_bytes

    def _sender(self, now: float, sub: str) -> _Sender:
        found = self._senders.get(sub)
        if found is None:
            rate = self._limits.samples_per_s
            found = self._senders[sub] = _Sender(Bucket(2 * rate, rate, now), MediaClock(self._clocks.pop(sub, None)))
        return found

    # ---------------------------------------------------------------- within: acknowledging

    def _settle_all(self) -> None:
        for key, line in self._lines.items():
            self._settle(key, line)

    def _settle(self, key: SeriesKey, line: _Line) -> None:
        """Acknowledge what everybody has. Where nobody is to have it, nothing is."""
        have = [each.got[key] for each in self._receivers.values() if key in each.got]
        if self._has_host:
            have.append(line.host)
        at = min(min(have, default=line.acked), line.next)
        if at <= line.acked:
            return
        line.counted += at - line.acked
        line.acked = at
        line.drop(at)
        self.has_moved = True
        sender = self._senders.get(key.sub)
        if sender is not None:
            sender.unacked[key] = None
            if line.is_blocked and line.size_bytes <= self._limits.buffer_bytes // 2:
                line.is_blocked = False
                sender.resends[key] = None
            self.dirty.add(key.sub)


def _position(key: SeriesKey, line: _Line) -> Position:
    return Position(key.sub, line.series, line.acked, line.counted)


def counts(positions: Iterable[Position]) -> list[Mapping[str, Any]]:
    """What an attestation says of them: whose, of which device and series, and how many samples were handed over."""
    return [
        {
            "sub": each.sub,
            "device": each.series.device,
            "series": each.series.series,
            "kind": each.series.kind,
            "samples": each.counted,
        }
        for each in positions
        if each.counted
    ]
