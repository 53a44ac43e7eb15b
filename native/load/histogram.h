/* histogram: durations in log-linear buckets: 64 to each doubling, so a value is known to 1.6 %.
 * Pure. Engine thread; reading: any. tl_histogram is the border's. */
#ifndef TL_HISTOGRAM_H
#define TL_HISTOGRAM_H

#include "telerelay_load.h"

#define TL_HISTOGRAM_STEPS 64u

static inline uint32_t tl__bucket_of(uint64_t us)
{
    if (us < 2 * TL_HISTOGRAM_STEPS) return (uint32_t)us;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(us) - 6u;
    uint32_t bucket = shift * TL_HISTOGRAM_STEPS + (uint32_t)(us >> shift);
    return bucket < TL_BUCKETS ? bucket : TL_BUCKETS - 1;
}

static inline void tl__histogram_add(tl_histogram *histogram, uint64_t us)
{
    histogram->count++;
    histogram->sum_us += us;
    if (us > histogram->max_us) histogram->max_us = us;
    histogram->buckets[tl__bucket_of(us)]++;
}

#endif
