/* downlink: see downlink.h. Touches only itself. Worker thread. */
#include "downlink.h"

#include <stdlib.h>

/* A first estimate until control says what was remembered: a line that carries a call, and soon proved wrong. */
#define START_BPS 1000000
#define LEAST_BPS 30000
#define MOST_BPS 20000000
/* So long after the last packet the estimator is left alone: feedback is no later, and silence was noticed. */
#define IDLE_US 2000000
/* Statuses handed over at a time. */
#define BATCH 256
#define REFERENCE_WRAP (1 << 24)

tr_downlink *tr__downlink_new(uint32_t owner, tr_downlink **woken)
{
    tr_downlink *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->owner = owner;
    d->woken = woken;
    d->due_us = UINT64_MAX;
    d->probe_id = TR_NO_PROBE;
    d->estimator = tr_estimator_new(START_BPS, LEAST_BPS, MOST_BPS);
    if (d->estimator) return d;
    free(d);
    return NULL;
}

void tr__downlink_free(tr_downlink *d)
{
    if (!d) return;
    for (tr_downlink **at = d->woken; d->is_woken && *at; at = &(*at)->next_woken) {
        if (*at != d) continue;
        *at = d->next_woken;
        break;
    }
    tr_estimator_free(d->estimator);
    tr__pacer_free(d->pacer);
    free(d);
}

bool tr__downlink_may_set(const tr_set_downlink *params)
{
    return !params->is_on ||
           (params->least_bps && params->least_bps <= params->start_bps && params->start_bps <= params->most_bps);
}

int tr__downlink_set(tr_downlink *d, const tr_set_downlink *params)
{
    if (!tr__downlink_may_set(params)) return TR_ERR_ARGUMENT;
    if (params->is_on && !d->pacer && !(d->pacer = tr__pacer_new(params->start_bps))) return TR_ERR_NO_MEMORY;
    d->is_told = params->is_on != 0;
    d->told_us = 0;
    if (params->is_on && d->estimator && d->next_number) {
        tr__estimator_set_bounds(d->estimator, params->least_bps, params->most_bps);
        return TR_OK;
    }
    tr_estimator *estimator = NULL;
    if (params->is_on && !(estimator = tr_estimator_new(params->start_bps, params->least_bps, params->most_bps)))
        return TR_ERR_NO_MEMORY;
    tr_estimator_free(d->estimator);
    d->estimator = estimator;
    d->due_us = UINT64_MAX;
    return TR_OK;
}

void tr__downlink_end_pacing(tr_downlink *d)
{
    tr__pacer_free(d->pacer);
    d->pacer = NULL;
    d->is_ample = false;
}

/* Nothing of it was due: whoever keeps the timers is to hear of it. */
void tr__downlink_on_waiting(tr_downlink *d)
{
    if (!d->woken || d->is_woken) return;
    d->is_woken = true;
    d->next_woken = *d->woken;
    *d->woken = d;
}

tr_downlink *tr__downlink_take_woken(tr_downlink **woken)
{
    tr_downlink *d = *woken;
    if (!d) return NULL;
    *woken = d->next_woken;
    d->is_woken = false;
    return d;
}

void tr__downlink_on_sent(tr_downlink *d, uint32_t size_bytes, uint64_t now_us)
{
    int64_t number = d->next_number++;
    if (!d->estimator) return;
    d->sent_us = now_us;
    if (d->due_us == UINT64_MAX) {
        /* The first packet ever has clusters in its wake, which are worth most now. */
        d->due_us = d->pacer && !number ? now_us : now_us + TR_DOWNLINK_INTERVAL_US;
        tr__downlink_on_waiting(d);
    }
    d->sent_bytes += size_bytes;
    tr_estimator_on_packet_sent(d->estimator, (int64_t)now_us, number, size_bytes, d->probe_id);
}

/* The latest packet sent whose number ends so; below zero: there was none. */
static int64_t unwrap_number(const tr_downlink *d, uint16_t number)
{
    return d->next_number - (uint16_t)((uint16_t)d->next_number - number);
}

void tr__downlink_on_resent(tr_downlink *d, uint16_t number)
{
    if (d->estimator) tr__estimator_on_resent(d->estimator, unwrap_number(d, number));
}

/* ------------------------------------------------------------------ the pace */

/* Nobody who was never heard of is silent: there may be nobody who speaks, and what he gets today he is to get. */
#define UNHEARD_PACE 1.1

