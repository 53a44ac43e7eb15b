/* clock: the least offset seen lately is the one that waited least. */
#include "clock.h"

#include "check.h"

#define MS 1000
#define S 1000000
#define EPOCH_US 3900000000000000u /* of our NTP at now 0 */

static tr_clock clock_;

/* A report made at now_us - delay_us, by a clock that is `ahead_us` before ours. */
static void report(uint64_t now_us, int64_t ahead_us, uint64_t delay_us)
{
    uint64_t theirs = EPOCH_US + now_us - delay_us + (uint64_t)ahead_us;
    tr__clock_on_report(&clock_, tr__ntp_from_us(theirs), tr__ntp_from_us(EPOCH_US + now_us), now_us);
}

static void check_offset(int64_t expected)
{
    int64_t difference = clock_.offset_us - expected;
    CHECK(difference >= -2 && difference <= 2); /* NTP fractions round */
}

static void ntp_goes_there_and_back(void)
{
    static const uint64_t rows[] = {0, 1, 999999, 1000000, EPOCH_US + 123456, 4294967295999999u};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t back = tr__ntp_to_us(tr__ntp_from_us(rows[i]));
        CHECK(back == rows[i] || back + 1 == rows[i]);
    }
}

static void the_first_report_is_believed_and_better_ones_at_once(void)
{
    tr__clock_init(&clock_);
    CHECK(!clock_.has_offset);
    report(1 * S, -3000 * (int64_t)S, 80 * MS);
    CHECK(clock_.has_offset);
    check_offset(3000 * (int64_t)S + 80 * MS);
    report(2 * S, -3000 * (int64_t)S, 20 * MS);
    check_offset(3000 * (int64_t)S + 20 * MS);
    report(3 * S, -3000 * (int64_t)S, 300 * MS); /* one that was stuck in a queue changes nothing */
    check_offset(3000 * (int64_t)S + 20 * MS);
}

static void drift_is_followed_upwards_after_a_window(void)
{
    tr__clock_init(&clock_);
    for (uint64_t t = 1; t <= 60; t++) report(t * S, -(int64_t)(t * 100), 20 * MS); /* 100 ppm slow */
    CHECK(clock_.offset_us >= 20 * MS + 4000); /* no more than two windows behind */
    CHECK(clock_.offset_us <= 20 * MS + 6000);
    tr__clock_init(&clock_);
    for (uint64_t t = 1; t <= 60; t++) report(t * S, (int64_t)(t * 100), 20 * MS); /* and fast: at once */
    check_offset(20 * MS - 6000);
}

static void a_clock_that_was_set_is_followed_at_once(void)
{
    static const int64_t rows[] = {3600 * (int64_t)S, -3600 * (int64_t)S, 6 * (int64_t)S, -6 * (int64_t)S};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr__clock_init(&clock_);
        report(1 * S, 0, 0);
        report(2 * S, rows[i], 0);
        check_offset(-rows[i]);
        report(3 * S, rows[i], 0);
        check_offset(-rows[i]);
    }
}

static const check_test tests[] = {
    TEST(ntp_goes_there_and_back),
    TEST(the_first_report_is_believed_and_better_ones_at_once),
    TEST(drift_is_followed_upwards_after_a_window),
    TEST(a_clock_that_was_set_is_followed_at_once),
};
CHECK_MAIN("test_clock", tests)
