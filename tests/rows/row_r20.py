"""
R20, Assurance maladie: what insurance pays follows from two-way video that was measured, under dated rules of the host.

Two short calls are real: people in processes of their own, seconds counted by the worker, a bill from the signed file.
Calls of ten and twenty minutes are facts with a clock that is an argument (told.py); their files are as real.
"""

from __future__ import annotations

import ast
import re
import tempfile
from pathlib import Path
from typing import Any

from rows.commands import attestations, lines_of, rules_of, verified
from rows.figures import EXAMPLES, Figure, is_short, tries
from rows.told import Call, attested, write
from telerelay import ConsultPlan
from telerelay.attest.sign import write_new_key

HERE = EXAMPLES / "assurance_maladie"
SOURCES = EXAMPLES.parent / "src" / "telerelay"

AT = 1_764_000_000.0
MINUTE_S = 60.0
# What is not certain is not attested, such as a second at either end of a call; clients count in steps of one.
EDGES_S = 3.0
RULES = re.compile(r"reimburs|tariff|billing|care_path|known_doctor|amount_cents|\beur\b", re.IGNORECASE)


async def measure() -> list[Figure]:
    """Plays the example, and judges what is not played."""
    with tempfile.TemporaryDirectory(prefix="telerelay-rows-") as folder:
        real = await _real(Path(folder))
        told = await _told(Path(folder))
    return [
        *real,
        *told,
        _least("names and texts of library code that speak of such a rule", _rules_in(SOURCES), 0, most=True),
        _least("names and texts of the example that do, by the same search", _rules_in(HERE), 1),
    ]


async def _real(folder: Path) -> list[Figure]:
    talk_s = 6.0 if is_short() else 20.0
    video, sound = await lines_of(HERE / "play.py", str(talk_s), folder)
    key = Path(video["key"])
    verdicts = await verified(key, video["file"], sound["file"])
    seen, heard = attestations(video["file"], sound["file"])
    explained = (await lines_of(HERE / "rules.py", video["file"]))[0]
    at_clients_s = min(video["patient"]["video_s"], video["doctor"]["video_s"])
    return [
        _least("real calls whose file does not verify", sum(not each["is_good"] for each in verdicts), 0, most=True),
        _least(
            "real call with pictures: two-way seconds attested, less those at the clients",
            abs(seen["two_way_video_s"] - at_clients_s),
            EDGES_S,
            "s",
            most=True,
        ),
        _least("real call with pictures: bills taken", int(video["bill"]["accepted"]), 1),
        _least("real call by sound: two-way video attested", heard["two_way_video_s"], 0, "s", most=True),
        _least("real call by sound: two-way sound attested", heard["two_way_audio_s"], talk_s - EDGES_S, "s"),
        _least("real call by sound: bills taken", int(sound["bill"]["accepted"]), 0, most=True),
        _least("real call: policies whose outcome has its reason", _explained(explained), 3),
        await _changed(key, Path(video["file"])),
    ]


async def _changed(key: Path, file: Path) -> Figure:
    """One byte of the file is another one, all over it: is it found each time?"""
    count = tries(300)
    verdicts = await verified(key, write(file.with_suffix(".changed"), _changes(file, count)))
    missing = count - len(verdicts)
    good = sum(each["is_good"] for each in verdicts)
    return _least(f"files with one changed byte, of {count}, that verify", good + missing, 0, most=True)


def _changes(file: Path, count: int) -> list[bytes]:
    """That file as so many lines, in each of them another byte is changed."""
    data = file.read_bytes().rstrip(b"\n")
    changed = []
    for n in range(count):
        at = n * len(data) // count
        other = b"y" if data[at : at + 1] == b"x" else b"x"
        changed.append(data[:at] + other + data[at + 1 :] + b"\n")
    return changed


async def _told(folder: Path) -> list[Figure]:
    rules = rules_of("assurance_maladie")
    key_file = folder / "told.key"
    key = write_new_key(key_file)
    register = rules.read_register(HERE / "register.json")

    async def file_of(name: str, policy: str, length_s: float, video_s: float, doctor: str) -> Path:
        plan = ConsultPlan(name, policy=policy, policy_date=rules.POLICIES[policy].date)
        call = Call(plan, AT, length_s, video_s, length_s, doctor=doctor)
        judged = rules.POLICIES[policy]
        document = await attested(call, key, lambda draft: rules.judge(judged, register, draft))
        return write(folder / f"{name}-{policy}.json", [document])

    public = folder / "told.key.pub"
    by_sound = await file_of("sound", "2018", 20 * MINUTE_S, 0.0, "doctor-1")
    by_video = await file_of("video", "2018", 20 * MINUTE_S, 10 * MINUTE_S, "doctor-1")
    same = [await file_of("same", policy, 20 * MINUTE_S, 10 * MINUTE_S, "doctor-2") for policy in rules.POLICIES]
    verdicts = await verified(public, by_sound, by_video, *same)
    (heard, seen), sessions = attestations(by_sound, by_video), attestations(*same)
    bills = [(await lines_of(HERE / "billing.py", public, each))[0] for each in (by_sound, by_video)]
    policies = [each.pop("policy") for each in sessions]
    sentences = {each["reason"] for each in policies if each["reason"]}
    outcomes = {each["policy"]: {"outcome": each["outcome"], "reason": each["reason"]} for each in policies}
    return [
        _least("told calls whose file does not verify", sum(not each["is_good"] for each in verdicts), 0, most=True),
        _least("told call of 20 min of sound: minutes of it attested", heard["two_way_audio_s"] / MINUTE_S, 20, "min"),
        _least(
            "told call of 20 min of sound: requirements met", int(heard["policy"]["claims"]["video_met"]), 0, most=True
        ),
        _least("told call of 20 min of sound: bills taken", int(bills[0]["accepted"]), 0, most=True),
        _least("told call with 10 min of video: requirements met", int(seen["policy"]["claims"]["video_met"]), 1),
        _least("told call with 10 min of video: bills taken", int(bills[1]["accepted"]), 1),
        _least("the same session under 2018, 2020 and Livi: outcomes", len({each["outcome"] for each in policies}), 3),
        _least("the same session: reasons given, each another", min(len(sentences), _explained(outcomes)), 3),
        _least("the same session: what differs beside the policy", _differences(sessions), 0, most=True),
    ]


def _explained(outcomes: dict[str, dict[str, str]]) -> int:
    return sum(bool(each["outcome"] and each["reason"]) for each in outcomes.values())


def _differences(sessions: list[dict[str, Any]]) -> int:
    """Attestations of one session that say something else; the plan names the policy, so their links differ."""
    plain = [{name: value for name, value in each.items() if name != "events"} for each in sessions]
    return sum(each != plain[0] for each in plain[1:])


def _rules_in(folder: Path) -> int:
    """Names and texts of the code there, its own explanations left out, that speak of what is paid and when."""
    found = 0
    for path in folder.rglob("*.py"):
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=word) | ast.Attribute(attr=word) | ast.FunctionDef(name=word) | ast.arg(arg=word):
                    found += bool(RULES.search(word))
                case ast.Constant(value=str(word)) if id(node) not in prose:
                    found += bool(RULES.search(word))
    return found


def _least(what: str, value: float, bound: float, unit: str = "", *, most: bool = False) -> Figure:
    return Figure("R20", what, value, unit, bound, not most, "assurance_maladie")
