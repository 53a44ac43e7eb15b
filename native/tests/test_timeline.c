/* timeline: times and frame numbers across encodings and publishers that begin anew. */
#include "timeline.h"

#include "check.h"
#include "telerelay.h"

#define RATE 90000
#define S 1000000u
#define OFFSET 0xfffff000u
#define DRAWN_NONE 0

static tr_stream streams[2];
static tr_clock clock_;
static const tr_codec_params codecs[] = {{.pt = 96, .codec = TR_CODEC_VP8, .clock_rate = RATE}};
static const tr_source source = {
    .streams = streams, .count = 2, .kind = TR_VIDEO, .codec_count = 1, .codecs = codecs, .clock = &clock_};
static tr_timeline timeline;
static tr_rewrite rewrite;

static void begin(void)
{
    memset(streams, 0, sizeof streams);
    tr__clock_init(&clock_);
    tr__timeline_init(&timeline, OFFSET);
    rewrite = (tr_rewrite){0};
}

static tr_media packet(uint8_t encoding, uint64_t index, uint32_t ts, uint64_t now_us)
{
    return (tr_media){.encoding = encoding, .index = index, .now_us = now_us, .rtp = {.ts = ts, .payload_size = 100}};
}

/* The stream's own sender report: at ntp_us its clock showed ts. */
static void reports(tr_stream *stream, uint64_t ntp_us, uint32_t ts)
{
    stream->has_sr = true;
    stream->sr_ntp = tr__ntp_from_us(ntp_us);
    stream->sr_rtp_ts = ts;
    stream->clock_rate = RATE;
}

static uint32_t sent_ts(const tr_media *media) { return media->rtp.ts + rewrite.ts_offset; }

static void the_first_packet_leaves_with_the_offset_that_was_drawn(void)
{
    begin();
    tr_media first = packet(0, 1, 5000, S);
    CHECK(tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite));
    CHECK_EQ(OFFSET, rewrite.ts_offset);
    CHECK_EQ(0, rewrite.frame_offset);
    CHECK(tr__timeline_on_sent(&timeline, &source, &first, &rewrite));
    CHECK(!tr__timeline_on_sent(&timeline, &source, &first, &rewrite)); /* another packet of the same picture */
    CHECK_EQ(RATE, timeline.clock_rate);
}

static void the_same_clock_keeps_its_offset_over_a_pause(void)
{
    begin();
    tr_media first = packet(0, 1, 5000, S), after = packet(0, 900, 5000 + 10 * RATE, 11 * S);
    tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &first, &rewrite);
    CHECK(!tr__timeline_begin(&timeline, &source, 0, &after, 11 * S, DRAWN_NONE, &rewrite));
    CHECK_EQ(OFFSET, rewrite.ts_offset);
}

/* Another SSRC of the same encoding: nothing of its clock is known, so time goes on by the time of arrival. */
static void a_publisher_who_begins_anew_goes_on_by_the_time_of_arrival(void)
{
    begin();
    tr_media first = packet(0, 1, 5000, S), after = packet(0, 900, 3000000000u, 3 * S);
    tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &first, &rewrite);
    uint32_t before = sent_ts(&first);
    streams[0].generation++;
    CHECK(tr__timeline_begin(&timeline, &source, 0, &after, 3 * S, DRAWN_NONE, &rewrite));
    CHECK_EQ((uint32_t)(before + 2 * RATE), sent_ts(&after));
}

static void two_encodings_are_aligned_by_their_own_reports(void)
{
    begin();
    uint64_t ntp_us = 4000000000u * (uint64_t)S;
    reports(&streams[0], ntp_us, 5000);
    reports(&streams[1], ntp_us, 700000);
    tr_media first = packet(0, 1, 5000, S);
    tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &first, &rewrite);
    uint32_t before = sent_ts(&first);
    /* Taken a second after the first, and 0.3 s on its way besides. */
    tr_media other = packet(1, 1, 700000 + RATE, 2300000);
    CHECK(tr__timeline_begin(&timeline, &source, 0, &other, 2300000, DRAWN_NONE, &rewrite));
    CHECK_EQ((uint32_t)(before + RATE), sent_ts(&other));
}

static void a_report_that_lies_by_more_than_five_seconds_is_not_believed(void)
{
    begin();
    uint64_t ntp_us = 4000000000u * (uint64_t)S;
    reports(&streams[0], ntp_us, 5000);
    reports(&streams[1], ntp_us + 6 * S, 700000);
    tr_media first = packet(0, 1, 5000, S), other = packet(1, 1, 700000, 2 * S);
    tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &first, &rewrite);
    uint32_t before = sent_ts(&first);
    CHECK(tr__timeline_begin(&timeline, &source, 0, &other, 2 * S, DRAWN_NONE, &rewrite));
    CHECK_EQ((uint32_t)(before + RATE), sent_ts(&other));
}

