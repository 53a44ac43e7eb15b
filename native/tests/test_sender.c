/* sender: what a peer gets, header by header; where video begins; numbers and timestamps across pauses, outages and
 * switches of encoding. */
#include "support/sender.h"

/* ------------------------------------------------------------------ headers */

static void a_packet_leaves_with_the_senders_header_and_its_own_payload(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    packet p = make_vp8(1000, 500, 90000, true, true, true, 700);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK_NEXT(FIRST, 90000 + TS_OFFSET);
    CHECK_EQ(5000, rtp.ssrc);
    CHECK_EQ(106, rtp.pt);
    CHECK(rtp.marker);
    CHECK(!rtp.has_extension);
    CHECK_EQ(700, rtp.payload_size);
    CHECK_BYTES(p.data + 12, out.data + rtp.header_size, 700);
    p = make_vp8(1000, 501, 90000, false, false, false, 30);
    feed(receiver, 0, false, &p, now);
    CHECK_NEXT(FIRST + 1, 90000 + TS_OFFSET);
    CHECK(!rtp.marker);
    CHECK_SILENT();
    end();
}

static void contributors_and_padding_stay_behind(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    packet p = make_vp8(1000, 1, 0, true, true, true, 50);
    memmove(p.data + 20, p.data + 12, 50); /* two CSRCs */
    memset(p.data + 12, 0xcc, 8);
    memcpy(p.data + 70, "\0\0\0\0\5", 5); /* five bytes of padding */
    p.data[0] = 0x80 | 0x20 | 2;
    p.size = 75;
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK(take());
    CHECK_EQ(12 + 50, out.size);
    CHECK_EQ(0x80, out.data[0]);
    CHECK_BYTES(p.data + 20, out.data + 12, 50);
    end();
}

/* Sizes that differ by a byte, as packetizers cut them, leave as one; what is no part of a frame's burst stays small.
 */
static void parts_of_a_frame_are_filled_up_to_one_size(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    static const struct {
        size_t payload, size;
    } cases[] = {{1105, 1120}, {1106, 1120}, {1108, 1120}, {1109, 1128}, {500, 512}, {499, 511}};
    for (uint16_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        packet p = make_vp8(1000, i, 0, true, i == 0, true, cases[i].payload);
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK(take());
        CHECK_EQ(cases[i].size, out.size);
        CHECK_EQ(TR_DROP_NONE, tr__rtp_parse(&rtp, out.data, out.size));
        CHECK_EQ(cases[i].payload, rtp.payload_size);
        CHECK_BYTES(p.data + 12, out.data + 12, cases[i].payload);
    }
    end();
}

static void nothing_is_filled_up_for_who_may_be_unable_to_pass_it_on(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    tr__receiver_remove_sender(receiver, sender, now);
    tr__sender_free(sender);
    viewer.may_pad = false;
    sender = tr__sender_new(&viewer, &r.egress, FIRST, RTX_FIRST, TS_OFFSET);
    bind_to(&params);
    packet p = make_vp8(1000, 1, 0, true, true, true, 1105);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK(take());
    CHECK_EQ(12 + 1105, out.size);
    CHECK_EQ(0x80, out.data[0]);
    end();
}

