/* pacer: what leaves next, and when; what it costs; what finds no room; and that nothing is lost or left twice. */
#include "pacer.h"

#include <stdlib.h>

#include "check.h"

#define MS 1000
#define S 1000000
#define PACKET 1000
#define PACE 800000 /* bit/s: a packet each 10 ms */

static tr_pacer *p;
static tr_pacer_flow flows[4];
static uint64_t now;

static void begin(void)
{
    memset(flows, 0, sizeof flows);
    now = 100 * (uint64_t)S;
    p = tr__pacer_new(PACE);
    CHECK(p != NULL);
}

static void end(void)
{
    for (int i = 0; i < 4; i++) tr__pacer_forget(p, &flows[i]);
    CHECK_EQ(0, p->count);
    CHECK_EQ(0, p->bytes);
    CHECK(p->turn == NULL);
    tr__pacer_free(p);
}

static bool put(int flow, uint64_t index)
{
    return tr__pacer_put(p, &flows[flow], TR_PACER_MEDIA, 0, index, PACKET, now);
}
static bool put_resend(int flow, uint64_t out)
{
    return tr__pacer_put(p, &flows[flow], TR_PACER_RESEND, 0, out, PACKET, now);
}

/* The next one: its flow's number times a thousand and its index; -1: none. */
static int64_t next(void)
{
    tr_pacer_ref ref;
    if (!tr__pacer_next(p, &ref)) return -1;
    return (ref.flow - flows) * 1000 + (int64_t)ref.index;
}

/* As the relay does it: at each time that is told. How many left. */
static uint32_t let_go(uint64_t until_us)
{
    uint32_t left = 0;
    for (; now <= until_us && tr__pacer_at(p) != UINT64_MAX; now = tr__pacer_at(p)) {
        p->released_us = now;
        while (tr__pacer_is_open(p, now) && next() >= 0) {
            tr__pacer_charge(p, PACKET, now);
            left++;
        }
        if (tr__pacer_at(p) > until_us) break;
    }
    now = until_us;
    return left;
}

/* ------------------------------------------------------------------ the budget */

static void what_comes_alone_leaves_at_once_and_is_paid_for(void)
{
    begin();
    CHECK(tr__pacer_may(p, now));
    tr__pacer_charge(p, PACKET, now);
    CHECK(!tr__pacer_may(p, now)); /* 5 ms of the pace are half a packet */
    CHECK(!tr__pacer_may(p, now + 4 * MS));
    CHECK(tr__pacer_may(p, now + 5 * MS));
    CHECK_EQ(UINT64_MAX, tr__pacer_at(p));
    end();
}

static void no_burst_is_longer_than_a_quantum_and_a_packet(void)
{
    begin();
    tr__pacer_set_pace(p, 10 * PACE, now);
    now += 10 * MS;
    uint32_t burst = 0;
    for (; tr__pacer_may(p, now); burst++) tr__pacer_charge(p, PACKET, now);
    CHECK(burst >= 5 && burst <= 6); /* a packet each ms */
    now += 3600 * (uint64_t)S;
    for (burst = 0; tr__pacer_may(p, now); burst++) tr__pacer_charge(p, PACKET, now);
    CHECK(burst >= 5 && burst <= 6);
    end();
}

static void where_there_is_ample_room_a_frame_leaves_as_it_came(void)
{
    begin();
    tr__pacer_set_pace(p, 10 * PACE, now);
    tr__pacer_set_ample(p, true, now);
    now += 33 * MS;
    uint32_t burst = 0;
    for (; tr__pacer_may(p, now); burst++) tr__pacer_charge(p, PACKET, now);
    CHECK(burst >= 15 && burst <= 16); /* a packet each ms */
    tr__pacer_set_ample(p, false, now);
    now += 33 * MS;
    for (burst = 0; tr__pacer_may(p, now); burst++) tr__pacer_charge(p, PACKET, now);
    CHECK(burst >= 5 && burst <= 6);
    end();
}

static void what_waits_leaves_at_the_pace_in_quanta(void)
{
    begin();
    tr__pacer_set_pace(p, 10 * PACE, now);
    for (uint64_t i = 0; i < 500; i++) CHECK(put(0, i));
    uint64_t from = now, latest = now;
    uint32_t left = 0;
    while (p->count) {
        uint64_t at = tr__pacer_at(p);
        CHECK(at > latest && at - latest <= TR_PACER_QUANTUM_US);
        latest = now = at;
        p->released_us = now;
        uint32_t at_once = 0;
        while (tr__pacer_is_open(p, now) && next() >= 0) {
            tr__pacer_charge(p, PACKET, now);
            at_once++;
        }
        CHECK(at_once <= 11); /* the first time what was saved up goes with it */
        left += at_once;
    }
    CHECK_EQ(500, left);
    CHECK(now - from >= 480 * MS && now - from <= 500 * MS);
    end();
}

