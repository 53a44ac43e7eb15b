/* estimator: see estimator.h. */
#include "estimator.h"

#include <stdlib.h>
#include <string.h>

#define MASK (TR_ESTIMATOR_SENT - 1)

/* Bits each flow keeps in the queue at a megabit a second, a packet and less: flows that share a line then see one
 * queue and get to one rate, whatever their round trips, for each one's reference queue falls with its own rate; faster
 * than in proportion, which pulls them together twice as hard (1.3 at 0.5 Mbit/s, 0.8 at 1.5). */
#define OWN_BITS 9500.0
#define STEEP_BPS 1e6
#define REFERENCE_LEAST_US 4000.0 /* below it the stamps' 250 us and the frames' noise are the signal */
#define REFERENCE_MOST_US 30000.0 /* at 100 kbit/s a packet alone would be 100 ms */
#define SERIAL_SHARE 0.3      /* of a packet's time at the estimate: at most its time on a line three times as fast */
#define JITTER_SHARE 0.4      /* of what jitter has on average: the least of twenty packets still varies by so much */
#define LEAD_US 100000.0      /* how far the slope is drawn out: one feedback is missing when one comes */
#define DRAIN_FROM_US 60000.0 /* no frame's own burst is so long */
#define DRAIN_BITS 40000.0    /* nor of four packets, on a slow line */
#define DRAIN_FROM_MOST_US 150000.0
#define DRAIN_TO_US 20000.0
#define DEEP_US 100000.0   /* a queue that is drained at once, not in a while */
#define SETTLE_US 450000.0 /* a queue above the reference is worked off in that time: twice the loop's delay */
#define DRAIN_SHARE 0.88   /* of what arrives, while the queue is long */
#define PACE 1.15          /* a frame leaves before the next one comes, and its burst queues little */
#define PACE_QUEUED 0.95   /* with a standing queue of PACE_FULL references and more */
#define PACE_FULL 1.0
#define PACE_SHALLOW 0.6         /* while draining */
#define PACE_DEEP 0.15           /* the pacer holds what would only queue on the line */
#define PACE_LEAST_BPS 60000.0   /* a packet each 160 ms: less and the pacer would sleep over the end of the drain */
#define TRICKLE_BPS 40000.0      /* into silence: a packet each 250 ms, or sound alone */
#define FLIGHT_SLACK_US 250000   /* in flight beyond the least round trip: two feedbacks and a short queue */
#define SILENCE_US 350000        /* three feedbacks and a half */
#define GROWTH_NEAR 0.08         /* a second, with the line's rate known: GCC's */
#define GROWTH_FAR 0.45          /* a second, with a queue that stays empty */
#define EMPTY_US 4000.0          /* an average queue so short is none */
#define FAR_AFTER_US 400000      /* it has to stay so, not to take a quiet moment of the picture for room */
#define FAR_NEAR_LINE_US 1200000 /* longer near a rate that was once too much */
#define LINE_MEMORY_US 10000000
#define GROWTH_CAP 1.5 /* of what leaves: no estimate from what was not tried */
/* A line that is drained again and again, as mobile ones are, is not worth an empty queue: half of it would be given
 * away. Drains are counted with a memory of UNREST_S; the first is any line's. */
#define UNREST_S 15.0
#define UNREST_SHARE 0.95
#define UNREST_FROM 1.5
#define UNREST_OVER 2.0
#define UNREST_REFERENCE_US 60000.0
#define UNREST_DRAIN_US 90000.0
#define UNREST_WINDOW_US 1000000
#define UNREST_PACE 0.7
#define GROWTH_UNREST 0.4
#define CONTESTED_AFTER_US 2500000 /* a queue of our own would have left by then */
#define CONTESTED_UNTIL_US 3000000 /* a queue that stays short so long is not a TCP that has just halved its window */
#define CONTESTED_GROWTH_BPS 80000.0
#define CONTESTED_CUT 0.8
#define CONTESTED_HOLD_US 1500000 /* after a cut: if the queue is ours alone it goes, and we see it */
#define PROBE_GAP_US 1500000
#define PROBE_AFTER_US 1000000 /* of an empty queue */
#define PROBE_AGAIN_US 400000  /* the encoder has to follow first */
#define PROBE_GAP_MOST_US 15000000
#define IDLE_US 2000000

static double least(double a, double b) { return a < b ? a : b; }
static double most(double a, double b) { return a > b ? a : b; }

