/* load account: sent = received + lost + in flight, whatever comes in whatever order. */
#include "account.h"

#include "check.h"

#define SECOND 1000000000ull
#define FLIGHT SECOND

typedef struct way {
    tl_account account;
    tl_source source;
    uint64_t now_ns;
} way;

static void way_init(way *w)
{
    memset(w, 0, sizeof *w);
    tl__account_init(&w->account);
    w->now_ns = 100 * SECOND;
}

/* Sends n packets, 10 ms apart. */
static void send(way *w, uint64_t n)
{
    while (n--) {
        tl__source_on_packet(&w->source, w->now_ns, FLIGHT);
        w->now_ns += SECOND / 100;
    }
}

static tl_tally settle(const way *w)
{
    tl_tally tally = tl__account_settle(&w->account, &w->source, w->now_ns, FLIGHT);
    CHECK_EQ(tally.sent, tally.received + tally.lost + tally.in_flight);
    return tally;
}

static void nothing_came_nothing_is_expected(void)
{
    way w;
    way_init(&w);
    send(&w, 500);
    CHECK_EQ(0, settle(&w).sent);
}

static void it_begins_with_the_first_that_came(void)
{
    way w;
    way_init(&w);
    send(&w, 300);
    CHECK_EQ(TL_ARRIVAL_NEW, tl__account_on_packet(&w.account, 250));
    for (uint64_t i = 251; i < 300; i++) CHECK_EQ(TL_ARRIVAL_NEW, tl__account_on_packet(&w.account, i));
    tl_tally t = settle(&w);
    CHECK_EQ(50, t.sent);
    CHECK_EQ(50, t.received);
}

static void what_left_lately_is_in_flight_and_later_lost(void)
{
    way w;
    way_init(&w);
    send(&w, 1);
    tl__account_on_packet(&w.account, 0);
    send(&w, 10);
    CHECK_EQ(10, settle(&w).in_flight);
    CHECK_EQ(0, settle(&w).lost);
    w.now_ns += 2 * FLIGHT;
    CHECK_EQ(0, settle(&w).in_flight);
    CHECK_EQ(10, settle(&w).lost);
}

static void of_a_stream_that_dies_the_older_part_is_lost(void)
{
    way w;
    way_init(&w);
    send(&w, 1);
    tl__account_on_packet(&w.account, 0);
    send(&w, 1000); /* ten seconds of which nothing came */
    tl_tally t = settle(&w);
    CHECK_EQ(1001, t.sent);
    /* A tenth and a quarter: marks are an eighth of the flight apart. */
    CHECK(t.in_flight >= 100 && t.in_flight <= 113);
}

static void a_gap_is_lost_until_it_is_filled(void)
{
    way w;
    way_init(&w);
    send(&w, 10);
    for (uint64_t i = 0; i < 10; i++)
        if (i != 4 && i != 5) tl__account_on_packet(&w.account, i);
    CHECK_EQ(2, settle(&w).lost);
    CHECK_EQ(TL_ARRIVAL_LATE, tl__account_on_packet(&w.account, 5));
    CHECK_EQ(1, settle(&w).lost);
    CHECK_EQ(TL_ARRIVAL_DUPLICATE, tl__account_on_packet(&w.account, 5));
    CHECK_EQ(TL_ARRIVAL_DUPLICATE, tl__account_on_packet(&w.account, 9));
    CHECK_EQ(9, settle(&w).received);
}

static void reordering_at_the_very_beginning_is_taken(void)
{
    way w;
    way_init(&w);
    send(&w, 100);
    CHECK_EQ(TL_ARRIVAL_NEW, tl__account_on_packet(&w.account, 90));
    CHECK_EQ(TL_ARRIVAL_LATE, tl__account_on_packet(&w.account, 88));
    CHECK_EQ(TL_ARRIVAL_DUPLICATE, tl__account_on_packet(&w.account, 88));
    CHECK_EQ(TL_ARRIVAL_UNEXPECTED, tl__account_on_packet(&w.account, 3));
    for (uint64_t i = 91; i < 100; i++) tl__account_on_packet(&w.account, i);
    tl_tally t = settle(&w);
    CHECK_EQ(12, t.sent);
    CHECK_EQ(11, t.received);
    CHECK_EQ(1, t.lost);
}

static void behind_the_window_nobody_knows(void)
{
    way w;
    way_init(&w);
    send(&w, 2 * TL_ACCOUNT_WINDOW);
    tl__account_on_packet(&w.account, 0);
    tl__account_on_packet(&w.account, 2 * TL_ACCOUNT_WINDOW - 1);
    CHECK_EQ(TL_ARRIVAL_STALE, tl__account_on_packet(&w.account, 1));
    CHECK_EQ(TL_ARRIVAL_LATE, tl__account_on_packet(&w.account, TL_ACCOUNT_WINDOW));
    tl_tally t = settle(&w);
    CHECK_EQ(1, t.stale);
    CHECK_EQ(3, t.received);
    CHECK_EQ(2 * TL_ACCOUNT_WINDOW, t.sent);
}

