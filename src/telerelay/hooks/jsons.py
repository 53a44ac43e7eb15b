"""
Hooks as JSON, for a host that is not Python: the bodies that are posted, and the replies that are read.

Pure. Members have the names that the dataclasses have, so that what docs/hooks.md says holds for every way.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from telerelay.hooks.asked import DECISIONS, Nonsense
from telerelay.hooks.told import HOOK_OF, HookEvent, Told

VERSION = 1


def asked(hook: str, request: Any, id: str) -> bytes:
    """The body that asks for a decision; `id` is another for each."""
    return _encode({"version": VERSION, "id": id, "hook": hook, "request": dataclasses.asdict(request)})


def told(what: Told, events: tuple[HookEvent, ...]) -> bytes:
    """The body that tells `events`, those of `what` that are listened to."""
    return _encode(
        {
            "version": VERSION,
            "key": what.key,
            "room": what.room,
            "sequence": what.sequence,
            "events": [{"hook": HOOK_OF[type(event)], "event": dataclasses.asdict(event)} for event in events],
        }
    )


def answer(hook: str, body: bytes) -> object:
    """
    The answer of a reply's body, `{"answer": …}` and nothing else. Raises Nonsense; whether the values are ones that an
    answer may have is for `DECISIONS[hook].is_answer` to say.
    """
    try:
        reply = json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Nonsense("the reply is not JSON") from None
    if not isinstance(reply, dict) or reply.keys() != {"answer"}:
        raise Nonsense("the reply must be an object with an answer and nothing else")
    return DECISIONS[hook].from_json(reply["answer"])


def _encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Nonsense("a member is given twice")  # which of the two would count is anybody's guess
    return members


def _constant(name: str) -> NoReturn:
    raise Nonsense("not a number of JSON")
