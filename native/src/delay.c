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

/* The least of a feedback's packets varies by so much on a line whose queue is the same, and by jitter. */
#define FLAT_US 8000.0

/* A route changes between two packets. A queue builds up, as fast as too much is sent: in three feedbacks it is neither
 * long nor flat yet, not even a TCP's in slow start. */
#define SHORT_US 20000.0
#define STEP_FEEDBACKS 3

/* Beyond a retransmission or two of Wi-Fi; and three times as long from packet to packet as they left: a competitor's
 * start or a cluster does not slow us down so much. */
#define DROP_US 30000
#define DROP_TIMES 3.0

void tr__delay_init(tr_delay *d)
{
    memset(d, 0, sizeof *d);
    d->bucket = d->mean_bucket = -1;
    d->floor_bucket = -1;
    d->floor_us = d->next_floor_us = d->low_us = INT64_MAX;
}

void tr__delay_rebase(tr_delay *d)
{
    d->bucket = d->mean_bucket = d->floor_bucket = -1;
    d->floor_us = d->next_floor_us = INT64_MAX;
    d->feedbacks = 0;
    d->fed_us = 0;
    d->slope = d->queue_us = 0;
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

void tr__delay_on_packet(tr_delay *d, int64_t delay_us, int64_t received_us, uint32_t size_bytes, int64_t serial_us)
{
    for (int at = 0; at < TR_DELAY_END - 1; at++) {
        d->end_us[at] = d->end_us[at + 1];
        d->end_received_us[at] = d->end_received_us[at + 1];
        d->end_bytes[at] = d->end_bytes[at + 1];
    }
    d->end_us[TR_DELAY_END - 1] = delay_us;
    d->end_received_us[TR_DELAY_END - 1] = received_us;
    d->end_bytes[TR_DELAY_END - 1] = size_bytes;
    if (delay_us < d->floor_us) d->floor_us = delay_us;
    if (delay_us < d->next_floor_us) d->next_floor_us = delay_us;
    if (delay_us < d->low_us) d->low_us = delay_us;
    d->last_us = delay_us;
    int64_t waited_us = delay_us - d->floor_us - serial_us;
    if (waited_us > 0) d->sum_us += (double)waited_us;
    d->count++;
}

static void lower(int64_t *least_us, double us)
{
    if ((int64_t)us < *least_us) *least_us = (int64_t)us;
}

/* Clocks drift apart: what was the least an hour ago is not any more. */
static void age_floor(tr_delay *d, int64_t now_us)
{
    int64_t bucket = now_us / (TR_DELAY_BUCKETS / 2 * (int64_t)TR_DELAY_BUCKET_US);
    if (d->floor_bucket >= 0 && bucket != d->floor_bucket && d->next_floor_us != INT64_MAX) {
        d->floor_us = d->next_floor_us;
        d->next_floor_us = INT64_MAX;
    }
    d->floor_bucket = bucket;
}

static double drop_of(const tr_delay *d)
{
    if (d->count < TR_DELAY_END) return 0;
    int64_t bytes = 0, rise_us = d->end_us[TR_DELAY_END - 1] - d->end_us[0];
    for (int at = 1; at < TR_DELAY_END; at++) {
        int64_t gap_us = d->end_us[at] - d->end_us[at - 1];
        if (gap_us <= rise_us / (2 * TR_DELAY_END)) return 0;
        bytes += d->end_bytes[at];
    }
    double took_us = (double)(d->end_received_us[TR_DELAY_END - 1] - d->end_received_us[0]);
    double expected_us = took_us - (double)rise_us;
    if (rise_us < DROP_US + 2 * d->mean_base_us || took_us < DROP_TIMES * expected_us) return 0;
    return (double)bytes * 8e6 / took_us;
}

static double within_us(const tr_delay *d) { return FLAT_US + (double)d->mean_base_us; }

bool tr__delay_is_step(const tr_delay *d, int64_t now_us, int64_t for_us)
{
    return now_us - d->flat_us >= for_us && d->since_short >= STEP_FEEDBACKS &&
           d->step_us + within_us(d) >= d->flat_high_us;
}

static void watch_flatness(tr_delay *d, int64_t now_us)
{
    d->flat_low_us = d->queue_us < d->flat_low_us ? d->queue_us : d->flat_low_us;
    d->flat_high_us = d->queue_us > d->flat_high_us ? d->queue_us : d->flat_high_us;
    d->since_short = d->queue_us < SHORT_US ? 0 : d->since_short + 1;
    if (d->since_short == STEP_FEEDBACKS) d->step_us = d->queue_us;
    if (d->fed_us && d->flat_high_us - d->flat_low_us <= within_us(d)) return;
    d->flat_us = now_us;
    d->flat_low_us = d->flat_high_us = d->queue_us;
}

bool tr__delay_on_feedback(tr_delay *d, int64_t now_us)
{
    if (!d->count) return false;
    age_floor(d, now_us);
    double low_us = (double)d->low_us, mean_us = d->sum_us / d->count;
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
    d->drop_bps = drop_of(d);
    watch_flatness(d, now_us);
    d->fed_us = now_us;
    d->low_us = INT64_MAX;
    d->sum_us = 0;
    d->count = 0;
    return true;
}
