"""
One ICE check from a connected socket, so that an answer from any other address than the one addressed is never seen.

Run as a program, where addresses are that of a network namespace: stun_check.py BIND… -- ADDRESS… starts a worker on
those binds, checks each address, and prints what came of it as a JSON line.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from aioice import stun

from telerelay.dataplane import Worker, WorkerSettings, make_certificate

UFRAG, PWD = "03abcdefgh", "p" * 32


def check(
    address: str, port: int, *, ufrag: str = UFRAG, pwd: str = PWD, nominates: bool = False, timeout_s: float = 2.0
) -> bool:
    """Whether the address that was asked answers, and names ours. Blocks."""
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{ufrag}:peer"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 1
    if nominates:
        request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(pwd.encode())
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(timeout_s)
        peer.connect((address, port))
        peer.send(bytes(request))
        try:
            answer = stun.parse_message(peer.recv(2000))
        except (TimeoutError, ConnectionRefusedError):
            return False
        mapped = answer.attributes["XOR-MAPPED-ADDRESS"]
        is_ours = answer.transaction_id == request.transaction_id and answer.check_message_integrity(pwd.encode())
        return is_ours and tuple(mapped) == peer.getsockname()[:2]


async def checked(binds: list[str], asked: list[tuple[int, str]]) -> list[bool]:
    """A worker on these addresses; of each (bind's number, address to ask) whether it answered."""
    worker = Worker(WorkerSettings(index=3, binds=tuple((bind, 0) for bind in binds)), make_certificate())
    await worker.start()
    try:
        transport = worker.transports.take()
        await worker.add_transport(transport=transport, room=1, participant=1, is_admitted=True, ufrag=UFRAG, pwd=PWD)
        return [await asyncio.to_thread(check, address, worker.ports[bind]) for bind, address in asked]
    finally:
        await worker.stop()


if __name__ == "__main__":
    divider = sys.argv.index("--")
    given, addresses = sys.argv[1:divider], sys.argv[divider + 1 :]
    versions = [":" in bind for bind in given]
    print(json.dumps(asyncio.run(checked(given, [(versions.index(":" in each), each) for each in addresses]))))
