"""
`telerelay probe URL`: says of a site whether it is fit for a consult, a line for each thing that was checked.

Sentences go to stdout: they are what the command is for; with --json one object instead. Exit 0 ready, 1 not, 2 usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time

from telerelay.errors import LocalProtocolError
from telerelay.probe.devices import AUTO
from telerelay.probe.judging import Check, judge, passed
from telerelay.probe.sentences import LANGUAGES, sentence

OK, FAILED, USAGE = 0, 1, 2
PROBE_TOKEN = "TELERELAY_PROBE_TOKEN"
"""A token on a command line is seen by whoever lists processes."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """The command's parser."""
    parser = commands.add_parser(
        "probe",
        help="say whether this site is fit for a consult: camera, microphone, TCP, UDP, rates, loss, jitter",
        description="Checks this site against a relay within 15 seconds, without entering a consult.",
        epilog=f"exit: 0 ready, 1 not ready, 2 usage. A token may also be given in {PROBE_TOKEN}.",
    )
    parser.add_argument("url", metavar="URL", help="the relay's address, https://relay.example")
    parser.add_argument("--token", default="", help="where the relay wants one")
    parser.add_argument("--language", choices=LANGUAGES, default=_language(), help="of the sentences (the system's)")
    parser.add_argument(
        "--camera", default=AUTO, metavar="DEVICE", help="a device or file; none: leave it out (the first)"
    )
    parser.add_argument(
        "--microphone", default=AUTO, metavar="DEVICE", help="an ALSA device or file; none: leave it out"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    """Returns the exit code."""
    from telerelay.probe.probing import Prober

    began = time.monotonic()
    token = options.token or os.environ.get(PROBE_TOKEN, "")
    try:
        prober = Prober(options.url, token=token, camera=options.camera, microphone=options.microphone)
    except LocalProtocolError as error:
        print(f"telerelay probe: {error}", file=sys.stderr)
        return USAGE
    checks = judge(asyncio.run(prober.run()), options.language)
    took_s = time.monotonic() - began
    if options.json:
        body = {"passed": passed(checks), "seconds": round(took_s, 1), "checks": [each.as_object() for each in checks]}
        print(json.dumps(body, ensure_ascii=False))
    else:
        print(report(checks, options.language))
    sys.stdout.flush()
    return OK if passed(checks) else FAILED


def report(checks: tuple[Check, ...], language: str) -> str:
    """For people: a line for each, and what comes of it."""
    words = [sentence(language, f"result_{check.result}") for check in checks]
    width = max(map(len, words))
    lines = [f"{word:<{width}}  {check.text}" for word, check in zip(words, checks, strict=True)]
    failed = [sentence(language, f"name_{each.name}") for each in checks if each.result == "fail" and each.is_needed]
    last = sentence(language, "failed", names=", ".join(failed)) if failed else sentence(language, "passed")
    return "\n".join([*lines, "", last])


def _language() -> str:
    wanted = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "fr" if wanted.lower().startswith("fr") else "en"
