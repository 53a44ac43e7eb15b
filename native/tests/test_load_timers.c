/* load timers and histogram: the small parts that everything stands on. */
#include "timers.h"

#include "check.h"
#include "histogram.h"

static void the_first_is_always_the_least(void)
{
    enum { COUNT = 500 };
    static tl_timer timers[COUNT];
    tl_timers heap;
    uint64_t random = 1;
    CHECK(tl__timers_init(&heap, 4));
    CHECK(tl__timers_reserve(&heap, COUNT));
    for (int i = 0; i < COUNT; i++) timers[i] = (tl_timer){.at = TL_TIMER_IDLE, .due_ns = UINT64_MAX};
    for (int step = 0; step < 20000; step++) {
        tl_timer *timer = &timers[check_random(&random) % COUNT];
        tl__timers_set(&heap, timer, check_random(&random) % 5 ? check_random(&random) % 1000 : UINT64_MAX);
        if (step % 50) continue;
        uint64_t least = UINT64_MAX;
        uint32_t running = 0;
        for (int i = 0; i < COUNT; i++) {
            if (timers[i].due_ns < least) least = timers[i].due_ns;
            running += timers[i].at != TL_TIMER_IDLE;
        }
        CHECK_EQ(running, heap.count);
        CHECK_EQ(least, heap.count ? tl__timers_first(&heap)->due_ns : UINT64_MAX);
    }
    for (int i = 0; i < COUNT; i++) tl__timers_set(&heap, &timers[i], UINT64_MAX);
    CHECK(tl__timers_first(&heap) == NULL);
    tl__timers_dispose(&heap);
}

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
    TEST(the_first_is_always_the_least),
    TEST(buckets_hold_what_they_say),
    TEST(shares_are_found_to_the_bucket),
};
CHECK_MAIN("test_load_timers", tests)
