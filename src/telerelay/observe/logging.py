"""
Log lines on stderr: `ts=… level=… event=… key=value`. What may stand in them is decided in telerelay.logs.
"""

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


def set_up_logging(level: str) -> None:
    """For a process of the relay's own; an embedding application arranges its logging itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("telerelay")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    # What other libraries want to say goes to stderr too, but only from warnings up: their words are not ours to vouch
    # for.
    logging.basicConfig(handlers=[logging.NullHandler()], level=logging.WARNING)
