"""
R04, Médimail, secure messaging (D0, D3): a mail hook that fails twice and then succeeds gives exactly one message in a
real mail server; no name of a patient in subject or headers; the attachment's hash is the still's.

The still is asked for in the call, allowed, and sent by the patient; the mail server is aiosmtpd, on the row's loop.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial

from rows.figures import Figure
from rows.instrument import Instrument
from rows.mailbox import headers
from rows.medilien import PATIENT_NAME, REASON, case

_figure = partial(Figure, "R04", example="medilien", unit="", bound=0.0, is_least=False)

STILL_BYTES = 1_000_000
REFUSED = 2


async def measure() -> list[Figure]:
    async with case(REFUSED) as found, Instrument() as camera:
        asked = await found.expert.request(
            "request_still", participant=found.ids["patient"], label="mole", reason=REASON
        )
        await found.patient.request("answer_still", request=asked["request"], answer="allowed")
        await camera.begin(
            f"{found.relay}/documents",
            found.patient_token,
            STILL_BYTES,
            "mole",
            filename=f"{PATIENT_NAME}.jpg",
            filetype="image/jpeg",
            kind="still",
            request=asked["request"],
            source="photo",
        )
        sent = await camera.event("sent")
        listed = await found.expert.event("stills", lambda each: each["stills"][0]["state"] == "taken")
        assert listed["stills"][0]["request"] == asked["request"]
        await found.pending()
        await found.expert.request("end")
        mail = await found.box.until_one()
        pending = await found.pending()
        attached = [hashlib.sha256(part.get_content()).hexdigest() for part in mail.iter_attachments()]
        said = headers(mail).casefold()
        names = [name for name in re.split(r"\W+", PATIENT_NAME.casefold()) if name in said]
        raw = [name for name in re.split(r"\W+", PATIENT_NAME) if name.encode() in found.box.raw[0]]
    return [
        _figure("times that the mail server refused it first", float(found.box.refused), bound=REFUSED, is_least=True),
        _figure("messages there, but one", abs(len(found.box.messages) - 1.0)),
        _figure("facts of which the site was still to be told then", pending),
        _figure("parts of the patient's name in subject, headers and file names", float(len(names))),
        _figure("parts of the patient's name anywhere in the message", float(len(raw))),
        _figure("attachments, but one", abs(len(attached) - 1.0)),
        _figure("hashes of attachment and still that differ", float({sent["sha256"]} != set(attached))),
    ]