void tr__downlink_set_pace(tr_downlink *d, uint64_t now_us)
{
    if (!d->pacer || !d->estimator) return;
    tr_rates rates;
    tr_estimator_rates(d->estimator, &rates);
    bool is_silent = d->estimator->mode == TR_ESTIMATOR_SILENT;
    if (is_silent && !d->is_heard && !d->estimator->was_told) {
        is_silent = false;
        rates.pacing_bps = (uint64_t)(UNHEARD_PACE * (double)rates.estimate_bps);
    }
    if (d->is_silent && !is_silent) d->back_us = now_us;
    d->is_silent = is_silent;
    tr__pacer_set_pace(d->pacer, rates.pacing_bps, now_us);
}

/* What leaves is so small a part of the pace that frames need not be taken apart: with an empty queue the estimate is
 * two and a half times as much. With a queue, or with much on its way, the pace is less, and so on. */
#define AMPLE_SHARE 2.75
#define AMPLE_WINDOW_US 1000000

static void look_for_room(tr_downlink *d, uint64_t now_us)
{
    if (!d->pacer) return;
    double leaving_bps = tr__delivered_bps(&d->estimator->departed, AMPLE_WINDOW_US);
    d->is_ample = leaving_bps > 0 && (double)d->pacer->pace_bps >= AMPLE_SHARE * leaving_bps;
    tr__pacer_set_ample(d->pacer, d->is_ample, now_us);
}

/* Nothing waits, is tried or is to be tried: what there is to decide comes with feedback, or is its absence. */
static bool is_calm(const tr_downlink *d)
{
    return d->is_ample && !d->pacer->count && !d->has_probe && !d->pacer->is_probing &&
           tr__estimator_has_enough(d->estimator);
}

static uint64_t next_look_us(const tr_downlink *d, uint64_t now_us)
{
    uint64_t least_us = now_us + TR_DOWNLINK_INTERVAL_US, most_us = now_us + TR_DOWNLINK_CALM_INTERVAL_US;
    if (!is_calm(d)) return least_us;
    uint64_t silent_us = (uint64_t)tr__estimator_silent_at(d->estimator);
    if (silent_us > most_us) return most_us;
    return silent_us > least_us ? silent_us : least_us;
}

/* Later the estimator has given it up. */
#define PROBE_MOST_US 900000

bool tr__downlink_has_probe(tr_downlink *d, uint64_t now_us)
{
    if (!d->pacer || !d->estimator || d->pacer->is_probing) return false;
    /* Nothing more onto a queue that is long, nor where nothing is heard. */
    if (d->estimator->mode != TR_ESTIMATOR_FREE || now_us - d->probe_us > PROBE_MOST_US) d->has_probe = false;
    if (!d->has_probe) {
        d->has_probe = tr_estimator_next_probe(d->estimator, &d->probe) && d->estimator->mode == TR_ESTIMATOR_FREE;
        d->probe_us = now_us;
    }
    return d->has_probe;
}

/* To be filled up to that rate with what left: of a packet at the most is remembered. */
#define PADDING_MOST_BYTES 1000

static void count_padding(tr_downlink *d)
{
    uint64_t wanted = tr__estimator_padding_bps(d->estimator) * TR_DOWNLINK_INTERVAL_US / 8000000;
    int64_t bytes = d->padding_bytes + (int64_t)wanted - d->sent_bytes;
    if (!wanted || d->pacer->count || bytes < 0) bytes = 0;
    d->padding_bytes = bytes < PADDING_MOST_BYTES ? (int32_t)bytes : PADDING_MOST_BYTES;
    d->sent_bytes = 0;
}

/* ------------------------------------------------------------------ feedback */

/* Their reference time on a line that does not wrap, near to where ours says it should be: what a peer writes there can
 * move it by six days, and no further. */
static int64_t reference_us(tr_downlink *d, uint32_t reference, uint64_t now_us)
{
    int64_t now = (int64_t)(now_us / TR_TWCC_REFERENCE_US);
    if (!d->is_heard) d->their_offset = reference + REFERENCE_WRAP - now;
    int64_t expected = now + d->their_offset;
    int32_t ahead = (int32_t)((reference - (uint32_t)expected) << 8) >> 8; /* 24 bits, signed */
    return (expected + ahead) * TR_TWCC_REFERENCE_US;
}

