/* estimator: see estimator.h. */
#include "estimator.h"

#include <stddef.h>
#include <string.h>

#include "pages.h"

/* Bits each flow keeps in the queue at a megabit a second, a packet and less: flows that share a line then see one
 * queue and get to one rate, whatever their round trips, for each one's reference queue falls with its own rate; faster
 * than in proportion, which pulls them together twice as hard (1.3 at 0.5 Mbit/s, 0.8 at 1.5). */
#define OWN_BITS 9200.0
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
#define PACE 1.1           /* a frame leaves before the next one comes, and its burst queues little */
#define PACE_QUEUED 0.8    /* with a standing queue of PACE_FULL references and more */
#define PACE_FULL 1.5
#define PACE_SHALLOW 0.6         /* while draining */
#define PACE_DEEP 0.15           /* the pacer holds what would only queue on the line */
#define WAITING_S 0.05           /* a frame and a half */
#define WORK_OFF_S 0.67          /* more is worked off in that time, so that the encoder can follow */
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
#define UNREST_S 30.0     /* a bad stretch of a mobile line comes back within so long */
#define UNREST_SHARE 0.95 /* a drain counts where less arrives than was sent: else it was our own step too far */
#define UNREST_FROM 2.0   /* drains of late: beside a TCP, or with a step each 15 s, there are about so many */
#define UNREST_OVER 2.0   /* so many more: wholly restless */
#define UNREST_REFERENCE_US 60000.0 /* added to the reference: with a drain's lead, below 150 ms */
#define UNREST_DRAIN_US 90000.0     /* added to where a drain begins: 150 ms, what traces may have at the 95th of 100 */
#define UNREST_WINDOW_US 1000000    /* a mobile line's troughs are shorter: what it carries is looked at for so long */
#define UNREST_PACE 0.7             /* while draining, of the longer window's rate: the trough is over soon */
#define GROWTH_UNREST 0.8           /* a second, below the reference: such a line is another one after two seconds */
#define GROWTH_BACK 4.0 /* a second, as long as it is less than BACK_SHARE of what it was before the drain */
#define BACK_SHARE 0.7
#define BACK_US 3000000            /* after an outage: clusters again until then, if the first has shown little */
#define LATE_MOST_US 3000000.0     /* of a queue on the way back; a line that keeps more is as good as silent */
#define CONTESTED_AFTER_US 2500000 /* a queue of our own would have left by then */
#define CONTESTED_UNTIL_US 3000000 /* a queue that stays short so long is not a TCP that has just halved its window */
#define CONTESTED_GROWTH_BPS 80000.0
#define CONTESTED_CUT 0.8
#define CONTESTED_HOLD_US 1500000  /* after a cut: if the queue is ours alone it goes, and we see it */
#define PROBE_GAP_US 1500000       /* between clusters: the last one's rate was reached, and has been looked at */
#define PROBE_AFTER_US 1000000     /* of an empty queue */
#define PROBE_AGAIN_US 400000      /* the encoder has to follow first */
#define PROBE_GAP_MOST_US 15000000 /* after clusters that failed, half as much again each time up to here */
#define LOOK_SHARE 1.2             /* of what is wanted: a cluster proves a twentieth less than its rate */
#define PADDING_SHARE 0.05         /* of what leaves clusters take, as if all of them were padding */
#define PADDING_SAVED_S 30         /* for steps up and for the way back: it is a mean */
#define PADDING_FILL_BPS 50000.0   /* sound, and a packet of padding each 400 ms */
#define RESUME_SHARE 0.6           /* of what was before: most of what a line has after an outage, none of its worst */
#define ROUTE_AFTER_US 1500000     /* of a flat queue: our own shrinks within half of it, a TCP's swings */
#define ROUTE_UNTIL_US 4000000     /* later it is somebody's queue that has come to rest */
#define ROUTE_SHARE 0.7 /* of the rate before the drain: by so much less a queue of our own would be seen to fall */
/* Of what a line was found to carry often little is used: another person's line is bad, a picture stands still. A queue
 * then is somebody else's, or a receiver's that is late, and less than twice what leaves is not made of it, as long as
 * what leaves arrives. */
