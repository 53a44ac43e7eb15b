/* demux: what kind of datagram this is, by its first bytes alone (RFC 7983, RFC 5761 section 4).
 * Pure: one table, exactly one class for every datagram. Worker thread. */
#ifndef TR_DEMUX_H
#define TR_DEMUX_H

#include <stddef.h>
#include <stdint.h>

typedef enum tr_class {
    TR_CLASS_OTHER = 0, /* empty, ZRTP, TURN channel, QUIC, reserved: not spoken here */
    TR_CLASS_STUN,      /* first byte 0-3 */
    TR_CLASS_DTLS,      /* 20-63 */
    TR_CLASS_RTP,       /* 128-191, second byte outside 192-223 */
    TR_CLASS_RTCP       /* 128-191, second byte 192-223 */
} tr_class;

tr_class tr__demux(const uint8_t *data, size_t size);

#endif
