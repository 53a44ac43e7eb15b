/* delay: what a subscriber's line adds to the way of packets. Its rules are played by test_estimator; here are its
 * ends. */
#include "delay.h"

#include "check.h"

#define MS 1000
#define SECOND 1000000

/* A feedback of four packets, the first of which took `first_us`, and each that follows `step_us` more. */
static void feed(tr_delay *d, int64_t now_us, int64_t first_us, int64_t step_us)
{
    for (int at = 0; at < 4; at++) tr__delay_on_packet(d, first_us + at * step_us, now_us + at * MS, 1200, 0);
    CHECK(tr__delay_on_feedback(d, now_us + 10 * MS));
}

static void what_packets_wait_is_averaged_over_a_feedback(void)
{
    tr_delay d;
    tr__delay_init(&d);
    feed(&d, SECOND, 20 * MS, 0);
    feed(&d, 2 * SECOND, 20 * MS, 10 * MS);
    CHECK(d.average_us == 15 * MS);
    CHECK(d.latest_us == 30 * MS);
}

static void arrivals_at_the_end_of_time_overflow_nothing(void)
{
    static const int64_t far_us[] = {(int64_t)1 << 60, (int64_t)1 << 61};
    for (int i = 0; i < 2; i++) {
        tr_delay d;
        tr__delay_init(&d);
        tr__delay_on_packet(&d, 0, SECOND, 1200, 0);
        for (int at = 0; at < 99; at++) tr__delay_on_packet(&d, far_us[i], far_us[i], 1200, 0);
        CHECK(tr__delay_on_feedback(&d, 2 * SECOND));
        CHECK(d.average_us > 0.98 * (double)far_us[i]);
        CHECK(d.average_us < (double)far_us[i]);
    }
}

static void a_feedback_without_packets_says_nothing(void)
{
    tr_delay d;
    tr__delay_init(&d);
    CHECK(!tr__delay_on_feedback(&d, SECOND));
    feed(&d, SECOND, 20 * MS, 0);
    CHECK(!tr__delay_on_feedback(&d, 2 * SECOND));
}

static const check_test tests[] = {
    TEST(what_packets_wait_is_averaged_over_a_feedback),
    TEST(arrivals_at_the_end_of_time_overflow_nothing),
    TEST(a_feedback_without_packets_says_nothing),
};
CHECK_MAIN("test_delay", tests)
