"""From a sender's box over the relay into a receiver's: in order, once, none lost, whatever breaks on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerelay.errors import LocalProtocolError, RemoteProtocolError
from telerelay.measurements import Batch, Exchange, Inbox, Limits, Outbox, Series, SeriesKey, schema
from telerelay.measurements.exchange import MAX_PAST, counts

ECG = Series("ecg-1", "s1", "wave", "ecg", "mV", 250.0)
PULSE = Series("oxi-1", "s2", "value", "heart_rate", "/min")


@dataclass
class Person:
    """A client: its two ends, and a line to the relay that may be cut."""

    sub: str
    receives: bool
    outbox: Outbox = field(default_factory=Outbox)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    offsets: list[float | None] = field(default_factory=list)
    gaps: list[tuple[str, int, int]] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    is_up: bool = False

    def __post_init__(self) -> None:
        self.inbox = Inbox(self._take, lambda sub, series, first, next: self.gaps.append((series.type, first, next)))

    def _take(self, sub: str, series: Series, batch: Batch) -> None:
        self.values.setdefault(series.type, []).extend(batch.values)
        self.times.setdefault(series.type, []).extend(batch.times)
        self.offsets.append(batch.media_offset_s)

    def open(self) -> None:
        self.is_up = True
        self.up.clear()
        self.down.clear()
        self.outbox.opened()
        if self.receives:
            self.outbox.hello(self.inbox.hello())

    def cut(self) -> None:
        self.is_up = False
        self.up.clear()
        self.down.clear()

    def say(self, now: float) -> None:
        while self.is_up and (text := self.outbox.next_text(now) or self.inbox.next_text()) is not None:
            self.up.append(text)

    def hear(self) -> None:
        while self.down:
            text = self.down.pop(0)
            is_taken = self.inbox.on_text(text) if self.receives else False
            if not is_taken:
                assert self.outbox.on_text(text)
                if text == schema.HELLO_AGAIN and self.receives:
                    self.outbox.hello(self.inbox.hello())


class Bench:
    """One room. `turn` carries everything one way and the other."""

    def __init__(self, limits: Limits | None = None, *, has_host: bool = False) -> None:
        self.limits, self.has_host = limits or Limits(), has_host
        self.exchange = Exchange(self.limits, has_host=has_host)
        self.people: dict[str, Person] = {}
        self.now = 1000.0
        self.hosted: list[float | None] = []
        self.refusals: list[str] = []
        self.is_host_away = False

    def add(self, sub: str, *, receives: bool = False) -> Person:
        person = self.people[sub] = Person(sub, receives)
        person.open()
        return person

    def turn(self) -> None:
        self.now += 0.1
        for person in self.people.values():
            person.say(self.now)
            while person.up:
                text = person.up[0]
                try:
                    if not self.exchange.take(self.now, self.now, person.sub, schema.read(text)):
                        break
                except RemoteProtocolError as error:
                    self.refusals.append(error.code)
                    self.exchange.refuse(self.now, person.sub, error)
                person.up.pop(0)
        if not self.is_host_away:
            for key, _, texts in list(self.exchange.for_host()):
                for text in texts:
                    batch = schema.read_batch({k: v for k, v in _members(text).items() if k not in ("type", "sub")})
                    self.hosted.extend(batch.values)
                    self.exchange.host_has(key, batch.end)
        for person in self.people.values():
            while person.is_up and (due := self.exchange.next_for(person.sub)) is not None:
                person.down.append(due)
            person.hear()

    def turns(self, count: int = 6) -> None:
        for _ in range(count):
            self.turn()

    def kill(self) -> None:
        """The control process dies with all it had in flight; another one goes on from the notes."""
        receivers, positions, clocks = self.exchange.receivers, self.exchange.positions(), self.exchange.clocks()
        for person in self.people.values():
            person.up.clear()
            person.down.clear()
            if person.is_up:
                person.down.append(schema.HELLO_AGAIN)
        self.exchange = Exchange(self.limits, has_host=self.has_host)
        self.exchange.restore(receivers, positions, clocks)
        for person in self.people.values():
            person.hear()


def _members(text: str) -> dict[str, object]:
    import json

    return dict(json.loads(text))


def measure(person: Person, count: int, at: float = 0.0) -> None:
    person.outbox.declare(ECG)
    person.outbox.declare(PULSE)
    first = person.outbox.positions()["ecg-1", "s1"][1]
    person.outbox.record("ecg-1", "s1", (at,), tuple(range(first, first + count)))
    pulse = person.outbox.positions()["oxi-1", "s2"][1]
    person.outbox.record("oxi-1", "s2", (at,), (60 + pulse,))


def test_samples_reach_everybody_who_receives_and_then_their_sender_forgets_them() -> None:
    bench = Bench()
    cabin, doctor, expert = bench.add("cab"), bench.add("doc", receives=True), bench.add("exp", receives=True)
    measure(cabin, 50)
    bench.turns()

    assert [*range(50)] == doctor.values["ecg"] == expert.values["ecg"]
    assert [60] == doctor.values["heart_rate"]
    assert 0 == cabin.outbox.kept_samples
    assert [] == doctor.gaps


def test_nothing_is_acknowledged_as_long_as_nobody_receives() -> None:
    """And whoever is first to come gets all of it."""
    bench = Bench()
    cabin = bench.add("cab")
    measure(cabin, 50)
    bench.turns()
    kept = cabin.outbox.kept_samples
    doctor = bench.add("doc", receives=True)
    bench.turns()

    assert 51 == kept
    assert [*range(50)] == doctor.values["ecg"]
    assert 0 == cabin.outbox.kept_samples


def test_who_comes_later_gets_what_comes_from_then_on_and_is_told_what_does_not() -> None:
    bench = Bench()
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    measure(cabin, 50)
    bench.turns()
    expert = bench.add("exp", receives=True)
    measure(cabin, 10)
    bench.turns()

    assert [*range(60)] == doctor.values["ecg"]
    assert [*range(50, 60)] == expert.values["ecg"]
    assert [("ecg", 0, 50), ("heart_rate", 0, 1)] == sorted(expert.gaps)


def test_who_is_lost_and_comes_back_misses_nothing_and_hears_nothing_twice() -> None:
    bench = Bench()
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    measure(cabin, 20)
    bench.turns()
    doctor.cut()
    bench.exchange.lost("doc")
    measure(cabin, 20)
    bench.turns()
    kept = cabin.outbox.kept_samples
    doctor.open()
    bench.turns()

    assert 21 == kept
    assert [*range(40)] == doctor.values["ecg"]
    assert 0 == cabin.outbox.kept_samples
    assert [] == doctor.gaps


def test_who_left_for_good_is_not_waited_for() -> None:
    bench = Bench()
    cabin, doctor, expert = bench.add("cab"), bench.add("doc", receives=True), bench.add("exp", receives=True)
    bench.turns()
    expert.cut()
    bench.exchange.lost("exp")
    measure(cabin, 20)
    bench.turns()
    waiting = cabin.outbox.kept_samples
    bench.exchange.left("exp")
    bench.turns()

    assert [*range(20)] == doctor.values["ecg"]
    assert 21 == waiting
    assert 0 == cabin.outbox.kept_samples


def test_the_host_is_waited_for_too() -> None:
    """What it has not taken its sender keeps; what it takes it takes in order."""
    bench = Bench(has_host=True)
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    bench.is_host_away = True
    measure(cabin, 20)
    bench.turns()
    kept, shown = cabin.outbox.kept_samples, list(doctor.values["ecg"])
    bench.is_host_away = False
    bench.turns()

    assert (21, [*range(20)]) == (kept, shown)
    assert [*range(20), 60] == bench.hosted
    assert 0 == cabin.outbox.kept_samples


def test_a_killed_relay_loses_no_sample_and_repeats_none() -> None:
    """Though it held some that nobody had, and had taken others whose acknowledgement was under way."""
    bench = Bench()
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    for _ in range(10):
        measure(cabin, 25)
        cabin.say(bench.now)
        bench.turn()
        measure(cabin, 25)
        cabin.say(bench.now)  # on its way when the process dies
        bench.kill()
        bench.turns(2)
    bench.turns()

    assert [*range(500)] == doctor.values["ecg"]
    assert 0 == cabin.outbox.kept_samples
    assert [] == doctor.gaps
    assert 500 == next(each["samples"] for each in counts(bench.exchange.positions()) if each["kind"] == "wave")


def test_a_successor_waits_for_those_who_received_before() -> None:
    """The sender is back first; its samples are not acknowledged before the receiver is."""
    bench = Bench()
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    measure(cabin, 25)
    bench.turns()
    doctor.cut()
    bench.kill()
    measure(cabin, 25)
    bench.turns()
    kept = cabin.outbox.kept_samples
    doctor.open()
    bench.turns()

    assert 26 == kept
    assert [*range(50)] == doctor.values["ecg"]


def test_one_who_keeps_the_others_waiting_for_too_long_is_given_up_and_sees_the_gap() -> None:
    """Only then; and the others lost nothing."""
    bench = Bench(Limits(buffer_bytes=4000))
    cabin, doctor, expert = bench.add("cab"), bench.add("doc", receives=True), bench.add("exp", receives=True)
    measure(cabin, 5)
    bench.turns()
    expert.cut()
    bench.exchange.lost("exp")
    for _ in range(20):
        measure(cabin, 100)
        bench.turns(3)
    cut = bench.exchange.cut
    expert.open()
    bench.turns()

    assert 1 == cut
    assert [*range(2005)] == doctor.values["ecg"]
    assert 0 == cabin.outbox.kept_samples
    (gap,) = [(first, next) for type, first, next in expert.gaps if type == "ecg"]
    assert [*range(5), *range(gap[1], 2005)] == expert.values["ecg"]
    assert 5 == gap[0]


def test_a_full_buffer_makes_the_sender_wait_and_nobody_lose() -> None:
    """Where there is one receiver, and it is away."""
    bench = Bench(Limits(buffer_bytes=2000))
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    bench.turns()
    doctor.cut()
    bench.exchange.lost("doc")
    for _ in range(20):
        measure(cabin, 100)
        bench.turns(2)
    doctor.open()
    bench.turns(20)

    assert [*range(2000)] == doctor.values["ecg"]
    assert (0, 0) == (cabin.outbox.kept_samples, bench.exchange.cut)


def test_times_come_with_what_makes_them_the_relays() -> None:
    """The sender's clock and the relay's are one in this bench."""
    bench = Bench()
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    measure(cabin, 2, at=77.5)
    bench.turns()

    assert [77.5] == doctor.times["ecg"]
    assert {0.0} == set(doctor.offsets)


def test_the_first_samples_are_placed_by_the_message_ahead_of_them() -> None:
    """A declaration is small; what was kept while nobody answered comes in a burst behind it, and late."""
    exchange = Exchange(Limits())
    exchange.take(1.0, 100.0, "cab", schema.Declare(ECG, 0, 130.0))
    exchange.take(1.2, 100.2, "cab", schema.Samples(Batch("ecg-1", "s1", 0, (125.0,), (1.0,), None, 130.05)))
    exchange.take(1.2, 100.2, "doc", schema.Hello(True))
    texts = [text for text in iter(lambda: exchange.next_for("doc"), None) if '"samples"' in text]

    assert [-30.0] == [_members(text)["media_offset_s"] for text in texts]


def test_a_successor_places_samples_as_the_process_before_it_did() -> None:
    """Its first message was lost and sent again, a second late. Who left takes what was known along."""
    before = Exchange(Limits())
    before.take(1.0, 100.0, "cab", schema.Declare(ECG, 0, 130.0))
    before.take(1.0, 100.0, "gone", schema.Declare(ECG, 0, 140.0))
    exchange = Exchange(Limits())
    exchange.restore(before.receivers, before.positions(), before.clocks())
    assert dict(before.clocks()) == dict(exchange.clocks())
    exchange.left("gone")
    exchange.take(9.0, 108.0, "doc", schema.Hello(True))
    exchange.take(9.0, 108.0, "cab", schema.Declare(ECG, 0, 137.0))
    exchange.take(9.0, 108.0, "cab", schema.Samples(Batch("ecg-1", "s1", 0, (137.0,), (1.0,), None, 137.0)))
    texts = [text for text in iter(lambda: exchange.next_for("doc"), None) if '"samples"' in text]

    assert [-30.0] == [_members(text)["media_offset_s"] for text in texts]
    assert {"cab": -30.0} == dict(exchange.clocks())


def declared(series: Series, base: int = 0) -> schema.Declare:
    return schema.Declare(series, base)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises((RemoteProtocolError, LocalProtocolError)) as caught:
        call()
    return str(caught.value.code)


def test_what_is_refused_has_its_code() -> None:
    """And a sender is told, with the series it is about."""
    exchange = Exchange(Limits(series=1, types=frozenset({"ecg"})))

    assert "type_not_allowed" == code_of(lambda: exchange.take(0, 0, "cab", declared(PULSE)))
    exchange.take(0, 0, "cab", declared(ECG))
    other = Series("ecg-1", "s1", "wave", "ecg", "V", 250.0)
    second = Series("ecg-1", "s9", "wave", "ecg", "mV", 250.0)
    assert "conflict" == code_of(lambda: exchange.take(0, 0, "cab", declared(other)))
    assert "too_many_series" == code_of(lambda: exchange.take(0, 0, "cab", declared(second)))
    unknown = schema.Samples(Batch("ecg-1", "s9", 0, (1.0,), (1,)))
    assert "unknown_series" == code_of(lambda: exchange.take(0, 0, "cab", unknown))
    shapeless = schema.Samples(Batch("ecg-1", "s1", 0, (1.0, 2.0), (1, 2)))
    assert "bad_message" == code_of(lambda: exchange.take(0, 0, "cab", shapeless))
    ahead = schema.Got(SeriesKey("cab", "ecg-1", "s1"), 5)
    exchange.take(0, 0, "doc", schema.Hello(True))
    assert "bad_message" == code_of(lambda: exchange.take(0, 0, "doc", ahead))


def reloaded(bench: Bench, cabin: Person, page: int) -> None:
    """Its page begins anew: what it measures has other names, and numbers from 0."""
    cabin.outbox = Outbox()
    cabin.open()
    for series in (ECG, PULSE):
        fresh = replace(series, series=f"{series.series}.{page}")
        cabin.outbox.declare(fresh)
        cabin.outbox.record(fresh.device, fresh.series, (float(page),), (page,))
    bench.turns()


@pytest.mark.parametrize("kills", [False, True])
def test_a_device_that_is_reloaded_often_measures_on(kills: bool) -> None:
    """
    Series of pages that are gone make room once everybody has all of them, are counted, and keep their names; however
    many there were, a receiver that was away misses nothing.
    """
    bench, pages = Bench(Limits(series=6)), 45
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    counted: dict[SeriesKey, int] = {}
    for page in range(pages // 5):
        for each in range(5):
            reloaded(bench, cabin, 5 * page + each)
            counted |= {
                each.series.key(each.sub): each.counted for each in (*bench.exchange.over, *bench.exchange.positions())
            }
        doctor.cut()
        bench.exchange.lost("doc")
        doctor.open()
        if kills:
            bench.kill()
        bench.turns()

    assert ([], [*range(pages)]) == (bench.refusals, doctor.values["ecg"])
    assert [] == doctor.gaps
    assert 2 * pages == sum(counted.values())
    assert 6 == len(bench.exchange.positions())


def test_what_a_device_has_is_never_what_makes_room() -> None:
    """
    Nor what somebody is still to have, nor what came by a name that was given up: a name means what it meant.
    """
    bench = Bench(Limits(series=2))
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    third = replace(ECG, series="s9")
    measure(cabin, 5)
    bench.turns()
    assert "too_many_series" == code_of(lambda: bench.exchange.take(0, 0, "cab", declared(third)))

    doctor.cut()
    measure(cabin, 5)
    bench.turns()
    bench.exchange.take(0, 0, "cab", schema.Hello(False))
    assert "too_many_series" == code_of(lambda: bench.exchange.take(0, 0, "cab", declared(third)))

    doctor.open()
    bench.turns()
    bench.exchange.left("cab")
    bench.exchange.take(0, 0, "cab", declared(third))
    assert [10] == [each.counted for each in bench.exchange.over]
    assert "conflict" == code_of(lambda: bench.exchange.take(0, 0, "cab", declared(ECG)))
    bench.exchange.take(0, 0, "cab", declared(ECG, 10))
    assert 10 == next(each.counted for each in bench.exchange.positions() if each.series == ECG)


def test_of_more_series_than_a_hello_names_each_is_confirmed_all_the_same() -> None:
    """
    What came and was not confirmed before the channel was cut would else be waited for by its sender for ever.
    """
    inbox = Inbox(lambda sub, series, batch: None)
    many = schema.MAX_ACKED + 2
    for number in range(many):
        about = {"sub": "p", "device": "d", "series": f"s{number}", "kind": "value", "of": "spo2", "unit": "%"}
        inbox.on_text(json.dumps({"type": "series", "next": 0, **about}))
        position = {"sub": "p", "device": "d", "series": f"s{number}", "seq": 0}
        inbox.on_text(json.dumps({"type": "samples", **position, "times": [1.0], "values": [97.0]}))
    hello = json.loads(inbox.hello())
    confirmed = [json.loads(text) for text in iter(inbox.next_text, None)]

    assert [f"s{number}" for number in range(2, many)] == [each["series"] for each in hello["has"]]
    assert [("s0", 1), ("s1", 1)] == [(each["series"], each["next"]) for each in confirmed]


def test_names_that_are_remembered_are_not_without_bound() -> None:
    """
    Who reloads a page hundreds of times has had his series.
    """
    exchange = Exchange(Limits(series=1))

    def reload(page: int) -> None:
        exchange.take(0, 0, "cab", schema.Hello(False))
        exchange.take(0, 0, "cab", declared(replace(ECG, series=f"s1.{page}")))

    for page in range(MAX_PAST + 1):
        reload(page)

    assert "too_many_series" == code_of(lambda: reload(MAX_PAST + 1))


def test_who_left_and_begins_anew_at_0_takes_another_name() -> None:
    """Receivers would take the new samples for those they have."""
    bench = Bench()
    cabin = bench.add("cab")
    bench.add("doc", receives=True)
    measure(cabin, 5)
    bench.turns()
    bench.exchange.left("cab")

    assert "conflict" == code_of(lambda: bench.exchange.take(0, 0, "cab", declared(ECG)))
    assert bench.exchange.take(0, 0, "cab", declared(ECG, 5))


def test_a_refused_series_is_kept_and_said_no_more() -> None:
    bench = Bench(Limits(types=frozenset({"ecg"})))
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    measure(cabin, 5)
    bench.turns(20)

    assert ["type_not_allowed"] == sorted(set(bench.refusals) - {"unknown_series"})
    assert "type_not_allowed" in {each["code"] for each in cabin.outbox.refusals}
    assert [*range(5)] == doctor.values["ecg"]
    assert "heart_rate" not in doctor.values


def test_too_many_samples_wait_and_are_not_lost() -> None:
    bench = Bench(Limits(samples_per_s=100))
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    for _ in range(10):
        measure(cabin, 50)
    bench.turns(2)
    early = len(doctor.values["ecg"])
    bench.turns(60)

    assert early <= 200
    assert [*range(500)] == doctor.values["ecg"]


def test_a_box_that_is_full_says_so_and_drops_nothing() -> None:
    outbox = Outbox(max_samples=10)
    outbox.declare(ECG)
    outbox.record("ecg-1", "s1", (0.0,), range(10))

    assert "full" == code_of(lambda: outbox.record("ecg-1", "s1", (0.0,), (1,)))
    assert 10 == outbox.kept_samples


def test_a_long_recording_is_cut_into_batches_whose_times_go_on() -> None:
    outbox = Outbox()
    outbox.declare(ECG)
    outbox.record("ecg-1", "s1", (10.0,), range(5000))
    ((_, base, batches),) = outbox.waiting()

    assert [(0, 10.0), (2000, 18.0), (4000, 26.0)] == [(each.seq, each.times[0]) for each in batches]
    assert (0, [2000, 2000, 1000]) == (base, [len(each.values) for each in batches])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["measure", "turn", "kill", "cut doc", "cut cab", "open doc", "open cab", "host"])))
def test_whatever_breaks_all_samples_come_once_and_in_order(steps: list[str]) -> None:
    """Cuts of either end, deaths of the relay and a host that is away, in any order."""
    bench = Bench(has_host=True)
    cabin, doctor = bench.add("cab"), bench.add("doc", receives=True)
    bench.turns(2)
    for step in steps:
        match step:
            case "measure":
                measure(cabin, 7)
            case "turn":
                bench.turn()
            case "kill":
                bench.kill()
            case "host":
                bench.is_host_away = not bench.is_host_away
            case _:
                what, who = step.split()
                person = bench.people[who]
                if what == "cut":
                    person.cut()
                    bench.exchange.lost(who)
                else:
                    person.open()
    bench.is_host_away = False
    for person in bench.people.values():
        person.open()
    bench.turns(8)
    expected = [*range(cabin.outbox.positions().get(("ecg-1", "s1"), (0, 0))[1])]

    assert expected == doctor.values.get("ecg", [])
    assert [] == doctor.gaps
    assert 0 == cabin.outbox.kept_samples
    waves = [value for value in bench.hosted if value is not None and value < 7 * len(steps)]
    assert set(expected) <= set(waves)
