"""
What examples/medilien mails, and the mail server that row R04 has for it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import smtplib
from types import ModuleType

import pytest

from rows.figures import EXAMPLES
from rows.mailbox import Mailbox, headers

SENDER, TO = "site@clinic.example", "gp-1@practice.example"


@pytest.fixture(scope="module")
def mail() -> ModuleType:
    spec = importlib.util.spec_from_file_location("medilien_mail", EXAMPLES / "medilien" / "mail.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_a_mail_that_was_refused_twice_is_there_once(mail: ModuleType) -> None:
    """
    Refused by a temporary code, which raises; what is attached comes as it was.
    """
    still = bytes(range(256))
    refused = []
    async with Mailbox(refuses=2) as box:
        for _ in range(3):
            made = mail.message("c-1:9", SENDER, TO, "r-1", [("image/jpeg", still)])
            try:
                await asyncio.to_thread(mail.send, box.address, made)
            except smtplib.SMTPDataError as error:
                refused.append(error.smtp_code)

    assert ([451, 451], 1) == (refused, len(box.messages))
    assert [still] == [part.get_content() for part in box.messages[0].iter_attachments()]
    assert (SENDER, TO) == (box.messages[0]["From"], box.messages[0]["To"])


def test_the_same_event_is_the_same_message(mail: ModuleType) -> None:
    """
    A server that took it before knows it again; another event is another.
    """
    ids = [mail.message(key, SENDER, TO, "r-1", [])["Message-ID"] for key in ("c-1:9", "c-1:9", "c-2:9")]

    assert ids[0] == ids[1] != ids[2]
    assert "c-1" not in ids[0]


def test_headers_are_those_of_all_parts_decoded(mail: ModuleType) -> None:
    """
    A name that hid behind an encoded word, or in an attachment, would be seen.
    """
    made = mail.message("c-1:9", SENDER, TO, "r-1", [])
    made["X-Patient"] = "Zoé"
    made.add_attachment(b"x", maintype="image", subtype="jpeg", filename="Québec.jpg")

    assert "Téléconsultation" in headers(made)
    assert "Zoé" in headers(made)
    assert "Québec" in headers(made)
