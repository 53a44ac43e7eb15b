/* demux: the class of a datagram from its first two bytes (RFC 7983 section 7, RFC 5761 section 4).
 * Touches nothing but its table. Worker thread. */
#include "demux.h"

/* By first byte. What is not named is OTHER: ZRTP (16-19), TURN channels (64-79), QUIC (192-255 and 64-127). */
static const uint8_t CLASS_OF[256] = {
    [0 ... 3] = TR_CLASS_STUN,
    [20 ... 63] = TR_CLASS_DTLS,
    [128 ... 191] = TR_CLASS_RTP,
};

tr_class tr__demux(const uint8_t *data, size_t size)
{
    if (size == 0) return TR_CLASS_OTHER;
    tr_class class = CLASS_OF[data[0]];
    /* RFC 5761: RTCP packet types 192-223 lie where RTP payload types 64-95 with the marker would. A single byte says
     * nothing of its type; it stays RTP and is refused there for its size. */
    if (class == TR_CLASS_RTP && size > 1 && data[1] >= 192 && data[1] <= 223) return TR_CLASS_RTCP;
    return class;
}
