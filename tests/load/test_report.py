"""
The report: every field of the contract, right from what was seen, and nothing hidden.
"""

import json
from collections import Counter
from dataclasses import replace

import pytest

from load.reports import SECOND_NS, build, measurement, settings
from telerelay.load import report
from telerelay.load.measure import Tally
from telerelay.load.measurement import Moments, Visit

CONTRACT = {
    "sent",
    "received",
    "lost",
    "in_flight",
    "duplicates",
    "reordered",
    "auth_failures",
    "latency_us",
    "join_ms",
    "server_cpu_ns_per_packet",
    "generator_cpu_ns_per_packet",
    "generator_limited",
    "slo_met",
}


def test_it_has_every_field_of_the_contract() -> None:
    """
    And is plain JSON.
    """
    found = build()

    assert CONTRACT <= found.keys()
    assert {"p50", "p99", "p999", "max"} <= found["latency_us"].keys()
    assert {"p50", "p99"} <= found["join_ms"].keys()
    assert found == json.loads(json.dumps(found, allow_nan=False))


def test_packets_and_processor_time_are_those_that_were_seen() -> None:
    """
    Two seconds of the server over 999 forwarded packets, half a second of the generator's.
    """
    found = build()

    assert (1000, 999, 1, 0, 0) == tuple(found[k] for k in ("sent", "received", "lost", "in_flight", "unaccounted"))
    assert pytest.approx(2e9 / 999) == found["server_cpu_ns_per_packet"]
    assert pytest.approx(5e8 / 999) == found["generator_cpu_ns_per_packet"]
    assert pytest.approx(2.5) == found["generator"]["packets_per_message"]
    assert 2e8 == found["generator"]["control_cpu_ns"]
    assert 1 << 19 == found["server"]["memory_per_participant_bytes"]


def test_joins_are_measured_to_the_first_packet_and_to_both_pictures() -> None:
    """
    From the click, or from when there was somebody to see.
    """
    joins = build()["joins"]

    assert (100.0, 200.0) == (joins["first_media_ms"]["p50"], joins["first_media_ms"]["p99"])
    assert (110.0, 210.0, 210.0) == tuple(joins["both_ways_ms"][key] for key in ("p50", "p99", "max"))
    assert 50.0 == joins["signalled_ms"]["p50"]


def test_a_join_that_is_not_complete_is_not_a_fast_one() -> None:
    """
    Who was not seen has no time both ways, and who waits alone has none at all.
    """
    seen = measurement()
    seen.visits[0].moments.seen_ns = 0
    seen.visits[1].base_ns = 0
    joins = build(seen)["joins"]

    assert (0, 1) == (joins["both_ways_ms"]["count"], joins["first_media_ms"]["count"])


def test_a_failed_join_is_counted_by_its_reason() -> None:
    """
    And is a warning.
    """
    seen = measurement()
    seen.visits[0].moments.failure = "http_503"
    found = build(replace(seen, failures=Counter({"http_503": 1})))

    assert (2, 1, {"http_503": 1}) == tuple(found["joins"][key] for key in ("attempted", "failed", "failures"))
    assert "1 of 2 joins failed: 1 http_503" in found["warnings"]


def test_a_sum_that_is_off_is_the_first_warning() -> None:
    """
    A report that lost packets of its own must say so.
    """
    seen = measurement()
    media = Tally(sent=1000, received=990, lost=3)
    found = build(replace(seen, after=replace(seen.after, media=media)))

    assert 7 == found["unaccounted"]
    assert "off by 7 packets" in found["warnings"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"receive_overflows": 3},
        {"handshake_overflows": 2},
        {"send_errors": 1},
        {"cpu_ns": 9_500_000_000},
        {"late_p99_us": 20_000},
    ],
)
def test_a_generator_that_was_the_limit_says_so(change: dict[str, int]) -> None:
    """
    Packets dropped before it or behind handshakes, a full processor, late frames are its fault, not the server's.
    """
    seen = measurement()
    found = build(replace(seen, end=replace(seen.end, **change)))

    assert found["generator_limited"]
    assert any("generator was the limit" in warning for warning in found["warnings"])
    assert not build()["generator_limited"]


