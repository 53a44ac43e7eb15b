"""Who may send and have documents: by token, by being in, by role, and by the host's rule; and what is refused."""

import pytest

from support.live_relay import MakeLive
from support.uploads import TUS, Call, Sender, some_bytes
from telerelay import Hooks
from telerelay.documents.shelf import READERS, SENDERS
from telerelay.hooks import DocumentEvent, DocumentRequest
from telerelay.rooms.policy import ROLES


async def refused(call: Call) -> list[tuple[str, str]]:
    """Who tried what, as it is written down."""
    entries = await call.live.entries()
    return [(each.clear["sub"], each.clear["what"]) for each in entries if each.kind == "bypass_tried"]


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"patient", "practitioner"}))
async def test_a_role_sends_and_has_what_it_may(call: Call, role: str) -> None:
    """
    What it may not is refused and written down, once, under its name.
    """
    document = await call.pat.send(some_bytes(10))
    _, other = await call.bring("eve", role)
    created = await other.create(b"abc")
    got = await other.ask("GET", document)
    listed = await other.listed()

    assert (201 if role in SENDERS else 403) == created.status
    assert (200 if role in READERS else 403) == got.status
    assert ([document] if role in READERS else []) == [each["id"] for each in listed]
    is_refused = role not in SENDERS or role not in READERS
    assert ([("eve", "document")] if is_refused else []) == await refused(call)


async def test_a_foreign_token_opens_nothing(call: Call) -> None:
    """
    None, one that nobody signed, one of another consult, one of somebody who waits, and of somebody who never came.
    """
    await call.live.schedule("r2")
    await call.live.join("zoe", room="r2")
    document = await call.pat.send(some_bytes(10))
    await call.live.join("wil", role="companion")
    people = {
        "nobody": Sender(call.live, "x", "patient", token="x.y.z"),
        "elsewhere": Sender(call.live, "zoe", "practitioner", room="r2"),
        "waiting": Sender(call.live, "wil", "companion"),
        "away": Sender(call.live, "pam", "patient"),
        "other role": Sender(call.live, "pat", "practitioner"),
    }
    got = {name: await each.ask("GET", document) for name, each in people.items()}

    assert {
        "nobody": (401, "unauthorized"),
        "elsewhere": (404, "not_found"),
        "waiting": (403, "forbidden"),
        "away": (403, "forbidden"),
        "other role": (403, "forbidden"),
    } == {name: (each.status, each.code) for name, each in got.items()}
    assert [("wil", "document"), ("pam", "document"), ("pat", "document")] == await refused(call)


async def test_an_upload_is_its_senders_alone(call: Call) -> None:
    """
    Nobody adds to it, takes it back, or learns how far it is; and nobody has it before it is whole.
    """
    made = await call.pat.create(some_bytes(100))
    url = made.headers["Location"]
    head = await call.doc.head(url)
    sent = await call.doc.patch(url, 0, some_bytes(100))
    gone = await call.doc.ask("DELETE", url, **TUS)
    got = await call.doc.ask("GET", url)

    assert [403, 403, 403, 404] == [each.status for each in (head, sent, gone, got)]
    assert "0" == (await call.pat.head(url)).headers["Upload-Offset"]


async def test_a_room_without_a_consult_has_no_documents(make_live: MakeLive) -> None:
    """
    Nor has any where they are switched off.
    """
    live = await make_live()
    await live.join("doc")
    off = await Call.begin(await make_live({"documents": {"enabled": False}}))

    assert (404, "not_found") == ((reply := await Sender(live, "doc", "practitioner").ask("GET")).status, reply.code)
    assert (404, "not_found") == ((reply := await off.doc.create(b"abc")).status, reply.code)


class Rules(Hooks):
    """Patients send no letters, and experts have none; what is told is kept."""

    def __init__(self) -> None:
        self.asked: list[DocumentRequest] = []
        self.told: list[DocumentEvent] = []

    async def document_policy(self, request: DocumentRequest) -> bool:
        self.asked.append(request)
        if request.label == "trouble":
            raise RuntimeError
        return not (request.label == "letter" and (request.action, request.role) in NO)

    async def on_document(self, event: DocumentEvent) -> None:
        self.told.append(event)


NO = {("send", "patient"), ("read", "expert")}


async def test_the_hosts_rule_is_asked_and_told(make_live: MakeLive) -> None:
    """
    It takes away from a role what the role may; where it fails, the answer is no; what is here it is told of.
    """
    rules = Rules()
    call = await Call.begin(await make_live(hooks=rules))
    _, expert = await call.bring("exp", "expert")
    letter = await call.pat.create(b"abc", label="letter")
    trouble = await call.pat.create(b"abc", label="trouble")
    document = await call.doc.send(b"abc", label="letter", filetype="text/plain", filename="Mme Martin.txt")
    got = await expert.ask("GET", document)
    listed = [each["id"] for each in await expert.listed()]
    await call.live.until(lambda: bool(rules.told))
    (told,) = rules.told

    assert [403, 403, 403] == [each.status for each in (letter, trouble, got)]
    assert [] == listed
    assert [document] == [each["id"] for each in await call.pat.listed()]
    assert (document, "doc", "practitioner", 3, "letter", "text/plain") == (
        told.document,
        told.sub,
        told.role,
        told.size_bytes,
        told.label,
        told.media_type,
    )
    assert "Martin" not in repr(rules.told) + repr(rules.asked)
    assert [("pat", "document"), ("exp", "document")] == await refused(call)


async def test_somebody_who_asks_too_often_is_told_to_wait(make_live: MakeLive) -> None:
    """
    Each person by itself.
    """
    call = await Call.begin(await make_live({"limits": {"message_burst": 5, "messages_per_s": 0.1}}))
    replies = [(await call.pat.ask("GET")).status for _ in range(6)]

    assert [200] * 5 + [429] == replies
    assert 200 == (await call.doc.ask("GET")).status