/* A group of pictures that began a tenth of a second before the picture that is shown, and goes on after it. */
static void what_is_older_than_the_present_picture_follows_it_by_single_ticks(void)
{
    begin();
    uint64_t ntp_us = 4000000000u * (uint64_t)S;
    reports(&streams[0], ntp_us, 5000);
    reports(&streams[1], ntp_us, 5000);
    tr_media shown = packet(0, 1, 5000 + RATE, 2 * S);
    tr__timeline_begin(&timeline, &source, -1, &shown, 2 * S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &shown, &rewrite);
    uint32_t present = sent_ts(&shown);
    tr_media group[] = {packet(1, 10, 5000 + RATE - 9000, 2 * S), packet(1, 11, 5000 + RATE - 4500, 2 * S),
                        packet(1, 12, 5000 + RATE - 4500, 2 * S), packet(1, 13, 5000 + RATE + 4500, 2 * S)};
    tr__timeline_begin(&timeline, &source, 0, &group[0], 2 * S, 13, &rewrite);
    static const uint32_t expected[] = {1, 2, 2, 4500};
    static const bool changes[] = {false, true, false, true};
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(changes[i], tr__timeline_draw(&timeline, &group[i], &rewrite));
        CHECK_EQ((uint32_t)(present + expected[i]), sent_ts(&group[i]));
        tr__timeline_on_sent(&timeline, &source, &group[i], &rewrite);
    }
    /* What came since has its own time. */
    tr_media live = packet(1, 14, 5000 + RATE + 9000, 2 * S);
    CHECK(!tr__timeline_may_draw(&timeline, &live));
    CHECK_EQ((uint32_t)(present + 9000), sent_ts(&live));
}

static void now_is_what_the_sources_report_says_moved_into_our_clock(void)
{
    begin();
    uint64_t ours_us = 4000000010u * (uint64_t)S;
    reports(&streams[0], 4000000000u * (uint64_t)S, 5000);
    tr_media first = packet(0, 1, 5000, S);
    tr__timeline_begin(&timeline, &source, -1, &first, S, DRAWN_NONE, &rewrite);
    tr__timeline_on_sent(&timeline, &source, &first, &rewrite);
    CHECK(!tr__timeline_stream(&timeline, &source, 0)); /* of their clock nothing is known yet */
    CHECK_EQ((uint32_t)(sent_ts(&first) + 2 * RATE), tr__timeline_now(&timeline, &source, NULL, 3 * S, 0));
    clock_ = (tr_clock){.offset_us = 9 * (int64_t)S, .has_offset = true};
    const tr_stream *stream = tr__timeline_stream(&timeline, &source, 0);
    CHECK(stream == &streams[0]);
    CHECK_EQ((uint32_t)(5000 + OFFSET + RATE),
             tr__timeline_now(&timeline, &source, stream, 3 * S, tr__ntp_from_us(ours_us)));
    streams[0].generation++; /* its report is of another clock now */
    CHECK(!tr__timeline_stream(&timeline, &source, 0));
    CHECK(!tr__timeline_stream(&timeline, &source, -1));
    CHECK(!tr__timeline_stream(&timeline, NULL, 0));
}

static void a_time_beyond_all_sense_keeps_its_low_bits(void)
{
    CHECK_EQ(RATE, tr__ticks(S, RATE));
    CHECK_EQ(-RATE, tr__ticks(-(int64_t)S, RATE));
    CHECK_EQ((uint32_t)((uint64_t)(INT64_MAX / 1000000) * RATE + (uint64_t)(INT64_MAX % 1000000 * RATE / 1000000)),
             (uint32_t)tr__ticks(INT64_MAX, RATE));
}

static const check_test tests[] = {
    TEST(the_first_packet_leaves_with_the_offset_that_was_drawn),
    TEST(the_same_clock_keeps_its_offset_over_a_pause),
    TEST(a_publisher_who_begins_anew_goes_on_by_the_time_of_arrival),
    TEST(two_encodings_are_aligned_by_their_own_reports),
    TEST(a_report_that_lies_by_more_than_five_seconds_is_not_believed),
    TEST(what_is_older_than_the_present_picture_follows_it_by_single_ticks),
    TEST(now_is_what_the_sources_report_says_moved_into_our_clock),
    TEST(a_time_beyond_all_sense_keeps_its_low_bits),
};
CHECK_MAIN("test_timeline", tests)
