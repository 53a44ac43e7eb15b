/* load histogram: values are found to the bucket they fell into. */
#include "histogram.h"

#include "check.h"

static void buckets_hold_what_they_say(void)
{
    for (uint64_t us = 0; us < 200000; us++) {
        uint32_t bucket = tl__bucket_of(us);
        CHECK(tl_bucket_low(bucket) <= us && us < tl_bucket_low(bucket + 1));
    }
    for (uint32_t i = 1; i < TL_BUCKETS; i++) {
        CHECK(tl_bucket_low(i) > tl_bucket_low(i - 1));
        CHECK_EQ(i, tl__bucket_of(tl_bucket_low(i)));
        CHECK((double)(tl_bucket_low(i) - tl_bucket_low(i - 1)) <= 1 + 0.016 * (double)tl_bucket_low(i));
    }
    CHECK_EQ(TL_BUCKETS - 1, tl__bucket_of(UINT64_MAX));
}

static void shares_are_found_to_the_bucket(void)
{
    static tl_histogram histogram;
    for (uint64_t us = 1; us <= 10000; us++) tl__histogram_add(&histogram, us);
    static const double SHARES[] = {0.5, 0.9, 0.99, 0.999, 1.0};
    for (int i = 0; i < 5; i++) {
        double value = (double)tl_histogram_value(&histogram, SHARES[i]);
        CHECK(value >= SHARES[i] * 10000 && value <= SHARES[i] * 10000 * 1.016 + 1);
    }
    CHECK_EQ(10000, tl_histogram_value(&histogram, 1.0));
    CHECK_EQ(10000, histogram.max_us);
    static tl_histogram empty;
    CHECK_EQ(0, tl_histogram_value(&empty, 0.99));
}

static const check_test tests[] = {
    TEST(buckets_hold_what_they_say),
    TEST(shares_are_found_to_the_bucket),
};
CHECK_MAIN("test_load_histogram", tests)
