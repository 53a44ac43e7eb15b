/* load outbound: packets of a published stream, sent once and again. */
#include "outbound.h"

#include "check.h"
#include "rtp.h"
#include "stamp.h"

#define SECOND 1000000000ull
#define START (50 * SECOND)
#define REAL (1700000000ull * SECOND)

static tl_send video(void)
{
    return (tl_send){.stream = 5,
                     .kind = TL_VIDEO,
                     .codec = TL_CODEC_VP8,
                     .pt = 96,
                     .rtx_pt = 97,
                     .ssrc = 1111,
                     .rtx_ssrc = 2222,
                     .clock_rate = 90000,
                     .mid = "1",
                     .rid = "h",
                     .extensions = {[TL_EXT_MID] = 1,
                                    [TL_EXT_RID] = 2,
                                    [TL_EXT_REPAIRED_RID] = 4,
                                    [TL_EXT_TWCC] = 3,
                                    [TL_EXT_ABS_SEND_TIME] = 5},
                     .bitrate_bps = 1500000,
                     .frames_per_s_milli = 30000,
                     .keyframe_interval_ms = 10000,
                     .keyframe_ratio_milli = 4000,
                     .jitter_milli = 200};
}

typedef struct rig {
    tl_outbound o;
    tl_source source;
    uint16_t twcc;
} rig;

static void rig_init(rig *g, const tl_send *send, uint64_t seed)
{
    memset(g, 0, sizeof *g);
    CHECK_EQ(TL_OK, tl__outbound_init(&g->o, send, seed, 99, &g->source, SECOND));
    tl__outbound_start(&g->o, START);
}

static size_t next(rig *g, uint64_t now_ns, uint8_t *out, uint64_t *index)
{
    uint64_t late_ns;
    return tl__outbound_next(&g->o, now_ns, REAL + now_ns, &g->twcc, out, index, &late_ns);
}

static void packets_are_those_that_were_planned(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index, first = 0, count = 0;
    uint8_t ids[TR_EXT_COUNT] = {[TR_EXT_MID] = 1, [TR_EXT_RID] = 2, [TR_EXT_TWCC] = 3, [TR_EXT_ABS_SEND_TIME] = 5};
    uint32_t ts = 0;
    for (uint64_t frame = 0; frame < 40; frame++) {
        uint64_t due_ns = tl__outbound_at(&g.o);
        CHECK_EQ(START + tl__plan_due_ns(&g.o.plan, frame), due_ns);
        CHECK_EQ(0, next(&g, due_ns - 1, out, &index));
        size_t size, parts = 0;
        bool marker = false;
        while ((size = next(&g, due_ns, out, &index)) > 0) {
            tr_rtp rtp;
            tr_rtp_extensions found;
            tl_stamp stamp;
            CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, out, size));
            CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, ids, &found));
            CHECK_EQ(TL_STAMP_OK, tl__stamp_read(out + rtp.header_size, rtp.payload_size, 99, &stamp));
            if (!count) first = index;
            CHECK_EQ(first + count, index);
            CHECK_EQ((uint16_t)index, rtp.seq);
            CHECK_EQ(count, stamp.counter);
            CHECK_EQ(frame, stamp.frame);
            CHECK_EQ(parts, stamp.part);
            CHECK_EQ(REAL + due_ns, stamp.sent_ns);
            CHECK_EQ(1111, rtp.ssrc);
            CHECK_EQ(96, rtp.pt);
            CHECK_EQ('1', out[found.of[TR_EXT_MID].at]);
            CHECK_EQ('h', out[found.of[TR_EXT_RID].at]);
            CHECK_EQ(count, tr__load16(out + found.of[TR_EXT_TWCC].at));
            CHECK_EQ(3, found.of[TR_EXT_ABS_SEND_TIME].size);
            CHECK(!marker);
            if (frame) CHECK_EQ(parts ? ts : ts + 3000, rtp.ts);
            ts = rtp.ts;
            marker = rtp.marker;
            parts++;
            count++;
        }
        CHECK(marker);
    }
    CHECK_EQ(count, g.source.next);
    CHECK_EQ(40, g.o.frames);
    CHECK_EQ(1, g.o.keyframes);
    tl__outbound_dispose(&g.o);
}

