/* told: see told.h. */
#include "told.h"

#include <string.h>

#define GROWTH 0.08           /* a second, GCC's, where loss and round trip are low */
#define GROWTH_WITNESSED 0.25 /* where REMB is above the rate, too: the receiver saw the packets come evenly */
#define WITNESS 1.2           /* so far above: what a browser says of a line it does not see the end of is 1.5 times */
#define GROWTH_MOST_S 2.0     /* a late report is no reason for a leap */
#define NO_LOSS 0.02          /* below it loss is chance: GCC's first rule */
#define NO_GROWTH 0.10        /* above it nothing is gained by more, whoever loses it */
#define TOO_MUCH 0.25         /* nor with so much from the start on, which may be all ours */
#define QUEUE_US 100000.0     /* two ways, jitter and the peer's own delay in answering are in a round trip */
#define CALM_US 40000.0
#define QUEUE_CUT 0.85
#define CUT_GAP_US 1000000     /* reports speak of the second before: what was cut has to be seen first */
#define REMB_HOLDS_US 10000000 /* ten times what a browser leaves between two */
#define SILENT_GAPS 3
#define SILENT_LEAST_US 2000000
#define SILENT_MOST_US 10000000 /* twice what RFC 3550 has between reports of sound alone */

void tr__told_init(tr_told *t)
{
    memset(t, 0, sizeof *t);
    t->remb_us = t->heard_us = t->report_us = t->cut_us = -1;
    t->gap_us = SILENT_LEAST_US;
    tr__delay_init(&t->rtt);
}

static void hear(tr_told *t, int64_t now_us)
{
    if (t->heard_us >= 0 && now_us > t->heard_us) {
        int64_t gap_us = now_us - t->heard_us;
        if (gap_us > SILENT_MOST_US) gap_us = SILENT_MOST_US;
        t->gap_us += (gap_us - t->gap_us) / 8;
    }
    t->heard_us = now_us;
}

void tr__told_on_remb(tr_told *t, int64_t now_us, uint64_t bps)
{
    hear(t, now_us);
    t->remb_bps = bps;
    t->remb_us = now_us;
}

double tr__told_bound(const tr_told *t, int64_t now_us, double most_bps)
{
    if (!t->remb_bps || t->remb_us < 0 || now_us - t->remb_us > REMB_HOLDS_US) return most_bps;
    double bps = (double)t->remb_bps;
    return bps < most_bps ? bps : most_bps;
}

double tr__told_on_report(tr_told *t, tr_inherent *inherent, int64_t now_us, uint8_t lost_of_256, int64_t rtt_us,
                          double bps)
{
    hear(t, now_us);
    double lost = lost_of_256 / 256.0, gap_s = t->report_us < 0 ? 0 : (double)(now_us - t->report_us) / 1e6;
    t->report_us = now_us;
    if (rtt_us > 0 && rtt_us < SILENT_MOST_US) {
        tr__delay_on_packet(&t->rtt, rtt_us, now_us, 0, 0);
        tr__delay_on_feedback(&t->rtt, now_us);
    }
    if (!inherent) return 1;
    tr__inherent_on_packets(inherent, 256, lost_of_256);
    double excess = tr__inherent_on_time(inherent, now_us) ? tr__inherent_excess(inherent) : 0;
    bool may_cut = t->cut_us < 0 || now_us - t->cut_us >= CUT_GAP_US;
    bool is_lossy = excess > 0 || lost > TOO_MUCH;
    if (is_lossy || t->rtt.queue_us > QUEUE_US) {
        if (!may_cut) return 1;
        t->cut_us = now_us;
        return is_lossy ? 1 - lost / 2 : QUEUE_CUT;
    }
    if (lost > NO_GROWTH || (lost > NO_LOSS && t->rtt.queue_us > CALM_US) || t->rtt.queue_us > QUEUE_US / 2) return 1;
    bool is_witnessed = t->remb_bps && now_us - t->remb_us < REMB_HOLDS_US && (double)t->remb_bps > WITNESS * bps;
    if (gap_s > GROWTH_MOST_S) gap_s = GROWTH_MOST_S;
    return 1 + (is_witnessed ? GROWTH_WITNESSED : GROWTH) * gap_s;
}

bool tr__told_is_silent(const tr_told *t, int64_t now_us)
{
    int64_t most_us = SILENT_GAPS * t->gap_us;
    if (most_us < SILENT_LEAST_US) most_us = SILENT_LEAST_US;
    if (most_us > SILENT_MOST_US) most_us = SILENT_MOST_US;
    return t->heard_us >= 0 && now_us - t->heard_us > most_us;
}
