"""
Debian's Chromium, headless, for every test that needs a browser.

Its microphone beeps, its camera shows a clock at 30 frames a second; no packet leaves the machine.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

ARGUMENTS = [
    "--use-fake-device-for-media-stream=fps=30",
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@asynccontextmanager
async def chromium(
    *, says_yes: bool = True, program: str = "chromium", more: Sequence[str] = ()
) -> AsyncIterator[Browser]:
    """
    A browser, closed afterwards. Unless it `says_yes` by itself, a page may have what its context was granted.
    `program` starts it in another way, `more` is added to its command line.
    """
    path = shutil.which(program)
    assert path is not None, "Chromium is not installed: make build installs it"
    arguments = ARGUMENTS if says_yes else [each for each in ARGUMENTS if each != "--use-fake-ui-for-media-stream"]
    arguments = [*arguments, *more]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, headless=True, args=arguments)
        yield browser
        await browser.close()
