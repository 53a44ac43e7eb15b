/* load honesty: a line that loses, corrupts, doubles, delays and swaps; the engine's counts say exactly that. */
#include "support/load_room.h"
#include "support/load_stub.h"

static load_room r;
static stub s;

static tl_totals totals_of(void)
{
    tl_totals totals;
    CHECK_EQ(TL_OK, tl_engine_totals(r.engine, &totals));
    return totals;
}

static bool has_enough(load_room *room)
{
    (void)room;
    return totals_of().media.received >= 3000;
}

/* Nothing is on its way any more: what the line let pass has been read, it holds nothing back, and no packet is so
 * young that it might still come. (Where subscribers ask again, resends pass that are no packets of their own.) */
static bool has_settled(load_room *room)
{
    if (atomic_load(&s.waiting) || totals_of().media.in_flight) return false;
    return !room->has_no_nack || totals_of().media.received >= atomic_load(&s.passed);
}

/* A consult over such a line, three thousand packets long; what the engine counted. */
static tl_totals run(const stub_plan *plan, bool has_nack)
{
    room_init(&r, NULL);
    r.has_no_nack = !has_nack;
    stub_start(&s, r.port, plan);
    r.port = s.port;
    tl_send sends[] = {room_audio(1, 10), room_video(1, 11), room_audio(2, 20), room_video(2, 21)};
    for (uint32_t peer = 1; peer <= 2; peer++) room_add_peer(&r, peer, 1);
    for (int i = 0; i < 4; i++) {
        sends[i].bitrate_bps *= 2; /* the sooner there are enough */
        room_publish(&r, &sends[i]);
        room_subscribe(&r, 3 - sends[i].peer, (uint32_t)i, &sends[i]);
    }
    CHECK(room_wait(&r, TL_EVENT_CONNECTED, 2));
    for (uint32_t peer = 1; peer <= 2; peer++) CHECK_EQ(TL_OK, tl_engine_start_sending(r.engine, peer, room_now_ns()));
    CHECK(room_until(&r, has_enough));
    for (uint32_t peer = 1; peer <= 2; peer++) CHECK_EQ(TL_OK, tl_engine_stop_sending(r.engine, peer));
    CHECK(room_until(&r, has_settled));
    tl_totals t = totals_of();
    stub_stop(&s);
    CHECK_EQ(t.media.sent, t.media.received + t.media.lost + t.media.in_flight);
    CHECK_EQ(0, t.receive_overflows + t.send_errors + t.unstamped_packets + t.media.corrupted + t.media.stale);
    return t;
}

static void a_clean_line_is_clean(void)
{
    tl_totals t = run(&(stub_plan){0}, false);
    CHECK_EQ(s.counts.rtp, t.media.received);
    CHECK_EQ(0, t.media.lost + t.media.duplicates + t.media.reordered + t.media.auth_failures);
    room_dispose(&r);
}

static void one_in_a_hundred_lost_is_said_to_be_lost(void)
{
    tl_totals t = run(&(stub_plan){.drop = 100}, false);
    CHECK(s.counts.dropped >= 25);
    CHECK_EQ(s.counts.dropped, t.media.lost);
    CHECK_EQ(0, t.media.duplicates + t.media.reordered + t.media.auth_failures);
    CHECK(t.media.freezes > 0);
    room_dispose(&r);
}

static void one_in_two_hundred_corrupted_fails_to_authenticate_and_is_lost(void)
{
    tl_totals t = run(&(stub_plan){.corrupt = 200}, false);
    CHECK(s.counts.corrupted >= 10);
    CHECK_EQ(s.counts.corrupted, t.media.auth_failures);
    CHECK_EQ(s.counts.corrupted, t.media.lost);
    CHECK_EQ(0, t.media.duplicates + t.media.reordered);
    room_dispose(&r);
}

static void duplicates_and_swaps_are_told_apart(void)
{
    tl_totals t = run(&(stub_plan){.duplicate = 150, .swap = 170}, false);
    CHECK(s.counts.duplicated >= 10);
    CHECK(s.counts.reordered >= 10);
    CHECK_EQ(s.counts.duplicated, t.media.duplicates);
    CHECK_EQ(s.counts.reordered, t.media.reordered);
    CHECK_EQ(0, t.media.lost + t.media.auth_failures);
    room_dispose(&r);
}

static void a_delay_shows_in_the_latency_and_as_reordering(void)
{
    tl_totals t = run(&(stub_plan){.delay = 130, .delay_us = 80000}, false);
    static tl_histogram audio, video;
    CHECK_EQ(TL_OK, tl_engine_histogram(r.engine, TL_HISTOGRAM_AUDIO, &audio, 0));
    CHECK_EQ(TL_OK, tl_engine_histogram(r.engine, TL_HISTOGRAM_VIDEO, &video, 0));
    uint64_t late = 0;
    for (uint32_t i = 0; i < TL_BUCKETS; i++)
        if (tl_bucket_low(i + 1) > 80000) late += audio.buckets[i] + video.buckets[i];
    CHECK(s.counts.delayed >= 10);
    CHECK(late >= s.counts.delayed); /* a busy machine delays others, too */
    CHECK_EQ(s.counts.reordered, t.media.reordered);
    CHECK_EQ(0, t.media.lost + t.media.duplicates + t.media.auth_failures);
    room_dispose(&r);
}

static void all_at_once_adds_up(void)
{
    tl_totals t =
        run(&(stub_plan){.drop = 100, .corrupt = 200, .duplicate = 150, .delay = 130, .delay_us = 50000}, false);
    CHECK_EQ(s.counts.dropped + s.counts.corrupted, t.media.lost);
    CHECK_EQ(s.counts.corrupted, t.media.auth_failures);
    CHECK_EQ(s.counts.duplicated, t.media.duplicates);
    CHECK_EQ(s.counts.reordered, t.media.reordered);
    CHECK_EQ(s.counts.rtp - s.counts.dropped - s.counts.corrupted, t.media.received);
    room_dispose(&r);
}

static void what_is_asked_for_again_is_repaired(void)
{
    tl_totals t = run(&(stub_plan){.drop = 100}, true);
    CHECK(t.video.nacks > 0);
    CHECK(t.video.repaired > 0);
    /* What the line took and nobody brought back: all of the sound, and resends that were taken as well. */
    CHECK(t.media.lost < s.counts.dropped);
    CHECK_EQ(0, t.media.reordered + t.media.auth_failures);
    room_dispose(&r);
}

static const check_test tests[] = {
    TEST(a_clean_line_is_clean),
    TEST(one_in_a_hundred_lost_is_said_to_be_lost),
    TEST(one_in_two_hundred_corrupted_fails_to_authenticate_and_is_lost),
    TEST(duplicates_and_swaps_are_told_apart),
    TEST(a_delay_shows_in_the_latency_and_as_reordering),
    TEST(all_at_once_adds_up),
    TEST(what_is_asked_for_again_is_repaired),
};
CHECK_MAIN("test_load_honesty", tests)
