"""
R21, campaign films (D2): 200 waiting patients get one pre-encoded stream, no transcoding; a focus film appears only
from its date and for its topic; what plays stops <= 1 s after admission.

Patients are in a process of their own and stop nothing by themselves; the site's clock is put forward by months.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import Any

from rows.crowd import Crowd
from rows.figures import Figure, is_short, p95
from rows.host import Host
from rows.person import Person
from rows.place import Place

_figure = partial(Figure, "R21", is_least=False, example="campaign")

DAY_S = 86400.0
STAGES = (("heart", 30), ("stroke", 60), ("skin", 90))
"""Topics, and the day each film is released; the base film is from the first day."""
WATCHED_S = 8.0
ENCODER_SHARE = 0.005
"""What one encoder of a small picture takes of a core at the very least: so much for each who watches is an encoder."""


async def measure() -> list[Figure]:
    count = 40 if is_short() else 200
    async with Host("campaign") as host, Person() as secretary, Crowd() as crowd:
        began = host.now
        first = await _watched(host, secretary, crowd, count)
        return [*first, await _staged(host, crowd, began)]


async def beside(place: Place) -> list[Figure]:
    """Beside other systems: ten who wait and watch in each round, two of whom are let in. The clock is everybody's."""
    async with place.people(1) as (secretary,), Crowd() as crowd:
        return await place.rounds(partial(_round, place, secretary, crowd))


async def _round(place: Place, secretary: Person, crowd: Crowd) -> list[Figure]:
    try:
        return await _watched(place, secretary, crowd, 10, is_alone=False)
    finally:
        await crowd.go()


async def _watched(host: Host, secretary: Person, crowd: Crowd, count: int, *, is_alone: bool = True) -> list[Figure]:
    """All of them watch, a fifth are let in while they do. What it costs is the site's where it `is_alone` there."""
    shown = await crowd.come(host.url, count)
    await crowd.watch()
    before_s = _cpu_s(host) if is_alone else 0.0
    await asyncio.sleep(WATCHED_S)
    figures = []
    if is_alone:
        cores = (_cpu_s(host) - before_s) / WATCHED_S
        figures.append(_figure(f"CPU of the site's process while {count} watch", cores, "cores", count * ENCODER_SHARE))
    people = await crowd.report()
    let_in = range(0, count, 5)
    for number in let_in:
        each = people[number]
        await secretary.ask("POST", f"{host.url}/consults/{each['consult']}/admit", {"patient": each["patient"]})
    await asyncio.sleep(2.0)  # a film that did not stop goes on meanwhile, for it has a minute
    after = await crowd.report()
    stopped = [after[number] for number in let_in]
    others = [each for number, each in enumerate(after) if number not in let_in]
    again = [await crowd.again(number) for number in let_in[:3]]
    await crowd.go()
    late = [max(0.0, each["last_at"] - each["admitted_at"]) for each in stopped if each["admitted_at"]]
    heads = {each["head"] for each in after}
    return [
        _figure(
            "who waits and is not shown the base film alone", float(sum(each != "base" for each in shown)), "", 0.0
        ),
        _figure("different films that came, less one, by their first 64 KiB", len(heads) - 1.0, "", 0.0),
        _figure("people who got less than those 64 KiB", float(sum(not each["head"] for each in after)), "", 0.0),
        *figures,
        _figure("let in, and not told so or with a film that has not ended", float(_unended(stopped)), "", 0.0),
        _figure(f"the last byte came behind admission by, p95 of {len(late)}", p95(late), "s", 1.0),
        _figure(
            "films of people who still wait that have ended", float(sum(each["is_over"] for each in others)), "", 0.0
        ),
        _figure(
            "their films' addresses that are good for anything afterwards",
            float(sum(each != 404 for each in again)),
            "",
            0.0,
        ),
    ]


def _unended(people: list[dict[str, Any]]) -> int:
    return sum(not (each["is_over"] and each["admitted_at"]) for each in people)


async def _staged(host: Host, crowd: Crowd, began: float) -> Figure:
    """Day by day of a release: what is shown a minute before it and a minute behind it, for each topic and for none."""
    wrong = 0
    topics = ("", *(topic for topic, _ in STAGES))
    for _, day in STAGES:
        for offset_s in (-60.0, 60.0):
            await host.put_to(began + day * DAY_S + offset_s)
            for topic in topics:
                (shown,) = await crowd.come(host.url, 1, topic)
                films = [
                    "base",
                    *(name for name, at in STAGES if name == topic and day * DAY_S + offset_s > at * DAY_S),
                ]
                wrong += shown != ",".join(films)
            await crowd.go()
    return _figure(
        "a minute before and behind each of three dates, for four topics: shown otherwise", float(wrong), "", 0.0
    )


def _cpu_s(host: Host) -> float:
    """CPU seconds of the example's process so far, by the kernel's count."""
    assert host._process is not None
    fields = Path(f"/proc/{host._process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
