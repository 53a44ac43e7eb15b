/* egress: see egress.h. Touches its transport's keys, the worker's outbox and tally. Worker thread. */
#include "egress.h"

/* What a slot holds before sealing: sealing may add TR_SRTP_MAX_OVERHEAD bytes behind. */
#define MAX_PLAIN (TR_OUTBOX_SLOT - TR_SRTP_MAX_OVERHEAD)

static tr_drop reserve(tr_egress *egress, uint8_t **slot)
{
    *slot = NULL;
    if (!egress->srtp) return TR_DROP_SRTP_NO_KEYS;
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

tr_drop tr__egress_reserve_media(tr_egress *egress, uint8_t **slot)
{
    *slot = NULL;
    return egress->is_admitted ? reserve(egress, slot) : TR_DROP_NOT_ADMITTED;
}

tr_drop tr__egress_seal_media(tr_egress *egress, uint8_t *slot, size_t size, uint64_t index)
{
    if (size > MAX_PLAIN) return TR_DROP_TOO_LARGE;
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
    /* Zero also when the 31-bit SRTCP index is used up: silence, never a second use of an index (RFC 3711, 9.1). */
    size_t sealed = tr__srtp_seal_rtcp(egress->srtp, slot, size);
    if (!sealed) return TR_DROP_RTCP_MALFORMED;
    commit(egress, sealed);
    return TR_DROP_NONE;
}
