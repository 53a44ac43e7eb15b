"""
The flags of `telerelay attest`, `telerelay journal` and `telerelay report`.

Pure; what carries a command out is imported when it is.
"""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    """A function of command.py, imported when it is called: other commands start without what these need."""

    def run(options: argparse.Namespace) -> int:
        code: int = getattr(import_module("telerelay.attest.command"), name)(options)
        return code

    return run


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parsers of the three commands."""
    _add_attest(commands)
    _add_journal(commands)
    _add_report(commands)


def _add_attest(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    attest = commands.add_parser("attest", help="make a key for attestations, verify them, export them")
    attest.add_argument(
        "--new-key", metavar="FILE", help="write a new key to this new file, its public half to FILE.pub"
    )
    attest.set_defaults(run=_later("new_key"))
    verbs = attest.add_subparsers(dest="verb", metavar="VERB")

    verifying = verbs.add_parser("verify", help="say whether files of attestations are what was signed")
    verifying.add_argument("files", nargs="+", metavar="FILE", help="an attestation, or many, one a line")
    _add_keys(verifying, "a public key that is trusted; without, only that nothing was changed is checked")
    verifying.add_argument("--json", action="store_true", help="print the verdict as one line of JSON")
    verifying.set_defaults(run=_later("verify_files"))

    exporting = verbs.add_parser("export", help="write attestations out of a journal, one a line")
    _add_source(exporting)
    exporting.add_argument("--consult", action="append", metavar="ID", help="of this consult alone")
    exporting.add_argument("--out", metavar="DIR", help="a file for each, DIR/ID.json, instead of lines on stdout")
    exporting.add_argument("--json", action="store_true", help="with --out: print what was written as one line of JSON")
    exporting.set_defaults(run=_later("export"))


def _add_journal(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    journal = commands.add_parser("journal", help="verify a journal, show it, erase what is personal in it")
    verbs = journal.add_subparsers(dest="verb", required=True, metavar="VERB")
    verifying = verbs.add_parser("verify", help="say whether a journal is as it was written")
    showing = verbs.add_parser("show", help="print what a journal holds")
    erasing = verbs.add_parser("erase", help="destroy the personal parts of consults")
    for each, run in ((verifying, "verify_journal"), (showing, "show"), (erasing, "erase")):
        _add_source(each)
        each.add_argument("--json", action="store_true", help="print the result as one line of JSON")
        each.set_defaults(run=_later(run))
    _add_keys(verifying, "a public key that anchors may be signed with; without, they are not verified")
    verifying.add_argument("--anchor", metavar="POS:LINK", help="an anchor kept elsewhere, as the log has it")
    showing.add_argument("--consult", metavar="ID", help="of this consult alone; without, the consults there are")
    showing.add_argument("--personal", action="store_true", help="what is personal too")
    erasing.add_argument("consults", nargs="+", metavar="CONSULT", help="their ids")


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    report = commands.add_parser("report", help="count acts, professionals, the peak, shares, from attestations")
    report.add_argument("files", nargs="*", metavar="FILE", help="attestations, one a line; without, a journal's")
    _add_source(report)
    _add_keys(report, "a public key that is trusted: what is not signed with one is refused")
    report.add_argument("--zone", default="UTC", help="the time zone of days, like Europe/Paris (UTC)")
    report.add_argument("--html", metavar="FILE", help="write the report as one page, with plots")
    report.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    report.set_defaults(run=_later("report"))


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--journal", metavar="FILE", help="the journal")
    parser.add_argument("--config", type=Path, help="TOML file that names the journal (journal.path)")


def _add_keys(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--key", action="append", metavar="FILE", default=[], help=text)
