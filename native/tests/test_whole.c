/* whole: which pictures left whole, however their packets are lost, late, out of order, or numbered. */
#include "whole.h"

#include "check.h"

#define B TR_WHOLE_BEGINS
#define E TR_WHOLE_ENDS
#define K TR_WHOLE_KEY
#define EMPTY TR_WHOLE_EMPTY

typedef struct sent {
    uint32_t number, ts;
    uint8_t marks;
} sent;

#define MOST_SENT 16

typedef struct row {
    const char *what;
    uint32_t pictures, keyed, keyframes;
    sent of[MOST_SENT];
} row;

static tr_whole whole;
static tr_whole_waiting waiting;

static void start(uint32_t number, bool is_start)
{
    memset(&whole, 0, sizeof whole);
    memset(&waiting, 0, sizeof waiting);
    tr__whole_cut(&whole, &waiting, number, is_start);
}

/* Numbers begin at `first`, timestamps at `ts`: a row is the same wherever both wrap. Numbers of rows begin with 1. */
static void play(const row *r, uint32_t first, uint32_t ts)
{
    start(first + 1, true);
    for (int i = 0; i < MOST_SENT && r->of[i].number; i++)
        tr__whole_on_sent(&whole, &waiting, first + r->of[i].number, ts + r->of[i].ts, r->of[i].marks);
    check__count++;
    if (whole.pictures == r->pictures && whole.keyed == r->keyed && whole.keyframes == r->keyframes) return;
    check__failures++;
    fprintf(stderr, "%s, from %u: %u whole, %u keyed, %u keyframes\n", r->what, first, whole.pictures, whole.keyed,
            whole.keyframes);
}

static const row ROWS[] = {
    {"a picture of one packet", 1, 1, 1, {{1, 9, B | E | K}}},
    {"a picture of three", 1, 1, 1, {{1, 9, B | K}, {2, 9, 0}, {3, 9, E}}},
    {"its end is missing", 0, 0, 0, {{1, 9, B | K}, {2, 9, 0}}},
    {"a packet within is missing", 0, 0, 0, {{1, 9, B | K}, {3, 9, E}, {4, 12, B}}},
    {"and comes late", 1, 1, 1, {{1, 9, B | K}, {3, 9, E}, {4, 12, B}, {2, 9, 0}}},
    {"and comes late, before the next picture", 1, 1, 1, {{1, 9, B | K}, {3, 9, E}, {2, 9, 0}}},
    {"the end comes before what is within", 1, 1, 1, {{1, 9, B | K}, {4, 9, E}, {3, 9, 0}, {2, 9, 0}}},
    {"the last packet comes late", 1, 1, 1, {{1, 9, B | K}, {2, 9, 0}, {4, 12, B}, {3, 9, E}}},
    {"the first of two comes late", 2, 2, 1, {{1, 9, B | E | K}, {3, 12, E}, {2, 12, B}}},
    {"the only packet of a picture comes late", 3, 3, 1, {{1, 9, B | E | K}, {3, 15, B | E}, {2, 12, B | E}}},
    {"all of a picture comes late, backwards",
     3,
     3,
     1,
     {{1, 9, B | E | K}, {5, 15, B | E}, {4, 12, E}, {3, 12, 0}, {2, 12, B}}},
    {"the end of one and the beginning of the next are missing", 1, 1, 1, {{1, 9, B | E | K}, {2, 12, B}, {5, 15, E}}},
    {"and come late", 3, 3, 1, {{1, 9, B | E | K}, {2, 12, B}, {5, 15, E}, {3, 12, E}, {4, 15, B}}},
    {"and come late, the other way round",
     3,
     3,
     1,
     {{1, 9, B | E | K}, {2, 12, B}, {5, 15, E}, {4, 15, B}, {3, 12, E}}},
    /* H.264 and what is closed: where a picture begins is not told. */
    {"untold: one behind the other", 3, 3, 1, {{1, 9, E | K}, {2, 12, 0}, {3, 12, E}, {4, 15, E}}},
    {"untold: the first packet is missing", 1, 1, 1, {{1, 9, E | K}, {3, 12, E}}},
    {"untold: and comes late", 2, 2, 1, {{1, 9, E | K}, {3, 12, E}, {2, 12, 0}}},
    {"untold: a whole picture is missing before it", 1, 1, 1, {{1, 9, E | K}, {3, 15, 0}, {4, 15, E}}},
    {"untold: and comes late", 3, 3, 1, {{1, 9, E | K}, {3, 15, 0}, {4, 15, E}, {2, 12, E}}},
    {"untold: two missing pictures come late, backwards",
     4,
     4,
     1,
     {{1, 9, E | K}, {6, 18, E}, {5, 15, E}, {4, 15, 0}, {3, 12, E}, {2, 12, 0}}},
    {"untold: what was in between stays away", 2, 2, 1, {{1, 9, E | K}, {6, 18, E}, {3, 12, E}, {2, 12, 0}}},
    {"untold: the end of one and the beginning of the next come late",
     3,
     3,
     1,
     {{1, 9, E | K}, {2, 12, 0}, {5, 15, E}, {3, 12, E}, {4, 15, 0}}},
    {"untold: keyframes in parts", 1, 1, 1, {{1, 9, K}, {2, 9, 0}, {3, 9, K}, {4, 9, E}}},
    {"no markers: another timestamp ends a picture",
     2,
     2,
     1,
     {{1, 9, K}, {2, 9, 0}, {3, 12, 0}, {4, 12, 0}, {5, 15, 0}}},
    {"no markers: a packet is missing", 1, 1, 1, {{1, 9, K}, {2, 9, 0}, {3, 12, 0}, {5, 12, 0}, {6, 15, 0}}},
    {"padding behind a picture", 2, 2, 1, {{1, 9, B | E | K}, {2, 9, EMPTY}, {3, 12, E}}},
    {"padding that comes late", 2, 2, 1, {{1, 9, B | E | K}, {3, 12, E}, {2, 9, EMPTY}}},
    {"an empty packet in place of one that is left out",
     2,
     2,
     1,
     {{1, 9, B | E | K}, {2, 12, B}, {4, 12, E}, {3, 12, EMPTY}}},
    {"no keyframe is whole", 2, 0, 0, {{1, 9, B | K}, {3, 9, E}, {4, 12, B | E}, {5, 15, B | E}}},
    {"one is, later", 3, 2, 1, {{1, 9, B | K}, {3, 9, E}, {4, 12, B | E}, {5, 15, B | E | K}, {6, 18, B | E}}},
    {"one is, at last", 3, 2, 1, {{1, 9, B | K}, {3, 9, E}, {4, 12, B | E}, {2, 9, 0}, {5, 15, B | E}}},
};

