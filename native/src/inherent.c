/* inherent: see inherent.h. */
#include "inherent.h"

#include <string.h>

/* What a window may exceed the mean by, by chance: a fixed share, for windows of few packets, and the windows' own mean
 * deviation a few times, for a radio that loses in bursts. */
#define MARGIN 0.05
#define SPREADS 2.5
#define MOST 0.5 /* beyond it nothing is worth sending faster for */

void tr__inherent_init(tr_inherent *in) { memset(in, 0, sizeof *in); }

void tr__inherent_on_packets(tr_inherent *in, uint32_t sent, uint32_t lost)
{
    in->sent += sent;
    in->lost += lost;
}

bool tr__inherent_on_time(tr_inherent *in, int64_t now_us)
{
    if (now_us - in->opened_us < TR_INHERENT_WINDOW_US || in->sent < TR_INHERENT_LEAST) return false;
    in->recent = (double)in->lost / in->sent;
    in->shares[in->next] = in->recent;
    in->next = (in->next + 1) % TR_INHERENT_WINDOWS;
    if (in->count < TR_INHERENT_WINDOWS) in->count++;
    in->sent = in->lost = 0;
    in->opened_us = now_us;
    in->least = 1;
    in->mean = in->spread = 0;
    for (uint32_t i = 0; i < in->count; i++) {
        if (in->shares[i] < in->least) in->least = in->shares[i];
        in->mean += in->shares[i] / in->count;
    }
    for (uint32_t i = 0; i < in->count; i++) {
        double off = in->shares[i] - in->mean;
        in->spread += (off < 0 ? -off : off) / in->count;
    }
    return true;
}

double tr__inherent_share(const tr_inherent *in)
{
    double share = in->count ? (in->least + in->mean) / 2 : 0;
    return share > MOST ? MOST : share;
}

double tr__inherent_excess(const tr_inherent *in)
{
    double excess = in->recent - in->mean - MARGIN - SPREADS * in->spread;
    return excess > 0 ? excess : 0;
}
