"""
Simulcast as a publisher's encoders make it, by PyAV: a scene that moves, in three sizes, with keyframes at the same
pictures.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np

from support import replay
from support.recording import Recording
from support.replay import Packet

FRAMES, RATE, KEY_EVERY = 150, 30, 25
SIZES = ((160, 96), (320, 192), (640, 384))
FRAME_US = 1_000_000 // RATE
ENCODERS = {
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
}


def picture(n: int, width: int, height: int) -> Any:
    """Something that moves, and that no two pictures share."""
    rng = np.random.default_rng(n)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = ((x * 640 // width + 7 * n) % 256).astype(np.uint8)
    rgb = np.dstack([image, (y * 384 // height + 3 * n) % 256, np.full_like(image, 40)]).astype(np.uint8)
    rgb[8:40, 8:72] = np.kron(rng.integers(0, 255, (4, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8))
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


@cache
def encoded(codec: str, encoding: int, key_every: int = KEY_EVERY) -> list[bytes]:
    """The frames of one encoding, a keyframe first and then each `key_every`."""
    width, height = SIZES[encoding]
    name, options = ENCODERS[codec]
    context: Any = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.framerate, context.bit_rate, context.thread_count = RATE, 100_000 * 4**encoding, 1
    context.options, context.gop_size = options, key_every
    frames = []
    for n in range(FRAMES):
        image = picture(n, width, height)
        image.pts = n
        image.pict_type = 1 if n % key_every == 0 else 0
        frames += [bytes(packet) for packet in context.encode(image)]
    frames += [bytes(packet) for packet in context.encode(None)]
    assert len(frames) == FRAMES
    return frames


def recorded(codec: str, key_every: int) -> Recording:
    """All encodings as packets, as libwebrtc's are recorded."""
    made = []
    for encoding in range(len(SIZES)):
        packets: list[Packet] = []
        for n, frame in enumerate(encoded(codec, encoding, key_every)):
            payloads = list(replay.fragments(codec, frame, n))
            for i, payload in enumerate(payloads):
                at_us = n * FRAME_US + encoding * 3000 + i * 200
                is_last = i == len(payloads) - 1
                packets.append(Packet(at_us, is_last, len(packets), n * 90_000 // RATE, payload))
        made.append(packets)
    return Recording(tuple(made))