static void extensions_are_rewritten_to_the_peers_ids(void)
{
    tr_add_receiver params = video_params(1);
    for (uint8_t e = 0; e < TR_EXT_COUNT; e++) params.extensions[e] = (uint8_t)(e + 1);
    begin(&params, true);
    tr__receiver_remove_sender(receiver, sender, now);
    tr__sender_free(sender);
    for (uint8_t e = 0; e < TR_EXT_COUNT; e++) viewer.extensions[e] = (uint8_t)(14 - e);
    viewer.extensions[TR_EXT_PLAYOUT_DELAY] = 0; /* the peer does not know it */
    sender = tr__sender_new(&viewer, &r.egress, FIRST, RTX_FIRST, TS_OFFSET);
    bind_to(&params);
    packet p = make_vp8(1000, 1, 0, true, true, true, 50);
    static const uint8_t elements[] = {
        1 << 4 | 0,  '0',        2 << 4 | 0, 'h', 3 << 4 | 0,  'r',        5 << 4 | 1,
        0,           9,          6 << 4 | 2, 1,   2,           3,          8 << 4 | 0,
        0x42,        9 << 4 | 2, 7,          7,   7,           7 << 4 | 7, 1,
        2,           3,          4,          5,   6,           7,          8,
        10 << 4 | 2, 0xd,        0xd,        0xd, 12 << 4 | 0, 0x99,       /* unknown */ 4 << 4 | 1,
        0x55,        0x55, /* too large */
    };
    add_block(&p, elements, sizeof elements);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK(take());
    CHECK_EQ(0xbede, rtp.extension_profile);
    tr_rtp_extensions found;
    CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, viewer.extensions, &found));
    static const struct {
        tr_ext ext;
        const char *bytes;
        uint8_t size;
    } rows[] = {
        {TR_EXT_MID, "v1", 2},
        {TR_EXT_RID, NULL, 0},
        {TR_EXT_REPAIRED_RID, NULL, 0},
        {TR_EXT_TWCC, NULL, 0},
        {TR_EXT_ABS_SEND_TIME, NULL, 0},
        {TR_EXT_VIDEO_ORIENTATION, "\x42", 1},
        {TR_EXT_PLAYOUT_DELAY, NULL, 0},
        {TR_EXT_ABS_CAPTURE_TIME, "\1\2\3\4\5\6\7\10", 8},
        {TR_EXT_DEPENDENCY_DESCRIPTOR, "\xd\xd\xd", 3},
        {TR_EXT_VIDEO_LAYERS_ALLOCATION, NULL, 0},
        {TR_EXT_AUDIO_LEVEL, NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(rows[i].bytes != NULL, found.of[rows[i].ext].at != 0);
        if (!rows[i].bytes) continue;
        CHECK_EQ(rows[i].size, found.of[rows[i].ext].size);
        CHECK_BYTES(rows[i].bytes, rtp.data + found.of[rows[i].ext].at, rows[i].size);
    }
    CHECK_EQ(50, rtp.payload_size);
    end();
}

static void every_packet_has_one_block_size(void)
{
    static const uint8_t orientation[] = {8 << 4 | 0, 0x42}, other[] = {5 << 4 | 1, 0, 9};
    tr_add_receiver params = video_params(1);
    for (uint8_t e = 0; e < TR_EXT_COUNT; e++) params.extensions[e] = (uint8_t)(e + 1);
    begin(&params, true);
    for (uint16_t i = 0; i < 6; i++) {
        packet p = make_vp8(1000, i, 0, true, i == 0, true, 50);
        if (i % 3 == 1) add_block(&p, orientation, sizeof orientation);
        if (i % 3 == 2) add_block(&p, other, sizeof other);
        feed(receiver, 0, false, &p, now);
    }
    for (int i = 0; i < 6; i++) {
        CHECK(take());
        CHECK_EQ(12, rtp.extension_size); /* MID 3, audio level 2, orientation 2, playout delay 4; a word's end */
        CHECK_EQ(12 + 4 + 12 + 50, out.size);
    }
    end();
}

