"""
Tenants: whose consult a token opens, and what is counted of each.
"""

import aiohttp
import pytest

from support.live_relay import Live, MakeLive, offer_sdp


async def joined(live: Live, tenant: str, room: str = "r1", sub: str = "pat") -> str:
    """What becomes of a join with that tenant's token: its code, or reply."""
    token = live.relay.token(room=room, sub=sub, role="patient", tenant=tenant)
    answer = await (await live.connect()).ask("join", room=room, token=token)
    return str(answer.get("code", answer["type"]))


async def test_a_tenants_token_opens_its_own_consults_alone(live: Live) -> None:
    """
    Not another's, not one of nobody's, and no room without a consult; the host's opens any.
    """
    await live.schedule("r1", tenant="north")
    await live.schedule("r2")

    assert ["reply", "forbidden"] == [await joined(live, "north"), await joined(live, "south")]
    assert ["forbidden", "forbidden"] == [await joined(live, "north", "r2"), await joined(live, "north", "r9")]
    assert ["reply", "reply"] == [await joined(live, "", "r2"), await joined(live, "", "r9")]


@pytest.mark.parametrize("path", ["whip/r1", "whep/r1", "documents", "measurements/r1"])
async def test_a_foreign_tenants_token_is_403_wherever_it_is_shown(live: Live, path: str) -> None:
    """
    Though it names somebody who is in, in the right role.
    """
    await live.schedule("r1", tenant="north", deciders=("patient",))
    await live.join("pat", role="patient")
    token = live.relay.token(room="r1", sub="pat", role="patient", tenant="south")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with live.http.post(f"{live.url}/{path}", data=offer_sdp(), headers=headers) as answer:
        code = (await answer.json())["error"]["code"]

    assert (403, "forbidden") == (answer.status, code)


async def test_a_links_token_bears_its_consults_tenant(live: Live) -> None:
    """
    So it is good for that consult, and for no other of the same name.
    """
    await live.schedule("r1", tenant="north")
    room, token = await live.relay.consults.use_link(await live.relay.consults.link("r1", "pat", "patient"))
    answer = await (await live.connect()).ask("join", room=room, token=token)

    assert "reply" == answer["type"]


async def test_metrics_are_split_by_tenant(make_live: MakeLive) -> None:
    """
    Consults, seats and attempts; of a consult without a tenant there is no line.
    """
    live = await make_live()
    for consult, tenant in (("r1", "north"), ("r2", "north"), ("r3", "south"), ("r4", "")):
        await live.schedule(consult, tenant=tenant)
    await joined(live, "north")
    await joined(live, "south")
    lines = await _metrics(live.http, f"{live.url}/metrics")

    assert {
        'telerelay_tenant_consults{state="scheduled",tenant="north"} 1.0',
        'telerelay_tenant_consults{state="scheduled",tenant="south"} 1.0',
        'telerelay_tenant_consults{state="waiting",tenant="north"} 1.0',
        'telerelay_tenant_participants{tenant="north"} 1.0',
        'telerelay_tenant_participants{tenant="south"} 0.0',
        'telerelay_tenant_attempts_total{tenant="north",what="token"} 1.0',
    } == lines


async def _metrics(http: aiohttp.ClientSession, url: str) -> set[str]:
    async with http.get(url) as answer:
        lines = (await answer.text()).splitlines()
    return {line for line in lines if line.startswith("telerelay_tenant_")}
