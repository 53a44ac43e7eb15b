"""docs/signaling.md lists what the relay says, and nothing it does not."""

import dataclasses
import inspect
import re
from pathlib import Path

from telerelay.consult.plan import ConsultPlan
from telerelay.errors import STATUS_BY_CODE
from telerelay.probe import Found
from telerelay.rooms.policy import ROLES
from telerelay.signaling.booking import Booking
from telerelay.signaling.consults import Consults
from telerelay.signaling.host import CLOSE_CODES
from telerelay.signaling.pages import PAGES
from telerelay.signaling.socket import POLICY_CLOSE
from telerelay.signaling.websocket import _CLOSE_CODES

ROOT = Path(__file__).resolve().parent.parent.parent
DOC = (ROOT / "docs" / "signaling.md").read_text()


def test_every_code_has_its_row_and_status() -> None:
    """
    The table of errors is the table of the code, and holds every code that is raised anywhere in the relay.
    """
    section = DOC.split("### Errors", 1)[1].split("\n## ", 1)[0]
    listed = {code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d+) \|", section, re.MULTILINE)}
    sources = "".join(
        path.read_text()
        for path in (ROOT / "src" / "telerelay").rglob("*.py")
        if not {"client", "load"}.intersection(path.parts)
    )
    raised = set(re.findall(r"RemoteProtocolError\(\s*\"(\w+)\"", sources))

    assert STATUS_BY_CODE | {"timeout": 408} == listed
    assert set() == raised - set(listed)


def test_every_event_is_described() -> None:
    """
    Each type that is ever encoded stands in the table of events.
    """
    code = (ROOT / "src" / "telerelay" / "protocol" / "messages.py").read_text()
    section = DOC.split("### Events", 1)[1].split("### Losing", 1)[0]

    assert set() == {name for name in re.findall(r'"type": "(\w+)"', code) if name not in ("reply", "error")} - set(
        re.findall(r"`(\w+)`", section)
    )


def test_every_message_of_a_desk_is_described() -> None:
    """
    What it may ask, and what it is shown.
    """
    code = (ROOT / "src" / "telerelay" / "protocol" / "desks.py").read_text()
    section = DOC.split("#### Desks", 1)[1].split("\n#### ", 1)[0]
    shown = set(re.findall(r'"type": "(\w+)"', code))
    asked = set(re.findall(r'^    "(\w+)": \(', code, re.MULTILINE))

    assert {"presence", "line", "ringing"} == shown
    assert 6 == len(asked)
    assert set() == {name for name in shown if f"| `{name}` |" not in section}
    assert set() == {name for name in asked if f'{{"type":"{name}",' not in section}


def test_every_message_of_a_probe_is_described() -> None:
    """
    What it may ask, and each member of what it found.
    """
    code = (ROOT / "src" / "telerelay" / "protocol" / "probe.py").read_text()
    section = DOC.split("### Probes", 1)[1].split("\n### ", 1)[0]
    asked = set(re.findall(r'^    "(\w+)": \(', code, re.MULTILINE))
    found = {each.name for each in dataclasses.fields(Found)}

    assert 8 == len(asked)
    assert set() == {name for name in asked if f'{{"type":"{name}"' not in section}
    assert set() == {name for name in found if f"`{name}`" not in section}


def test_a_plan_has_all_its_fields_with_their_defaults() -> None:
    """
    In the table of the host's plan, each on a line of its own or beside its like.
    """
    section = DOC.split("#### A plan", 1)[1].split("\n#### ", 1)[0]
    rows = re.findall(r"^\| (`.+?`) \| (.*?) \|", section, re.MULTILINE)
    named = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    plan = ConsultPlan("c1").to_json()

    assert {each.name for each in dataclasses.fields(ConsultPlan)} == set(named)
    assert {"consult": "c1"} == plan
    for each in dataclasses.fields(ConsultPlan):
        if isinstance(each.default, float):
            assert f"{each.default:.0f}" in named[each.name]


def test_the_host_s_methods_are_listed_as_they_are() -> None:
    """
    By name, with the names of what they take, and a star where nothing is to be awaited.
    """
    section = DOC.split("#### The same in Python", 1)[1].split("\n### ", 1)[0]
    told = re.findall(r"`(booking\.)?(\w+)\(([\w, ]*)\)`( \*)?", section)
    for owner, name, names, star in told:
        method = getattr(Booking if owner else Consults, name)
        taken = [each for each in inspect.signature(method).parameters if each != "self"]

        assert (name, taken) == (name, names.split(", ") if names else [])
        assert (name, bool(star)) == (name, not inspect.iscoroutinefunction(method))
    assert 22 == len(told)


def test_close_codes_roles_and_pages_are_listed() -> None:
    """
    Close codes in their table, roles by name, pages by path.
    """
    section = DOC.split("### Close codes", 1)[1]
    codes = {*_CLOSE_CODES.values(), *CLOSE_CODES.values(), POLICY_CLOSE}

    assert [] == [code for code in sorted(codes) if f"| {code} |" not in section]
    assert [] == [role for role in ROLES if role not in DOC]
    assert [] == [path for path in PAGES if f"`{path}`" not in DOC]
