/* stream: keyframe requests, jitter, rate, report blocks. */
#include "stream.h"

#include "check.h"

#define MS 1000
#define S 1000000

static tr_stream stream;
static union {
    max_align_t as_any;
    uint8_t bytes[1 << 16];
} memory;

static void begin(void)
{
    static const tr_encoding encoding = {.rid = "hi", .ssrc = 7, .rtx_ssrc = 8};
    memset(&memory, 0, sizeof memory);
    CHECK(tr__stream_memory(TR_AUDIO, 0) <= sizeof memory);
    tr__stream_init(&stream, &encoding, TR_AUDIO, 0, memory.bytes);
    stream.clock_rate = 90000;
    stream.has_pli = true;
}

static void a_keyframe_is_due_while_it_is_wanted_and_somebody_can_be_asked(void)
{
    begin();
    CHECK_STR("hi", stream.rid);
    CHECK(!tr__stream_is_keyframe_due(&stream));
    tr__stream_request_keyframe(&stream, 10 * S);
    CHECK(tr__stream_is_keyframe_due(&stream));
    CHECK_EQ(1, stream.fir_number);
    tr__stream_request_keyframe(&stream, 10 * S + 1);
    CHECK_EQ(1, stream.fir_number);
    tr__stream_on_keyframe(&stream, 65536, 3000, 10 * S + 100 * MS);
    CHECK(!tr__stream_is_keyframe_due(&stream));
    tr__stream_request_keyframe(&stream, 10 * S + 200 * MS);
    CHECK(tr__stream_is_keyframe_due(&stream));
    CHECK_EQ(2, stream.fir_number);
    stream.has_pli = false;
    CHECK(!tr__stream_is_keyframe_due(&stream)); /* nobody listens */
    stream.has_fir = true;
    CHECK(tr__stream_is_keyframe_due(&stream));
    stream.ssrc = 0;
    CHECK(!tr__stream_is_keyframe_due(&stream)); /* nobody to name */
}

static void a_keyframe_is_counted_once(void)
{
    begin();
    tr__stream_on_keyframe(&stream, 101, 3000, 1);
    tr__stream_on_keyframe(&stream, 100, 3000, 2); /* its parameter sets, reordered */
    CHECK_EQ(1, stream.keyframes);
    CHECK_EQ(100, stream.keyframe_index);
    CHECK_EQ(1, stream.keyframe_us);
    tr__stream_on_keyframe(&stream, 300, 9000, 3);
    CHECK_EQ(2, stream.keyframes);
    CHECK_EQ(300, stream.keyframe_index);
    tr__stream_on_keyframe(&stream, 200, 6000, 4); /* one that was repaired after a newer one */
    CHECK_EQ(3, stream.keyframes);
    CHECK_EQ(300, stream.keyframe_index);
}

static void activity_ends_after_a_second(void)
{
    begin();
    CHECK(!tr__stream_is_active(&stream, 5 * S));
    tr__stream_on_bytes(&stream, 100, 5 * S);
    CHECK(tr__stream_is_active(&stream, 5 * S));
    CHECK(tr__stream_is_active(&stream, 5 * S + TR_STREAM_IDLE_US - 1));
    CHECK(!tr__stream_is_active(&stream, 5 * S + TR_STREAM_IDLE_US));
}

static void rate_is_that_of_the_last_full_second(void)
{
    begin();
    for (uint64_t i = 0; i <= 100; i++) tr__stream_on_bytes(&stream, 1250, 1 * S + i * 20 * MS);
    CHECK_EQ(100, stream.rx_packets - 1);
    CHECK_EQ(500000, stream.rate_bps);
}

