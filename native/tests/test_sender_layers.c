/* sender: layers: encodings and temporal layers of VP8, up and down, as a watcher with a decoder's rules sees them. */
#include "support/camera.h"

/* ------------------------------------------------------------------ the line in */

#define LATER 64
typedef struct later {
    uint64_t at_us;
    packet p;
    int encoding;
    bool is_rtx;
} later;

typedef struct line {
    uint32_t loss_percent;  /* repaired by RTX after 60 ms */
    uint32_t never_percent; /* of those lost: not repaired */
    uint32_t late_percent;  /* overtaken by what follows within a frame's time */
    uint64_t seed;
    later waiting[LATER];
    size_t count;
} line;
static line in;
static camera cam;

static void deliver(int encoding, const packet *p, bool is_rtx) { feed(receiver, encoding, is_rtx, p, now); }

static void hold(const packet *p, int encoding, bool is_rtx, uint64_t at_us)
{
    CHECK(in.count < LATER);
    if (in.count < LATER) in.waiting[in.count++] = (later){at_us, *p, encoding, is_rtx};
}

static void deliver_waiting(void)
{
    for (size_t i = 0; i < in.count;) {
        if (in.waiting[i].at_us > now) {
            i++;
            continue;
        }
        later l = in.waiting[i];
        in.waiting[i] = in.waiting[--in.count];
        deliver(l.encoding, &l.p, l.is_rtx);
    }
}

static void send_in(int encoding, const packet *p)
{
    if (check_random(&in.seed) % 100 < in.loss_percent) {
        if (check_random(&in.seed) % 100 < in.never_percent) return;
        packet rtx = make_rtx(p, 1001 + 10 * (uint32_t)encoding, 97, cam.rtx_seq[encoding]++);
        hold(&rtx, encoding, true, now + 60 * MS);
    } else if (check_random(&in.seed) % 100 < in.late_percent) {
        hold(p, encoding, false, now + 10 * MS);
    } else {
        deliver(encoding, p, false);
    }
}

static uint32_t keyframes_asked;

/* Keyframe requests of the relay, as a browser takes them: one for one encoding is answered by all. */
static void read_feedback(void)
{
    uint8_t data[1200];
    tr_pen pen = tr__pen(data, sizeof data);
    if (tr__receiver_feedback_at(receiver) > now || !tr__receiver_put_feedback(receiver, &pen, 1, now)) return;
    tr_rtcp_part part;
    for (size_t at = 0; tr__rtcp_next(data, tr__pen_size(&pen), &at, &part);)
        if (part.type == TR_RTCP_PSFB) {
            cam.is_key_wanted = true;
            keyframes_asked++;
        }
}

static uint64_t ticked_us;

/* One frame's time. */
static void pass_frame(uint32_t loss_out_percent)
{
    static packet parts[ENCODINGS][16];
    size_t count[ENCODINGS] = {0};
    for (int e = 0; e < ENCODINGS; e++)
        if (!cam.is_off[e]) count[e] = shoot(&cam, e, parts[e]);
    cam.is_key_wanted = false;
    cam.shots++;
    for (size_t step = 0; step < 3; step++) {
        for (int e = 0; e < ENCODINGS; e++)
            for (size_t i = count[e] * step / 3; i < count[e] * (step + 1) / 3; i++) send_in(e, &parts[e][i]);
        deliver_waiting();
        read_feedback();
        watch(&in.seed, loss_out_percent);
        now += FRAME_US / 3;
        if (now - ticked_us < 100 * MS) continue;
        tr__sender_on_tick(sender, now);
        ticked_us = now;
    }
}

static void begin_call(uint32_t temporal_layers, bool has_rtx, line as)
{
    tr_add_receiver params = video_params(ENCODINGS);
    memset(&w, 0, sizeof w);
    in = as;
    in.seed = as.seed ? as.seed : 1;
    cam = make_camera(temporal_layers, &in.seed);
    keyframes_asked = 0;
    begin(&params, has_rtx);
    ticked_us = now;
}

static void set_layer(uint8_t encoding, uint8_t temporal)
{
    tr__sender_set_layer(sender, (tr_layer){encoding, TR_LAYER_ANY, temporal}, now);
}

static tr_sender_stats told(void)
{
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    return stats;
}

/* What is on its way arrives, is asked for, and is looked at. */
static void end_call(void)
{
    in.loss_percent = in.late_percent = 0;
    for (int i = 0; i < 15; i++) pass_frame(0);
    look(&cam);
    end();
}

/* ------------------------------------------------------------------ tests */