static void large_ids_and_elements_take_the_two_byte_form(void)
{
    static const struct {
        uint8_t mid_id, descriptor_id, descriptor_size;
        bool is_two_byte;
    } rows[] = {
        {14, 13, 16, false}, {15, 13, 3, true}, {1, 200, 3, true}, {1, 13, 17, true}, {1, 13, 100, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(1);
        params.extensions[TR_EXT_MID] = rows[i].mid_id;
        params.extensions[TR_EXT_DEPENDENCY_DESCRIPTOR] = rows[i].descriptor_id;
        begin(&params, true);
        packet p = make_packet(1000, 96, 1, 0, true, (const uint8_t *)"", 0);
        uint8_t *data = p.data;
        size_t size = rows[i].descriptor_size, words = (size + 2 + 3) / 4;
        data[0] |= 0x10; /* a two-byte block by hand */
        tr__store16(data + 12, 0x1000);
        tr__store16(data + 14, (uint16_t)words);
        memset(data + 16, 0, 4 * words);
        data[16] = rows[i].descriptor_id;
        data[17] = (uint8_t)size;
        memset(data + 18, 0xab, size);
        memcpy(data + 16 + 4 * words, "\x10\0vp8", 5);
        p.size = 16 + 4 * words + 5;
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK(take());
        CHECK_EQ(rows[i].is_two_byte ? 0x1000 : 0xbede, rtp.extension_profile);
        tr_rtp_extensions found;
        CHECK_EQ(TR_DROP_NONE, tr__rtp_find_extensions(&rtp, viewer.extensions, &found));
        CHECK_EQ(2, found.of[TR_EXT_MID].size);
        CHECK_EQ(size, found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].size);
        CHECK_BYTES(data + 18, rtp.data + found.of[TR_EXT_DEPENDENCY_DESCRIPTOR].at, size);
        end();
    }
}

static void the_size_limit_is_the_datagrams(void)
{
    static const struct {
        size_t payload;
        tr_drop drop;
    } rows[] = {{1300, TR_DROP_NONE}, {1448, TR_DROP_NONE}, {1449, TR_DROP_TOO_LARGE}};
    tr_add_receiver params = video_params(1);
    params.extensions[TR_EXT_MID] = 1; /* 4 + 4 bytes: 1468 in all */
    begin(&params, true);
    for (uint16_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        packet p = make_vp8(1000, i, 0, true, i == 0, true, rows[i].payload);
        uint64_t before = drops(TR_DROP_TOO_LARGE);
        CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
        CHECK_EQ(rows[i].drop == TR_DROP_TOO_LARGE, drops(TR_DROP_TOO_LARGE) - before);
        CHECK_EQ(rows[i].drop == TR_DROP_NONE, take());
    }
    end();
}

/* ------------------------------------------------------------------ where it begins */

static void video_begins_with_a_keyframe(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    for (uint16_t seq = 10; seq < 15; seq++) CHECK_EQ(TR_DROP_NONE, frame(0, seq, seq * 3000u, false));
    CHECK_EQ(5, drops(TR_DROP_WAIT_KEYFRAME));
    CHECK_SILENT();
    CHECK(stream(0)->keyframe_wanted);
    frame(0, 16, 48000, true); /* 15 is on its way */
    CHECK(!stream(0)->keyframe_wanted);
    CHECK_NEXT(FIRST, 48000 + TS_OFFSET);
    frame(0, 15, 45000, false);
    CHECK_EQ(6, drops(TR_DROP_WAIT_KEYFRAME)); /* it lies before the beginning */
    frame(0, 19, 57000, false);
    frame(0, 18, 54000, false);
    frame(0, 17, 51000, false);
    CHECK_NEXT(FIRST + 3, 57000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 2, 54000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 1, 51000 + TS_OFFSET);
    CHECK_SILENT();
    end();
}

static void a_keyframe_that_had_to_be_repaired_brings_what_followed_it(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    frame(0, 10, 30000, false);
    for (uint16_t seq = 12; seq < 16; seq++) frame(0, seq, seq * 3000u, false);
    frame(0, 17, 51000, false); /* 16 is missing too */
    CHECK_SILENT();
    packet key = make_vp8(1000, 11, 33000, true, true, true, 200), repair = make_rtx(&key, 1001, 97, 1);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, true, &repair, now));
    for (uint16_t i = 0; i < 5; i++) CHECK_NEXT(FIRST + i, (11u + i) * 3000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 6, 17 * 3000 + TS_OFFSET);
    CHECK_SILENT();
    frame(0, 16, 48000, false);
    CHECK_NEXT(FIRST + 5, 48000 + TS_OFFSET);
    frame(0, 18, 54000, false);
    CHECK_NEXT(FIRST + 7, 54000 + TS_OFFSET);
    end();
}

