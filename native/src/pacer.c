/* pacer: see pacer.h. Touches its own memory and the flows it is given. Worker thread. */
#include "pacer.h"

#include <stdlib.h>

#include "pages.h"

#define UNIT 8000000 /* of a byte in the budget: bits times a million */
/* A turn: a packet of a track, so that a picture of few packets does not wait for one of many. */
#define TURN_BYTES 1500
/* What voices may take beyond the pace before what comes after them stops to pay: a line that carries no voice carries
 * nothing else, and is to be used at once when it does again. */
#define DEBT_US 100000
#define DEBT_BYTES 1500

/* A few more than are used, so that they are whole pages. */
#define REST_BYTES (TR_PACER_REFS * sizeof(tr_pacer_ref))

tr_pacer *tr__pacer_new(uint64_t pace_bps)
{
    tr_pacer *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->rest = tr__pages_new(REST_BYTES);
    if (!p->rest) {
        free(p);
        return NULL;
    }
    p->pace_bps = p->rate_bps = pace_bps ? pace_bps : 1;
    p->kept_us = TR_PACER_QUANTUM_US;
    p->free = TR_PACER_REFS;
    return p;
}

void tr__pacer_free(tr_pacer *p)
{
    if (!p) return;
    tr__pages_free(p->rest, REST_BYTES);
    free(p);
}

/* ------------------------------------------------------------------ the budget */

static void pass(tr_pacer *p, uint64_t now_us)
{
    uint64_t kept_us = p->count || p->is_probing ? TR_PACER_LATE_US : p->kept_us;
    int64_t least = -(int64_t)(p->rate_bps * kept_us), debt = p->debt - tr__pacer_gained(p, now_us);
    p->debt = debt > least ? debt : least;
    p->at_us = now_us;
}

void tr__pacer_set_pace(tr_pacer *p, uint64_t pace_bps, uint64_t now_us)
{
    if (pace_bps == p->pace_bps) return;
    pass(p, now_us);
    p->pace_bps = pace_bps ? pace_bps : 1;
    if (!p->is_probing) p->rate_bps = p->pace_bps;
}

void tr__pacer_set_ample(tr_pacer *p, bool is_ample, uint64_t now_us)
{
    uint64_t kept_us = is_ample ? TR_PACER_AMPLE_US : TR_PACER_QUANTUM_US;
    if (kept_us == p->kept_us) return;
    pass(p, now_us);
    p->kept_us = kept_us;
}

void tr__pacer_begin_probe(tr_pacer *p, uint64_t rate_bps, uint32_t bytes, uint32_t packets, uint64_t now_us)
{
    pass(p, now_us);
    p->is_probing = true;
    p->rate_bps = rate_bps ? rate_bps : 1;
    p->probe_bytes = bytes;
    p->probe_packets = packets;
    p->debt = 0; /* its packets have its distances from the first on */
}

void tr__pacer_probed(tr_pacer *p, uint32_t bytes, uint64_t now_us)
{
    p->probe_bytes -= bytes < p->probe_bytes ? bytes : p->probe_bytes;
    if (p->probe_packets) p->probe_packets--;
    if (!p->probe_bytes && !p->probe_packets) tr__pacer_end_probe(p, now_us);
}

void tr__pacer_end_probe(tr_pacer *p, uint64_t now_us)
{
    pass(p, now_us);
    p->is_probing = false;
    p->rate_bps = p->pace_bps;
}

void tr__pacer_charge(tr_pacer *p, uint32_t bytes, uint64_t now_us)
{
    pass(p, now_us);
    p->charged += bytes;
    int64_t most = (int64_t)(p->rate_bps * DEBT_US) + (int64_t)DEBT_BYTES * UNIT;
    p->debt += (int64_t)bytes * UNIT;
    if (p->debt > most) p->debt = most;
}

uint64_t tr__pacer_at(const tr_pacer *p)
{
    if (!p->count && !p->is_probing) return UINT64_MAX;
    uint64_t open_us = p->at_us, quantum_us = p->is_probing ? 0 : p->released_us + TR_PACER_QUANTUM_US;
    if (p->debt > 0) open_us += ((uint64_t)p->debt + p->rate_bps - 1) / p->rate_bps;
    return open_us > quantum_us ? open_us : quantum_us;
}

/* ------------------------------------------------------------------ what waits */

static inline tr_pacer_ref *ref_at(tr_pacer *p, uint16_t at)
{
    return at < TR_PACER_FEW ? &p->few[at] : &p->rest[at - TR_PACER_FEW];
}

static tr_pacer_ref *take_free(tr_pacer *p, uint16_t *at, uint64_t now_us)
{
    if (p->free < TR_PACER_REFS) {
        *at = p->free;
        p->free = ref_at(p, *at)->next;
    } else if (p->used < TR_PACER_REFS) {
        *at = p->used++;
    } else {
        return NULL;
    }
    if (*at >= TR_PACER_FEW) {
        p->needed_us = now_us;
        p->is_rest_touched = true;
    }
    return ref_at(p, *at);
}

