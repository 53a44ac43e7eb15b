/* ladder: see ladder.h. */
#include "ladder.h"

#include <stdlib.h>
#include <string.h>

/* Up: an eighth more than it costs for a second, or three hundredths more for five seconds with a short queue. The less
 * room there is, the longer it must have been there. */
#define UP_PERCENT 112
#define UP_US 1000000
#define UP_SLOW_PERCENT 103
#define UP_SLOW_US 5000000
/* Whoever has just come is not kept waiting: for three seconds what fits is taken at once, and more than once. */
#define START_US 3000000
#define START_PERCENT 105
/* Two visible switches within four seconds are one too many; down after down is a line that goes away. */
#define UP_GAP_US 4000000
/* Down: a twentieth less than it costs for 200 ms, or less than it costs with a queue that delays voices as well. */
#define DOWN_PERCENT 95
#define DOWN_US 200000
#define DOWN_QUEUE_US 60000
/* With a short queue nothing but the pacer's waits: an estimator that has looked down after a burst is back within a
 * second, and a switch down and up again costs two key frames. */
#define SLIGHT_PERCENT 60
#define SLIGHT_US 1000000
/* All video is paused after a second of too little only: a radio line is away for half of one now and then. */
#define PAUSE_US 1000000
/* Back from that with 300 kbit/s for five seconds: a picture that comes and goes is worse than none, and what it takes
 * to find that there is room again comes before. */
#define BACK_BPS 300000
#define BACK_US 5000000
/* A climb that lasted no ten seconds has failed: it is tried again after 2 s, then 4 s, up to 32 s; two minutes without
 * one more forget it. */
#define FAILED_WITHIN_US 10000000
#define WAIT_LEAST_US 2000000
#define WAIT_MOST_US 32000000
#define FORGET_US 120000000
/* Half as much again as what failed costs is another line than the one it failed on. */
#define RETRY_PERCENT 150
/* To be looked for: what the next step costs and 15 % more, 3 % above what climbing needs. A step of less than a
 * quarter would be looked for again at once. */
#define WANTED_PERCENT 115
#define WANTED_STEP_PERCENT 125
/* Higher than any cost: estimates beyond it are cut, so that no product overflows. */
#define ESTIMATE_MOST_BPS ((uint64_t)1 << 40)

void tr__ladder_init(tr_ladder *l) { memset(l, 0, sizeof *l); }

tr_ladder *tr_ladder_new(void)
{
    tr_ladder *l = malloc(sizeof *l);
    if (l) tr__ladder_init(l);
    return l;
}

void tr_ladder_free(tr_ladder *l) { free(l); }

/* ---------------------------------------------------------------- what a rung comes to */

static uint64_t cost_of(const tr_ladder *l, uint16_t rung) { return rung ? l->rungs[rung - 1].cost_bps : 0; }

static bool pauses_all(const tr_ladder *l, uint16_t rung) { return rung <= l->paused; }

/* The highest rung that costs no more. Never below those that pause: they cost nothing that could be saved. */
static uint16_t highest(const tr_ladder *l, uint64_t bps)
{
    uint16_t rung = l->paused;
    while (rung < l->count && l->rungs[rung].cost_bps <= bps) rung++;
    return rung;
}

/* What a sender has with that many rungs taken. */
static tr_rung layer_at(const tr_ladder *l, uint32_t sender, uint16_t rung)
{
    while (rung > 0)
        if (l->rungs[--rung].sender == sender) return l->rungs[rung];
    return (tr_rung){.sender = sender, .is_paused = 1};
}

static bool same_layer(const tr_rung *a, const tr_rung *b)
{
    if (a->is_paused || b->is_paused) return !a->is_paused == !b->is_paused;
    return a->encoding == b->encoding && a->spatial == b->spatial && a->temporal == b->temporal;
}

/* Whether everybody who has been told of a layer keeps it there. */
static bool keeps_layers(const tr_ladder *l, uint16_t rung)
{
    for (uint16_t i = 0; i < l->told_count; i++) {
        tr_rung layer = layer_at(l, l->told[i].sender, rung);
        if (!same_layer(&layer, &l->told[i])) return false;
    }
    return true;
}

