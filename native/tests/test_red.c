/* red: every shape of block headers, and whatever else stands there (A33). */
#include "check.h"
#include "red.h"

#include <stdbool.h>
#include <string.h>

static void payloads_are_read_or_refused(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool is_red;
        uint8_t count;
        uint16_t primary_at, primary_size;
    } rows[] = {
        {"\x6fopus", 5, true, 1, 1, 4},                   /* no redundancy: the first packet of a talk */
        {"\xef\x0f\x00\x02\x6fldnow", 10, true, 2, 7, 3}, /* one older block of two bytes */
        {"\xef\x0f\x00\x00\x6fnow", 8, true, 2, 5, 3},    /* an older block may be empty */
        {"\xef\x1e\x00\x01\xef\x0f\x00\x01\x6fyxz", 12, true, 3, 11, 1},
        {"\xef\0\0\0\xef\0\0\0\xef\0\0\0\xef\0\0\0\x6f.", 18, true, 5, 17, 1},
        {"\xef\0\0\0\xef\0\0\0\xef\0\0\0\xef\0\0\0\xef\0\0\0\x6f.", 22, false, 0, 0, 0}, /* six */
        {"", 0, false, 0, 0, 0},
        {"\x6f", 1, false, 0, 0, 0},             /* nothing said */
        {"\xef\x0f\x00", 3, false, 0, 0, 0},     /* cut in a header */
        {"\xef\x0f\x00\x02", 4, false, 0, 0, 0}, /* no last header */
        {"\xef\x0f\x00\x02\x6f"
         "a",
         6, false, 0, 0, 0}, /* cut in a block */
        {"\xef\x0f\x00\x02\x6f"
         "ab",
         7, false, 0, 0, 0}, /* no primary block */
        {"\xef\xff\xff\xff\x6f"
         "abc",
         8, false, 0, 0, 0}, /* 1,023 bytes that are not there */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tr_red red = {9, 9, 9};
        CHECK_EQ(rows[i].is_red, tr__red_parse(&red, (const uint8_t *)rows[i].bytes, rows[i].size));
        CHECK_EQ(rows[i].count, red.count);
        CHECK_EQ(rows[i].primary_at, red.primary_at);
        CHECK_EQ(rows[i].primary_size, red.primary_size);
    }
}

static void every_start_of_two_bytes_is_survived(void)
{
    uint8_t payload[24];
    for (uint32_t n = 0; n < 65536u * 25; n++) {
        size_t size = n / 65536;
        memset(payload, (int)(n * 7), sizeof payload);
        payload[0] = (uint8_t)n;
        payload[1] = (uint8_t)(n >> 8);
        tr_red red;
        bool is_red = tr__red_parse(&red, payload, size);
        CHECK(is_red == (red.count > 0) && red.count <= TR_RED_MAX_BLOCKS);
        if (is_red && (size_t)red.primary_at + red.primary_size != size) CHECK(!"the primary block is the rest");
    }
}

static const check_test tests[] = {
    TEST(payloads_are_read_or_refused),
    TEST(every_start_of_two_bytes_is_survived),
};
CHECK_MAIN("test_red", tests)