static void layers_that_are_not_wanted_are_left_out_and_close_up(void)
{
    static const struct {
        uint32_t layers;
        uint8_t encoding, temporal;
        uint32_t in_eight; /* frames of eight that are left */
    } rows[] = {{3, 2, 2, 8}, {3, 2, 1, 4}, {3, 2, 0, 2}, {3, 0, 0, 2}, {2, 1, 0, 4}, {2, 1, 7, 8}, {1, 1, 0, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_call(rows[i].layers, true, (line){0});
        set_layer(rows[i].encoding, rows[i].temporal);
        for (int k = 0; k < 81; k++) pass_frame(0);
        tr_sender_stats stats = told();
        CHECK_EQ(rows[i].encoding, stats.encoding);
        CHECK_EQ(rows[i].temporal < rows[i].layers ? rows[i].temporal : rows[i].layers - 1, stats.temporal);
        CHECK_EQ(0, stats.spatial);
        look(&cam);
        CHECK(w.frames >= 80 / 8 * rows[i].in_eight - 2 && w.frames <= 80 / 8 * rows[i].in_eight + 8);
        CHECK_EQ(0, w.holes + w.gaps + w.undecodable);
        CHECK(drops(TR_DROP_LAYER) > 0);
        memset(&w, 0, sizeof w);
        end();
    }
}

static void temporal_layers_go_at_the_next_frame_and_come_at_their_sync(void)
{
    begin_call(3, true, (line){0});
    set_layer(0, TR_LAYER_ANY);
    for (int k = 0; k < 16; k++) pass_frame(0); /* the pattern began with the keyframe: it is at its start */
    CHECK_EQ(2, told().temporal);
    uint64_t before = w.highest;
    set_layer(0, 0);
    for (int k = 0; k < 8; k++) pass_frame(0);
    CHECK_EQ(2, w.highest - before); /* frames of one packet */
    CHECK_EQ(0, told().temporal);
    set_layer(0, 2);
    pass_frame(0); /* 0 */
    pass_frame(0); /* 2, sync: but layer 1 is not there yet */
    CHECK_EQ(0, told().temporal);
    pass_frame(0); /* 1, sync */
    CHECK_EQ(1, told().temporal);
    for (int k = 3; k < 8; k++) pass_frame(0);
    CHECK_EQ(1, told().temporal);
    pass_frame(0);
    pass_frame(0); /* 2, sync */
    CHECK_EQ(2, told().temporal);
    CHECK_EQ(0, keyframes_asked);
    end_call();
    CHECK_EQ(0, w.undecodable + w.gaps + w.holes);
}

static void another_encoding_begins_at_its_keyframe_and_the_present_one_goes_on(void)
{
    begin_call(1, true, (line){0});
    set_layer(2, TR_LAYER_ANY);
    for (int k = 0; k < 30; k++) pass_frame(0);
    CHECK_EQ(2, told().encoding);
    static const uint8_t wanted[] = {0, 2, 1, TR_LAYER_ANY, 0, 1};
    for (size_t i = 0; i < sizeof wanted; i++) {
        uint32_t asked = keyframes_asked;
        set_layer(wanted[i], TR_LAYER_ANY);
        for (int k = 0; k < 20; k++) pass_frame(0);
        CHECK_EQ(asked + 1, keyframes_asked);
        CHECK_EQ(wanted[i] == TR_LAYER_ANY ? 2 : wanted[i], told().encoding);
    }
    end_call();
    CHECK_EQ(30 + 20 * sizeof wanted + 15, w.frames); /* each moment once */
    CHECK_EQ(FRAME_US, w.longest_us);
    CHECK_EQ(0, w.undecodable + w.gaps + w.holes);
}

/* Nobody asks for a keyframe where the latest one is fresh: the encoding begins with it, and what followed is decoded
 * behind the present picture, at once. */
static void another_encoding_begins_with_its_latest_keyframe_while_that_is_fresh(void)
{
    static const int ages[] = {0, 1, 2, 5, 8, 12, 15, 20};
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
        begin_call(3, true, (line){0});
        set_layer(2, TR_LAYER_ANY);
        for (int k = 0; k < 45; k++) pass_frame(0);
        tr__stream_request_keyframe(stream(0), now);
        uint32_t asked = keyframes_asked;
        for (int k = 0; k < 2 + ages[i]; k++) pass_frame(0); /* one frame for the request, one for the keyframe */
        CHECK_EQ(asked + 1, keyframes_asked);
        set_layer(0, TR_LAYER_ANY);
        pass_frame(0);
        bool is_fresh = ages[i] < 15; /* 500 ms */
        CHECK_EQ(is_fresh ? 0 : 2, told().encoding);
        CHECK_EQ(!is_fresh, keyframes_asked - asked - 1);
        for (int k = 0; k < 5; k++) pass_frame(0);
        CHECK_EQ(0, told().encoding);
        uint32_t ts_before = w.of[w.highest - w.first].ts, shot_before = w.of[w.highest - w.first].what.shot;
        end_call();
        const taken *last = &w.of[w.highest - w.first];
        uint32_t expected = 3000 * (last->what.shot - shot_before), passed = last->ts - ts_before;
        CHECK(passed <= expected && expected - passed < 20); /* ticks */
        CHECK_EQ(0, w.undecodable);
        CHECK_EQ(0, w.gaps + w.holes);
        CHECK_EQ(2, w.cut); /* when the call began: the keyframes of all three came together */
        CHECK_EQ(FRAME_US, w.longest_us);
    }
}

