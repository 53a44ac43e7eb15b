/* pacer: what waits for one subscriber's line, and when the next of it may leave: references to packets that lie in
 * histories, resends before media, tracks in turn by bytes, all within one budget of bytes on the wire.
 * What leaves without waiting, voices above all, is paid for by what comes after it. What a track has waiting is
 * forgotten as a whole, where it is paused or something newer takes its place; its owner says when that is.
 * Pure: its memory is taken when it is made: references for what waits of a frame, and pages for the rest, of which a
 * line that carries its keyframes at once touches none, and which are given back once nothing has reached them for a
 * while. Worker thread. */
#ifndef TR_PACER_H
#define TR_PACER_H

#include <stdbool.h>
#include <stdint.h>

/* References at most: a second of 10 Mbit/s, and no history reaches further back. */
#define TR_PACER_REFS 1024
/* Of these always there: what waits of a camera's frame at 2 Mbit/s. */
#define TR_PACER_FEW 16
/* The rest is given back where so long none of it was needed: a line that is too thin needs it with each keyframe. */
#define TR_PACER_REST_US 10000000
/* Of these resends at most: more than what a quarter of a second of a good line may cost to repair. */
#define TR_PACER_RESENDS 256
/* What was not used is kept for so long: no burst is longer than what the pace carries in that time, and a packet.
 * Where what is sent is a small part of the pace, so much longer: a frame of a third of it, at 30 a second and half as
 * large again as others, leaves as it came, in one run. */
#define TR_PACER_QUANTUM_US 5000
#define TR_PACER_AMPLE_US 15000
/* While something waits a late timer is made up for, up to this. */
#define TR_PACER_LATE_US 10000

struct tr_sender;
typedef struct tr_pacer tr_pacer;

/* One track's place in the queue; a value of zeros but for its sender begins. */
typedef struct tr_pacer_flow {
    struct tr_sender *sender;            /* borrowed */
    struct tr_pacer_flow *next, *before; /* in the ring of those that wait */
    uint64_t last_index;                 /* highest that waits */
    uint64_t put_us;                     /* when the first of those that wait came */
    uint32_t count, bytes;               /* that wait, resends left out */
    int32_t turn_bytes;                  /* what is left of its turn */
    uint16_t head, tail;
} tr_pacer_flow;

typedef enum tr_pacer_kind { TR_PACER_MEDIA, TR_PACER_RESEND } tr_pacer_kind;

typedef struct tr_pacer_ref {
    uint64_t index;      /* of its stream; of a resend: the number it is to leave under again */
    uint64_t put_us;     /* when it came */
    tr_pacer_flow *flow; /* NULL: free */
    uint16_t bytes;      /* about, on the wire */
    uint16_t next;       /* in its queue */
    uint8_t encoding, kind;
} tr_pacer_ref;

typedef struct tr_pacer_queue {
    uint32_t count;
    uint16_t head, tail;
} tr_pacer_queue;

struct tr_pacer {
    /* the budget; in bits times a million, so that a pace times microseconds is one of them */
    uint64_t pace_bps, rate_bps; /* as it was set; as it is: a cluster's while there is one */
    uint64_t charged;            /* bytes, ever */
    int64_t debt;                /* at at_us; below zero: what may still leave at once */
    uint64_t at_us;
    uint64_t kept_us;     /* for how long what was not used is kept: one of the above */
    uint64_t released_us; /* when it was last looked after */
    /* the cluster that is on its way (estimator.h): what is still to be sent of it */
    bool is_probing;
    uint32_t probe_bytes, probe_packets;
    /* what waits */
    uint32_t count, bytes; /* all of it */
    uint64_t longest_us;   /* that anything has waited that left, since somebody took note */
    tr_pacer_flow *turn;   /* whose turn it is; NULL: no media waits */
    tr_pacer_queue resends;
    /* references that are free: those that were used, then those that were not since nothing waited */
    uint16_t free, used;
    bool is_rest_touched;
    uint64_t needed_us; /* when one of the rest was taken last */
    tr_pacer_ref few[TR_PACER_FEW];
    tr_pacer_ref *rest; /* owned: the others, in pages */
};

tr_pacer *tr__pacer_new(uint64_t pace_bps); /* NULL: no memory */
/* Every flow has been dropped. */
void tr__pacer_free(tr_pacer *pacer);

/* bit/s from now on, at least 1. */
void tr__pacer_set_pace(tr_pacer *pacer, uint64_t pace_bps, uint64_t now_us);
/* Whether what is sent is a small part of it. */
void tr__pacer_set_ample(tr_pacer *pacer, bool is_ample, uint64_t now_us);

/* What the budget has won since at_us: no more than it can owe, whatever the pace. */
static inline int64_t tr__pacer_gained(const tr_pacer *pacer, uint64_t now_us)
{
    uint64_t elapsed_us = now_us - pacer->at_us;
    return (int64_t)(pacer->rate_bps * (elapsed_us < 1000000 ? elapsed_us : 1000000));
}
/* Is the budget such that something may leave now? */
static inline bool tr__pacer_is_open(const tr_pacer *pacer, uint64_t now_us)
{
    return pacer->debt <= tr__pacer_gained(pacer, now_us);
}
/* May what comes now leave at once, nothing being before it? */
static inline bool tr__pacer_may(const tr_pacer *pacer, uint64_t now_us)
{
    return !pacer->count && !pacer->is_probing && tr__pacer_is_open(pacer, now_us);
}
/* So many bytes have left. */
void tr__pacer_charge(tr_pacer *pacer, uint32_t bytes, uint64_t now_us);

/* It waits from now on, as so many bytes. False: there is no room. */
bool tr__pacer_put(tr_pacer *pacer, tr_pacer_flow *flow, tr_pacer_kind kind, uint8_t encoding, uint64_t index,
                   uint32_t bytes, uint64_t now_us);
/* What is to leave next, which does not wait any more; false: nothing waits. Whether it may is is_open's to say. */
bool tr__pacer_next(tr_pacer *pacer, tr_pacer_ref *out);
/* Media of this flow does not wait any more; how many that were. Resends stay. */
uint32_t tr__pacer_drop(tr_pacer *pacer, tr_pacer_flow *flow);
/* Nothing of this flow waits any more, resends included. */
void tr__pacer_forget(tr_pacer *pacer, tr_pacer_flow *flow);
/* Of those that wait the one with the most references; NULL: no media waits. */
tr_pacer_flow *tr__pacer_longest(const tr_pacer *pacer);

/* So many bytes and packets at least, at that rate from now on, whatever the pace. */
void tr__pacer_begin_probe(tr_pacer *pacer, uint64_t rate_bps, uint32_t bytes, uint32_t packets, uint64_t now_us);
/* A packet of it has left. */
void tr__pacer_probed(tr_pacer *pacer, uint32_t bytes, uint64_t now_us);
void tr__pacer_end_probe(tr_pacer *pacer, uint64_t now_us);

/* Called now and then: gives back what has not been needed for long. */
void tr__pacer_rest(tr_pacer *pacer, uint64_t now_us);

/* When to let go next; UINT64_MAX: nothing waits, and no cluster is on its way. */
uint64_t tr__pacer_at(const tr_pacer *pacer);

#endif
