"""
A publication as the data plane knows it: which receiver its packets arrive at, and what that was negotiated with.
"""

from dataclasses import dataclass

from telerelay.protocol.parameters import Codec, Kind, ReceiveParameters


@dataclass(frozen=True, slots=True)
class Source:
    """
    One publication's receiver. A renegotiation that changes its parameters makes a new receiver, and a new Source.
    `is_open_voice`: it is a voice, and its publisher said that its frames are not encrypted end to end: the relay may
    add copies to its packets and join them. Nothing else is taken apart: what unwraps encrypted frames takes each
    payload for one, and what a stethoscope hears is a measurement.
    """

    publication: str
    participant: str
    receiver: int
    receive: ReceiveParameters
    is_open_voice: bool = False

    @property
    def kind(self) -> Kind:
        return self.receive.kind

    @property
    def codecs(self) -> tuple[Codec, ...]:
        return tuple(negotiated.codec for negotiated in self.receive.codecs)

    @property
    def extensions(self) -> frozenset[int]:
        """The header extensions the publisher sends, by tr_ext."""
        return frozenset(self.receive.extensions)
