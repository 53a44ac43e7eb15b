/* load plan: the same seed is the same load; rates, frame splitting, keyframes that are asked for. */
#include "plan.h"

#include "check.h"

static tl_send video(uint32_t stream)
{
    return (tl_send){.stream = stream,
                     .kind = TL_VIDEO,
                     .codec = TL_CODEC_VP8,
                     .clock_rate = 90000,
                     .bitrate_bps = 1500000,
                     .frames_per_s_milli = 30000,
                     .keyframe_interval_ms = 10000,
                     .keyframe_ratio_milli = 4000,
                     .jitter_milli = 200};
}

static void the_same_seed_is_the_same_load(void)
{
    tl_send send = video(3);
    tl_plan a, b, other_seed, other_stream;
    tl_send second = video(4);
    CHECK(tl__plan_init(&a, &send, 42) && tl__plan_init(&b, &send, 42) && tl__plan_init(&other_seed, &send, 43) &&
          tl__plan_init(&other_stream, &second, 42));
    CHECK(a.phase_ns != other_seed.phase_ns);
    CHECK(a.phase_ns != other_stream.phase_ns);
    int differing = 0;
    for (int i = 0; i < 1000; i++) {
        bool key_a, key_b, key_other;
        uint32_t bytes = tl__plan_next(&a, false, &key_a);
        CHECK_EQ(bytes, tl__plan_next(&b, false, &key_b));
        CHECK_EQ(key_a, key_b);
        CHECK_EQ(tl__plan_due_ns(&a, (uint64_t)i), tl__plan_due_ns(&b, (uint64_t)i));
        differing += bytes != tl__plan_next(&other_seed, false, &key_other);
    }
    CHECK(differing > 900);
}

static void the_mean_rate_is_the_one_asked_for(void)
{
    static const struct {
        uint32_t bitrate, frames, interval_ms, ratio, jitter;
    } ROWS[] = {{1500000, 30000, 10000, 4000, 200}, {500000, 15000, 0, 4000, 0}, {2500000, 30000, 2000, 8000, 500}};
    for (size_t i = 0; i < 3; i++) {
        tl_send send = video((uint32_t)i);
        send.bitrate_bps = ROWS[i].bitrate;
        send.frames_per_s_milli = ROWS[i].frames;
        send.keyframe_interval_ms = ROWS[i].interval_ms;
        send.keyframe_ratio_milli = ROWS[i].ratio;
        send.jitter_milli = ROWS[i].jitter;
        tl_plan plan;
        CHECK(tl__plan_init(&plan, &send, 1));
        uint64_t bytes = 0, frames = 120ull * ROWS[i].frames / 1000, keyframes = 0;
        for (uint64_t k = 0; k < frames; k++) {
            bool is_keyframe;
            bytes += tl__plan_next(&plan, false, &is_keyframe);
            keyframes += is_keyframe;
        }
        double rate = (double)bytes * 8 / 120;
        CHECK(rate > 0.98 * ROWS[i].bitrate && rate < 1.02 * ROWS[i].bitrate);
        CHECK_EQ(ROWS[i].interval_ms ? 120000 / ROWS[i].interval_ms : 1, keyframes);
    }
}

static void a_keyframe_that_was_asked_for_is_paid_for(void)
{
    tl_send send = video(1);
    send.jitter_milli = 0;
    tl_plan asked, plain;
    CHECK(tl__plan_init(&asked, &send, 1) && tl__plan_init(&plain, &send, 1));
    uint64_t asked_bytes = 0, plain_bytes = 0;
    for (int i = 0; i < 200; i++) {
        bool is_keyframe;
        asked_bytes += tl__plan_next(&asked, i == 100, &is_keyframe);
        CHECK_EQ(i == 0 || i == 100, is_keyframe);
        plain_bytes += tl__plan_next(&plain, false, &is_keyframe);
    }
    CHECK(asked_bytes - plain_bytes < 10);
}

static void frames_are_due_evenly_and_never_drift(void)
{
    tl_send send = video(1);
    send.frames_per_s_milli = 29970;
    tl_plan plan;
    CHECK(tl__plan_init(&plan, &send, 1));
    CHECK(plan.phase_ns < tl__plan_interval_ns(&plan));
    uint64_t day = 29970ull * 86400 / 1000;
    CHECK_EQ(86400ull * 1000000000u, tl__plan_due_ns(&plan, day) - plan.phase_ns);
    CHECK_EQ((uint32_t)(86400ull * 90000), tl__plan_rtp_ts(&plan, day));
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t gap = tl__plan_due_ns(&plan, i + 1) - tl__plan_due_ns(&plan, i);
        CHECK(gap >= 33366700 - 2 && gap <= 33366700 + 2);
    }
}

static void a_frame_is_cut_into_sizes_that_differ_by_one_byte(void)
{
    for (uint32_t bytes = 1; bytes < 12000; bytes += 7) {
        uint16_t parts = tl__parts(bytes, 1150);
        CHECK_EQ((bytes + 1149) / 1150, parts);
        uint32_t sum = 0, before = 0;
        for (uint16_t i = 0; i < parts; i++) {
            uint16_t size = tl__part_size(bytes, parts, i);
            CHECK(size <= 1150);
            CHECK(i == 0 || size == before || size == before + 1); /* the larger ones last, as libwebrtc has it */
            before = size;
            sum += size;
        }
        CHECK(tl__part_size(bytes, parts, (uint16_t)(parts - 1)) - tl__part_size(bytes, parts, 0) <= 1);
        CHECK_EQ(bytes, sum);
    }
}

static void sound_is_as_large_as_its_rate(void)
{
    tl_send send = {.kind = TL_AUDIO,
                    .codec = TL_CODEC_OPUS,
                    .clock_rate = 48000,
                    .bitrate_bps = 32000,
                    .frames_per_s_milli = 50000};
    tl_plan plan;
    bool is_keyframe;
    CHECK(tl__plan_init(&plan, &send, 9));
    for (int i = 0; i < 10; i++) CHECK_EQ(80, tl__plan_next(&plan, false, &is_keyframe));
    CHECK_EQ(960, tl__plan_rtp_ts(&plan, 1));
}

static void impossible_rates_are_refused(void)
{
    tl_plan plan;
    tl_send send = video(1);
    send.bitrate_bps = 0;
    CHECK(!tl__plan_init(&plan, &send, 1));
    send = video(1);
    send.frames_per_s_milli = 10;
    CHECK(!tl__plan_init(&plan, &send, 1));
    send = video(1);
    send.clock_rate = 0;
    CHECK(!tl__plan_init(&plan, &send, 1));
    send = video(1);
    send.jitter_milli = 1000;
    CHECK(!tl__plan_init(&plan, &send, 1));
}

static const check_test tests[] = {
    TEST(the_same_seed_is_the_same_load),
    TEST(the_mean_rate_is_the_one_asked_for),
    TEST(a_keyframe_that_was_asked_for_is_paid_for),
    TEST(frames_are_due_evenly_and_never_drift),
    TEST(a_frame_is_cut_into_sizes_that_differ_by_one_byte),
    TEST(sound_is_as_large_as_its_rate),
    TEST(impossible_rates_are_refused),
};
CHECK_MAIN("test_load_plan", tests)