static void a_wish_that_is_taken_back_changes_nothing(void)
{
    begin_call(3, true, (line){0});
    for (int k = 0; k < 30; k++) pass_frame(0);
    set_layer(0, 0);
    set_layer(TR_LAYER_ANY, TR_LAYER_ANY);
    for (int k = 0; k < 30; k++) pass_frame(0);
    CHECK_EQ(2, told().encoding);
    end_call();
    CHECK_EQ(75, w.frames);
    CHECK_EQ(0, w.undecodable + w.gaps + w.holes);
}

/* Up and down at random for ten seconds, through all wraps, with what a bad line does to it on either side. */
static void a_watcher_can_decode_all_there_is_whatever_is_wanted(void)
{
    static const struct {
        line line;
        uint32_t layers, picture_bits, loss_out;
        bool has_rtx;
    } rows[] = {
        {{0}, 3, 15, 0, true},
        {{0}, 3, 7, 0, true},
        {{.late_percent = 10, .seed = 2}, 3, 15, 0, true},
        {{.loss_percent = 2, .seed = 3}, 3, 15, 0, true},
        {{.loss_percent = 2, .late_percent = 5, .seed = 4}, 3, 15, 2, true},
        {{.loss_percent = 2, .late_percent = 5, .seed = 5}, 3, 15, 2, false},
        {{.loss_percent = 10, .late_percent = 5, .seed = 6}, 2, 15, 5, true},
        {{.loss_percent = 10, .late_percent = 5, .seed = 7}, 2, 7, 5, false},
        {{.loss_percent = 2, .seed = 8}, 1, 15, 2, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        begin_call(rows[i].layers, rows[i].has_rtx, rows[i].line);
        cam.picture_bits = rows[i].picture_bits;
        uint32_t switches = 0;
        int8_t before = -1;
        for (int k = 0; k < 300; k++) {
            if (k % 10 == 5 && check_random(&in.seed) % 2)
                set_layer((uint8_t)(check_random(&in.seed) % 3), (uint8_t)(check_random(&in.seed) % 3));
            pass_frame(rows[i].loss_out);
            int8_t encoding = (int8_t)told().encoding;
            switches += encoding != before;
            before = encoding;
        }
        CHECK(switches > 6);
        bool is_clean = !in.loss_percent && !in.late_percent;
        end_call();
        CHECK(w.frames > 100);
        CHECK_EQ(0, w.undecodable);
        if (is_clean) CHECK_EQ(0, w.holes + w.gaps);
        CHECK(w.longest_us <= (is_clean ? 4u : 9u) * FRAME_US); /* the lowest layer alone: every fourth */
        if (w.undecodable || w.longest_us > 9u * FRAME_US)
            fprintf(stderr, "row %zu: %u frames, %u undecodable, %u holes, %u gaps, longest %u us\n", i, w.frames,
                    w.undecodable, w.holes, w.gaps, w.longest_us);
    }
}

static const check_test tests[] = {
    TEST(layers_that_are_not_wanted_are_left_out_and_close_up),
    TEST(temporal_layers_go_at_the_next_frame_and_come_at_their_sync),
    TEST(another_encoding_begins_at_its_keyframe_and_the_present_one_goes_on),
    TEST(another_encoding_begins_with_its_latest_keyframe_while_that_is_fresh),
    TEST(a_wish_that_is_taken_back_changes_nothing),
    TEST(a_watcher_can_decode_all_there_is_whatever_is_wanted),
};
CHECK_MAIN("test_sender_layers", tests)
