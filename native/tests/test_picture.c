/* picture: sizes of pictures by keyframes as encoders write them (libvpx, x264, libaom's descriptors), and by what no
 * encoder writes. */
#include "picture.h"

#include "check.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* As x264 writes them, each with its NAL header. */
#define SPS_720 "\x67\x42\xc0\x1f\xd9\x00\x50\x05\xba\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\xc0\xf1\x83\x24\x80"
#define SPS_1080                                                                                                       \
    "\x67\x64\x00\x28\xac\xd9\x40\x78\x02\x27\xe5\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xf0\x3c\x60\xc6\x58"
#define SPS_TALL "\x67\x4d\x40\x1e\xec\xa0\xb8\x28\xf2\xf0\x80\x00\x00\x03\x00\x80\x00\x00\x1e\x07\x8b\x16\xcb"
#define SPS_444                                                                                                        \
    "\x67\xf4\x00\x1e\x91\x9b\x28\x14\x05\xff\x13\x08\x00\x03\x00\x00\x03\x00\x80\x00\x00\x03\x01\xe0\x78\xb1\x6c\xb0"
#define SPS_422_ODD                                                                                                    \
    "\x67\x7a\x00\x28\xbc\xd9\x40\x78\x02\x27\xa8\xb8\x40\x00\x00\x03\x00\x40\x00\x00\x0f\x03\xc6\x0c\x65\x80"
#define SPS_INTERLACED                                                                                                 \
    "\x67\x64\x00\x28\xac\xd9\x40\x78\x04\x4f\xdc\x20\x00\x00\x03\x00\x20\x00\x00\x07\x83\xe2\xc5\xb2\xc0"
#define SPS_SCALED "\x67\x64\x00\x1e\xac\xd9\x40\xa0\x3d\xa1\x00\x00\x03\x00\x01\x00\x00\x03\x00\x3c\x0f\x16\x2d\x96"
#define SPS_GREY "\x67\x64\x00\x0d\xf3\x65\x05\x06\x7e\x36\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\xc0\xf1\x42\x99\x60"

#define VP8_720 "\xb0\x94\x01\x9d\x01\x2a\x00\x05\xd0\x02\x00\x47"
#define VP8_TALL "\x90\x7c\x01\x9d\x01\x2a\x68\x41\x80\x82\x02\xc7" /* to be shown larger than it is */
#define VP9_720 "\x82\x49\x83\x42\x00\x4f\xf0\x2c\xf6\x0a\x38\x24"
#define VP9_444 "\xa2\x49\x83\x42\x00\x04\xfe\x02\xce\xc1\x07\x04"
#define VP9_SIZES "\x50\x01\x40\x00\xb4\x02\x80\x01\x68\x05\x00\x02\xd0" /* three layers: 180, 360, 720 */

#define L1T3 "\xc5\x00\x01\x80\xa2\x14\xea\xa8\x60\x41\x4d\x14\x10\x20\x84\x27\x02\x7f\x01\x67"
#define L2T2_KEY                                                                                                       \
    "\xfc\x00\x01\x87\x83\x18\x7a\xaa\x01\x00\xa0\xa0\x14\x51\x41\x34\x51\x80\x21\x90\x88\x8a\x19\x40\x4f\xc0\x2c\xc0" \
    "\x9f\xc0\x59\xc0"

typedef struct row {
    tr_codec codec;
    const uint8_t *payload;
    size_t size;
    const uint8_t *descriptor;
    size_t descriptor_size;
    tr_keyframes told;
    uint16_t heights[3];
} row;

