/* seen: what is counted of what one peer was shown: pictures that left whole, keyframes, sizes, reports; by a sender
 * between a receiver and a peer. Its pages: test_counts.c. */
#include "support/sender.h"

static tr_seen seen(void)
{
    tr_seen found;
    tr__sender_seen(sender, now, &found);
    return found;
}

/* A packet of VP8 as libvpx writes it; height 0: no keyframe. */
static packet vp8(int encoding, uint16_t seq, uint32_t ts, uint16_t height, int part, int parts)
{
    uint8_t payload[60] = {part == 0 ? 0x10 : 0, 0x11};
    if (height && part == 0) {
        uint16_t width = (uint16_t)(height / 9 * 16);
        memcpy(payload + 1, "\x90\x94\x01\x9d\x01\x2a", 6);
        payload[7] = (uint8_t)width;
        payload[8] = (uint8_t)(width >> 8);
        payload[9] = (uint8_t)height;
        payload[10] = (uint8_t)(height >> 8);
    }
    return make_packet(1000 + 10 * (uint32_t)encoding, 96, seq, ts, part + 1 == parts, payload, sizeof payload);
}

static uint16_t seqs[3];

/* One picture; missing: a bit for each packet that does not come. Returns the number of its first packet. */
static uint16_t shoot(int encoding, uint32_t ts, uint16_t height, int parts, uint32_t missing)
{
    uint16_t first = seqs[encoding];
    for (int part = 0; part < parts; part++) {
        packet p = vp8(encoding, seqs[encoding]++, ts, height, part, parts);
        if (!(missing >> part & 1)) feed(receiver, encoding, false, &p, now);
    }
    return first;
}

static void begin_vp8(uint8_t encodings)
{
    static tr_add_receiver params;
    params = video_params(encodings);
    seqs[0] = seqs[1] = seqs[2] = 65530; /* they wrap */
    begin(&params, true);
}

static void pictures_that_left_whole(void)
{
    begin_vp8(1);
    shoot(0, 0, 720, 3, 0);
    for (uint32_t i = 1; i < 10; i++) shoot(0, 3000 * i, 0, 2, 0);
    tr_seen found = seen();
    CHECK_EQ(10, found.frames);
    CHECK_EQ(10, found.keyed_frames);
    CHECK_EQ(1, found.keyframes);
    CHECK_EQ(21, found.packets);
    CHECK_EQ(720, found.height);
    CHECK_EQ(TR_KEYFRAMES_FOR_CERTAIN, found.keyframes_told);
    CHECK_EQ(5000, found.sender);
    CHECK_EQ(1, found.receiver);
    CHECK_EQ(1, found.is_forwarding);
    CHECK_EQ(1, found.is_video);
    end();
}

/* The publisher's resend fills the gap, once; it may come twice. */
static void a_picture_that_is_repaired_counts_once(void)
{
    begin_vp8(1);
    shoot(0, 0, 720, 3, 0);
    uint16_t first = shoot(0, 3000, 0, 3, 2);
    shoot(0, 6000, 0, 1, 0);
    CHECK_EQ(2, seen().frames);
    packet p = vp8(0, (uint16_t)(first + 1), 3000, 0, 1, 3);
    packet rtx = make_rtx(&p, 1001, 97, 7), again = make_rtx(&p, 1001, 97, 8);
    now += 50 * MS;
    CHECK_EQ(TR_DROP_NONE, feed(receiver, 0, true, &rtx, now));
    CHECK_EQ(3, seen().frames);
    feed(receiver, 0, true, &again, now);
    feed(receiver, 0, false, &p, now);
    CHECK_EQ(3, seen().frames);
    CHECK_EQ(7, seen().packets);
    end();
}

/* The peer's own loss is repaired from the history: the picture left once and counts once. */
static void what_leaves_again_counts_once(void)
{
    begin_vp8(1);
    shoot(0, 0, 720, 3, 0);
    for (uint32_t i = 1; i < 20; i++) shoot(0, 3000 * i, 0, 2, 0);
    tr_seen before = seen();
    uint16_t wanted[] = {FIRST + 1, FIRST + 2, FIRST + 5};
    now += 100 * MS;
    tr__sender_on_nack(sender, wanted, 3, now);
    tr_sender_stats stats;
    tr__sender_stats(sender, now, &stats);
    CHECK(stats.resent_packets > 0);
    CHECK_EQ(before.frames, seen().frames);
    CHECK_EQ(before.packets, seen().packets);
    CHECK_EQ(before.keyframes, seen().keyframes);
    end();
}

/* What follows a keyframe with a hole cannot be decoded, until it is mended or another comes. */
static void pictures_behind_a_keyframe_with_a_hole(void)
{
    begin_vp8(1);
    uint16_t first = shoot(0, 0, 720, 3, 2);
    for (uint32_t i = 1; i < 5; i++) shoot(0, 3000 * i, 0, 2, 0);
    CHECK_EQ(4, seen().frames);
    CHECK_EQ(0, seen().keyed_frames);
    CHECK_EQ(0, seen().keyframes);
    packet p = vp8(0, (uint16_t)(first + 1), 0, 720, 1, 3), rtx = make_rtx(&p, 1001, 97, 7);
    feed(receiver, 0, true, &rtx, now);
    shoot(0, 15000, 0, 2, 0);
    CHECK_EQ(6, seen().frames);
    CHECK_EQ(2, seen().keyed_frames);
    CHECK_EQ(1, seen().keyframes);
    end();
}

