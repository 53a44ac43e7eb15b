/* ladder: what one receiver gets of what its line carries: rungs from control, climbed and fallen down with the
 * estimate. The hysteresis of layers is here and nowhere else. A rung names a sender and its layer, and what everything
 * up to and including it costs; those below it are taken with it, the uppermost one of a sender decides. A sender of
 * which no rung is taken is paused. Pure: no clock, no log, no allocation. Worker thread. */
#ifndef TR_LADDER_H
#define TR_LADDER_H

#include <stdbool.h>
#include <stdint.h>

#include "telerelay.h"

/* The least of the estimate is remembered in steps of 250 ms over five seconds, the longest that a climb looks back. */
#define TR_LADDER_STEP_US 250000
#define TR_LADDER_STEPS 21

struct tr_ladder {
    /* given */
    tr_rung rungs[TR_MAX_RUNGS];
    uint16_t count;
    uint16_t paused; /* rungs at the foot that pause: with no more than these, no video goes out */
    /* owned */
    uint16_t rung; /* how many are taken */
    uint16_t told_count;
    bool is_placed; /* an estimate has been heard */
    bool is_held;   /* the line has paused everything: back by the rule for that only */
    bool is_begun;  /* something can go out */
    tr_rung told[TR_MAX_RUNGS];
    uint64_t estimate_bps;
    uint64_t least_bps[TR_LADDER_STEPS];
    int64_t step;               /* number of the newest of least_bps */
    int64_t placed_us, fits_us; /* the first estimate, or the beginning; when what is taken last fitted */
    int64_t moved_us, risen_us; /* the last move; the last one upwards */
    int64_t calm_us;            /* since when the queue has been short */
    int64_t back_us;            /* since when the estimate has been enough to come back from a pause */
    int64_t wait_us, retry_us;  /* after a climb that failed: the wait, and when what failed may be tried again */
    uint64_t failed_bps;        /* cost of the rung that failed */
};

void tr__ladder_init(tr_ladder *ladder);
/* What is sent already stays where it is in the new ladder and fits. TR_ERR_ARGUMENT: more than TR_MAX_RUNGS, or costs
 * that fall; then the old ladder stays. Changes are to be taken afterwards. */
int tr__ladder_set(tr_ladder *ladder, const tr_rung *rungs, uint32_t count, int64_t now_us);
/* The line is open: what was placed while it was not, on a guess, has had no time to show whether it fits, and its
 * first seconds begin now. Once; later ones do nothing. */
void tr__ladder_begin(tr_ladder *ladder, int64_t now_us);
/* Each 25 to 100 ms. True: some sender's layer is another, take the changes. `queue_us`: standing queue on the line. */
bool tr__ladder_on_estimate(tr_ladder *ladder, uint64_t estimate_bps, uint32_t queue_us, int64_t now_us);
/* Each sender whose layer differs from what was told of it last; false: no more. Of a paused one is_paused is set. */
bool tr__ladder_next_change(tr_ladder *ladder, tr_rung *out);
/* How much could be used: what the next step needs, for the estimator to look for; 0: an empty ladder. */
uint64_t tr__ladder_wanted_bps(const tr_ladder *ladder);

#endif
