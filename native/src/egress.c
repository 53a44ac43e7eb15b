/* egress: see egress.h. Touches its transport's keys, the worker's outbox and tally; of a tap, the ring of events.
 * Worker thread. */
#include "egress.h"

#include <string.h>

/* What a slot holds before sealing: sealing may add TR_SRTP_MAX_OVERHEAD bytes behind. */
#define MAX_PLAIN (TR_OUTBOX_SLOT - TR_SRTP_MAX_OVERHEAD)

static tr_drop reserve(tr_egress *egress, uint8_t **slot)
{
    *slot = NULL;
    if (!egress->srtp && !egress->tap) return TR_DROP_SRTP_NO_KEYS;
    if (!egress->has_path) return TR_DROP_NO_PATH;
    *slot = tr__outbox_reserve(egress->outbox);
    return *slot ? TR_DROP_NONE : TR_DROP_OUTBOX_FULL;
}

static void commit(tr_egress *egress, size_t size)
{
    tr__outbox_commit(egress->outbox, &egress->path, egress->owner, size);
    egress->tx_packets++;
    egress->tx_bytes += size;
}

/* From so much of the ring on nothing is told of taps: what is left is for what control must hear. */
#define TAP_MAX_PERCENT 50

/* The slot is not committed: it is given out again. */
static tr_drop tell(tr_egress *egress, const uint8_t *slot, size_t size, bool is_rtcp)
{
    tr_tapped tapped = {.transport = egress->id, .size = (uint16_t)size, .is_rtcp = is_rtcp};
    if (size > sizeof tapped.bytes) return TR_DROP_TOO_LARGE;
    if (tr__ring_used_percent(egress->tap) >= TAP_MAX_PERCENT) return TR_DROP_EVENTS_FULL;
    memcpy(tapped.bytes, slot, size);
    if (tr__ring_push(egress->tap, TR_EVENT_TAPPED, 0, &tapped, offsetof(tr_tapped, bytes) + size) != TR_OK)
        return TR_DROP_EVENTS_FULL;
    egress->tx_packets++;
    egress->tx_bytes += size;
    return TR_DROP_NONE;
}

tr_drop tr__egress_reserve_media(tr_egress *egress, uint8_t **slot)
{
    *slot = NULL;
    return egress->is_admitted ? reserve(egress, slot) : TR_DROP_NOT_ADMITTED;
}

tr_drop tr__egress_seal_media(tr_egress *egress, uint8_t *slot, size_t size, uint64_t index)
{
    if (size > MAX_PLAIN) return TR_DROP_TOO_LARGE;
    if (!egress->srtp) return tell(egress, slot, size, false);
    size_t sealed = tr__srtp_seal_rtp(egress->srtp, slot, size, index);
    if (!sealed) return TR_DROP_RTP_MALFORMED;
    commit(egress, sealed);
    egress->tally->tx_rtp_packets++;
    return TR_DROP_NONE;
}

tr_drop tr__egress_reserve_rtcp(tr_egress *egress, uint8_t **slot) { return reserve(egress, slot); }

tr_drop tr__egress_seal_rtcp(tr_egress *egress, uint8_t *slot, size_t size)
{
    if (size > MAX_PLAIN) return TR_DROP_TOO_LARGE;
    if (!egress->srtp) return tell(egress, slot, size, true);
    /* Zero also when the 31-bit SRTCP index is used up: silence, never a second use of an index (RFC 3711, 9.1). */
    size_t sealed = tr__srtp_seal_rtcp(egress->srtp, slot, size);
    if (!sealed) return TR_DROP_RTCP_MALFORMED;
    commit(egress, sealed);
    return TR_DROP_NONE;
}
