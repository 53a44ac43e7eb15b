/* dispatch: the packets of one track on their way out: each under its number, composed, written, sealed and put into
 * the outbox; the same again where it is asked for; and what only tries the line. Which packets leave, and in which
 * order, is the sender's to say.
 * Numbers are given once: the map has one for each packet of an epoch, which is one unbroken run of one encoding, and
 * what leaves again leaves under RTX or as the same bytes.
 * Its memory is taken at init, none later. Borrows the source and the egress. Worker thread. */
#ifndef TR_DISPATCH_H
#define TR_DISPATCH_H

#include "egress.h"
#include "resends.h"
#include "seqmap.h"
#include "source.h"
#include "writer.h"

typedef struct tr_dispatch {
    /* given */
    uint32_t ssrc, rtx_ssrc;
    uint8_t kind;
    /* borrowed */
    tr_egress *egress;
    const tr_source *source; /* NULL: unbound */
    tr_bind_sender bind;
    tr_writer writer;
    tr_resends resends;
    tr_sound *sound; /* owned; NULL: it was never told to add copies, nor to join packets */
    /* counters */
    uint64_t tx_packets, resent, tx_bytes;
    /* numbering; of the map's many ranges a packet touches the latest */
    uint64_t padded;             /* what was sent again last to try the line by */
    uint32_t epoch, first_epoch; /* the present one; the first of this binding */
    uint64_t epoch_in;           /* with which packet the present one began */
    uint64_t rtx_next;
    tr_seqmap map;
} tr_dispatch;

/* first_index, rtx_first_index: as tr__sender_new has them. False: no memory. */
bool tr__dispatch_init(tr_dispatch *dispatch, const tr_add_sender *params, tr_egress *egress, uint16_t first_index,
                       uint16_t rtx_first_index);
void tr__dispatch_dispose(tr_dispatch *dispatch);

/* source NULL: nothing leaves from now on. What left of another binding does not leave again. */
void tr__dispatch_bind(tr_dispatch *dispatch, const tr_source *source, const tr_bind_sender *bind);
/* Is it bound to that already, by the same payload types? */
bool tr__dispatch_is_bound(const tr_dispatch *dispatch, const tr_source *source, const tr_bind_sender *bind);
/* A new epoch, from the packet `first` on. */
void tr__dispatch_begin(tr_dispatch *dispatch, uint64_t first, const tr_rewrite *rewrite);

/* NULL: what leaves here is not paced. */
static inline tr_pacer *tr__dispatch_pacer(const tr_dispatch *dispatch)
{
    const tr_downlink *downlink = dispatch->egress->downlink;
    return downlink ? downlink->pacer : NULL;
}

/* One packet that leaves for the first time. */
typedef struct tr_leaving {
    uint8_t *slot; /* once it has left: as it left, sealed */
    uint64_t out;
    const tr_rewrite *rewrite; /* good until the map changes */
    /* once it has left */
    const tr_media *media; /* what was written: the packet, or that without its payload */
    uint32_t ts, payload_bytes;
    tr_media empty; /* room for it */
} tr_leaving;

/* A place in the outbox, and the number that the map has for a packet of the present epoch. Else what egress said, or,
 * where it is from before the epoch or was left out, WAIT_KEYFRAME of video and RTP_OLD of sound. */
static inline tr_drop tr__dispatch_number(tr_dispatch *dispatch, const tr_media *media, tr_leaving *leaving)
{
    tr_drop drop = tr__egress_reserve_media(dispatch->egress, &leaving->slot);
    if (drop != TR_DROP_NONE) return drop;
    if (tr__seqmap_out(&dispatch->map, media->index, &leaving->out, &leaving->rewrite)) return TR_DROP_NONE;
    return dispatch->kind == TR_VIDEO ? TR_DROP_WAIT_KEYFRAME : TR_DROP_RTP_OLD;
}

/* It leaves under that number; joined: together with those that follow it, so many in all; 0: alone. TOO_LARGE,
 * RTP_OLD: what it is to be made of is not there any more; or what egress said. */
tr_drop tr__dispatch_send(tr_dispatch *dispatch, const tr_media *media, uint8_t joined, uint64_t now_us,
                          tr_leaving *leaving);
/* What left under this number leaves again. Asked for: within what that may cost (NACK_RATE). Else it is to try a line
 * by, and leaves by RTX or not at all. NACK_UNKNOWN: it is not there any more, or would not be the same bytes. */
tr_drop tr__dispatch_again(tr_dispatch *dispatch, uint64_t out, bool is_asked, uint64_t now_us);

/* See tr__sender_can_pad and tr__sender_pad. ts: of the newest packet that left. */
bool tr__dispatch_can_pad(const tr_dispatch *dispatch);
tr_drop tr__dispatch_pad(tr_dispatch *dispatch, uint32_t bytes, uint32_t ts, uint64_t now_us);

#endif
