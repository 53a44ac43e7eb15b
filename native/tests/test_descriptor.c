/* descriptor: where a frame and a keyframe begin, of all descriptors that may come (A32). */
#include "check.h"
#include "descriptor.h"

#include <stdbool.h>
#include <string.h>

static void descriptors_are_read(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool is_descriptor, is_start, is_key;
        uint16_t frame;
    } rows[] = {
        {"\xc3\x12\x34", 3, true, true, false, 0x1234},
        {"\x83\xff\xff\x80", 4, true, true, true, 0xffff},   /* begins with a structure */
        {"\x03\xff\xff\x80", 4, true, false, false, 0xffff}, /* a structure, but not at the start */
        {"\x83\0\1\x7f", 4, true, true, false, 1},           /* extended, without a structure */
        {"\x43\0\1", 3, true, false, false, 1},
        {"\xc3\x12", 2, false, false, false, 0},
        {"", 0, false, false, false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_descriptor d = {0};
        CHECK_EQ(rows[i].is_descriptor, tr__descriptor_read(&d, (const uint8_t *)rows[i].bytes, rows[i].size));
        CHECK_EQ(rows[i].is_start, d.is_frame_start);
        CHECK_EQ(rows[i].is_key, d.is_keyframe);
        CHECK_EQ(rows[i].frame, d.frame);
    }
}

static void every_size_and_start_is_survived(void)
{
    uint8_t data[255];
    for (uint32_t n = 0; n < 65536; n++) {
        size_t size = n % 256;
        memset(data, (int)(n >> 3), sizeof data);
        data[0] = (uint8_t)(n >> 8);
        tr_descriptor d = {0};
        bool is_descriptor = tr__descriptor_read(&d, data, size);
        CHECK(is_descriptor == (size >= TR_DESCRIPTOR_MIN) && (!d.is_keyframe || d.is_frame_start));
    }
}

static const check_test tests[] = {
    TEST(descriptors_are_read),
    TEST(every_size_and_start_is_survived),
};
CHECK_MAIN("test_descriptor", tests)
