/* rungs: a ladder that control set moves a transport's senders with the estimate of its line, through the engine. */
#include "rungs.h"

#include "support/peer.h"

#define MS 1000
#define TWCC_ID 3
#define SMALL 200 /* payload of the lower encoding, and of the upper one */
#define LARGE 900
#define SENDER 9

static world w;
static peer *a, *b;
static uint64_t video_index;

static tr_transport *line(void) { return (tr_transport *)(uintptr_t)tr__engine_guess(w.engine, &b->path); }

/* What the estimator is to think from now on; no feedback comes that would say otherwise. */
static void estimate(double bps) { line()->downlink->estimator->bps = bps; }

static void add_sender(uint32_t id, uint32_t ssrc)
{
    tr_add_sender sender = peer_sender(id, b->transport, TR_VIDEO, ssrc);
    sender.extensions[TR_EXT_TWCC] = TWCC_ID;
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_SENDER, &sender, sizeof sender));
}

static void bind(uint32_t id)
{
    tr_bind_sender bind = peer_bind(id, 1, 120, 121);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_BIND_SENDER, &bind, sizeof bind));
}

/* A publisher of a camera in two encodings, and one who is to be sent it, from a start of so much on. */
static void prepare(uint32_t start_bps)
{
    world_init(&w, 1, TR_CRYPTO_OPENSSL);
    a = world_add_peer(&w, 0x10001, 1, true);
    b = world_add_peer(&w, 0x10002, 1, true);
    CHECK(world_connect(&w, a));
    tr_add_receiver receiver = peer_receiver(1, a->transport, TR_VIDEO, 5000);
    receiver.encoding_count = 2;
    strcpy(receiver.encodings[0].rid, "q");
    receiver.encodings[1] = (tr_encoding){.rid = "h", .ssrc = 5010, .rtx_ssrc = 5011};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_ADD_RECEIVER, &receiver, sizeof receiver));
    add_sender(SENDER, 7000);
    tr_set_downlink set = {b->transport, true, start_bps, 10000, 5000000};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_DOWNLINK, &set, sizeof set));
    video_index = 0;
}

static void begin(uint32_t start_bps)
{
    prepare(start_bps);
    CHECK(world_connect(&w, b));
}

/* Pause below 60 kbit/s, the small picture, and the large one from 300 kbit/s on. */
static int set_ladder(uint32_t sender)
{
    tr_set_ladder set = {.transport = b->transport,
                         .count = 3,
                         .rungs = {{.sender = sender, .cost_bps = 20000, .is_paused = 1},
                                   {.sender = sender, .cost_bps = 60000, .temporal = TR_LAYER_ANY},
                                   {.sender = sender, .cost_bps = 300000, .encoding = 1, .temporal = TR_LAYER_ANY}}};
    return world_command(&w, TR_CMD_SET_LADDER, &set, offsetof(tr_set_ladder, rungs) + 3 * sizeof(tr_rung));
}

static void send_encoding(uint32_t ssrc, size_t payload)
{
    uint8_t packet[TR_OUTBOX_SLOT];
    size_t size = peer_write_rtp(packet, sizeof packet, PEER_VP8_PT, video_index, (uint32_t)video_index * 1800, ssrc,
                                 video_index % 5 == 1, true, (uint16_t)(2 * video_index + (ssrc != 5000)), payload);
    CHECK_EQ(TR_DROP_NONE, peer_send_rtp(&w, a, packet, size, video_index));
}

typedef struct seen {
    int small, large;     /* packets b was sent of either encoding */
    int held, released;   /* what control was told */
    tr_estimate estimate; /* the latest */
} seen;

/* 50 packets a second of both encodings, each fifth a keyframe. */
static seen run(uint64_t us)
{
    seen found = {0};
    for (uint64_t end = w.now_us + us; w.now_us < end;) {
        if (w.now_us / MS % 20 == 0) {
            uint64_t before = b->got_count;
            video_index++;
            send_encoding(5000, SMALL);
            send_encoding(5010, LARGE);
            world_deliver(&w);
            for (uint64_t i = before; i < b->got_count; i++) {
                if (b->got[i % 256].is_rtcp) continue;
                found.small += b->got[i % 256].size < LARGE;
                found.large += b->got[i % 256].size >= LARGE;
            }
        }
        w.now_us += MS;
        tr__engine_on_timer(w.engine, w.now_us);
        tr_event event;
        size_t size;
        while (tr__ring_pop(&w.events, &event.type, &event.tag, event.body, sizeof event.body, &size) == 1) {
            tr_sender_held held;
            if (event.type == TR_EVENT_ESTIMATE) memcpy(&found.estimate, event.body, sizeof found.estimate);
            if (event.type != TR_EVENT_SENDER_HELD) continue;
            CHECK_EQ(sizeof held, size);
            memcpy(&held, event.body, sizeof held);
            CHECK_EQ(b->transport, held.transport);
            CHECK_EQ(SENDER, held.sender);
            found.held += held.is_held;
            found.released += !held.is_held;
        }
        world_deliver(&w);
    }
    return found;
}

