/* joiners: twenty receivers come to one simulcast publisher within a second: how often it is asked for a keyframe, and
 * when each has the encoding it should. Some know what their lines carry when they come, others climb. */
#include "support/camera.h"

#define JOINERS 20
#define STEP_US (FRAME_US / 3)

typedef struct joiner {
    tr_egress egress;
    tr_sender *sender;
    uint64_t joins_us, right_us; /* 0: not yet */
    uint64_t climbs_us;          /* from when on it wants the best; 0: it wants one encoding all the time */
    uint8_t encoding;
} joiner;
static joiner joiners[JOINERS];
static camera cam;

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void join(joiner *j, const tr_add_receiver *params, uint32_t number)
{
    j->egress = r.egress;
    j->egress.owner = number;
    tr_add_sender as = sender_params(TR_VIDEO, 6000 + number, 0);
    j->sender = tr__sender_new(&as, &j->egress, FIRST, RTX_FIRST, TS_OFFSET + number);
    tr__sender_set_layer(j->sender, (tr_layer){j->encoding, TR_LAYER_ANY, TR_LAYER_ANY}, now);
    tr_bind_sender bind = bind_params(params, &as);
    CHECK_EQ(TR_OK, tr__receiver_add_sender(receiver, j->sender, &bind, now));
}

/* A browser's answer: all encodings, some time after the first request. */
static uint64_t answer_at_us;
static uint32_t asked;

static void read_feedback(uint64_t round_trip_us)
{
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    if (tr__receiver_feedback_at(receiver) > now || !tr__receiver_put_feedback(receiver, &pen, 1, now)) return;
    tr_rtcp_part part;
    for (size_t at = 0; tr__rtcp_next(data, tr__pen_size(&pen), &at, &part);) {
        if (part.type != TR_RTCP_PSFB) continue;
        asked++;
        if (answer_at_us == UINT64_MAX) answer_at_us = now + round_trip_us;
    }
}

static void drain(void)
{
    for (uint32_t i = 0; i < r.outbox.count; i++) CHECK(r.outbox.items[i].size <= TR_MAX_DATAGRAM);
    tr__outbox_clear(&r.outbox);
    r.taken = 0;
}

/* Its line has shown what it carries. */
static void climb(joiner *j)
{
    if (!j->sender || !j->climbs_us || j->climbs_us > now) return;
    j->climbs_us = 0;
    j->encoding = TR_LAYER_ANY;
    tr__sender_set_layer(j->sender, (tr_layer){TR_LAYER_ANY, TR_LAYER_ANY, TR_LAYER_ANY}, now);
}

/* Four seconds of a call that has gone on for two. Returns the 95th percentile of when a joiner had what it should. */
static uint64_t crowd(uint64_t seed, uint64_t round_trip_us, bool do_climb)
{
    tr_add_receiver params = video_params(ENCODINGS);
    cam = make_camera(3, &seed);
    begin(&params, true);
    asked = 0;
    answer_at_us = UINT64_MAX;
    uint64_t begins_us = now + 2 * (uint64_t)S;
    for (uint32_t i = 0; i < JOINERS; i++)
        joiners[i] = (joiner){.joins_us = begins_us + check_random(&seed) % (1 * S),
                              .encoding = i < 5    ? 0
                                          : i < 10 ? 1
                                                   : TR_LAYER_ANY};
    for (uint32_t i = 0; i < JOINERS && do_climb; i++) {
        joiners[i].encoding = check_random(&seed) % 2;
        joiners[i].climbs_us = joiners[i].joins_us + 100 * MS + check_random(&seed) % (600 * MS);
    }
    uint32_t asked_before = 0;
    for (uint32_t step = 0; now < begins_us + 4 * (uint64_t)S; step++, now += STEP_US) {
        if (now < begins_us) asked_before = asked;
        for (uint32_t i = 0; i < JOINERS; i++)
            if (!joiners[i].sender && joiners[i].joins_us <= now) join(&joiners[i], &params, i);
        for (uint32_t i = 0; i < JOINERS; i++) climb(&joiners[i]);
        static packet parts[ENCODINGS][16];
        static size_t count[ENCODINGS];
        if (step % 3 == 0) {
            cam.is_key_wanted = answer_at_us <= now;
            if (cam.is_key_wanted) answer_at_us = UINT64_MAX;
            for (int e = 0; e < ENCODINGS; e++) count[e] = shoot(&cam, e, parts[e]);
            cam.shots++;
        }
        for (int e = 0; e < ENCODINGS; e++)
            for (size_t i = count[e] * (step % 3) / 3; i < count[e] * (step % 3 + 1) / 3; i++)
                feed(receiver, e, false, &parts[e][i], now);
        drain();
        read_feedback(round_trip_us);
        for (uint32_t i = 0; i < JOINERS; i++) {
            tr_sender_stats stats;
            if (!joiners[i].sender || joiners[i].right_us || joiners[i].climbs_us) continue;
            tr__sender_stats(joiners[i].sender, now, &stats);
            uint8_t right = joiners[i].encoding == TR_LAYER_ANY ? ENCODINGS - 1 : joiners[i].encoding;
            if (stats.tx_packets && stats.encoding == right) joiners[i].right_us = now;
        }
    }
    asked -= asked_before;
    uint64_t took[JOINERS];
    for (uint32_t i = 0; i < JOINERS; i++) {
        CHECK(joiners[i].right_us > 0);
        took[i] = joiners[i].right_us - joiners[i].joins_us;
        tr__receiver_remove_sender(receiver, joiners[i].sender, now);
        tr__sender_free(joiners[i].sender);
    }
    end();
    qsort(took, JOINERS, sizeof *took, by_value);
    return took[JOINERS * 95 / 100];
}

static void twenty_who_join_within_a_second_cost_two_keyframes(void)
{
    static const uint64_t round_trips_ms[] = {10, 50, 150, 300};
    for (size_t i = 0; i < sizeof round_trips_ms / sizeof *round_trips_ms; i++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            uint64_t took_us = crowd(seed, round_trips_ms[i] * MS, false);
            CHECK(asked <= 2);
            CHECK(took_us <= 2500 * MS);
            CHECK(took_us <= 2 * round_trips_ms[i] * MS + 100 * MS);
            if (asked > 2 || took_us > 2 * round_trips_ms[i] * MS + 100 * MS)
                fprintf(stderr, "round trip %u ms, seed %u: %u requests, right after %u ms\n",
                        (unsigned)round_trips_ms[i], (unsigned)seed, asked, (unsigned)(took_us / MS));
        }
}

/* They begin with what any line takes, and each climbs some time after. */
static void twenty_who_climb_one_by_one_cost_two_keyframes(void)
{
    static const uint64_t round_trips_ms[] = {10, 50, 150};
    for (size_t i = 0; i < sizeof round_trips_ms / sizeof *round_trips_ms; i++)
        for (uint64_t seed = 1; seed <= 10; seed++) {
            uint64_t took_us = crowd(seed, round_trips_ms[i] * MS, true);
            CHECK(asked <= 2);
            CHECK(took_us <= 2500 * MS);
            if (asked > 2 || took_us > 2500 * MS)
                fprintf(stderr, "climbing, round trip %u ms, seed %u: %u requests, right after %u ms\n",
                        (unsigned)round_trips_ms[i], (unsigned)seed, asked, (unsigned)(took_us / MS));
        }
}

static const check_test tests[] = {
    TEST(twenty_who_join_within_a_second_cost_two_keyframes),
    TEST(twenty_who_climb_one_by_one_cost_two_keyframes),
};
CHECK_MAIN("test_joiners", tests)