bool tr__downlink_on_feedback(tr_downlink *d, const tr_rtcp_part *part, uint64_t now_us)
{
    tr_twcc_reader reader;
    if (!tr__twcc_read(&reader, part)) return false;
    if (!d->estimator) return true;
    tr_arrival arrivals[BATCH];
    size_t count = 0;
    int64_t base = unwrap_number(d, reader.base), from_us = reference_us(d, reader.reference, now_us);
    int64_t oldest = d->next_number - TR_SENT_MOST, told_to = d->reported_to;
    bool is_of_ours = false;
    tr_twcc_status status;
    while (tr__twcc_next(&reader, &status)) {
        int64_t number = base + status.from, end = number + status.count;
        /* What was never sent, or is forgotten, tells nothing; nor does what is missing still, having been told of: so
         * that feedback costs no more than what was sent. */
        if (number < oldest) number = oldest;
        if (!status.is_received && number < told_to) number = told_to;
        if (number < 0) number = 0;
        if (end > d->next_number) end = d->next_number;
        for (; number < end; number++) {
            int64_t at_us = from_us + (int64_t)status.ticks * TR_TWCC_TICK_US;
            arrivals[count++] =
                (tr_arrival){.seq = number, .received_us = status.is_received ? at_us : TR_NOT_RECEIVED};
            if (number >= d->reported_to) d->reported_to = number + 1;
            is_of_ours = true;
            if (count < BATCH) continue;
            tr_estimator_on_feedback(d->estimator, (int64_t)now_us, arrivals, count);
            count = 0;
        }
    }
    if (count) tr_estimator_on_feedback(d->estimator, (int64_t)now_us, arrivals, count);
    if (!is_of_ours) return true;
    d->is_heard = true;
    d->feedbacks++;
    tr__downlink_set_pace(d, now_us);
    if (d->is_ample) look_for_room(d, now_us);
    if (d->due_us != UINT64_MAX && d->due_us > next_look_us(d, now_us)) {
        d->due_us = next_look_us(d, now_us);
        tr__downlink_on_waiting(d);
    }
    return true;
}

void tr__downlink_on_remb(tr_downlink *d, uint64_t bps, uint64_t now_us)
{
    if (!d->estimator) return;
    tr__estimator_on_remb(d->estimator, (int64_t)now_us, bps);
    tr__downlink_set_pace(d, now_us);
}

void tr__downlink_on_report(tr_downlink *d, uint8_t lost_of_256, uint64_t rtt_us, uint64_t now_us)
{
    if (!d->estimator) return;
    tr__estimator_on_report(d->estimator, (int64_t)now_us, lost_of_256, (int64_t)rtt_us);
    tr__downlink_set_pace(d, now_us);
}

/* ------------------------------------------------------------------ time */

void tr__downlink_on_time(tr_downlink *d, uint64_t now_us)
{
    tr_estimator_on_time(d->estimator, (int64_t)now_us, d->pacer ? d->pacer->bytes : 0);
    tr__downlink_set_pace(d, now_us);
    look_for_room(d, now_us);
    if (d->pacer) {
        count_padding(d);
        tr__pacer_rest(d->pacer, now_us);
    }
    d->due_us = now_us - d->sent_us < IDLE_US ? next_look_us(d, now_us) : UINT64_MAX;
}

/* ------------------------------------------------------------------ what control is told */

static uint32_t whole(double value)
{
    if (!(value > 0)) return 0;
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void describe(const tr_estimator *e, const tr_pacer *pacer, tr_estimate *out)
{
    tr_rates rates;
    tr_estimator_rates(e, &rates);
    double loss = e->inherent.recent * 65536;
    *out = (tr_estimate){
        .target_bps = rates.target_bps < UINT32_MAX ? (uint32_t)rates.target_bps : UINT32_MAX,
        .estimate_bps = rates.estimate_bps < UINT32_MAX ? (uint32_t)rates.estimate_bps : UINT32_MAX,
        .queue_us = whole(e->delay.queue_us),
        .pacer_us = pacer ? whole((double)pacer->longest_us) : 0,
        .rtt_us = whole((double)e->rtt_us),
        .loss_q16 = loss < 65535 ? (uint16_t)loss : 65535,
        .mode = (uint8_t)e->mode,
    };
}

static bool is_other(const tr_estimate *before, const tr_estimate *now)
{
    uint32_t a = before->target_bps, b = now->target_bps;
    return before->mode != now->mode || before->rung != now->rung ||
           (a < b ? b - a : a - b) >= a / TR_DOWNLINK_TELL_SHARE;
}

bool tr__downlink_has_news(const tr_downlink *d, uint8_t rung, uint64_t now_us, tr_estimate *estimate)
{
    if (!d->is_told || !d->estimator) return false;
    uint64_t age_us = now_us - d->told_us;
    if (d->told_us && age_us < TR_DOWNLINK_TELL_US) return false;
    describe(d->estimator, d->pacer, estimate);
    estimate->rung = rung;
    return !d->told_us || age_us >= TR_DOWNLINK_TELL_AGAIN_US || is_other(&d->told, estimate);
}

void tr__downlink_on_told(tr_downlink *d, const tr_estimate *estimate, uint64_t now_us)
{
    d->told = *estimate;
    d->told_us = now_us;
    if (d->pacer) d->pacer->longest_us = 0;
}
