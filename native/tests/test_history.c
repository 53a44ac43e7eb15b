/* history: what is held, for how long, and that it never crosses the ring's end. */
#include "history.h"

#include "check.h"

#define SIZE 4096
static uint8_t ring[SIZE];
static tr_history history;
static uint8_t data[2048];

static const uint8_t *fill(uint64_t index, size_t size)
{
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(index * 7 + i);
    return data;
}

static bool holds(uint64_t index, size_t size)
{
    size_t got;
    const uint8_t *p = tr__history_get(&history, index, &got);
    if (!p) return false;
    CHECK_EQ(size, got);
    CHECK(p >= ring && p + got <= ring + SIZE);
    CHECK_BYTES(fill(index, size), p, size);
    return true;
}

static void an_empty_history_holds_nothing(void)
{
    tr__history_init(&history, ring, SIZE);
    size_t size;
    CHECK(!tr__history_has(&history, 0));
    CHECK(tr__history_get(&history, 0, &size) == NULL);
    CHECK(tr__history_get(&history, UINT64_MAX, &size) == NULL);
}

static void the_oldest_bytes_give_way(void)
{
    tr__history_init(&history, ring, SIZE);
    for (uint64_t i = 65536; i < 65536 + 100; i++) tr__history_put(&history, i, fill(i, 1000), 1000);
    /* Four of 1,000 bytes fit into 4,096, the fifth would cross the end and begins at its start. */
    for (uint64_t i = 0; i < 96; i++) CHECK(!tr__history_has(&history, 65536 + i));
    for (uint64_t i = 97; i < 100; i++) CHECK(holds(65536 + i, 1000));
}

static void packets_of_all_sizes_come_back_as_they_were(void)
{
    tr__history_init(&history, ring, SIZE);
    uint64_t seed = 1;
    size_t sizes[4000];
    for (uint64_t i = 0; i < 4000; i++) {
        sizes[i] = 1 + check_random(&seed) % 1500;
        tr__history_put(&history, i, fill(i, sizes[i]), sizes[i]);
        CHECK(holds(i, sizes[i]));
        uint64_t back = check_random(&seed) % 8;
        if (back <= i) holds(i - back, sizes[i - back]); /* there or not, but never other bytes */
    }
}

static void the_number_of_packets_is_bounded_too(void)
{
    static uint8_t large[1 << 20];
    tr__history_init(&history, large, sizeof large);
    for (uint64_t i = 0; i < 3000; i++) tr__history_put(&history, i, fill(i, 20), 20);
    CHECK(!tr__history_has(&history, 3000 - TR_HISTORY_PACKETS - 1));
    CHECK(tr__history_has(&history, 3000 - TR_HISTORY_PACKETS));
    CHECK(tr__history_has(&history, 2999));
    CHECK(!tr__history_has(&history, 3000));
}

static void a_late_packet_is_held_but_pushes_nothing_newer_out(void)
{
    tr__history_init(&history, ring, SIZE);
    tr__history_put(&history, 5000, fill(5000, 100), 100);
    tr__history_put(&history, 5002, fill(5002, 100), 100);
    tr__history_put(&history, 5001, fill(5001, 90), 90);
    CHECK(holds(5001, 90));
    tr__history_put(&history, 5002 - TR_HISTORY_PACKETS, fill(1, 80), 80);
    CHECK(holds(5002, 100));
    CHECK(!tr__history_has(&history, 5002 - TR_HISTORY_PACKETS));
}

static void what_does_not_fit_is_not_kept(void)
{
    static uint8_t small[64];
    tr__history_init(&history, small, sizeof small);
    tr__history_put(&history, 1, fill(1, 65), 65);
    CHECK(!tr__history_has(&history, 1));
    tr__history_put(&history, 2, data, 0);
    CHECK(!tr__history_has(&history, 2));
    tr__history_put(&history, 3, fill(3, 64), 64);
    CHECK(tr__history_has(&history, 3));
    tr__history_init(&history, NULL, 0);
    tr__history_put(&history, 1, data, 1);
    CHECK(!tr__history_has(&history, 1));
}

static const check_test tests[] = {
    TEST(an_empty_history_holds_nothing),
    TEST(the_oldest_bytes_give_way),
    TEST(packets_of_all_sizes_come_back_as_they_were),
    TEST(the_number_of_packets_is_bounded_too),
    TEST(a_late_packet_is_held_but_pushes_nothing_newer_out),
    TEST(what_does_not_fit_is_not_kept),
};
CHECK_MAIN("test_history", tests)