static void a_track_begins_with_the_layer_its_line_carries(void)
{
    begin(200000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    seen first = run(1000 * MS);
    CHECK(first.small > 30);
    CHECK_EQ(0, first.large);
    CHECK_EQ(2, first.estimate.rung);
    CHECK_EQ(200000, first.estimate.estimate_bps);
    world_dispose(&w);
}

/* The ladder is there with the offer. What costs more than the first guess has its second from when it can go out,
 * however long ICE and DTLS take. */
static void a_slow_connection_takes_no_picture_away(void)
{
    for (uint64_t took_us = 0; took_us <= 4000 * MS; took_us += 2000 * MS) {
        prepare(1000000);
        tr_set_ladder set = {.transport = b->transport,
                             .count = 2,
                             .rungs = {{.sender = SENDER, .is_paused = 1},
                                       {.sender = SENDER, .cost_bps = 3000000, .temporal = TR_LAYER_ANY}}};
        CHECK_EQ(TR_OK,
                 world_command(&w, TR_CMD_SET_LADDER, &set, offsetof(tr_set_ladder, rungs) + 2 * sizeof(tr_rung)));
        bind(SENDER);
        for (uint64_t end = w.now_us + took_us; w.now_us < end; w.now_us += MS) tr__engine_on_timer(w.engine, w.now_us);
        CHECK(world_connect(&w, b));
        seen first = run(900 * MS);
        CHECK(first.small > 20);
        CHECK_EQ(0, first.held);
        CHECK_EQ(1, run(500 * MS).held);
        world_dispose(&w);
    }
}

static void up_and_down_with_the_estimate(void)
{
    begin(1000000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    run(500 * MS);
    seen wide = run(1000 * MS);
    CHECK_EQ(50, wide.large);
    CHECK_EQ(0, wide.small);
    CHECK_EQ(3, tr_ladder_rung(line()->ladder));
    estimate(150000);
    run(1500 * MS);
    seen narrow = run(1000 * MS);
    CHECK_EQ(50, narrow.small);
    CHECK_EQ(0, narrow.large);
    CHECK_EQ(2, tr_ladder_rung(line()->ladder));
    estimate(1000000);
    run(6000 * MS);
    seen back = run(1000 * MS);
    CHECK_EQ(50, back.large);
    CHECK_EQ(0, back.small);
    world_dispose(&w);
}

/* Packets that come later and later are a queue: real feedback, and the ladder falls by it. */
static void feedback_of_a_full_line_takes_the_large_picture_away(void)
{
    begin(1000000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    static tr_twcc theirs;
    uint64_t arrives_us = w.now_us;
    seen latest = {0};
    int small = 0;
    for (int i = 0; i < 50; i++) {
        int64_t first = line()->downlink->next_number;
        latest = run(100 * MS);
        small += latest.small;
        int64_t count = line()->downlink->next_number - first;
        uint8_t data[1200];
        tr_pen pen = tr__pen(data, sizeof data);
        tr__twcc_init(&theirs);
        for (int64_t k = 0; k < count; k++) {
            /* A line of 160 kbit/s: the large ones take 48 ms each, the small ones fit. */
            uint64_t serial_us = latest.large ? 48 * MS : 13 * MS;
            uint64_t left_us = w.now_us - (uint64_t)(count - k) * 20 * MS;
            arrives_us = (arrives_us > left_us ? arrives_us : left_us) + serial_us;
            tr__twcc_on_packet(&theirs, (uint16_t)(first + k), arrives_us, arrives_us);
        }
        if (!count) continue;
        CHECK(tr__twcc_put_feedback(&theirs, &pen, 1, 7000, UINT64_MAX - 1));
        uint8_t sealed[TR_OUTBOX_SLOT];
        memcpy(sealed, pen.begin, tr__pen_size(&pen));
        peer_send(&w, b, sealed, tr__srtp_seal_rtcp(b->srtp, sealed, tr__pen_size(&pen)));
    }
    CHECK_EQ(0, latest.large);
    CHECK(small > 0);
    CHECK(line()->downlink->estimator->bps < 300000);
    world_dispose(&w);
}

static void what_the_line_pauses_control_is_told_at_once(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    CHECK(run(1000 * MS).small > 30);
    estimate(30000);
    seen falling = run(1500 * MS);
    CHECK_EQ(1, falling.held);
    CHECK_EQ(0, falling.released);
    seen held = run(1000 * MS);
    CHECK_EQ(0, held.small + held.large);
    CHECK_EQ(1, tr_ladder_rung(line()->ladder));
    CHECK_EQ(1, falling.estimate.rung);
    CHECK(tr__sender_is_held(line()->senders[0]));
    /* Five seconds of 300 kbit/s bring it back. */
    estimate(400000);
    CHECK_EQ(0, run(4000 * MS).released);
    CHECK_EQ(1, run(1500 * MS).released);
    seen back = run(1000 * MS);
    CHECK(back.small + back.large > 40);
    world_dispose(&w);
}

static void pausing_and_holding_are_two_things(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    run(500 * MS);
    tr_pause_sender pause = {SENDER, 1}, resume = {SENDER, 0};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_PAUSE_SENDER, &pause, sizeof pause));
    CHECK_EQ(0, run(500 * MS).small);
    /* Time stands still for the estimator of a line that nothing is sent on: the sets below are what moves it. */
    line()->downlink->estimator->bps = 30000;
    line()->ladder->is_placed = false;
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    CHECK(tr__sender_is_held(line()->senders[0]));
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_PAUSE_SENDER, &resume, sizeof resume));
    CHECK_EQ(0, run(500 * MS).small);
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_PAUSE_SENDER, &pause, sizeof pause));
    tr_set_ladder none = {.transport = b->transport};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_SET_LADDER, &none, sizeof none));
    CHECK(!tr__sender_is_held(line()->senders[0]));
    CHECK_EQ(0, run(500 * MS).small);
    line()->downlink->estimator->bps = 5000000; /* room for the pace of it */
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_PAUSE_SENDER, &resume, sizeof resume));
    CHECK(run(500 * MS).large > 15);
    world_dispose(&w);
}