static void who_joins_just_after_a_keyframe_gets_it_from_the_history(void)
{
    /* Age of the keyframe, how many packets followed it: served, or is a new one asked for? */
    static const struct {
        uint64_t age_ms;
        uint16_t followers;
        bool is_served;
    } rows[] = {
        {0, 1, true}, {400, 20, true}, {400, 127, true}, {400, 128, false}, {999, 20, true}, {1000, 20, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(1);
        begin(&params, true);
        tr__receiver_remove_sender(receiver, sender, now);
        frame(0, 0, 0, true);
        for (uint16_t seq = 1; seq < rows[i].followers; seq++) frame(0, seq, seq * 3000u, false);
        CHECK_SILENT();
        now += rows[i].age_ms * MS;
        bind_to(&params);
        frame(0, rows[i].followers, rows[i].followers * 3000u, false);
        if (rows[i].is_served) {
            for (uint16_t seq = 0; seq <= rows[i].followers; seq++) CHECK_NEXT(FIRST + seq, seq * 3000u + TS_OFFSET);
            CHECK(!stream(0)->keyframe_wanted);
        } else {
            CHECK(stream(0)->keyframe_wanted);
        }
        CHECK_SILENT();
        end();
    }
}

static void audio_begins_at_once_with_the_newest(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    opus(100);
    CHECK_NEXT(FIRST, 96000 + TS_OFFSET);
    opus(102);
    opus(101);
    CHECK_NEXT(FIRST + 2, 102 * 960 + TS_OFFSET);
    CHECK_NEXT(FIRST + 1, 101 * 960 + TS_OFFSET);
    /* Who comes later does not begin with one that was late. */
    tr__receiver_remove_sender(receiver, sender, now);
    opus(104);
    bind_to(&params);
    opus(103);
    CHECK_SILENT();
    opus(105);
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + 3), rtp.seq);
    CHECK_EQ(0, drops(TR_DROP_RTP_OLD));
    opus(99);
    CHECK_SILENT();
    end();
}

static tr_drop opaque(uint16_t seq)
{
    static const uint8_t payload[] = {0x90, 0x80}; /* a descriptor that is cut short */
    packet p = make_packet(1000, 96, seq, seq * 900u, true, payload, sizeof payload);
    return feed(receiver, 0, false, &p, now);
}

static void opaque_video_begins_after_a_second_and_other_codecs_at_once(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    for (uint16_t seq = 0; seq < 100; seq++, now += 10 * MS)
        if (seq != 98) opaque(seq);
    CHECK_EQ(99, drops(TR_DROP_WAIT_KEYFRAME));
    opaque(98); /* late: no beginning, or what has come since would follow it under no number */
    CHECK_SILENT();
    opaque(100);
    CHECK_NEXT(FIRST, 100 * 900 + TS_OFFSET);
    opaque(101);
    CHECK_NEXT(FIRST + 1, 101 * 900 + TS_OFFSET);
    tr__sender_on_tick(sender, now);
    CHECK(stream(0)->keyframe_wanted); /* what it waits for is asked for all the same */
    end();
    params.codecs[0].codec = TR_CODEC_OTHER;
    begin(&params, true);
    packet p = make_packet(1000, 96, 7, 900, true, (const uint8_t *)"what", 4);
    feed(receiver, 0, false, &p, now);
    CHECK_NEXT(FIRST, 900 + TS_OFFSET);
    end();
}

/* ------------------------------------------------------------------ numbering */

static void padding_closes_up_and_a_late_one_fills_its_hole(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    frame(0, 1, 0, true);
    packet empty = make_packet(1000, 96, 2, 0, false, (const uint8_t *)"\0\0\0\4", 4);
    empty.data[0] |= 0x20;
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &empty, now));
    frame(0, 3, 3000, false);
    frame(0, 5, 6000, false);
    CHECK_NEXT(FIRST, TS_OFFSET);
    CHECK_NEXT(FIRST + 1, 3000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 3, 6000 + TS_OFFSET);
    CHECK_SILENT();
    tr__store16(empty.data + 2, 4); /* it was lost, and is repaired: nobody knew that it was empty */
    tr__store32(empty.data + 4, 3000);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &empty, now));
    CHECK_NEXT(FIRST + 2, 3000 + TS_OFFSET);
    CHECK_EQ(0, rtp.payload_size);
    CHECK_EQ(0, rtp.padding_size);
    end();
}

