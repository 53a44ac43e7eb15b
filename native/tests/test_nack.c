/* nack: what is missing, when it is asked for, and when that ends. */
#include "nack.h"

#include "check.h"

#define MS 1000

static tr_nack nack;
static tr_nack_missing missing[TR_NACK_VIDEO_MISSING];
static uint16_t seqs[TR_NACK_VIDEO_MISSING];

static void begin(uint64_t index)
{
    tr__nack_init(&nack, missing, TR_NACK_VIDEO_MISSING);
    CHECK_EQ(UINT64_MAX, tr__nack_at(&nack));
    CHECK_EQ(TR_NACK_NEW, tr__nack_on_packet(&nack, index, false, 0));
}

static void verdicts(void)
{
    static const struct {
        uint64_t index;
        tr_nack_verdict verdict;
        uint32_t missing;
    } rows[] = {
        {65536, TR_NACK_NEW, 0},
        {65536, TR_NACK_DUPLICATE_OR_OLD, 0},
        {65537, TR_NACK_NEW, 0},
        {65540, TR_NACK_NEW, 2},
        {65538, TR_NACK_RECOVERED, 1},
        {65538, TR_NACK_DUPLICATE_OR_OLD, 1},
        {65540, TR_NACK_DUPLICATE_OR_OLD, 1},
        {65530, TR_NACK_DUPLICATE_OR_OLD, 1},
        {65539, TR_NACK_RECOVERED, 0},
        {65541, TR_NACK_NEW, 0},
        {65541 + 513, TR_NACK_NEW, 512},
        {65541 + 514, TR_NACK_NEW, 512},
        {65541 + 514 + 514, TR_NACK_RESET, 0},
        {65541 + 600, TR_NACK_DUPLICATE_OR_OLD, 0},
        {65541 + 514 + 515, TR_NACK_NEW, 0},
    };
    tr__nack_init(&nack, missing, TR_NACK_VIDEO_MISSING);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(rows[i].verdict, tr__nack_on_packet(&nack, rows[i].index, false, 1000));
        CHECK_EQ(rows[i].missing, nack.count);
        CHECK_EQ(rows[i].missing ? 6000 : -1, (int64_t)tr__nack_at(&nack));
    }
}

static void reordered_packets_are_not_asked_for(void)
{
    begin(10);
    tr__nack_on_packet(&nack, 12, false, 10 * MS);
    tr__nack_on_packet(&nack, 11, false, 14 * MS);
    CHECK_EQ(0, tr__nack_next(&nack, 500 * MS, seqs, 10));
    CHECK_EQ(UINT64_MAX, tr__nack_at(&nack));
    CHECK_EQ(0, nack.repaired);
    CHECK_EQ(0, nack.rtt_us);
}