/* Whether somebody has a larger picture there than now, or one at all; more frames are not seen as a switch. */
static bool raises(const tr_ladder *l, uint16_t rung)
{
    for (uint16_t i = 0; i < l->count; i++) {
        tr_rung now = layer_at(l, l->rungs[i].sender, l->rung), then = layer_at(l, l->rungs[i].sender, rung);
        if (then.is_paused) continue;
        if (now.is_paused || then.encoding > now.encoding) return true;
        if (then.encoding == now.encoding && then.spatial > now.spatial) return true;
    }
    return false;
}

/* ---------------------------------------------------------------- the estimate of late */

static void remember(tr_ladder *l, uint64_t before_bps, int64_t now_us)
{
    int64_t step = now_us / TR_LADDER_STEP_US;
    if (step - l->step >= TR_LADDER_STEPS) {
        for (uint32_t i = 0; i < TR_LADDER_STEPS; i++) l->least_bps[i] = before_bps;
        l->step = step;
    }
    /* Nobody said anything else in between: it was what it was. */
    for (; l->step < step; l->step++) l->least_bps[(l->step + 1) % TR_LADDER_STEPS] = before_bps;
    uint64_t *least = &l->least_bps[step % TR_LADDER_STEPS];
    if (l->estimate_bps < *least) *least = l->estimate_bps;
}

static uint64_t least_of(const tr_ladder *l, int64_t window_us)
{
    uint64_t least = l->estimate_bps;
    for (int64_t i = 0; i <= window_us / TR_LADDER_STEP_US; i++) {
        uint64_t bps = l->least_bps[(l->step - i + TR_LADDER_STEPS) % TR_LADDER_STEPS];
        if (bps < least) least = bps;
    }
    return least;
}

/* ---------------------------------------------------------------- up and down */

static void move(tr_ladder *l, uint16_t rung, int64_t now_us)
{
    if (rung > l->rung) l->risen_us = now_us;
    l->moved_us = l->fits_us = now_us;
    l->rung = rung;
}

static uint16_t without_failed(const tr_ladder *l, uint16_t rung, int64_t now_us)
{
    if (now_us >= l->retry_us || least_of(l, UP_US) * 100 >= l->failed_bps * RETRY_PERCENT) return rung;
    while (rung > l->rung && cost_of(l, rung) >= l->failed_bps) rung--;
    return rung;
}

static bool fall(tr_ladder *l, uint32_t queue_us, int64_t now_us)
{
    uint64_t cost = cost_of(l, l->rung), bps = l->estimate_bps;
    if (pauses_all(l, l->rung) || bps * 100 >= cost * DOWN_PERCENT) l->fits_us = now_us;
    if (pauses_all(l, l->rung)) return false;
    int64_t short_us = now_us - l->fits_us;
    bool is_slight = queue_us <= DOWN_QUEUE_US && bps * 100 >= cost * SLIGHT_PERCENT;
    if (short_us < (is_slight ? SLIGHT_US : DOWN_US) && !(queue_us > DOWN_QUEUE_US && bps < cost)) return false;
    uint16_t to = highest(l, bps);
    /* What is given back for something dearer comes back as a climb, if it is still due then. */
    uint16_t lower = to;
    while (!pauses_all(l, lower) && raises(l, lower)) lower--;
    if (!pauses_all(l, lower)) to = lower;
    if (pauses_all(l, to) && short_us < PAUSE_US) {
        /* The lowest picture there is, as long as that is not certain. */
        to = (uint16_t)(l->paused + 1);
        if (to >= l->rung) return false;
    }
    if (to >= l->rung) return false;
    if (l->risen_us && now_us - l->risen_us < FAILED_WITHIN_US && now_us - l->placed_us >= START_US) {
        l->wait_us = l->wait_us ? 2 * l->wait_us : WAIT_LEAST_US;
        if (l->wait_us > WAIT_MOST_US) l->wait_us = WAIT_MOST_US;
        l->failed_bps = cost;
        l->retry_us = now_us + l->wait_us;
        l->risen_us = 0;
    }
    l->is_held = pauses_all(l, to);
    l->back_us = now_us;
    /* What the line carries is known now. */
    if (now_us - l->placed_us < START_US) l->placed_us = now_us - START_US;
    int64_t fits_us = l->fits_us;
    move(l, to, now_us);
    /* How long it has been too little goes on counting, for the pause. */
    if (!l->is_held && bps * 100 < cost_of(l, to) * DOWN_PERCENT) l->fits_us = fits_us;
    return true;
}

