/* delay: see delay.h. */
#include "delay.h"

#include <string.h>

/* The slope of one feedback is mostly its frames' noise; of two in equal parts it is still there within 200 ms. */
#define SLOPE_WEIGHT 0.5

void tr__delay_init(tr_delay *d)
{
    memset(d, 0, sizeof *d);
    d->bucket = -1;
    d->low_us = INT64_MAX;
}

static void find_base(tr_delay *d)
{
    d->base_us = INT64_MAX;
    for (uint32_t i = 0; i < TR_DELAY_BUCKETS; i++)
        if (d->least_us[i] < d->base_us) d->base_us = d->least_us[i];
}

static void turn(tr_delay *d, int64_t now_us)
{
    int64_t bucket = now_us / TR_DELAY_BUCKET_US;
    if (d->bucket == bucket) return;
    bool is_first = d->bucket < 0 || bucket - d->bucket >= TR_DELAY_BUCKETS;
    for (int64_t at = is_first ? bucket - TR_DELAY_BUCKETS + 1 : d->bucket + 1; at <= bucket; at++)
        d->least_us[(at % TR_DELAY_BUCKETS + TR_DELAY_BUCKETS) % TR_DELAY_BUCKETS] = INT64_MAX;
    d->bucket = bucket;
    find_base(d);
}

void tr__delay_on_packet(tr_delay *d, int64_t now_us, int64_t delay_us, int64_t serial_us)
{
    turn(d, now_us);
    int64_t *least_us = &d->least_us[d->bucket % TR_DELAY_BUCKETS];
    if (delay_us < *least_us) *least_us = delay_us;
    if (delay_us < d->base_us) d->base_us = delay_us;
    if (delay_us < d->low_us) d->low_us = delay_us;
    d->last_us = delay_us;
    /* What the packet itself took on the line is no queue. Left out of the average only: while the rate is not known
     * the correction is too large, and a base that was corrected by too much would stay. */
    int64_t waited_us = delay_us - d->base_us - serial_us;
    if (waited_us > 0) d->sum_us += waited_us;
    d->count++;
}

bool tr__delay_on_feedback(tr_delay *d, int64_t now_us)
{
    if (!d->count) return false;
    double queue_us = (double)(d->low_us - d->base_us), gap_us = (double)(now_us - d->fed_us);
    if (d->fed_us && gap_us > 0)
        d->slope += SLOPE_WEIGHT * ((queue_us - d->queue_us) / (gap_us < 50000 ? 50000 : gap_us) - d->slope);
    d->queue_us = queue_us;
    d->average_us = (double)d->sum_us / d->count;
    d->latest_us = (double)(d->last_us - d->base_us);
    d->fed_us = now_us;
    d->low_us = INT64_MAX;
    d->sum_us = 0;
    d->count = 0;
    return true;
}

void tr__delay_rebase(tr_delay *d, int64_t now_us)
{
    tr__delay_init(d);
    turn(d, now_us);
}
