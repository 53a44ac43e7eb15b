/* twcc: transport-wide arrival times of one publisher, and the feedback that tells it
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01).
 * Pure. Worker thread. */
#ifndef TR_TWCC_H
#define TR_TWCC_H

#include "rtcp.h"

#define TR_TWCC_WINDOW 1024 /* packets between two feedbacks at the most, a power of two: 100 Mbit/s */
/* What browsers themselves send by default. At half of it one packet in twenty that leaves for a consult would be such
 * feedback (200 packets a second each way), and an estimator would know 25 ms sooner. */
#define TR_TWCC_INTERVAL_US 100000

typedef struct tr_twcc {
    uint64_t base, highest; /* indices; base: first not yet reported */
    bool has_any;
    uint8_t feedback_count;
    uint32_t pending; /* arrivals not reported */
    uint64_t due_us;
    uint32_t arrivals[TR_TWCC_WINDOW]; /* by index, in ticks as the feedback counts them, mod 2^32; 0: not arrived */
} tr_twcc;

void tr__twcc_init(tr_twcc *twcc);
void tr__twcc_on_packet(tr_twcc *twcc, uint16_t seq, uint64_t arrival_us, uint64_t now_us);
uint64_t tr__twcc_at(const tr_twcc *twcc);
/* One feedback part (FMT 15), within the pen's room; the rest stays for the next call. False: nothing was written. */
bool tr__twcc_put_feedback(tr_twcc *twcc, tr_pen *pen, uint32_t sender_ssrc, uint32_t media_ssrc, uint64_t now_us);

#endif
