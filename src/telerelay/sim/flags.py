"""
The flags of `telerelay simulate`.

Pure.
"""

import argparse

SUITES = ("rfc8867", "rfc8869", "lines", "traces", "consult", "joins", "squeeze", "storm", "voice", "scoreboard")

EPILOG = """\
suites:
  rfc8867     congestion control on wired lines (RFC 8867)
  rfc8869     the same behind and over Wi-Fi, and on a mobile network (RFC 8869)
  lines       country ADSL, lossy Wi-Fi, outages, steps
  traces      every trace of --dir; without it the made-up ones
  consult     a doctor who receives a patient, a relative and an image over one line
  joins       somebody joins a consult on a good line (try --seeds 50)
  squeeze     a line for two people goes down to 100 kbit/s and comes back (try --seeds 20)
  storm       twenty join one publisher within a second
  voice       a voice alone on lines that lose packets
  scoreboard  all that the rows of the scoreboard need, in one run
examples:
  telerelay simulate rfc8867 --controller gcc,nada --seeds 3 --html report.html
  telerelay simulate rfc8867 --case 5.1,5.4 --seeds 1 --json
  telerelay simulate scoreboard --dir some/traces --html scoreboard.html
exit: 0 it ran, 1 it failed or --check found a gate lost, 2 usage"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """The `simulate` command's parser."""
    parser = commands.add_parser(
        "simulate",
        help="try rate controllers on simulated lines",
        description="Runs rate controllers on simulated lines, and says how each fared against its gates.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("suite", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--controller", metavar="NAMES", help="with commas, of telerelay, gcc, nada (all there are)")
    parser.add_argument(
        "--allocator",
        metavar="NAMES",
        help="of consults, joins, squeeze and storm: with commas, of telerelay, livekit, mediasoup, oracle",
    )
    parser.add_argument("--seeds", type=_count, default=3, metavar="N", help="runs of each case, seeds 1 to N (3)")
    parser.add_argument(
        "--rival-seeds", type=_count, metavar="N", help="of scoreboard: runs of each case with a rival (as --seeds)"
    )
    parser.add_argument("--case", metavar="NAMES", help="only these cases, with commas")
    parser.add_argument("--dir", metavar="DIR", help="of traces, consult and scoreboard: a folder of traces")
    parser.add_argument(
        "--check", action="store_true", help="of scoreboard: the subset of CI; exit 1 where a held gate is lost"
    )
    parser.add_argument("--jobs", type=_count, metavar="N", help="processes at once (as many as there are processors)")
    parser.add_argument("--keep", metavar="FILE", help="keep each run there; what is kept already is not run again")
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    parser.add_argument("--html", metavar="FILE", help="write the report with plots as one page")
    parser.add_argument("--markdown", metavar="FILE", help="write the scoreboard as Markdown")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
