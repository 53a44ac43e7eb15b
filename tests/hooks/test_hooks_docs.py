"""docs/hooks.md says what the code does, and its receiver receives."""

import asyncio
import re
import sys
from pathlib import Path

from support.hook_hosts import beginning, journal_in, settle
from support.relay_process import free_port
from telerelay.cli import main
from telerelay.hooks import HookRunner, JoinRequest
from telerelay.hooks.asked import DECISIONS
from telerelay.hooks.outbox import Outbox
from telerelay.hooks.signature import load_keys
from telerelay.hooks.source import JournalSource
from telerelay.hooks.told import EVENTS
from telerelay.hooks.ways import WHYS
from telerelay.hooks.webhooks import MAX_REPLY_BYTES, WebhookWay

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text()


def rows(heading: str) -> list[str]:
    """The first words of the table of a section."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(\w+)` ", section, re.MULTILINE)


def test_every_hook_and_every_reason_has_its_row() -> None:
    """
    And no other has one.
    """
    assert sorted(DECISIONS) == sorted(rows("Decisions"))
    assert sorted(EVENTS) == sorted(rows("Events"))
    assert sorted(WHYS) == sorted(rows("What goes wrong"))
    assert f"{MAX_REPLY_BYTES:,} bytes" in TEXT


async def test_the_receiver_of_the_page_receives(tmp_path: Path) -> None:
    """
    As it stands there: it verifies, decides, and prints what it is told.
    """
    key, port = tmp_path / "key", free_port()
    main(["token", "--new-key", str(key)])
    code = TEXT.split("### A receiver\n\n```python\n", 1)[1].split("```", 1)[0]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(port), str(key), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        way = WebhookWay(f"http://127.0.0.1:{port}/", load_keys(key), {"authorize_join", *EVENTS})
        runner = HookRunner(way)
        await runner.start()
        async with asyncio.timeout(30), journal_in() as journal:
            while not await _listens(port):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            answers = [await runner.authorize_join(JoinRequest("c1", "p-9", role)) for role in ("patient", "observer")]
            outbox = Outbox(journal.store, JournalSource(journal), runner)
            await outbox.start()
            await journal.append("c1", beginning("c1")[:2])
            outbox.wake("c1")
            await settle(outbox)
            await outbox.close()
            lines = [(await process.stdout.readline()).decode().split(" {")[0] for _ in range(4)]
        wrong = HookRunner(WebhookWay(f"http://127.0.0.1:{port}/", [b"x" * 32], {"authorize_join"}))
        await wrong.start()
        assert await wrong.authorize_join(JoinRequest("c1", "p-9", "patient")) is False
        for each in (runner, wrong):
            await each.close()
    finally:
        process.kill()
        await process.wait()

    assert [True, False] == answers
    assert ["c1:1 on_fact", "c1:1 on_state", "c1:2 on_person", "c1:2 on_state"] == lines
    assert {("authorize_join", "status"): 1} == wrong.failures
    assert not runner.failures


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True