#define LITTLE_SHARE 0.6   /* what leaves, of the estimate: less than growth allows, and than half of it by a step */
#define LITTLE_US 2000000  /* so long: an encoder follows a step sooner */
#define LITTLE_ROOM 2.0    /* times what leaves: more was not tried of late */
#define LITTLE_ARRIVES 0.8 /* of what leaves in a second: a queue that begins takes as much as it is long */
#define LITTLE_LOST 0.5    /* in 400 ms: what is left of a line that breaks down */
#define LITTLE_QUEUE_US 250000.0 /* longer than others make it at once: it grows by us */
#define IDLE_US 2000000          /* shorter pauses are those of one talking: the estimate is still good */
#define TOLD_AFTER_US 1000000    /* ten feedbacks of a browser: there are none, or they do not get here */

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

/* Not on a restless line: its queues are its own. */
static bool is_little(const tr_estimator *e, int64_t now_us)
{
    return now_us - e->used_us >= LITTLE_US && e->unrest <= UNREST_FROM;
}

/* How long what leaves now is going to wait on the line: what the latest packet that was told of waited, and what left
 * after it, less the time since. */
static double ahead_us(const tr_estimator *e, int64_t now_us)
{
    double flight_us = (double)e->sent.flight_bytes * 8e6 / most(e->line_bps, 1);
    return most(most(e->delay.latest_us, 0) + flight_us - (double)(now_us - e->newest_sent_us), 0);
}

/* How much later than ever the latest feedback came, but for what its packets waited: a queue on the way back. */
static double late_us(const tr_estimator *e)
{
    double late = (double)(e->rtt_us - e->least_rtt_us) - most(e->delay.latest_us, 0);
    return least(most(late, 0), LATE_MOST_US);
}

/* What may be encoded so that within WORK_OFF_S no more than WAITING_S waits in the pacer, where nothing leaves for as
 * long as the line has a queue ahead. */
static double unwaited(const tr_estimator *e, double bps, double ahead_us)
{
    double waiting_s = (double)e->queued_bytes * 8 / bps, leaves_s = most(WORK_OFF_S - ahead_us / 1e6, 0);
    double share = (leaves_s + WAITING_S - waiting_s) / WORK_OFF_S;
    return most(bps * share, least(bps, most(bps / 5, TRICKLE_BPS)));
}

/* The estimate within its bounds. What to do by it is worked out when somebody asks: packets leave more often. */
static void publish(tr_estimator *e, int64_t now_us)
{
    e->bps = least(most(e->bps, e->least_bps), e->most_bps);
    e->published_us = now_us;
}

/* What to send and how fast to let go of it, as things were at that moment. */
static void decide(const tr_estimator *e, int64_t now_us, double *target_bps, double *pacing_bps)
{
    double bps = e->bps, pace = PACE * bps, target = bps, ahead = 0;
    double round_us = (double)e->least_rtt_us + late_us(e);
    double flight_us = (double)e->sent.flight_bytes * 8e6 / bps;
    /* What waits in the pacer is sent before what is not encoded yet: half a second to work off more than a frame. */
    switch (e->mode) {
    case TR_ESTIMATOR_FREE: {
        /* With a queue on the line already, what waits here does not have to wait there. */
        double full = e->delay.queue_us / (PACE_FULL * reference_us(e));
        pace = bps * (PACE - (PACE - PACE_QUEUED) * least(full, 1));
        break;
    }
    case TR_ESTIMATOR_DRAINING:
        if (is_little(e, now_us)) break;
        ahead = ahead_us(e, now_us);
        pace = bps * PACE_DEEP;
        if (ahead < DRAIN_TO_US + unrest_of(e) * UNREST_REFERENCE_US)
            pace = bps * PACE_QUEUED;
        else if (ahead < DEEP_US + 2 * unrest_of(e) * UNREST_DRAIN_US)
            pace = bps * (PACE_SHALLOW + unrest_of(e) * (UNREST_PACE - PACE_SHALLOW));
        break;
    case TR_ESTIMATOR_CONTESTED:
        round_us = (double)e->rtt_us;
        break;
    case TR_ESTIMATOR_TOLD:
        target = least(target, most(e->bound_bps, e->least_bps));
        pace = least(pace, PACE * most(e->bound_bps, e->least_bps));
        break;
    case TR_ESTIMATOR_SILENT:
        target = pace = TRICKLE_BPS;
        break;
    }
    if (e->least_rtt_us && flight_us > round_us + FLIGHT_SLACK_US) pace = least(pace, bps * PACE_DEEP);
    if (e->mode != TR_ESTIMATOR_SILENT) target = least(target, unwaited(e, target, ahead));
    *target_bps = target;
    *pacing_bps = most(pace, e->mode == TR_ESTIMATOR_SILENT ? TRICKLE_BPS : PACE_LEAST_BPS);
}

