/* release: what waits for a subscriber's line leaves, when the pacer says so; and where a cluster of the estimator's
 * wants more than waits, what has left lately is sent again by RTX, or empty packets are. Called from its transport's
 * timer. Pure. Worker thread. */
#ifndef TR_RELEASE_H
#define TR_RELEASE_H

#include "sender.h"

/* One downlink, which has a pacer, and all its senders. Borrowed for the call. */
typedef struct tr_outlet {
    tr_downlink *downlink;
    tr_sender *const *senders;
    uint32_t sender_count;
    tr_tally *tally;
} tr_outlet;

/* As much as the pace allows now. */
void tr__release_due(const tr_outlet *outlet, uint64_t now_us);
/* Each 25 ms: begins the next cluster, where there is one and something to make it of, and pads. */
void tr__release_on_time(const tr_outlet *outlet, uint64_t now_us);
/* All of it, whatever the pace: pacing is being turned off. */
void tr__release_all(tr_downlink *downlink, tr_tally *tally, uint64_t now_us);

#endif
