/* seqmap: one unbroken line out, whatever comes in; and the way back. */
#include "seqmap.h"

#include "check.h"

static tr_seqmap map;

static const tr_rewrite *rewrite;

static int64_t out_of(uint64_t in)
{
    uint64_t out;
    return tr__seqmap_out(&map, in, &out, &rewrite) ? (int64_t)out : -1;
}

static int64_t in_of(uint64_t out, uint32_t *source)
{
    uint64_t in;
    return tr__seqmap_in(&map, out, source, &in, &rewrite) ? (int64_t)in : -1;
}

static void switch_to(uint32_t source, uint64_t in, uint32_t ts_offset)
{
    tr_rewrite by = {.ts_offset = ts_offset};
    tr__seqmap_switch(&map, source, in, &by);
}

static void an_empty_map_knows_nothing(void)
{
    uint32_t source;
    tr__seqmap_init(&map, 100);
    CHECK_EQ(-1, out_of(0));
    CHECK_EQ(-1, in_of(99, &source));
    CHECK_EQ(-1, in_of(100, &source));
    tr__seqmap_omit(&map, 5, NULL);
    CHECK_EQ(0, map.count);
}

static void gaps_and_late_packets_keep_their_numbers(void)
{
    static const struct {
        uint64_t in;
        int64_t out;
    } rows[] = {
        {65536, 100}, {65537, 101}, {65540, 104}, {65539, 103},
        {65538, 102}, {65535, -1},  {65540, 104}, {131072, 65636},
    };
    uint32_t source;
    tr__seqmap_init(&map, 100);
    switch_to(9, 65536, 77);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) CHECK_EQ(rows[i].out, out_of(rows[i].in));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].out >= 0) {
            CHECK_EQ(rows[i].in, in_of((uint64_t)rows[i].out, &source));
            CHECK_EQ(9, source);
        }
    CHECK_EQ(-1, in_of(65637, &source)); /* not given out yet */
    CHECK_EQ(-1, in_of(99, &source));
}

static void a_switch_goes_on_where_the_last_source_ended(void)
{
    uint32_t source;
    tr__seqmap_init(&map, 0);
    switch_to(1, 1000, 11);
    for (uint64_t i = 1000; i < 1010; i++) CHECK_EQ(i - 1000, out_of(i));
    switch_to(2, 500, 22);
    CHECK_EQ(-1, out_of(499));
    CHECK_EQ(12, out_of(502));
    CHECK_EQ(22, rewrite->ts_offset);
    CHECK_EQ(10, out_of(500));
    CHECK_EQ(1009, in_of(9, &source));
    CHECK_EQ(1, source);
    CHECK_EQ(11, rewrite->ts_offset);
    CHECK_EQ(500, in_of(10, &source));
    CHECK_EQ(2, source);
    /* What lies before the beginning is not looked for in the range of another source. */
    switch_to(3, 2000, 33);
    CHECK_EQ(-1, out_of(501));
    CHECK_EQ(13, out_of(2000));
}

static void what_is_omitted_closes_up(void)
{
    uint32_t source;
    tr__seqmap_init(&map, 0);
    switch_to(1, 100, 0);
    CHECK_EQ(0, out_of(100));
    tr__seqmap_omit(&map, 101, NULL);
    tr__seqmap_omit(&map, 102, NULL);
    CHECK_EQ(1, out_of(103));
    CHECK_EQ(-1, out_of(101));
    CHECK_EQ(-1, out_of(102));
    CHECK_EQ(0, out_of(100));
    /* Two are missing before the one that is left out: their numbers stay free for them. */
    tr__seqmap_omit(&map, 106, NULL);
    CHECK_EQ(4, out_of(107));
    CHECK_EQ(3, out_of(105));
    CHECK_EQ(2, out_of(104));
    CHECK_EQ(-1, out_of(106));
    for (uint64_t out = 0; out < 5; out++) {
        static const int64_t ins[] = {100, 103, 104, 105, 107};
        CHECK_EQ(ins[out], in_of(out, &source));
    }
    /* Too late: 108 has left, so 107 and what follows keep their numbers. */
    CHECK_EQ(5, out_of(108));
    tr__seqmap_omit(&map, 107, NULL);
    CHECK_EQ(4, out_of(107));
    CHECK_EQ(6, out_of(109));
    tr__seqmap_omit(&map, 50, NULL); /* before the range */
    CHECK_EQ(7, out_of(110));
}

static void the_first_of_a_source_may_be_omitted(void)
{
    tr__seqmap_init(&map, 0);
    switch_to(1, 100, 0);
    tr__seqmap_omit(&map, 100, NULL);
    CHECK_EQ(-1, out_of(100));
    CHECK_EQ(0, out_of(101));
}

