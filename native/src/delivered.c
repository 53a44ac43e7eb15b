/* delivered: see delivered.h. */
#include "delivered.h"

#include <string.h>

#define OLD_MOST 16 /* one after the other: packets do not come so late in a row, a clock that was set back does */

void tr__delivered_init(tr_delivered *d)
{
    memset(d, 0, sizeof *d);
    d->newest = -1;
    d->newest_us = -TR_DELIVERED_BIN_US;
}

void tr__delivered_on_packet(tr_delivered *d, int64_t received_us, uint32_t size_bytes)
{
    /* Of most packets the bin is that of the one before. */
    if ((uint64_t)received_us - (uint64_t)d->newest_us < TR_DELIVERED_BIN_US) {
        d->old = 0;
        d->bytes[(uint64_t)d->newest % TR_DELIVERED_BINS] += size_bytes;
        return;
    }
    int64_t bin = received_us / TR_DELIVERED_BIN_US;
    bool is_old = d->newest - bin >= TR_DELIVERED_BINS;
    d->old = is_old ? d->old + 1 : 0;
    if (d->newest < 0 || bin - d->newest >= TR_DELIVERED_BINS || d->old > OLD_MOST) {
        /* After so long a silence what was before tells nothing; nor does a clock that was set back. */
        memset(d->bytes, 0, sizeof d->bytes);
        d->newest = d->first = bin;
        d->old = 0;
        is_old = false;
    }
    for (; d->newest < bin; d->newest++) d->bytes[(d->newest + 1) % TR_DELIVERED_BINS] = 0;
    d->newest_us = d->newest * TR_DELIVERED_BIN_US;
    if (is_old) return;
    d->bytes[bin % TR_DELIVERED_BINS] += size_bytes;
}

double tr__delivered_bps(const tr_delivered *d, int64_t window_us)
{
    int64_t bins = window_us / TR_DELIVERED_BIN_US, known = d->newest - d->first;
    if (d->newest < 0 || known < bins || bins < 1) return 0;
    uint64_t sum = 0; /* exact in a double, too */
    for (uint64_t bin = (uint64_t)(d->newest - bins); bin < (uint64_t)d->newest; bin++)
        sum += d->bytes[bin % TR_DELIVERED_BINS];
    return (double)sum * 8e6 / ((double)bins * TR_DELIVERED_BIN_US);
}
