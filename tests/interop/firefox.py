"""
Firefox ESR, headless, driven over Marionette (its own remote protocol: no driver program is needed).

Marionette's calls block: they run in a thread, one at a time. The fake camera is 640x480 at 30 frames a second, the
fake microphone a steady tone. All prefs that would look a name up or leave the machine are off.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from typing import Any

from interop.programs import ROOT, MissingError

LOG = ROOT / "build" / "interop" / "firefox.log"

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.gmp-manager.updateEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.localDomains": ",".join(
        f"{name}.mozilla.{zone}"
        for name, zone in (
            ("firefox.settings.services", "com"),
            ("push.services", "com"),
            ("location.services", "com"),
            ("normandy.cdn", "net"),
            ("content-signature-2.cdn", "net"),
            ("contile.services", "com"),
            ("aus5", "org"),
        )
    ),
}


class Firefox:
    """One window of Firefox. The calls are those of a Person of the browser tests, as far as they are needed."""

    name = "Firefox ESR"

    def __init__(self) -> None:
        self._marionette: Any = None
        self.version = ""

    async def __aenter__(self) -> Firefox:
        path = shutil.which("firefox-esr")
        try:
            from marionette_driver.marionette import Marionette
        except ImportError:
            raise MissingError("marionette_driver") from None
        if path is None:
            raise MissingError("firefox-esr")
        logging.getLogger("mozversion").setLevel(logging.WARNING)

        LOG.parent.mkdir(parents=True, exist_ok=True)

        def start() -> Any:
            firefox = Marionette(bin=path, headless=True, prefs=PREFERENCES, gecko_log=str(LOG))
            firefox.start_session()
            firefox.timeout.script = 30
            return firefox

        self._marionette = await asyncio.to_thread(start)
        self.version = str(self._marionette.session_capabilities["browserVersion"])
        return self

    async def __aexit__(self, *_: object) -> None:
        firefox, self._marionette = self._marionette, None
        with contextlib.suppress(Exception):  # a browser that has ended already
            await asyncio.to_thread(firefox.quit)
        await asyncio.to_thread(firefox.cleanup)

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited."""
        script = (
            "const [done] = arguments;"
            f"(async () => {expression})().then((value) => done(JSON.stringify({{ value }})),"
            " (error) => done(JSON.stringify({ error: String(error) })))"
        )
        answer = json.loads(
            await asyncio.to_thread(self._marionette.execute_async_script, script, sandbox=None, new_sandbox=False)
        )
        assert "error" not in answer, f"{expression}: {answer['error']}"
        return answer.get("value")

    async def run(self, script: str) -> None:
        """Run statements in the page."""
        await asyncio.to_thread(self._marionette.execute_script, script, sandbox=None, new_sandbox=False)

    async def open(self, url: str) -> None:
        """Load a page."""
        await asyncio.to_thread(self._marionette.navigate, url)

    async def until(self, condition: str, within_s: float = 15.0) -> None:
        """Wait for a JavaScript condition of the consult page; says what its status line says when it does not come."""
        deadline = time.monotonic() + within_s
        while not await self.evaluate(condition):
            if time.monotonic() > deadline:
                status = await self.evaluate("document.getElementById('status')?.textContent")
                raise AssertionError(f"not within {within_s} s: {condition}; status: {status!r}")
            await asyncio.sleep(0.1)

    async def join(self) -> None:
        """Press the large button of the consult page and wait for the call."""
        await self.until("document.getElementById('status').textContent.includes('You are ready')")
        await self.evaluate("document.querySelector('[data-testid=join]').click()")
        await self.until("globalThis.consult?.call?.state === 'joined'")

    async def tracks(self, direction: str, kind: str) -> list[dict[str, Any]]:
        """Of `Call.stats()`: what is sent ("publish") or received ("subscribe")."""
        found = await self.evaluate("consult.call.stats().then(({ tracks }) => tracks)")
        return [track for track in found if (track["direction"], track["kind"]) == (direction, kind)]

    async def eventually(
        self, condition: Callable[[list[dict[str, Any]]], bool], kind: str, within_s: float = 15.0
    ) -> None:
        """Wait until what is received of a kind fulfils a condition."""
        deadline = time.monotonic() + within_s
        while not condition(tracks := await self.tracks("subscribe", kind)):
            assert time.monotonic() < deadline, f"not within {within_s} s; received: {tracks}"
            await asyncio.sleep(0.1)
