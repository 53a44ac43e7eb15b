"""
examples/teleconsultation.py from outside: links, a waiting room, an admission, an end, and a file that verifies.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from support.waiting import until
from telerelay.attest import verify
from telerelay.client import Client

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "teleconsultation.py"


async def test_forty_lines_hold_a_consult(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    The patient waits until the doctor lets him in; the attestation is written once it has ended, and is good.
    """
    monkeypatch.setenv("TELERELAY_UDP_BINDS", "127.0.0.1:0")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("teleconsultation", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    server = TestServer(example.app)
    await server.start_server()
    url = str(server.make_url("/consult"))
    try:
        async with aiohttp.ClientSession() as http:
            async with http.post(server.make_url("/appointments/42")) as response:
                links = await response.json()
            refused = []
            for name in ("42", "forty two"):
                async with http.post(server.make_url(f"/appointments/{name}")) as response:
                    refused.append((response.status, (await response.json())["error"]["code"]))
            tokens = {}
            for role, link in links.items():
                async with http.post(f"{url}/link", json={"link": link.partition("#link=")[2]}) as response:
                    tokens[role] = (await response.json())["token"]
        async with (
            await Client.join(url, tokens["patient"], "42") as patient,
            await Client.join(url, tokens["practitioner"], "42") as doctor,
        ):
            assert (False, True) == (patient.is_admitted, doctor.is_admitted)
            await doctor.request("admit", participant=patient.participant)
            await until(lambda: patient.is_admitted)
            await doctor.request("end")
            written = tmp_path / "attestation-42.json"
            await until(written.exists)
    finally:
        await server.close()

    assert [(409, "conflict"), (400, "bad_consult")] == refused
    verdict = verify(written.read_bytes())
    assert ("42", []) == (verdict.consult, verdict.problems)
    assert len(EXAMPLE.read_text().splitlines()) <= 40
