"""
Offers and answers (RFC 9429, RFC 3264), sans-I/O: the door to publish, subscribe and whep.

A negotiation is one object per transport. It changes only when a call succeeds.
"""

from telerelay.protocol.codecs import RED, carried_by
from telerelay.protocol.parameters import Codec, NegotiatedCodec, ReceiveParameters, SendParameters
from telerelay.protocol.publish import CodecPolicy, PublishNegotiation, PublishResult
from telerelay.protocol.subscribe import Offer, OfferedTrack, SubscribedTrack, SubscribeNegotiation, SubscribeResult
from telerelay.protocol.whep import WhepNegotiation, WhepResult

__all__ = [
    "CodecPolicy",
    "Offer",
    "OfferedTrack",
    "PublishNegotiation",
    "PublishResult",
    "SubscribeNegotiation",
    "SubscribeResult",
    "SubscribedTrack",
    "WhepNegotiation",
    "WhepResult",
    "bind_table",
    "red_type",
    "with_red",
]

CANNOT = 255
"""In a bind table: the peer cannot take this codec (TR_NO_PT)."""


def bind_table(receive: ReceiveParameters, send: SendParameters) -> tuple[list[int], list[int]]:
    """
    Payload types and RTX payload types a sender writes, parallel to `receive.codecs`; CANNOT where there is none.

    RED for a peer that has none bears the payload type of the codec within: the data plane then sends that alone.
    """
    pts: list[int] = []
    rtx_pts: list[int] = []
    for incoming in receive.codecs:
        outgoing = _outgoing(incoming, receive, send)
        rtx_pt = outgoing.rtx_pt if outgoing is not None and send.rtx_ssrc else None
        pts.append(CANNOT if outgoing is None else outgoing.pt)
        rtx_pts.append(CANNOT if rtx_pt is None else rtx_pt)
    return pts, rtx_pts


def with_red(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    """
    What a subscriber is offered of a publisher's codecs where the relay may add copies to Opus: RED too, after it, so
    that nothing changes for who takes none.
    """
    has_opus = any(codec.name.lower() == "opus" for codec in codecs)
    return codecs if not has_opus or any(codec.is_red for codec in codecs) else (*codecs, RED)


def red_type(send: SendParameters) -> int:
    """The payload type the peer takes RED around its Opus by; 0: it takes none."""
    for each in send.codecs:
        if each.codec.is_red and all(one.codec.name.lower() == "opus" for one in carried_by(each.codec, send.codecs)):
            return each.pt
    return 0


def _outgoing(incoming: NegotiatedCodec, receive: ReceiveParameters, send: SendParameters) -> NegotiatedCodec | None:
    match = next((each for each in send.codecs if each.codec.matches(incoming.codec)), None)
    if not incoming.codec.is_red:
        return match
    within = next(iter(carried_by(incoming.codec, receive.codecs)), None)
    bare = None if within is None else _outgoing(within, receive, send)
    return bare if match is None or bare is None else match
