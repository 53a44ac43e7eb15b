"""
Offers and answers (RFC 9429, RFC 3264), sans-I/O: the door to publish, subscribe and whep.

A negotiation is one object per transport. It changes only when a call succeeds.
"""

from telerelay.protocol.codecs import carried_by
from telerelay.protocol.parameters import NegotiatedCodec, ReceiveParameters, SendParameters
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


def _outgoing(incoming: NegotiatedCodec, receive: ReceiveParameters, send: SendParameters) -> NegotiatedCodec | None:
    match = next((each for each in send.codecs if each.codec.matches(incoming.codec)), None)
    if not incoming.codec.is_red:
        return match
    within = next(iter(carried_by(incoming.codec, receive.codecs)), None)
    bare = None if within is None else _outgoing(within, receive, send)
    return bare if match is None or bare is None else match