static void codecs_the_peer_cannot_take_close_up(void)
{
    tr_add_receiver params = audio_params();
    params.codec_count = 2;
    params.codecs[1] = (tr_codec_params){.pt = 110, .rtx_pt = TR_NO_PT, .clock_rate = 48000}; /* telephone events */
    begin(&params, false);
    tr_bind_sender bind = bind_params(&params, &viewer);
    bind.pts[1] = TR_NO_PT;
    tr__receiver_add_sender(receiver, sender, &bind, now);
    opus(1);
    packet p = make_packet(2000, 110, 2, 0, false, (const uint8_t *)"tone", 4);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    CHECK_EQ(1, drops(TR_DROP_CODEC));
    opus(3);
    CHECK(take() && take());
    CHECK_EQ(FIRST + 1, rtp.seq);
    /* Also where it is such a packet that ends an outage, or an empty one. */
    p = make_packet(2000, 110, 30000, 0, false, (const uint8_t *)"tone", 4);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    opus(30001);
    CHECK_NEXT(FIRST + 2, 30001 * 960 + TS_OFFSET);
    p = make_packet(2000, 111, 60000, 0, false, NULL, 0);
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, false, &p, now));
    opus(60001);
    CHECK_NEXT(FIRST + 3, 60001 * 960u + TS_OFFSET);
    CHECK_SILENT();
    end();
}

static void a_pause_closes_up_and_keeps_the_timeline(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    frame(0, 1, 0, true);
    tr__sender_pause(sender, true, now);
    CHECK(!stream(0)->keyframe_wanted);
    frame(0, 2, 3000, false);
    frame(0, 3, 6000, true);
    CHECK_EQ(2, drops(TR_DROP_PAUSED));
    frame(0, 4, 9000, false);
    now += 100 * MS;
    tr__sender_pause(sender, false, now);
    CHECK(!stream(0)->keyframe_wanted); /* that of the pause is a beginning, with what followed it */
    frame(0, 5, 12000, false);
    CHECK_NEXT(FIRST, TS_OFFSET);
    for (uint32_t i = 1; i < 4; i++) CHECK_NEXT(FIRST + i, 3000 * (i + 1) + TS_OFFSET);
    tr__sender_pause(sender, true, now);
    now += 400 * MS;
    tr__sender_pause(sender, false, now);
    CHECK(stream(0)->keyframe_wanted); /* now it is none any more */
    frame(0, 6, 13000, false);
    CHECK_EQ(1, drops(TR_DROP_WAIT_KEYFRAME));
    CHECK_SILENT();
    frame(0, 7, 15000, true);
    CHECK_NEXT(FIRST + 4, 15000 + TS_OFFSET);
    /* What was sent before the pause is not sent again under another number. */
    tr__sender_pause(sender, true, now);
    tr__sender_pause(sender, false, now);
    frame(0, 7, 15000, true);
    CHECK_SILENT();
    frame(0, 9, 21000, true);
    CHECK_NEXT(FIRST + 5, 21000 + TS_OFFSET);
    tr__sender_pause(sender, true, now);
    tr__sender_pause(sender, false, now);
    frame(0, 8, 18000, true); /* nor as what followed a keyframe that came late */
    CHECK_SILENT();
    end();
}

static void an_outage_closes_up_so_that_the_peers_rollover_guess_stays_right(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    opus(1);
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    opus(1 + TR_NACK_MAX_GAP);
    CHECK_NEXT(FIRST + TR_NACK_MAX_GAP, (1 + TR_NACK_MAX_GAP) * 960 + TS_OFFSET);
    r.egress.has_path = false;
    for (uint16_t seq = 600; seq < 1600; seq++) opus(seq);
    CHECK(drops(TR_DROP_NO_PATH) == 1000);
    r.egress.has_path = true;
    opus(1600);
    CHECK_NEXT(FIRST + TR_NACK_MAX_GAP + 1, 1600 * 960 + TS_OFFSET);
    opus(32000); /* and one of the publisher's */
    CHECK_NEXT(FIRST + TR_NACK_MAX_GAP + 2, 32000 * 960 + TS_OFFSET);
    end();

    params = video_params(1);
    begin(&params, true);
    frame(0, 0, 0, true);
    CHECK(take());
    frame(0, 1000, 90000, false);
    CHECK_EQ(1, drops(TR_DROP_WAIT_KEYFRAME));
    CHECK(stream(0)->keyframe_wanted);
    frame(0, 1001, 93000, true);
    CHECK_NEXT(FIRST + 1, 93000 + TS_OFFSET);
    end();
}

