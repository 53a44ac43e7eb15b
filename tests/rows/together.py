"""
Ten rows at once: about fifty people in ten different examples at one relay (examples/together), each row held against
its own bounds while all others go on.

What needs a clock put forward, a worker killed or a relay of its own is not played here: it would be done to all ten.
Pictures are small, for all of them share two cores.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from rows import row_r05, row_r06, row_r08, row_r12, row_r13, row_r14, row_r15, row_r16, row_r21, row_r23
from rows.figures import Figure, is_short
from rows.host import Host
from rows.person import PICTURE
from rows.place import Place, Rounds
from support.starved import Waits

SITES: dict[str, Callable[[Place], Awaitable[list[Figure]]]] = {
    "medipeps": row_r05.beside,
    "booking": row_r06.beside,
    "helloconsult": row_r08.beside,
    "telecabine": row_r12.beside,
    "teleavc": row_r13.beside,
    "scad": row_r14.beside,
    "unite_sanitaire": row_r15.beside,
    "ehpad": row_r16.beside,
    "campaign": row_r21.beside,
    "deserts": row_r23.beside,
}
SMALL = (160, 96, 10)
ROUNDS, SHORT_ROUNDS = 5, 1
# All fifty come from one address, and some of them try on purpose what is forbidden.
ENVIRONMENT = {"TELERELAY_LIMITS_AUTH_FAILURE_BURST": "10000"}


TRIES, SHORT_TRIES = 3, 2
STARVED = 0.5
"""Where one of the processes waited for the processor for that share of some two seconds, as long as a socket may be
silent, and not all was reached, the try is void. Of the last one counts what was counted, and in short no time that was
missed: it is the machine's."""
LOOK_S = 2.0


async def measure() -> list[Figure]:
    """The figures of all ten, row by row. Raises what a row raised."""
    for left in reversed(range(SHORT_TRIES if is_short() else TRIES)):
        waits = Waits()
        looking = asyncio.create_task(waits.look(LOOK_S))
        found, errors = await _once()
        looking.cancel()
        worst = f"{100 * waits.most:.0f} % of {LOOK_S:g} s at worst, usually {100 * waits.usual:.0f} %"
        print(f"TOGETHER  one of its processes waited for the processor for {worst}", file=sys.stderr, flush=True)
        is_reached = not errors and all(each.is_reached for each in found)
        if is_reached or waits.most <= STARVED:
            break
        for what in (*(each.line() for each in found if not each.is_reached), *errors):
            print(f"TOGETHER  void: {what}", flush=True)
        if not left and is_short():
            found = [each for each in found if each.is_reached or not each.unit]
    if errors:
        raise RuntimeError("; ".join(errors))
    return [replace(each, what=f"beside nine other systems: {each.what}") for each in found]


async def _once() -> tuple[list[Figure], list[str]]:
    """Figures, and what was raised instead: the first that is ends all the others."""
    PICTURE.set(SMALL)  # in this task and those it begins
    rounds = Rounds(len(SITES), SHORT_ROUNDS if is_short() else ROUNDS)
    errors: list[str] = []

    async def play(name: str, place: Place) -> list[Figure]:
        try:
            return await SITES[name](place)
        except Exception as error:
            errors.append(f"{name}: {type(error).__name__}: {error} ({_where(error)})")
            raise

    try:
        async with Host("together", environment=ENVIRONMENT) as host, asyncio.TaskGroup() as group:
            playing = [group.create_task(play(name, Place(host, name, rounds))) for name in SITES]
    except Exception as error:  # a group of them, or the host did not come up
        return [], errors or [repr(error)]
    return [each for task in playing for each in task.result()], []


def _where(error: BaseException) -> str:
    """The innermost places of a row that it came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "row_" in frame.filename]
    return ", ".join(f"{Path(frame.filename).stem}:{frame.lineno}" for frame in frames[-2:])
