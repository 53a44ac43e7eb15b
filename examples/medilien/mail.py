"""
The mail that a general practitioner gets of a consult that is over. Pure but for `send`, which blocks.

Nothing of the patient is in a header, a subject or a file name, for mail servers log those. Nor is it in the body.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage

SUBJECT = "Téléconsultation terminée / Teleconsultation over"
BODY = """\
Bonjour,

La téléconsultation que vous avez demandée est terminée. Les images prises sont jointes.
Référence : {reference}

Hello,

The teleconsultation that you asked for is over. The images that were taken are attached.
Reference: {reference}
"""

Still = tuple[str, bytes]
"""Its media type, such as image/jpeg, and its bytes."""


def message(key: str, sender: str, to: str, reference: str, stills: Sequence[Still]) -> EmailMessage:
    """`key` is the event's that it is sent for: sent again, the mail has the same Message-ID, and is known again."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, SUBJECT
    made["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{sender.rpartition('@')[2]}>"
    made.set_content(BODY.format(reference=reference))
    for number, (media_type, data) in enumerate(stills, 1):
        kind, _, subtype = media_type.partition("/")
        made.add_attachment(data, maintype=kind, subtype=subtype, filename=f"image-{number}.{subtype}")
    return made


def send(server: str, made: EmailMessage, timeout_s: float = 5.0) -> None:
    """
    Hand it to "host:port", encrypted where the server can; in a thread of its own. Raises OSError or
    smtplib.SMTPException where it was not taken.
    """
    host, _, port = server.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=timeout_s) as smtp:
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=ssl.create_default_context())
        smtp.send_message(made)
