/* delay: how long packets have waited on the line, and whether that grows: absolute queue and trend in one.
 * A packet's delay is its time of arrival, on the receiver's clock, less its time of departure, on ours: good for
 * differences only. The queue is what it is above the least of the last ten minutes.
 * Pure. Worker thread. */
#ifndef TR_DELAY_H
#define TR_DELAY_H

#include <stdbool.h>
#include <stdint.h>

/* The least delay is remembered over ten buckets of a minute: as long as a TCP may hold the queue without ever
 * emptying it, short enough that two clocks (50 ppm) drift apart by 30 ms at most. */
#define TR_DELAY_BUCKETS 10
#define TR_DELAY_BUCKET_US 60000000
/* What packets have on average above the floor with an empty queue is jitter: it changes with the radio, so over 30 s.
 */
#define TR_DELAY_MEAN_BUCKET_US 3000000

/* Packets at a feedback's end that tell of a drop: two gaps in a row are no chance. */
#define TR_DELAY_END 3

typedef struct tr_delay {
    int64_t least_us[TR_DELAY_BUCKETS]; /* of the smoothed low of feedbacks: what jitter adds is in it */
    int64_t mean_us[TR_DELAY_BUCKETS];  /* of their smoothed average */
    int64_t bucket, mean_bucket;        /* of now, -1: nothing yet */
    int64_t floor_us, next_floor_us;    /* least of any packet in five to ten minutes: no queue, jitter at its least */
    int64_t floor_bucket;
    int64_t base_us, mean_base_us; /* least of all buckets */
    double smooth_low_us, smooth_mean_us;
    /* of the feedback that is being taken */
    int64_t low_us, last_us;
    double sum_us; /* whole numbers; what a clock far off makes of them is too much for an integer */
    int64_t end_us[TR_DELAY_END], end_received_us[TR_DELAY_END]; /* of its last packets */
    uint32_t end_bytes[TR_DELAY_END];
    uint32_t count;
    uint32_t feedbacks; /* so far, up to what it takes to learn from them */
    /* after it */
    double queue_us;   /* standing: the least of one feedback's packets, so that a frame's own burst is no queue */
    double average_us; /* of its packets, without what each takes on the line itself */
    double latest_us;  /* of its last packet */
    double slope;      /* us of standing queue for each us, smoothed */
    double drop_bps;   /* 0, or at what rate its last packets arrived where each of them waited far longer than before:
                          the line became narrower within this feedback, whose least does not know it yet */
    int64_t fed_us;    /* when the latest feedback came */
    int64_t flat_us;   /* since when the queue has been the same, but for jitter */
    double flat_low_us, flat_high_us;
    uint32_t since_short; /* feedbacks since the queue was short */
    double step_us;       /* how long it was at the third of them */
} tr_delay;

void tr__delay_init(tr_delay *d);
/* serial_us: what the packet itself takes on the line, about. */
void tr__delay_on_packet(tr_delay *d, int64_t delay_us, int64_t received_us, uint32_t size_bytes, int64_t serial_us);
/* After the packets of a feedback. False: there was none in it that arrived. */
bool tr__delay_on_feedback(tr_delay *d, int64_t now_us);
/* The queue came at once, and has been the same for so long. */
bool tr__delay_is_step(const tr_delay *d, int64_t now_us, int64_t for_us);
/* The route is another one: what is there now is the base. */
void tr__delay_rebase(tr_delay *d);

#endif
