"""
The rows of the scoreboard: what is measured on which cases, and the gate or aim it is held against.

Pure: a table. What a figure is, docs/simulator.md says; what a row is for, docs/abr.md.
"""

from enum import Enum
from typing import NamedTuple


class Fold(Enum):
    """How several values become one number: of each case the mean over seeds, or every single run."""

    MEAN = "mean"
    MEDIAN = "median"
    LEAST = "least"
    MOST = "most"
    RUNS_P50 = "p50 of runs"
    RUNS_P95 = "p95 of runs"
    RATIO = "ratio to the baseline"


class Kind(Enum):
    """A gate has to be met before a release, an aim should be; what has neither is only shown."""

    GATE = "gate"
    AIM = "aim"
    SHOWN = "shown"


BASELINE = "gcc+livekit"
"""What ratios are taken to: the rival that is the most widespread."""


class Row(NamedTuple):
    """
    One number: `figure` of the cases that have one of `where` as a name or a tag, folded, times `scale`.

    `number` is the scoreboard's (0: none of it); the bound is met `at_most` there, or at least. `part` says what of the
    row is not measured; empty where all of it is.
    """

    number: int
    label: str
    unit: str
    gate: float
    at_most: bool
    figure: str
    fold: Fold
    where: tuple[str, ...]
    scale: float = 1.0
    kind: Kind = Kind.GATE
    part: str = ""


_MEAN, _MEDIAN, _LEAST, _MOST = Fold.MEAN, Fold.MEDIAN, Fold.LEAST, Fold.MOST
_AIM = Kind.AIM

_NO_DYNACAST = "by a rule of the simulator's; not the one of the relay"


def _apart(row: Row) -> tuple[Row, ...]:
    """A row of traces three times: all of them, the odd ones, the even ones."""
    (tag,) = row.where
    return (
        row,
        row._replace(label=f"{row.label}, odd", where=(f"{tag}-odd",)),
        row._replace(label=f"{row.label}, even", where=(f"{tag}-even",)),
    )