static const row ROWS[] = {
    {TR_CODEC_VP8, BYTES("\x10" VP8_720), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {720}},
    {TR_CODEC_VP8, BYTES("\x90\x80\x81\x02" VP8_720), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {720}},
    {TR_CODEC_VP8, BYTES("\x10" VP8_TALL), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {360}},
    {TR_CODEC_VP8, BYTES("\x10\xb0\x94\x01\x9d\x01\x2a\x00\x05\xd0"), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {0}},
    {TR_CODEC_VP8, BYTES("\x10\xb0\x94\x01\x9d\x01\x2b\x00\x05\xd0\x02"), BYTES(""), TR_KEYFRAMES_UNTOLD, {0}},
    {TR_CODEC_VP9, BYTES("\x08" VP9_720), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {720}},
    {TR_CODEC_VP9, BYTES("\x08" VP9_444), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {360}},
    {TR_CODEC_VP9,
     BYTES("\xaa\x81\x02\x00\x05" VP9_SIZES VP9_720),
     BYTES(""),
     TR_KEYFRAMES_FOR_CERTAIN,
     {180, 360, 720}},
    {TR_CODEC_VP9,
     BYTES("\x0a\x00" VP9_720),
     BYTES(""),
     TR_KEYFRAMES_FOR_CERTAIN,
     {720}}, /* a structure without sizes */
    {TR_CODEC_VP9, BYTES("\x0a" VP9_SIZES "\x82\x49\x83\x43\x00"), BYTES(""), TR_KEYFRAMES_UNTOLD, {0}},
    {TR_CODEC_VP9, BYTES("\x08\x82\x49\x83\x42\x00\x4f"), BYTES(""), TR_KEYFRAMES_FOR_CERTAIN, {0}},
    {TR_CODEC_H264, BYTES(SPS_720), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {720}},
    {TR_CODEC_H264, BYTES(SPS_1080), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {1080}},
    {TR_CODEC_H264, BYTES(SPS_TALL), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {360}},
    {TR_CODEC_H264, BYTES(SPS_444), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {360}},
    {TR_CODEC_H264, BYTES(SPS_422_ODD), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {1078}},
    {TR_CODEC_H264, BYTES(SPS_INTERLACED), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {1080}},
    {TR_CODEC_H264, BYTES(SPS_SCALED), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {480}},
    {TR_CODEC_H264, BYTES(SPS_GREY), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {180}},
    {TR_CODEC_H264, BYTES("\x78\x00\x18" SPS_720 "\x00\x04\x68\xce\x3c\x80"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {720}},
    {TR_CODEC_H264, BYTES("\x78\x00\x04\x68\xce\x3c\x80\x00\x18" SPS_720), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {720}},
    {TR_CODEC_H264, BYTES("\x78\x00\x19" SPS_720), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}}, /* longer than it is */
    {TR_CODEC_H264, BYTES("\x65\x88\x84\x00"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}},
    {TR_CODEC_H264, BYTES("\x67"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}},
    {TR_CODEC_H264, BYTES("\x67\x42\xc0\x1f\x00\x00\x00\x00\x00\x00\x00\x00"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}},
    {TR_CODEC_H265, BYTES("\x26\x01\x80"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}},
    {TR_CODEC_AV1, BYTES("\x18\x0a\x0a"), BYTES(""), TR_KEYFRAMES_BY_LOOKS, {0}},
    {TR_CODEC_AV1, BYTES("\x18\x0a\x0a"), BYTES(L1T3), TR_KEYFRAMES_FOR_CERTAIN, {360}},
    {TR_CODEC_AV1, BYTES("\x5a\x5a\x5a"), BYTES(L2T2_KEY), TR_KEYFRAMES_FOR_CERTAIN, {180, 360}},
    {TR_CODEC_AV1, BYTES("\x5a\x5a\x5a"), BYTES("\xc5\x00\x01\x80\xa2"), TR_KEYFRAMES_FOR_CERTAIN, {0}}, /* cut short */
    {TR_CODEC_AV1, BYTES("\x5a\x5a\x5a"), BYTES("\xc5\x00\x01"), TR_KEYFRAMES_BY_LOOKS, {0}},
    /* What is closed is not looked at where the publisher says; what is open is, where that says no size. */
    {TR_CODEC_H264, BYTES(SPS_720), BYTES("\xc5\x00\x01\x80\xa2"), TR_KEYFRAMES_FOR_CERTAIN, {0}},
    {TR_CODEC_VP8, BYTES("\x10\x5a\x5a\x5a\x5a\x5a\x5a\x5a"), BYTES(L1T3), TR_KEYFRAMES_FOR_CERTAIN, {360}},
    {TR_CODEC_VP8, BYTES("\x10" VP8_720), BYTES("\xc5\x00\x01\x80\xa2"), TR_KEYFRAMES_FOR_CERTAIN, {720}},
    {TR_CODEC_OTHER, BYTES("\x10" VP8_720), BYTES(""), TR_KEYFRAMES_UNTOLD, {0}},
    {TR_CODEC_OPUS, BYTES("\x10" VP8_720), BYTES(""), TR_KEYFRAMES_UNTOLD, {0}},
    {TR_CODEC_VP8, BYTES(""), BYTES(""), TR_KEYFRAMES_UNTOLD, {0}},
};

static void sizes_are_read(void)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        const row *r = &ROWS[i];
        tr_picture picture = {0};
        CHECK_EQ(r->told != TR_KEYFRAMES_UNTOLD,
                 tr__picture_read(&picture, r->codec, r->payload, r->size, r->descriptor, r->descriptor_size));
        check__count++;
        bool is_right = picture.told == r->told && memcmp(picture.heights, r->heights, sizeof r->heights) == 0;
        if (is_right) continue;
        check__failures++;
        fprintf(stderr, "row %zu: told %d, %d %d %d\n", i, picture.told, picture.heights[0], picture.heights[1],
                picture.heights[2]);
    }
}

/* Parameter sets come once in a while, keyframes more often. */
static void a_size_lasts_as_long_as_its_parameter_set(void)
{
    tr_picture picture = {0};
    CHECK(tr__picture_read(&picture, TR_CODEC_H264, BYTES(SPS_720), NULL, 0));
    CHECK(tr__picture_read(&picture, TR_CODEC_H264, BYTES("\x65\x88\x84\x00"), NULL, 0));
    CHECK_EQ(720, picture.heights[0]);
    CHECK(tr__picture_read(&picture, TR_CODEC_VP8, BYTES("\x10\xb0\x94\x01\x9d\x01\x2a\x00\x05"), NULL, 0));
    CHECK_EQ(0, picture.heights[0]);
}

/* Cut anywhere, or with any bit turned, it is some size or none: what is asked for is that nothing else is read. */
static void nothing_behind_the_end_is_read(void)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        for (size_t size = 0; size <= ROWS[i].size; size++) {
            uint8_t *payload = malloc(size ? size : 1);
            if (!payload) abort();
            memcpy(payload, ROWS[i].payload, size);
            tr_picture picture = {0};
            tr__picture_read(&picture, ROWS[i].codec, payload, size, NULL, 0);
            for (size_t bit = 0; bit < 8 * size; bit++) {
                payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
                tr__picture_read(&picture, ROWS[i].codec, payload, size, NULL, 0);
            }
            free(payload);
        }
    }
    CHECK(true);
}

static const check_test tests[] = {
    TEST(sizes_are_read),
    TEST(a_size_lasts_as_long_as_its_parameter_set),
    TEST(nothing_behind_the_end_is_read),
};
CHECK_MAIN("test_picture", tests)
