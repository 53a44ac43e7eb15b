"""
The report says exactly what a server did wrong: real relay, real peers, and a proxy that counts what it spoils.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from load.stub import MediaStub, is_rtp
from support.impairment import UdpImpairment
from support.relay_process import RelayProcess
from support.starved import Starved
from telerelay.load import report, slo
from telerelay.load.measurement import EngineSettings, Network, RunSettings, Sample
from telerelay.load.profiles import PROFILES, with_values
from telerelay.load.runner import Run
from telerelay.load.targets.websocket import WebSocketTarget
from telerelay.load.targets.whip import WhipTarget
from telerelay.load.tokens import SignedTokens

# Enough for each kind of fault to come several times: five seconds of two people's cameras and microphones.
SPOILT = 2000

# What is measured ends once all is spoilt and has settled; a machine that is too busy for that by then has failed.
PATIENCE_S, SETTLING_S = 60.0, 1.5


async def load(relay: RelayProcess, stub: MediaStub | None, **sections: Any) -> dict[str, Any]:
    """One consult, without repair so that loss shows as it is; with a stub, as long as it takes to spoil all."""
    values = {
        "shape": {"rooms": 1},
        "repair": {"has_nack": False, "has_rtx": False},
        "timing": {"duration_s": PATIENCE_S, "warmup_s": 1.0},
        **sections,
    }
    settings = RunSettings(
        profile=with_values(PROFILES["consult"], values),
        engine=EngineSettings(max_peers=64),
        network=Network("127.0.0.1", stub.port) if stub else Network(),
        server_pids=(relay.pid,),
    )
    target = WebSocketTarget(relay.url)
    finished_s = PATIENCE_S

    def on_sample(sample: Sample) -> None:
        nonlocal finished_s
        if stub is None:
            return
        # Within what is measured: after the warm-up, once everybody receives.
        if sample.at_s > 2.0 and sample.totals.media.received > 100 and not stub.done:
            stub.spoil(SPOILT)
        if stub.finished.is_set():
            finished_s = min(finished_s, sample.at_s)
            if sample.at_s > finished_s + SETTLING_S:
                run.interrupt()

    run = Run(settings, target, SignedTokens.from_file(relay.key_file), on_sample)
    seen = await run.measure()
    return report.build(
        settings,
        seen,
        bounds=slo.parse(slo.DEFAULT),
        target=target.name,
        command=[],
        machine="",
        version="",
        started_at="",
    )


PLAYS, LONGEST_S = 5, 0.1


async def spoilt(relay: RelayProcess, delay_ms: float = 0.0, **sections: Any) -> tuple[dict[str, Any], dict[str, int]]:
    """
    The report, and what the stub did. Played anew where all of this stood still meanwhile: what then comes at once is
    more than sockets hold, and is lost in earnest.
    """
    for _ in range(PLAYS):
        with Starved() as starved, MediaStub(relay.udp_address, delay_ms=delay_ms) as stub:
            found, done = await load(relay, stub, **sections), dict(stub.done)
        if max((until - since for since, until in starved.spells), default=0.0) < LONGEST_S:
            break
    return found, done


async def test_the_report_says_exactly_what_the_server_did(relay: RelayProcess) -> None:
    """
    One in 100 dropped, one in 200 corrupted, others doubled and held back, all 20 ms late: every number is the stub's.
    """
    found, done = await spoilt(relay, delay_ms=20.0)

    assert (SPOILT, 20, 10) == (done["media"], done["dropped"], done["corrupted"])
    assert done["dropped"] + done["corrupted"] == found["lost"]
    assert done["corrupted"] == found["auth_failures"]
    assert done["doubled"] == found["duplicates"]
    assert done["held"] == found["reordered"]
    assert 0 == found["unaccounted"]
    assert found["sent"] == found["received"] + found["lost"] + found["in_flight"]
    assert 0 == found["media"]["corrupted"]
    fastest_us = found["latency_cdf"][0][0]
    assert 20_000 <= fastest_us <= 30_000
    assert found["latency_us"]["max"] >= 320_000
    assert not found["slo_met"]


async def test_a_server_that_does_nothing_wrong_is_found_so(relay: RelayProcess) -> None:
    """
    Nothing lost, doubled, reordered or false; nobody failed to join; and the sum is right.
    """
    found = await load(relay, None, timing={"duration_s": 4.0, "warmup_s": 1.0})

    figures = ("lost", "duplicates", "reordered", "auth_failures", "unaccounted", "in_flight")
    assert (0,) * 6 == tuple(found[key] for key in figures)
    assert (2, 0) == (found["joins"]["attempted"], found["joins"]["failed"])
    assert 2 == found["joins"]["both_ways_ms"]["count"]
    assert found["sent"] > 1000
    assert found["server_cpu_ns_per_packet"] > 0
    assert found["generator_cpu_ns_per_packet"] > 0
    assert found["server"]["memory_per_participant_bytes"] is not None


async def test_what_a_server_repairs_is_not_lost(relay: RelayProcess) -> None:
    """
    With resends negotiated, the same spoilt packets arrive after all, and are told apart from those that came at once.
    """
    found, done = await spoilt(relay, repair={"has_nack": True, "has_rtx": True}, audio={"is_on": False})

    assert 0 == found["lost"]
    assert done["dropped"] + done["corrupted"] <= found["media"]["repaired"] + done["held"]
    assert found["media"]["nacks"] >= done["dropped"]
    assert 0 == found["unaccounted"]


async def test_the_same_seed_sends_the_same_load(relay: RelayProcess) -> None:
    """
    The same streams with the same packets, size by size; another seed has others. Nobody watches, so nobody asks for
    keyframes.
    """

    async def sent(seed: int) -> list[list[int]]:
        sizes: dict[int, list[int]] = {}

        def watch(way: str, datagram: bytes) -> None:
            if way == "up" and is_rtp(datagram):
                sizes.setdefault(int.from_bytes(datagram[8:12], "big"), []).append(len(datagram))

        with UdpImpairment(relay.udp_address, watch=watch) as line:
            values = {"shape": {"rooms": 1, "publishers": 1}, "timing": {"duration_s": PATIENCE_S, "warmup_s": 0}}
            settings = RunSettings(
                profile=with_values(PROFILES["consult"], values),
                seed=seed,
                engine=EngineSettings(max_peers=64, seed=seed),
                network=Network("127.0.0.1", line.port),
            )

            def on_sample(sample: Sample) -> None:
                if len(sizes) == 2 and min(map(len, sizes.values())) >= 100:
                    run.interrupt()

            tokens = SignedTokens.from_file(relay.key_file)
            run = Run(settings, WebSocketTarget(relay.url), tokens, on_sample)
            await run.measure()
        return [[ssrc, *sizes[ssrc][:100]] for ssrc in sorted(sizes)]

    first, again, other = await sent(1), await sent(1), await sent(2)

    assert first == again
    assert first[0][1:] != other[0][1:] or first[1][1:] != other[1][1:]


async def test_a_run_that_fails_by_itself_is_no_report(relay: RelayProcess) -> None:
    """
    It ends at once, and raises what it failed by.
    """

    def on_sample(sample: Sample) -> None:
        raise ZeroDivisionError

    values = {"shape": {"rooms": 1}, "timing": {"duration_s": PATIENCE_S, "warmup_s": 0}}
    settings = RunSettings(profile=with_values(PROFILES["consult"], values), engine=EngineSettings(max_peers=64))
    run = Run(settings, WebSocketTarget(relay.url), SignedTokens.from_file(relay.key_file), on_sample)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(PATIENCE_S / 2):
            await run.measure()


@pytest.mark.parametrize("kind", ["whip", "websocket"])
async def test_a_server_that_refuses_is_reported_by_its_code(relay: RelayProcess, kind: str) -> None:
    """
    Tokens of another key: nobody comes in, and the report says why.
    """
    from telerelay.protocol.grants import TokenKeys

    target = (
        WhipTarget(f"{relay.url}/whip/{{room}}", f"{relay.url}/whep/{{room}}")
        if kind == "whip"
        else WebSocketTarget(relay.url)
    )
    settings = RunSettings(
        profile=with_values(PROFILES["consult"], {"shape": {"rooms": 1}, "timing": {"duration_s": 1, "warmup_s": 0}}),
        engine=EngineSettings(max_peers=64),
    )
    seen = await Run(settings, target, SignedTokens(TokenKeys.of(b"x" * 32)), lambda sample: None).measure()

    assert {"whip": {"http_401": 2}, "websocket": {"unauthorized": 2}}[kind] == dict(seen.failures)
