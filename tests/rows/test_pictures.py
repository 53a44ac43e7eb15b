"""
Frames that could be decoded, counted by packets.
"""

from rows.pictures import Pictures
from telerelay.client.tap import RtpPacket

KEY = b"\x10\x00\x00\x00" + b"\x9d\x01\x2a" + (1280).to_bytes(2, "little") + (720).to_bytes(2, "little")
DELTA, MORE = b"\x10\x01", b"\x00\x01"


def count(*packets: tuple[int, bytes, bool]) -> tuple[int, int]:
    """Frames and height of these packets: number, payload, marker."""
    pictures = Pictures()
    for seq, payload, marker in packets:
        pictures.add(RtpPacket(100, marker, seq, 0, 7, 0, b"", payload, 0))
    return pictures.frames(7), pictures.height(7)


def test_frames_count_from_the_first_keyframe_on() -> None:
    """
    Across the wrap of their numbers; what came before could not be decoded.
    """
    assert (3, 720) == count(
        (65533, DELTA, True), (65534, KEY, False), (65535, MORE, True), (0, DELTA, True), (1, DELTA, True)
    )


def test_after_a_gap_nothing_counts_until_the_next_keyframe() -> None:
    """
    Neither the frame that lacks a packet, nor what needs it.
    """
    assert (1, 720) == count((1, KEY, True), (3, MORE, True), (4, DELTA, True))
    assert (2, 720) == count((1, KEY, True), (3, MORE, True), (4, DELTA, True), (5, KEY, True))
    assert (0, 0) == count((1, DELTA, True), (2, DELTA, True))