static void a_late_timer_is_made_up_for_but_not_by_more_than_ten_milliseconds(void)
{
    begin();
    tr__pacer_set_pace(p, 10 * PACE, now);
    for (uint64_t i = 0; i < 100; i++) put(0, i);
    let_go(now);
    now += 8 * MS;
    uint32_t before = p->count;
    while (tr__pacer_is_open(p, now) && next() >= 0) tr__pacer_charge(p, PACKET, now);
    CHECK(before - p->count >= 7 && before - p->count <= 9);
    now += 300 * MS;
    before = p->count;
    while (tr__pacer_is_open(p, now) && next() >= 0) tr__pacer_charge(p, PACKET, now);
    CHECK(before - p->count >= 10 && before - p->count <= 11);
    end();
}

static void voices_are_paid_for_by_what_waits(void)
{
    begin();
    for (uint64_t i = 0; i < 200; i++) put(0, i);
    uint64_t until = now + S;
    uint32_t left = 0;
    while (now < until) {
        tr__pacer_charge(p, PACKET / 2, now); /* each 10 ms half of the pace */
        left += let_go(now + 10 * MS);
    }
    CHECK(left >= 49 && left <= 52);
    end();
}

static void what_voices_owe_is_forgiven_beyond_a_tenth_of_a_second(void)
{
    begin();
    tr__pacer_set_pace(p, 40000, now);
    for (int i = 0; i < 1000; i++) {
        tr__pacer_charge(p, 128, now); /* 51 kbit/s on a line of 40 */
        now += 20 * MS;
    }
    put(0, 1);
    tr__pacer_set_pace(p, PACE, now);
    CHECK(tr__pacer_at(p) <= now + 25 * MS);
    end();
}

static void the_pace_may_be_any(void)
{
    static const uint64_t paces[] = {0, 1, 40000, 4294967295u, 1000000000000u};
    for (size_t i = 0; i < sizeof paces / sizeof *paces; i++) {
        begin();
        tr__pacer_set_pace(p, paces[i], now);
        put(0, 1);
        put(0, 2);
        now += 3600 * 24 * (uint64_t)S;
        CHECK(tr__pacer_is_open(p, now));
        CHECK_EQ(1, next());
        tr__pacer_charge(p, 65535, now);
        CHECK(tr__pacer_at(p) >= now);
        now += 3600 * 24 * (uint64_t)S;
        CHECK_EQ(2, next());
        end();
    }
}

/* ------------------------------------------------------------------ the order */

static void resends_go_before_media_in_their_order(void)
{
    begin();
    put(0, 1);
    put_resend(1, 7);
    put(0, 2);
    put_resend(0, 9);
    static const int64_t order[] = {1007, 9, 1, 2, -1};
    for (size_t i = 0; i < 5; i++) CHECK_EQ(order[i], next());
    end();
}

static void tracks_take_turns_by_bytes(void)
{
    begin();
    for (uint64_t i = 0; i < 60; i++) tr__pacer_put(p, &flows[0], TR_PACER_MEDIA, 0, i, 1250, now);
    for (uint64_t i = 0; i < 60; i++) tr__pacer_put(p, &flows[1], TR_PACER_MEDIA, 0, i, 250, now);
    for (uint64_t i = 0; i < 60; i++) tr__pacer_put(p, &flows[2], TR_PACER_MEDIA, 0, i, 1250, now);
    uint32_t bytes[3] = {0};
    for (int i = 0; i < 70; i++) {
        tr_pacer_ref ref;
        CHECK(tr__pacer_next(p, &ref));
        bytes[ref.flow - flows] += ref.bytes;
        for (int k = 0; k < 3; k++) CHECK(i < 10 || bytes[k] + 4500 > bytes[ref.flow - flows]);
    }
    end();
}

static void who_comes_is_served_soon_however_much_waits_of_others(void)
{
    begin();
    for (uint64_t i = 0; i < 300; i++) put(0, i);
    for (int i = 0; i < 7; i++) next();
    put(1, 500);
    int until = 0;
    while (next() != 1500) CHECK(++until <= 4);
    end();
}

static void a_track_leaves_in_the_order_it_came_in(void)
{
    begin();
    for (uint64_t i = 0; i < 400; i++) put((int)(i % 3), i);
    uint64_t last[3] = {0};
    for (int64_t got; (got = next()) >= 0;) {
        CHECK((uint64_t)(got % 1000) >= last[got / 1000]);
        last[got / 1000] = (uint64_t)(got % 1000);
    }
    for (int i = 0; i < 3; i++) CHECK(last[i] >= 397);
    end();
}

/* ------------------------------------------------------------------ what is dropped */

static void what_is_dropped_does_not_leave_and_the_rest_does(void)
{
    begin();
    for (uint64_t i = 0; i < 10; i++) {
        put(0, i);
        put(1, i);
    }
    put_resend(0, 5);
    CHECK_EQ(10, tr__pacer_drop(p, &flows[0]));
    CHECK_EQ(0, flows[0].count);
    CHECK_EQ(5, next()); /* the resend stays */
    for (int64_t i = 0; i < 10; i++) CHECK_EQ(1000 + i, next());
    CHECK_EQ(-1, next());
    CHECK_EQ(0, p->bytes);
    end();
}

