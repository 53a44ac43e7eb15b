/* inbound: one SSRC that a peer receives: what RTCP says of it, what it asks for again, and whose packets it carries.
 * And way: what came of one published stream at one section.
 * Pure: time is an argument. Engine thread. */
#ifndef TL_INBOUND_H
#define TL_INBOUND_H

#include "account.h"
#include "frames.h"
#include "nack.h"
#include "rtcp.h"
#include "stamp.h"

typedef struct tl_way { /* tl_leg of the border is its print */
    /* given */
    uint32_t stream;
    uint16_t section;
    uint8_t kind;
    tl_source *source;
    /* state */
    tl_account account;
    tl_frames frames;
    bool has_frame; /* one that could be decoded */
} tl_way;

typedef struct tl_inbound {
    /* given */
    uint32_t ssrc, clock_rate;
    uint16_t section;
    bool has_pli;
    /* owned */
    tr_nack *nack; /* NULL: nothing is asked for again */
    /* borrowed */
    tl_way *way; /* whose packets come now */
    /* state */
    uint64_t first_index, highest_index;
    bool has_any;
    uint64_t received, expected_before, received_before; /* RFC 3550, A.3 */
    int64_t transit;                                     /* RTP clock, A.8 */
    uint32_t jitter16;                                   /* sixteenths of a tick */
    uint32_t last_sr;                                    /* middle of its NTP time */
    uint64_t last_sr_us, pli_us;
} tl_inbound;

/* NULL: no memory. */
tl_inbound *tl__inbound_new(uint32_t ssrc, uint16_t section, const tl_payload *payload);
void tl__inbound_free(tl_inbound *inbound);

/* A packet that authenticated, of this SSRC (is_rtx: of its RTX twin, with the index it was sent under first). True:
 * it is a resend that was asked for. */
bool tl__inbound_on_rtp(tl_inbound *inbound, uint64_t index, uint32_t rtp_ts, bool is_rtx, uint64_t arrival_us,
                        uint64_t now_us);
void tl__inbound_on_sr(tl_inbound *inbound, const tr_rtcp_sr *sr, uint64_t now_us);
void tl__inbound_report(tl_inbound *inbound, tr_rtcp_report *report, uint64_t now_us);
/* A decoder would ask for a keyframe now: the picture stands still, and it has not asked for a second. */
bool tl__inbound_wants_keyframe(tl_inbound *inbound, uint64_t now_us);

#endif
