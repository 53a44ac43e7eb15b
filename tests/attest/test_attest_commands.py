"""
The commands `telerelay attest`, `journal` and `report` do what the library does, and exit as they should.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.journal import Said
from support.told_consult import START, told_consult
from telerelay import cli
from telerelay.attest import Attestor, SigningKey
from telerelay.journal import Journal

NOW = START + 2000.0
CANARY = "canary-of-a-symptom"


@dataclass
class Place:
    folder: Path
    journal: Path
    key: Path
    config: Path

    def args(self) -> list[str]:
        return ["--config", str(self.config)]


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    """A journal of two attested consults and an open one, its key, and a configuration that names both."""
    place = Place(tmp_path, tmp_path / "journal.db", tmp_path / "attest.key", tmp_path / "relay.toml")
    assert 0 == cli.main(["attest", "--new-key", str(place.key)])
    place.config.write_text(f'[journal]\npath = "{place.journal}"\n[attest]\nkey_file = "{place.key}"\n')

    async def write() -> None:
        key = SigningKey.load(place.key)
        journal = await Journal.of_file(str(place.journal), lambda: NOW, key)
        attestor = Attestor(journal, key, lambda: NOW)
        await attestor.open()
        for consult in ("c1", "c2"):
            await journal.append(consult, told_consult(consult, note=CANARY))
            made = await attestor.attest(await attestor.draft(consult))
            await journal.append(consult, [Said(NOW, "attested", {"digest": made.digest, "key_id": made.key_id})])
        await journal.append("open", told_consult("open")[:4])
        await journal.store.close()

    asyncio.run(write())
    capsys.readouterr()
    return place


def out(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    result: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return result


def test_a_new_key_is_for_its_owner_alone(place: Place) -> None:
    """
    The private half has mode 0600, the public half lies beside it, and nothing is overwritten.
    """
    assert 0o600 == place.key.stat().st_mode & 0o777
    assert "PUBLIC" in (place.folder / "attest.key.pub").read_text()
    assert 1 == cli.main(["attest", "--new-key", str(place.key)])
    assert 2 == cli.main(["attest"])


def test_what_is_exported_can_be_verified(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Line by line or a file each; with the public key it is trusted.
    """
    assert 0 == cli.main(["attest", "export", *place.args()])
    lines = capsys.readouterr().out
    many = place.folder / "all.jsonl"
    many.write_text(lines)
    assert 0 == cli.main(["attest", "export", *place.args(), "--out", str(place.folder / "out"), "--json"])
    assert 2 == out(capsys)["attestations"]
    one = place.folder / "out" / "c1.json"
    assert one.read_text() == lines.splitlines(keepends=True)[0]
    assert 0 == cli.main(["attest", "verify", str(many), str(one), "--key", f"{place.key}.pub", "--json"])
    result = out(capsys)

    assert result["is_good"]
    assert [("c1", True), ("c2", True), ("c1", True)] == [(e["consult"], e["is_trusted"]) for e in result["files"]]
    assert CANARY not in lines