static bool are_bounds(uint64_t least_bps, uint64_t most_bps)
{
    return least_bps && least_bps <= most_bps && most_bps <= 1000000000000u;
}

tr_estimator *tr_estimator_new(uint64_t start_bps, uint64_t least_bps, uint64_t most_bps)
{
    if (!are_bounds(least_bps, most_bps) || start_bps < least_bps || start_bps > most_bps) return NULL;
    tr_estimator *e = tr__pages_new(sizeof *e);
    if (!e) return NULL;
    e->bps = e->start_bps = (double)start_bps;
    e->least_bps = (double)least_bps;
    e->most_bps = e->wanted_bps = e->bound_bps = (double)most_bps;
    e->probe_gap_us = PROBE_GAP_US;
    e->idle_us = e->heard_us = -1;
    tr__delay_init(&e->delay);
    tr__delivered_init(&e->delivered);
    tr__delivered_init(&e->departed);
    tr__inherent_init(&e->inherent);
    tr__probes_init(&e->probes);
    tr__told_init(&e->told);
    tr__sent_init(&e->sent);
    publish(e, 0);
    return e;
}

void tr_estimator_free(tr_estimator *e) { tr__pages_free(e, sizeof *e); }

void tr__estimator_set_bounds(tr_estimator *e, uint64_t least_bps, uint64_t most_bps)
{
    if (!are_bounds(least_bps, most_bps)) return;
    e->least_bps = (double)least_bps;
    e->most_bps = (double)most_bps;
    publish(e, e->newest_sent_us);
}

/* ---------------------------------------------------------------- what is sent */

void tr_estimator_on_packet_sent(tr_estimator *e, int64_t now_us, int64_t seq, uint32_t size_bytes, int32_t probe_id)
{
    bool is_first = e->sent.next_seq < 0, was_none = !e->sent.flight_bytes;
    if (!tr__sent_put(&e->sent, now_us, seq, size_bytes, probe_id, e->mode != TR_ESTIMATOR_TOLD)) return;
    if (is_first) {
        e->fed_us = e->controlled_us = e->empty_us = e->probed_us = e->used_us = now_us;
        double wanted = e->most_bps * 1.1;
        tr__probes_want(&e->probes, now_us, least(3 * e->start_bps, wanted));
        if (3 * e->start_bps < wanted) tr__probes_want(&e->probes, now_us, least(6 * e->start_bps, wanted));
    }
    /* The clock of silence starts with the first packet that nothing was heard of. */
    if (was_none && e->mode != TR_ESTIMATOR_SILENT) e->fed_us = now_us;
    tr__delivered_on_packet(&e->departed, now_us < 0 ? 0 : now_us, size_bytes);
    e->spare_bytes = least(e->spare_bytes + PADDING_SHARE * size_bytes, PADDING_SHARE * PADDING_SAVED_S / 8 * e->bps);
    tr__probes_on_sent(&e->probes, probe_id, now_us, size_bytes);
    e->published_us = now_us;
}

