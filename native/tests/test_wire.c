/* test_wire: the cursor and the pen keep their bounds and stay failed. */
#include "wire.h"

#include "check.h"

static const uint8_t BYTES[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

static void numbers_are_big_endian(void)
{
    tr_cursor c = tr__cursor(BYTES, sizeof BYTES);
    CHECK_EQ(0x01, tr__take8(&c));
    CHECK_EQ(0x0203, tr__take16(&c));
    CHECK_EQ(0x040506, tr__take24(&c));
    CHECK_EQ(0x0708090a, tr__take32(&c));
    CHECK_EQ(0x0b0c0d0e0f101112, tr__take64(&c));
    CHECK_EQ(0, tr__cursor_left(&c));
    CHECK(tr__cursor_ok(&c));
}

static void what_the_pen_writes_the_cursor_reads(void)
{
    uint8_t out[18];
    tr_pen pen = tr__pen(out, sizeof out);
    tr__put8(&pen, 0x01);
    tr__put16(&pen, 0x0203);
    tr__put24(&pen, 0x040506);
    tr__put32(&pen, 0x0708090a);
    tr__put64(&pen, 0x0b0c0d0e0f101112);
    CHECK(tr__pen_ok(&pen));
    CHECK_EQ(18, tr__pen_size(&pen));
    CHECK_BYTES(BYTES, out, sizeof out);
}

/* Every read at every size: it succeeds exactly when there is enough, and else takes nothing. */
static void a_read_past_the_end_fails_and_reads_zero(void)
{
    for (size_t size = 0; size <= 9; size++) {
        for (size_t want = 0; want <= 9; want++) {
            tr_cursor c = tr__cursor(BYTES, size);
            const uint8_t *p = tr__take(&c, want);
            CHECK_EQ(want <= size, p != NULL);
            CHECK_EQ(want <= size, tr__cursor_ok(&c));
            CHECK_EQ(want <= size ? size - want : 0, tr__cursor_left(&c));
        }
        tr_cursor c = tr__cursor(BYTES, size);
        CHECK_EQ(size >= 8 ? 0x0102030405060708 : 0, tr__take64(&c));
    }
}

static void a_failed_cursor_stays_failed(void)
{
    tr_cursor c = tr__cursor(BYTES, 3);
    CHECK_EQ(0, tr__take32(&c));
    CHECK_EQ(0, tr__take8(&c)); /* though three bytes were there */
    CHECK_EQ(0, tr__cursor_left(&c));
    CHECK(!tr__cursor_ok(&c));
    CHECK(tr__take(&c, 0) == NULL);
}

static void huge_sizes_do_not_wrap(void)
{
    uint8_t out[4];
    tr_cursor c = tr__cursor(BYTES, 4);
    CHECK(tr__take(&c, SIZE_MAX) == NULL);
    tr_pen pen = tr__pen(out, sizeof out);
    CHECK(tr__put(&pen, SIZE_MAX) == NULL);
    CHECK(!tr__pen_ok(&pen));
}

static void a_write_past_the_room_writes_nothing_more(void)
{
    uint8_t out[8];
    memset(out, 0xee, sizeof out);
    tr_pen pen = tr__pen(out, 3);
    tr__put16(&pen, 0x0102);
    tr__put32(&pen, 0x03040506);
    tr__put8(&pen, 0x07); /* there is room, but the pen has failed */
    tr__put_bytes(&pen, BYTES, 1);
    CHECK(!tr__pen_ok(&pen));
    const uint8_t expected[8] = {1, 2, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee};
    CHECK_BYTES(expected, out, sizeof out);
}

static void nothing_can_be_read_and_written(void)
{
    uint8_t out[1];
    tr_cursor c = tr__cursor(BYTES, 0);
    CHECK(tr__take(&c, 0) != NULL);
    CHECK(tr__cursor_ok(&c));
    tr_pen pen = tr__pen(out, 0);
    tr__put_bytes(&pen, NULL, 0);
    CHECK(tr__pen_ok(&pen));
    CHECK_EQ(0, tr__pen_size(&pen));
}

static const check_test TESTS[] = {
    TEST(numbers_are_big_endian),
    TEST(what_the_pen_writes_the_cursor_reads),
    TEST(a_read_past_the_end_fails_and_reads_zero),
    TEST(a_failed_cursor_stays_failed),
    TEST(huge_sizes_do_not_wrap),
    TEST(a_write_past_the_room_writes_nothing_more),
    TEST(nothing_can_be_read_and_written),
};
CHECK_MAIN("test_wire", TESTS)
