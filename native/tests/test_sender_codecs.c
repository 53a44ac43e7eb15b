/* sender: what is rewritten of a payload or of an element (RED, dependency descriptor, capture time), what a receiver
 * refuses of them, and a stream that goes on under another SSRC. */
#include "support/sender.h"

/* ------------------------------------------------------------------ RED */

/* RED 63 around opus 111, as Chromium offers them. */
static tr_add_receiver red_params(void)
{
    tr_add_receiver params = audio_params();
    params.codec_count = 2;
    params.codecs[1] = params.codecs[0];
    params.codecs[0] = (tr_codec_params){.pt = 63, .rtx_pt = TR_NO_PT, .codec = TR_CODEC_RED, .clock_rate = 48000};
    return params;
}

static tr_drop red(uint16_t seq, const char *payload, size_t size)
{
    packet p = make_packet(2000, 63, seq, seq * 960u, false, (const uint8_t *)payload, size);
    return feed(receiver, 0, false, &p, now);
}

static void redundancy_reaches_who_takes_it_under_its_payload_types(void)
{
    tr_add_receiver params = red_params();
    begin(&params, false); /* the peer's: 73 and 121 */
    CHECK_EQ(TR_DROP_NONE, red(1, "\xef\x0f\x00\x02\x6fldnow", 10));
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_EQ(73, rtp.pt);
    CHECK_EQ(10, rtp.payload_size);
    CHECK_BYTES("\xf9\x0f\x00\x02\x79ldnow", rtp.data + rtp.header_size, 10);
    CHECK_EQ(TR_DROP_NONE, opus(2)); /* the publisher changes within its table */
    CHECK_NEXT(FIRST + 1, 1920 + TS_OFFSET);
    CHECK_EQ(121, rtp.pt);
    CHECK_BYTES("opus", rtp.data + rtp.header_size, 4);
    end();
}

static void who_has_no_red_hears_the_primary_block(void)
{
    tr_add_receiver params = red_params();
    begin(&params, false);
    tr_bind_sender bind = bind_params(&params, &viewer);
    bind.pts[0] = bind.pts[1]; /* opus for both */
    tr__receiver_add_sender(receiver, sender, &bind, now);
    CHECK_EQ(TR_DROP_NONE, red(1, "\xef\x0f\x00\x02\x6fldnow", 10));
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    CHECK_EQ(121, rtp.pt);
    CHECK_EQ(3, rtp.payload_size);
    CHECK_BYTES("now", rtp.data + rtp.header_size, 3);
    CHECK_EQ(TR_DROP_NONE, red(2, "\x6f!", 2));
    CHECK_NEXT(FIRST + 1, 1920 + TS_OFFSET);
    CHECK_EQ(1, rtp.payload_size);
    /* A resend is the same ciphertext: the rig compares. */
    uint16_t seqs[] = {FIRST, FIRST + 1};
    for (uint16_t i = 3; i < 40; i++) red(i, "\x6f and so on, until the budget allows a resend", 40);
    rig_drain(&r);
    now += 100 * MS;
    tr__sender_on_nack(sender, seqs, 2, now);
    CHECK_EQ(2, rig_drain(&r));
    CHECK_EQ(2, r.repeats);
    end();
}

static void red_that_does_not_add_up_is_dropped(void)
{
    tr_add_receiver params = red_params();
    begin(&params, false);
    CHECK_EQ(TR_DROP_NONE, red(1, "\x6fopus", 5));
    CHECK_EQ(1, rig_drain(&r));
    CHECK_EQ(TR_DROP_RED_MALFORMED, red(2, "\xef\x0f\x00\x09\x6fldnow", 10)); /* cut short */
    CHECK_EQ(TR_DROP_RED_MALFORMED, red(3, "\x3fopus", 5));                   /* RED in RED */
    CHECK_EQ(TR_DROP_RED_MALFORMED, red(4, "\xbf\x00\x00\x01\x6fxnow", 9));
    CHECK_EQ(TR_DROP_RED_MALFORMED, red(5, "\x60opus", 5)); /* not in the table */
    CHECK_EQ(TR_DROP_RED_MALFORMED, red(6, "\xef\0\0\0\xef\0\0\0\xef\0\0\0\xef\0\0\0\xef\0\0\0\x6f.", 22));
    CHECK_SILENT();
    CHECK_EQ(TR_DROP_NONE, red(7, "\x6fopus", 5));
    CHECK_NEXT(FIRST + 6, 7 * 960 + TS_OFFSET);
    end();
}