static void who_is_in_it_no_longer_gets_the_best(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    CHECK_EQ(0, run(500 * MS).large);
    CHECK_EQ(TR_OK, set_ladder(SENDER + 1));
    line()->downlink->estimator->bps = 5000000; /* room for the pace of it */
    CHECK(run(1000 * MS).large > 30);
    world_dispose(&w);
}

static void a_hold_that_found_no_room_is_told_later(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    run(500 * MS);
    uint8_t body[1024] = {0};
    while (tr__ring_push(&w.events, TR_EVENT_DATA, 0, body, sizeof body) == TR_OK) {}
    while (tr__ring_push(&w.events, TR_EVENT_DATA, 0, body, 1) == TR_OK) {}
    line()->ladder->is_placed = false;
    estimate(30000);
    tr__rungs_on_time(line(), w.now_us);
    CHECK(tr__sender_is_held(line()->senders[0]));
    CHECK(line()->are_held_untold);
    world_take_events(&w);
    CHECK_EQ(1, run(100 * MS).held);
    CHECK(!line()->are_held_untold);
    world_dispose(&w);
}

static void senders_and_transports_may_go(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    bind(SENDER);
    run(500 * MS);
    tr_one_id one = {SENDER};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_REMOVE_SENDER, &one, sizeof one));
    estimate(30000);
    w.now_us += 300 * MS;
    tr__rungs_on_time(line(), w.now_us);
    tr_one_id gone = {b->transport};
    CHECK_EQ(TR_OK, world_command(&w, TR_CMD_REMOVE_TRANSPORT, &gone, sizeof gone));
    CHECK_EQ(TR_ERR_NOT_FOUND, set_ladder(SENDER));
    world_dispose(&w);
}

static void what_is_wanted_reaches_the_estimator(void)
{
    begin(150000);
    CHECK_EQ(TR_OK, set_ladder(SENDER));
    CHECK_EQ(300000 * 115 / 100, (uint64_t)line()->downlink->estimator->wanted_bps);
    world_dispose(&w);
}

static void what_cannot_be_is_refused(void)
{
    begin(150000);
    tr_set_ladder set = {.transport = b->transport, .count = TR_MAX_RUNGS + 1};
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_SET_LADDER, &set, sizeof set));
    set.count = 2;
    CHECK_EQ(TR_ERR_ARGUMENT,
             world_command(&w, TR_CMD_SET_LADDER, &set, offsetof(tr_set_ladder, rungs) + sizeof(tr_rung)));
    set.rungs[0] = (tr_rung){.sender = SENDER, .cost_bps = 2};
    set.rungs[1] = (tr_rung){.sender = SENDER, .cost_bps = 1};
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_SET_LADDER, &set, sizeof set));
    CHECK_EQ(TR_ERR_ARGUMENT, world_command(&w, TR_CMD_SET_LADDER, &set, 4));
    world_dispose(&w);
}

static const check_test tests[] = {
    TEST(a_track_begins_with_the_layer_its_line_carries),
    TEST(a_slow_connection_takes_no_picture_away),
    TEST(up_and_down_with_the_estimate),
    TEST(feedback_of_a_full_line_takes_the_large_picture_away),
    TEST(what_the_line_pauses_control_is_told_at_once),
    TEST(pausing_and_holding_are_two_things),
    TEST(who_is_in_it_no_longer_gets_the_best),
    TEST(a_hold_that_found_no_room_is_told_later),
    TEST(senders_and_transports_may_go),
    TEST(what_is_wanted_reaches_the_estimator),
    TEST(what_cannot_be_is_refused),
};
CHECK_MAIN("test_rungs", tests)
