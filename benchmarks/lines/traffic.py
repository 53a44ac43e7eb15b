"""
Somebody else on the line: TCP that takes what it gets.

traffic.py serve ADDRESS PORT; traffic.py get|put ADDRESS PORT FLOWS SECONDS. A flow begins with one letter, then the
server sends, or reads, until the other end closes.
"""

import asyncio
import contextlib
import sys

CHUNK = b"\0" * 16384


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        what = await reader.readexactly(1)
        while what == b"g" or await reader.read(65536):
            if what == b"g":
                writer.write(CHUNK)
                await writer.drain()
    writer.close()


async def serve(address: str, port: int) -> None:
    server = await asyncio.start_server(_serve, address, port)
    print("up", flush=True)
    async with server:
        await server.serve_forever()


async def _flow(address: str, port: int, letter: bytes) -> None:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(letter)
        while letter == b"p" or await reader.read(65536):
            if letter == b"p":
                writer.write(CHUNK)
                await writer.drain()
    finally:
        writer.transport.abort()  # what still waits would fill the line for seconds


async def flows(letter: bytes, address: str, port: int, count: int, seconds: float) -> None:
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_flow(address, port, letter) for _ in range(count)))


if __name__ == "__main__":
    verb, where, at, *rest = sys.argv[1:]
    if verb == "serve":
        asyncio.run(serve(where, int(at)))
    else:
        asyncio.run(flows(verb[:1].encode(), where, int(at), int(rest[0]), float(rest[1])))