void tr__estimator_on_resent(tr_estimator *e, int64_t seq)
{
    tr_sent_packet *p = tr__sent_find(&e->sent, seq);
    if (p) p->is_resent = 1;
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

/* Growth ends where nobody knows whether so much would arrive. */
static double grown_to(const tr_estimator *e, double bps)
{
    double leaving = tr__delivered_bps(&e->departed, 500000);
    if (leaving <= 0) leaving = e->bps;
    return most(e->bps, least(bps, GROWTH_CAP * leaving));
}

static void grow(tr_estimator *e, int64_t now_us, double dt_s)
{
    double reference = reference_us(e), room = (reference - e->delay.queue_us) / reference;
    if (e->delay.average_us > EMPTY_US + jitter_us(e)) e->empty_us = now_us;
    bool is_near = e->line_bps > 0 && now_us - e->line_us < LINE_MEMORY_US && e->bps > 0.8 * e->line_bps;
    bool is_far = now_us - e->empty_us >= (is_near ? FAR_NEAR_LINE_US : FAR_AFTER_US);
    double growth = is_far ? GROWTH_FAR : GROWTH_NEAR;
    /* A restless line soon carries again what it carried before. */
    double back = e->bps < BACK_SHARE * e->before_drain_bps ? GROWTH_BACK : GROWTH_UNREST;
    growth = most(growth, back * unrest_of(e));
    e->bps = grown_to(e, e->bps * (1 + room * growth * dt_s));
    e->free_bps = e->bps;
    e->free_us = now_us;
}

/* Whether a queue that there is now is made of little: not of what we send. */
static void watch_use(tr_estimator *e, int64_t now_us)
{
    double leaving = tr__delivered_bps(&e->departed, 1000000);
    if (leaving > LITTLE_SHARE * e->bps) e->used_us = now_us;
    if (e->delay.queue_us <= reference_us(e)) {
        e->little_bps = leaving;
        return;
    }
    if (e->delay.drop_bps > 0 || e->delay.queue_us > LITTLE_QUEUE_US ||
        tr__delivered_bps(&e->delivered, 1000000) < LITTLE_ARRIVES * leaving ||
        tr__delivered_bps(&e->delivered, 400000) < LITTLE_LOST * leaving)
        e->used_us = now_us;
}

/* Less is not made of the estimate, whatever queue there is. */
static double unused_bps(const tr_estimator *e, int64_t now_us)
{
    return is_little(e, now_us) ? LITTLE_ROOM * e->little_bps : 0;
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
        e->bps = least(e->bps, most(most(eased, e->bps * (1 - 2 * over)), unused_bps(e, now_us)));
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
        e->bps = grown_to(e, e->bps + CONTESTED_GROWTH_BPS * dt_s);
    }
}

/* Something less than before, and a look whether all of it is there again. */
static void resume(tr_estimator *e, int64_t now_us, double before_bps)
{
    e->mode = TR_ESTIMATOR_FREE;
    e->bps = most(e->least_bps, RESUME_SHARE * before_bps);
    e->empty_us = e->probed_us = e->back_us = now_us;
    e->back_bps = before_bps;
    tr__probes_clear(&e->probes);
    tr__probes_want(&e->probes, now_us, before_bps);
}

static double drain_from_us(const tr_estimator *e) { return DRAIN_FROM_US + unrest_of(e) * UNREST_DRAIN_US; }

/* It came at once, and what we have taken away does not shorten it: it is no queue, the way has become longer. */
static bool is_another_route(const tr_estimator *e, int64_t now_us)
{
    return now_us - e->free_us >= ROUTE_AFTER_US && now_us - e->free_us < ROUTE_UNTIL_US &&
           tr__delay_is_step(&e->delay, now_us, ROUTE_AFTER_US) && e->bps < ROUTE_SHARE * e->free_bps;
}

static void take_route(tr_estimator *e, int64_t now_us)
{
    tr__delay_rebase(&e->delay);
    e->least_rtt_us = e->rtt_us;
    e->peak_us = 0;
    resume(e, now_us, e->free_bps);
}