def test_a_machine_that_others_used_too_is_named() -> None:
    """
    Three seconds of work in ten, of which server and generator did 2.7, are nothing; thirteen are.
    """
    seen = measurement()
    found = build(replace(seen, machine_after_ns=13 * SECOND_NS))

    assert pytest.approx(0.03) == build()["others_cpu"]
    assert pytest.approx(1.03) == found["others_cpu"]
    assert any("others on this machine" in warning for warning in found["warnings"])
    assert [] == build()["warnings"]


def test_the_objective_decides() -> None:
    """
    One lost of a thousand is within one percent and not within one in ten thousand.
    """
    assert build(objective="loss<=1%")["slo_met"]
    assert not build(objective="loss<=0.01%")["slo_met"]
    assert [False, True] == [each["is_met"] for each in build(objective="loss<=0.01%,p99<=1ms")["slo"]]


def test_without_a_server_process_its_figures_are_absent_not_zero() -> None:
    """
    None, so that no ratio is made of them.
    """
    found = build(replace(measurement(), server_before=None, server_after=None, server_empty=None))

    assert (None, None) == (found["server"], found["server_cpu_ns_per_packet"])


def test_how_long_it_took_until_all_were_back() -> None:
    """
    From the moment they left to the last one's picture; those who never came back are missing.
    """
    given = settings(timing={"reconnect_every_s": 10, "duration_s": 15})
    seen = measurement(given)
    left_ns = 20 * SECOND_NS
    for person, wait_s in zip(seen.schedule.people, (1, 3), strict=False):
        there = left_ns + wait_s * SECOND_NS
        moments = Moments(click_ns=left_ns, first_packet_ns=there, first_frame_ns=there, seen_ns=there)
        seen.visits.append(Visit(person, moments, base_ns=left_ns, receives=True))
    lost = Visit(seen.schedule.people[0], Moments(click_ns=left_ns), base_ns=left_ns, receives=True)
    seen.visits.append(lost)
    back = build(replace(seen, returns_ns=(left_ns,)), given)["joins"]["back_ms"]

    assert (1000.0, 3000.0, 1) == (back["p50"], back["max"], back["missing"])


def test_no_token_is_kept() -> None:
    """
    The command line is, without what opens a room.
    """
    found = build()

    assert "secret-word" not in json.dumps(found)
    assert "telerelay load http://127.0.0.1:8080 --token … --json" == found["set_up"]["command"]
    assert "a --token=…" == report.redacted(["a", "--token=x"])
    assert "a --token-command … b" == report.redacted(["a", "--token-command", "print x", "b"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://user:word@h:8080/", "http://h:8080/"),
        ("http://h:8080/#word", "http://h:8080/?…"),
        ("https://h/whip/{room}?key=word#part", "'https://h/whip/{room}'?…"),
        ("--whip=http://user@h/w?key=word", "--whip=http://h/w?…"),
        ("https://[::1]:8080/a", "'https://[::1]:8080/a'"),
        ("ws://user:a@b@h", "ws://h"),
    ],
)
def test_of_an_address_neither_user_nor_query_is_kept(given: str, kept: str) -> None:
    """
    Tokens stand there too.
    """
    assert f"load {kept}" == report.redacted(["load", given])


@pytest.mark.parametrize("flag", ["--key-file", "--html", "--profile"])
def test_of_a_file_its_name_is_kept(flag: str) -> None:
    """
    Not whose folder it lies in.
    """
    assert f"load {flag} f.x --json" == report.redacted(["load", flag, "/home/jane/f.x", "--json"])
    assert f"load {flag}=f.x" == report.redacted(["load", f"{flag}=/home/jane/f.x"])


def test_each_second_is_a_row() -> None:
    """
    What was sent, received and lost in it, latency, who was there, processor time.
    """
    first, row = build()["series"]

    assert (1.0, 0, 1, None) == tuple(first[key] for key in ("t", "sent", "joins", "server_cpu"))

    assert (2.0, 1000, 999, 1, 2, 1) == tuple(row[key] for key in ("t", "sent", "received", "lost", "people", "joins"))
    assert (2.0, 0.5, 0.2) == (row["server_cpu"], row["generator_cpu"], row["control_cpu"])
    assert 20 == row["latency_p99_us"]


def test_the_worst_tracks_are_named() -> None:
    """
    By room and receiver, so that a mean hides nobody.
    """
    assert [{"room": 0, "participant": "p0", "kind": "video", "sent": 1000, "lost": 1, "latency_max_us": 0}] == build()[
        "worst"
    ]