static double jitter_us(const tr_estimator *e)
{
    return JITTER_SHARE * least((double)e->delay.mean_base_us, REFERENCE_MOST_US);
}

/* 0 to 1: how restless the line is, by how often its queue had to be drained of late. */
static double unrest_of(const tr_estimator *e) { return least(most((e->unrest - UNREST_FROM) / UNREST_OVER, 0), 1); }

static double reference_us(const tr_estimator *e)
{
    double own_us = OWN_BITS * 1e6 / e->bps * 2 / (1 + e->bps / STEEP_BPS);
    own_us = least(most(own_us, REFERENCE_LEAST_US), REFERENCE_MOST_US);
    return own_us + jitter_us(e) + unrest_of(e) * UNREST_REFERENCE_US;
}

static void publish(tr_estimator *e)
{
    double bps = least(most(e->bps, e->least_bps), e->most_bps), pace = PACE * bps, target = bps;
    e->bps = bps;
    double round_us = (double)e->least_rtt_us;
    double flight_us = (double)e->flight_bytes * 8e6 / bps;
    /* What waits in the pacer is sent before what is not encoded yet: half a second to work off more than a frame. */
    double waiting = (double)e->queued_bytes * 8 - bps * 0.05;
    if (waiting > 0) target = most(target - waiting * 1.5, least(bps, most(bps / 5, TRICKLE_BPS)));
    switch (e->mode) {
    case TR_ESTIMATOR_FREE: {
        /* With a queue on the line already, what waits here does not have to wait there. */
        double full = e->delay.queue_us / (PACE_FULL * reference_us(e));
        pace = bps * (PACE - (PACE - PACE_QUEUED) * least(full, 1));
        break;
    }
    case TR_ESTIMATOR_DRAINING:
        pace = bps * PACE_DEEP;
        if (e->delay.latest_us < DEEP_US + 2 * unrest_of(e) * UNREST_DRAIN_US)
            pace = bps * (PACE_SHALLOW + unrest_of(e) * (UNREST_PACE - PACE_SHALLOW));
        break;
    case TR_ESTIMATOR_CONTESTED:
        round_us = (double)e->rtt_us;
        break;
    case TR_ESTIMATOR_SILENT:
        target = pace = TRICKLE_BPS;
        break;
    }
    if (e->least_rtt_us && flight_us > round_us + FLIGHT_SLACK_US) pace = least(pace, bps * PACE_DEEP);
    e->target_bps = target;
    e->pacing_bps = most(pace, e->mode == TR_ESTIMATOR_SILENT ? TRICKLE_BPS : PACE_LEAST_BPS);
}

void tr__estimator_init(tr_estimator *e, uint64_t start_bps, uint64_t least_bps, uint64_t most_bps)
{
    memset(e, 0, sizeof *e);
    for (uint32_t i = 0; i < TR_ESTIMATOR_SENT; i++) e->sent[i].seq = -1;
    e->bps = e->start_bps = (double)start_bps;
    e->least_bps = (double)least_bps;
    e->most_bps = e->wanted_bps = (double)most_bps;
    e->oldest_seq = e->next_seq = -1;
    e->probe_gap_us = PROBE_GAP_US;
    e->idle_us = -1;
    tr__delay_init(&e->delay);
    tr__delivered_init(&e->delivered);
    tr__delivered_init(&e->departed);
    tr__inherent_init(&e->inherent);
    tr__probes_init(&e->probes);
    publish(e);
}

tr_estimator *tr_estimator_new(uint64_t start_bps, uint64_t least_bps, uint64_t most_bps)
{
    if (!least_bps || start_bps < least_bps || most_bps < start_bps || most_bps > 1000000000000u) return NULL;
    tr_estimator *e = malloc(sizeof *e);
    if (e) tr__estimator_init(e, start_bps, least_bps, most_bps);
    return e;
}

void tr_estimator_free(tr_estimator *e) { free(e); }

/* ---------------------------------------------------------------- what is sent */

static void settle(tr_estimator *e, tr_sent_packet *p, uint8_t fate)
{
    if (!p->fate) e->flight_bytes -= p->size_bytes;
    p->fate = fate;
}

/* Feedback that was lost never comes again: what left half a second before something that was reported is given up. */
static void give_up(tr_estimator *e, int64_t reported_sent_us)
{
    for (; e->oldest_seq < e->next_seq; e->oldest_seq++) {
        tr_sent_packet *p = &e->sent[e->oldest_seq & MASK];
        if (p->seq != e->oldest_seq || p->fate) continue;
        if (p->sent_us > reported_sent_us - 500000) return;
        settle(e, p, 3);
    }
}

