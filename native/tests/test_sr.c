/* sr: when a sender report is due, what it says, and which receiver reports answer it. */
#include "sr.h"

#include "check.h"
#include "telerelay.h"

#define S 1000000u

static tr_timeline timeline;
static tr_sr sr;
static uint8_t buffer[256];

static void begin(void)
{
    tr__timeline_init(&timeline, 0);
    timeline.last_ts = 1000;
    timeline.last_us = S;
    timeline.clock_rate = 48000;
    tr__sr_init(&sr, 5000, "alice");
}

static uint64_t ntp(uint32_t seconds) { return (uint64_t)seconds << 32; }

static bool put(uint64_t now_us, uint64_t now_ntp, size_t room)
{
    tr_pen pen = tr__pen(buffer, room);
    return tr__sr_put(&sr, &timeline, NULL, NULL, &pen, now_us, now_ntp);
}

static void a_report_is_due_a_second_after_the_first_packet_and_only_where_something_was_sent(void)
{
    begin();
    CHECK(!tr__sr_has_news(&sr));
    CHECK(!put(S, ntp(100), sizeof buffer));
    tr__sr_on_sent(&sr, 700, S);
    tr__sr_on_sent(&sr, 300, S + 20000);
    CHECK(tr__sr_has_news(&sr));
    CHECK_EQ(2 * S, tr__sr_at(&sr, NULL));
    CHECK(put(2 * S, ntp(101), sizeof buffer));
    CHECK(!tr__sr_has_news(&sr));
    CHECK(!put(3 * S, ntp(102), sizeof buffer));
    tr__sr_on_sent(&sr, 1, 5 * S / 2);
    CHECK_EQ(3 * S, tr__sr_at(&sr, NULL));
}

static void it_counts_packets_and_payload_and_says_what_time_it_is(void)
{
    begin();
    tr__sr_on_sent(&sr, 700, S);
    tr__sr_on_sent(&sr, 300, S);
    CHECK(put(2 * S, ntp(101) | 0x80000000u, sizeof buffer));
    CHECK_EQ(200, buffer[1]);
    CHECK_EQ(5000, tr__load32(buffer + 4));
    CHECK_EQ(101, tr__load32(buffer + 8));
    CHECK_EQ(0x80000000u, tr__load32(buffer + 12));
    CHECK_EQ(1000 + 48000, tr__load32(buffer + 16));
    CHECK_EQ(2, tr__load32(buffer + 20));
    CHECK_EQ(1000, tr__load32(buffer + 24));
    CHECK_EQ(202, buffer[29]); /* SDES: who it is */
    CHECK_BYTES("\1\5alice", buffer + 36, 7);
}

static void without_room_it_waits(void)
{
    begin();
    tr__sr_on_sent(&sr, 700, S);
    CHECK(!put(2 * S, ntp(101), 79));
    CHECK(tr__sr_has_news(&sr));
    CHECK(put(2 * S, ntp(101), 80));
}

/* The first ones are made from the time of arrival; the source's clock makes another one due at once. */
static void as_soon_as_the_sources_clock_is_known_it_is_due(void)
{
    begin();
    tr_stream stream = {.clock_rate = 48000};
    tr__sr_on_sent(&sr, 700, S);
    CHECK_EQ(2 * S, tr__sr_at(&sr, NULL));
    CHECK_EQ(0, tr__sr_at(&sr, &stream));
    sr.is_exact = true;
    CHECK_EQ(2 * S, tr__sr_at(&sr, &stream));
}

static void the_round_trip_is_what_lies_between_less_what_the_peer_waited(void)
{
    begin();
    for (uint32_t i = 0; i < 5; i++) {
        tr__sr_on_sent(&sr, 100, i * S);
        CHECK(put(i * S, ntp(100 + i), sizeof buffer));
    }
    /* In 1/65536 s: it answers the report of second 104 after half a second, and we hear of it at 104.75. */
    tr_rtcp_report report = {.last_sr = 104u << 16, .delay_since_sr = 0x8000};
    CHECK_EQ(250000, tr__sr_rtt_us(&sr, &report, ntp(104) | 0xc0000000u));
    report.last_sr = 101u << 16; /* the oldest of four */
    CHECK_EQ(3250000, tr__sr_rtt_us(&sr, &report, ntp(104) | 0xc0000000u));
    report.last_sr = 100u << 16; /* forgotten */
    CHECK_EQ(0, tr__sr_rtt_us(&sr, &report, ntp(104) | 0xc0000000u));
    report.last_sr = 0; /* it has heard none */
    CHECK_EQ(0, tr__sr_rtt_us(&sr, &report, ntp(104)));
    report = (tr_rtcp_report){.last_sr = 104u << 16, .delay_since_sr = 2}; /* a hair less than nothing */
    CHECK_EQ(1, tr__sr_rtt_us(&sr, &report, ntp(104)));
}

static const check_test tests[] = {
    TEST(a_report_is_due_a_second_after_the_first_packet_and_only_where_something_was_sent),
    TEST(it_counts_packets_and_payload_and_says_what_time_it_is),
    TEST(without_room_it_waits),
    TEST(as_soon_as_the_sources_clock_is_known_it_is_due),
    TEST(the_round_trip_is_what_lies_between_less_what_the_peer_waited),
};
CHECK_MAIN("test_sr", tests)
