"""
Log lines on stderr: `ts=… level=… event=… key=value`, or the same as JSON. What may stand in them is decided in
telerelay.logs.
"""

import json
import logging
import sys
import time


class LineFormatter(logging.Formatter):
    """One event a line, UTC, milliseconds. A stack, where there is one, follows on lines of its own."""

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("ts=%(asctime)s.%(msecs)03dZ level=%(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.levelname = record.levelname.lower()
        return super().format(record)


class JsonFormatter(LineFormatter):
    """One event a line, as an object; a stack is its member `stack`."""

    def format(self, record: logging.LogRecord) -> str:
        ts = f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03d}Z"
        said = getattr(record, "members", None) or {"event": "said"}  # of whatever is not of telerelay.logs, no words
        stack = {"stack": self.formatException(record.exc_info)} if record.exc_info else {}
        return json.dumps({"ts": ts, "level": record.levelname.lower(), **said, **stack}, separators=(",", ":"))


def set_up_logging(level: str, form: str = "text") -> None:
    """
    For a process of the relay's own; an embedding application arranges its logging itself. `form` is text or json.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else LineFormatter())
    logger = logging.getLogger("telerelay")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # What other libraries want to say goes to stderr too, but only from warnings up: their words are not ours to vouch
    # for.
    logging.basicConfig(handlers=[logging.NullHandler()], level=logging.WARNING)
