"""
A WHIP publisher that is not ours: FFmpeg's, through PyAV. H.264 without B-frames and Opus; it awaits the ClientHello.

FFmpeg blocks while it sends, so it has a thread of its own. Its certificate is made here (P-256: its own is P-224).
"""

from __future__ import annotations

import fractions
import threading
import time
from pathlib import Path

import av
import numpy as np
from cryptography.hazmat.primitives import serialization

from support.certificates import self_signed
from telerelay.client.media import MovingPicture, Tone

FPS = 25
AUDIO_FRAME_S = 0.020


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed P-256 certificate and its key, as PEM files in `folder`."""
    certificate, key = self_signed()
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    return cert_file, key_file


class FfmpegWhip:
    """`with FfmpegWhip(endpoint, token, folder):` publishes a picture of 320x240 and a tone."""

    def __init__(self, endpoint: str, token: str, folder: Path) -> None:
        self._endpoint, self._token, self._folder = endpoint, token, folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ffmpeg-whip", daemon=True)
        self.error: Exception | None = None

    def __enter__(self) -> FfmpegWhip:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        try:
            self._publish()
        except Exception as error:  # what FFmpeg raises is for the test to see
            self.error = error

    def _publish(self) -> None:
        cert_file, key_file = write_certificate(self._folder)
        options = {
            "cert_file": str(cert_file),
            "key_file": str(key_file),
            "handshake_timeout": "5000",
            "authorization": self._token,
        }
        picture, tone = MovingPicture(320, 240, FPS), Tone()
        with av.open(self._endpoint, "w", format="whip", options=options) as out:
            video = out.add_stream("libx264", rate=FPS)
            video.width, video.height, video.pix_fmt, video.bit_rate = 320, 240, "yuv420p", 400_000
            video.codec_context.gop_size = FPS
            video.options = {"profile": "baseline", "preset": "ultrafast", "tune": "zerolatency", "bf": "0"}
            audio = out.add_stream("libopus", rate=48_000, layout="stereo")
            begun, pictures, sounds = time.monotonic(), 0, 0
            while not self._stop.wait(0.005):
                elapsed_s = time.monotonic() - begun
                while pictures < elapsed_s * FPS:
                    frame = av.VideoFrame.from_ndarray(picture.picture(pictures), format="yuv420p")
                    frame.pts, frame.time_base = pictures, fractions.Fraction(1, FPS)
                    out.mux(video.encode(frame))
                    pictures += 1
                while sounds * AUDIO_FRAME_S < elapsed_s:
                    samples = np.repeat(tone.samples(sounds), 2).reshape(1, -1)
                    sound = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
                    sound.sample_rate, sound.pts = 48_000, sounds * 960
                    sound.time_base = fractions.Fraction(1, 48_000)
                    out.mux(audio.encode(sound))
                    sounds += 1
