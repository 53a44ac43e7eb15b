/* dispatch: packets of a source that leave under their numbers, leave again, and try a line; read as the peer reads
 * them, SRTP included. */
#include "dispatch.h"

#include "support/media.h"

#define MS 1000
#define S 1000000
#define FIRST 0x7ffe
#define RTX_FIRST 300
#define TS_OFFSET 7000
#define INDEX(seq) (TR_STREAM_FIRST_CYCLE + (seq))

static rig r;
static tr_clock clock_;
static tr_receiver *receiver;
static tr_dispatch dispatch;
static tr_downlink *downlink;
static tr_add_receiver params;
static tr_rewrite rewrite;
static tr_leaving leaving;
static packet out;
static tr_rtp rtp;
static uint64_t now;

static void bind(void)
{
    tr_add_sender peer = sender_params(TR_VIDEO, 5000, dispatch.rtx_ssrc);
    tr_bind_sender to = bind_params(&params, &peer);
    tr__dispatch_bind(&dispatch, tr__receiver_source(receiver), &to);
}

/* A source with packets 1 to 9 in its history, a keyframe first, and an epoch that begins with packet 1. */
static void begin(bool has_rtx, bool is_numbered)
{
    rig_init(&r, TR_SRTP_AEAD_AES_128_GCM);
    now = 100 * (uint64_t)S;
    tr__clock_init(&clock_);
    params = video_params(1);
    receiver = tr__receiver_new(&params, 262144, &clock_, &r.tally);
    for (uint16_t seq = 1; seq < 10; seq++) {
        packet p = make_vp8(1000, seq, seq * 3000u, true, seq == 1, true, 700);
        CHECK_EQ(TR_DROP_NO_SUBSCRIBER, feed(receiver, 0, false, &p, now));
    }
    tr_add_sender peer = sender_params(TR_VIDEO, 5000, has_rtx ? 5001 : 0);
    if (is_numbered) {
        downlink = tr__downlink_new(7, NULL);
        r.egress.downlink = downlink;
        peer.extensions[TR_EXT_TWCC] = 5;
    }
    dispatch = (tr_dispatch){0};
    CHECK(tr__dispatch_init(&dispatch, &peer, &r.egress, FIRST, RTX_FIRST));
    bind();
    rewrite = (tr_rewrite){.ts_offset = TS_OFFSET, .spatial = TR_LAYER_ANY, .temporal = TR_LAYER_ANY};
    tr__dispatch_begin(&dispatch, INDEX(1), &rewrite);
}

static void end(void)
{
    tr__dispatch_dispose(&dispatch);
    tr__downlink_free(downlink);
    downlink = NULL;
    tr__receiver_free(receiver);
    rig_dispose(&r);
}

static tr_drop send(uint16_t seq)
{
    tr_media media;
    CHECK(tr__source_load(tr__receiver_source(receiver), 0, INDEX(seq), &media));
    media.now_us = now;
    tr_drop drop = tr__dispatch_number(&dispatch, &media, &leaving);
    return drop == TR_DROP_NONE ? tr__dispatch_send(&dispatch, &media, 0, now, &leaving) : drop;
}

static bool take(void) { return rig_take(&r, &out, &rtp); }

static void a_packet_leaves_under_the_number_the_map_has_for_it(void)
{
    begin(true, false);
    CHECK_EQ(TR_DROP_NONE, send(1));
    CHECK_EQ(FIRST, leaving.out);
    CHECK_EQ(3000 + TS_OFFSET, leaving.ts);
    CHECK_EQ(700, leaving.payload_bytes);
    CHECK(take());
    CHECK_EQ(FIRST, rtp.seq);
    CHECK_EQ(3000 + TS_OFFSET, rtp.ts);
    CHECK_EQ(5000, rtp.ssrc);
    CHECK_EQ(106, rtp.pt);
    CHECK_EQ(700, rtp.payload_size);
    CHECK_EQ(TR_DROP_NONE, send(3)); /* the second is missing: its number stays */
    CHECK(take());
    CHECK_EQ(FIRST + 2, rtp.seq);
    CHECK_EQ(2, dispatch.tx_packets);
    CHECK_EQ(r.wire_bytes, dispatch.tx_bytes);
    end();
}