/* What is enough to come back from a pause. */
static uint64_t back_bps(const tr_ladder *l)
{
    uint64_t bps = l->paused < l->count ? (uint64_t)l->rungs[l->paused].cost_bps * UP_PERCENT / 100 : 0;
    return bps > BACK_BPS ? bps : BACK_BPS;
}

static bool climb(tr_ladder *l, uint32_t queue_us, int64_t now_us)
{
    if (queue_us > DOWN_QUEUE_US) l->calm_us = now_us;
    if (l->is_held) {
        if (l->estimate_bps < back_bps(l)) l->back_us = now_us;
        if (now_us - l->back_us < BACK_US) return false;
        l->is_held = false;
    }
    uint64_t bps;
    if (now_us - l->placed_us < START_US) {
        bps = l->estimate_bps * 100 / START_PERCENT;
    } else {
        if (now_us - l->moved_us < UP_GAP_US) return false;
        bps = least_of(l, UP_US) * 100 / UP_PERCENT;
        uint64_t slow = least_of(l, UP_SLOW_US) * 100 / UP_SLOW_PERCENT;
        if (now_us - l->calm_us >= UP_SLOW_US && slow > bps) bps = slow;
    }
    if (l->wait_us && now_us - l->retry_us > FORGET_US) l->wait_us = 0;
    uint16_t to = without_failed(l, highest(l, bps), now_us);
    if (to <= l->rung) return false;
    move(l, to, now_us);
    return true;
}

/* Where to begin. Not with nothing, on a line that may carry a picture, however dear the least there is: where no voice
 * is sent nothing would ever be heard of that line. */
static uint16_t first(const tr_ladder *l)
{
    uint16_t rung = highest(l, l->estimate_bps);
    return pauses_all(l, rung) && rung < l->count && l->estimate_bps >= BACK_BPS ? (uint16_t)(rung + 1) : rung;
}

void tr__ladder_begin(tr_ladder *l, int64_t now_us)
{
    if (l->is_begun) return;
    l->is_begun = true;
    l->placed_us = l->fits_us = l->moved_us = l->calm_us = l->back_us = now_us;
}

bool tr__ladder_on_estimate(tr_ladder *l, uint64_t estimate_bps, uint32_t queue_us, int64_t now_us)
{
    uint64_t before_bps = l->estimate_bps;
    l->estimate_bps = estimate_bps < ESTIMATE_MOST_BPS ? estimate_bps : ESTIMATE_MOST_BPS;
    if (!l->is_placed) {
        l->is_placed = true;
        l->placed_us = l->calm_us = l->back_us = now_us;
        before_bps = l->estimate_bps;
        l->step = now_us / TR_LADDER_STEP_US - TR_LADDER_STEPS;
        remember(l, before_bps, now_us);
        move(l, first(l), now_us);
        return l->count > 0;
    }
    remember(l, before_bps, now_us);
    return fall(l, queue_us, now_us) || climb(l, queue_us, now_us);
}

/* ---------------------------------------------------------------- another ladder */

/* Where to stand in it: the layers there are already, if they fit; else what fits. */
static uint16_t place(const tr_ladder *l, int64_t now_us)
{
    if (l->is_held) return l->paused;
    uint16_t fits = highest(l, l->estimate_bps), found = 0;
    bool is_found = false;
    for (uint16_t rung = 0; rung <= l->count; rung++) {
        if (!keeps_layers(l, rung)) continue;
        bool is_worth_it = rung <= fits || (!is_found && l->estimate_bps * 100 >= cost_of(l, rung) * DOWN_PERCENT);
        if (is_worth_it) found = rung, is_found = true;
    }
    if (is_found) return found;
    if (now_us < l->retry_us)
        while (fits > l->paused && cost_of(l, fits) >= l->failed_bps) fits--;
    return fits;
}