static void parked_it_expects_nothing_and_goes_on_where_it_comes_again(void)
{
    way w;
    way_init(&w);
    send(&w, 100);
    for (uint64_t i = 0; i < 99; i++) tl__account_on_packet(&w.account, i);
    tl__account_park(&w.account);
    send(&w, 1000);
    CHECK_EQ(99, settle(&w).sent);
    CHECK_EQ(0, settle(&w).lost);
    CHECK_EQ(TL_ARRIVAL_NEW, tl__account_on_packet(&w.account, 1099));
    tl_tally t = settle(&w);
    CHECK_EQ(1000, t.skipped);
    CHECK_EQ(100, t.sent);
    CHECK_EQ(100, t.received);
    CHECK_EQ(TL_ARRIVAL_LATE, tl__account_on_packet(&w.account, 99)); /* it was on its way when the server changed */
    CHECK_EQ(0, settle(&w).lost);
}

/* Random loss, duplicates and reordering against the plainest possible account. */
static void any_course_of_things_agrees_with_a_plain_list(void)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static uint8_t came[20000];
        static uint64_t held[64];
        uint64_t random = seed, held_count = 0, received = 0, duplicates = 0, late = 0, highest = 0;
        way w;
        way_init(&w);
        memset(came, 0, sizeof came);
        for (uint64_t i = 0; i < 20000; i++) {
            send(&w, 1);
            uint64_t batch[4] = {0}, batch_count = 0, dice = i ? check_random(&random) % 100 : 99;
            if (dice < 5) {
                continue;
            } else if (dice < 10 && held_count < 64) {
                held[held_count++] = i;
                continue;
            }
            batch[batch_count++] = i;
            if (dice < 13) batch[batch_count++] = i;
            if (held_count && dice > 80) batch[batch_count++] = held[--held_count];
            for (uint64_t k = 0; k < batch_count; k++) {
                tl_arrival arrival = tl__account_on_packet(&w.account, batch[k]);
                if (arrival == TL_ARRIVAL_STALE) continue;
                CHECK_EQ(came[batch[k]], arrival == TL_ARRIVAL_DUPLICATE);
                duplicates += came[batch[k]];
                late += !came[batch[k]] && batch[k] < highest;
                received += !came[batch[k]];
                came[batch[k]] = 1;
                if (batch[k] > highest) highest = batch[k];
            }
        }
        w.now_ns += 2 * FLIGHT;
        tl_tally t = settle(&w);
        CHECK_EQ(20000, t.sent);
        CHECK_EQ(received, t.received);
        CHECK_EQ(20000 - received, t.lost);
        CHECK(duplicates > 300 && late > 300);
    }
}

static void a_source_never_calls_old_what_is_young(void)
{
    tl_source source = {0};
    static uint64_t sent_ns[5000];
    uint64_t random = 3, now_ns = 10 * SECOND;
    for (uint64_t i = 0; i < 5000; i++) {
        now_ns += check_random(&random) % (SECOND / 20);
        sent_ns[i] = now_ns;
        tl__source_on_packet(&source, now_ns, FLIGHT);
        uint64_t settled = now_ns > FLIGHT ? tl__source_before(&source, now_ns - FLIGHT) : 0;
        CHECK(settled == 0 || sent_ns[settled - 1] <= now_ns - FLIGHT);
        CHECK(settled > i || sent_ns[settled] > now_ns - FLIGHT - FLIGHT / 4);
    }
}

static void sums_keep_the_greatest_latency(void)
{
    tl_tally sum = {.received = 1, .latency_max_us = 70}, other = {.received = 2, .plis = 3, .latency_max_us = 50};
    tl__tally_add(&sum, &other);
    CHECK_EQ(3, sum.received);
    CHECK_EQ(3, sum.plis);
    CHECK_EQ(70, sum.latency_max_us);
}

static const check_test tests[] = {
    TEST(nothing_came_nothing_is_expected),
    TEST(it_begins_with_the_first_that_came),
    TEST(what_left_lately_is_in_flight_and_later_lost),
    TEST(of_a_stream_that_dies_the_older_part_is_lost),
    TEST(a_gap_is_lost_until_it_is_filled),
    TEST(reordering_at_the_very_beginning_is_taken),
    TEST(behind_the_window_nobody_knows),
    TEST(parked_it_expects_nothing_and_goes_on_where_it_comes_again),
    TEST(any_course_of_things_agrees_with_a_plain_list),
    TEST(a_source_never_calls_old_what_is_young),
    TEST(sums_keep_the_greatest_latency),
};
CHECK_MAIN("test_load_account", tests)
