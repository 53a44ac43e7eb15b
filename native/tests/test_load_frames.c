/* load frames: what can be decoded, and when the picture stands still. */
#include "frames.h"

#include "check.h"

#define INTERVAL 33000u

static bool whole(tl_frames *frames, uint32_t number, bool is_keyframe, uint64_t at_us)
{
    return tl__frames_on_packet(frames, number, 1, is_keyframe, at_us);
}

/* A keyframe and `count` more, evenly; the time of the next. */
static uint64_t run(tl_frames *frames, uint32_t count)
{
    uint64_t at_us = 1000000;
    tl__frames_init(frames);
    for (uint32_t i = 0; i < count; i++, at_us += INTERVAL) CHECK(whole(frames, i, i == 0, at_us));
    return at_us;
}

static void nothing_is_decoded_before_a_keyframe(void)
{
    tl_frames frames;
    tl__frames_init(&frames);
    CHECK(!whole(&frames, 5, false, 1000));
    CHECK(!whole(&frames, 6, false, 2000));
    CHECK_EQ(1000, tl__frames_stuck_us(&frames, 2000));
    CHECK(whole(&frames, 7, true, 3000));
    CHECK_EQ(0, tl__frames_stuck_us(&frames, 4000));
    CHECK(whole(&frames, 8, false, 4000));
    CHECK_EQ(2, frames.decoded);
    CHECK_EQ(1, frames.keyframes);
}

static void a_frame_waits_for_all_its_packets_in_any_order(void)
{
    tl_frames frames;
    tl__frames_init(&frames);
    CHECK(!tl__frames_on_packet(&frames, 0, 3, true, 1000));
    CHECK(!tl__frames_on_packet(&frames, 0, 3, true, 1000));
    CHECK(!tl__frames_on_packet(&frames, 1, 1, false, 1100));
    CHECK(tl__frames_on_packet(&frames, 0, 3, true, 1200));
    CHECK_EQ(2, frames.decoded); /* the one behind it was complete already */
}

static void a_missing_frame_holds_up_the_rest_until_it_comes(void)
{
    tl_frames frames;
    uint64_t at_us = run(&frames, 40);
    for (uint32_t i = 41; i < 46; i++) CHECK(!whole(&frames, i, false, at_us + (i - 40) * INTERVAL));
    CHECK_EQ(40, frames.decoded);
    CHECK(tl__frames_stuck_us(&frames, at_us + 6 * INTERVAL) >= 5 * INTERVAL);
    CHECK(whole(&frames, 40, false, at_us + 6 * INTERVAL));
    CHECK_EQ(46, frames.decoded);
    CHECK_EQ(1, frames.freezes);
    CHECK_EQ(7 * INTERVAL - INTERVAL, frames.freeze_us); /* seven intervals between two frames, one of them due */
}

static void a_keyframe_ends_the_wait(void)
{
    tl_frames frames;
    uint64_t at_us = run(&frames, 40);
    for (uint32_t i = 41; i < 50; i++) whole(&frames, i, false, at_us);
    CHECK(whole(&frames, 50, true, at_us + INTERVAL));
    CHECK(whole(&frames, 51, false, at_us + 2 * INTERVAL));
    CHECK(!whole(&frames, 40, false, at_us + 2 * INTERVAL)); /* too late */
    CHECK_EQ(42, frames.decoded);
}

static void a_short_gap_is_no_freeze(void)
{
    tl_frames frames;
    uint64_t at_us = run(&frames, 40);
    CHECK(whole(&frames, 40, false, at_us + 140000)); /* 173 ms after the one before */
    CHECK_EQ(0, frames.freezes);
    CHECK(whole(&frames, 41, false, at_us + 140000 + 200000));
    CHECK_EQ(1, frames.freezes);
}

static void at_a_low_frame_rate_three_intervals_count(void)
{
    tl_frames frames;
    tl__frames_init(&frames);
    for (uint32_t i = 0; i < 10; i++) whole(&frames, i, i == 0, 1000000 + i * 500000ull);
    whole(&frames, 10, false, 1000000 + 9 * 500000ull + 1400000);
    CHECK_EQ(0, frames.freezes);
    whole(&frames, 11, false, 1000000 + 9 * 500000ull + 1400000 + 2000000);
    CHECK_EQ(1, frames.freezes);
}

static void a_freeze_that_goes_on_is_told(void)
{
    tl_frames frames;
    uint64_t at_us = run(&frames, 40);
    CHECK_EQ(0, tl__frames_freezing_us(&frames, at_us + 100000));
    CHECK_EQ(1000000, tl__frames_freezing_us(&frames, at_us + 1000000));
    tl__frames_cut(&frames);
    CHECK_EQ(0, tl__frames_freezing_us(&frames, at_us + 2000000));
    CHECK(!whole(&frames, 90, false, at_us + 2000000)); /* after a cut it begins with a keyframe */
    CHECK(whole(&frames, 91, true, at_us + 2100000));
    CHECK_EQ(0, frames.freezes);
}

static void rings_wrap(void)
{
    tl_frames frames;
    uint64_t at_us = run(&frames, 3);
    for (uint32_t i = 4; i < 4 + 3 * TL_FRAMES_RING; i++) CHECK(!whole(&frames, i, false, at_us += INTERVAL));
    CHECK(whole(&frames, 4 + 3 * TL_FRAMES_RING, true, at_us));
    CHECK_EQ(4, frames.decoded);
}

static const check_test tests[] = {
    TEST(nothing_is_decoded_before_a_keyframe),
    TEST(a_frame_waits_for_all_its_packets_in_any_order),
    TEST(a_missing_frame_holds_up_the_rest_until_it_comes),
    TEST(a_keyframe_ends_the_wait),
    TEST(a_short_gap_is_no_freeze),
    TEST(at_a_low_frame_rate_three_intervals_count),
    TEST(a_freeze_that_goes_on_is_told),
    TEST(rings_wrap),
};
CHECK_MAIN("test_load_frames", tests)
