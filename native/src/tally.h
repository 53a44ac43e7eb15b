/* tally: the counters of one worker, and the one line where a drop is counted.
 * Pure: plain numbers, written by the worker thread; worker.c publishes them. */
#ifndef TR_TALLY_H
#define TR_TALLY_H

#include "telerelay.h"

typedef tr_stats tr_tally;

static inline void tr__count_drop(tr_tally *tally, tr_drop drop) { tally->drops[drop]++; }

#endif
