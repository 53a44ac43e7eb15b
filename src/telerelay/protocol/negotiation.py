"""
Offers and answers (RFC 9429, RFC 3264), sans-I/O: the door to publish, subscribe and whep.

A negotiation is one object per transport. It changes only when a call succeeds.
"""

from telerelay.protocol.parameters import ReceiveParameters, SendParameters
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
    """
    pts: list[int] = []
    rtx_pts: list[int] = []
    for incoming in receive.codecs:
        outgoing = next((each for each in send.codecs if each.codec.matches(incoming.codec)), None)
        rtx_pt = outgoing.rtx_pt if outgoing is not None and send.rtx_ssrc else None
        pts.append(CANNOT if outgoing is None else outgoing.pt)
        rtx_pts.append(CANNOT if rtx_pt is None else rtx_pt)
    return pts, rtx_pts
