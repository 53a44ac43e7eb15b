"""
Where the tokens of participants come from: one for all, a command for each, or signed here with telerelay's key.

Event loop's thread; a command runs as a process of its own. Tokens are never printed, logged or kept in a report.
"""

import asyncio
import os
import shlex
import time
from pathlib import Path

from telerelay.errors import ConfigError, TelerelayError
from telerelay.protocol.grants import TokenKeys, load_key

# A command that has printed nothing by then hangs; joins would all wait for it.
_COMMAND_TIMEOUT_S = 30.0

# How many commands run at once: they share the machine with the generator.
_COMMANDS_AT_ONCE = 8

# A soak lasts days, and people of it come back; telerelay takes no longer lives than this.
_TTL_S = 86_400


class FixedToken:
    """The same for everybody; "" is none."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def of(self, room: str, participant: str, *, publishes: bool) -> str:
        return self._token


class SignedTokens:
    """telerelay's own, signed with its key: publishers are practitioners, the others observers."""

    def __init__(self, keys: TokenKeys) -> None:
        self._keys = keys
        self._known: dict[tuple[str, str], str] = {}

    @classmethod
    def from_file(cls, path: Path) -> "SignedTokens":
        """Raises ConfigError."""
        return cls(load_key(path))

    async def of(self, room: str, participant: str, *, publishes: bool) -> str:
        known = self._known.get((room, participant))
        if known is None:
            role = "practitioner" if publishes else "observer"
            known = self._keys.sign(room=room, sub=participant, role=role, ttl_s=_TTL_S, now=time.time())
            self._known[room, participant] = known
        return known


class CommandTokens:
    """
    What a command prints: {room} and {participant} in its words are replaced, ROOM and PARTICIPANT are in its
    environment. Asked once for each participant, who comes back with the same token.
    """

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise ConfigError("bad_value", f"--token-command cannot be read: {error}") from None
        if not self._words:
            raise ConfigError("bad_value", "--token-command is empty")
        self._gate = asyncio.Semaphore(_COMMANDS_AT_ONCE)
        self._known: dict[tuple[str, str], str] = {}

    async def of(self, room: str, participant: str, *, publishes: bool) -> str:
        known = self._known.get((room, participant))
        if known is None:
            async with self._gate:
                known = await self._run(room, participant)
            self._known[room, participant] = known
        return known

    async def _run(self, room: str, participant: str) -> str:
        words = [word.replace("{room}", room).replace("{participant}", participant) for word in self._words]
        env = {**os.environ, "ROOM": room, "PARTICIPANT": participant}
        try:
            process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, env=env)
        except OSError as error:
            raise ConfigError("bad_value", f"--token-command cannot run {words[0]}: {error.strerror}") from None
        try:
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                out, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise TelerelayError("token_timeout", "the token command did not end in time") from None
        if process.returncode != 0:
            raise TelerelayError("token_command", f"the token command exited with {process.returncode}")
        return out.decode("utf-8", "replace").strip()