static void every_row_wherever_numbers_and_timestamps_wrap(void)
{
    static const uint32_t firsts[] = {0, 1000, 65530, 0x7ffffffc, 0xfffffffc};
    static const uint32_t tss[] = {0, 90000, 0x7ffffff2, 0xfffffff2};
    for (size_t r = 0; r < sizeof ROWS / sizeof *ROWS; r++)
        for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f++)
            for (size_t t = 0; t < sizeof tss / sizeof *tss; t++) play(&ROWS[r], firsts[f], tss[t]);
}

static void what_begins_in_the_middle_is_not_counted(void)
{
    start(10, false);
    tr__whole_on_sent(&whole, &waiting, 10, 9, 0);
    tr__whole_on_sent(&whole, &waiting, 11, 9, E);
    CHECK_EQ(0, whole.pictures);
    tr__whole_on_sent(&whole, &waiting, 12, 12, 0);
    tr__whole_on_sent(&whole, &waiting, 13, 12, E);
    CHECK_EQ(1, whole.pictures);
    CHECK_EQ(0, whole.keyed);
}

/* Another encoding begins in the middle of a picture: what there was of that is not whole, and the next numbers are not
 * its end. */
static void a_cut_ends_what_was_before(void)
{
    start(1, true);
    tr__whole_on_sent(&whole, &waiting, 1, 9, B | E | K);
    tr__whole_on_sent(&whole, &waiting, 2, 12, B);
    tr__whole_cut(&whole, &waiting, 3, true);
    CHECK(!whole.has_keyframe);
    tr__whole_on_sent(&whole, &waiting, 3, 15, B | K);
    CHECK_EQ(1, whole.pictures);
    tr__whole_on_sent(&whole, &waiting, 4, 15, E);
    CHECK_EQ(2, whole.pictures);
    CHECK_EQ(2, whole.keyed);
    CHECK_EQ(2, whole.keyframes);
    /* And a keyframe before it is none for what comes after. */
    tr__whole_cut(&whole, &waiting, 5, false);
    for (uint32_t i = 5; i < 10; i++) tr__whole_on_sent(&whole, &waiting, i, 15 + 3 * i, E);
    CHECK_EQ(6, whole.pictures);
    CHECK_EQ(2, whole.keyed);
}

