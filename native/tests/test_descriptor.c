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

/* One spatial layer of three temporal ones, templates from 5 on. */
#define L1T3 "\xc5\x00\x01\x80\xa2\x14\xea\xa8\x60\x41\x4d\x14\x10\x20\x84\x27\x02\x7f\x01\x67"
/* Two of two, the upper needs the lower at keyframes alone; templates from 60 on, past the end of the numbers. */
#define L2T2_KEY                                                                                                       \
    "\xfc\x00\x01\x87\x83\x18\x7a\xaa\x01\x00\xa0\xa0\x14\x51\x41\x34\x51\x80\x21\x90\x88\x8a\x19\x40\x4f\xc0\x2c\xc0" \
    "\x9f\xc0\x59\xc0"

static tr_structure structure_of(const char *bytes, size_t size)
{
    tr_structure s;
    CHECK(tr__structure_read(&s, (const uint8_t *)bytes, size));
    return s;
}

static void structures_are_read(void)
{
    tr_structure one = structure_of(L1T3, sizeof L1T3 - 1), two = structure_of(L2T2_KEY, sizeof L2T2_KEY - 1);
    CHECK_EQ(5, one.template_count);
    CHECK_EQ(3, one.target_count);
    CHECK_EQ(1, one.chain_count);
    for (int t = 0; t < 3; t++) CHECK(one.targets[t].spatial == 0 && one.targets[t].temporal == t);
    CHECK_EQ(6, two.template_count);
    CHECK_EQ(4, two.target_count);
    CHECK_EQ(2, two.chain_count);
    for (int t = 0; t < 4; t++) CHECK(two.targets[t].spatial == t / 2 && two.targets[t].temporal == t % 2);
    CHECK_EQ(3, tr__structure_target(&two, 255, 255));
    CHECK_EQ(2, tr__structure_target(&two, 1, 0));
    CHECK_EQ(1, tr__structure_target(&two, 0, 7));
    CHECK_EQ(2, tr__structure_target(&one, 0, 2));
}

static void frames_are_looked_up_in_their_structure(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool is_two, is_found;
        uint8_t spatial, temporal;
        uint64_t indications;
    } rows[] = {
        {"\x85\0\1", 3, false, true, 0, 0, 0x2a},
        {"\x87\0\1", 3, false, true, 0, 1, 0x24},
        {"\xc9\0\1", 3, false, true, 0, 2, 0x10},
        {"\xca\0\1", 3, false, false, 0, 0, 0}, /* past the last one */
        {"\xc4\0\1", 3, false, false, 0, 0, 0}, /* before the first one */
        {"\x3f\0\1", 3, true, true, 1, 0, 0xa0},
        {"\x01\0\1", 3, true, true, 1, 1, 0x40}, /* beyond 63 comes 0 */
        {"\x02\0\1", 3, true, false, 0, 0, 0},
        {"\xc7\0\x09\x21\x40", 5, false, true, 0, 1, 0x28}, /* indications of its own */
        {"\xc6\0\x09\x63\xa8", 5, false, true, 0, 0, 0x2a}, /* behind a mask of active targets */
        {"\xc7\0\x09\x21", 4, false, false, 0, 0, 0},       /* cut short */
        {"\xc7\0\x09\x18", 4, false, true, 0, 1, 0x24},     /* own differences are nothing to us */
        {L1T3, sizeof L1T3 - 1, false, true, 0, 0, 0x2a},
        {L2T2_KEY, sizeof L2T2_KEY - 1, true, true, 0, 0, 0xaa},
        {"\xc7\0", 2, false, false, 0, 0, 0},
    };
    tr_structure one = structure_of(L1T3, sizeof L1T3 - 1), two = structure_of(L2T2_KEY, sizeof L2T2_KEY - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_frame_layers frame = {0};
        bool is_found =
            tr__structure_look_up(rows[i].is_two ? &two : &one, (const uint8_t *)rows[i].bytes, rows[i].size, &frame);
        CHECK_EQ(rows[i].is_found, is_found);
        if (!is_found) continue;
        CHECK_EQ(rows[i].spatial, frame.spatial);
        CHECK_EQ(rows[i].temporal, frame.temporal);
        CHECK_EQ(rows[i].indications, frame.indications);
    }
}

/* The frame just before it is needed by an upper layer's frame, by its template or by differences of its own. */
static void a_frame_says_whether_it_needs_the_one_before_it(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool needs_before;
    } rows[] = {
        {"\xff\0\1", 3, true},          /* spatial layer 1 of a keyframe: template 63 */
        {"\xc0\0\1", 3, false},         /* the same later: 4 before */
        {"\xc0\0\1\x12\x00", 5, true},  /* its own: 1 before */
        {"\xc0\0\1\x12\x60", 5, false}, /* 4 before */
        {"\xc0\0\1\x12\x68", 5, false}, /* and more, cut short: not to be had */
        {"\xfc\0\1\x12\x00", 5, false}, /* of the lowest layer nobody asks */
    };
    tr_structure two = structure_of(L2T2_KEY, sizeof L2T2_KEY - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_frame_layers frame = {0};
        (void)tr__structure_look_up(&two, (const uint8_t *)rows[i].bytes, rows[i].size, &frame);
        CHECK_EQ(rows[i].needs_before, frame.needs_before);
    }
}

