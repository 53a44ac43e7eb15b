"""
R09, Helloconsult, remote photo (D4): a doctor asks for a still, the patient sees who and why, and it comes as the
camera made it, in time, beside a picture that does not stand still.

The patient is behind a line of the netsim's (N1, N2), in a network namespace of its own: still, picture and sound share
it. Relay and doctor are on the other side of it. Needs root.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from rows.dermatology import Call, open_desk
from rows.figures import Figure, p95, tries
from rows.host import Host
from rows.still import Watched
from support.netsim import NamespacePair, Shape

_figure = partial(Figure, "R09", is_least=False, example="helloconsult")

TRIES = 10
ONE_WAY_MS = 25.0
WORDS = {"label": "mole", "reason": "The mole on your left arm, please."}
STARVED_S = 0.2
"""Of a try in which patient or doctor got the processor so much too late: it is tried again, a few times."""
AGAIN = 3
ANSWER_S = 61.0
"""Somebody has 60 s to answer (documents.answer_s)."""


@dataclass(frozen=True, slots=True)
class Network:
    """Rates in bit/s, as seen from the client, and how long a still may take."""

    name: str
    up_bps: float
    down_bps: float
    bound_s: float

    def line(self) -> NamespacePair:
        """The relay's side is "a"."""
        down, up = (Shape(rate_bps=bps, delay_ms=ONE_WAY_MS) for bps in (self.down_bps, self.up_bps))
        return NamespacePair(down, up, seed=9)


NETWORKS = (Network("N1", 10e6, 10e6, 5.0), Network("N2", 2e6, 5e6, 20.0))


async def measure() -> list[Figure]:
    figures = []
    for network in NETWORKS:
        # Its end waits for a process.
        net = await asyncio.to_thread(network.line().__enter__)
        try:
            async with (
                Host("helloconsult", net.address_a, before=net.command("a")) as host,
                Watched(net.command("b")) as patient,
                Watched(net.command("a")) as doctor,
            ):
                await open_desk(host, patient, doctor)
                figures += await _on(network, await Call.begin(host, patient, doctor))
        finally:
            await asyncio.to_thread(net.__exit__)
    return figures


async def _on(network: Network, call: Call) -> list[Figure]:
    await call.show()
    taken: list[dict[str, Any]] = []
    for number in range(tries(TRIES)):
        for _ in range(AGAIN):
            still = await _still(call, number)
            if still["starved_s"] <= STARVED_S:
                break
        taken.append(still)
    # Only what is not about the line needs no second line.
    others = await _others(call) if network is NETWORKS[0] else {}
    attested = await call.end("still_needed")
    signed = {each["sha256"]: each for each in attested["stills"]}
    count = f"p95 of {len(taken)}" if len(taken) > 1 else "of one"
    figures = [
        _figure(
            f"{network.name}: a still of 3 MB is at the doctor's, {count}",
            p95([each["took_s"] for each in taken]),
            "s",
            network.bound_s,
        ),
        _figure(
            f"{network.name}: longest freeze of the patient's picture meanwhile, {count}",
            1000 * p95([each["freeze_s"] for each in taken]),
            "ms",
            500.0,
        ),
        _figure(
            f"{network.name}: stills whose hash is not one at camera, relay, doctor and attestation",
            sum(len({*each["hashes"]}) != 1 or each["hashes"][0] not in signed for each in taken),
            "",
            0.0,
        ),
        _figure(
            f"{network.name}: stills that are not 3264 x 2448, or not larger than a frame of the video",
            sum(not each["is_larger"] for each in taken),
            "",
            0.0,
        ),
        _figure(
            f"{network.name}: requests at the patient's without who asks and why",
            sum(not each["is_told"] for each in taken),
            "",
            0.0,
        ),
    ]
    return [*figures, *_told_apart(others, attested)] if others else figures


async def _asked(call: Call) -> tuple[str, dict[str, Any]]:
    """The doctor asks: the request, and what the patient is told of it."""
    since = len(call.patient.events)
    reply = await call.doctor.request("request_still", participant=call.ids["patient"], **WORDS)
    request = str(reply["request"])
    seen = await call.patient.event("stills", lambda sign: sign["stills"][-1]["request"] == request, since)
    return request, seen["stills"][-1]


