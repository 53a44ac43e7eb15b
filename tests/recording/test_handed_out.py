"""Recordings over the admin listener: parts of a file, as a download that was cut goes on."""

from aiohttp.test_utils import TestClient, TestServer
from test_erased_in_the_journal import recorded

from support.live_relay import MakeLive


async def test_a_range_behind_the_end_is_told_the_size(make_live: MakeLive) -> None:
    """
    And one within it is had as it is asked for.
    """
    live = await make_live({"recording": {"enabled": True}})
    await recorded(live)
    bearer = {"Authorization": f"Bearer {live.relay.admin_token(sub='desk-3')}"}
    async with TestClient(TestServer(live.relay.admin_app())) as host:
        listed = await (await host.get("/consults/r1/recordings", headers=bearer)).json()
        url = f"/consults/r1/recordings/{listed['files'][0]['file']}"
        part = await host.get(url, headers={**bearer, "Range": "bytes=5-8"})
        behind = await host.get(url, headers={**bearer, "Range": "bytes=21-"})
        code = (await behind.json())["error"]["code"]

        assert (206, "bytes 5-8/21", b"the ") == (part.status, part.headers["Content-Range"], await part.read())
        assert (416, "bytes */21", "range_not_satisfiable") == (behind.status, behind.headers["Content-Range"], code)