static void counts_wrap(void)
{
    start(1, true);
    whole.pictures = whole.keyed = whole.keyframes = UINT32_MAX;
    tr__whole_on_sent(&whole, &waiting, 1, 9, B | E | K);
    CHECK_EQ(0, whole.pictures);
    CHECK_EQ(0, whole.keyed);
    CHECK_EQ(0, whole.keyframes);
}

/* The oldest gives way: a packet that comes after so many other gaps is of no use to anybody. */
static void no_more_wait_than_there_is_room_for(void)
{
    start(1, true);
    uint32_t number = 1, ts = 9;
    for (uint32_t i = 0; i < TR_WHOLE_WAITING + 1; i++, number += 3, ts += 3) {
        tr__whole_on_sent(&whole, &waiting, number, ts, B);
        tr__whole_on_sent(&whole, &waiting, number + 2, ts, E);
    }
    tr__whole_on_sent(&whole, &waiting, number, ts, B | E); /* 17 wait: one too many */
    CHECK_EQ(1, whole.pictures);
    for (uint32_t i = 0; i < TR_WHOLE_WAITING + 1; i++) tr__whole_on_sent(&whole, &waiting, 2 + 3 * i, 9 + 3 * i, 0);
    CHECK_EQ(1 + TR_WHOLE_WAITING, whole.pictures);
}

static void nothing_waits_for_hours(void)
{
    start(1, true);
    tr__whole_on_sent(&whole, &waiting, 1, 9, B);
    tr__whole_on_sent(&whole, &waiting, 3, 9, E);
    tr__whole_on_sent(&whole, &waiting, 4, 12, B | E);
    tr__whole_on_sent(&whole, &waiting, 5, 12 + 11 * 90000, B | E);
    tr__whole_on_sent(&whole, &waiting, 2, 9, 0);
    CHECK_EQ(2, whole.pictures);
}

/* ------------------------------------------------------------------ whatever happens */

#define PICTURES 40
#define MOST_PACKETS 6

static uint64_t state;

static uint32_t draw(uint32_t below) { return (uint32_t)(check_random(&state) % below); }

/* Pictures of some packets each, of which some are lost and some come up to six places late. Counted are at most those
 * that are whole; and all of them, where it is told where each begins. */
static void play_at_random(uint32_t seed, bool is_told, bool has_markers)
{
    sent order[PICTURES * MOST_PACKETS];
    uint32_t sizes[PICTURES], arrived[PICTURES] = {0}, count = 0, number = 100;
    state = seed;
    for (uint32_t p = 0; p < PICTURES; p++) {
        sizes[p] = 1 + draw(MOST_PACKETS);
        for (uint32_t i = 0; i < sizes[p]; i++, number++) {
            bool is_last = i == sizes[p] - 1;
            sent each = {number, 9000 + 3000 * p,
                         (uint8_t)((is_told && i == 0 ? B : 0) | (has_markers && is_last ? E : 0) | (i == 0 ? K : 0))};
            if (number != 100 && draw(8) == 0) continue;
            arrived[p]++;
            order[count++] = each;
        }
    }
    for (uint32_t i = 1; i + 6 < count; i++) {
        if (draw(4)) continue;
        sent moved = order[i];
        uint32_t by = 1 + draw(6);
        memmove(&order[i], &order[i + 1], by * sizeof moved);
        order[i + by] = moved;
    }
    start(100, true);
    for (uint32_t i = 0; i < count; i++)
        tr__whole_on_sent(&whole, &waiting, order[i].number, order[i].ts, order[i].marks);
    uint32_t there = 0;
    for (uint32_t p = 0; p < PICTURES; p++) there += arrived[p] == sizes[p];
    check__count++;
    bool is_right = is_told && has_markers ? whole.pictures == there : whole.pictures <= there;
    if (is_right && whole.keyed <= whole.pictures && whole.keyframes <= whole.keyed) return;
    check__failures++;
    fprintf(stderr, "seed %u, told %d, markers %d: %u of %u\n", seed, is_told, has_markers, whole.pictures, there);
}

static void no_picture_is_whole_that_is_not(void)
{
    for (uint32_t seed = 1; seed <= 3000; seed++) {
        play_at_random(seed, true, true);
        play_at_random(seed, false, true);
        play_at_random(seed, true, false);
        play_at_random(seed, false, false);
    }
}

static const check_test tests[] = {
    TEST(every_row_wherever_numbers_and_timestamps_wrap),
    TEST(what_begins_in_the_middle_is_not_counted),
    TEST(a_cut_ends_what_was_before),
    TEST(counts_wrap),
    TEST(no_more_wait_than_there_is_room_for),
    TEST(nothing_waits_for_hours),
    TEST(no_picture_is_whole_that_is_not),
};
CHECK_MAIN("test_whole", tests)
