"""
Plays examples/medilien: a GP asks, a specialist accepts and sees the patient; the GP is told, and mailed.

The mail server is a small one of the play's own, which prints what comes.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import Part, ask, cast, say  # noqa: E402
from stage import free_port, stage  # noqa: E402

TALK_S = 4.0


class Mailbox:
    """Answers as SMTP (RFC 5321) has it, as far as a client needs that has one mail to send."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mailbox.example\r\n")
        async for line in reader:
            match line[:4].upper():
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    mail = await reader.readuntil(b"\r\n.\r\n")
                    say(next(text for text in mail.decode().splitlines() if text.startswith("Subject")))
                    self.came.set()
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
            writer.write(b"250 well\r\n")
        writer.close()


async def main() -> None:
    mailbox, port = Mailbox(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        more = {"SMTP": f"127.0.0.1:{port}"}
        async with (
            await asyncio.start_server(mailbox.take, "127.0.0.1", port),
            stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz", more) as site,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{site.url}/pages/gp-1") as page,
        ):
            question = {"by": "gp-1", "patient": "patient-7", "for": "skin", "place": "lille", "question": "A mole."}
            _, asked = await ask("POST", f"{site.url}/requests", question)
            say(f"{asked['expert']} is asked, who is in the same place")
            accept = f"{site.url}/requests/{asked['request']}/accept"
            _, accepted = await ask("POST", accept, {"by": asked["expert"]})
            links: Any = (await page.receive_json())["links"]
            relay = f"{site.url}/consult"
            parts = (Part(relay, accepted["link"], admits=True, talk_s=TALK_S), Part(relay, links["patient"]))
            for who, seen in zip((asked["expert"], "patient"), await cast(parts), strict=True):
                say(f"{who}: {seen.error or f'saw the other for {seen.video_s} s'}")
            say(f"the GP's page is told: {await page.receive_json()}")
            async with asyncio.timeout(30.0):
                await mailbox.came.wait()


if __name__ == "__main__":
    asyncio.run(main())
