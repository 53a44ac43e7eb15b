"""
Clients that are programs of their own: a process is given a task in JSON, and says in lines of JSON what it counts.

The task's members: `whip` and `whep` (endpoints), `token`, `video` (a codec), `address` (where candidates may be
gathered). A line on its stdin is a command: "restart" (ICE), "reconnect" (all anew) or
"answer" (the task's `offer`, for the corpus). The program ends its sessions
when its stdin ends. Event loop of the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from interop.network import ADDRESS, Elsewhere
from interop.programs import NODE_FOLDER, ROOT, MissingError
from support.relay_process import RelayProcess
from support.waiting import until
from support.wrtc_peer import Peer
from telerelay.client import Client

END_TIMEOUT_S = 5.0
COMMANDS = ("restart", "reconnect", "answer")


class Program:
    """
    One client process. `counts` is what it said last, `offers` the SDP it offered by direction, `certificate` its own
    in PEM where it tells.
    """

    def __init__(self, *command: str, there: Elsewhere | None = None) -> None:
        self._command = there.command(*command) if there is not None else command
        self._is_elsewhere = there is not None
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.version = ""
        self.counts: dict[str, Any] = {}
        self.offers: dict[str, str] = {}
        self.certificate = ""
        self.errors: list[str] = []
        self._answers: dict[str, Any] = {}

    async def start(self, relay: RelayProcess, room: str, sub: str, video: str, **more: Any) -> None:
        """Begin in a room as `sub`; it receives the other participant's tracks."""
        task = {
            "whip": f"{relay.url}/whip/{room}",
            "whep": f"{relay.url}/whep/{room}",
            "token": relay.token(room, sub),
            "video": video,
            "address": "" if self._is_elsewhere else ADDRESS,
            **more,
        }
        pipe = asyncio.subprocess.PIPE
        environment = {**os.environ, "TELERELAY_INTEROP_NODE": str(NODE_FOLDER)}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, json.dumps(task), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, limit=1 << 20
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._tasks = [
            asyncio.create_task(self._read(self._process.stdout)),
            asyncio.create_task(self._complain(self._process.stderr)),
        ]

    async def _read(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                self.version = message.get("version", self.version)
                self.counts = message.get("counts", self.counts)
                self.offers = message.get("offers", self.offers)
                self.certificate = message.get("certificate", self.certificate)
                self._answers.update({each: message[each] for each in COMMANDS if each in message})

    async def _complain(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self.errors.append(line.decode(errors="replace"))

    async def ask(self, command: str) -> Any:
        """Say a command; what the program says when it is done."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._answers.pop(command, None)
        self._process.stdin.write(f"{command}\n".encode())

        def answer() -> bool:
            self.check()
            return command in self._answers

        try:
            await until(answer)
        except TimeoutError:
            raise AssertionError(f"{command}: no answer: {self.errors[-5:]}") from None
        return self._answers[command]

    def check(self) -> None:
        """AssertionError with what it wrote to stderr if it has ended."""
        assert self._process is not None
        assert self._process.returncode is None, "".join(self.errors[-20:])

    async def __aenter__(self) -> Program:
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def node_program(name: str, package: str, there: Elsewhere | None = None) -> Program:
    """A program of tests/interop/node, run here or elsewhere. Raises MissingError."""
    node = shutil.which("node")
    if node is None:
        raise MissingError("Node.js")
    if not (NODE_FOLDER / "node_modules" / package / "package.json").exists():
        raise MissingError(package)
    return Program(node, str(ROOT / "tests" / "interop" / "node" / f"{name}.mjs"), there=there)


def gstreamer_program(there: Elsewhere | None = None) -> Program:
    """tests/interop/gstreamer_webrtcbin.py under Debian's own Python, which has the bindings. Raises MissingError."""
    python = Path("/usr/bin/python3")
    probe = Path("/usr/lib/python3/dist-packages/gi/overrides/Gst.py")
    if not python.exists() or not probe.exists():
        raise MissingError("python3-gst-1.0")
    return Program(str(python), str(ROOT / "tests" / "interop" / "gstreamer_webrtcbin.py"), there=there)


async def talk(client: Client, program: Program) -> None:
    """Send a message to the program's data channel and await its answer."""
    await client.wait_for(lambda each: "pulse" in each.channels, 20)
    channel = client.channels["pulse"]
    await channel.opened()
    channel.send("61 / min")
    try:
        async with asyncio.timeout(10):
            assert "heard 61 / min" == await channel.receive()
    except TimeoutError:
        raise AssertionError(f"no answer: {program.errors[-5:]}") from None


async def watch(peer: Peer, program: Program, width: int, height: int) -> None:
    """Wait until a participant has decoded enough of what a program publishes, and go on until there is more."""

    async def frames(least: int) -> bool:
        program.check()
        picture, sound = await peer.inbound("video"), await peer.inbound("audio")
        return (
            picture is not None
            and sound is not None
            and (picture.frames_decoded or 0) >= least
            and (picture.frame_width, picture.frame_height) == (width, height)
            and sound.total_audio_energy > 0
        )

    try:
        await until(lambda: frames(30), timeout_s=20)
        seen_so_far = (await peer.inbound("video")).frames_decoded
        await until(lambda: frames(seen_so_far + 30), timeout_s=10)
    except TimeoutError:
        picture, sound = await peer.inbound("video"), await peer.inbound("audio")
        raise AssertionError(f"{program.counts} {picture} {sound} {program.errors[-5:]}") from None