void tr_estimator_on_packet_sent(tr_estimator *e, int64_t now_us, int64_t seq, uint32_t size_bytes, int32_t probe_id)
{
    if (seq < 0 || seq < e->next_seq) return; /* numbers only go up */
    if (e->oldest_seq < 0) {
        e->oldest_seq = seq;
        e->fed_us = e->controlled_us = e->empty_us = e->probed_us = now_us;
        double wanted = e->most_bps * 1.1;
        tr__probes_want(&e->probes, now_us, least(3 * e->start_bps, wanted));
        if (3 * e->start_bps < wanted) tr__probes_want(&e->probes, now_us, least(6 * e->start_bps, wanted));
    }
    tr_sent_packet *p = &e->sent[seq & MASK];
    if (p->seq >= 0) settle(e, p, 3);
    *p = (tr_sent_packet){
        .seq = seq, .sent_us = now_us, .probe_id = probe_id, .size_bytes = (uint16_t)least(size_bytes, 65535)};
    /* The clock of silence starts with the first packet that nothing was heard of. */
    if (!e->flight_bytes && e->mode != TR_ESTIMATOR_SILENT) e->fed_us = now_us;
    e->flight_bytes += p->size_bytes;
    e->next_seq = seq + 1;
    tr__delivered_on_packet(&e->departed, now_us < 0 ? 0 : now_us, p->size_bytes);
    tr__probes_on_sent(&e->probes, probe_id, now_us, p->size_bytes);
    publish(e);
}

/* ---------------------------------------------------------------- control */

/* What arrives, with what the line loses by itself: at what rate we have to send for that. Never more than was sent. */
static double arriving_bps(const tr_estimator *e, int64_t window_us)
{
    double bps = tr__delivered_bps(&e->delivered, window_us) / (1 - tr__inherent_share(&e->inherent));
    return bps > 0 ? bps : e->bps;
}

static void set_line(tr_estimator *e, int64_t now_us, double bps)
{
    e->line_bps = bps;
    e->line_us = now_us;
}

static void grow(tr_estimator *e, int64_t now_us, double dt_s)
{
    double reference = reference_us(e), room = (reference - e->delay.queue_us) / reference;
    if (e->delay.average_us > EMPTY_US + jitter_us(e)) e->empty_us = now_us;
    bool is_near = e->line_bps > 0 && now_us - e->line_us < LINE_MEMORY_US && e->bps > 0.8 * e->line_bps;
    bool is_far = now_us - e->empty_us >= (is_near ? FAR_NEAR_LINE_US : FAR_AFTER_US);
    double grown = e->bps * (1 + room * (is_far ? GROWTH_FAR : most(GROWTH_NEAR, GROWTH_UNREST * unrest_of(e))) * dt_s);
    double leaving = tr__delivered_bps(&e->departed, 500000);
    if (leaving <= 0) leaving = e->bps;
    e->bps = most(e->bps, least(grown, GROWTH_CAP * leaving));
}

static void ease(tr_estimator *e, int64_t now_us, double queue_us)
{
    double over = (queue_us - reference_us(e)) / SETTLE_US;
    double arriving = arriving_bps(e, 400000);
    e->empty_us = now_us;
    if (e->delay.queue_us > EMPTY_US) set_line(e, now_us, arriving);
    double eased = arriving * (1 - over);
    /* What a restless line carries is what arrives while it has a queue, more than before, too. */
    if (unrest_of(e) > 0 && eased > e->bps)
        e->bps += unrest_of(e) * (eased - e->bps);
    else
        e->bps = least(e->bps, most(eased, e->bps * (1 - 2 * over)));
}

static void contest(tr_estimator *e, int64_t now_us, double dt_s, bool has_lost)
{
    if (e->delay.queue_us > DRAIN_TO_US) e->long_us = now_us;
    if (now_us - e->long_us > CONTESTED_UNTIL_US) {
        e->mode = TR_ESTIMATOR_FREE;
        e->empty_us = now_us;
        return;
    }
    if (now_us - e->cut_us < CONTESTED_HOLD_US) return;
    if (has_lost && e->delay.latest_us > e->peak_us / 2) {
        e->cut_us = now_us;
        e->bps *= CONTESTED_CUT;
    } else {
        e->bps += CONTESTED_GROWTH_BPS * dt_s;
    }
}

static double drain_from_us(const tr_estimator *e) { return DRAIN_FROM_US + unrest_of(e) * UNREST_DRAIN_US; }