static void the_oldest_range_is_forgotten_first(void)
{
    uint32_t source;
    tr__seqmap_init(&map, 0);
    for (uint32_t i = 0; i < TR_SEQMAP_RANGES + 5; i++) {
        switch_to(i, 1000 * i, 0);
        CHECK_EQ(i, out_of(1000 * i));
    }
    for (uint32_t i = 0; i < TR_SEQMAP_RANGES + 5; i++) {
        CHECK_EQ(i < 5 ? -1 : 1000 * (int64_t)i, in_of(i, &source));
        if (i >= 5) CHECK_EQ(i, source);
    }
}

/* What a packet looks like is a matter of its range, whenever it comes and however often. */
static void a_change_holds_from_its_packet_on(void)
{
    uint32_t source;
    tr_rewrite by = {.picture_offset = 7};
    tr__seqmap_init(&map, 0);
    tr__seqmap_change(&map, 5, &by); /* of nothing */
    CHECK(tr__seqmap_latest(&map) == NULL);
    switch_to(1, 100, 11);
    CHECK_EQ(0, out_of(100));
    tr__seqmap_change(&map, 100, &by); /* it has left */
    CHECK_EQ(0, tr__seqmap_latest(&map)->picture_offset);
    tr__seqmap_change(&map, 103, &by);
    CHECK_EQ(3, out_of(103));
    CHECK_EQ(7, rewrite->picture_offset);
    CHECK_EQ(2, out_of(102)); /* late */
    CHECK_EQ(0, rewrite->picture_offset);
    CHECK_EQ(11, rewrite->ts_offset);
    by.picture_offset = 8;
    tr__seqmap_omit(&map, 104, &by);
    by.picture_offset = 9;
    tr__seqmap_omit(&map, 105, &by);
    CHECK_EQ(4, out_of(106));
    CHECK_EQ(9, rewrite->picture_offset);
    static const uint16_t offsets[] = {0, 0, 0, 7, 9};
    static const int64_t ins[] = {100, 101, 102, 103, 106};
    for (uint64_t out = 0; out < 5; out++) {
        CHECK_EQ(ins[out], in_of(out, &source));
        CHECK_EQ(1, source);
        CHECK_EQ(offsets[out], rewrite->picture_offset);
    }
    by.picture_offset = 10;
    tr__seqmap_change(&map, 107, &by); /* twice at one packet: the latter */
    by.picture_offset = 11;
    tr__seqmap_change(&map, 107, &by);
    CHECK_EQ(5, out_of(107));
    CHECK_EQ(11, rewrite->picture_offset);
}

/* Against the plainest model there is: a table of what each number was. */
static void a_long_random_walk_agrees_with_a_table(void)
{
    enum { STEPS = 20000 };
    static struct {
        uint64_t in;
        uint32_t source;
        bool is_used;
    } table[STEPS * 3];
    uint64_t seed = 7, next_in = 5000, first_out = 32767;
    uint32_t source = 1, found;
    memset(table, 0, sizeof table);
    tr__seqmap_init(&map, first_out);
    switch_to(source, next_in, 0);
    uint64_t previous_out = first_out - 1;
    for (int i = 0; i < STEPS; i++) {
        uint64_t dice = check_random(&seed) % 100;
        if (dice < 3) {
            next_in = 100000 + check_random(&seed) % 100000;
            switch_to(++source, next_in, 0);
            CHECK_EQ(map.next_out, out_of(next_in));
        } else if (dice < 13) {
            tr__seqmap_omit(&map, next_in++, NULL);
            CHECK_EQ(-1, out_of(next_in - 1));
            continue;
        } else if (dice < 20) {
            next_in += 1 + check_random(&seed) % 2; /* lost for now */
        }
        int64_t out = out_of(next_in);
        CHECK(out > (int64_t)previous_out && out <= (int64_t)previous_out + 3);
        previous_out = (uint64_t)out;
        CHECK(!table[previous_out - first_out].is_used);
        table[previous_out - first_out].in = next_in;
        table[previous_out - first_out].source = source;
        table[previous_out - first_out].is_used = true;
        next_in++;
        uint64_t back = check_random(&seed) % 10;
        if (back > (uint64_t)out - first_out || !table[(uint64_t)out - back - first_out].is_used) continue;
        CHECK_EQ(table[(uint64_t)out - back - first_out].in, in_of((uint64_t)out - back, &found));
        CHECK_EQ(table[(uint64_t)out - back - first_out].source, found);
    }
}

static const check_test tests[] = {
    TEST(an_empty_map_knows_nothing),
    TEST(gaps_and_late_packets_keep_their_numbers),
    TEST(a_switch_goes_on_where_the_last_source_ended),
    TEST(what_is_omitted_closes_up),
    TEST(the_first_of_a_source_may_be_omitted),
    TEST(the_oldest_range_is_forgotten_first),
    TEST(a_change_holds_from_its_packet_on),
    TEST(a_long_random_walk_agrees_with_a_table),
};
CHECK_MAIN("test_seqmap", tests)
