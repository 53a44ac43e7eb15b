"""What a measurement may be: read strictly, written as it is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from telerelay.errors import RemoteProtocolError
from telerelay.measurements import schema
from telerelay.measurements.schema import Batch, Declare, Got, Hello, Samples, Series, SeriesKey

ECG = Series("ecg-1", "s1", "wave", "ecg", "mV", 250.0, (("loinc", "131328"),))
PULSE = Series("oxi-1", "s2", "value", "heart_rate", "/min")


def refused(text: str) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        schema.read(text)
    return caught.value.code


def samples(**changes: Any) -> str:
    return json.dumps(
        {"type": "samples", "device": "d", "series": "s", "seq": 0, "times": [1.0], "values": [2.0]} | changes
    )


def test_what_is_written_is_read_as_it_was() -> None:
    """Of each message of a client."""
    wave = Batch("ecg-1", "s1", 7, (1800000000.5,), (1, 2.5, None), 12.0, 1800000001.0)
    key = SeriesKey("cab-1", "ecg-1", "s1")

    assert Declare(ECG, 3) == schema.read(schema.declare_text(ECG, 3))
    assert Declare(PULSE) == schema.read(schema.declare_text(PULSE, 0))
    assert Declare(ECG, 3, 1800000001.5) == schema.read(schema.declare_text(ECG, 3, 1800000001.5))
    assert Samples(wave) == schema.read(schema.samples_text(wave))
    assert Hello(True, ((key, 9),)) == schema.read(schema.hello_text(True, {key: 9}))
    assert Hello(False) == schema.read(schema.hello_text(False))
    assert Got(key, 12) == schema.read(schema.got_text(key, 12))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"type":"other"}',
        '{"type":"hello"}',
        '{"type":"hello","receive":1}',
        samples(values=[]),
        samples(values=["1"]),
        samples(values=[True]),
        samples(values=[1e16]),
        samples(times=[]),
        samples(times=[1.0, 2.0]),
        samples(values=[1, 2], times=[2.0, 1.0]),
        samples(seq=-1),
        samples(seq=1.5),
        samples(seq=2**53),
        samples(device=""),
        samples(device="a b"),
        samples(device="x" * 65),
        samples(device="d\u00e9"),
        samples(name="Jeanne"),
        samples(sent_at="now"),
        '{"type":"samples","device":"d","series":"s","seq":0,"times":[NaN],"values":[1]}',
        '{"type":"samples","device":"d","series":"s","seq":0,"seq":1,"times":[1],"values":[1]}',
        '{"type":"series","device":"d","series":"s","kind":"wave","of":"ecg"}',
        '{"type":"series","device":"d","series":"s","kind":"value","of":"x","rate_hz":1}',
        '{"type":"series","device":"d","series":"s","kind":"wave","of":"x","rate_hz":20001}',
        '{"type":"series","device":"d","series":"s","kind":"picture","of":"x"}',
        '{"type":"series","device":"d","series":"s","kind":"value","of":"x","unit":"a\\u0000"}',
        '{"type":"series","device":"d","series":"s","kind":"value","of":"x","codes":{"loinc":1}}',
        '{"type":"got","sub":"","device":"d","series":"s","next":0}',
    ],
)
def test_what_is_no_measurement_is_refused(text: str) -> None:
    """With one code, and nothing taken."""
    assert "bad_message" == refused(text)


def test_a_number_beyond_what_floats_hold_is_refused() -> None:
    """JSON may have it, no instrument does."""
    assert "bad_message" == refused(samples(values=[0]).replace("[0]", "[1" + "0" * 400 + "]"))


def test_a_batch_has_so_many_samples_and_not_one_more() -> None:
    """By the code of what is too large."""
    most = schema.MAX_SAMPLES
    assert isinstance(schema.read(samples(values=[1] * most)), Samples)
    assert "too_large" == refused(samples(values=[1] * (most + 1)))


def test_a_batch_without_its_first_samples_keeps_the_times_of_the_others() -> None:
    """A wave's by its rate, single values' by their own; the instrument's likewise."""
    wave = Batch("d", "s", 10, (100.0,), (1, 2, 3, 4), device_at=5.0)
    values = Batch("d", "s", 10, (100.0, 101.5, 103.0), (1, 2, 3), device_at=5.0)

    assert Batch("d", "s", 12, (100.5,), (3, 4), 5.5) == wave.after(12, 4.0)
    assert Batch("d", "s", 11, (101.5, 103.0), (2, 3), 6.5) == values.after(11, 0.0)
    assert wave is wave.after(10, 4.0)