static void the_first_request_waits_5_ms_and_is_repeated_after_one_and_a_half_round_trips(void)
{
    /* rtt 0: unknown, taken for 100 ms. */
    static const struct {
        uint64_t rtt_ms, first_ms, repeat_ms;
    } rows[] = {
        {0, 5, 150}, {100, 5, 150}, {400, 5, 600}, {20, 5, 30}, {10, 5, 20}, {4, 2, 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin(10);
        nack.rtt_us = rows[i].rtt_ms * MS;
        tr__nack_on_packet(&nack, 12, false, 1000 * MS);
        uint64_t at = (1000 + rows[i].first_ms) * MS;
        for (int request = 0; request < TR_NACK_MAX_REQUESTS; request++) {
            CHECK_EQ(at, tr__nack_at(&nack));
            CHECK_EQ(0, tr__nack_next(&nack, at - 1, seqs, 10));
            CHECK_EQ(1, tr__nack_next(&nack, at, seqs, 10));
            CHECK_EQ(11, seqs[0]);
            at += rows[i].repeat_ms * MS;
        }
        CHECK_EQ(0, nack.given_up);
        CHECK_EQ(0, tr__nack_next(&nack, at, seqs, 10));
        CHECK_EQ(1, nack.given_up);
        CHECK_EQ(TR_NACK_MAX_REQUESTS, nack.requested);
        CHECK_EQ(0, nack.count);
        CHECK_EQ(UINT64_MAX, tr__nack_at(&nack));
        CHECK_EQ(TR_NACK_DUPLICATE_OR_OLD, tr__nack_on_packet(&nack, 11, false, at));
    }
}

static void numbers_come_ascending_across_the_wrap(void)
{
    begin(65533);
    tr__nack_on_packet(&nack, 65539, false, 0);
    CHECK_EQ(5, tr__nack_next(&nack, 5 * MS, seqs, 10));
    static const uint16_t expected[] = {65534, 65535, 0, 1, 2};
    CHECK_BYTES(expected, seqs, sizeof expected);
}

static void what_does_not_fit_stays_due(void)
{
    begin(0);
    tr__nack_on_packet(&nack, 11, false, 0);
    CHECK_EQ(4, tr__nack_next(&nack, 5 * MS, seqs, 4));
    CHECK(tr__nack_at(&nack) <= 5 * MS);
    CHECK_EQ(6, tr__nack_next(&nack, 5 * MS, seqs, 100));
    CHECK_EQ(5, seqs[0]);
    CHECK_EQ(10, seqs[5]);
    CHECK_EQ(0, tr__nack_next(&nack, 5 * MS, seqs, 100));
}

static void the_round_trip_is_measured_on_unrepeated_requests(void)
{
    begin(0);
    tr__nack_on_packet(&nack, 2, false, 0);
    CHECK_EQ(1, tr__nack_next(&nack, 5 * MS, seqs, 10));
    CHECK_EQ(TR_NACK_RECOVERED, tr__nack_on_packet(&nack, 1, false, 65 * MS));
    CHECK_EQ(60 * MS, nack.rtt_us);
    CHECK_EQ(1, nack.repaired);
    tr__nack_on_packet(&nack, 4, false, 100 * MS);
    tr__nack_next(&nack, 105 * MS, seqs, 10);
    tr__nack_next(&nack, 195 * MS, seqs, 10);
    tr__nack_on_packet(&nack, 3, false, 200 * MS); /* an answer to which of the two? */
    CHECK_EQ(60 * MS, nack.rtt_us);
    tr__nack_on_packet(&nack, 6, false, 300 * MS);
    tr__nack_next(&nack, 305 * MS, seqs, 10);
    tr__nack_on_packet(&nack, 5, false, 305 * MS + 140 * MS);
    CHECK_EQ(70 * MS, nack.rtt_us);
    /* On a way so long that every request is repeated before its answer, any sample is better than none. */
    begin(0);
    tr__nack_on_packet(&nack, 2, false, 0);
    tr__nack_next(&nack, 5 * MS, seqs, 10);
    tr__nack_next(&nack, 155 * MS, seqs, 10);
    tr__nack_on_packet(&nack, 1, false, 205 * MS);
    CHECK_EQ(200 * MS, nack.rtt_us);
}

static void the_first_request_waits_as_long_as_packets_come_late(void)
{
    begin(0);
    uint64_t at = 1000 * MS, index = 0;
    for (int i = 0; i < 5; i++, at += 50 * MS) { /* every other packet 12 ms after its successor */
        tr__nack_on_packet(&nack, index + 2, false, at);
        tr__nack_next(&nack, at + 5 * MS, seqs, 10);
        CHECK_EQ(TR_NACK_RECOVERED, tr__nack_on_packet(&nack, index + 1, false, at + 12 * MS));
        index += 2;
    }
    CHECK(nack.requested <= 2); /* it learns from the first */
    CHECK_EQ(0, nack.repaired);
    CHECK_EQ(0, nack.rtt_us); /* late first copies are no measure of the round trip */
    CHECK(nack.reorder_us > 10 * MS && nack.reorder_us <= 12 * MS);
    for (int i = 0; i < 200; i++, at += 500 * MS) { /* then there is only loss */
        tr__nack_on_packet(&nack, index + 2, false, at);
        CHECK(tr__nack_at(&nack) >= at + 5 * MS && tr__nack_at(&nack) <= at + 12 * MS);
        tr__nack_next(&nack, at + 20 * MS, seqs, 10);
        tr__nack_on_packet(&nack, index + 1, true, at + 100 * MS);
        index += 2;
    }
    CHECK(nack.reorder_us < 100);
    CHECK_EQ(80 * MS, nack.rtt_us);
    /* However late, the wait has a limit. */
    tr__nack_on_packet(&nack, index + 2, false, at);
    tr__nack_on_packet(&nack, index + 1, false, at + 300 * MS);
    tr__nack_on_packet(&nack, index + 4, false, at + 300 * MS);
    CHECK(tr__nack_at(&nack) <= at + 320 * MS && tr__nack_at(&nack) >= at + 319 * MS);
}

static void under_rtx_only_a_resend_is_an_answer(void)
{
    begin(0);
    tr__nack_on_packet(&nack, 4, false, 0);
    CHECK_EQ(3, tr__nack_next(&nack, 5 * MS, seqs, 10));
    tr__nack_on_packet(&nack, 1, true, 25 * MS);
    CHECK_EQ(20 * MS, nack.rtt_us);
    tr__nack_on_packet(&nack, 2, false, 90 * MS);
    CHECK_EQ(20 * MS, nack.rtt_us);
    CHECK_EQ(1, nack.repaired);
    tr__nack_on_packet(&nack, 3, true, 33 * MS);
    CHECK_EQ(21 * MS, nack.rtt_us);
    CHECK_EQ(TR_NACK_NEW, tr__nack_on_packet(&nack, 5, true, 40 * MS)); /* the newest was lost */
    CHECK_EQ(TR_NACK_DUPLICATE_OR_OLD, tr__nack_on_packet(&nack, 5, false, 41 * MS));
}

static void a_full_list_gives_up_its_oldest(void)
{
    begin(0);
    tr__nack_on_packet(&nack, TR_NACK_MAX_GAP + 1, false, 0);
    CHECK_EQ(TR_NACK_VIDEO_MISSING, nack.count);
    tr__nack_on_packet(&nack, TR_NACK_MAX_GAP + 4, false, 0);
    CHECK_EQ(TR_NACK_VIDEO_MISSING, nack.count);
    CHECK_EQ(2, nack.given_up);
    CHECK_EQ(TR_NACK_DUPLICATE_OR_OLD, tr__nack_on_packet(&nack, 2, false, 0));
    CHECK_EQ(TR_NACK_RECOVERED, tr__nack_on_packet(&nack, 3, false, 0));
    CHECK_EQ(TR_NACK_RECOVERED, tr__nack_on_packet(&nack, TR_NACK_MAX_GAP + 3, false, 0));
}

/* Of a gap that is wider than the list the newest numbers are asked for; the rest is given up, and counted. */
static void a_short_list_keeps_the_newest_of_a_gap(void)
{
    enum { ROOM = TR_NACK_AUDIO_MISSING };
    static const struct {
        uint64_t before, gap; /* packets missing before, and then */
        uint64_t given_up, oldest;
        uint32_t count;
    } rows[] = {
        {0, ROOM, 0, 1, ROOM},
        {0, ROOM + 1, 1, 2, ROOM},
        {0, TR_NACK_MAX_GAP, TR_NACK_MAX_GAP - ROOM, TR_NACK_MAX_GAP - ROOM + 1, ROOM},
        {ROOM, 1, 1, 2, ROOM},
        {ROOM - 1, 1, 0, 1, ROOM},
        {ROOM, ROOM, ROOM, ROOM + 2, ROOM},
        {ROOM, TR_NACK_MAX_GAP, TR_NACK_MAX_GAP, TR_NACK_MAX_GAP + 2, ROOM},
        {10, ROOM - 5, 5, 6, ROOM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_nack_missing *room = malloc(ROOM * sizeof *room); /* its end is watched */
        tr__nack_init(&nack, room, ROOM);
        uint64_t at = 0;
        tr__nack_on_packet(&nack, at, false, 0);
        if (rows[i].before) tr__nack_on_packet(&nack, at += rows[i].before + 1, false, 1000);
        tr__nack_on_packet(&nack, at += rows[i].gap + 1, false, 2000);
        CHECK_EQ(rows[i].count, nack.count);
        CHECK_EQ(rows[i].given_up, nack.given_up);
        CHECK_EQ(rows[i].oldest, nack.missing[0].index);
        CHECK_EQ(at - 1, nack.missing[nack.count - 1].index);
        CHECK_EQ(ROOM, tr__nack_next(&nack, 500 * MS, seqs, TR_NACK_VIDEO_MISSING));
        free(room);
    }
}

/* Every number is new exactly once, whatever the order. */
static void a_shuffled_stream_is_new_once_each(void)
{
    enum { COUNT = 5000 };
    static uint8_t seen[COUNT];
    uint64_t seed = 3;
    memset(seen, 0, sizeof seen);
    begin(65536);
    seen[0] = 1;
    for (int i = 1; i < COUNT * 4; i++) {
        uint64_t centre = (uint64_t)i / 4, at = centre + check_random(&seed) % 20;
        if (at >= COUNT) continue;
        tr_nack_verdict verdict = tr__nack_on_packet(&nack, 65536 + at, false, (uint64_t)i * MS);
        CHECK(verdict != TR_NACK_RESET);
        CHECK_EQ(seen[at], verdict == TR_NACK_DUPLICATE_OR_OLD);
        seen[at] = 1;
        for (uint32_t k = 1; k < nack.count; k++) CHECK(nack.missing[k - 1].index < nack.missing[k].index);
    }
}

static const check_test tests[] = {
    TEST(verdicts),
    TEST(reordered_packets_are_not_asked_for),
    TEST(the_first_request_waits_5_ms_and_is_repeated_after_one_and_a_half_round_trips),
    TEST(numbers_come_ascending_across_the_wrap),
    TEST(what_does_not_fit_stays_due),
    TEST(the_round_trip_is_measured_on_unrepeated_requests),
    TEST(the_first_request_waits_as_long_as_packets_come_late),
    TEST(under_rtx_only_a_resend_is_an_answer),
    TEST(a_full_list_gives_up_its_oldest),
    TEST(a_short_list_keeps_the_newest_of_a_gap),
    TEST(a_shuffled_stream_is_new_once_each),
};
CHECK_MAIN("test_nack", tests)
