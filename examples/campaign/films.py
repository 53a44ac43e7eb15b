"""
The campaign: one base film and three of a focus each, released in stages. Synthetic ones are encoded here, once.

A real site has them as files. Pure but for `encode`, which takes a moment and runs before anybody comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

DAY_S = 86400.0
LENGTH_S, FPS, PICTURES = 60, 2, 4


@dataclass(frozen=True, slots=True)
class Film:
    """`topic` "": for everybody. `after_s`: from the campaign's beginning to its release. `title` is French."""

    id: str
    topic: str
    after_s: float
    title: str


FILMS = (
    Film("base", "", 0.0, "La téléconsultation, comment ça marche ?"),
    Film("heart", "heart", 30 * DAY_S, "Le suivi du cœur à domicile"),
    Film("stroke", "stroke", 60 * DAY_S, "L’AVC : chaque minute compte"),
    Film("skin", "skin", 90 * DAY_S, "Montrer sa peau au médecin"),
)


def released(topic: str, since_s: float) -> tuple[Film, ...]:
    """What is shown to who waits for that topic, so long after the campaign's beginning; the base film first."""
    return tuple(film for film in FILMS if film.topic in ("", topic) and since_s >= film.after_s)


def encode(film: Film, folder: Path) -> Path:
    """A WebM file of a few pictures in turn, other ones for each film; each is encoded once and written often."""
    path = folder / f"{film.id}.webm"
    noise = np.random.default_rng(FILMS.index(film))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=FPS)
        video.width, video.height, video.pix_fmt, video.bit_rate = 256, 144, "yuv420p", 200_000
        video.gop_size, video.options = 1, {"deadline": "realtime", "cpu-used": "8", "g": "1"}
        encoded = []
        for number in range(PICTURES):
            picture = noise.integers(0, 96, (144, 256, 3), dtype=np.uint8)
            picture[:, 64 * number : 64 * number + 64] += 128
            encoded += video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        encoded += video.encode(None)
        for number in range(LENGTH_S * FPS):
            packet = av.Packet(bytes(encoded[number % len(encoded)]))
            packet.stream, packet.time_base, packet.is_keyframe = video, Fraction(1, FPS), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path
