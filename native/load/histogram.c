/* histogram: see histogram.h. Any thread. */
#include "histogram.h"

uint64_t tl_bucket_low(uint32_t bucket)
{
    if (bucket < 2 * TL_HISTOGRAM_STEPS) return bucket;
    uint32_t shift = bucket / TL_HISTOGRAM_STEPS - 1;
    return (uint64_t)(bucket - shift * TL_HISTOGRAM_STEPS) << shift;
}

uint64_t tl_histogram_value(const tl_histogram *histogram, double share)
{
    if (!histogram->count) return 0;
    double wanted = share * (double)histogram->count;
    uint64_t passed = 0;
    for (uint32_t i = 0; i < TL_BUCKETS - 1; i++) {
        passed += histogram->buckets[i];
        if (!passed || (double)passed < wanted) continue;
        uint64_t edge = tl_bucket_low(i + 1) - 1;
        return edge < histogram->max_us ? edge : histogram->max_us;
    }
    return histogram->max_us;
}