static void a_sender_that_goes_takes_its_resends_along(void)
{
    begin();
    for (uint64_t i = 0; i < 9; i++) put_resend((int)(i % 3), i);
    put(1, 4);
    tr__pacer_forget(p, &flows[1]);
    static const int64_t order[] = {0, 2002, 3, 2005, 6, 2008, -1};
    for (size_t i = 0; i < 7; i++) CHECK_EQ(order[i], next());
    CHECK(put_resend(2, 1));
    CHECK_EQ(2001, next());
    end();
}

static void there_is_room_for_so_many_and_no_more(void)
{
    begin();
    uint64_t i = 0;
    while (put_resend(0, i)) i++;
    CHECK_EQ(TR_PACER_RESENDS, i);
    for (i = 0; put(1, i) && put(2, i);) i++;
    CHECK_EQ(TR_PACER_REFS, p->count);
    CHECK(tr__pacer_longest(p) == &flows[1] || tr__pacer_longest(p) == &flows[2]);
    CHECK_EQ(0, next());
    CHECK(put(3, 1));
    CHECK(!put(3, 2));
    end();
}

static void what_many_took_is_given_back_once_it_was_not_needed_for_long(void)
{
    begin();
    for (uint64_t i = 0; i < 300; i++) CHECK(put(0, i));
    CHECK(p->is_rest_touched);
    for (uint64_t i = 0; i < 300; i++) CHECK_EQ((int64_t)i, next());
    for (uint64_t i = 0; i < 1000; i++) { /* frames, for each of which a few wait */
        now += 33 * MS;
        for (uint64_t k = 0; k < TR_PACER_FEW; k++) CHECK(put(1, k));
        tr__pacer_rest(p, now);
        while (next() >= 0) {}
        tr__pacer_rest(p, now);
        CHECK_EQ(i < 303, p->is_rest_touched); /* ten seconds */
    }
    for (uint64_t i = 0; i < TR_PACER_REFS; i++) CHECK(put(2, i % 1000));
    CHECK(!put(2, 0));
    now += TR_PACER_REST_US;
    tr__pacer_rest(p, now); /* not what waits */
    for (uint64_t i = 0; i < TR_PACER_REFS; i++) CHECK_EQ((int64_t)(2000 + i % 1000), next());
    end();
}

/* Whatever is put, taken and dropped: each leaves once, or was dropped. */
static void nothing_is_lost_and_nothing_leaves_twice(void)
{
    begin();
    uint64_t seed = 5, put_count = 0, got = 0, dropped = 0;
    static uint8_t was[100000];
    for (int step = 0; step < 60000; step++) {
        uint64_t dice = check_random(&seed) % 100;
        int flow = (int)(check_random(&seed) % 4);
        if (dice < 52) {
            tr_pacer_kind kind = dice < 10 ? TR_PACER_RESEND : TR_PACER_MEDIA;
            if (tr__pacer_put(p, &flows[flow], kind, 0, put_count, (uint32_t)(dice * 25), now)) put_count++;
        } else if (dice < 99) {
            tr_pacer_ref ref;
            if (!tr__pacer_next(p, &ref)) continue;
            CHECK_EQ(0, was[ref.index]);
            was[ref.index] = 1;
            got++;
        } else if (dice == 99) {
            dropped += tr__pacer_drop(p, &flows[flow]);
        }
        CHECK_EQ(put_count, got + dropped + p->count);
        CHECK_EQ(p->count, flows[0].count + flows[1].count + flows[2].count + flows[3].count + p->resends.count);
    }
    CHECK(got > 20000);
    CHECK(dropped > 500);
    end();
}

static const check_test tests[] = {
    TEST(what_comes_alone_leaves_at_once_and_is_paid_for),
    TEST(no_burst_is_longer_than_a_quantum_and_a_packet),
    TEST(where_there_is_ample_room_a_frame_leaves_as_it_came),
    TEST(what_waits_leaves_at_the_pace_in_quanta),
    TEST(a_late_timer_is_made_up_for_but_not_by_more_than_ten_milliseconds),
    TEST(voices_are_paid_for_by_what_waits),
    TEST(what_voices_owe_is_forgiven_beyond_a_tenth_of_a_second),
    TEST(the_pace_may_be_any),
    TEST(resends_go_before_media_in_their_order),
    TEST(tracks_take_turns_by_bytes),
    TEST(who_comes_is_served_soon_however_much_waits_of_others),
    TEST(a_track_leaves_in_the_order_it_came_in),
    TEST(what_is_dropped_does_not_leave_and_the_rest_does),
    TEST(a_sender_that_goes_takes_its_resends_along),
    TEST(there_is_room_for_so_many_and_no_more),
    TEST(what_many_took_is_given_back_once_it_was_not_needed_for_long),
    TEST(nothing_is_lost_and_nothing_leaves_twice),
};
CHECK_MAIN("test_pacer", tests)