/* RFC 3550, A.8: a stream that alternates by D has a jitter that tends to D. */
static void jitter_tends_to_the_mean_deviation(void)
{
    static const struct {
        uint64_t swing_us;
        uint32_t low, high;
    } rows[] = {{0, 0, 1}, {10 * MS, 850, 950}, {1 * MS, 80, 95}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin();
        uint64_t start = 7777777777;
        uint32_t ts = 0xfffff000; /* wraps on the way */
        for (uint32_t k = 0; k < 500; k++, ts += 1800)
            tr__stream_on_jitter(&stream, ts, start + k * 20 * MS + (k % 2) * rows[i].swing_us);
        CHECK(stream.jitter_q4 >> 4 >= rows[i].low);
        CHECK(stream.jitter_q4 >> 4 <= rows[i].high);
    }
}

static void report_blocks(void)
{
    static const struct {
        uint64_t highest, received; /* index 0 is the first, cumulative */
        int32_t lost;
        uint8_t fraction;
        uint32_t highest_seq;
    } rows[] = {
        {99, 100, 0, 0, 65500 + 99},      {199, 190, 10, 25, 65500 + 199}, /* 10 of 100 */
        {299, 250, 50, 102, 65500 + 299},                                  /* 40 of 100 */
        {299, 250, 50, 0, 65500 + 299},                                    /* nothing expected since */
        {399, 420, -20, 0, 65500 + 399},                                   /* duplicates: fewer than none lost */
        {499, 420, 80, 255, 65500 + 499},                                  /* all */
    };
    begin();
    tr_rtcp_report report;
    CHECK(!tr__stream_report(&stream, &report, 0));
    stream.is_started = true;
    stream.first = TR_STREAM_FIRST_CYCLE + 65500;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        stream.highest = stream.first + rows[i].highest;
        stream.received = rows[i].received;
        CHECK(tr__stream_report(&stream, &report, 0));
        CHECK_EQ(rows[i].lost, report.lost);
        CHECK_EQ(rows[i].fraction, report.fraction_lost);
        CHECK_EQ(rows[i].highest_seq, report.highest_seq);
        CHECK_EQ(7, report.ssrc);
        CHECK_EQ(0, report.last_sr);
    }
    stream.has_sr = true;
    stream.sr_ntp = 0x1122334455667788u;
    stream.sr_arrival_us = 10 * S;
    tr__stream_report(&stream, &report, 10 * S + 1500 * MS);
    CHECK_EQ(0x33445566, report.last_sr);
    CHECK_EQ(65536 * 3 / 2, report.delay_since_sr);
}

static void loudness_is_what_it_has_been_of_late(void)
{
    begin();
    tr__stream_on_bytes(&stream, 100, 10 * S);
    CHECK_EQ(0, tr__stream_loudness(&stream, 10 * S));
    tr__stream_on_level(&stream, 0x80 | 27); /* with the bit that says it is a voice */
    uint8_t first = tr__stream_loudness(&stream, 10 * S);
    CHECK(first > 0 && first < 20);
    for (int i = 0; i < 100; i++) tr__stream_on_level(&stream, 27);
    CHECK_EQ(99, tr__stream_loudness(&stream, 10 * S));
    for (int i = 0; i < 200; i++) tr__stream_on_level(&stream, 127);
    CHECK_EQ(0, tr__stream_loudness(&stream, 10 * S));
    for (int i = 0; i < 200; i++) tr__stream_on_level(&stream, 0);
    CHECK(tr__stream_loudness(&stream, 10 * S) >= 126);
    /* Nothing comes any more. */
    CHECK_EQ(0, tr__stream_loudness(&stream, 11 * S));
}

static const check_test tests[] = {
    TEST(loudness_is_what_it_has_been_of_late),
    TEST(a_keyframe_is_due_while_it_is_wanted_and_somebody_can_be_asked),
    TEST(a_keyframe_is_counted_once),
    TEST(activity_ends_after_a_second),
    TEST(rate_is_that_of_the_last_full_second),
    TEST(jitter_tends_to_the_mean_deviation),
    TEST(report_blocks),
};
CHECK_MAIN("test_stream", tests)