/* Everything else stays: the mask, indications, chains, its own differences or those of its template. */
static void a_frame_is_made_to_need_the_one_before_it(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *tied; /* NULL: it cannot be said */
        size_t tied_size;
    } rows[] = {
        {"\xc0\0\1", 3, "\xc0\0\1\x12\x09\x80", 6},     /* 4 before, by its template: and 1 */
        {"\x01\0\2", 3, "\x01\0\2\x12\x08\x80", 6},     /* 2 before; in the middle of a frame */
        {"\xc0\0\1\x00", 4, "\xc0\0\1\x12\x09\x80", 6}, /* extended for nothing */
        {"\xc0\0\x09\x08\x38\x48", 6, "\xc0\0\x09\x1a\x09\x80\xe1\x20", 8},
        {"\xc0\0\x09\x75\xf2\x58\xe0", 7, "\xc0\0\x09\x75\xf2\x21\x63\x80", 8},
        {"\xc0\0\x09\x12\x7f\xff\xc2\x8b\0", 9, "\xc0\0\x09\x12\x09\xff\xff\x0a\x2c\0", 10}, /* 4,096 before */
        {"\xc0\0\x09\x12\x6a\x2a\xb2\xe0", 8, NULL, 0}, /* five: libwebrtc drops a frame that has six */
        {"\xc0\0\x09\x12\x7f", 5, NULL, 0},             /* cut short */
        {"\xff\0\1", 3, NULL, 0},                       /* it says so, by its template */
        {"\xc0\0\1\x12\x09\x80", 6, NULL, 0},           /* or by itself: nothing is said twice */
        {"\x02\0\1", 3, NULL, 0},                       /* of no template */
        {L2T2_KEY, sizeof L2T2_KEY - 1, NULL, 0},
        {"\xc0\0", 2, NULL, 0},
    };
    tr_structure two = structure_of(L2T2_KEY, sizeof L2T2_KEY - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t tied[TR_DESCRIPTOR_TIED];
        const uint8_t *data = (const uint8_t *)rows[i].bytes;
        size_t size = tr__descriptor_tie(&two, tied, data, rows[i].size);
        CHECK_EQ(rows[i].tied_size, size);
        if (!rows[i].tied || size != rows[i].tied_size) continue;
        CHECK_BYTES(rows[i].tied, tied, size);
        tr_frame_layers before, after;
        CHECK(tr__structure_look_up(&two, data, rows[i].size, &before));
        CHECK(tr__structure_look_up(&two, tied, size, &after));
        CHECK(!before.needs_before && after.needs_before);
        CHECK(after.spatial == before.spatial && after.temporal == before.temporal);
        CHECK(after.indications == before.indications);
    }
}

/* What does not fit a header extension of one byte is left as it came. */
static void what_would_grow_too_long_is_not_made_to_need_the_one_before(void)
{
    tr_structure wide = structure_of(L2T2_KEY, sizeof L2T2_KEY - 1);
    uint8_t data[16] = {0xc0, 0, 1, 0x08}, tied[TR_DESCRIPTOR_TIED]; /* chain differences: 8 bits each */
    for (uint8_t chains = 0; chains <= 11; chains++) {
        size_t bits = 24u + 5 + 2 * 6 + 2 + 8u * chains, bytes = (bits + 7) / 8;
        wide.chain_count = chains;
        CHECK_EQ(bytes <= TR_DESCRIPTOR_TIED ? bytes : 0, tr__descriptor_tie(&wide, tied, data, sizeof data));
    }
}

/* Of each structure that is cut short, and with each bit of it turned, the answer is bounded. */
static void structures_that_do_not_add_up_are_none(void)
{
    static const char *whole[] = {L1T3, L2T2_KEY};
    static const size_t sizes[] = {sizeof L1T3 - 1, sizeof L2T2_KEY - 1};
    for (size_t i = 0; i < 2; i++) {
        tr_structure s;
        uint8_t data[64];
        for (size_t size = 0; size < sizes[i]; size++)
            CHECK(!tr__structure_read(&s, (const uint8_t *)whole[i], size) || size == sizes[i] - 1);
        for (size_t bit = 0; bit < 8 * sizes[i]; bit++) {
            memcpy(data, whole[i], sizes[i]);
            data[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
            if (!tr__structure_read(&s, data, sizes[i])) continue;
            CHECK(s.template_count >= 1 && s.template_count <= TR_STRUCTURE_TEMPLATES);
            CHECK(s.target_count >= 1 && s.target_count <= TR_STRUCTURE_TARGETS);
            CHECK(s.chain_count <= s.target_count);
        }
    }
    static const uint8_t endless[200] = {0x80, 0, 1, 0x80}; /* templates of one layer without an end */
    tr_structure s;
    CHECK(!tr__structure_read(&s, endless, sizeof endless));
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
    TEST(structures_are_read),
    TEST(frames_are_looked_up_in_their_structure),
    TEST(a_frame_says_whether_it_needs_the_one_before_it),
    TEST(a_frame_is_made_to_need_the_one_before_it),
    TEST(what_would_grow_too_long_is_not_made_to_need_the_one_before),
    TEST(structures_that_do_not_add_up_are_none),
    TEST(every_size_and_start_is_survived),
};
CHECK_MAIN("test_descriptor", tests)
