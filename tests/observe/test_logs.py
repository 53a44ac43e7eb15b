"""Log lines: what may stand in them, and what cannot."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from telerelay.logs import MAX_FIELD_CHARS, escape, line, say
from telerelay.observe.logging import JsonFormatter, LineFormatter, set_up_logging


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("connected", "connected"),
        (7, "7"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ("", '""'),
        ("x\r\nlevel=error event=forged", '"x\\r\\nlevel=error event=forged"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ('{"json":1}', '"{\\"json\\":1}"'),
        ("é", '"\\u00e9"'),
    ],
)
def test_a_value_cannot_leave_its_field(value: object, expected: str) -> None:
    """
    Anything but plain characters is quoted and escaped (A60).
    """
    assert expected == escape(value)


def test_a_value_is_cut() -> None:
    """
    256 characters say enough.
    """
    assert len(escape("x" * 10_000)) <= MAX_FIELD_CHARS + len('"\\u2026"')


def test_only_listed_fields_are_written() -> None:
    """
    A key somebody adds by mistake does not reach a log.
    """
    assert "event=join room=3" == line("join", {"room": 3, "sub": "patient-7", "token": "eyJ"})  # type: ignore[typeddict-unknown-key]


def test_a_line_has_time_level_event_and_fields() -> None:
    """
    One event, one line, as keys and values.
    """
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("telerelay")
    logger.addHandler(handler)
    try:
        say(logging.WARNING, "socket_slow", room=3)
    finally:
        logger.removeHandler(handler)

    stamp, rest = stream.getvalue().split(" ", 1)
    assert "level=warning event=socket_slow room=3\n" == rest
    assert stamp.startswith("ts=20")
    assert stamp.endswith("Z")


def test_a_stack_comes_without_the_exceptions_words(caplog: pytest.LogCaptureFixture) -> None:
    """
    They may hold what a client sent (A61).
    """
    secret = "".join(["can", "ary"])
    try:
        raise ValueError(secret)
    except ValueError as error:
        say(logging.ERROR, "request_failed", error=type(error).__name__, exc_info=error)

    assert "Traceback" in caplog.text
    assert "test_logs.py" in caplog.text
    assert secret not in caplog.text


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """The relay's, as it was before when the test is over."""
    logger = logging.getLogger("telerelay")
    before = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.parametrize(("form", "formatter"), [("text", LineFormatter), ("json", JsonFormatter)])
def test_lines_are_as_the_configuration_wants_them(logger: logging.Logger, form: str, formatter: type) -> None:
    """
    Of log.format.
    """
    set_up_logging("info", form)

    assert [formatter] == [type(each.formatter) for each in logger.handlers]


def test_as_json_a_line_is_an_object_with_the_same_members(logger: logging.Logger) -> None:
    """
    A stack is within it, without the exception's words, so that one line stays one event.
    """
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger.handlers[:] = [handler]
    words = "-".join(("patient", "7"))  # a stack shows its lines
    try:
        raise ValueError(words)
    except ValueError as error:
        say(logging.ERROR, "request_failed", room=3, code="x" * 10_000, error="ValueError", exc_info=error)
    (text,) = stream.getvalue().splitlines()
    found = json.loads(text)

    assert ("error", "request_failed", 3, "ValueError") == tuple(
        found[name] for name in ("level", "event", "room", "error")
    )
    assert len(found["code"]) <= MAX_FIELD_CHARS + 1
    assert found["ts"].endswith("Z")
    assert "test_logs.py" in found["stack"]
    assert words not in text