int tr__ladder_set(tr_ladder *l, const tr_rung *rungs, uint32_t count, int64_t now_us)
{
    if (count > TR_MAX_RUNGS) return TR_ERR_ARGUMENT;
    for (uint32_t i = 1; i < count; i++)
        if (rungs[i].cost_bps < rungs[i - 1].cost_bps) return TR_ERR_ARGUMENT;
    if (!l->count && l->is_placed) l->placed_us = now_us; /* only now is there anything to be kept waiting for */
    bool was_live = l->count && !pauses_all(l, l->rung);
    if (count) memcpy(l->rungs, rungs, count * sizeof *rungs);
    l->count = (uint16_t)count;
    l->paused = 0;
    while (l->paused < l->count && l->rungs[l->paused].is_paused) l->paused++;
    /* Who is in it no longer is somebody else's. */
    uint16_t kept = 0;
    for (uint16_t i = 0; i < l->told_count; i++) {
        uint16_t at = 0;
        while (at < l->count && l->rungs[at].sender != l->told[i].sender) at++;
        if (at < l->count) l->told[kept++] = l->told[i];
    }
    l->told_count = kept;
    l->rung = 0;
    if (l->is_placed) {
        l->rung = place(l, now_us);
        /* Another ladder is no reason for a pause: whether there is one, and for how long, the estimate says in time.
         */
        if (was_live && l->paused < l->count && pauses_all(l, l->rung)) l->rung = (uint16_t)(l->paused + 1);
        if (!was_live || l->estimate_bps * 100 >= cost_of(l, l->rung) * DOWN_PERCENT) l->fits_us = now_us;
    }
    return TR_OK;
}

bool tr__ladder_next_change(tr_ladder *l, tr_rung *out)
{
    if (!l->is_placed) return false;
    for (uint16_t i = 0; i < l->count; i++) {
        tr_rung layer = layer_at(l, l->rungs[i].sender, l->rung);
        uint16_t at = 0;
        while (at < l->told_count && l->told[at].sender != layer.sender) at++;
        if (at < l->told_count && same_layer(&layer, &l->told[at])) continue;
        if (at == l->told_count) l->told_count++;
        *out = l->told[at] = layer;
        return true;
    }
    return false;
}

uint64_t tr__ladder_wanted_bps(const tr_ladder *l)
{
    if (!l->count) return 0;
    uint64_t cost = cost_of(l, l->rung), next = cost_of(l, l->count);
    for (uint16_t rung = (uint16_t)(l->rung + 1); rung <= l->count; rung++) {
        if (cost_of(l, rung) * 100 < cost * WANTED_STEP_PERCENT) continue;
        /* What the estimate pays for already is climbed when its time has come. */
        if (!l->is_held && cost_of(l, rung) * WANTED_PERCENT <= l->estimate_bps * 100) continue;
        next = cost_of(l, rung);
        break;
    }
    /* Nobody knows yet what the line carries: everything. */
    if (!l->is_placed || l->step * TR_LADDER_STEP_US - l->placed_us < START_US) next = cost_of(l, l->count);
    if (l->is_held && next < BACK_BPS) next = BACK_BPS;
    return next * WANTED_PERCENT / 100;
}

/* ---------------------------------------------------------------- alone, for the simulator */

int tr_ladder_set(tr_ladder *l, const tr_rung *rungs, uint32_t count, int64_t now_us)
{
    return tr__ladder_set(l, rungs, count, now_us);
}

int tr_ladder_on_estimate(tr_ladder *l, uint64_t estimate_bps, uint32_t queue_us, int64_t now_us)
{
    return tr__ladder_on_estimate(l, estimate_bps, queue_us, now_us);
}

int tr_ladder_next_change(tr_ladder *l, tr_rung *out) { return tr__ladder_next_change(l, out); }

uint32_t tr_ladder_rung(const tr_ladder *l) { return l->rung; }

uint64_t tr_ladder_wanted_bps(const tr_ladder *l) { return tr__ladder_wanted_bps(l); }
