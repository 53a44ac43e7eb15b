/* twcc: transport-wide arrival times (draft-holmer-rmcat-transport-wide-cc-extensions-01): those of one publisher's
 * packets with the feedback that tells it, and the reading of a subscriber's.
 * Pure. Worker thread. */
#ifndef TR_TWCC_H
#define TR_TWCC_H

#include "rtcp.h"

#define TR_TWCC_TICK_US 250        /* of a receive delta */
#define TR_TWCC_REFERENCE_US 64000 /* of a reference time, which has 24 bits */

#define TR_TWCC_WINDOW 1024 /* packets between two feedbacks at the most, a power of two: 100 Mbit/s */
/* What browsers themselves send by default. At half of it one packet in twenty that leaves for a consult would be such
 * feedback (200 packets a second each way), and an estimator would know 25 ms sooner. */
#define TR_TWCC_INTERVAL_US 100000
/* While few packets come, a voice in packets of 60 ms at most, feedback is thinned: each is 80 bytes on the wire, ten a
 * second a fifth of a line of 32 kbit/s. 250 ms is what browsers have as their longest. The first interval with more
 * packets is the last long one. */
#define TR_TWCC_THIN_INTERVAL_US 250000
#define TR_TWCC_THIN_PACKETS 6 /* in a long interval, and in proportion in a short one: 25 a second and fewer */

typedef struct tr_twcc {
    uint64_t base, highest; /* indices; base: first not yet reported */
    bool has_any;
    uint8_t feedback_count;
    bool is_thin;     /* few packets came in the interval before */
    uint32_t pending; /* arrivals not reported */
    uint64_t due_us;
    uint32_t arrivals[TR_TWCC_WINDOW]; /* by index, in ticks as the feedback counts them, mod 2^32; 0: not arrived */
} tr_twcc;

void tr__twcc_init(tr_twcc *twcc);
void tr__twcc_on_packet(tr_twcc *twcc, uint16_t seq, uint64_t arrival_us, uint64_t now_us);
uint64_t tr__twcc_at(const tr_twcc *twcc);
/* One feedback part (FMT 15), within the pen's room; the rest stays for the next call. False: nothing was written. */
bool tr__twcc_put_feedback(tr_twcc *twcc, tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, uint64_t now_us);

/* One feedback, read in order. */
typedef struct tr_twcc_reader {
    uint16_t base, count; /* the first number; statuses */
    uint32_t reference;   /* in units of TR_TWCC_REFERENCE_US */
    uint8_t feedback_count;
    /* what is still to be read */
    tr_cursor chunks, deltas;
    uint32_t at, left_in_chunk, in_chunk;
    uint16_t chunk;
    int32_t ticks;
} tr_twcc_reader;

typedef struct tr_twcc_status {
    uint32_t from, count; /* of base: a received packet stands alone, what is missing comes in runs */
    bool is_received;
    int32_t ticks; /* of TR_TWCC_TICK_US since the reference time */
} tr_twcc_status;

/* False: malformed: no status, a reserved symbol, a chunk of nothing, deltas that are missing or left over (by more
 * than what fills a word). Nothing of it may be believed then. */
bool tr__twcc_read(tr_twcc_reader *reader, const tr_rtcp_part *part);
/* The next of what was read; false at the end. */
bool tr__twcc_next(tr_twcc_reader *reader, tr_twcc_status *status);

#endif