static void a_keyframe_that_cannot_leave_is_no_beginning(void)
{
    tr_add_receiver params = video_params(1);
    begin(&params, true);
    r.egress.has_path = false;
    frame(0, 1, 0, true);
    CHECK_EQ(1, drops(TR_DROP_NO_PATH));
    now += 2 * S;
    r.egress.has_path = true;
    frame(0, 2, 180000, false);
    CHECK_EQ(1, drops(TR_DROP_WAIT_KEYFRAME));
    CHECK(stream(0)->keyframe_wanted);
    frame(0, 3, 183000, true);
    CHECK_NEXT(FIRST, 183000 + TS_OFFSET);
    r.egress.is_admitted = false;
    frame(0, 4, 186000, false);
    CHECK_EQ(1, drops(TR_DROP_NOT_ADMITTED));
    end();
}

/* The next packet is this one, by RTX. */
#define CHECK_AGAIN(seq)                                                                                               \
    do {                                                                                                               \
        CHECK(take());                                                                                                 \
        CHECK_EQ(5001, rtp.ssrc);                                                                                      \
        CHECK_EQ((uint16_t)(seq), tr__load16(out.data + rtp.header_size));                                             \
    } while (0)

static void a_beginning_includes_the_parameter_sets_that_came_before(void)
{
    tr_add_receiver params = video_params(1);
    params.codecs[0].codec = TR_CODEC_H264;
    begin(&params, true);
    static const uint8_t sets[] = {0x67, 0x42, 0x00, 0x1f}, idr[] = {0x65, 0x88, 0x80, 0x10};
    r.egress.has_path = false;
    packet p = make_packet(1000, 96, 1, 3000, false, sets, sizeof sets);
    feed(receiver, 0, false, &p, now);
    r.egress.has_path = true; /* the path is there in the middle of the keyframe */
    p = make_packet(1000, 96, 2, 3000, true, idr, sizeof idr);
    feed(receiver, 0, false, &p, now);
    CHECK_NEXT(FIRST, 3000 + TS_OFFSET);
    CHECK_BYTES(sets, out.data + rtp.header_size, sizeof sets);
    CHECK_AGAIN(FIRST); /* a decoder that misses them would take others */
    CHECK_NEXT(FIRST + 1, 3000 + TS_OFFSET);
    CHECK_SILENT();
    CHECK_EQ(1, stream(0)->keyframes);
    end();
    begin(&params, false); /* without RTX they leave once */
    p = make_packet(1000, 96, 1, 3000, false, sets, sizeof sets);
    feed(receiver, 0, false, &p, now);
    CHECK_NEXT(FIRST, 3000 + TS_OFFSET);
    CHECK_SILENT();
    end();
}

/* One NAL unit of H.264 that says no more than its type; each picture takes 3000 ticks. */
static void unit(uint16_t seq, uint32_t picture, uint8_t type)
{
    const uint8_t payload[] = {0x60 | type, 0x88, 0x80, 0x10};
    packet p = make_packet(1000, 96, seq, picture * 3000, true, payload, sizeof payload);
    feed(receiver, 0, false, &p, now);
}