/* ------------------------------------------------------------------ elements */

#define DD_ID 6

static tr_add_receiver descriptor_params(uint8_t encodings)
{
    tr_add_receiver params = video_params(encodings);
    params.codecs[0].codec = TR_CODEC_AV1;
    params.extensions[TR_EXT_DEPENDENCY_DESCRIPTOR] = DD_ID;
    return params;
}

/* A frame whose payload nobody can read: the descriptor alone tells. */
static tr_drop sealed_frame(int encoding, uint16_t seq, uint16_t number, bool is_key)
{
    static const uint8_t closed[] = "\xff\xff\xff\xff\xff\xff";
    packet p = make_packet(1000 + 10 * (uint32_t)encoding, 96, seq, seq * 3000u, true, closed, 6);
    uint8_t elements[6] = {DD_ID << 4 | (is_key ? 3 : 2), 0xc1, (uint8_t)(number >> 8), (uint8_t)number, 0x80};
    add_block(&p, elements, is_key ? 5 : 4);
    return feed(receiver, encoding, false, &p, now);
}

static int frame_number(void)
{
    tr_rtp_extensions found;
    if (!take() || tr__rtp_find_extensions(&rtp, viewer.extensions, &found) != TR_DROP_NONE) return -1;
    uint16_t at = found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at;
    return at ? tr__load16(rtp.data + at + TR_DESCRIPTOR_FRAME_AT) : -1;
}

static void the_descriptor_tells_keyframes_of_closed_payloads(void)
{
    tr_add_receiver params = descriptor_params(1);
    begin(&params, true);
    sealed_frame(0, 1, 700, true);
    CHECK_EQ(700, frame_number());
    CHECK_EQ(1, stream(0)->keyframes);
    sealed_frame(0, 2, 701, false);
    CHECK_EQ(701, frame_number());
    tr__sender_pause(sender, true, now);
    tr__sender_pause(sender, false, now);
    sealed_frame(0, 3, 702, false);
    CHECK_EQ(1, drops(TR_DROP_WAIT_KEYFRAME) + drops(TR_DROP_PAUSED));
    CHECK_SILENT();
    sealed_frame(0, 4, 703, true);
    CHECK_EQ(702, frame_number()); /* what was left out is not missed */
    end();
}

static void a_cipher_that_looks_like_a_keyframe_is_none(void)
{
    tr_add_receiver params = video_params(1);
    params.extensions[TR_EXT_DEPENDENCY_DESCRIPTOR] = DD_ID;
    begin(&params, true);
    for (uint16_t seq = 1; seq < 5; seq++) {
        packet p = make_vp8(1000, seq, seq * 3000u, true, true, true, 40);
        uint8_t elements[6] = {DD_ID << 4 | (seq == 1 ? 3 : 2), 0xc1, 0, (uint8_t)seq, 0x80};
        add_block(&p, elements, seq == 1 ? 5 : 4);
        feed(receiver, 0, false, &p, now);
    }
    CHECK_EQ(1, stream(0)->keyframes);
    end();
}

