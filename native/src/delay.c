/* delay: see delay.h. */
#include "delay.h"

#include <string.h>

/* The slope of one feedback is mostly its frames' noise; of two in equal parts it is still there within 200 ms. */
#define SLOPE_WEIGHT 0.5

/* The first feedbacks are of a few packets each, and the floor under them is their own. */
#define LEARN_FROM 10

/* The base is the least of what is smoothed over some four feedbacks: with jitter a single packet's luck, once in ten
 * minutes, would make a queue of every other packet's. */
#define BASE_WEIGHT 0.25

void tr__delay_init(tr_delay *d)
{
    memset(d, 0, sizeof *d);
    d->bucket = d->mean_bucket = -1;
    d->floor_us = INT64_MAX;
    d->low_us = INT64_MAX;
}

static int64_t least_of(const int64_t *buckets)
{
    int64_t least_us = INT64_MAX;
    for (uint32_t i = 0; i < TR_DELAY_BUCKETS; i++)
        if (buckets[i] < least_us) least_us = buckets[i];
    return least_us;
}

/* Empty the buckets that begin; all of them the first time, and after so long a silence. */
static void turn(int64_t *buckets, int64_t *current, int64_t now)
{
    if (*current == now) return;
    bool is_first = *current < 0 || now - *current >= TR_DELAY_BUCKETS;
    for (int64_t at = is_first ? now - TR_DELAY_BUCKETS + 1 : *current + 1; at <= now; at++)
        buckets[(at % TR_DELAY_BUCKETS + TR_DELAY_BUCKETS) % TR_DELAY_BUCKETS] = INT64_MAX;
    *current = now;
}

void tr__delay_on_packet(tr_delay *d, int64_t delay_us, int64_t serial_us)
{
    if (delay_us < d->floor_us) d->floor_us = delay_us;
    if (delay_us < d->low_us) d->low_us = delay_us;
    d->last_us = delay_us;
    int64_t waited_us = delay_us - d->floor_us - serial_us;
    if (waited_us > 0) d->sum_us += waited_us;
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
    turn(d->least_us, &d->bucket, now_us / TR_DELAY_BUCKET_US);
    turn(d->mean_us, &d->mean_bucket, now_us / TR_DELAY_MEAN_BUCKET_US);
    lower(&d->least_us[d->bucket % TR_DELAY_BUCKETS], d->smooth_low_us);
    if (d->feedbacks < LEARN_FROM)
        d->feedbacks++;
    else
        lower(&d->mean_us[d->mean_bucket % TR_DELAY_BUCKETS], d->smooth_mean_us);
    d->base_us = least_of(d->least_us);
    d->mean_base_us = d->feedbacks < LEARN_FROM ? 0 : least_of(d->mean_us);
    if (d->mean_base_us == INT64_MAX) d->mean_base_us = 0;
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
