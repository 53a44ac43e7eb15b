"""
Consults that are recorded, over real sockets: who is asked, what is written, and when nothing is.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import pytest

from support.courses import refused
from support.live_relay import Live, MakeLive
from telerelay import Hooks
from telerelay.client import Client, MovingPicture, Tone
from telerelay.errors import RemoteProtocolError
from telerelay.hooks import RecordingRequest

ON = {"recording": {"enabled": True}}


class Pair:
    """A doctor and a patient who see and hear each other."""

    def __init__(self, live: Live, doctor: Client, patient: Client) -> None:
        self.live, self.doctor, self.patient = live, doctor, patient

    @property
    def recordings(self) -> Any:
        return self.live.relay.consults.recordings

    @property
    def now(self) -> dict[str, Any]:
        """The doctor's latest sign."""
        return next(each for each in reversed(self.doctor.events) if each["type"] == "recording")

    async def is_now(self, state: str) -> dict[str, Any]:
        def is_it(client: Client) -> bool:
            signs = [each for each in client.events if each["type"] == "recording"]
            return bool(signs) and signs[-1]["state"] == state

        await self.doctor.wait_for(is_it, 20.0)
        return self.now

    async def ask(self) -> str:
        return str((await self.doctor.request("ask_recording"))["recording"])

    async def agree(self, recording: str, client: Client | None = None, agreed: bool = True) -> None:
        await (client or self.patient).request("answer_recording", recording=recording, agreed=agreed)

    async def until_bytes(self, more_than: int = 0) -> None:
        async with asyncio.timeout(20):
            while self.recordings.bytes <= more_than:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def whole(self) -> list[bytes]:
        """The files, once no more is written."""
        async with asyncio.timeout(20):
            while not all(each.is_whole for each in self.recordings.kept("r1")):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return [await self.recordings.read(each, 0, each.size_bytes) for each in self.recordings.kept("r1")]


async def bring(live: Live, sub: str, role: str, room: str = "r1") -> Client:
    return await Client.join(f"{live.url}/", live.token(sub, room, role), room)


async def begin(live: Live, is_seen: bool = True) -> Pair:
    await live.schedule()
    doctor = await bring(live, "doc", "practitioner")
    patient = await bring(live, "pat", "patient")
    await live.relay.consults.admit("r1", "pat", "host")
    await patient.wait_for(lambda client: client.is_admitted)
    if is_seen:
        await patient.publish([Tone(), MovingPicture(320, 240, 15)], ["microphone", "camera"])
    return Pair(live, doctor, patient)


@pytest.fixture
async def pair(make_live: MakeLive) -> AsyncIterator[Pair]:
    made = await begin(await make_live(ON))
    yield made
    await made.doctor.leave()
    await made.patient.leave()


@pytest.mark.slow
async def test_nothing_is_written_before_everybody_agreed_and_all_sees_the_recorder(pair: Pair) -> None:
    """
    The fact that it runs is durable before the tap is there; the recorder is in everybody's roster under its role.
    """
    recording = await pair.ask()
    sign = await pair.is_now("asked")
    assert (["pat"], True, True, "doc") == (sign["missing"], sign["asked"], sign["agreed"], sign["by"])
    await asyncio.sleep(0.3)
    assert (0, 2) == (pair.recordings.bytes, len(pair.live.relay.consults._live["r1"].host.room.participants))

    await pair.agree(recording)
    await pair.until_bytes(4000)
    roles = {each["role"] for each in pair.patient.participants.values()}
    states = [each.clear["state"] for each in await pair.live.entries() if each.kind == "recording_set"]
    await pair.doctor.request("stop_recording")
    kinds: dict[str, str] = {}
    frames = 0
    for data in await pair.whole():  # one, where the machine is quick enough for its halves to begin together
        with av.open(io.BytesIO(data)) as file:
            kinds |= {each.type: each.codec_context.name for each in file.streams}
            frames += sum(1 for _ in file.decode(video=0)) if file.streams.video else 0

    assert "recorder" in roles
    assert ["asked", "running"] == states
    assert {"audio": "opus", "video": "vp8"} == kinds
    assert frames > 5
    await pair.patient.wait_for(
        lambda client: "recorder" not in {each["role"] for each in client.participants.values()}
    )


