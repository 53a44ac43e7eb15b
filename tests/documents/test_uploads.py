"""Documents over tus: whole, cut and gone on with, by clients that are not ours; and what is refused."""

import asyncio
import base64
import gzip
import hashlib
from collections.abc import AsyncIterator

import pytest

from support.live_relay import MakeLive
from support.uploads import TUS, Call, Sender, metadata, sha256, some_bytes, stalling
from telerelay.errors import STATUS_BY_CODE

FRAME = 65536


@pytest.mark.parametrize("size", [1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 1_000_003])
async def test_what_arrives_is_what_was_sent(call: Call, size: int) -> None:
    """
    Around the edges of what is sealed at once: the same bytes, with the same hash at both ends and in the journal.
    """
    data = some_bytes(size)
    document = await call.pat.send(data, filename="prescription.pdf", filetype="application/pdf", label="referral")
    got = await call.doc.ask("GET", document)
    (entry,) = [each for each in await call.live.entries() if each.kind == "document_received"]

    assert (200, data, f'"{sha256(data)}"') == (got.status, got.body, got.headers["ETag"])
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert f"sha-256=:{digest}:" == got.headers["Repr-Digest"]
    assert (sha256(data), size, "referral", "application/pdf", "pat") == tuple(
        entry.clear[name] for name in ("sha256", "size_bytes", "label", "media_type", "sub")
    )
    assert {"name": "prescription.pdf"} == entry.personal


async def test_a_client_of_others_sends_in_chunks(call: Call) -> None:
    """
    tuspy, with a checksum for each chunk, of a size that no frame has.
    """
    data = some_bytes(700_001)
    url = await call.pat.with_tuspy(data, chunk_bytes=100_003, filename="a.pdf", label="letter")
    got = await call.doc.ask("GET", url)

    assert data == got.body
    assert [("letter", sha256(data))] == [(each["label"], each["sha256"]) for each in await call.doc.listed()]


async def test_an_upload_goes_on_where_it_was_cut(call: Call) -> None:
    """
    The connection hangs, as with a cut line; another one asks how far it is, at once, and sends the rest.
    """
    data, gate = some_bytes(300_000), asyncio.Event()
    made = await call.pat.create(data)
    url = made.headers["Location"]
    hanging = asyncio.create_task(call.pat.patch(url, 0, stalling(data[:200_000], gate)))
    documents = call.live.relay.consults.documents
    await call.live.until(lambda: documents.bytes["in"] == 200_000)
    head = await call.pat.head(url)
    cut = await hanging
    rest = await call.pat.patch(url, 200_000, data[200_000:])
    got = await call.doc.ask("GET", url)

    assert ("200000", "300000") == (head.headers["Upload-Offset"], head.headers["Upload-Length"])
    assert (409, "conflict") == (cut.status, cut.code)
    assert (204, "300000") == (rest.status, rest.headers["Upload-Offset"])
    assert data == got.body
    assert 300_000 == documents.bytes["in"]


async def test_a_connection_that_breaks_loses_nothing_that_came(call: Call) -> None:
    """
    The client is gone in the middle of a piece.
    """
    data = some_bytes(150_000)
    made = await call.pat.create(data)
    url = made.headers["Location"]
    sending = asyncio.create_task(call.pat.patch(url, 0, stalling(data[:100_000], asyncio.Event())))
    await call.live.until(lambda: call.live.relay.consults.documents.bytes["in"] == 100_000)
    sending.cancel()
    await asyncio.wait({sending})
    head = await call.pat.head(url)
    await call.pat.patch(url, 100_000, data[100_000:])

    assert "100000" == head.headers["Upload-Offset"]
    assert data == (await call.doc.ask("GET", url)).body


@pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 65_535), (65_535, 65_536), (65_536, 199_999), (199_999, None)])
async def test_any_part_of_it_can_be_fetched(call: Call, start: int, end: int | None) -> None:
    """
    As a download that was cut goes on.
    """
    data = some_bytes(200_000)
    document = await call.pat.send(data)
    got = await call.doc.ask("GET", document, Range=f"bytes={start}-{'' if end is None else end}")
    last = len(data) - 1 if end is None else end

    assert (206, data[start : last + 1]) == (got.status, got.body)
    assert f"bytes {start}-{last}/200000" == got.headers["Content-Range"]


