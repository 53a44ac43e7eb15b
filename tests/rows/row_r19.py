"""
R19, Pays Nivernais Morvan (D3): a patient behind a rural line (N3) comes into a visit soon, is heard and hears; when
almost nothing is left of the line the picture is paused, both are told, and it comes back by itself and once.

Patient and doctor are libwebrtc in processes of their own, the patient's in a network namespace behind the line, which
is cut to 100 kbit/s each way and is whole again. Lines and figures are those of benchmarks/lines, where Chromium is put
through the same. What was measured while a client or the line did not get to run is void, and measured again. Needs
root.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from rows.figures import EXAMPLES, Figure, is_short, p95, tries
from rows.host import Host
from rows.process import Failed
from rows.rural import Rural
from support.netsim import NamespacePair
from support.starved import Starved

BENCHMARKS = str(EXAMPLES.parent / "benchmarks")
if BENCHMARKS not in sys.path:
    sys.path.append(BENCHMARKS)

from lines import figures, shapes  # noqa: E402
from lines.recording import Recording, Watched  # noqa: E402

_figure = partial(Figure, "R19", is_least=False, example="nivernais")

VILLAGE, OTHER_VILLAGE = "lormes", "corbigny"
STARVED_S = 0.2
"""Of a client in one set-up, and of a whole visit for each minute: what is longer makes it void."""
VOID = 3
"""As often something is measured anew because a client or the line did not get to run."""
STOPPED_S = 5.0
"""The row's own process lacked so much while a client was cut off: the machine's doing."""
SETTLED_S = 5.0
"""In short, where a visit has a quarter of a minute before the cut: from then on its sound counts."""
ATTESTED_S = 10.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Course:
    """A visit: so many seconds of N3, then of a cut line, then of N3 again."""

    whole_s: float
    cut_s: float
    again_s: float

    @property
    def length_s(self) -> float:
        return self.whole_s + self.cut_s + self.again_s


WHOLE = Course(MINUTE_S, 30.0, MINUTE_S)
SHORT = Course(15.0, 10.0, 20.0)
VISITS = 3
SET_UPS_SHORT = 3


class Line:
    """N3 between the relay and the patient, and what the link says of itself."""

    def __init__(self, seed: int) -> None:
        first = shapes.N3.first
        # Who watches the link has one that is on time.
        self.net = NamespacePair(first.down, first.up, seed, watch=lambda said: None)

    def cut(self) -> None:
        _, cut, _ = shapes.SQUEEZE.steps
        self.net.reshape(cut.down, cut.up)

    def whole(self) -> None:
        self.net.reshape(shapes.N3.first.down, shapes.N3.first.up)

    @property
    def was_late(self) -> bool:
        """After its end: it was not the line it should have been."""
        return self.net.was_late


class Visits:
    """The site, the doctor, and the patient in the village."""

    def __init__(self, host: Host, doctor: Rural, patient: Rural) -> None:
        self.host, self.doctor, self.patient = host, doctor, patient

    async def begin(self, village: str = VILLAGE) -> tuple[float, float]:
        """
        A visit: from the patient's click until each sees the other, seconds; and how long a client did not get to run.
        The doctor is there already, and lets in who comes.
        """
        opened = await self.doctor.ask("POST", f"{self.host.url}/visits", {"village": village})
        links, relay = opened["body"]["links"], f"{self.host.url}/consult"
        await self.doctor.enter(relay, links["practitioner"])
        await self.doctor.send()
        began = time.monotonic()
        await self.patient.enter(relay, links["patient"])
        await self.patient.send(redundant=True)
        seen = await asyncio.gather(self.patient.sees_them(), self.doctor.sees_them())
        return max(each["at"] for each in seen) - began, max(each["starved_s"] for each in seen)

    async def end(self) -> None:
        await self.doctor.request("end")
        await asyncio.gather(self.patient.leave(), self.doctor.leave())

    async def is_registered_weak(self) -> bool:
        """Whether the site knows of a visit of the village in which the line was weak, once it is attested."""
        ends_at = time.monotonic() + ATTESTED_S
        while time.monotonic() < ends_at:
            found = (await self.doctor.ask("GET", f"{self.host.url}/villages"))["body"]
            if found.get(VILLAGE, {}).get("weak_visits"):
                return True
            await asyncio.sleep(0.2)
        return False


async def measure() -> list[Figure]:
    """In short one visit, with a shorter cut, and three set-ups."""
    course, visits = (SHORT, 1) if is_short() else (WHOLE, VISITS)
    took: list[float] = []
    found: list[figures.Figures] = []
    void: list[tuple[float, figures.Figures]] = []
    stopped = 0
    while len(found) < visits and len(void) + stopped < VOID * visits:
        line = Line(len(found) + len(void) + stopped + 1)
        # Its begin and its end wait for processes.
        net = await asyncio.to_thread(line.net.__enter__)
        try:
            with Starved() as starved:
                measured, reasons, starved_s = await _played(net, line, course, took)
        except Failed as error:
            # A machine that stands still for a minute lets sockets go; a relay that does is another thing.
            if starved.total_s <= STOPPED_S:
                raise
            stopped += 1
            print(f"R19  void: the machine stood still for {starved.total_s:.1f} s: {error}", flush=True)
            continue
        finally:
            await asyncio.to_thread(net.__exit__)
        if line.was_late:
            reasons.append("the line was late")
        if reasons:
            print(f"R19  void: {', '.join(reasons)}", flush=True)
            void.append((starved_s, measured))
        else:
            found.append(measured)
    # Where the machine never let them run, of the visits that lacked least.
    void.sort(key=lambda each: each[0])
    found += [each for _, each in void[: visits - len(found)]]
    return _figures(took, found)


async def _played(
    net: NamespacePair, line: Line, course: Course, took: list[float]
) -> tuple[figures.Figures, list[str], float]:
    """One visit: its figures, why it is void, and how long a client did not get to run. The first has set-ups first."""
    async with (
        Host("nivernais", net.address_a, before=net.command("a")) as host,
        Rural(net.command("a")) as doctor,
        Rural(net.command("b")) as patient,
    ):
        await doctor.let_in()
        site = Visits(host, doctor, patient)
        if not took:
            took += await _set_ups(site)
        starved_s, run, is_registered = await _visit(site, line, course)
    measured = of_visit(run, course) | {"unregistered": float(not is_registered)}
    return measured, void_reasons(run, starved_s), starved_s


async def _set_ups(site: Visits) -> list[float]:
    """Each from a patient who is not there to pictures both ways."""
    took = []
    for _ in range(SET_UPS_SHORT if is_short() else tries()):
        tried = []
        for _ in range(VOID):
            tried.append((await site.begin(OTHER_VILLAGE))[::-1])
            await site.end()
            if tried[-1][0] <= STARVED_S:
                break
        took.append(min(tried)[1])
    return took


async def _visit(site: Visits, line: Line, course: Course) -> tuple[float, Recording, bool]:
    """
    One visit with its cut: how long a client did not get to run, what both counted, and whether the site's register
    knows that the line was weak.
    """
    await site.begin()
    ends = (site.patient, site.doctor)
    await asyncio.gather(*(each.keep() for each in ends))
    began_at = time.time()
    for at_s, change in ((course.whole_s, line.cut), (course.whole_s + course.cut_s, line.whole)):
        await asyncio.sleep(began_at + at_s - time.time())
        change()
    await asyncio.sleep(began_at + course.length_s - time.time())  # it is this that is looked at
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("patient", "doctor")]
        kept = await asyncio.gather(*(each.kept(file) for each, file in zip(ends, files, strict=True)))
        patient, doctor = (Watched(**json.loads(file.read_text())) for file in files)
    await site.end()
    is_registered = await site.is_registered_weak()
    run = Recording(
        "squeeze",
        True,
        joined_at=began_at,
        began_at=began_at,
        ended_at=began_at + course.length_s,
        is_seen=True,
        browser=patient,
        peers={"doctor": doctor},
        link_report={"late_ms_p99": 0.0, "late_ms_most": 0.0},  # judged when it has ended
    )
    return max(each["starved_s"] for each in kept), run, is_registered


def void_reasons(run: Recording, starved_s: float) -> list[str]:
    """Why a visit says nothing."""
    most_s = STARVED_S * (run.ended_at - run.began_at) / MINUTE_S
    own = [f"a client did not get to run for {starved_s:.2f} s"] if starved_s > most_s else []
    return own + figures.void_reasons(run)


def of_visit(run: Recording, course: Course) -> figures.Figures:
    """What is asked of one visit, by name; None: it never happened."""
    patient, doctor = run.browser, run.peers["doctor"]
    cut = run.began_at + course.whole_s
    back = cut + course.cut_s
    heard_from = run.began_at + (SETTLED_S if course is SHORT else 0.0)
    squeezed = figures.squeeze_figures(run, cut, back)
    signs = [sign for _, sign in patient.signs if sign["type"] == "track_state"]
    seen_by = [sign for _, sign in doctor.signs if sign["type"] == "seen_by"]
    resized = [
        figures.resized(patient, rows, run.began_at, run.ended_at)
        for rows in figures.series(patient, "inbound-rtp", "video").values()
    ]
    told = [squeezed["told_after_s"], squeezed["told_other_after_s"]]
    return {
        "down_pct": figures.concealed_pct(patient, heard_from, cut),
        "up_pct": figures.concealed_pct(doctor, heard_from, cut),
        "paused_s": squeezed["paused_after_s"],
        "told_s": None if None in told else max(each for each in told if each is not None),
        "untold": float(len({"paused", "live"} - {sign["state"] for sign in signs}))
        + len({"paused", "live"} - {sign["state"] for sign in seen_by}),
        "back_s": squeezed["back_after_s"],
        "changes": float(len(signs)),
        "switches": (len(signs) + max(resized, default=0)) * MINUTE_S / course.length_s,
    }


def _middle(found: Sequence[figures.Figures], name: str) -> float:
    """The median over the visits; what never happened is worse than any number, and none at all no number."""
    value = figures.median(found).get(name)
    return math.inf if value is None else value


def _figures(took: Sequence[float], found: Sequence[figures.Figures]) -> list[Figure]:
    many = f", median of {len(found)} visits" if len(found) > 1 else ""
    of_short = ", from its fifth second on" if is_short() else ""
    until = f"N3, until the line is cut{of_short}{many}"
    set_up, how = (median(took), "median") if is_short() else (p95(took), "p95")
    middle = partial(_middle, found)
    lasts_s = (SHORT if is_short() else WHOLE).cut_s
    rate = _figure(f"switches a minute, sizes that the sender chose included{many}", middle("switches"), "", 2.0)
    return [
        _figure(f"N3: from the patient's click to pictures both ways, {how} of {len(took)}", set_up, "s", 6.0),
        _figure(f"{until}: sound made up at the patient's", middle("down_pct"), "%", 2.0),
        _figure(f"{until}: sound made up at the doctor's", middle("up_pct"), "%", 2.0),
        _figure(f"cut to 100 kbit/s: the picture is paused{many}", middle("paused_s"), "s", 3.0),
        _figure(f"… both ends are told, while the line is cut{many}", middle("told_s"), "s", lasts_s),
        _figure(f"… of both ends and both signs, paused and there again: not told{many}", middle("untold"), "", 0.0),
        _figure(f"512 kbit/s again: the picture is back{many}", middle("back_s"), "s", 12.0),
        _figure(f"times that the picture went or came back, of one cut{many}", middle("changes"), "", 2.0),
        _figure(
            f"visits with a cut that the site's register does not call weak{many}", middle("unregistered"), "", 0.0
        ),
        *([] if is_short() else [rate]),
    ]
