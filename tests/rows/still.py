"""
Who is asked for a still, and who asks, in processes of their own: `Watched` is the row's end of either.

The camera is made up: a JPEG of eight megapixels and 3 MB. It is hashed as it is taken, and sent in pieces as the page
sends it; whoever asked decodes what came, and says when the video beside it stood still.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import io
import itertools
import time
from collections.abc import Mapping
from typing import Any

from rows.person import Body, Person, play
from rows.process import Message

CAMERA = (3264, 2448)
"""Eight megapixels."""
STILL_BYTES = 3_000_000
FRAME = (640, 360)
PIECE_BYTES = 262_144
TUS = {"Tus-Resumable": "1.0.0"}


class Watched(Person):
    """`async with Watched() as doctor:`; both have somebody's video decoded, frame by frame."""

    module = "rows.still"

    async def take(self, seed: int, *, is_frame: bool = False) -> Message:
        """Take a photo, or a picture out of the video: {"sha256", "width", "height", "size"}. It is kept for `send`."""
        return await self.do("take", seed=seed, is_frame=is_frame)

    async def send(self, url: str, token: str, request: str, label: str) -> Message:
        """Send it: {"began"} is when the first byte went."""
        return await self.do("send", url=url, token=token, request=request, label=label)

    async def fetch(self, url: str, token: str) -> Message:
        """{"sha256", "told", "size", "width", "height"} of a still at that address; `at` is when it was there."""
        return await self.do("fetch", url=url, token=token)

    async def video(self, since: float, until: float) -> Message:
        """
        What was shown of the other between these, monotonic seconds: {"longest_s", "frames", "width", "height",
        "seconds"}, the last by height: seconds with five frames or more. "starved_s": what this process did not get.
        """
        return await self.do("video", since=since, until=until)


class _Body(Body):
    orders = (*Body.orders, "take", "send", "fetch", "video")

    def __init__(self, http: Any) -> None:
        super().__init__(http)
        self._taken = b""
        self._source = ""
        self._shown: list[tuple[float, int, int]] = []
        self._late: list[tuple[float, float]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def client_options(self) -> dict[str, Any]:
        self._run(self._watch_turns())
        return {"on_track": lambda remote: self._run(self._consume(remote))}

    def _run(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _consume(self, remote: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await remote.track.recv()
                remote.frames += 1
                if remote.kind == "video":
                    self._shown.append((time.monotonic(), frame.width, frame.height))

    async def _watch_turns(self) -> None:
        """How late this loop runs: a frame that waited for it did not stand still on the line."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late_s = time.monotonic() - before - 0.01
            if late_s > 0.05:
                self._late.append((before, late_s))

    async def take(self, seed: int, is_frame: bool) -> Mapping[str, Any]:
        width, height = FRAME if is_frame else CAMERA
        self._source = "frame" if is_frame else "photo"
        self._taken = await asyncio.to_thread(picture, width, height, seed, 0 if is_frame else STILL_BYTES)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(self._taken).hexdigest())
        return {"sha256": digest, "width": width, "height": height, "size": len(self._taken)}

    async def send(self, url: str, token: str, request: str, label: str) -> Mapping[str, Any]:
        data, bearer = self._taken, {"Authorization": f"Bearer {token}", **TUS}
        said = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "filetype": "image/jpeg",
            "label": label,
            "kind": "still",
            "request": request,
            "source": self._source,
        }
        words = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in said.items())
        headers = {**bearer, "Upload-Length": str(len(data)), "Upload-Metadata": words}
        async with self._http.post(url, headers=headers) as response:
            response.raise_for_status()
            place = response.headers["Location"]
        address = f"{url}/{place.rpartition('/')[2]}"
        for offset in range(0, len(data), PIECE_BYTES):
            piece = {**bearer, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            body = data[offset : offset + PIECE_BYTES]
            async with self._http.patch(address, data=body, headers=piece) as response:
                response.raise_for_status()
        return {}

    async def fetch(self, url: str, token: str) -> Mapping[str, Any]:
        async with self._http.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
            response.raise_for_status()
            data = await response.read()
            told = response.headers["Repr-Digest"].removeprefix("sha-256=:").removesuffix(":")
        had_at = time.monotonic()
        width, height = await asyncio.to_thread(size_of, data)
        digest = hashlib.sha256(data).hexdigest()
        told = base64.b64decode(told).hex()
        return {"at": had_at, "sha256": digest, "told": told, "size": len(data), "width": width, "height": height}

    async def video(self, since: float, until: float) -> Mapping[str, Any]:
        inside = [each for each in self._shown if since <= each[0] <= until]
        moments = [since, *(at for at, _, _ in inside), until]
        longest_s = max(after - before for before, after in itertools.pairwise(moments))
        seconds: dict[int, int] = {}
        for second in range(int(until - since)):
            heights = [height for at, _, height in inside if second <= at - since < second + 1]
            if len(heights) >= 5:
                seconds[min(heights)] = seconds.get(min(heights), 0) + 1
        return {
            "longest_s": longest_s,
            "frames": len(inside),
            "width": max((width for _, width, _ in inside), default=0),
            "height": max((height for _, _, height in inside), default=0),
            "seconds": seconds,
            "starved_s": sum(late_s for at, late_s in self._late if since <= at <= until),
        }


def picture(width: int, height: int, seed: int, size: int) -> bytes:
    """A JPEG of a skin that is all grain; filled up to that many bytes by comments (ITU-T T.81, B.2.4.5)."""
    import fractions

    import numpy as np
    from av import VideoFrame
    from av.codec import CodecContext

    planes = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
    grain = np.random.default_rng(seed).normal(0.0, 8.0, (height, width))
    planes[:height] = np.clip(np.linspace(40.0, 200.0, width) + grain, 0, 255)
    frame = VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format="yuvj420p")
    frame.pts = 0
    encoder: Any = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = fractions.Fraction(1, 1)
    encoder.color_range = 2
    encoder.options = {"qmin": "2", "qmax": "2"}
    data = b"".join(bytes(packet) for some in (frame, None) for packet in encoder.encode(some))
    if len(data) > size > 0:
        raise ValueError(f"a picture of {len(data)} bytes does not fit into {size}")
    filled = [data[:2]]
    missing = size - len(data)
    while missing > 4:
        length = min(missing, 65_000)
        length -= 0 < missing - length <= 4 and 8
        filled.append(b"\xff\xfe" + (length - 2).to_bytes(2, "big") + bytes(length - 4))
        missing -= length
    return b"".join([*filled, data[2:]])


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG that can be decoded. Raises av.error.FFmpegError, StopIteration."""
    import av

    with av.open(io.BytesIO(data), format="mjpeg") as container:
        frame = next(container.decode(video=0))
    return frame.width, frame.height


if __name__ == "__main__":
    asyncio.run(play(_Body))
