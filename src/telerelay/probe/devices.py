"""
Whether a camera gives a picture and a microphone a sound, by FFmpeg's devices (PyAV); for machines without a browser.

Blocking: run it in a thread. Opens a device, looks at what comes for a moment, and lets go of it; nothing is kept.
"""

from __future__ import annotations

import errno
import glob
import os
import time
from dataclasses import dataclass

AUTO, NONE = "auto", "none"
LOOK_S = 3.0
"""A camera takes a second or two to wake up."""
LISTEN_S = 1.5
DARK = 12
"""Brightest of 255 in a picture that shows nothing: 16 is black on a camera's own scale, and a cover is darker."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`code` is one of judging.DEVICE_CODES; None: nothing came in time."""

    code: str | None
    width: int | None = None
    height: int | None = None


def look(camera: str = AUTO) -> Seen:
    """At the first camera, at this device or file, or (`none`) at nothing."""
    if camera == NONE:
        return Seen("skipped")
    path = camera
    if camera == AUTO:
        found = sorted(glob.glob("/dev/video*"))
        if not found:
            return Seen("no_device")
        path = found[0]
    is_device = path.startswith("/dev/")
    try:
        import av

        with av.open(path, format="v4l2" if is_device else None, timeout=LOOK_S) as container:
            ends_at = time.monotonic() + LOOK_S
            size: tuple[int, int] | None = None
            for frame in container.decode(video=0):
                size = frame.width, frame.height
                if int(frame.reformat(format="gray").to_ndarray().max()) > DARK:
                    return Seen("ok", *size)
                if time.monotonic() > ends_at:
                    break
            return Seen("dark", *size) if size is not None else Seen(None)
    except (OSError, IndexError, ValueError, ImportError) as error:
        return Seen(_code(error))


def listen(microphone: str = AUTO) -> Seen:
    """To the system's microphone, to this ALSA device or file, or (`none`) to nothing."""
    if microphone == NONE:
        return Seen("skipped")
    is_file = os.path.isfile(microphone)
    if microphone == AUTO and not glob.glob("/dev/snd/pcm*c"):
        return Seen("no_device")
    try:
        import av

        name = "default" if microphone == AUTO else microphone
        with av.open(name, format=None if is_file else "alsa", timeout=LOOK_S) as container:
            ends_at = time.monotonic() + LISTEN_S
            has_come = False
            for frame in container.decode(audio=0):
                has_come = True
                if frame.to_ndarray().any():
                    return Seen("ok")
                if time.monotonic() > ends_at:
                    break
            return Seen("silent") if has_come else Seen(None)
    except (OSError, IndexError, ValueError, ImportError) as error:
        return Seen(_code(error))


def _code(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return "permission_denied"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "no_device"
    if number == errno.EBUSY:
        return "device_busy"
    if isinstance(error, ImportError):
        return "unsupported"
    return "device_failed"
