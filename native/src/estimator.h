/* estimator: how fast one receiver can be sent to, from what its transport-wide feedback says of what we sent.
 * One controller of four signals: the standing queue and its slope (delay), the rate of arrival (delivered), loss
 * beyond the line's own (inherent), clusters (probes); and what is in flight, and silence, where there is no signal. It
 * believes its own history only: of feedback it takes a number and a time of arrival. A number that was never sent, or
 * was reported before, is left out; no rate counts as delivered that was not sent. Where transport-wide feedback does
 * not come for a second, or never did, receiver reports and REMB decide (told). Rates are bits on the wire. Same
 * calls, same answers, on every machine: doubles with + - * / only, never contracted. Pure: no clock, no log, no
 * allocation after new. Worker thread. */
#ifndef TR_ESTIMATOR_H
#define TR_ESTIMATOR_H

#include <stdbool.h>
#include <stdint.h>

#include "delay.h"
#include "delivered.h"
#include "inherent.h"
#include "probes.h"
#include "sent.h"
#include "telerelay.h"
#include "told.h"

typedef enum tr_estimator_mode {
    TR_ESTIMATOR_FREE = 0,  /* the queue is near empty: grow */
    TR_ESTIMATOR_DRAINING,  /* it was long: below what arrives until it is short again */
    TR_ESTIMATOR_CONTESTED, /* somebody else holds it full: loss, not delay, decides */
    TR_ESTIMATOR_SILENT,    /* no feedback: a trickle, to hear when the line is back */
    TR_ESTIMATOR_TOLD       /* no transport-wide feedback, but reports or REMB */
} tr_estimator_mode;

/* In zeroed pages of its own: as far as its packets reach it takes memory, a page where there are few. */
struct tr_estimator {
    /* given */
    double start_bps, least_bps, most_bps, wanted_bps, bound_bps; /* bound: by REMB */
    /* owned */
    tr_delay delay;
    tr_delivered delivered, departed; /* by time of arrival; of all that left, by our clock */
    tr_inherent inherent;
    tr_probes probes;
    tr_told told;
    bool was_told; /* reports have decided before */
    tr_estimator_mode mode;
    double bps; /* the estimate */
    double line_bps, before_silence_bps, before_drain_bps;
    double back_bps;   /* before the latest silence or change of route, which ended at back_us */
    double free_bps;   /* when the queue was below the reference, at free_us */
    double little_bps; /* what left when the queue was last below the reference */
    double padding_bps;
    int64_t published_us; /* of what is known now */
    double spare_bytes;   /* that clusters may have */
    uint64_t queued_bytes;
    int64_t rtt_us, least_rtt_us;
    int64_t newest_sent_us; /* of what is told of the latest to leave: when that was */
    int64_t heard_us;       /* the latest transport-wide feedback, -1: none yet */
    int64_t used_us;        /* when what left was last most of the estimate */
    int64_t fed_us, controlled_us, empty_us, long_us, free_us, back_us, cut_us, line_us, probed_us, idle_us,
        probe_gap_us;
    double unrest;        /* drains of late */
    double peak_us;       /* longest queue of late, decaying */
    double long_queue_us; /* where a long queue began to be watched */
    /* counters */
    uint64_t unknown, repeated; /* of feedback: never sent or forgotten; known already */
    /* owned; the last, see sent.h */
    tr_sent sent;
};

/* Other bounds than it was made with, as tr_estimator_new has them; what it knows of the line stays. */
void tr__estimator_set_bounds(tr_estimator *e, uint64_t least_bps, uint64_t most_bps);
/* It has left again as it was: what comes back of it tells of a loss. */
void tr__estimator_on_resent(tr_estimator *e, int64_t seq);
/* Nothing is to be looked for on a line whose queue is short. */
bool tr__estimator_has_enough(const tr_estimator *e);
/* What is to be filled up to with padding, 0: nothing. */
static inline uint64_t tr__estimator_padding_bps(const tr_estimator *e)
{
    return e->mode == TR_ESTIMATOR_FREE ? (uint64_t)e->padding_bps : 0;
}
/* When it would be silence that no transport-wide feedback has come; INT64_MAX: none is missing. */
int64_t tr__estimator_silent_at(const tr_estimator *e);
/* What a receiver without transport-wide feedback says; taken note of, no more, while there is such feedback.
 * REMB: bit/s as it was sent; 0 and beyond the most rate: no bound. A report: RFC 3550's fraction lost, of 256, and the
 * round trip it gives (6.4.1), 0 where it gives none; of a compound of several either each block, or the worst. */
void tr__estimator_on_remb(tr_estimator *e, int64_t now_us, uint64_t bps);
void tr__estimator_on_report(tr_estimator *e, int64_t now_us, uint8_t lost_of_256, int64_t rtt_us);

#endif
