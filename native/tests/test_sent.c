/* sent: numbers, fates and the ring that grows. */
#include "check.h"
#include "sent.h"
#include "telerelay.h"

#include <stdlib.h>

static tr_sent *sent_new(void)
{
    tr_sent *s = calloc(1, sizeof *s);
    tr__sent_init(s);
    return s;
}

static void a_packet_is_found_by_its_number_with_all_of_it(void)
{
    tr_sent *s = sent_new();
    int64_t now_us = ((int64_t)1 << 51) + 12345;
    CHECK(tr__sent_put(s, now_us, 700, 1200, 4094, true));
    tr_sent_packet *p = tr__sent_find(s, 700);
    CHECK(p != NULL);
    CHECK_EQ(now_us, tr__sent_us(p, now_us + 4000000000));
    CHECK_EQ(1200, p->size_bytes);
    CHECK_EQ(4094, tr__sent_probe(p));
    CHECK_EQ(1200, s->flight_bytes);
    tr__sent_settle(s, p, TR_FATE_RECEIVED);
    CHECK_EQ(0, s->flight_bytes);
    free(s);
}

static void sizes_and_probes_that_do_not_fit_are_bounded(void)
{
    tr_sent *s = sent_new();
    tr__sent_put(s, 0, 0, 70000, TR_SENT_PROBES, true);
    tr__sent_put(s, 0, 1, 10, TR_NO_PROBE, true);
    CHECK_EQ(65535, tr__sent_find(s, 0)->size_bytes);
    CHECK_EQ(TR_NO_PROBE, tr__sent_probe(tr__sent_find(s, 0)));
    CHECK_EQ(TR_NO_PROBE, tr__sent_probe(tr__sent_find(s, 1)));
    CHECK_EQ(65545, s->flight_bytes);
    free(s);
}

static void numbers_that_were_passed_over_are_not_there(void)
{
    tr_sent *s = sent_new();
    CHECK(tr__sent_put(s, 0, 10, 100, TR_NO_PROBE, true));
    CHECK(!tr__sent_put(s, 0, 10, 100, TR_NO_PROBE, true));
    CHECK(!tr__sent_put(s, 0, 9, 100, TR_NO_PROBE, true));
    CHECK(tr__sent_put(s, 0, 13, 100, TR_NO_PROBE, true));
    static const int64_t rows[] = {-1, 9, 11, 12, 14, 13 + TR_SENT_LEAST, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) CHECK(tr__sent_find(s, rows[i]) == NULL);
    CHECK(tr__sent_put(s, 0, 5000000, 100, TR_NO_PROBE, true)); /* many laps further: nothing of before is left */
    CHECK(tr__sent_find(s, 10) == NULL);
    CHECK_EQ(100, s->flight_bytes);
    free(s);
}

static void the_ring_stays_small_while_fates_become_known(void)
{
    tr_sent *s = sent_new();
    for (int64_t seq = 0; seq < 100000; seq++) {
        tr__sent_put(s, seq, seq, 100, TR_NO_PROBE, true);
        if (seq >= 100) tr__sent_settle(s, tr__sent_find(s, seq - 100), TR_FATE_RECEIVED);
    }
    CHECK_EQ(TR_SENT_LEAST - 1, s->mask);
    CHECK_EQ(100 * 100, s->flight_bytes);
    free(s);
}

static void the_ring_grows_to_its_end_and_then_gives_up_the_oldest(void)
{
    tr_sent *s = sent_new();
    for (int64_t seq = 77; seq < 77 + 3 * TR_SENT_MOST; seq++) {
        tr__sent_put(s, seq, seq, 100, TR_NO_PROBE, true);
        int64_t most = s->mask + 1, oldest = seq + 1 - most > 77 ? seq + 1 - most : 77;
        CHECK(tr__sent_find(s, oldest) != NULL);
        CHECK_EQ(oldest, tr__sent_us(tr__sent_find(s, oldest), seq));
        CHECK_EQ(seq, tr__sent_us(tr__sent_find(s, seq), seq));
        CHECK_EQ((seq + 1 - oldest) * 100, s->flight_bytes);
    }
    CHECK_EQ(TR_SENT_MOST - 1, s->mask);
    free(s);
}

static void what_is_old_is_given_up_once(void)
{
    tr_sent *s = sent_new();
    for (int64_t seq = 0; seq < 10; seq++) tr__sent_put(s, seq * 1000, seq, 100, TR_NO_PROBE, true);
    tr__sent_settle(s, tr__sent_find(s, 2), TR_FATE_RECEIVED);
    tr__sent_give_up(s, 4000, 10000);
    CHECK_EQ(500, s->flight_bytes);
    CHECK_EQ(TR_FATE_GIVEN_UP, tr__sent_find(s, 4)->fate);
    CHECK_EQ(TR_FATE_RECEIVED, tr__sent_find(s, 2)->fate);
    CHECK_EQ(TR_FATE_ON_WAY, tr__sent_find(s, 5)->fate);
    tr__sent_give_up(s, 4000, 10000);
    CHECK_EQ(500, s->flight_bytes);
    free(s);
}

static void what_nobody_will_report_is_not_on_its_way(void)
{
    tr_sent *s = sent_new();
    for (int64_t seq = 0; seq < 1000; seq++) tr__sent_put(s, seq, seq, 100, TR_NO_PROBE, false);
    CHECK_EQ(0, s->flight_bytes);
    CHECK_EQ(TR_SENT_LEAST - 1, s->mask);
    CHECK_EQ(8, sizeof(tr_sent_packet));
    free(s);
}

static const check_test tests[] = {
    TEST(a_packet_is_found_by_its_number_with_all_of_it),
    TEST(sizes_and_probes_that_do_not_fit_are_bounded),
    TEST(numbers_that_were_passed_over_are_not_there),
    TEST(the_ring_stays_small_while_fates_become_known),
    TEST(the_ring_grows_to_its_end_and_then_gives_up_the_oldest),
    TEST(what_is_old_is_given_up_once),
    TEST(what_nobody_will_report_is_not_on_its_way),
};
CHECK_MAIN("test_sent", tests)
