"""
Synthetic participants in a process of their own: `python -m telerelay.client.bots`, started by `telerelay demo`.

The first line of stdin is a JSON object {url, room, tokens}: one participant for each token (on stdin, because a
command line is read by everybody on the machine). The end of stdin is the order to stop, so the process cannot
outlive who started it. Each line of stdout is a JSON object: {"event":"joined"}, then {"event":"stats", …} every
second, {"event":"end", …} last with the same fields, or {"event":"failed","code","message"}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from telerelay.client.media import MovingPicture, Tone
from telerelay.client.participant import Client
from telerelay.errors import TelerelayError

STATS_INTERVAL_S = 1.0
JOIN_TIMEOUT_S = 15.0


def report(clients: Sequence[Client]) -> dict[str, Any]:
    """What all of them together receive. A track counts as forwarded once a packet of it has come."""
    tracks = [each for client in clients for each in client.track_stats()]
    taps = [client.tap for client in clients]
    return {
        "participants": len(clients),
        "tracks_forwarded": sum(1 for each in tracks if each.rx_packets),
        "rx_packets": sum(tap.received for tap in taps),
        "lost_packets": sum(tap.lost for tap in taps),
        "repaired_packets": sum(stream.repaired for tap in taps for stream in tap.streams.values()),
        "frames": sum(each.frames for each in tracks if each.kind == "video"),
        "failed": sum(1 for client in clients if client.has_failed or not client.is_connected),
    }


async def run(setup: dict[str, Any], stop: asyncio.Event, out: TextIO) -> None:
    """Join, publish, report once a second until `stop`. The last count is taken before anybody leaves."""

    def say(event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}), file=out, flush=True)

    async with contextlib.AsyncExitStack() as stack:
        clients: list[Client] = []
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            for n, token in enumerate(setup["tokens"]):
                client = await stack.enter_async_context(await Client.join(setup["url"], token, setup["room"]))
                await client.publish([Tone(frequency_hz=330.0 * (n + 1)), MovingPicture(hue=90 * n)])
                clients.append(client)
        say("joined", participants=len(clients))
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATS_INTERVAL_S):
                    await stop.wait()
            if not stop.is_set():
                say("stats", **report(clients))
        say("end", **report(clients))


async def _main() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    setup = json.loads(await reader.readline())
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    async def end_of_input() -> None:
        await reader.read()
        stop.set()

    watching = asyncio.create_task(end_of_input())
    try:
        await run(setup, stop, sys.stdout)
    except (TelerelayError, TimeoutError) as error:
        code = error.code if isinstance(error, TelerelayError) else "timeout"
        print(json.dumps({"event": "failed", "code": code, "message": str(error)}), flush=True)
        return 1
    finally:
        watching.cancel()
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    sys.exit(asyncio.run(_main()))