static void what_is_from_before_the_epoch_has_no_number(void)
{
    begin(true, false);
    tr__dispatch_begin(&dispatch, INDEX(5), &rewrite);
    CHECK_EQ(TR_DROP_WAIT_KEYFRAME, send(4));
    CHECK_EQ(TR_DROP_NONE, send(5));
    dispatch.kind = TR_AUDIO;
    CHECK_EQ(TR_DROP_RTP_OLD, send(4));
    r.egress.is_admitted = false; /* what egress says comes first */
    CHECK_EQ(TR_DROP_NOT_ADMITTED, send(4));
    end();
}

static void asked_for_it_leaves_under_rtx_with_the_number_it_had(void)
{
    begin(true, false);
    for (uint16_t seq = 1; seq < 6; seq++) CHECK_EQ(TR_DROP_NONE, send(seq));
    while (take()) continue;
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_again(&dispatch, FIRST + 2, true, now));
    CHECK(take());
    CHECK_EQ(5001, rtp.ssrc);
    CHECK_EQ(107, rtp.pt);
    CHECK_EQ(RTX_FIRST, rtp.seq);
    CHECK_EQ(FIRST + 2, tr__load16(out.data + rtp.header_size));
    CHECK_EQ(702, rtp.payload_size);
    CHECK_EQ(TR_DROP_NACK_RATE, tr__dispatch_again(&dispatch, FIRST + 2, true, now)); /* a moment ago */
    CHECK_EQ(TR_DROP_NACK_UNKNOWN, tr__dispatch_again(&dispatch, FIRST + 9, true, now));
    CHECK_EQ(1, dispatch.resent);
    CHECK_EQ(1, r.tally.resent_packets);
    end();
}

/* Its SRTP refuses it, if it has it: the rig sees that the bytes are the same. */
static void without_rtx_it_leaves_as_the_same_bytes_and_only_if_asked_for(void)
{
    begin(false, false);
    for (uint16_t seq = 1; seq < 6; seq++) CHECK_EQ(TR_DROP_NONE, send(seq));
    CHECK_EQ(5, rig_drain(&r));
    CHECK_EQ(TR_DROP_NACK_UNKNOWN, tr__dispatch_again(&dispatch, FIRST + 2, false, now));
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_again(&dispatch, FIRST + 2, true, now));
    CHECK_EQ(1, rig_drain(&r));
    CHECK_EQ(1, r.repeats);
    CHECK_EQ(0, r.conflicts);
    end();
}

/* Bound anew its payload types may be others: the same number would be another content. */
static void what_left_of_another_binding_does_not_leave_again(void)
{
    begin(true, false);
    for (uint16_t seq = 1; seq < 6; seq++) CHECK_EQ(TR_DROP_NONE, send(seq));
    bind();
    tr__dispatch_begin(&dispatch, INDEX(6), &rewrite);
    CHECK_EQ(TR_DROP_NONE, send(6));
    CHECK_EQ(TR_DROP_NACK_UNKNOWN, tr__dispatch_again(&dispatch, FIRST + 4, true, now));
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_again(&dispatch, FIRST + 5, true, now));
    tr__dispatch_bind(&dispatch, NULL, NULL);
    CHECK_EQ(TR_DROP_NACK_UNKNOWN, tr__dispatch_again(&dispatch, FIRST + 5, true, now + S));
    end();
}

static void it_is_bound_already_where_the_payload_types_are_the_same(void)
{
    begin(true, false);
    const tr_source *source = tr__receiver_source(receiver);
    tr_bind_sender same = dispatch.bind, other = dispatch.bind;
    other.rtx_pts[0]++;
    CHECK(tr__dispatch_is_bound(&dispatch, source, &same));
    CHECK(!tr__dispatch_is_bound(&dispatch, source, &other));
    CHECK(!tr__dispatch_is_bound(&dispatch, NULL, NULL));
    end();
}