/* The picture under way is cut off by the other encoding's keyframe: it is not whole. Sizes follow. */
static void another_encoding(void)
{
    begin_vp8(2);
    for (uint32_t i = 0; i < 5; i++, now += 33 * MS) {
        shoot(0, 3000 * i, i == 0 ? 180 : 0, 1, 0);
        shoot(1, 3000 * i, i == 0 ? 720 : 0, 3, 0);
    }
    CHECK_EQ(720, seen().height);
    uint32_t before = seen().frames;
    tr__sender_set_layer(sender, (tr_layer){0, TR_LAYER_ANY, TR_LAYER_ANY}, now);
    shoot(1, 15000, 0, 3, 4); /* its end is missing */
    now += 150 * MS;          /* and waited for no longer */
    shoot(0, 18000, 180, 1, 0);
    CHECK_EQ(180, seen().height);
    CHECK_EQ(before + 1, seen().frames);
    uint32_t keyed = seen().keyed_frames;
    for (uint32_t i = 7; i < 10; i++) shoot(0, 3000 * i, 0, 1, 0);
    CHECK_EQ(before + 4, seen().frames);
    CHECK_EQ(keyed + 3, seen().keyed_frames);
    end();
}

/* A pause ends what went on; what goes on after it begins with a keyframe. */
static void a_pause(void)
{
    begin_vp8(1);
    shoot(0, 0, 720, 1, 0);
    shoot(0, 3000, 0, 1, 0);
    tr__sender_pause(sender, true, now);
    shoot(0, 6000, 0, 1, 0);
    CHECK_EQ(2, seen().frames);
    CHECK_EQ(0, seen().is_forwarding);
    CHECK_EQ(0, seen().height);
    CHECK_EQ(TR_KEYFRAMES_UNTOLD, seen().keyframes_told);
    now += 5 * (uint64_t)S;
    tr__sender_pause(sender, false, now);
    shoot(0, 450000, 0, 1, 0);
    CHECK_EQ(2, seen().frames);
    shoot(0, 453000, 360, 1, 0);
    CHECK_EQ(3, seen().frames);
    CHECK_EQ(2, seen().keyframes);
    CHECK_EQ(360, seen().height);
    end();
}

/* Encrypted end to end: bytes that look like a keyframe have no start code; and of H.264 nothing says so. */
static void what_is_closed(void)
{
    begin_vp8(1);
    uint16_t seq = 10;
    for (uint32_t i = 0; i < 10; i++) {
        packet p = make_vp8(1000, seq++, 3000 * i, true, i % 2 == 0, true, 80);
        feed(receiver, 0, false, &p, now);
    }
    CHECK_EQ(10, seen().frames);
    CHECK_EQ(0, seen().keyed_frames);
    CHECK_EQ(0, seen().keyframes);
    CHECK_EQ(0, seen().height);
    CHECK_EQ(TR_KEYFRAMES_UNTOLD, seen().keyframes_told);
    end();
    tr_add_receiver params = video_params(1);
    params.codecs[0].codec = TR_CODEC_OTHER;
    begin(&params, true);
    for (uint32_t i = 0; i < 10; i++) {
        packet p = make_packet(1000, 96, (uint16_t)(2 * i), 3000 * i, false, (const uint8_t *)"\xff\xfe", 2);
        feed(receiver, 0, false, &p, now);
        p = make_packet(1000, 96, (uint16_t)(2 * i + 1), 3000 * i, true, (const uint8_t *)"\xff\xfe", 2);
        feed(receiver, 0, false, &p, now);
    }
    CHECK_EQ(9, seen().frames); /* it began anywhere, maybe in the middle of one */
    CHECK_EQ(0, seen().keyed_frames);
    CHECK_EQ(TR_KEYFRAMES_UNTOLD, seen().keyframes_told);
    end();
}

static void sound(void)
{
    tr_add_receiver params = audio_params();
    begin(&params, false);
    for (uint16_t seq = 1; seq <= 50; seq++) opus(seq);
    tr_seen found = seen();
    CHECK_EQ(50, found.packets);
    CHECK_EQ(0, found.frames);
    CHECK_EQ(0, found.is_video);
    CHECK_EQ(1, found.is_forwarding);
    end();
}

static void reports_are_counted(void)
{
    begin_vp8(1);
    tr_rtcp_report report = {.ssrc = 5000, .fraction_lost = 51};
    tr__sender_on_report(sender, &report, now, 0);
    CHECK_EQ(1, seen().reports);
    CHECK_EQ(51, seen().fraction_lost);
    report.fraction_lost = 0;
    tr__sender_on_report(sender, &report, now, 0);
    report.ssrc = 5001; /* of its resends: not asked about */
    tr__sender_on_report(sender, &report, now, 0);
    CHECK_EQ(2, seen().reports);
    CHECK_EQ(0, seen().fraction_lost);
    end();
}

static const check_test tests[] = {
    TEST(pictures_that_left_whole),
    TEST(a_picture_that_is_repaired_counts_once),
    TEST(what_leaves_again_counts_once),
    TEST(pictures_behind_a_keyframe_with_a_hole),
    TEST(another_encoding),
    TEST(a_pause),
    TEST(what_is_closed),
    TEST(sound),
    TEST(reports_are_counted),
};
CHECK_MAIN("test_seen", tests)