@pytest.mark.slow
async def test_a_consent_that_is_taken_back_is_the_last_byte(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What came before is a whole file; nothing that comes after is in it, however long it takes to be written down.
    """
    await pair.agree(await pair.ask())
    await pair.until_bytes(4000)
    store = pair.live.relay.consults.keeping.journal.store
    session = pair.recordings._sessions["r1"]
    is_shut, write = asyncio.Event(), store.write

    def write_once_it_is_shut(work: Any) -> asyncio.Future[Any]:
        async def written() -> Any:
            await is_shut.wait()
            return await write(work)

        return asyncio.ensure_future(written())

    monkeypatch.setattr(store, "write", write_once_it_is_shut)
    taking = asyncio.create_task(pair.agree(session.recording, agreed=False))
    async with asyncio.timeout(20):
        while session.is_open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not taking.done(), "it is shut before that is durable"
    is_shut.set()
    await taking
    await pair.whole()
    written = pair.recordings.bytes
    sign = await pair.is_now("stopped")
    await asyncio.sleep(0.5)

    assert ("withdrawn", written) == (sign["why"], pair.recordings.bytes)


@pytest.mark.slow
async def test_whoever_comes_in_pauses_it_until_he_agrees(pair: Pair) -> None:
    """
    What is written before and after are files of their own, and nothing of anybody between.
    """
    recording = await pair.ask()
    await pair.agree(recording)
    await pair.until_bytes(4000)
    companion = await bring(pair.live, "com", "companion")
    await pair.live.relay.consults.admit("r1", "com", "host")
    sign = await pair.is_now("paused")
    await pair.whole()
    written = pair.recordings.bytes
    await asyncio.sleep(0.5)
    assert (["com"], written) == (sign["missing"], pair.recordings.bytes)

    await pair.agree(recording, companion)
    await pair.until_bytes(written + 4000)
    await companion.leave()
    await pair.doctor.request("stop_recording")
    await pair.whole()
    files = pair.recordings.kept("r1")
    begun = [each.begun_at > sign["since"] for each in files]
    lasted = [each.begun_at + each.about["length_s"] for each in files if each.begun_at <= sign["since"]]
    assert ({False, True}, True) == (set(begun), max(lasted) <= sign["since"] + 1.0)


@pytest.mark.slow
async def test_a_full_disk_stops_it_with_a_reason_and_no_call(pair: Pair) -> None:
    """
    The patient's packets go on coming.
    """
    await pair.agree(await pair.ask())
    await pair.until_bytes(4000)
    pair.recordings._shelves.keep_free_bytes = 1 << 60
    sign = await pair.is_now("stopped")
    received = pair.doctor.tap.received
    await pair.doctor.wait_for(lambda client: client.tap.received > received + 20)

    assert "full" == sign["why"]


@pytest.mark.slow
async def test_it_is_sealed_at_rest_and_noise_once_it_is_erased(make_live: MakeLive, tmp_path: Path) -> None:
    """
    No bytes of a container are on the disk; another process finds the files; without the key it finds none.
    """
    values = {
        "recording": {"enabled": True, "folder": str(tmp_path / "kept")},
        "journal": {"path": str(tmp_path / "journal")},
    }
    pair = await begin(await make_live(values))
    await pair.agree(await pair.ask())
    await pair.until_bytes(70_000)
    await pair.doctor.request("stop_recording")
    data = (await pair.whole())[0]
    await pair.live.relay.consults.end("r1", "host")
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "kept").rglob("*") if path.is_file())
    kept = pair.recordings.kept("r1")[0]

    assert (b"\x1aE\xdf\xa3", True) == (data[:4], len(on_disk) > 70_000)
    assert not any(word in on_disk for word in (b"webm", b"OpusHead", b"microphone", data[1000:1032]))
    assert 64 == len(await pair.recordings.digest(kept))
    await pair.recordings.erase("r1")
    with refused("not_found"):
        pair.recordings.kept("r1")
    assert [] == [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.parametrize("is_ruled", [False, True])
async def test_where_the_policy_says_so_no_role_records(make_live: MakeLive, is_ruled: bool) -> None:
    """
    Switched off, or by the application's rule: refused, written down, and counted as an attempt of who may not decide.
    """

    class Never(Hooks):
        async def recording_consent(self, request: RecordingRequest) -> bool:
            return False

    live = await make_live(ON if is_ruled else {}, Never() if is_ruled else None)
    pair = await begin(live, is_seen=False)
    for client in (pair.doctor, pair.patient):
        with pytest.raises(RemoteProtocolError) as caught:
            await client.request("ask_recording")
        assert "forbidden" == caught.value.code
    with refused("forbidden"):
        await pair.recordings.ask(live.relay.consults._live["r1"], "host", is_host=True)
    entries = await live.entries()

    assert [("forbidden", "doc"), ("forbidden", "host")] == [
        (each.clear["state"], each.clear["by"]) for each in entries if each.kind == "recording_set"
    ]
    assert [("pat", "recording")] == [
        (each.clear["sub"], each.clear["what"]) for each in entries if each.kind == "bypass_tried"
    ]
    assert 0 == pair.recordings.bytes
    await pair.doctor.leave()
    await pair.patient.leave()