static void without_rtx_a_resend_is_the_same_bytes(void)
{
    rig g;
    tl_send send = video();
    send.rtx_ssrc = 0;
    send.rtx_pt = TL_NO_PT;
    rig_init(&g, &send, 7);
    static uint8_t sent[400][1500];
    size_t sizes[400], count = 0;
    uint64_t index[400];
    for (uint64_t now_ns = START; count < 300; now_ns += SECOND / 100)
        while ((sizes[count] = next(&g, now_ns, sent[count], &index[count])) > 0) count++;
    uint16_t numbers = g.twcc;
    for (size_t i = 0; i < count; i++) {
        uint8_t again[1500];
        uint64_t index_again;
        size_t size = tl__outbound_resend(&g.o, (uint16_t)index[i], REAL + 99 * SECOND, &g.twcc, again, &index_again);
        CHECK_EQ(sizes[i], size);
        CHECK_EQ(index[i], index_again);
        CHECK_BYTES(sent[i], again, size);
    }
    CHECK_EQ(numbers, g.twcc);
    tl__outbound_dispose(&g.o);
}

static void a_resend_as_rtx_holds_the_payload_that_was_sent(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t sent[1500], again[1500];
    uint64_t index, rtx_index, rtx_before = 0;
    for (int i = 0; i < 5; i++) {
        size_t size = next(&g, START + SECOND, sent, &index);
        uint16_t number = g.twcc;
        size_t rtx_size = tl__outbound_resend(&g.o, (uint16_t)index, REAL + 3 * SECOND, &g.twcc, again, &rtx_index);
        CHECK_EQ((uint16_t)(number + 1), g.twcc); /* a packet of its own on the transport */
        tr_rtp rtp, rtx;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, sent, size));
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtx, again, rtx_size));
        CHECK_EQ(2222, rtx.ssrc);
        CHECK_EQ(97, rtx.pt);
        CHECK_EQ((uint16_t)rtx_index, rtx.seq);
        if (i) CHECK_EQ(rtx_before + 1, rtx_index);
        rtx_before = rtx_index;
        CHECK_EQ(rtp.ts, rtx.ts);
        CHECK_EQ(rtp.marker, rtx.marker);
        CHECK_EQ(rtp.seq, tr__load16(again + rtx.header_size));
        CHECK_EQ(rtp.payload_size + 2, rtx.payload_size);
        CHECK_BYTES(sent + rtp.header_size, again + rtx.header_size + 2, rtp.payload_size);
    }
    CHECK_EQ(5, g.o.resent);
    tl__outbound_dispose(&g.o);
}

static void what_is_no_longer_held_or_never_left_is_not_sent(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index, first = 0, count = 0;
    for (uint64_t now_ns = START; count < TL_OUTBOUND_HELD_VIDEO + 100; now_ns += SECOND / 100)
        while (next(&g, now_ns, out, &index) > 0)
            if (!count++) first = index;
    uint64_t asked[] = {first, first + count - TL_OUTBOUND_HELD_VIDEO - 1, first + count, first + count + 5};
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(0, tl__outbound_resend(&g.o, (uint16_t)asked[i], REAL, &g.twcc, out, &index));
    CHECK_EQ(4, g.o.nacks_unknown);
    CHECK(tl__outbound_resend(&g.o, (uint16_t)(first + count - TL_OUTBOUND_HELD_VIDEO), REAL, &g.twcc, out, &index));
    tl__outbound_dispose(&g.o);
}

static void sequence_numbers_wrap(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500], again[1500];
    uint64_t index, rtx_index, last = 0, now_ns = START;
    while (last < 140000) {
        for (size_t size; (size = next(&g, now_ns, out, &index)) > 0; last = index) {
            CHECK(!last || index == last + 1);
            if (index % 1000) continue;
            tl_stamp stamp;
            size_t rtx_size = tl__outbound_resend(&g.o, (uint16_t)index, REAL, &g.twcc, again, &rtx_index);
            CHECK_EQ(TL_STAMP_OK, tl__stamp_read(again, rtx_size, 99, &stamp));
            CHECK_EQ(index - g.o.first_index, stamp.counter);
        }
        now_ns = tl__outbound_at(&g.o);
    }
    tl__outbound_dispose(&g.o);
}

static void smooth_packets_are_spread_over_the_frame(void)
{
    rig g;
    tl_send send = video();
    send.pattern = TL_PATTERN_SMOOTH;
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index, begin_ns = tl__outbound_at(&g.o), before_ns = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t at_ns = tl__outbound_at(&g.o);
        CHECK(at_ns > before_ns);
        CHECK_EQ(0, next(&g, at_ns - 1, out, &index));
        CHECK(next(&g, at_ns, out, &index) > 0);
        CHECK_EQ(0, next(&g, at_ns, out, &index));
        before_ns = at_ns;
    }
    CHECK(before_ns - begin_ns > SECOND / 3);
    tl__outbound_dispose(&g.o);
}

