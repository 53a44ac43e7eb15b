/* opus: packets of every shape, whatever else stands there, and joining: the frames that come out are those that went
 * in. */
#include "check.h"
#include "opus.h"

#define TOC 0x78 /* configuration 15, hybrid fullband of 20 ms; mono, one frame */

static void packets_are_read_or_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool is_opus;
        uint8_t count;
        uint16_t ticks, first, last;
    } rows[] = {
        {"\x78"
         "abc",
         4, true, 1, 960, 3, 3},
        {"\x78", 1, true, 1, 960, 0, 0}, /* silence */
        {"\x79"
         "abcd",
         5, true, 2, 1920, 2, 2},
        {"\x79"
         "abc",
         4, false, 0, 0, 0, 0}, /* two of a size */
        {"\x7a\x01"
         "abc",
         5, true, 2, 1920, 1, 2},
        {"\x7a\x04"
         "abc",
         5, false, 0, 0, 0, 0}, /* longer than there is */
        {"\x7a", 1, false, 0, 0, 0, 0},
        {"\x7b\x03"
         "abcdef",
         8, true, 3, 2880, 2, 2},
        {"\x7b\x83\x01\x02"
         "abcdef",
         10, true, 3, 2880, 1, 3},
        {"\x7b\x43\x02"
         "abcdef\0\0",
         11, true, 3, 2880, 2, 2}, /* padding */
        {"\x7b\x43\x09"
         "abcdef",
         9, false, 0, 0, 0, 0},                 /* more padding than bytes */
        {"\x7b\x43\xff", 3, false, 0, 0, 0, 0}, /* cut in the padding's length */
        {"\x7b\x00", 2, false, 0, 0, 0, 0},     /* no frame */
        {"\x7b\x07", 2, false, 0, 0, 0, 0},     /* 140 ms */
        {"\x7b\x06", 2, true, 6, 5760, 0, 0},   /* 120 ms of silence */
        {"\x83\x30", 2, true, 48, 5760, 0, 0},  /* 48 frames of 2.5 ms */
        {"\x83\x31", 2, false, 0, 0, 0, 0},     /* 49 */
        {"\x18", 1, true, 1, 2880, 0, 0},       /* 60 ms of SILK */
        {"", 0, false, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_opus opus;
        CHECK_EQ(rows[i].is_opus, tr__opus_parse(&opus, (const uint8_t *)rows[i].bytes, rows[i].size));
        if (!rows[i].is_opus) continue;
        CHECK_EQ(rows[i].count, opus.count);
        CHECK_EQ(rows[i].ticks, opus.ticks);
        CHECK_EQ(rows[i].first, opus.sizes[0]);
        CHECK_EQ(rows[i].last, opus.sizes[opus.count - 1]);
    }
}

static void a_frame_has_1275_bytes_at_most(void)
{
    static uint8_t data[2 + 2 * 1276] = {0x78};
    tr_opus opus;
    CHECK(tr__opus_parse(&opus, data, 1276));
    CHECK(!tr__opus_parse(&opus, data, 1277));
    data[0] = 0x79;
    CHECK(tr__opus_parse(&opus, data, 1 + 2 * 1275));
    CHECK(!tr__opus_parse(&opus, data, 1 + 2 * 1276));
}

/* One packet of one frame. */
static size_t frame(uint8_t *out, uint8_t toc, char letter, size_t size)
{
    out[0] = toc;
    memset(out + 1, letter, size);
    return 1 + size;
}

static size_t join(uint8_t *out, size_t room, const size_t *sizes, size_t count)
{
    static uint8_t data[8][1300];
    tr_opus packets[8];
    for (size_t i = 0; i < count; i++)
        CHECK(tr__opus_parse(&packets[i], data[i], frame(data[i], TOC, (char)('a' + (int)i), sizes[i])));
    tr_pen pen = tr__pen(out, room);
    tr__opus_put(&pen, packets, count);
    return tr__pen_ok(&pen) ? tr__pen_size(&pen) : 0;
}