static void drain(tr_estimator *e, int64_t now_us, double queue_us)
{
    double arriving = arriving_bps(e, 200000), rest = unrest_of(e);
    /* A trough of a restless line is over before we have followed it. */
    if (rest > 0 && e->delay.latest_us < DEEP_US + 2 * rest * UNREST_DRAIN_US)
        arriving += rest * (most(arriving, arriving_bps(e, UNREST_WINDOW_US)) - arriving);
    e->empty_us = now_us;
    if (e->mode != TR_ESTIMATOR_DRAINING) {
        e->mode = TR_ESTIMATOR_DRAINING;
        /* Where we have only grown a little too far it is not the line that is restless. */
        if (arriving < UNREST_SHARE * e->bps) e->unrest += 1;
        e->long_us = now_us;
        e->long_queue_us = e->delay.queue_us;
        tr__probes_clear(&e->probes);
    }
    if (e->delay.queue_us < DRAIN_TO_US + unrest_of(e) * UNREST_REFERENCE_US) {
        e->mode = TR_ESTIMATOR_FREE;
        return;
    }
    set_line(e, now_us, arriving);
    if (queue_us > drain_from_us(e)) e->bps = least(e->bps, most(DRAIN_SHARE * arriving, e->bps / 3));
    if (now_us - e->long_us > CONTESTED_AFTER_US) {
        if (unrest_of(e) <= 0 && e->delay.queue_us > e->long_queue_us / 2) {
            e->mode = TR_ESTIMATOR_CONTESTED;
            e->cut_us = 0;
        }
        e->long_us = now_us;
        e->long_queue_us = e->delay.queue_us;
    }
}

static void control(tr_estimator *e, int64_t now_us, bool has_lost)
{
    double dt_s = (double)(now_us - e->controlled_us) / 1e6;
    if (dt_s > 0.25) dt_s = 0.25; /* growth is for what was heard of */
    e->controlled_us = now_us;
    e->unrest *= 1 - dt_s / UNREST_S;
    double slope = e->delay.slope > 0 ? e->delay.slope : 0;
    double queue_us = e->delay.queue_us + slope * LEAD_US;
    e->peak_us = most(e->peak_us * (1 - dt_s / 30), e->delay.latest_us);
    if (e->mode == TR_ESTIMATOR_CONTESTED)
        contest(e, now_us, dt_s, has_lost);
    else if (e->mode == TR_ESTIMATOR_DRAINING || queue_us > drain_from_us(e))
        drain(e, now_us, queue_us);
    else if (queue_us > reference_us(e))
        ease(e, now_us, queue_us);
    else
        grow(e, now_us, dt_s);
}

/* Loss without a queue that comes with the rate: a policer, or a queue of a few packets. */
static void answer_loss(tr_estimator *e, int64_t now_us)
{
    if (!tr__inherent_on_time(&e->inherent, now_us) || e->mode != TR_ESTIMATOR_FREE) return;
    double excess = tr__inherent_excess(&e->inherent);
    if (excess <= 0) return;
    double arriving = arriving_bps(e, 1000000);
    set_line(e, now_us, arriving);
    e->empty_us = now_us;
    e->bps = least(e->bps, most(0.95 * arriving, e->bps * 0.7));
}

static void answer_probes(tr_estimator *e, int64_t now_us)
{
    double proved, rate;
    bool is_carried;
    while (tr__probes_result(&e->probes, now_us, &proved, &rate, &is_carried)) {
        if (e->mode != TR_ESTIMATOR_FREE) continue;
        if (!is_carried) set_line(e, now_us, proved);
        e->probe_gap_us = is_carried ? PROBE_GAP_US : (int64_t)least(1.5 * (double)e->probe_gap_us, PROBE_GAP_MOST_US);
        if (proved * 0.95 > e->bps) e->bps = proved * 0.95;
    }
}

/* ---------------------------------------------------------------- what is heard */

static void wake(tr_estimator *e, int64_t now_us)
{
    e->mode = TR_ESTIMATOR_FREE;
    e->bps = most(e->least_bps, 0.6 * e->before_silence_bps);
    e->empty_us = now_us;
    tr__probes_clear(&e->probes);
    tr__probes_want(&e->probes, now_us, e->before_silence_bps);
    e->probed_us = now_us;
}

