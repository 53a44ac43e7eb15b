"""
The relay's public face: WebSocket signalling, WHIP and WHEP, and the pages. docs/signaling.md is normative.

aiohttp, event loop's thread.
"""