/* What a repacketizer of libopus makes of the same: codes 0 to 3, lengths only where frames differ. */
static void joined_packets_are_written_as_short_as_they_can_be(void)
{
    uint8_t out[1500];
    CHECK_EQ(3, join(out, sizeof out, (size_t[]){2}, 1));
    CHECK_BYTES("\x78"
                "aa",
                out, 3);
    CHECK_EQ(5, join(out, sizeof out, (size_t[]){2, 2}, 2));
    CHECK_BYTES("\x79"
                "aabb",
                out, 5);
    CHECK_EQ(6, join(out, sizeof out, (size_t[]){1, 3}, 2));
    CHECK_BYTES("\x7a\x01"
                "abbb",
                out, 6);
    CHECK_EQ(8, join(out, sizeof out, (size_t[]){2, 2, 2}, 3));
    CHECK_BYTES("\x7b\x03"
                "aabbcc",
                out, 8);
    CHECK_EQ(10, join(out, sizeof out, (size_t[]){1, 2, 3}, 3));
    CHECK_BYTES("\x7b\x83\x01\x02"
                "abbccc",
                out, 10);
    CHECK_EQ(6, join(out, sizeof out, (size_t[]){0, 2, 0}, 3));
    CHECK_BYTES("\x7b\x83\x00\x02"
                "bb",
                out, 6);
}

static void long_frames_have_lengths_of_two_bytes(void)
{
    static const size_t sizes[] = {251, 252, 253, 255, 256, 600, 1275};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t out[3000];
        size_t size = join(out, sizeof out, (size_t[]){sizes[i], 1, 1}, 3);
        CHECK_EQ(2 + (sizes[i] < 252 ? 1 : 2) + 1 + sizes[i] + 2, size);
        tr_opus opus;
        CHECK(tr__opus_parse(&opus, out, size));
        CHECK_EQ(sizes[i], opus.sizes[0]);
        CHECK_EQ(1, opus.sizes[1]);
        CHECK_EQ(1, opus.sizes[2]);
        CHECK_EQ('a', opus.frames[sizes[i] - 1]);
        CHECK_EQ('b', opus.frames[sizes[i]]);
    }
}

static void what_does_not_go_together_is_refused(void)
{
    uint8_t a[8], b[8], out[1500];
    tr_opus packets[7];
    CHECK(tr__opus_parse(&packets[0], a, frame(a, TOC, 'a', 3)));
    CHECK(tr__opus_parse(&packets[1], b, frame(b, TOC | 4, 'b', 3))); /* stereo */
    tr_pen pen = tr__pen(out, sizeof out);
    tr__opus_put(&pen, packets, 2);
    CHECK(!tr__pen_ok(&pen));
    for (size_t i = 1; i < 7; i++) packets[i] = packets[0];
    pen = tr__pen(out, sizeof out);
    tr__opus_put(&pen, packets, 7); /* 140 ms */
    CHECK(!tr__pen_ok(&pen));
    pen = tr__pen(out, sizeof out);
    tr__opus_put(&pen, packets, 0);
    CHECK(!tr__pen_ok(&pen));
    CHECK_EQ(0, join(out, 10, (size_t[]){4, 4, 4}, 3)); /* no room */
}

static void whatever_is_read_is_written_and_read_again(void)
{
    uint64_t seed = 7;
    uint32_t read = 0;
    for (int n = 0; n < 200000; n++) {
        uint8_t data[64], out[200];
        size_t size = check_random(&seed) % sizeof data;
        for (size_t i = 0; i < size; i++) data[i] = (uint8_t)check_random(&seed);
        if (size > 1 && n % 2) data[1] &= 0x8f;
        tr_opus opus, again;
        if (!tr__opus_parse(&opus, data, size)) continue;
        read++;
        if (opus.frames < data || opus.frames + opus.bytes > data + size) CHECK(!"the frames are in the packet");
        tr_pen pen = tr__pen(out, sizeof out);
        tr__opus_put(&pen, &opus, 1);
        CHECK(tr__pen_ok(&pen) && tr__opus_parse(&again, out, tr__pen_size(&pen)));
        if (again.count != opus.count || again.ticks != opus.ticks || again.bytes != opus.bytes ||
            memcmp(again.sizes, opus.sizes, opus.count * sizeof *opus.sizes) != 0 ||
            memcmp(again.frames, opus.frames, opus.bytes) != 0)
            CHECK(!"the same frames");
    }
    CHECK(read > 1000);
}

static const check_test tests[] = {
    TEST(packets_are_read_or_refused),
    TEST(a_frame_has_1275_bytes_at_most),
    TEST(joined_packets_are_written_as_short_as_they_can_be),
    TEST(long_frames_have_lengths_of_two_bytes),
    TEST(what_does_not_go_together_is_refused),
    TEST(whatever_is_read_is_written_and_read_again),
};
CHECK_MAIN("test_opus", tests)
