/* delay: see delay.h. */
#include "delay.h"

#include <string.h>

/* The slope of one feedback is mostly its frames' noise; of two in equal parts it is still there within 200 ms. */
#define SLOPE_WEIGHT 0.5

/* The base is the least of what is smoothed over some four feedbacks: with jitter a single packet's luck, once in ten
 * minutes, would make a queue of every other packet's. */
#define BASE_WEIGHT 0.25

void tr__delay_init(tr_delay *d)
{
    memset(d, 0, sizeof *d);
    d->bucket = -1;
    d->low_us = INT64_MAX;
}

static void find_base(tr_delay *d)
{
    d->base_us = d->mean_base_us = INT64_MAX;
    for (uint32_t i = 0; i < TR_DELAY_BUCKETS; i++) {
        if (d->least_us[i] < d->base_us) d->base_us = d->least_us[i];
        if (d->mean_us[i] < d->mean_base_us) d->mean_base_us = d->mean_us[i];
    }
}

static void turn(tr_delay *d, int64_t now_us)
{
    int64_t bucket = now_us / TR_DELAY_BUCKET_US;
    if (d->bucket == bucket) return;
    bool is_first = d->bucket < 0 || bucket - d->bucket >= TR_DELAY_BUCKETS;
    for (int64_t at = is_first ? bucket - TR_DELAY_BUCKETS + 1 : d->bucket + 1; at <= bucket; at++) {
        int64_t place = (at % TR_DELAY_BUCKETS + TR_DELAY_BUCKETS) % TR_DELAY_BUCKETS;
        d->least_us[place] = d->mean_us[place] = INT64_MAX;
    }
    d->bucket = bucket;
}

void tr__delay_on_packet(tr_delay *d, int64_t delay_us, int64_t serial_us)
{
    if (delay_us < d->low_us) d->low_us = delay_us;
    d->last_us = delay_us;
    d->sum_us += delay_us - serial_us;
    d->count++;
}

static void lower(int64_t *least_us, double us)
{
    if ((int64_t)us < *least_us) *least_us = (int64_t)us;
}

bool tr__delay_on_feedback(tr_delay *d, int64_t now_us)
{
    if (!d->count) return false;
    double low_us = (double)d->low_us, mean_us = (double)d->sum_us / d->count;
    if (!d->fed_us) {
        d->smooth_low_us = low_us;
        d->smooth_mean_us = mean_us;
    }
    d->smooth_low_us += BASE_WEIGHT * (low_us - d->smooth_low_us);
    d->smooth_mean_us += BASE_WEIGHT * (mean_us - d->smooth_mean_us);
    turn(d, now_us);
    lower(&d->least_us[d->bucket % TR_DELAY_BUCKETS], d->smooth_low_us);
    lower(&d->mean_us[d->bucket % TR_DELAY_BUCKETS], d->smooth_mean_us);
    find_base(d);
    double queue_us = low_us - (double)d->base_us, gap_us = (double)(now_us - d->fed_us);
    if (queue_us < 0) queue_us = 0;
    if (d->fed_us && gap_us > 0)
        d->slope += SLOPE_WEIGHT * ((queue_us - d->queue_us) / (gap_us < 50000 ? 50000 : gap_us) - d->slope);
    d->queue_us = queue_us;
    d->average_us = mean_us - (double)d->mean_base_us;
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