static void nothing_begins_with_a_keyframe_whose_parameter_sets_may_be_lost(void)
{
    enum { SLICE = 1, IDR = 5, SPS = 7, PPS = 8 };
    tr_add_receiver params = video_params(1);
    params.codecs[0].codec = TR_CODEC_H264;
    begin(&params, true);
    unit(1, 0, SLICE);
    unit(3, 1, PPS); /* 2, the SPS, is lost */
    unit(4, 1, IDR);
    unit(5, 2, SLICE);
    CHECK_SILENT();
    CHECK_EQ(4, drops(TR_DROP_WAIT_KEYFRAME));
    CHECK(stream(0)->keyframe_wanted);
    unit(2, 1, SPS);
    CHECK_NEXT(FIRST, 3000 + TS_OFFSET);
    CHECK_EQ(0x60 | SPS, rtp.data[rtp.header_size]);
    CHECK_AGAIN(FIRST);
    CHECK_NEXT(FIRST + 1, 3000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 2, 3000 + TS_OFFSET);
    CHECK_NEXT(FIRST + 3, 6000 + TS_OFFSET);
    CHECK(!stream(0)->keyframe_wanted); /* it has come after all */
    end();

    begin(&params, true);
    unit(1, 0, SLICE);
    unit(3, 1, IDR); /* the publisher's first has nothing before it either */
    unit(4, 2, SLICE);
    CHECK_SILENT();
    tr__receiver_remove_sender(receiver, sender, now);
    bind_to(&params);
    unit(5, 3, SLICE);
    CHECK_SILENT(); /* nor does who joins begin with it */
    CHECK(stream(0)->keyframe_wanted);
    unit(6, 4, IDR); /* nothing is lost: its parameter sets come by other ways */
    CHECK_NEXT(FIRST, 4 * 3000 + TS_OFFSET);
    end();
}

static void another_source_goes_on_in_the_same_line(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    opus(1);
    CHECK_NEXT(FIRST, 960 + TS_OFFSET);
    tr_receiver *first = receiver;
    receiver = tr__receiver_new(&params, HISTORY, &clock_, &r.tally);
    tr__receiver_remove_sender(first, sender, now);
    CHECK_EQ(TR_NONE, tr__sender_receiver_id(sender));
    now += 500 * MS;
    bind_to(&params);
    opus(30000);
    CHECK_NEXT(FIRST + 1, 960 + 24000 + TS_OFFSET); /* half a second later */
    opus(30001);
    CHECK_NEXT(FIRST + 2, 960 + 24000 + 960 + TS_OFFSET);
    tr__receiver_free(first);
    end();
}

/* ------------------------------------------------------------------ simulcast */

static void the_best_active_encoding_is_taken_at_its_keyframe(void)
{
    tr_add_receiver params = video_params(3);
    begin(&params, true);
    frame(0, 100, 0, true);
    CHECK_NEXT(FIRST, TS_OFFSET);
    frame(1, 200, 7000, false);
    CHECK(stream(1)->keyframe_wanted); /* better: asked for, and the old one goes on */
    frame(0, 101, 3000, false);
    CHECK_NEXT(FIRST + 1, 3000 + TS_OFFSET);
    now += 100 * MS;
    frame(1, 201, 16000, true);
    CHECK_NEXT(FIRST + 2, 3000 + 9000 + TS_OFFSET); /* no reports: by the time between them */
    frame(0, 102, 6000, false);
    CHECK_SILENT();
    CHECK_EQ(2, drops(TR_DROP_LAYER)); /* 200 and 102 */
    frame(1, 202, 19000, false);
    CHECK_NEXT(FIRST + 3, 15000 + TS_OFFSET);
    /* The best begins with a keyframe. */
    frame(2, 300, 1, true);
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + 4), rtp.seq);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(2, stats.encoding);
    /* It falls silent: the next best is wanted after a second, and taken at its keyframe. */
    for (uint16_t i = 0; i < 11; i++) {
        now += 100 * MS;
        frame(1, (uint16_t)(203 + i), 22000u + i * 9000u, false);
        tr__sender_on_tick(sender, now);
        CHECK_EQ(i >= 9, stream(1)->keyframe_wanted);
    }
    CHECK_SILENT();
    frame(1, 214, 130000, true);
    CHECK(take());
    CHECK_EQ((uint16_t)(FIRST + 5), rtp.seq);
    /* Nothing at all is active: nothing changes. */
    now += 10 * (uint64_t)S;
    tr__sender_on_tick(sender, now);
    tr__sender_stats(sender, now, &stats);
    CHECK_EQ(1, stats.encoding);
    end();
}