def test_what_was_signed_by_a_key_that_was_replaced_is_exported_with_that_key(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The file needs nothing beside it, whichever key the configuration names by now, or none.
    """
    old = place.key.rename(place.folder / "old.key")
    (place.folder / "attest.key.pub").rename(place.folder / "old.key.pub")
    assert 0 == cli.main(["attest", "--new-key", str(place.key)])
    for args in (place.args(), ["--journal", str(place.journal)]):
        capsys.readouterr()
        assert 0 == cli.main(["attest", "export", *args, "--consult", "c1"])
        file = place.folder / "c1.json"
        file.write_text(capsys.readouterr().out)

        assert 0 == cli.main(["attest", "verify", str(file)])
        assert 0 == cli.main(["attest", "verify", str(file), "--key", f"{old}.pub"])
        assert 1 == cli.main(["attest", "verify", str(file), "--key", f"{place.key}.pub"])


def test_a_changed_attestation_is_told_with_its_first_broken_link(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Exit 1, the fact's number in words and in JSON.
    """
    cli.main(["attest", "export", *place.args(), "--out", str(place.folder)])
    capsys.readouterr()
    path = place.folder / "c1.json"
    path.write_text(
        path.read_text().replace('"reason":"x"', "").replace('"what":"third_party"', '"what":"recording"', 2)
    )
    assert 1 == cli.main(["attest", "verify", str(path), "--json"])
    captured = capsys.readouterr()
    result = json.loads(captured.out)

    assert (False, 8) == (result["is_good"], result["files"][0]["broken_at"])
    assert "fact 8 the first" in captured.err
    assert 1 == cli.main(["attest", "verify", str(place.folder / "nowhere")])


def test_a_stranger_s_key_is_not_trusted(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A good file of another's key is refused where a key is given.
    """
    cli.main(["attest", "export", *place.args(), "--out", str(place.folder)])
    cli.main(["attest", "--new-key", str(place.folder / "other.key")])

    assert 1 == cli.main(
        ["attest", "verify", str(place.folder / "c1.json"), "--key", str(place.folder / "other.key.pub")]
    )
    assert 0 == cli.main(["attest", "verify", str(place.folder / "c1.json")])


def test_a_journal_is_verified_beside_its_relay(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Good as it is; with one row changed the place is named and the exit is 1.
    """
    keys = ["--key", f"{place.key}.pub"]
    assert 0 == cli.main(["journal", "verify", *place.args(), *keys, "--json"])
    good = out(capsys)
    connection = sqlite3.connect(place.journal, isolation_level=None)
    connection.execute("UPDATE entries SET at = at + 1 WHERE pos = 7")
    assert 1 == cli.main(["journal", "verify", "--journal", str(place.journal), *keys, "--json"])
    bad = out(capsys)
    connection.close()

    assert (True, 34, 3, 34) == (good["is_good"], good["entries"], good["consults"], good["anchored"])
    assert {"position": 7, "what": "changed", "consult": "c1", "seq": 7} == bad["problems"][0]


def test_a_journal_is_held_against_an_anchor_kept_elsewhere(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The only way to see that a file was put back to an earlier state of its own.
    """
    connection = sqlite3.connect(place.journal)
    link = connection.execute("SELECT file_link FROM entries WHERE pos = 30").fetchone()[0].hex()
    connection.close()

    assert 0 == cli.main(["journal", "verify", *place.args(), "--anchor", f"30:{link}"])
    assert 1 == cli.main(["journal", "verify", *place.args(), "--anchor", f"29:{link}"])
    assert 1 == cli.main(["journal", "verify", *place.args(), "--anchor", f"300:{link}"])
    assert 1 == cli.main(["journal", "verify", *place.args(), "--anchor", "nonsense"])


def test_what_is_personal_is_shown_on_request_alone_and_gone_once_erased(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    By another process than the relay; the chains hold afterwards, and the head is signed still.
    """
    cli.main(["journal", "show", *place.args(), "--consult", "c1"])
    assert CANARY not in capsys.readouterr().out
    cli.main(["journal", "show", *place.args(), "--consult", "c1", "--personal"])
    assert CANARY in capsys.readouterr().out
    assert 0 == cli.main(["journal", "erase", *place.args(), "c1", "--json"])
    assert {"erased": {"c1": True}} == out(capsys)
    cli.main(["journal", "show", *place.args(), "--consult", "c1", "--personal"])
    assert CANARY not in capsys.readouterr().out
    cli.main(["journal", "show", *place.args(), "--json"])
    consults = out(capsys)["consults"]

    assert [("c1", False, True), ("c2", False, False), ("open", True, False)] == [
        (each["consult"], each["is_open"], each["is_erased"]) for each in consults
    ]
    assert 0 == cli.main(["journal", "verify", *place.args(), "--key", f"{place.key}.pub"])
    capsys.readouterr()
    assert 1 == cli.main(["journal", "erase", *place.args(), "c1", "nobody", "", "c2"])
    assert ["c1", "nobody", '""'] == [
        line.partition(":")[0] for line in capsys.readouterr().err.splitlines() if "there is no such consult" in line
    ]


def test_a_report_is_of_a_journal_or_of_files(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The same figures; what is not signed with a key that was given is refused.
    """
    cli.main(["attest", "export", *place.args()])
    many = place.folder / "all.jsonl"
    many.write_text(capsys.readouterr().out)
    assert 0 == cli.main(["report", *place.args(), "--json", "--key", f"{place.key}.pub"])
    of_journal = out(capsys)
    assert 0 == cli.main(["report", str(many), "--json", "--key", f"{place.key}.pub"])
    of_files = out(capsys)
    many.write_text(many.read_text().replace('"region":"occitanie"', '"region":"bretagne"', 1))

    assert of_journal == of_files
    assert (2, 1) == (of_journal["acts"], of_journal["professionals"])
    assert 1 == cli.main(["report", str(many), "--key", f"{place.key}.pub"])
    assert 1 == cli.main(["report", *place.args(), "--zone", "Nowhere"])


def test_what_is_reported_twice_is_counted_once(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Exports overlap: the same attestation may be in two files, and on two lines of one; with its key, and without.
    """
    cli.main(["attest", "export", *place.args()])
    exported = capsys.readouterr().out
    documents = [json.loads(line) for line in exported.splitlines()]
    keyless = "".join(json.dumps(each | {"public_key": ""}) + "\n" for each in documents)
    for name in ("january", "february"):
        (place.folder / name).write_text(exported + exported + keyless)
    assert 0 == cli.main(["report", str(place.folder / "january"), str(place.folder / "february"), "--json"])

    result = out(capsys)

    assert (2, 2) == (result["attestations"], result["acts"])


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "null",
        '"attestation"',
        "x",
        "",
        '{"attestation":{}}',
        '{"attestation":1}',
        '{"attestation":{"states":[{"state":"in_progress","at":1e300}],"people":[]}}',
        '{"attestation":{"states":[{"state":"in_progress","at":1e12}],"people":[]}}',
        '{"attestation":{"states":[{"state":"in_progress","at":NaN}],"people":[]}}',
        "[" * 100_000,
        "\ufffe",
    ],
)
def test_a_report_of_what_is_no_attestation_says_so(
    place: Place, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """
    In one line that names where it is, whatever the file holds.
    """
    file = place.folder / "odd"
    file.write_text(text + "\n")
    assert 1 == cli.main(["report", str(file)])

    assert f"telerelay report: {file}:1 is no attestation\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", [["journal", "verify"], ["journal", "show"], ["attest", "export"], ["report"]])
def test_without_a_journal_a_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """
    In one line, with exit 1: none named, none there, none that is one.
    """
    (tmp_path / "text").write_text("no journal")
    for args in ([], ["--journal", str(tmp_path / "nowhere")], ["--journal", str(tmp_path / "text")]):
        assert 1 == cli.main([*command, *args])
        assert 1 == len(capsys.readouterr().err.splitlines())
