"""The generated picture and tone, and host candidates on loopback."""

from __future__ import annotations

import numpy as np
import pytest

from telerelay.client.ice import host_addresses, local_addresses
from telerelay.client.media import MovingPicture, Tone
from telerelay.client.participant import new_peer_connection, ssrcs_of, with_candidate_port
from telerelay.client.ws import websocket_url


def test_the_picture_moves_and_has_the_size_asked_for() -> None:
    """
    Two frames in a row differ; both are planes of yuv420p.
    """
    picture = MovingPicture(width=320, height=180)
    first, second = picture.picture(0), picture.picture(1)

    assert (270, 320) == first.shape
    assert not np.array_equal(first, second)
    assert np.array_equal(first, picture.picture(0))


async def test_frames_come_at_their_rate() -> None:
    """
    Timestamps advance by one frame's time in the RTP clock, for picture and tone.
    """
    picture, tone = MovingPicture(width=64, height=64, fps=30), Tone()
    frames = [await picture.recv() for _ in range(3)]
    sounds = [await tone.recv() for _ in range(3)]

    assert [0, 3000, 6000] == [frame.pts for frame in frames]
    assert [0, 960, 1920] == [sound.pts for sound in sounds]


def test_tone_is_a_sine_of_its_frequency() -> None:
    """
    One second of 440 Hz crosses zero upwards 440 times, and its peak is the volume's share of full scale.
    """
    tone = Tone(frequency_hz=440, volume=0.2)
    samples = np.concatenate([tone.samples(n) for n in range(50)])

    assert 440 == pytest.approx(np.count_nonzero((samples[:-1] < 0) & (samples[1:] >= 0)), abs=1)
    assert 6553 == pytest.approx(int(samples.max()), abs=2)


async def test_only_the_addresses_asked_for_are_gathered() -> None:
    """
    Within host_addresses every candidate is on them; an agent outside gathers as it always did.
    """
    pc = new_peer_connection()
    try:
        pc.addTransceiver("audio", direction="recvonly")
        with host_addresses("127.0.0.1"):
            await pc.setLocalDescription(await pc.createOffer())
        lines = [line for line in pc.localDescription.sdp.splitlines() if line.startswith("a=candidate:")]

        assert {"127.0.0.1"} == {line.split()[4] for line in lines}
    finally:
        await pc.close()


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://127.0.0.1:8080", ("127.0.0.1",)),
        ("http://localhost:8080/x", ("127.0.0.1",)),
        ("http://[::1]:8080", ("::1",)),
        ("https://relay.example", ()),
        ("http://192.0.2.7", ()),
    ],
)
def test_loopback_relays_are_reached_from_loopback(url: str, addresses: tuple[str, ...]) -> None:
    """
    A relay on a loopback address is met from that address only; for any other the machine's own are gathered.
    """
    assert addresses == local_addresses(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws"),
        ("https://a.example/relay/", "wss://a.example/relay/ws"),
        ("ws://a.example/ws", "ws://a.example/ws"),
        ("wss://a.example/ws/", "wss://a.example/ws"),
    ],
)
def test_signalling_address_follows_from_the_page(url: str, expected: str) -> None:
    """
    The WebSocket lies beside the page, under the same prefix, and is secure where the page is.
    """
    assert expected == websocket_url(url)


def test_candidate_port_is_replaced_and_nothing_else() -> None:
    """
    The port of each candidate changes; address, priority and type stay.
    """
    sdp = "m=audio 9 X 0\r\na=mid:0\r\na=ssrc:77 cname:x\r\na=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\n"

    assert sdp.replace("40000", "5") == with_candidate_port(sdp, 5)
    assert {"0": 77} == ssrcs_of(sdp)