static void drain(tr_estimator *e, int64_t now_us, double queue_us)
{
    double arriving = arriving_bps(e, 200000), rest = unrest_of(e);
    if (e->delay.drop_bps > 0) arriving = least(arriving, e->delay.drop_bps);
    /* A trough of a restless line is over before we have followed it. */
    if (rest > 0 && e->delay.latest_us < DEEP_US + 2 * rest * UNREST_DRAIN_US)
        arriving += rest * (most(arriving, arriving_bps(e, UNREST_WINDOW_US)) - arriving);
    e->empty_us = now_us;
    if (e->mode != TR_ESTIMATOR_DRAINING) {
        e->mode = TR_ESTIMATOR_DRAINING;
        /* Where we have only grown a little too far it is not the line that is restless. */
        if (arriving < UNREST_SHARE * e->bps) e->unrest += 1;
        e->long_us = now_us;
        e->before_drain_bps = e->bps;
        e->long_queue_us = e->delay.queue_us;
        tr__probes_clear(&e->probes);
    }
    if (e->delay.drop_bps <= 0 && e->delay.queue_us < DRAIN_TO_US + unrest_of(e) * UNREST_REFERENCE_US) {
        e->mode = TR_ESTIMATOR_FREE;
        return;
    }
    e->long_queue_us = most(e->long_queue_us, e->delay.queue_us);
    set_line(e, now_us, arriving);
    if (queue_us > drain_from_us(e))
        e->bps = least(e->bps, most(most(DRAIN_SHARE * arriving, e->bps / 3), unused_bps(e, now_us)));
    /* Told late, where the way back has a queue, too: what counts is when that left which is told of. */
    if (e->newest_sent_us - e->long_us > CONTESTED_AFTER_US) {
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
    watch_use(e, now_us);
    double slope = e->delay.slope > 0 ? e->delay.slope : 0;
    double queue_us = e->delay.queue_us + slope * LEAD_US;
    if (e->delay.drop_bps > 0) queue_us = most(queue_us, e->delay.latest_us + LEAD_US);
    e->peak_us = most(e->peak_us * (1 - dt_s / 30), e->delay.latest_us);
    if (is_another_route(e, now_us)) take_route(e, now_us);
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
    /* Of little nothing is lost for the rate it has, as long as most of it arrives: a few in twenty are chance. */
    if (is_little(e, now_us) && 1 - e->inherent.recent >= LITTLE_ARRIVES) return;
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
        if (!is_carried) {
            set_line(e, now_us, proved);
            /* What it has grown to without sending it is not there. */
            e->bps = least(e->bps, most(proved, 1.1 * tr__delivered_bps(&e->departed, 500000)));
        }
        e->probe_gap_us = is_carried ? PROBE_GAP_US : (int64_t)least(1.5 * (double)e->probe_gap_us, PROBE_GAP_MOST_US);
        if (proved * 0.95 > e->bps) e->bps = proved * 0.95;
    }
}

/* ---------------------------------------------------------------- what is heard */