async def test_a_range_behind_the_end_is_told_the_size(call: Call) -> None:
    """
    And one that is not understood gets all of it.
    """
    document = await call.pat.send(some_bytes(100))
    behind = await call.doc.ask("GET", document, Range="bytes=100-")
    several = await call.doc.ask("GET", document, Range="bytes=0-1,5-6")

    assert (416, "bytes */100", "range_not_satisfiable") == (
        behind.status,
        behind.headers["Content-Range"],
        behind.code,
    )
    assert (200, 100) == (several.status, len(several.body))


async def test_a_wrong_hash_is_told_and_nothing_is_kept(call: Call) -> None:
    """
    Neither for others nor for another try under the same address.
    """
    made = await call.pat.create(some_bytes(1000), sha256=sha256(b"something else"))
    url = made.headers["Location"]
    sent = await call.pat.patch(url, 0, some_bytes(1000))

    assert (460, "wrong_hash") == (sent.status, sent.code)
    assert 404 == (await call.pat.head(url)).status
    assert [] == await call.doc.listed()
    assert "document_received" not in await call.live.journal()


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_chunk_with_a_wrong_checksum_is_taken_back(call: Call, algorithm: str) -> None:
    """
    What came before it stays, and the same chunk may be sent again.
    """
    data = some_bytes(200_000)
    made = await call.pat.create(data)
    url = made.headers["Location"]
    await call.pat.patch(url, 0, data[:70_000])
    digest = base64.b64encode(hashlib.new(algorithm, data[70_000:]).digest()).decode()
    checksum = {"Upload-Checksum": f"{algorithm} {digest}"}
    wrong = await call.pat.patch(url, 70_000, data[70_000:-1] + b"!", **checksum)
    head = await call.pat.head(url)
    right = await call.pat.patch(url, 70_000, data[70_000:], **checksum)

    assert (460, "wrong_hash", "70000") == (wrong.status, wrong.code, head.headers["Upload-Offset"])
    assert 204 == right.status
    assert data == (await call.doc.ask("GET", url)).body


async def test_limits_are_exact(make_live: MakeLive) -> None:
    """
    As many bytes, documents of one person, of a consult, and bytes of a consult as may be; and one more.
    """
    limits = {"max_bytes": 1000, "per_person": 2, "per_consult": 3, "consult_bytes": 2500}
    call = await Call.begin(await make_live({"documents": limits}))
    over = await call.pat.create(some_bytes(1001))
    await call.pat.send(some_bytes(1000))
    await call.pat.send(some_bytes(500))
    third = await call.pat.create(some_bytes(1))
    too_much = await call.doc.create(some_bytes(1000, 2), size=1000)
    just = await call.doc.create(some_bytes(999))
    fourth = await call.doc.create(some_bytes(1))

    assert (413, "too_large") == (over.status, over.code)
    assert (409, "too_many_documents") == (third.status, third.code)
    assert 201 == too_much.status  # 2,500 exactly
    assert (409, "too_many_documents") == (just.status, just.code)
    assert (409, "too_many_documents") == (fourth.status, fourth.code)


async def test_a_consults_bytes_are_exact(make_live: MakeLive) -> None:
    """
    What is promised counts, and what is taken back counts no more.
    """
    call = await Call.begin(await make_live({"documents": {"consult_bytes": 1000}}))
    first = await call.pat.create(some_bytes(600))
    over = await call.doc.create(some_bytes(401))
    just = await call.doc.create(some_bytes(400))
    gone = await call.pat.ask("DELETE", first.headers["Location"], **TUS)
    again = await call.pat.create(some_bytes(600))

    assert [201, 413, 201, 204, 201] == [each.status for each in (first, over, just, gone, again)]


async def test_more_than_was_declared_is_refused(call: Call) -> None:
    """
    With a length before a byte is read, and without one when it comes; what fits may still come.
    """

    async def too_much():
        yield some_bytes(1001)

    made = await call.pat.create(some_bytes(1000))
    url = made.headers["Location"]
    named = await call.pat.patch(url, 0, some_bytes(1001))
    unnamed = await call.pat.patch(url, 0, too_much())
    right = await call.pat.patch(url, 0, some_bytes(1000))

    assert [(413, "too_large")] * 2 == [(each.status, each.code) for each in (named, unnamed)]
    assert 204 == right.status


