"""
The control process begins anew while the Python client sends: the association is begun anew over a line that loses a
tenth, so that any of its steps is lost in some of the plays, or over a long one, so that they come twice. Virtual time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiortc import rtcsctptransport as sctp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters

from support import sctp_room
from support.sctp_room import Bad, PeerLine, Way
from telerelay.client.channels import follow_restarts
from telerelay.connection.data import Channel, DataListener, DataTransport, Message
from telerelay.connection.sending import run_now
from telerelay.protocol.data import DataParameters

PLAYS = 40
LINE = Bad(loss=0.1, delay_s=0.03, reorder=0.2, duplicate=0.02)
FAR = Bad(loss=0.1, delay_s=0.8)
"""An answer comes when it has been asked for again already."""
SAY_S = 0.4
RECOVERED_S = 40.0
"""Four steps, of which each is sent again after three seconds at most, several times."""


class Heard(DataListener):
    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.refused: list[str] = []

    def on_channel(self, channel: Channel) -> bool:
        return True

    def on_message(self, channel: Channel, message: Message) -> bool:
        self.messages.append(message.payload)
        return True

    def on_refused(self, label: str, code: str) -> None:
        self.refused.append(code)


class Call:
    """One client, and one relay's half after the other."""

    def __init__(self, seed: int, bad: Bad) -> None:
        self._bad = bad
        self._seed = seed
        line = PeerLine()
        self.client = sctp.RTCSctpTransport(line)  # type: ignore[arg-type,unused-ignore]
        follow_restarts(self.client)
        self.relay: DataTransport | None = None
        self.heard = Heard()
        self._up = Way(bad, seed, lambda packet: self.relay.feed(packet) if self.relay is not None else None)
        self._down = self._way()
        line.send = self._up.send

    def _way(self) -> Way:
        self._seed += 1000
        return Way(self._bad, self._seed, lambda packet: run_now(self.client._handle_data(packet)))

    def begin(self, channels: Any = None) -> None:
        """A relay's half, that goes on with these channels."""
        down = self._down = self._way()
        self.relay = DataTransport(down.send, self.heard)
        self.relay.describe(DataParameters("0", 5000, 0), is_dtls_client=False)
        if channels is not None:
            self.relay.go_on(channels)
        self.relay.start()

    def kill(self) -> Any:
        """Nothing comes of this half any more; its channels, as they were noted."""
        assert self.relay is not None
        self._down.is_cut = True
        channels, self.relay = self.relay.snapshot(), None
        return channels

    def open(self) -> RTCDataChannel:
        return RTCDataChannel(self.client, RTCDataChannelParameters(label="chat"))


async def until(condition: Callable[[], object], timeout_s: float) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("bad", "opened_before_s"), [(FAR, None), *((LINE, before_s) for before_s in (None, 0.0, 0.03, 0.05, 0.1))]
)
def test_whatever_is_lost_of_a_restart_the_channel_carries_again(
    monkeypatch: pytest.MonkeyPatch, bad: Bad, opened_before_s: float | None
) -> None:
    """`opened_before_s`: a channel that was being opened when the relay died; else it was open, and used all along."""

    async def play(seed: int) -> None:
        call = Call(seed, bad)
        call.begin()
        await call.client.start(sctp.RTCSctpCapabilities(0), 5000)
        await until(lambda: call.client.state == "connected" and call.relay and call.relay.is_up, 60)
        channel = call.open()
        if opened_before_s is None:
            await until(lambda: channel.readyState == "open", 60)
        else:
            await asyncio.sleep(opened_before_s)
        for _ in range(3):
            channels = call.kill()
            await asyncio.sleep(2)
            call.begin(channels)
            for _ in range(int(RECOVERED_S / SAY_S)):
                await asyncio.sleep(SAY_S)
                if channel.readyState == "open":
                    channel.send("under way")
            assert "open" == channel.readyState, seed
            channel.send("again")
            await until(lambda: b"again" in call.heard.messages, 30)
            call.heard.messages.clear()
        assert [] == call.heard.refused
        assert call.relay is not None
        call.relay.close()
        await call.client.stop()

    async def story() -> None:
        for seed in range(PLAYS):
            await play(seed)

    sctp_room.run(story, monkeypatch)
