/* egress: the way out of one transport: is it allowed, is there a path, protect, into the outbox.
 * Of a tap, which has no peer, it is told to control instead, unprotected.
 * Senders borrow it; the transport that embeds it keeps path, keys and admission up to date.
 * No I/O of its own. Worker thread. */
#ifndef TR_EGRESS_H
#define TR_EGRESS_H

#include "downlink.h"
#include "outbox.h"
#include "ring.h"
#include "srtp.h"
#include "tally.h"

typedef struct tr_egress {
    /* borrowed */
    tr_outbox *outbox;
    tr_tally *tally;
    tr_srtp *srtp;         /* NULL until the handshake is verified */
    tr_downlink *downlink; /* NULL: nothing that leaves is numbered */
    tr_ring *tap;          /* of a tap, which has no keys: what leaves is told there, unprotected; else NULL */
    /* given */
    uint32_t owner; /* transport index */
    uint32_t id;    /* of the transport */
    tr_path path;
    bool has_path; /* selected and consented */
    bool is_admitted;
    /* counters */
    uint64_t tx_packets, tx_bytes;
    uint64_t rtt_us; /* smoothed, from receiver reports; 0: unknown */
} tr_egress;

/* Whether anything can leave: there are keys and a path, or it is a tap. */
static inline bool tr__egress_is_open(const tr_egress *egress)
{
    return (egress->srtp || egress->tap) && egress->has_path;
}

/* A slot for one plain RTP packet of this transport, TR_OUTBOX_SLOT bytes; or why not (NOT_ADMITTED, NO_PATH,
 * SRTP_NO_KEYS, OUTBOX_FULL). Then seal_media, once; a slot that is not sealed is simply given out again. */
tr_drop tr__egress_reserve_media(tr_egress *egress, uint8_t **slot);
tr_drop tr__egress_seal_media(tr_egress *egress, uint8_t *slot, size_t size, uint64_t index);

/* What the latest packet was on the wire: `sealed` bytes, UDP and IP. */
static inline uint32_t tr__egress_wire_bytes(const tr_egress *egress, uint64_t sealed)
{
    return (uint32_t)sealed + (egress->path.remote.family == 6 ? 48 : 28);
}

/* RTCP needs keys and a path, not admission. */
tr_drop tr__egress_reserve_rtcp(tr_egress *egress, uint8_t **slot);
tr_drop tr__egress_seal_rtcp(tr_egress *egress, uint8_t *slot, size_t size);

#endif
