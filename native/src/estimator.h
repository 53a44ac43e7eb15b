/* estimator: how fast one receiver can be sent to, from what its transport-wide feedback says of what we sent.
 * One controller of four signals: the standing queue and its slope (delay), the rate of arrival (delivered), loss
 * beyond the line's own (inherent), clusters (probes); and what is in flight, and silence, where there is no signal. It
 * believes its own history only: of feedback it takes a number and a time of arrival. A number that was never sent, or
 * was reported before, is left out; no rate counts as delivered that was not sent. Rates are bits on the wire. Same
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
#include "telerelay.h"

/* Packets whose fate is remembered, a power of two: eight seconds of 2.5 Mbit/s, longer than any feedback is late. */
#define TR_ESTIMATOR_SENT 2048

typedef enum tr_estimator_mode {
    TR_ESTIMATOR_FREE = 0,  /* the queue is near empty: grow */
    TR_ESTIMATOR_DRAINING,  /* it was long: below what arrives until it is short again */
    TR_ESTIMATOR_CONTESTED, /* somebody else holds it full: loss, not delay, decides */
    TR_ESTIMATOR_SILENT     /* no feedback: a trickle, to hear when the line is back */
} tr_estimator_mode;

typedef struct tr_sent_packet {
    int64_t seq; /* -1: none */
    int64_t sent_us;
    int32_t probe_id;
    uint16_t size_bytes;
    uint8_t fate; /* 0: on its way, 1: reported lost, 2: reported received, 3: given up */
} tr_sent_packet;

struct tr_estimator {
    /* given */
    double start_bps, least_bps, most_bps, wanted_bps;
    /* owned */
    tr_sent_packet sent[TR_ESTIMATOR_SENT];
    tr_delay delay;
    tr_delivered delivered, departed; /* by time of arrival; of all that left, by our clock */
    tr_inherent inherent;
    tr_probes probes;
    tr_estimator_mode mode;
    double bps; /* the estimate */
    double line_bps, before_silence_bps;
    double pacing_bps, target_bps;
    int64_t next_seq, oldest_seq; /* one past the newest sent; of those on their way the oldest */
    uint64_t flight_bytes, queued_bytes;
    int64_t rtt_us, least_rtt_us;
    int64_t fed_us, controlled_us, empty_us, long_us, cut_us, line_us, probed_us, idle_us, probe_gap_us;
    double unrest;        /* drains of late */
    double peak_us;       /* longest queue of late, decaying */
    double long_queue_us; /* where a long queue began to be watched */
    /* counters */
    uint64_t unknown, repeated; /* of feedback: never sent or forgotten; known already */
};

void tr__estimator_init(tr_estimator *e, uint64_t start_bps, uint64_t least_bps, uint64_t most_bps);

#endif
