/* test_seq: numbers that wrap compare and unwrap as RFC 1982 says; addresses and paths compare by value. */
#include "seq.h"

#include "address.h"
#include "check.h"

static void differences_go_the_short_way_round(void)
{
    static const struct {
        uint16_t a, b;
        int diff;
    } ROWS[] = {
        {0, 0, 0},         {1, 0, 1},          {0, 1, -1},         {0, 65535, 1},     {65535, 0, -1},
        {32767, 0, 32767}, {32768, 0, -32768}, {0, 32768, -32768}, {100, 65500, 136}, {65500, 100, -136},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        CHECK_EQ(ROWS[i].diff, tr__seq_diff(ROWS[i].a, ROWS[i].b));
        CHECK_EQ(ROWS[i].diff > 0, tr__seq_newer(ROWS[i].a, ROWS[i].b));
    }
    CHECK_EQ(1, tr__ts_diff(0, UINT32_MAX));
    CHECK_EQ(-1, tr__ts_diff(UINT32_MAX, 0));
    CHECK_EQ(INT32_MIN, tr__ts_diff(0x80000000u, 0));
}

/* Within half a cycle of the reference every number comes back as it was. */
static void unwrapping_finds_the_nearest_number(void)
{
    static const uint64_t REFERENCES[] = {0, 1, 32767, 32768, 65535, 65536, 70000, 0x123456789a, 0xffffffffffff};
    static const int32_t AHEAD[] = {0, 1, -1, 1000, -1000, 32767, -32767, -32768};
    for (size_t r = 0; r < sizeof REFERENCES / sizeof *REFERENCES; r++)
        for (size_t a = 0; a < sizeof AHEAD / sizeof *AHEAD; a++) {
            int64_t value = (int64_t)REFERENCES[r] + AHEAD[a];
            CHECK_EQ(value < 0 ? value + 65536 : value, tr__seq_unwrap(REFERENCES[r], (uint16_t)value));
        }
}

static void a_long_stream_unwraps_to_a_straight_line(void)
{
    uint64_t state = 7, index = 5, reference = 5;
    for (int i = 0; i < 1000000; i++) {
        index += check_random(&state) % 100;              /* losses */
        uint64_t late = index - check_random(&state) % 6; /* and reordering */
        CHECK_EQ(late, tr__seq_unwrap(reference, (uint16_t)late));
        if (late > reference) reference = late;
    }
    CHECK(index > 65536 * 100);
}

static void paths_differ_in_every_member(void)
{
    tr_path path = {
        .kind = TR_PATH_UDP, .socket = 1, .local = {4, {10, 0, 0, 1}, 5000}, .remote = {4, {10, 0, 0, 2}, 6000}};
    tr_path same = path;
    CHECK(tr__path_equal(&path, &same));
    for (int member = 0; member < 8; member++) {
        tr_path other = path;
        switch (member) {
        case 0:
            other.kind++;
            break;
        case 1:
            other.socket++;
            break;
        case 2:
            other.local.ip[15]++;
            break;
        case 3:
            other.local.port++;
            break;
        case 4:
            other.local.family = 6;
            break;
        case 5:
            other.remote.ip[0]++;
            break;
        case 6:
            other.remote.port++;
            break;
        default:
            other.remote.family = 6;
            break;
        }
        CHECK(!tr__path_equal(&path, &other));
    }
}

static const check_test TESTS[] = {
    TEST(differences_go_the_short_way_round),
    TEST(unwrapping_finds_the_nearest_number),
    TEST(a_long_stream_unwraps_to_a_straight_line),
    TEST(paths_differ_in_every_member),
};
CHECK_MAIN("test_seq", TESTS)