async def test_nothing_is_unpacked(call: Call) -> None:
    """
    A length that is said of packed bytes is not that of what is in them, and a kilobyte may hold a megabyte.
    """
    made = await call.pat.create(bytes(1_000_000))
    url = made.headers["Location"]
    packed = gzip.compress(bytes(1_000_000))
    sent = await call.pat.patch(url, 0, packed, **{"Content-Encoding": "gzip"})

    assert (415, "unsupported_media_type") == (sent.status, sent.code)
    assert "0" == (await call.pat.head(url)).headers["Upload-Offset"]


@pytest.mark.parametrize("offset", ["0", "9", "11", "1000"])
async def test_another_offset_is_told_where_to_go_on(call: Call, offset: str) -> None:
    """
    One less, one more, the beginning and the end.
    """
    made = await call.pat.create(some_bytes(1000))
    url = made.headers["Location"]
    await call.pat.patch(url, 0, some_bytes(1000)[:10])
    sent = await call.pat.patch(url, int(offset), b"x")

    assert (409, "wrong_offset") == (sent.status, sent.code)
    assert "10" == (await call.pat.head(url)).headers["Upload-Offset"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.pdf", "a.pdf"),
        ("\u202efdp.exe\u200f", "fdp.exe"),
        ("a\nb\x00.pdf", "ab.pdf"),
        ("..", ""),
        ("é" * 300 + ".pdf", "é" * 251 + ".pdf"),
        ("😀" * 300 + ".dcm.gz", "😀" * 252 + ".gz"),
        ("x" * 300 + "." + "y" * 40, "x" * 255),
        ("x" * 255, "x" * 255),
    ],
)
async def test_a_name_is_the_last_part_of_one(call: Call, name: str, shown: str) -> None:
    """
    Without what turns a line around; one that is too long is cut before its ending, by which it is opened.
    """
    await call.pat.send(b"abc", filename=name)

    assert [shown] == [each["name"] for each in await call.doc.listed()]


HASHED = {"sha256": "ab" * 32}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "precondition_failed"),
        ({"Tus-Resumable": "0.2.2"}, "precondition_failed"),
        (TUS, "bad_message"),
        ({**TUS, "Upload-Length": "-1"}, "bad_message"),
        ({**TUS, "Upload-Length": "0"}, "bad_message"),
        ({**TUS, "Upload-Length": "1e3"}, "bad_message"),
        ({**TUS, "Upload-Length": "10"}, "bad_message"),
        ({**TUS, "Upload-Length": "10", "Upload-Defer-Length": "1"}, "bad_message"),
        *(
            ({**TUS, "Upload-Length": "10", "Upload-Metadata": said}, "bad_message")
            for said in (
                "sha256 %%%",
                metadata(sha256="ab" * 31),
                metadata(**HASHED, path="../x"),
                metadata(**HASHED, label="a b"),
                metadata(**HASHED, filetype="text"),
                metadata(**HASHED, kind="still"),
            )
        ),
    ],
)
async def test_a_creation_that_is_none_is_refused(call: Call, headers: dict[str, str], code: str) -> None:
    """
    With a code that names nothing of what was sent.
    """
    reply = await call.pat.ask("POST", **headers)

    assert (STATUS_BY_CODE[code], code) == (reply.status, reply.code)
    assert "1.0.0" == reply.headers["Tus-Resumable"]
    assert "../x" not in reply.body.decode()


async def test_the_relay_says_what_it_speaks(call: Call) -> None:
    """
    OPTIONS needs no token; what stands between may know POST alone.
    """
    options = await call.pat.ask("OPTIONS")
    made = await call.pat.create(b"abc")
    url = made.headers["Location"]
    override = {"X-HTTP-Method-Override": "PATCH", "Content-Type": "application/offset+octet-stream"}
    sent = await call.pat.ask("POST", url, b"abc", **TUS, **override, **{"Upload-Offset": "0"})

    assert (204, "1.0.0", "creation,checksum,expiration,termination", "104857600") == (
        options.status,
        options.headers["Tus-Version"],
        options.headers["Tus-Extension"],
        options.headers["Tus-Max-Size"],
    )
    assert (204, "3") == (sent.status, sent.headers["Upload-Offset"])
    assert 405 == (await call.pat.ask("POST", url, b"abc", **TUS)).status


