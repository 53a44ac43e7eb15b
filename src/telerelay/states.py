"""
The life of everything that has one, as tables: (state, event) to the next state; what is not listed changes nothing.

Pure. Of these only SESSION drives code: what its transport does to a session. The others declare what code elsewhere
does by itself, and tests/test_states.py drives that code through them; it holds docs/states.md, which has the same for
people, to these too. The transport's table is in native/src/transport.c, and drives it.
"""

from collections.abc import Mapping

Table = Mapping[tuple[str, str], str]

PARTICIPANT: Table = {
    ("absent", "join"): "seated",
    ("absent", "attach"): "attached",
    ("attached", "join"): "seated",
    ("attached", "attach"): "attached",
    ("attached", "detach last"): "absent",
    ("attached", "end"): "absent",
    ("seated", "attach"): "seated",
    ("seated", "join"): "seated",  # another participant, where it comes without the resume secret
    ("seated", "lose socket"): "interrupted",
    ("seated", "leave"): "absent",
    ("seated", "end"): "absent",
    ("interrupted", "join"): "seated",
    ("interrupted", "attach"): "interrupted",
    ("interrupted", "expire"): "absent",
    ("interrupted", "leave"): "absent",
    ("interrupted", "end"): "absent",
}
"""One sub in one room (rooms/room.py). Expiry leaves `attached` whoever has a WHIP or WHEP session besides."""

PUBLISHING: Table = {
    ("new", "offer"): "agreed",
    ("new", "refused offer"): "new",
    ("agreed", "offer"): "agreed",
    ("agreed", "refused offer"): "agreed",
    ("new", "worker refuses"): "broken",
    ("agreed", "worker refuses"): "broken",
}
"""A connection on which the client offers (connection/publish.py). A broken one is closed by its owner."""

SUBSCRIBING: Table = {
    ("idle", "offer"): "in flight",
    ("in flight", "answer"): "idle",
    ("in flight", "refused answer"): "in flight",
}
"""A connection on which the relay offers (protocol/subscribe.py). What changes in flight goes into the next offer."""

SESSION: Table = {
    ("opened", "checked"): "checked",
    ("opened", "connected"): "connected",
    ("opened", "deadline"): "ended",
    ("checked", "connected"): "connected",
    ("checked", "disconnected"): "disconnected",
    ("checked", "deadline"): "ended",
    ("connected", "disconnected"): "disconnected",
    ("disconnected", "checked"): "checked",
    ("disconnected", "connected"): "connected",
    ("disconnected", "deadline"): "ended",
    **{
        (state, event): "ended"
        for state in ("opened", "checked", "connected", "disconnected")
        for event in ("failed", "closed", "delete")
    },
}
"""A WHIP or WHEP session (signaling/host.py). Its events are the states of its transport, its deadline, a DELETE."""

SOCKET: Table = {
    ("open", "close"): "closing",
    ("open", "too much waits"): "cut",
    ("open", "silent"): "cut",
    ("open", "cut"): "cut",
    ("closing", "deadline"): "cut",
    ("closing", "cut"): "cut",
}
"""A WebSocket as the relay sees it (signaling/socket.py)."""

TABLES: Mapping[str, Table] = {
    "participant": PARTICIPANT,
    "publishing connection": PUBLISHING,
    "subscribing connection": SUBSCRIBING,
    "session": SESSION,
    "socket": SOCKET,
}


def session_at(transport: str) -> str:
    """The state of a session that goes on from another process, by what its transport's was then."""
    return "opened" if transport == "new" else transport


def after(table: Table, state: str, event: str) -> str:
    """The state that follows."""
    return table.get((state, event), state)