/* Two encodings of one camera with clocks of their own; the reports say how they belong together. */
static void timestamps_go_on_across_a_switch(void)
{
    /* When the new encoding's keyframe was taken, ms after the last frame that was sent; how late it came; what
     * follows. */
    static const struct {
        bool has_reports;
        int64_t taken_ms;
        uint64_t later_ms;
        int64_t expected;
    } rows[] = {
        {true, 33, 33, 33 * 90}, {true, 33, 90, 33 * 90},    {false, 33, 90, 90 * 90},    {true, -50, 10, 1},
        {true, 0, 10, 1},        {true, 20000, 40, 40 * 90}, {true, -20000, 40, 40 * 90}, {false, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_add_receiver params = video_params(2);
        begin(&params, true);
        uint32_t low = 0xffffff00, high = 12345; /* both show this at the same moment, T */
        frame(0, 1, low, true);
        CHECK_NEXT(FIRST, low + TS_OFFSET);
        uint64_t t = 5000 * (uint64_t)S;
        if (rows[i].has_reports) {
            tr_rtcp_sr sr = {.ssrc = 1000, .rtp_ts = low - 90000, .ntp = tr__ntp_from_us(t - S)};
            tr__receiver_on_sr(receiver, 0, &sr, now, tr__ntp_from_us(t));
            sr = (tr_rtcp_sr){.ssrc = 1010, .rtp_ts = high + 45000, .ntp = tr__ntp_from_us(t + S / 2)};
            tr__receiver_on_sr(receiver, 1, &sr, now, tr__ntp_from_us(t));
        }
        now += rows[i].later_ms * MS;
        frame(1, 1, high + (uint32_t)(rows[i].taken_ms * 90), true);
        CHECK(take());
        int32_t moved = tr__ts_diff(rtp.ts, low + TS_OFFSET);
        CHECK(moved >= rows[i].expected - 1 && moved <= rows[i].expected + 1 && moved >= 1);
        uint32_t last = rtp.ts;
        frame(1, 2, high + (uint32_t)(rows[i].taken_ms * 90) + 3000, false);
        CHECK_NEXT(FIRST + 2, last + 3000);
        end();
    }
}

static const check_test tests[] = {
    TEST(a_packet_leaves_with_the_senders_header_and_its_own_payload),
    TEST(contributors_and_padding_stay_behind),
    TEST(parts_of_a_frame_are_filled_up_to_one_size),
    TEST(nothing_is_filled_up_for_who_may_be_unable_to_pass_it_on),
    TEST(extensions_are_rewritten_to_the_peers_ids),
    TEST(every_packet_has_one_block_size),
    TEST(large_ids_and_elements_take_the_two_byte_form),
    TEST(the_size_limit_is_the_datagrams),
    TEST(video_begins_with_a_keyframe),
    TEST(a_keyframe_that_had_to_be_repaired_brings_what_followed_it),
    TEST(who_joins_just_after_a_keyframe_gets_it_from_the_history),
    TEST(audio_begins_at_once_with_the_newest),
    TEST(opaque_video_begins_after_a_second_and_other_codecs_at_once),
    TEST(padding_closes_up_and_a_late_one_fills_its_hole),
    TEST(codecs_the_peer_cannot_take_close_up),
    TEST(a_pause_closes_up_and_keeps_the_timeline),
    TEST(an_outage_closes_up_so_that_the_peers_rollover_guess_stays_right),
    TEST(a_keyframe_that_cannot_leave_is_no_beginning),
    TEST(a_beginning_includes_the_parameter_sets_that_came_before),
    TEST(nothing_begins_with_a_keyframe_whose_parameter_sets_may_be_lost),
    TEST(another_source_goes_on_in_the_same_line),
    TEST(the_best_active_encoding_is_taken_at_its_keyframe),
    TEST(timestamps_go_on_across_a_switch),
};
CHECK_MAIN("test_sender", tests)
