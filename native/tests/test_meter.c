/* meter: what layers take, now and at their peaks. */
#include "meter.h"

#include "check.h"

#define MS 1000u
#define S 1000000u

static tr_meter meter;
static tr_layer_rate told[TR_MAX_SPATIAL][TR_MAX_TEMPORAL];

/* Bits a second, of so many datagrams of 1,024 bytes in each quarter of a second. */
#define RATE(count) ((count)*1024u * 8u * 4u)

static void put(uint8_t spatial, uint8_t temporal, uint64_t now_us)
{
    tr__meter_on_packet(&meter, spatial, temporal, 1024 - TR_METER_AROUND, now_us);
}

static void layers_add_up_from_the_lowest(void)
{
    meter = (tr_meter){0};
    for (uint64_t t = 0; t < 8 * S; t += 50 * MS) {
        put(0, 0, 10 * S + t);
        put(0, 1, 10 * S + t);
        put(2, 0, 10 * S + t);
        put(2, 0, 10 * S + t);
        put(9, 9, 10 * S + t); /* the highest there is room for */
    }
    uint8_t spatial, temporal;
    tr__meter_count(&meter, 18 * S, &spatial, &temporal);
    CHECK_EQ(4, spatial);
    CHECK_EQ(4, temporal);
    tr__meter_tell(&meter, 18 * S, told);
    static const uint32_t packets[TR_MAX_SPATIAL][TR_MAX_TEMPORAL] = {
        {5, 10, 10, 10}, {5, 10, 10, 10}, {15, 20, 20, 20}, {15, 20, 20, 25}};
    for (int s = 0; s < TR_MAX_SPATIAL; s++)
        for (int t = 0; t < TR_MAX_TEMPORAL; t++) {
            CHECK_EQ(RATE(packets[s][t]), told[s][t].rate_bps);
            CHECK_EQ(RATE(packets[s][t]), told[s][t].peak_bps);
        }
}

static void a_peak_counts_if_it_is_more_than_one_quarter_in_ten(void)
{
    /* Of twenty quarters so many have eight packets, the others one. */
    static const struct {
        uint32_t high, peak;
    } rows[] = {{0, 1}, {2, 1}, {3, 8}, {20, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        meter = (tr_meter){0};
        for (uint32_t q = 0; q < 20; q++)
            for (uint32_t k = 0; k < (q < rows[i].high ? 8u : 1u); k++) put(0, 0, S + q * 250 * MS + k);
        tr__meter_tell(&meter, 6 * S, told);
        CHECK_EQ(RATE(rows[i].peak), told[0][0].peak_bps);
        CHECK_EQ(RATE(i == 3 ? 8 : 1), told[0][0].rate_bps);
    }
}

static void a_young_stream_is_told_by_what_there_is_of_it(void)
{
    uint8_t spatial, temporal;
    meter = (tr_meter){0};
    tr__meter_count(&meter, 5 * S, &spatial, &temporal);
    CHECK_EQ(0, spatial);
    CHECK_EQ(0, temporal);
    tr__meter_tell(&meter, 5 * S, told);
    CHECK_EQ(0, told[3][3].rate_bps);
    for (uint32_t k = 0; k < 4; k++) put(0, 0, 5 * S + k * 100 * MS);
    tr__meter_count(&meter, 5 * S + 400 * MS, &spatial, &temporal);
    CHECK_EQ(1, spatial);
    CHECK_EQ(1, temporal);
    tr__meter_tell(&meter, 5 * S + 400 * MS, told);
    CHECK_EQ(RATE(3) / 4, told[0][0].rate_bps); /* the first quarter of a second; the next is not over */
    CHECK_EQ(0, told[0][0].peak_bps);
}

/* Thirty packets, then one each 50 ms: it takes 5 a quarter, and no more than three times that is told. */
static void the_keyframe_a_stream_begins_with_is_no_peak(void)
{
    meter = (tr_meter){0};
    for (uint32_t k = 0; k < 30; k++) put(0, 0, S + k * MS);
    for (uint64_t t = 50 * MS; t < 4 * S; t += 50 * MS) {
        put(0, 0, S + t);
        tr__meter_tell(&meter, S + t, told);
        CHECK(told[0][0].rate_bps <= RATE(15));
        CHECK(told[0][0].peak_bps <= RATE(5));
    }
    CHECK_EQ(RATE(5), told[0][0].rate_bps);
    CHECK_EQ(RATE(5), told[0][0].peak_bps);
}

static void silence_is_counted_as_nothing(void)
{
    uint8_t spatial, temporal;
    meter = (tr_meter){0};
    for (uint64_t t = 0; t < 5 * S; t += 50 * MS) put(0, 1, S + t);
    tr__meter_tell(&meter, 7 * S, told);
    CHECK_EQ(0, told[0][1].rate_bps);
    CHECK_EQ(RATE(5), told[0][1].peak_bps);
    tr__meter_tell(&meter, 7 * S, told); /* asking changes nothing */
    CHECK_EQ(RATE(5), told[0][1].peak_bps);
    tr__meter_count(&meter, 6 * S + 4900 * MS, &spatial, &temporal);
    CHECK_EQ(2, temporal);
    tr__meter_count(&meter, 3600 * (uint64_t)S, &spatial, &temporal);
    CHECK_EQ(0, temporal);
    tr__meter_tell(&meter, 3600 * (uint64_t)S, told);
    CHECK_EQ(0, told[3][3].peak_bps);
}

static void more_than_can_be_kept_is_told_as_the_most_there_is(void)
{
    meter = (tr_meter){0};
    put(0, 0, S);
    for (uint64_t at = S; at < 2 * S; at += 250 * MS)
        for (int i = 0; i < 100; i++) tr__meter_on_packet(&meter, 0, 0, 100000000, at);
    tr__meter_tell(&meter, 2 * S, told);
    CHECK_EQ(65535u * 64 * 8 * 4, told[0][0].peak_bps);
}

static const check_test tests[] = {
    TEST(layers_add_up_from_the_lowest),
    TEST(a_peak_counts_if_it_is_more_than_one_quarter_in_ten),
    TEST(a_young_stream_is_told_by_what_there_is_of_it),
    TEST(the_keyframe_a_stream_begins_with_is_no_peak),
    TEST(silence_is_counted_as_nothing),
    TEST(more_than_can_be_kept_is_told_as_the_most_there_is),
};
CHECK_MAIN("test_meter", tests)
