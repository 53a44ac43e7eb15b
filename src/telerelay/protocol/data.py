"""
Data channel sections (RFC 8841) and what a data channel is (RFC 8831, RFC 8832).

Pure. One section of a connection at most carries SCTP, in the same bundle as its media.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from telerelay.protocol.session import Media

MAX_MESSAGE_BYTES = 65536
"""The largest message the relay takes, as its descriptions say (RFC 8841, 6)."""

MAX_LABEL_BYTES = 256
DEFAULT_PORT = 5000

_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
_FORMAT = "webrtc-datachannel"


@dataclass(frozen=True, slots=True)
class DataParameters:
    """The peer's end of an association; `max_message_bytes` 0: any size."""

    mid: str
    port: int
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class ChannelParameters:
    """
    One channel. A channel that the relay was not told of in-band is known by its stream alone: `negotiated_id`, with
    an empty label. At most one of `max_retransmits` and `max_lifetime_ms` is given; neither: reliable.
    """

    label: str
    protocol: str = ""
    is_ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_ms: int | None = None
    negotiated_id: int | None = None

    @property
    def is_reliable(self) -> bool:
        return self.max_retransmits is None and self.max_lifetime_ms is None

    @property
    def name(self) -> tuple[int | None, str]:
        """What channels of several participants have to share to hear each other."""
        return self.negotiated_id, self.label


def is_data(media: Media) -> bool:
    """Whether a section is one of data channels as the relay takes them, in today's syntax or in that of the drafts."""
    if media.kind != "application" or media.protocol not in _PROTOCOLS:
        return False
    return _FORMAT in media.formats or media.sctpmap_port != 0


def data_section(alive: Iterable[Media]) -> Media | None:
    """The section that is taken: the first, for a bundle has one association (RFC 8841, 11)."""
    return next((media for media in alive if is_data(media)), None)


def data_parameters(media: Media) -> DataParameters:
    # Without the attribute it is 64 KiB (RFC 8841, 6.1).
    size = MAX_MESSAGE_BYTES if media.max_message_size is None else media.max_message_size
    return DataParameters(media.mid, media.sctp_port or media.sctpmap_port or DEFAULT_PORT, size)


def answer_data(media: Media) -> Media:
    """The answer to a data section that is taken, in the syntax of the offer."""
    is_draft = media.sctpmap_port != 0 and _FORMAT not in media.formats
    return Media(
        kind="application",
        port=9,
        protocol=media.protocol,
        formats=(str(DEFAULT_PORT),) if is_draft else (_FORMAT,),
        mid=media.mid,
        sctp_port=0 if is_draft else DEFAULT_PORT,
        sctpmap_port=DEFAULT_PORT if is_draft else 0,
        max_message_size=MAX_MESSAGE_BYTES,
    )


def offer_data(mid: str, *, is_dead: bool) -> Media:
    """The relay's own offer of data channels."""
    return Media(
        kind="application",
        port=0 if is_dead else 9,
        protocol="UDP/DTLS/SCTP",
        formats=(_FORMAT,),
        mid=mid,
        sctp_port=DEFAULT_PORT,
        max_message_size=MAX_MESSAGE_BYTES,
    )
