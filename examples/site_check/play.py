"""
Plays examples/site_check: two sites are checked, one without a camera and one with synthetic ones, and both say so.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from calls import ask, say  # noqa: E402
from stage import stage  # noqa: E402


def equipment(folder: Path) -> tuple[Path, Path]:
    """What stands for a camera and a microphone: a grey picture and a tone, in files."""
    picture, sound = folder / "camera.mkv", folder / "microphone.wav"
    with av.open(str(picture), "w") as container:
        video = container.add_stream("mjpeg", rate=10)
        video.width, video.height, video.pix_fmt = 640, 480, "yuvj420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 128, np.uint8), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    with av.open(str(sound), "w") as container:
        audio = container.add_stream("pcm_s16le", rate=48000)
        samples = (8000 * np.sin(np.arange(48000) / 20)).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 48000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return picture, sound


async def probe(url: str, *flags: str) -> dict[str, object]:
    """What the command prints."""
    command = (sys.executable, "-m", "telerelay.cli", "probe", url, "--json", "--language", "en", *flags)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return dict(json.loads(printed))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture, sound = equipment(Path(folder))
        async with stage(Path(folder), (sys.executable, HERE / "app.py"), "/consult/healthz") as site:
            for name, flags in (
                ("town-hall", ("--camera", "/dev/video99", "--microphone", str(sound))),
                ("pharmacy", ("--camera", str(picture), "--microphone", str(sound))),
            ):
                result = await probe(f"{site.url}/consult", *flags)
                say(f"{name}: probed in {result['seconds']} s")
                await ask("PUT", f"{site.url}/sites/{name}", result)
            _, sites = await ask("GET", f"{site.url}/sites")
            for name, state in sites.items():
                say(f"{name}: {'ready' if state['ready'] else ' '.join(state['why'])}")


if __name__ == "__main__":
    asyncio.run(main())
