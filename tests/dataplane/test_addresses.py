"""Addresses as machines have them: several binds, IPv6, wildcards, and answers that come from where one asked."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.netsim import NamespacePair, Shape
from support.stun_check import PWD, UFRAG, check, checked
from telerelay.dataplane import Worker, WorkerSettings, make_certificate
from telerelay.errors import NativeError

PROGRAM = Path(__file__).resolve().parent.parent / "support" / "stun_check.py"


async def test_every_bind_answers_under_its_own_address() -> None:
    """
    Two of IPv4 and one of IPv6 on one worker, each on its port, with one transport behind all.
    """
    binds = ["127.0.0.1", "127.0.0.2", "::1"]

    assert [True] * 3 == await checked(binds, list(enumerate(binds)))


async def test_a_bind_answers_for_no_other_address() -> None:
    """
    What is bound to one address is not reached by another.
    """
    assert [True, False] == await checked(["127.0.0.1"], [(0, "127.0.0.1"), (0, "127.0.0.2")])


async def test_a_wildcard_answers_from_the_address_that_was_asked() -> None:
    """
    IP_PKTINFO: the kernel's own choice would be 127.0.0.1 for each, which a peer's socket or firewall throws away.
    """
    asked = [(0, "127.0.0.1"), (0, "127.0.0.2"), (0, "127.9.9.9"), (1, "::1")]

    assert [True] * 4 == await checked(["0.0.0.0", "::"], asked)


async def test_an_ice_restart_takes_checks_under_both_until_one_is_nominated() -> None:
    """
    Make before break: old credentials are good until a check under the new ones nominates, and no longer.
    """
    worker = Worker(WorkerSettings(index=3, binds=(("127.0.0.1", 0),)), make_certificate())
    await worker.start()
    transport = worker.transports.take()
    await worker.add_transport(transport=transport, room=1, participant=1, is_admitted=True, ufrag=UFRAG, pwd=PWD)
    await worker.restart_ice(transport, ufrag="03new45678", pwd="n" * 32)

    async def ask(ufrag: str, pwd: str, nominates: bool = False) -> bool:
        return await asyncio.to_thread(
            check, "127.0.0.1", worker.ports[0], ufrag=ufrag, pwd=pwd, nominates=nominates, timeout_s=0.5
        )

    old, new = (UFRAG, PWD), ("03new45678", "n" * 32)
    answers = [await ask(*old), await ask(*new), await ask(*old), await ask(*new, True), await ask(*old)]
    mixed = await ask(UFRAG, "n" * 32)
    with pytest.raises(NativeError) as unknown:
        await worker.restart_ice(transport + 1, ufrag="03other678", pwd=PWD)
    await worker.stop()

    assert [True, True, True, True, False] == answers
    assert not mixed
    assert unknown.value.is_not_found


@pytest.mark.netns
@pytest.mark.may_skip
@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_wildcard_answers_from_each_of_a_machines_addresses() -> None:
    """
    A machine with two IPv4 and two IPv6 addresses on one interface: each answers for itself.
    """
    addresses = ["10.201.0.2", "10.201.0.20", "fd00:201::2", "fd00:201::20"]
    with NamespacePair(Shape(), Shape()) as net:
        for address in addresses[1:]:
            length = "64 nodad" if ":" in address else "24"
            command = ["ip", "addr", "add", *f"{address}/{length}".split(), "dev", "line0"]
            subprocess.run(net.command("b", *command), check=True, capture_output=True)
        command = net.command("b", sys.executable, str(PROGRAM), "0.0.0.0", "::", "--", *addresses)
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)

    assert [True] * 4 == json.loads(done.stdout)