/* Where nothing waits any more the first are the next to be used again. */
static void give_back(tr_pacer *p, uint16_t at)
{
    tr_pacer_ref *ref = ref_at(p, at);
    p->bytes -= ref->bytes;
    ref->flow = NULL;
    ref->next = p->free;
    p->free = at;
    if (--p->count) return;
    p->free = TR_PACER_REFS;
    p->used = 0;
}

void tr__pacer_rest(tr_pacer *p, uint64_t now_us)
{
    if (!p->is_rest_touched || p->count || now_us - p->needed_us < TR_PACER_REST_US) return;
    tr__pages_forget(p->rest, REST_BYTES);
    p->is_rest_touched = false;
}

/* Behind all others: who comes has no turn before those that wait already. */
static void join(tr_pacer *p, tr_pacer_flow *flow)
{
    flow->turn_bytes = 0;
    if (!p->turn) {
        p->turn = flow->next = flow->before = flow;
        return;
    }
    flow->next = p->turn;
    flow->before = p->turn->before;
    flow->before->next = flow->next->before = flow;
}

static void leave(tr_pacer *p, tr_pacer_flow *flow)
{
    flow->before->next = flow->next;
    flow->next->before = flow->before;
    if (p->turn == flow) p->turn = flow->next == flow ? NULL : flow->next;
    flow->next = flow->before = NULL;
}

bool tr__pacer_put(tr_pacer *p, tr_pacer_flow *flow, tr_pacer_kind kind, uint8_t encoding, uint64_t index,
                   uint32_t bytes, uint64_t now_us)
{
    uint16_t at;
    tr_pacer_ref *ref;
    if (kind == TR_PACER_RESEND && p->resends.count == TR_PACER_RESENDS) return false;
    if (!(ref = take_free(p, &at, now_us))) return false;
    *ref = (tr_pacer_ref){.index = index,
                          .put_us = now_us,
                          .flow = flow,
                          .bytes = bytes < UINT16_MAX ? (uint16_t)bytes : UINT16_MAX,
                          .next = TR_PACER_REFS,
                          .encoding = encoding,
                          .kind = (uint8_t)kind};
    if (!p->count) {
        /* Its time begins to run with the first. */
        pass(p, now_us);
        p->released_us = now_us;
    }
    p->count++;
    p->bytes += ref->bytes;
    if (kind == TR_PACER_RESEND) {
        if (p->resends.count++)
            ref_at(p, p->resends.tail)->next = at;
        else
            p->resends.head = at;
        p->resends.tail = at;
        return true;
    }
    if (flow->count++) {
        ref_at(p, flow->tail)->next = at;
        if (index > flow->last_index) flow->last_index = index;
    } else {
        join(p, flow);
        flow->head = at;
        flow->put_us = now_us;
        flow->last_index = index;
    }
    flow->tail = at;
    flow->bytes += ref->bytes;
    return true;
}

/* The flow's first reference, out of its queue. */
static uint16_t take_head(tr_pacer *p, tr_pacer_flow *flow)
{
    uint16_t at = flow->head;
    flow->bytes -= ref_at(p, at)->bytes;
    if (--flow->count) {
        flow->head = ref_at(p, at)->next;
        flow->put_us = ref_at(p, flow->head)->put_us;
    } else {
        leave(p, flow);
    }
    return at;
}

bool tr__pacer_next(tr_pacer *p, tr_pacer_ref *out)
{
    uint16_t at;
    if (p->resends.count) {
        at = p->resends.head;
        p->resends.head = ref_at(p, at)->next;
        p->resends.count--;
    } else if (p->turn) {
        while (p->turn->turn_bytes <= 0) {
            p->turn->turn_bytes += TURN_BYTES;
            p->turn = p->turn->next;
        }
        tr_pacer_flow *flow = p->turn;
        at = take_head(p, flow);
        flow->turn_bytes -= ref_at(p, at)->bytes;
    } else {
        return false;
    }
    *out = *ref_at(p, at);
    give_back(p, at);
    return true;
}

uint32_t tr__pacer_drop(tr_pacer *p, tr_pacer_flow *flow)
{
    uint32_t dropped = flow->count;
    while (flow->count) give_back(p, take_head(p, flow));
    return dropped;
}

void tr__pacer_forget(tr_pacer *p, tr_pacer_flow *flow)
{
    tr__pacer_drop(p, flow);
    tr_pacer_queue kept = {0};
    for (uint32_t left = p->resends.count, at = p->resends.head; left; left--) {
        uint16_t here = (uint16_t)at;
        at = ref_at(p, here)->next;
        if (ref_at(p, here)->flow == flow) {
            give_back(p, here);
            continue;
        }
        if (kept.count++)
            ref_at(p, kept.tail)->next = here;
        else
            kept.head = here;
        kept.tail = here;
    }
    p->resends = kept;
}

tr_pacer_flow *tr__pacer_longest(const tr_pacer *p)
{
    tr_pacer_flow *longest = p->turn;
    if (!longest) return NULL;
    for (tr_pacer_flow *flow = p->turn->next; flow != p->turn; flow = flow->next)
        if (flow->count > longest->count) longest = flow;
    return longest;
}