static void a_picture_loss_makes_one_keyframe_in_300_ms(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index;
    for (int i = 0; i < 30; i++) { /* a second of frames, each answered by a request */
        uint64_t now_ns = tl__outbound_at(&g.o);
        while (next(&g, now_ns, out, &index) > 0) {}
        tl__outbound_on_pli(&g.o);
    }
    CHECK_EQ(30, g.o.plis);
    CHECK_EQ(4, g.o.keyframes); /* the first, and after 300, 600, 900 ms */
    tl__outbound_dispose(&g.o);
}

static void lateness_is_told_once_a_frame_and_the_plan_moves_when_hopeless(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index, late_ns, due_ns = tl__outbound_at(&g.o);
    CHECK(tl__outbound_next(&g.o, due_ns + 5000000, REAL, &g.twcc, out, &index, &late_ns) > 0);
    CHECK_EQ(5000000, late_ns);
    CHECK(tl__outbound_next(&g.o, due_ns + 5000000, REAL, &g.twcc, out, &index, &late_ns) > 0);
    CHECK_EQ(UINT64_MAX, late_ns);
    while (next(&g, due_ns + 6000000, out, &index)) {}
    CHECK(next(&g, due_ns + 30 * SECOND, out, &index) > 0);
    while (g.o.now.parts) next(&g, due_ns + 30 * SECOND, out, &index);
    CHECK(tl__outbound_at(&g.o) > due_ns + 30 * SECOND); /* not thirty seconds of frames at once */
    tl__outbound_dispose(&g.o);
}

static void stopped_and_started_again_the_media_clock_has_gone_on(void)
{
    rig g;
    tl_send send = video();
    rig_init(&g, &send, 7);
    uint8_t out[1500];
    uint64_t index, now_ns = tl__outbound_at(&g.o);
    next(&g, now_ns, out, &index);
    uint32_t ts = tr__load32(out + 4);
    tl__outbound_stop(&g.o, now_ns);
    CHECK_EQ(UINT64_MAX, tl__outbound_at(&g.o));
    CHECK(!g.source.is_sending);
    tl__outbound_start(&g.o, now_ns + 10 * SECOND);
    uint64_t again_ns = tl__outbound_at(&g.o);
    CHECK(again_ns >= now_ns + 10 * SECOND && again_ns < now_ns + 10 * SECOND + SECOND / 10);
    CHECK(next(&g, again_ns, out, &index) > 0);
    uint32_t passed = tr__load32(out + 4) - ts;
    CHECK(passed >= 10 * 90000 && passed < 10 * 90000 + 9000);
    CHECK(g.o.now.is_keyframe);
    tl__outbound_dispose(&g.o);
}

static void senseless_parameters_are_refused(void)
{
    tl_send send = video();
    CHECK(tl__outbound_is_sane(&send));
    send.ssrc = 0;
    CHECK(!tl__outbound_is_sane(&send));
    send = video();
    send.pt = 200;
    CHECK(!tl__outbound_is_sane(&send));
    send = video();
    send.max_payload = 100;
    CHECK(!tl__outbound_is_sane(&send));
    send = video();
    send.codec = 0;
    CHECK(!tl__outbound_is_sane(&send));
    send = video();
    memset(send.mid, 'm', sizeof send.mid);
    CHECK(!tl__outbound_is_sane(&send));
}

static const check_test tests[] = {
    TEST(packets_are_those_that_were_planned),
    TEST(without_rtx_a_resend_is_the_same_bytes),
    TEST(a_resend_as_rtx_holds_the_payload_that_was_sent),
    TEST(what_is_no_longer_held_or_never_left_is_not_sent),
    TEST(sequence_numbers_wrap),
    TEST(smooth_packets_are_spread_over_the_frame),
    TEST(a_picture_loss_makes_one_keyframe_in_300_ms),
    TEST(lateness_is_told_once_a_frame_and_the_plan_moves_when_hopeless),
    TEST(stopped_and_started_again_the_media_clock_has_gone_on),
    TEST(senseless_parameters_are_refused),
};
CHECK_MAIN("test_load_outbound", tests)
