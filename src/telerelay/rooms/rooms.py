"""
All rooms of one relay, by name: made at the first join, gone with the last participant.

Sans-I/O.
"""

from collections.abc import Iterator

from telerelay.errors import RemoteProtocolError
from telerelay.rooms import lobby
from telerelay.rooms.room import Room, RoomLimits


class Rooms:
    def __init__(self, limits: RoomLimits, max_rooms: int, door: lobby.Door = lobby.is_admitted) -> None:
        self._limits = limits
        self._max_rooms = max_rooms
        self._door = door
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def __iter__(self) -> Iterator[Room]:
        return iter(tuple(self._rooms.values()))

    def get(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def open(self, name: str, door: lobby.Door | None = None) -> Room:
        """
        The room of that name, made if need be, with `door` at its entrance. Raises RemoteProtocolError room_full when
        there may be no more.
        """
        room = self._rooms.get(name)
        if room is None:
            if len(self._rooms) >= self._max_rooms:
                raise RemoteProtocolError("room_full", "the relay has as many rooms as it may have")
            room = self._rooms[name] = Room(name, self._limits, door or self._door)
        return room

    def close_if_empty(self, name: str) -> bool:
        """Forget a room nobody is in; call it after every leave, and after a join that raised. True: it is gone."""
        room = self._rooms.get(name)
        if room is None or not room.is_empty:
            return False
        del self._rooms[name]
        return True
