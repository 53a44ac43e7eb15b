/* told: what a receiver without transport-wide feedback says of its line: receiver reports and REMB.
 * Reports decide, by loss beyond the line's own and by the round trip above its least; REMB is an upper bound and,
 * where it is above the rate, a second witness, never the only one: a browser that gets 300 kbit/s estimates little
 * more. Pure. Worker thread. */
#ifndef TR_TOLD_H
#define TR_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "delay.h"
#include "inherent.h"

typedef struct tr_told {
    tr_delay rtt;              /* round trips in place of one-way delays: the queue of both ways */
    uint64_t remb_bps;         /* 0: none, or no bound */
    int64_t remb_us, heard_us; /* the latest REMB; the latest of either; -1: none */
    int64_t report_us, cut_us; /* the latest report; the latest cut; -1: none */
    int64_t gap_us;            /* between reports or REMBs, on average */
} tr_told;

void tr__told_init(tr_told *t);
/* 0 and what is no rate at all: no bound. */
void tr__told_on_remb(tr_told *t, int64_t now_us, uint64_t bps);
/* What to multiply the rate with. lost_of_256: RFC 3550's fraction lost; rtt_us: 0 where it is not known yet.
 * inherent: NULL where something better decides, and only round trips are to be remembered. */
double tr__told_on_report(tr_told *t, tr_inherent *inherent, int64_t now_us, uint8_t lost_of_256, int64_t rtt_us,
                          double bps);
/* The bound by the latest REMB; most_bps: none. */
double tr__told_bound(const tr_told *t, int64_t now_us, double most_bps);
/* Nothing was heard for so long that there may be nobody. */
bool tr__told_is_silent(const tr_told *t, int64_t now_us);

#endif