static void frame_numbers_go_on_across_a_switch_and_in_resends(void)
{
    tr_add_receiver params = descriptor_params(2);
    begin(&params, false);
    sealed_frame(0, 10, 40000, true);
    sealed_frame(0, 11, 40001, false);
    sealed_frame(1, 500, 9, false);
    sealed_frame(1, 501, 10, true);
    sealed_frame(1, 502, 11, false);
    CHECK_EQ(40000, frame_number());
    CHECK_EQ(40001, frame_number());
    CHECK_EQ(40002, frame_number());
    CHECK_EQ(40003, frame_number());
    CHECK_SILENT();
    for (uint16_t i = 0; i < 30; i++) sealed_frame(1, (uint16_t)(503 + i), (uint16_t)(12 + i), false);
    rig_drain(&r);
    uint16_t seqs[] = {FIRST + 1, FIRST + 2};
    now += 100 * MS;
    tr__sender_on_nack(sender, seqs, 2, now);
    CHECK_EQ(2, rig_drain(&r)); /* of either encoding, each byte as it was: the rig compares */
    CHECK_EQ(2, r.repeats);
    end();
}

/* ------------------------------------------------------------------ spatial layers that are tied */

/* Two spatial layers that need each other at keyframes alone: templates are S0 of a keyframe, S0, S1 of a keyframe and
 * S1; from 20 on, or the same from 40 on. */
#define TWO_LAYERS "\xd4\x00\x01\x82\x81\x23\xa8\x22\x45\x04\x40"
#define TWO_OTHERS "\xe8\x00\x07\x85\x01\x23\xa8\x22\x45\x04\x40"

static void layer_frame(uint16_t seq, uint32_t ts, bool marker, const char *descriptor, size_t size)
{
    packet p = make_packet(1000, 96, seq, ts, marker, (const uint8_t *)"\xff\xff\xff\xff", 4);
    uint8_t elements[17] = {(uint8_t)(DD_ID << 4 | (size - 1))};
    memcpy(elements + 1, descriptor, size);
    add_block(&p, elements, 1 + size);
    feed(receiver, 0, false, &p, now);
}

static void check_descriptor(uint16_t seq, const char *descriptor, size_t size)
{
    tr_rtp_extensions found;
    CHECK(take());
    CHECK_EQ(seq, rtp.seq);
    CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, viewer.extensions, &found));
    CHECK_EQ(size, found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size);
    CHECK_BYTES(descriptor, rtp.data + found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at, size);
}