void tr_estimator_on_feedback(tr_estimator *e, int64_t now_us, const tr_arrival *arrivals, size_t count)
{
    int64_t newest_sent_us = -1;
    uint32_t arrived = 0, lost = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t seq = arrivals[i].seq, received_us = arrivals[i].received_us;
        tr_sent_packet *p = &e->sent[seq & MASK];
        if (seq < 0 || p->seq != seq || received_us > INT64_MAX / 4) {
            e->unknown++;
            continue;
        }
        if (p->fate == 2 || (p->fate == 1 && received_us < 0)) {
            e->repeated++;
            continue;
        }
        if (received_us < 0) {
            settle(e, p, 1);
            lost++;
            continue;
        }
        settle(e, p, 2);
        arrived++;
        if (p->sent_us > newest_sent_us) newest_sent_us = p->sent_us;
        double serial_us = p->size_bytes * 8e6 / most(e->bps, e->line_bps);
        tr__delay_on_packet(&e->delay, received_us - p->sent_us, (int64_t)(SERIAL_SHARE * serial_us));
        tr__delivered_on_packet(&e->delivered, received_us, p->size_bytes);
        tr__probes_on_arrival(&e->probes, p->probe_id, received_us, p->size_bytes);
    }
    tr__inherent_on_packets(&e->inherent, arrived + lost, lost);
    if (!tr__delay_on_feedback(&e->delay, now_us)) return;
    e->fed_us = now_us;
    e->rtt_us = now_us - newest_sent_us;
    if (!e->least_rtt_us || e->rtt_us < e->least_rtt_us) e->least_rtt_us = e->rtt_us;
    give_up(e, newest_sent_us);
    if (e->mode == TR_ESTIMATOR_SILENT) wake(e, now_us);
    control(e, now_us, lost > 0);
    answer_loss(e, now_us);
    answer_probes(e, now_us);
    publish(e);
}

/* ---------------------------------------------------------------- time and demand */

static void look_for_more(tr_estimator *e, int64_t now_us)
{
    if (e->mode != TR_ESTIMATOR_FREE || e->bps >= least(e->wanted_bps, e->most_bps)) return;
    int64_t empty_us = now_us - e->empty_us, gap_us = now_us - e->probed_us;
    if (empty_us < PROBE_AFTER_US || gap_us < PROBE_AGAIN_US) return;
    /* A queue that has been empty for long is room, whatever the last clusters said. */
    if (empty_us < FAR_NEAR_LINE_US && gap_us < e->probe_gap_us) return;
    if (tr__probes_are_open(&e->probes)) return;
    e->probed_us = now_us;
    tr__probes_want(&e->probes, now_us, least(2 * e->bps, 1.1 * e->most_bps));
}

void tr_estimator_on_time(tr_estimator *e, int64_t now_us, uint64_t queued_bytes)
{
    e->queued_bytes = queued_bytes;
    if (e->oldest_seq >= 0) {
        int64_t most_us = e->least_rtt_us + FLIGHT_SLACK_US;
        if (most_us < SILENCE_US) most_us = SILENCE_US;
        if (e->mode == TR_ESTIMATOR_CONTESTED || e->mode == TR_ESTIMATOR_DRAINING) most_us += e->rtt_us;
        if (e->flight_bytes && e->mode != TR_ESTIMATOR_SILENT && now_us - e->fed_us > most_us) {
            e->mode = TR_ESTIMATOR_SILENT;
            e->before_silence_bps = e->bps;
        }
        look_for_more(e, now_us);
    }
    publish(e);
}

void tr_estimator_on_demand(tr_estimator *e, int64_t now_us, uint64_t wanted_bps)
{
    e->wanted_bps = (double)wanted_bps;
    if (!wanted_bps) {
        if (e->idle_us < 0) e->idle_us = now_us;
    } else if (e->idle_us >= 0) {
        if (now_us - e->idle_us > IDLE_US && e->oldest_seq >= 0) {
            /* Others may have taken what we left: half of it, and a look at the rest. */
            double before = e->bps;
            e->bps = most(e->bps / 2, least(e->bps, e->start_bps));
            tr__probes_want(&e->probes, now_us, before);
            e->probed_us = e->empty_us = now_us;
        }
        e->idle_us = -1;
    }
    publish(e);
}

int tr_estimator_next_probe(tr_estimator *e, tr_probe *probe) { return tr__probes_next(&e->probes, probe); }

void tr_estimator_rates(const tr_estimator *e, tr_rates *rates)
{
    *rates = (tr_rates){
        .target_bps = (uint64_t)e->target_bps,
        .pacing_bps = (uint64_t)e->pacing_bps,
        .padding_bps = 0,
    };
}
