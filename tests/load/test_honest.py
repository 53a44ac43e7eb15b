"""
The report says exactly what a server did wrong: real relay, real peers, and a proxy that counts what it spoils.
"""

from __future__ import annotations

from typing import Any

import pytest

from load.stub import MediaStub
from support.relay_process import RelayProcess
from telerelay.load import report, slo
from telerelay.load.measurement import EngineSettings, Network, RunSettings, Sample
from telerelay.load.profiles import PROFILES, with_values
from telerelay.load.runner import Run
from telerelay.load.targets.websocket import WebSocketTarget
from telerelay.load.targets.whip import WhipTarget
from telerelay.load.tokens import SignedTokens

# Two people of 1.5 Mbit/s send about 400 packets a second: ten seconds hold them all, with room to spare.
SPOILT, DURATION_S = 2000, 10.0


async def load(relay: RelayProcess, stub: MediaStub | None, spoilt: int = 0, **sections: Any) -> dict[str, Any]:
    """One consult, without repair so that loss shows as it is."""
    values = {
        "shape": {"rooms": 1},
        "repair": {"has_nack": False, "has_rtx": False},
        "timing": {"duration_s": DURATION_S, "warmup_s": 1.0},
        **sections,
    }
    settings = RunSettings(
        profile=with_values(PROFILES["consult"], values),
        engine=EngineSettings(max_peers=64),
        network=Network("127.0.0.1", stub.port) if stub else Network(),
        server_pids=(relay.pid,),
    )
    target = WebSocketTarget(relay.url)

    def on_sample(sample: Sample) -> None:
        # Within what is measured: after the warm-up, while everybody receives.
        if stub is not None and sample.at_s > 2.0 and not stub.done and not stub.finished.is_set():
            stub.spoil(spoilt)

    seen = await Run(settings, target, SignedTokens.from_file(relay.key_file), on_sample).measure()
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


async def test_the_report_says_exactly_what_the_server_did(relay: RelayProcess) -> None:
    """
    One in 100 dropped, one in 200 corrupted, others doubled and held back, all 20 ms late: every number is the stub's.
    """
    with MediaStub(relay.udp_address, delay_ms=20.0) as stub:
        found = await load(relay, stub, SPOILT)
        done = dict(stub.done)

    assert (SPOILT, 20, 10) == (done["media"], done["dropped"], done["corrupted"])
    assert done["dropped"] + done["corrupted"] == found["lost"]
    assert done["corrupted"] == found["auth_failures"]
    assert done["doubled"] == found["duplicates"]
    assert done["held"] == found["reordered"]
    assert 0 == found["unaccounted"]
    assert found["sent"] == found["received"] + found["lost"] + found["in_flight"]
    assert 0 == found["media"]["corrupted"]
    assert 20_000 <= found["latency_us"]["p50"] <= 35_000
    assert found["latency_us"]["max"] >= 90_000
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
    with MediaStub(relay.udp_address) as stub:
        found = await load(relay, stub, SPOILT, repair={"has_nack": True, "has_rtx": True}, audio={"is_on": False})
        done = dict(stub.done)

    assert 0 == found["lost"]
    assert done["dropped"] + done["corrupted"] <= found["media"]["repaired"] + done["held"]
    assert found["media"]["nacks"] >= done["dropped"]
    assert 0 == found["unaccounted"]


async def test_the_same_seed_sends_the_same_load(relay: RelayProcess) -> None:
    """
    Packets and bytes of two runs with one seed are alike; another seed's are not.
    """

    async def published(seed: int) -> tuple[int, ...]:
        settings = RunSettings(
            profile=with_values(
                PROFILES["consult"], {"shape": {"rooms": 1}, "timing": {"duration_s": 2, "warmup_s": 1}}
            ),
            seed=seed,
            engine=EngineSettings(max_peers=64, seed=seed),
        )
        run = Run(settings, WebSocketTarget(relay.url), SignedTokens.from_file(relay.key_file), lambda sample: None)
        seen = await run.measure()
        return tuple(visit.publish.streams[0] for visit in seen.visits if visit.publish is not None)

    assert await published(1) == await published(1)


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