static void upper_layers_leave_needing_the_lower_and_are_resent_alike(void)
{
    tr_add_receiver params = descriptor_params(1);
    begin(&params, false);
    layer_frame(1, 3000, false, TWO_LAYERS, sizeof TWO_LAYERS - 1);
    layer_frame(2, 3000, true, "\xd6\x00\x02", 3);
    layer_frame(3, 6000, false, "\xd5\x00\x03", 3);
    layer_frame(4, 6000, true, "\xd7\x00\x04", 3);
    layer_frame(6, 9000, true, "\xd7\x00\x06", 3);
    layer_frame(5, 9000, false, "\xd5\x00\x05", 3); /* late: it is waited for */
    check_descriptor(FIRST, TWO_LAYERS, sizeof TWO_LAYERS - 1);
    check_descriptor(FIRST + 1, "\xd6\x00\x02", 3);
    check_descriptor(FIRST + 2, "\xd5\x00\x03", 3);
    check_descriptor(FIRST + 3, "\xd7\x00\x04\x12\x08\x80", 6);
    check_descriptor(FIRST + 5, "\xd7\x00\x06\x12\x08\x80", 6);
    check_descriptor(FIRST + 4, "\xd5\x00\x05", 3);
    uint16_t lost[] = {FIRST + 3, FIRST + 5};
    now += 100 * MS;
    tr__sender_on_nack(sender, lost, 1, now);
    CHECK_EQ(1, rig_drain(&r));
    CHECK_EQ(1, r.repeats); /* each byte as it was: the rig compares */
    /* By another structure it can no longer be said what they need; without RTX they do not leave another way. */
    layer_frame(7, 12000, false, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    layer_frame(8, 12000, true, "\xea\x00\x08", 3);
    layer_frame(9, 15000, false, "\xe9\x00\x09", 3);
    layer_frame(10, 15000, true, "\xeb\x00\x0a", 3);
    layer_frame(11, 18000, true, "\xeb\x00\x0b", 3); /* there is none below */
    check_descriptor(FIRST + 6, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    check_descriptor(FIRST + 7, "\xea\x00\x08", 3);
    check_descriptor(FIRST + 8, "\xe9\x00\x09", 3);
    check_descriptor(FIRST + 9, "\xeb\x00\x0a\x12\x08\x80", 6);
    check_descriptor(FIRST + 10, "\xeb\x00\x0b", 3);
    now += 100 * MS;
    tr__sender_on_nack(sender, lost, 2, now);
    CHECK_EQ(0, rig_drain(&r));
    CHECK_EQ(2, drops(TR_DROP_NACK_UNKNOWN));
    end();
}

/* What begins with another structure may come after what follows it. */
static void a_late_keyframe_of_another_structure_leaves_whole(void)
{
    tr_add_receiver params = descriptor_params(1);
    begin(&params, false);
    layer_frame(1, 3000, false, TWO_LAYERS, sizeof TWO_LAYERS - 1);
    layer_frame(2, 3000, true, "\xd6\x00\x02", 3);
    layer_frame(3, 6000, false, "\xd5\x00\x03", 3);
    layer_frame(4, 6000, true, "\xd7\x00\x04", 3); /* tied */
    layer_frame(8, 12000, true, "\xea\x00\x08", 3);
    layer_frame(7, 12000, false, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    for (int i = 0; i < 4; i++) CHECK(take());
    check_descriptor(FIRST + 7, "\xea\x00\x08", 3);
    check_descriptor(FIRST + 6, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    CHECK_EQ(4, rtp.payload_size);
    CHECK(!stream(0)->keyframe_wanted);
    end();
}

/* Where layers are left out nobody could tell what followed it, so that is missing, and only another one helps. */
static void of_a_late_keyframe_whose_rest_was_left_out_another_is_asked_for(void)
{
    tr_add_receiver params = descriptor_params(1);
    begin(&params, false);
    tr__sender_set_layer(sender, (tr_layer){.encoding = 0, .spatial = 0, .temporal = 0}, now);
    layer_frame(1, 3000, false, TWO_LAYERS, sizeof TWO_LAYERS - 1);
    layer_frame(2, 3000, true, "\xd6\x00\x02", 3);
    layer_frame(4, 6000, false, "\x69\x00\x07", 3); /* of the keyframe of another structure, as 3 is */
    CHECK(stream(0)->keyframe_wanted);
    layer_frame(3, 6000, false, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    CHECK(stream(0)->keyframe_wanted);
    layer_frame(5, 9000, false, TWO_OTHERS, sizeof TWO_OTHERS - 1);
    CHECK(!stream(0)->keyframe_wanted);
    layer_frame(6, 9000, true, "\xea\x00\x0a", 3);
    CHECK(!stream(0)->keyframe_wanted);
    end();
}

static void of_a_capture_time_the_publishers_clock_offset_stays_behind(void)
{
    tr_add_receiver params = audio_params();
    params.extensions[TR_EXT_ABS_CAPTURE_TIME] = 5;
    begin(&params, false);
    static const uint8_t element[] = "\x5f\1\2\3\4\5\6\7\10________";
    packet p = make_packet(2000, 111, 1, 0, false, (const uint8_t *)"opus", 4);
    add_block(&p, element, 17);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK(take());
    tr_rtp_extensions found;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, viewer.extensions, &found));
    CHECK_EQ(8, found.of[TR_EXT_ABS_CAPTURE_TIME].size);
    CHECK_BYTES(element + 1, rtp.data + found.of[TR_EXT_ABS_CAPTURE_TIME].at, 8);
    end();
}

/* ------------------------------------------------------------------ another SSRC */

static void a_stream_goes_on_under_another_ssrc(void)
{
    tr_add_receiver params = audio_params();
    params.codecs[0].has_nack = 1;
    begin(&params, false);
    opus(100);
    opus(101);
    CHECK_NEXT(FIRST, 100 * 960 + TS_OFFSET);
    CHECK_NEXT(FIRST + 1, 101 * 960 + TS_OFFSET);
    CHECK(!tr__receiver_learn_ssrc(receiver, 0, 77, false, now)); /* it is heard */
    now += TR_STREAM_IDLE_US;
    CHECK(tr__receiver_learn_ssrc(receiver, 0, 77, false, now));
    CHECK_EQ(77, stream(0)->ssrc);
    opus(7); /* numbers and time of its own: behind, by both */
    CHECK_NEXT(FIRST + 2, 101 * 960 + 48000 + TS_OFFSET);
    opus(9);
    CHECK_NEXT(FIRST + 4, 101 * 960 + 48000 + 2 * 960 + TS_OFFSET);
    tr_rtcp_report report;
    CHECK_EQ(1, tr__receiver_reports(receiver, &report, 1, now));
    CHECK_EQ(77, report.ssrc);
    CHECK_EQ(9, report.highest_seq);
    CHECK_EQ(1, report.lost);
    end();
}

static void a_goodbye_makes_room_for_another_ssrc_at_once(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    frame(0, 60000, 3000, true);
    CHECK_NEXT(FIRST, 3000 + TS_OFFSET);
    tr__receiver_on_bye(receiver, 0);
    CHECK(tr__receiver_learn_ssrc(receiver, 0, 78, false, now));
    CHECK_EQ(0, stream(0)->rtx_ssrc);
    frame(0, 5, 900, false); /* the picture begins with a keyframe, as after a pause */
    CHECK_SILENT();
    CHECK(stream(0)->keyframe_wanted);
    frame(0, 6, 3900, true);
    CHECK_NEXT(FIRST + 1, 3001 + TS_OFFSET);
    end();
}

static void sound_is_asked_for_again_and_resent_where_both_agreed(void)
{
    tr_add_receiver params = audio_params();
    params.codecs[0].has_nack = 1;
    begin(&params, false);
    for (uint16_t seq = 1; seq < 60; seq++)
        if (seq != 30) opus(seq);
    uint8_t buffer[200];
    tr_pen pen = tr__pen(buffer, sizeof buffer);
    now += 50 * MS;
    CHECK(tr__receiver_put_feedback(receiver, &pen, 1, now));
    CHECK_EQ(1, stream(0)->nacks);
    opus(30); /* the resend, on the stream itself: there is no RTX for sound */
    rig_drain(&r);
    uint16_t lost[] = {FIRST + 29, FIRST + 40};
    tr__sender_on_nack(sender, lost, 2, now);
    CHECK_EQ(2, rig_drain(&r));
    CHECK_EQ(2, r.repeats);
    end();
}

static const check_test tests[] = {
    TEST(redundancy_reaches_who_takes_it_under_its_payload_types),
    TEST(who_has_no_red_hears_the_primary_block),
    TEST(red_that_does_not_add_up_is_dropped),
    TEST(the_descriptor_tells_keyframes_of_closed_payloads),
    TEST(a_cipher_that_looks_like_a_keyframe_is_none),
    TEST(frame_numbers_go_on_across_a_switch_and_in_resends),
    TEST(upper_layers_leave_needing_the_lower_and_are_resent_alike),
    TEST(a_late_keyframe_of_another_structure_leaves_whole),
    TEST(of_a_late_keyframe_whose_rest_was_left_out_another_is_asked_for),
    TEST(of_a_capture_time_the_publishers_clock_offset_stays_behind),
    TEST(a_stream_goes_on_under_another_ssrc),
    TEST(a_goodbye_makes_room_for_another_ssrc_at_once),
    TEST(sound_is_asked_for_again_and_resent_where_both_agreed),
};
CHECK_MAIN("test_sender_codecs", tests)