void tr_estimator_on_feedback(tr_estimator *e, int64_t now_us, const tr_arrival *arrivals, size_t count)
{
    int64_t newest_sent_us = -1;
    uint32_t arrived = 0, lost = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t received_us = arrivals[i].received_us;
        tr_sent_packet *p = tr__sent_find(&e->sent, arrivals[i].seq);
        if (!p || received_us > INT64_MAX / 4) {
            e->unknown++;
            continue;
        }
        if (p->is_resent) received_us = TR_NOT_RECEIVED;
        if (p->fate == TR_FATE_RECEIVED || (p->fate == TR_FATE_LOST && received_us < 0)) {
            e->repeated++;
            continue;
        }
        if (received_us < 0) {
            tr__sent_settle(&e->sent, p, TR_FATE_LOST);
            lost++;
            continue;
        }
        tr__sent_settle(&e->sent, p, TR_FATE_RECEIVED);
        arrived++;
        int64_t sent_us = tr__sent_us(p, now_us);
        if (sent_us > newest_sent_us) newest_sent_us = sent_us;
        double serial_us = p->size_bytes * 8e6 / most(e->bps, e->line_bps);
        tr__delay_on_packet(&e->delay, received_us - sent_us, received_us, p->size_bytes,
                            (int64_t)(SERIAL_SHARE * serial_us));
        tr__delivered_on_packet(&e->delivered, received_us, p->size_bytes);
        tr__probes_on_arrival(&e->probes, tr__sent_probe(p), received_us, p->size_bytes);
    }
    tr__inherent_on_packets(&e->inherent, arrived + lost, lost);
    if (!tr__delay_on_feedback(&e->delay, now_us)) return;
    e->fed_us = e->heard_us = now_us;
    e->newest_sent_us = newest_sent_us;
    e->rtt_us = now_us - newest_sent_us;
    if (!e->least_rtt_us || e->rtt_us < e->least_rtt_us) e->least_rtt_us = e->rtt_us;
    /* Feedback that was lost never comes again: not of what left half a second before something that was reported. */
    tr__sent_give_up(&e->sent, newest_sent_us - 500000, now_us);
    if (e->mode == TR_ESTIMATOR_SILENT) resume(e, now_us, e->before_silence_bps);
    if (e->mode == TR_ESTIMATOR_TOLD) e->mode = TR_ESTIMATOR_FREE;
    control(e, now_us, lost > 0);
    answer_loss(e, now_us);
    answer_probes(e, now_us);
    publish(e, now_us);
}

/* ---------------------------------------------------------------- what is told instead */

/* True: what is told decides. */
static bool is_told(tr_estimator *e, int64_t now_us)
{
    if (e->mode == TR_ESTIMATOR_TOLD) return true;
    if (!e->sent.flight_bytes || now_us - e->fed_us < TOLD_AFTER_US) return false;
    if (e->mode == TR_ESTIMATOR_SILENT) resume(e, now_us, e->before_silence_bps);
    /* One that has never sent such feedback was not silent. */
    if (e->heard_us < 0 && !e->was_told) e->bps = most(e->bps, e->before_silence_bps);
    e->was_told = true;
    e->mode = TR_ESTIMATOR_TOLD;
    tr__probes_clear(&e->probes);
    tr__sent_give_up(&e->sent, now_us, now_us);
    return true;
}

void tr__estimator_on_remb(tr_estimator *e, int64_t now_us, uint64_t bps)
{
    is_told(e, now_us);
    tr__told_on_remb(&e->told, now_us, bps);
    e->bound_bps = tr__told_bound(&e->told, now_us, e->most_bps);
    publish(e, now_us);
}

void tr__estimator_on_report(tr_estimator *e, int64_t now_us, uint8_t lost_of_256, int64_t rtt_us)
{
    bool decides = is_told(e, now_us);
    double factor = tr__told_on_report(&e->told, decides ? &e->inherent : NULL, now_us, lost_of_256, rtt_us, e->bps);
    if (decides) e->bps = factor <= 1 ? factor * e->bps : grown_to(e, factor * e->bps);
    publish(e, now_us);
}

/* ---------------------------------------------------------------- time and demand */

bool tr__estimator_has_enough(const tr_estimator *e)
{
    return e->mode == TR_ESTIMATOR_FREE && e->bps >= least(e->wanted_bps, e->most_bps);
}

