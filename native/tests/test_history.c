/* history: what is held, for how long, and that it never crosses the ring's end. */
#include "history.h"

#include "check.h"

#define SIZE 4096
static uint8_t ring[SIZE];
static tr_history history;
static tr_history_packet packets[TR_HISTORY_VIDEO_PACKETS];
static uint8_t data[2048];

static uint64_t now_us;

static void put(uint64_t index, const uint8_t *packet, size_t size)
{
    tr__history_put(&history, index, packet, size, now_us += 1000);
}

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
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, ring, SIZE);
    size_t size;
    CHECK(!tr__history_has(&history, 0));
    CHECK(tr__history_get(&history, 0, &size) == NULL);
    CHECK(tr__history_get(&history, UINT64_MAX, &size) == NULL);
}

static void the_oldest_bytes_give_way(void)
{
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, ring, SIZE);
    for (uint64_t i = 65536; i < 65536 + 100; i++) put(i, fill(i, 1000), 1000);
    /* Four of 1,000 bytes fit into 4,096, the fifth would cross the end and begins at its start. */
    for (uint64_t i = 0; i < 96; i++) CHECK(!tr__history_has(&history, 65536 + i));
    for (uint64_t i = 97; i < 100; i++) CHECK(holds(65536 + i, 1000));
}

static void packets_of_all_sizes_come_back_as_they_were(void)
{
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, ring, SIZE);
    uint64_t seed = 1;
    size_t sizes[4000];
    for (uint64_t i = 0; i < 4000; i++) {
        sizes[i] = 1 + check_random(&seed) % 1500;
        put(i, fill(i, sizes[i]), sizes[i]);
        CHECK(holds(i, sizes[i]));
        uint64_t back = check_random(&seed) % 8;
        if (back <= i) holds(i - back, sizes[i - back]); /* there or not, but never other bytes */
    }
}

static void the_number_of_packets_is_bounded_too(void)
{
    static uint8_t large[1 << 20];
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
    for (uint64_t i = 0; i < 3000; i++) put(i, fill(i, 20), 20);
    CHECK(!tr__history_has(&history, 3000 - TR_HISTORY_VIDEO_PACKETS - 1));
    CHECK(tr__history_has(&history, 3000 - TR_HISTORY_VIDEO_PACKETS));
    CHECK(tr__history_has(&history, 2999));
    CHECK(!tr__history_has(&history, 3000));
}

static void a_late_packet_is_held_but_pushes_nothing_newer_out(void)
{
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, ring, SIZE);
    put(5000, fill(5000, 100), 100);
    put(5002, fill(5002, 100), 100);
    put(5001, fill(5001, 90), 90);
    CHECK(holds(5001, 90));
    put(5002 - TR_HISTORY_VIDEO_PACKETS, fill(1, 80), 80);
    CHECK(holds(5002, 100));
    CHECK(!tr__history_has(&history, 5002 - TR_HISTORY_VIDEO_PACKETS));
}

static void what_does_not_fit_is_not_kept(void)
{
    static uint8_t small[64];
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, small, sizeof small);
    put(1, fill(1, 65), 65);
    CHECK(!tr__history_has(&history, 1));
    put(2, data, 0);
    CHECK(!tr__history_has(&history, 2));
    put(3, fill(3, 64), 64);
    CHECK(tr__history_has(&history, 3));
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, NULL, 0);
    put(1, data, 1);
    CHECK(!tr__history_has(&history, 1));
}

/* Of a ring of 256 KiB, a stream of 100 kbit/s takes little more than its last second needs, and holds that second. */
static void a_slow_stream_takes_little_memory(void)
{
    static uint8_t large[1 << 18];
    memset(large, 0, sizeof large);
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
    enum { SIZE_BYTES = 250, PACKETS = 5000 }; /* 50 a second */
    for (uint64_t i = 1; i <= PACKETS; i++) {
        tr__history_put(&history, i, fill(i | 1, SIZE_BYTES), SIZE_BYTES, i * 20000);
        if (i > 50) CHECK(tr__history_has(&history, i - 50));
    }
    CHECK(history.limit <= 16384);
    for (size_t i = 16384; i < sizeof large; i++)
        if (large[i]) CHECK(!"a byte beyond was touched");
}

/* A faster one takes what its second needs, up to the ring. */
static void a_fast_stream_takes_what_a_second_needs(void)
{
    static uint8_t large[1 << 18];
    for (int rate = 0; rate < 2; rate++) {
        tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
        uint64_t spacing_us = rate ? 2000 : 6667, held = rate ? sizeof large / 1200 - 1 : 150;
        for (uint64_t i = 1; i <= 5000; i++) {
            tr__history_put(&history, i, fill(i, 1200), 1200, i * spacing_us);
            if (i > held) CHECK(tr__history_has(&history, i - held + 1));
        }
        CHECK(rate ? history.limit == sizeof large : history.limit < 220000);
    }
}

/* A second of three times the rate takes memory, which is given back once it is not needed; and the last second is held
 * all the while before and after. */