/* It came late, and what it belongs to is left out where it leaves: the number alone leaves. */
static void a_packet_of_a_layer_that_is_left_out_fills_its_number_and_no_more(void)
{
    begin(true, false);
    tr_media media;
    CHECK(tr__source_load(tr__receiver_source(receiver), 0, INDEX(1), &media));
    media.info.temporal_layer = 1;
    rewrite.temporal = 0;
    tr__dispatch_begin(&dispatch, INDEX(1), &rewrite);
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_number(&dispatch, &media, &leaving));
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_send(&dispatch, &media, 0, now, &leaving));
    CHECK_EQ(0, leaving.payload_bytes);
    CHECK_EQ(0, leaving.media->rtp.payload_size);
    CHECK_EQ(700, media.rtp.payload_size);
    CHECK(take());
    CHECK_EQ(FIRST, rtp.seq);
    CHECK_EQ(0, rtp.payload_size);
    end();
}

/* RTX and transport-wide numbers: what left lately, or, for a few bytes, padding alone. */
static void a_line_is_tried_by_what_left_lately_or_by_padding(void)
{
    begin(true, true);
    int64_t first_number = downlink->next_number;
    CHECK(tr__dispatch_can_pad(&dispatch));
    CHECK_EQ(TR_DROP_NONE, send(1));
    CHECK_EQ(TR_DROP_NONE, send(2));
    while (take()) continue;
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_pad(&dispatch, 900, 99, now));
    CHECK(take());
    CHECK_EQ(FIRST + 1, tr__load16(out.data + rtp.header_size));
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_pad(&dispatch, 900, 99, now));
    CHECK(take());
    CHECK_EQ(FIRST, tr__load16(out.data + rtp.header_size));
    uint64_t before = r.wire_bytes;
    CHECK_EQ(TR_DROP_NONE, tr__dispatch_pad(&dispatch, 200, 99, now));
    CHECK(take());
    CHECK_EQ(5001, rtp.ssrc);
    CHECK_EQ(RTX_FIRST + 2, rtp.seq);
    CHECK_EQ(99, rtp.ts);
    CHECK_EQ(0, rtp.payload_size);
    uint64_t wire = r.wire_bytes - before + 28; /* IP and UDP; sealing adds up to TR_SRTP_MAX_OVERHEAD */
    CHECK(wire <= 200 && wire + TR_SRTP_MAX_OVERHEAD >= 200);
    CHECK_EQ(0, dispatch.resent); /* nobody asked */
    CHECK_EQ(5, dispatch.tx_packets);
    CHECK_EQ(first_number + 5, downlink->next_number); /* each had one of its own */
    end();
}

static void who_may_lose_padding_gets_none_and_without_rtx_nothing_is_tried(void)
{
    begin(true, true);
    dispatch.writer.may_pad = false;
    CHECK_EQ(TR_DROP_CODEC, tr__dispatch_pad(&dispatch, 200, 0, now));
    end();
    begin(true, false); /* without transport-wide numbers nobody would hear of it */
    CHECK(!tr__dispatch_can_pad(&dispatch));
    end();
    begin(false, true);
    CHECK(!tr__dispatch_can_pad(&dispatch));
    end();
}

static const check_test tests[] = {
    TEST(a_packet_leaves_under_the_number_the_map_has_for_it),
    TEST(what_is_from_before_the_epoch_has_no_number),
    TEST(asked_for_it_leaves_under_rtx_with_the_number_it_had),
    TEST(without_rtx_it_leaves_as_the_same_bytes_and_only_if_asked_for),
    TEST(what_left_of_another_binding_does_not_leave_again),
    TEST(it_is_bound_already_where_the_payload_types_are_the_same),
    TEST(a_packet_of_a_layer_that_is_left_out_fills_its_number_and_no_more),
    TEST(a_line_is_tried_by_what_left_lately_or_by_padding),
    TEST(who_may_lose_padding_gets_none_and_without_rtx_nothing_is_tried),
};
CHECK_MAIN("test_dispatch", tests)