static void look_for_more(tr_estimator *e, int64_t now_us)
{
    e->padding_bps = 0;
    if (e->mode != TR_ESTIMATOR_FREE || tr__estimator_has_enough(e)) return;
    int64_t empty_us = now_us - e->empty_us, gap_us = now_us - e->probed_us;
    /* Where sound alone is sent, too little is heard of the line for anything larger to come back. */
    if (empty_us >= PROBE_AFTER_US) e->padding_bps = least(e->bps, PADDING_FILL_BPS);
    /* After an outage the first cluster often is among what is sent again: once more, while that is on its way. */
    bool is_back = now_us - e->back_us < BACK_US && e->bps < BACK_SHARE * e->back_bps;
    if (e->spare_bytes <= 0 || empty_us < (is_back ? PROBE_AGAIN_US : PROBE_AFTER_US) || gap_us < PROBE_AGAIN_US)
        return;
    /* A queue that has been empty for long is room, whatever the last clusters said. */
    if (!is_back && empty_us < FAR_NEAR_LINE_US && gap_us < e->probe_gap_us) return;
    if (tr__probes_are_open(&e->probes)) return;
    e->probed_us = now_us;
    /* Beside a voice alone the next cluster is a long way off; small ones take the same at any rate, so what is wanted
     * is tried at once. */
    double saved = PADDING_SHARE * tr__delivered_bps(&e->departed, 1000000) / 8e6 * PROBE_GAP_US;
    bool is_rare = saved < tr__probes_bytes(tr__probes_free_bps());
    double at_once_bps = is_rare ? least(tr__probes_free_bps(), LOOK_SHARE * e->wanted_bps) : 0;
    double rate_bps = least(most(2 * e->bps, at_once_bps), 1.1 * e->most_bps);
    e->spare_bytes -= tr__probes_bytes(rate_bps);
    tr__probes_want(&e->probes, now_us, rate_bps);
}

int64_t tr__estimator_silent_at(const tr_estimator *e)
{
    if (!e->sent.flight_bytes) return INT64_MAX;
    int64_t most_us = e->least_rtt_us + FLIGHT_SLACK_US;
    if (most_us < SILENCE_US) most_us = SILENCE_US;
    if (e->mode == TR_ESTIMATOR_CONTESTED || e->mode == TR_ESTIMATOR_DRAINING) most_us += e->rtt_us;
    return e->fed_us + most_us + 1;
}

static void watch_silence(tr_estimator *e, int64_t now_us)
{
    bool is_silent =
        e->mode == TR_ESTIMATOR_TOLD ? tr__told_is_silent(&e->told, now_us) : now_us >= tr__estimator_silent_at(e);
    if (!is_silent || e->mode == TR_ESTIMATOR_SILENT) return;
    e->mode = TR_ESTIMATOR_SILENT;
    e->before_silence_bps = e->bps;
}

void tr_estimator_on_time(tr_estimator *e, int64_t now_us, uint64_t queued_bytes)
{
    e->queued_bytes = queued_bytes;
    e->bound_bps = tr__told_bound(&e->told, now_us, e->most_bps);
    if (e->sent.next_seq >= 0) {
        watch_silence(e, now_us);
        look_for_more(e, now_us);
    }
    publish(e, now_us);
}

void tr_estimator_on_demand(tr_estimator *e, int64_t now_us, uint64_t wanted_bps)
{
    e->wanted_bps = (double)wanted_bps;
    if (!wanted_bps) {
        if (e->idle_us < 0) e->idle_us = now_us;
    } else if (e->idle_us >= 0) {
        if (now_us - e->idle_us > IDLE_US && e->sent.next_seq >= 0) {
            /* Others may have taken what we left: half of it, and a look at the rest. */
            double before = e->bps;
            e->bps = most(e->bps / 2, least(e->bps, e->start_bps));
            tr__probes_want(&e->probes, now_us, before);
            e->probed_us = e->empty_us = now_us;
        }
        e->idle_us = -1;
    }
    publish(e, now_us);
}

int tr_estimator_next_probe(tr_estimator *e, tr_probe *probe) { return tr__probes_next(&e->probes, probe); }

void tr_estimator_rates(const tr_estimator *e, tr_rates *rates)
{
    double target_bps, pacing_bps;
    decide(e, e->published_us, &target_bps, &pacing_bps);
    *rates = (tr_rates){
        .target_bps = (uint64_t)target_bps,
        .pacing_bps = (uint64_t)pacing_bps,
        .padding_bps = tr__estimator_padding_bps(e),
        .estimate_bps = (uint64_t)e->bps,
        .queue_us = e->delay.queue_us > 0 ? (uint64_t)e->delay.queue_us : 0,
    };
}