async def _ends(call: Call, request: str, state: str) -> dict[str, Any]:
    """What the doctor is told last of it: once it has that state."""

    def found(sign: dict[str, Any]) -> dict[str, Any]:
        return next((each for each in sign["stills"] if each["request"] == request), {})

    sign = await call.doctor.event("stills", lambda sign: found(sign).get("state") == state)
    return {"at": sign["at"], **found(sign)}


async def _sent(call: Call, request: str, seed: int, *, is_frame: bool = False) -> dict[str, Any]:
    """Allowed, taken, sent and fetched."""
    patient, doctor = call.patient, call.doctor
    await patient.request("answer_still", request=request, answer="allowed")
    shot = await patient.take(seed, is_frame=is_frame)
    url = f"{call.relay}/documents"
    sending = asyncio.create_task(patient.send(url, call.tokens["patient"], request, WORDS["label"]))
    told = await _ends(call, request, "taken")
    listed = await doctor.event("documents", lambda sign: any(each["request"] == request for each in sign["documents"]))
    (entry,) = [each for each in listed["documents"] if each["request"] == request]
    had = await doctor.fetch(f"{url}/{told['document']}", call.tokens["doctor"])
    sent = await sending
    return {"shot": shot, "entry": entry, "had": had, "sent": sent}


async def _still(call: Call, seed: int) -> dict[str, Any]:
    """One still, and the patient's picture beside it."""
    request, seen = await _asked(call)
    all_of_it = await _sent(call, request, seed)
    shot, entry, had, sent = (all_of_it[name] for name in ("shot", "entry", "had", "sent"))
    video = await call.doctor.video(sent["began"], had["at"])
    other = await call.patient.video(sent["began"], had["at"])
    return {
        "took_s": had["at"] - sent["began"],
        "freeze_s": video["longest_s"],
        "starved_s": max(video["starved_s"], other["starved_s"]),
        "hashes": (shot["sha256"], entry["sha256"], had["sha256"], had["told"]),
        "is_larger": (had["width"], had["height"]) == (shot["width"], shot["height"]) == (3264, 2448)
        and had["width"] * had["height"] > video["width"] * video["height"] > 0,
        "is_told": (seen["by"], seen["by_role"], seen["reason"], seen["label"], seen["state"])
        == ("doctor-1", "practitioner", WORDS["reason"], WORDS["label"], "asked"),
    }


async def _others(call: Call) -> dict[str, dict[str, Any]]:
    """What else may come of a request, as the doctor is told."""
    refused, _ = await _asked(call)
    await call.patient.request("answer_still", request=refused, answer="refused")
    ends = {"refused": await _ends(call, refused, "refused")}
    late, _ = await _asked(call)
    await call.host.put_forward(ANSWER_S)
    ends["timeout"] = await _ends(call, late, "timeout")
    lesser, _ = await _asked(call)
    sent = await _sent(call, lesser, 100, is_frame=True)
    ends["frame"] = {**await _ends(call, lesser, "taken"), "source": sent["entry"]["source"]}
    return ends


def _told_apart(ends: dict[str, dict[str, Any]], attested: dict[str, Any]) -> list[Figure]:
    found = {(each["state"], each.get("source", "")) for each in ends.values()}
    sources = [each.get("source") for each in attested["stills"]]
    given = [each["is_given"] for each in attested["consents"] if each["what"] == "still"]
    return [
        _figure(
            "refusal, timeout and lesser picture: ends that the doctor can tell apart", len(found), "", 3, is_least=True
        ),
        _figure("lesser pictures not marked as frame for the doctor", float(ends["frame"]["source"] != "frame"), "", 0),
        _figure(
            "lesser pictures marked as frame in the attestation, of 1", sources.count("frame"), "", 1, is_least=True
        ),
        _figure("refusals in the attestation, of 1", given.count(False), "", 1, is_least=True),
    ]