static void what_a_burst_took_is_given_back(void)
{
    static uint8_t large[1 << 20];
    memset(large, 0, sizeof large);
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
    uint64_t index = 0, at_us = 0;
    uint32_t most = 0;
    for (int second = 0; second < 12; second++)
        for (int i = 0; i < (second == 4 ? 450 : 150); i++) {
            at_us += second == 4 ? 2222 : 6667;
            index++;
            tr__history_put(&history, index, fill(index | 1, 1200), 1200, at_us);
            if (history.limit > most) most = history.limit;
            bool is_even = index > 150 && (second < 4 || second > 5);
            if (is_even) CHECK(tr__history_has(&history, index - 149));
        }
    CHECK(most > 450 * 1200);
    CHECK(history.limit < 220000);
    CHECK(history.touched < 220000);
#ifndef __SANITIZE_ADDRESS__
    for (size_t i = 224 * 1024; i < sizeof large; i++)
        if (large[i]) CHECK(!"a byte of the burst is still there");
#endif
}

/* A picture stands still for long, and then a keyframe comes and a second of motion: of those nothing runs over what
 * came just before, for it may wait for a line. */
static void a_burst_does_not_run_over_its_own_beginning(void)
{
    static uint8_t large[1 << 20];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t index = 0, at_us = 0, dice = seed;
        tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
        uint64_t still = 50 + check_random(&dice) % 50, last = still + 100;
        while (index++ < last) {
            bool is_still = index <= still;
            at_us += is_still ? 200000 : index <= still + 40 ? 100 : 8000;
            tr__history_put(&history, index, fill(index | 1, is_still ? 300 : 1200), is_still ? 300 : 1200, at_us);
        }
        for (uint64_t i = still + 1; i <= last; i++) CHECK(tr__history_has(&history, i));
    }
}

/* A silence within a lap tells nothing of what the stream needs when it goes on: the second before it stays whole. */
static void a_stream_that_paused_keeps_its_second(void)
{
    static uint8_t large[1 << 20];
    tr__history_init(&history, packets, TR_HISTORY_VIDEO_PACKETS, large, sizeof large);
    uint64_t at_us = 0;
    for (uint64_t i = 1; i <= 1500; i++) {
        at_us += i == 700 ? 60000000 : 6667;
        tr__history_put(&history, i, fill(i | 1, 1200), 1200, at_us);
        if (i > 150) CHECK(tr__history_has(&history, i - 149));
    }
    CHECK(history.limit < 220000);
}

/* Entries are taken into use as packets that are still whole would lose theirs, and every packet keeps its own. */
static void the_index_grows_with_what_the_ring_holds(void)
{
    static uint8_t large[1 << 18];
    static const struct {
        uint32_t room, size, entries; /* of the index; of a packet; used in the end */
    } rows[] = {
        {TR_HISTORY_VIDEO_PACKETS, 1200, 256}, /* 218 fit the ring */
        {TR_HISTORY_VIDEO_PACKETS, 300, 1024},
        {TR_HISTORY_AUDIO_PACKETS, 300, 256},
        {TR_HISTORY_FIRST_PACKETS, 300, 64},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        memset(packets, 0xff, sizeof packets);
        tr__history_init(&history, packets, rows[r].room, large, sizeof large);
        for (uint64_t i = UINT32_MAX - 2000ull; i < UINT32_MAX + 2000ull; i++) {
            tr__history_put(&history, i, fill(i, rows[r].size), rows[r].size, 1 + i);
            uint64_t held = sizeof large / rows[r].size < rows[r].room ? sizeof large / rows[r].size : rows[r].room;
            if (held > i - (UINT32_MAX - 2000ull)) held = i - (UINT32_MAX - 2000ull) + 1;
            for (uint64_t back = 0; back < held - held / 128; back += 7) {
                size_t got;
                const uint8_t *p = tr__history_get(&history, i - back, &got);
                CHECK(p != NULL);
                CHECK_EQ(rows[r].size, got);
                CHECK_BYTES(fill(i - back, rows[r].size), p, got);
            }
        }
        CHECK_EQ(rows[r].entries, history.mask + 1);
        for (uint32_t i = rows[r].entries; i < TR_HISTORY_VIDEO_PACKETS; i++) CHECK_EQ(UINT32_MAX, packets[i].index);
    }
}

/* A second of audio, or of a slow camera, needs the first entries and a few pages. */
static void audio_takes_two_pages_and_few_entries(void)
{
    static uint8_t large[16384];
    tr__history_init(&history, packets, TR_HISTORY_AUDIO_PACKETS, large, sizeof large);
    for (uint64_t i = 1; i <= 5000; i++) {
        tr__history_put(&history, i, fill(i, 100), 100, i * 20000);
        if (i > 50) CHECK(tr__history_has(&history, i - 50));
    }
    CHECK(history.limit <= 8192);
    CHECK_EQ(127, history.mask);
}

static const check_test tests[] = {
    TEST(an_empty_history_holds_nothing),
    TEST(the_oldest_bytes_give_way),
    TEST(packets_of_all_sizes_come_back_as_they_were),
    TEST(the_number_of_packets_is_bounded_too),
    TEST(a_late_packet_is_held_but_pushes_nothing_newer_out),
    TEST(what_does_not_fit_is_not_kept),
    TEST(a_slow_stream_takes_little_memory),
    TEST(what_a_burst_took_is_given_back),
    TEST(a_burst_does_not_run_over_its_own_beginning),
    TEST(a_stream_that_paused_keeps_its_second),
    TEST(the_index_grows_with_what_the_ring_holds),
    TEST(audio_takes_two_pages_and_few_entries),
    TEST(a_fast_stream_takes_what_a_second_needs),
};
CHECK_MAIN("test_history", tests)
