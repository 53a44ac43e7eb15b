"""
The flags of `telerelay load`, and how they change a profile.

Pure.
"""

import argparse
import dataclasses
from typing import Any

from telerelay.load import profiles, slo
from telerelay.load.profiles import Profile

EPILOG = """\
without a target it starts a relay of its own and loads that:
  telerelay load
a telerelay, with the key it was started with:
  telerelay load http://127.0.0.1:8080 --key-file relay.key --consults 100 --server-pid PID
any WHIP/WHEP server:
  telerelay load --whip http://HOST/whip/{room} --whep http://HOST/whep/{room} --token SECRET
two reports side by side:
  telerelay load compare A.json B.json
exit: 0 the objective is met, 1 it is not or the run failed, 2 usage"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """The `load` command's parser."""
    parser = commands.add_parser(
        "load",
        help="load a media server with WebRTC peers, and measure it",
        description="Loads a media server with real WebRTC peers and measures what becomes of every packet.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A report keeps the command line without its secrets, which it knows by their flags' whole names.
        allow_abbrev=False,
    )
    parser.add_argument("target", nargs="?", metavar="TARGET", help="address of a telerelay; or the word compare")
    parser.add_argument("files", nargs="*", metavar="FILE", help="of compare: two reports")

    where = parser.add_argument_group("target")
    where.add_argument("--whip", metavar="URL", default="", help="where to publish, with {room} and {participant}")
    where.add_argument("--whep", metavar="URL", default="", help="where to receive, likewise")
    where.add_argument("--janus", metavar="URL", default="", help="a Janus VideoRoom, ws://… or http://…/janus")
    where.add_argument("--token", help="one token for everybody")
    where.add_argument("--token-command", metavar="CMD", help="prints a participant's token; {room}, {participant}")
    where.add_argument("--key-file", metavar="FILE", help="telerelay's key, to sign tokens with")
    where.add_argument("--media-address", metavar="IP:PORT", help="send media here, not to the candidate answered")
    where.add_argument("--bind", metavar="IP", default="", help="our address, for a server on another machine")
    where.add_argument("--room-prefix", default="load", help="rooms are called PREFIX-0, PREFIX-1, … (load)")

    what = parser.add_argument_group("load")
    names = ", ".join(profiles.PROFILES)
    what.add_argument("--profile", default="consult", help=f"{names}, or a TOML file (consult)")
    what.add_argument("--show-profile", action="store_true", help="print the profile as TOML, and end")
    what.add_argument("--rooms", "--consults", type=int, dest="rooms", help="how many rooms")
    what.add_argument("--duration", type=float, metavar="S", help="how long to measure")
    what.add_argument("--warmup", type=float, metavar="S", help="after the last join, before measuring")
    what.add_argument("--rate", type=float, metavar="N", help="joins a second")
    what.add_argument("--bitrate", type=_bits, metavar="BPS", help="video of one publisher; 1500k, 1.5M")
    what.add_argument("--fps", type=float, help="frames a second")
    what.add_argument("--codec", choices=("VP8", "H264"), help="of video")
    what.add_argument("--encodings", type=int, help="simulcast encodings, 1 to 3")
    what.add_argument("--pattern", choices=("camera", "smooth"), help="bursts as cameras make them, or paced")
    what.add_argument("--repair", choices=("on", "off"), help="off: no NACK, no RTX, so that loss shows as it is")
    what.add_argument("--leave", choices=("close", "vanish"), default="close", help="how people go (close)")
    what.add_argument("--seed", type=int, default=1, help="same seed, same load (1)")

    how = parser.add_argument_group("generator")
    how.add_argument("--gso", choices=("on", "off"), default="on", help="send our own packets in GSO runs (on)")
    how.add_argument("--gro", choices=("on", "off"), default="on", help="take a server's GSO runs whole (on)")
    how.add_argument("--cpu", type=int, help="pin the generator to this processor")
    how.add_argument("--relay-cpu", type=int, help="without target: pin the relay to this one")

    measures = parser.add_argument_group("measuring")
    measures.add_argument(
        "--server-pid", type=int, action="append", default=[], metavar="PID", help="whose CPU and memory to read"
    )
    measures.add_argument("--slo", default=slo.DEFAULT, help=f"the objective ({slo.DEFAULT})".replace("%", "%%"))
    measures.add_argument("--find-max", action="store_true", help="search for the most rooms within the objective")
    measures.add_argument("--find-first", type=int, default=20, metavar="N", help="of the search: where to begin (20)")
    measures.add_argument("--find-most", type=int, default=2000, metavar="N", help="of the search: where to end (2000)")
    measures.add_argument("--at-least", type=int, default=1, metavar="N", help="of the search: what must be found (1)")
    measures.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    measures.add_argument("--html", metavar="FILE", help="write the report as one page")
    measures.add_argument("--quiet", action="store_true", help="show nothing while it runs")
    return parser


def profile_of(options: argparse.Namespace) -> Profile:
    """The profile with the flags over it. Raises ConfigError."""
    profile = profiles.load(options.profile)
    values: dict[str, dict[str, Any]] = {}

    def put(section: str, key: str, value: object) -> None:
        if value is not None:
            values.setdefault(section, {})[key] = value

    put("shape", "rooms", options.rooms)
    put("timing", "warmup_s", options.warmup)
    put("timing", "joins_per_s", options.rate)
    put("video", "bitrate_bps", options.bitrate)
    put("video", "fps", options.fps)
    put("video", "codec", options.codec)
    put("video", "encodings", options.encodings)
    put("video", "pattern", options.pattern)
    if options.repair is not None:
        put("repair", "has_nack", options.repair == "on")
        put("repair", "has_rtx", options.repair == "on")
    if options.duration is not None:
        profile = stretched(profile, options.duration)
    return profiles.with_values(profile, values)


def stretched(profile: Profile, duration_s: float) -> Profile:
    """
    The profile over another time. A surge is pressed or drawn out as a whole. Raises ConfigError.
    """
    timing = profile.timing
    values: dict[str, float] = {"duration_s": duration_s}
    if timing.arrival == "surge":
        by = duration_s / timing.duration_s
        values |= {"slot_s": max(1.0, timing.slot_s * by), "slot_rush_s": max(0.5, timing.slot_rush_s * by)}
    return profiles.with_values(profile, {"timing": values})


def with_rooms(profile: Profile, rooms: int) -> Profile:
    """The same with another number of rooms, for a search."""
    return dataclasses.replace(profile, shape=dataclasses.replace(profile.shape, rooms=rooms))


def _bits(text: str) -> int:
    factors = {"k": 1e3, "M": 1e6}
    factor = factors.get(text[-1:], 1.0)
    try:
        return round(float(text.rstrip("kM")) * factor)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number of bits a second, like 1500k or 1.5M") from None
