"""
Where each packet of Opus lies in its file: end to end, with what never came filled in.

Pure. Players put packets one behind the other, from the beginning on, whatever times the file says: without filling,
each pause of a sender that leaves silence out (DTX), and each loss, would put the rest of the file out of step by so
much. What fills is a packet with a frame of no bytes, at which a decoder conceals (RFC 6716, 3.2.1 and 4.4); nothing
that came is changed.
"""

from collections.abc import Iterator

RATE = 48000
"""Of Opus in RTP, whatever it was sampled with, Hz (RFC 7587, 4.1)."""

# RFC 6716, 3.1: frame sizes by configuration, in samples.
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)


def frame_samples(toc: int) -> int:
    """How long each frame of a packet is that begins with this byte."""
    config = toc >> 3
    if config < 12:
        return _SILK[config & 3]
    return _HYBRID[config & 1] if config < 16 else _CELT[config & 3]


def samples_of(packet: bytes) -> int:
    """How long a packet is; 0: it is none. At most 120 ms (RFC 6716, 3.2.5)."""
    if not packet or (packet[0] & 3 == 3 and len(packet) < 2):
        return 0
    count = (1, 2, 2, packet[1] & 0x3F if packet[0] & 3 == 3 else 0)[packet[0] & 3]
    samples = count * frame_samples(packet[0])
    return samples if samples <= RATE * 120 // 1000 else 0


class SoundLine:
    """One file's sound, whose first packet has this timestamp; its file begins so many samples before that."""

    def __init__(self, first_timestamp: int, before: int = 0) -> None:
        self.first_timestamp = first_timestamp
        self.end = -before
        """Where what is written ends, samples from the first packet."""
        self._fills_with = b""

    def place(self, timestamp: int) -> int:
        """Where that is, samples from the first one: of what lies within half the range of timestamps from the end."""
        ahead = (timestamp - self.first_timestamp - self.end) & 0xFFFFFFFF
        return self.end + (ahead - (1 << 32) if ahead & 0x80000000 else ahead)

    def add(self, timestamp: int, packet: bytes) -> Iterator[tuple[int, bytes]]:
        """
        What is to be written: where, and which bytes. Nothing of a packet whose place is taken, or that is none.
        """
        samples, at = samples_of(packet), self.place(timestamp)
        if not samples or at + samples // 2 < self.end:
            return
        of_no_bytes = bytes([packet[0] & 0xFC])
        self._fills_with = self._fills_with or of_no_bytes
        yield from self.fill(at)
        at = max(at, self.end)
        self.end, self._fills_with = at + samples, of_no_bytes
        yield at, packet

    def fill(self, until: int) -> Iterator[tuple[int, bytes]]:
        """The same of silence, in whole frames, up to there."""
        samples = frame_samples(self._fills_with[0]) if self._fills_with else 0
        while samples and self.end + samples <= until:
            yield self.end, self._fills_with
            self.end += samples
