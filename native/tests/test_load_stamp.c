/* load stamp: written and read back, under every change a server or a line may make. */
#include "stamp.h"

#include "check.h"
#include "codec.h"
#include "payload.h"

static tl_stamp example(void)
{
    return (tl_stamp){.stream = 7,
                      .counter = 1ull << 40 | 5,
                      .sent_ns = 1700000000123456789u,
                      .frame = 90001,
                      .part = 3,
                      .parts = 9,
                      .is_keyframe = true};
}

static void what_is_written_is_read(void)
{
    size_t heads[] = {1, 4, 14, 64}, sizes[] = {TL_STAMP_SIZE + 64, 120, 300, 1150, 1300};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 5; k++) {
            uint8_t payload[1400] = {0};
            tl_stamp in = example(), out;
            tl__stamp_write(payload, heads[i], sizes[k], 99, &in);
            CHECK_EQ(TL_STAMP_OK, tl__stamp_read(payload, sizes[k], 99, &out));
            CHECK_EQ(in.stream, out.stream);
            CHECK_EQ(in.counter, out.counter);
            CHECK_EQ(in.sent_ns, out.sent_ns);
            CHECK_EQ(in.frame, out.frame);
            CHECK_EQ(in.part, out.part);
            CHECK_EQ(in.parts, out.parts);
            CHECK(out.is_keyframe);
        }
    }
}

static void another_engine_s_packet_is_not_ours(void)
{
    uint8_t payload[1200] = {0};
    tl_stamp in = example(), out;
    tl__stamp_write(payload, 4, 1150, 99, &in);
    CHECK_EQ(TL_STAMP_ABSENT, tl__stamp_read(payload, 1150, 98, &out));
    CHECK_EQ(TL_STAMP_ABSENT, tl__stamp_read(payload, TL_STAMP_SIZE - 1, 99, &out));
    CHECK_EQ(TL_STAMP_ABSENT, tl__stamp_read(payload, 0, 99, &out));
}

static void each_wrong_byte_behind_the_head_is_found(void)
{
    uint8_t payload[600];
    tl_stamp in = example(), out;
    for (size_t at = 0; at < sizeof payload; at++) {
        memset(payload, 0, sizeof payload);
        tl__stamp_write(payload, 4, sizeof payload, 99, &in);
        payload[at] ^= 0x10;
        tl_stamp_verdict verdict = tl__stamp_read(payload, sizeof payload, 99, &out);
        bool is_mark = at >= sizeof payload - TL_STAMP_SIZE && at < sizeof payload - TL_STAMP_SIZE + 4;
        CHECK_EQ(at < TL_STAMP_HEAD ? TL_STAMP_OK : is_mark ? TL_STAMP_ABSENT : TL_STAMP_CORRUPT, verdict);
    }
}

static void a_descriptor_may_grow_or_shrink(void)
{
    uint8_t payload[1200] = {0}, moved[1240];
    tl_stamp in = example(), out;
    tl__stamp_write(payload, 14, 1150, 99, &in);
    memcpy(moved + 3, payload, 1150);
    CHECK_EQ(TL_STAMP_OK, tl__stamp_read(moved, 1153, 99, &out));
    CHECK_EQ(TL_STAMP_OK, tl__stamp_read(payload + 3, 1147, 99, &out));
    CHECK_EQ(in.counter, out.counter);
}

static void no_start_code_hides_in_the_filler(void)
{
    tl_stamp in = example();
    for (in.counter = 0; in.counter < 200; in.counter++) {
        uint8_t payload[1150] = {0};
        tl__stamp_write(payload, 2, sizeof payload, 99, &in);
        CHECK(memchr(payload + 2, 0, sizeof payload - 2 - TL_STAMP_SIZE) == NULL);
    }
}

static void a_server_reads_keyframes_and_frame_starts(void)
{
    static const struct {
        tl_codec ours;
        tr_codec theirs;
    } CODECS[] = {{TL_CODEC_VP8, TR_CODEC_VP8}, {TL_CODEC_H264, TR_CODEC_H264}};
    for (size_t i = 0; i < 2; i++) {
        tl_payload_maker maker;
        tl__payload_init(&maker, CODECS[i].ours, 640, 360);
        for (uint16_t parts = 1; parts <= 5; parts++) {
            for (int is_keyframe = 0; is_keyframe < 2; is_keyframe++) {
                uint8_t payload[400] = {0};
                tl_stamp stamp = example();
                size_t head = tl__payload_head(&maker, payload, 77, 0, parts, is_keyframe, sizeof payload);
                CHECK(head <= TL_PAYLOAD_MAX_HEAD);
                tl__stamp_write(payload, head, sizeof payload, 99, &stamp);
                tr_codec_info info = tr__codec_inspect(CODECS[i].theirs, payload, sizeof payload);
                CHECK(info.is_readable);
                CHECK_EQ(is_keyframe, info.is_keyframe);
            }
        }
    }
}

static void aggregated_sizes_of_h264_add_up(void)
{
    tl_payload_maker maker;
    tl__payload_init(&maker, TL_CODEC_H264, 1280, 720);
    uint8_t out[64];
    tl__payload_head(&maker, out, 0, 0, 3, true, 1100);
    static const int TYPES[] = {7, 8, 6}; /* SPS, PPS, SEI */
    size_t at = 1, nals = 0;
    CHECK_EQ(24, out[0] & 31);
    while (at + 2 <= maker.parameter_sets_size) {
        size_t size = (size_t)(out[at] << 8 | out[at + 1]);
        CHECK_EQ(TYPES[nals], out[at + 2] & 31);
        at += 2 + size;
        nals++;
    }
    CHECK_EQ(3, nals);
    CHECK_EQ(1100, at);
}

static const check_test tests[] = {
    TEST(what_is_written_is_read),
    TEST(another_engine_s_packet_is_not_ours),
    TEST(each_wrong_byte_behind_the_head_is_found),
    TEST(a_descriptor_may_grow_or_shrink),
    TEST(no_start_code_hides_in_the_filler),
    TEST(a_server_reads_keyframes_and_frame_starts),
    TEST(aggregated_sizes_of_h264_add_up),
};
CHECK_MAIN("test_load_stamp", tests)
