/* release: what waits for a subscriber's line leaves, when the pacer says so.
 * Called from its transport's timer. Pure. Worker thread. */
#ifndef TR_RELEASE_H
#define TR_RELEASE_H

#include "sender.h"

/* As much as the pace allows now. The downlink has a pacer. */
void tr__release_due(tr_downlink *downlink, tr_tally *tally, uint64_t now_us);
/* All of it, whatever the pace: pacing is being turned off. */
void tr__release_all(tr_downlink *downlink, tr_tally *tally, uint64_t now_us);

#endif