async def test_an_upload_that_nothing_comes_of_expires(call: Call) -> None:
    """
    Its time is told, runs anew with each piece, and a whole document has none.
    """
    kept = await call.pat.send(some_bytes(10))
    made = await call.pat.create(some_bytes(20))
    url = made.headers["Location"]
    documents = call.live.relay.consults.documents
    documents.now = lambda: call.live.relay.consults.now() + 3601.0
    await documents.expire()

    assert "Upload-Expires" in made.headers
    assert 404 == (await call.pat.head(url)).status
    assert [kept] == [each["id"] for each in await call.doc.listed()]
    assert 1 == documents.counts["document", "expired"]


async def test_an_upload_is_kept_as_long_as_something_comes_of_it(call: Call) -> None:
    """
    In one request that takes longer than an upload is kept that nothing is added to, as on the line of a village.
    """
    data, ahead_s = some_bytes(300_000), 0.0
    documents = call.live.relay.consults.documents
    documents.now = lambda: call.live.relay.consults.now() + ahead_s

    async def over_three_hours() -> AsyncIterator[bytes]:
        nonlocal ahead_s
        for start in range(0, len(data), 50_000):
            yield data[start : start + 50_000]
            await call.live.until(lambda come=start + 50_000: documents.bytes["in"] == come)
            ahead_s += 1800.0
            await documents.expire()

    made = await call.pat.create(data)
    sent = await call.pat.patch(made.headers["Location"], 0, over_three_hours())

    assert (204, "300000") == (sent.status, sent.headers.get("Upload-Offset"))
    assert data == (await call.doc.ask("GET", made.headers["Location"])).body
    assert 0 == documents.counts["document", "expired"]


async def test_what_is_here_as_a_whole_stays(call: Call) -> None:
    """
    Others have it, and it is written down.
    """
    document = await call.pat.send(some_bytes(10))
    reply = await call.pat.ask("DELETE", document, **TUS)

    assert (409, "conflict") == (reply.status, reply.code)
    assert 200 == (await call.doc.ask("GET", document)).status


async def test_what_a_browser_could_run_is_bytes_to_it(call: Call) -> None:
    """
    A page or drawing that somebody sends is no page of ours; what it was said to be is told beside it.
    """
    document = await call.pat.send(b"<script>", filetype="text/html", filename="../../a\u202e.html")
    got = await call.doc.ask("GET", document)
    (listed,) = await call.doc.listed()

    assert ("application/octet-stream", "attachment", "nosniff") == (
        got.headers["Content-Type"],
        got.headers["Content-Disposition"],
        got.headers["X-Content-Type-Options"],
    )
    assert got.headers["Content-Security-Policy"].startswith("sandbox")
    assert ("text/html", "a.html") == (listed["media_type"], listed["name"])


async def test_everyone_is_told_of_a_document(call: Call) -> None:
    """
    By a sign, which whoever comes later gets too.
    """
    data = some_bytes(10)
    document = await call.pat.send(data, filename="a.txt")
    sign = await call.doctor.sign("documents")
    again = await call.live.join("doc")

    assert [(document, sha256(data), "pat", "a.txt")] == [
        (each["id"], each["sha256"], each["sub"], each["name"]) for each in sign["documents"]
    ]
    assert sign["documents"] == (await again.sign("documents"))["documents"]


async def test_a_seat_outlives_its_token(call: Call) -> None:
    """
    A call is longer than a token: the seat's secret stands for it, and nothing without it.
    """
    expired = call.live.relay._keys.sign(room="r1", sub="pat", role="patient", ttl_s=1, now=1.0)
    late = Sender(call.live, "pat", "patient", token=expired)
    without = await late.ask("GET")
    foreign = await late.ask("GET", **{"Telerelay-Resume": str(call.doctor.joined["resume"])})
    good = await late.ask("GET", **{"Telerelay-Resume": str(call.patient.joined["resume"])})

    assert [(401, "token_expired")] * 2 == [(each.status, each.code) for each in (without, foreign)]
    assert 200 == good.status