ROWS: tuple[Row, ...] = (
    Row(1, "utilisation, wired, mean", "", 0.93, False, "utilisation", _MEAN, ("wired",)),
    Row(1, "utilisation, wired, least", "", 0.90, False, "utilisation", _LEAST, ("wired",)),
    Row(2, "p95 queue, 5.1 and 5.2", "ms", 45, True, "queue_p95_ms", _MOST, ("5.1", "5.2")),
    Row(2, "p95 queue, 5.4 and 5.5", "ms", 30, True, "queue_p95_ms", _MOST, ("5.4", "5.5")),
    Row(2, "p99 queue, wired", "ms", 250, True, "queue_p99_ms", _MOST, ("wired",)),
    *_apart(Row(3, "utilisation, traces, mean", "", 0.85, False, "utilisation", _MEAN, ("trace",))),
    *_apart(Row(3, "p95 queue, traces, median", "ms", 150, True, "queue_p95_ms", _MEDIAN, ("trace",))),
    Row(3, "p95 wait in the pacer, wired", "ms", 150, True, "pacer_p95_ms", _MOST, ("wired",), kind=_AIM),
    *_apart(
        Row(3, "p95 wait in the pacer, traces, median", "ms", 150, True, "pacer_p95_ms", _MEDIAN, ("trace",), kind=_AIM)
    ),
    Row(4, "own loss, 5.1 to 5.5", "%", 0.2, True, "own_loss", _MOST, ("5.1", "5.2", "5.3", "5.4", "5.5"), 100),
    Row(4, "own loss, 5.4 and 5.5", "%", 0.0, True, "own_loss", _MOST, ("5.4", "5.5"), 100),
    Row(5, "queue calm after a drop", "s", 1.2, True, "drop_s", _MOST, ("drop",)),
    Row(5, "p95 queue, told late", "ms", 100, True, "queue_p95_ms", _MOST, ("drop-both",)),
    Row(6, "90 % after the start", "s", 1.5, True, "start_s", _MOST, ("5.1", "5.2", "5.8")),
    Row(6, "90 % after a step up", "s", 3.0, True, "up_s", _MOST, ("up",)),
    Row(6, "90 % after an outage", "s", 2.0, True, "up_s", _MOST, ("outage-3", "outage-10")),
    Row(7, "Jain, three flows (5.4)", "", 0.99, False, "jain", _LEAST, ("5.4",)),
    Row(7, "Jain, five round trips (5.5)", "", 0.95, False, "jain", _LEAST, ("5.5",)),
    Row(7, "share beside a TCP (5.6), at least", "", 0.3, False, "tcp_share", _LEAST, ("5.6",)),
    Row(7, "share beside a TCP (5.6), at most", "", 0.7, True, "tcp_share", _MOST, ("5.6",)),
    Row(8, "utilisation at 5 % loss", "", 0.95, False, "utilisation", _LEAST, ("loss-5",)),
    Row(8, "utilisation at 10 % loss", "", 0.90, False, "utilisation", _LEAST, ("loss-10",)),
    Row(8, "utilisation at 20 % loss", "", 0.75, False, "utilisation", _LEAST, ("loss-20",)),
    Row(8, "p95 queue with loss", "ms", 50, True, "queue_p95_ms", _MOST, ("loss",)),
    Row(8, "utilisation, 5.1 with 2 % loss", "", 0.90, False, "utilisation", _LEAST, ("lossy",)),
    Row(8, "p95 queue, 5.1 with 2 % loss", "ms", 45, True, "queue_p95_ms", _MOST, ("lossy",)),
    Row(8, "p99 queue, 5.1 with 2 % loss", "ms", 250, True, "queue_p99_ms", _MOST, ("lossy",)),
    Row(9, "join to top layer, p50 of 50", "s", 1.2, True, "top_s", Fold.RUNS_P50, ("join",)),
    Row(9, "join to top layer, p95 of 50", "s", 2.5, True, "top_s", Fold.RUNS_P95, ("join",)),
    Row(9, "first frame behind a round trip, p95 of 50", "s", 0.6, True, "first_s", Fold.RUNS_P95, ("join",)),
    Row(0, "picture paused after a cut to 100 kbit/s, p95", "s", 3, True, "pause_s", Fold.RUNS_P95, ("squeeze",)),
    Row(0, "picture back after it, p95", "s", 11, True, "back_s", Fold.RUNS_P95, ("squeeze",)),
    Row(0, "switches a minute around it, p95", "", 2, True, "switches_per_min", Fold.RUNS_P95, ("squeeze",)),
    Row(10, "wrong layer, fixed lines", "%", 5, True, "wrong_layer", _MEAN, ("fixed",), 100, _AIM),
    *_apart(Row(10, "wrong layer, traces", "%", 15, True, "wrong_layer", _MEAN, ("consult-trace",), 100, _AIM)),
    Row(11, "switches a minute, fixed lines", "", 0.2, True, "switches_per_min", _MEAN, ("fixed",), 1, _AIM),
    *_apart(
        Row(11, "switches a minute, traces", "", 2, True, "switches_per_min", _MEAN, ("consult-trace",), 1, _AIM),
    ),
    Row(
        11,
        "switches within 4 s of one, most in a run",
        "",
        0,
        True,
        "quick_switches",
        _MOST,
        ("fixed", "consult-trace"),
        1,
        _AIM,
    ),
    Row(12, "freezes in 10 min, fixed lines", "s", 0.5, True, "freeze_s_per_10_min", _MEAN, ("fixed",), 1, _AIM),
    *_apart(
        Row(12, "freezes in 10 min, traces", "s", 4, True, "freeze_s_per_10_min", _MEAN, ("consult-fast",), 1, _AIM)
    ),
    *_apart(Row(12, "freezes in 10 min, 3G", "s", 15, True, "freeze_s_per_10_min", _MEAN, ("consult-3g",), 1, _AIM)),
    Row(
        12,
        f"freezes, share of {BASELINE}'s",
        "%",
        40,
        True,
        "freeze_s_per_10_min",
        Fold.RATIO,
        ("fixed", "consult-trace"),
        100,
        _AIM,
    ),
    Row(13, "voice made up, 20 % loss", "%", 1, True, "audio_concealed", _MOST, ("voice-20",), 100),
    Row(13, "voice made up, 10 % loss in bursts of 3", "%", 1.5, True, "audio_concealed", _MOST, ("voice-10b",), 100),
    Row(13, "voice made up, fixed lines", "%", 1, True, "audio_concealed", _MOST, ("fixed",), 100),
    *_apart(Row(13, "voice made up, 3G", "%", 1, True, "audio_concealed", _MOST, ("consult-3g",), 100)),
    Row(13, "p95 audio queue, fixed lines", "ms", 60, True, "audio_queue_p95_ms", _MOST, ("fixed",)),
    *_apart(Row(13, "p95 audio queue, traces", "ms", 150, True, "audio_queue_p95_ms", _MEDIAN, ("consult-trace",))),
    Row(13, "MOS of a voice at 10 % loss", "", 4.0, False, "audio_mos", _LEAST, ("voice-10",)),
    Row(0, "… at 10 % in bursts of 3", "", 0, False, "audio_mos", _LEAST, ("voice-10b",), kind=Kind.SHOWN),
    Row(0, "… at 10 %, 200 ms round trip", "", 0, False, "audio_mos", _LEAST, ("voice-10-100ms",), kind=Kind.SHOWN),
    Row(0, "p95 mouth to ear, 10 % loss", "ms", 0, True, "audio_ear_p95_ms", _MOST, ("voice-10",), kind=Kind.SHOWN),
    Row(0, "p95 mouth to ear, fixed lines", "ms", 0, True, "audio_ear_p95_ms", _MOST, ("fixed",), kind=Kind.SHOWN),
    *_apart(
        Row(
            0, "p95 mouth to ear, traces, median", "ms", 0, True, "audio_ear_p95_ms", _MEDIAN, ("consult-trace",)
        )._replace(kind=Kind.SHOWN)
    ),
    Row(14, "key frames asked for in a join storm", "", 2, True, "key_storm", _MOST, ("storm",), 1, _AIM),
    Row(14, "top layer in a join storm, p95", "s", 2.5, True, "top_p95_s", _MOST, ("storm",), 1, _AIM),
    Row(14, "unwanted layer off", "s", 5, True, "off_s", _MOST, ("storm",), 1, _AIM, _NO_DYNACAST),
    Row(14, "and on again", "s", 0.5, True, "on_s", _MOST, ("storm",), 1, _AIM, _NO_DYNACAST),
    Row(14, "feedback in a join storm", "%", 3, True, "feedback_share", _MOST, ("storm",), 100, _AIM),
    Row(14, "padding in a join storm", "%", 5, True, "padding_share", _MOST, ("storm",), 100, _AIM),
    Row(14, "… while the queue is long", "%", 0, True, "late_padding_share", _MOST, ("storm",), 100, _AIM),
    Row(14, "feedback of media", "%", 3, True, "feedback_share", _MEAN, ("wired",), 100, _AIM),
    Row(14, "padding of what is sent", "%", 5, True, "padding_share", _MEAN, ("wired",), 100, _AIM),
    Row(0, "RFC 8869 4.1, p95 queue", "ms", 0, True, "queue_p95_ms", _MOST, ("wifi-narrow",), kind=Kind.SHOWN),
    Row(0, "RFC 8869 4.2, p95 queue, median", "ms", 0, True, "queue_p95_ms", _MEDIAN, ("wifi-radio",), kind=Kind.SHOWN),
    Row(0, "RFC 8869 4.2, Jain, least", "", 0, False, "jain", _LEAST, ("wifi-radio",), kind=Kind.SHOWN),
)
