/* deadlines: the earliest first, whatever is set, moved and taken out. */
#include "deadlines.h"

#include "check.h"
#include "telerelay.h"

#define MANY 500

static uint64_t random_state = 7;
static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

static void empty_is_never(void)
{
    tr_deadlines deadlines;
    CHECK_EQ(TR_OK, tr__deadlines_init(&deadlines, 4));
    CHECK(tr__deadlines_next(&deadlines) == TR_DEADLINES_NEVER);
    tr__deadlines_set(&deadlines, 2, TR_DEADLINES_NEVER); /* taking out what is not there */
    CHECK(tr__deadlines_next(&deadlines) == TR_DEADLINES_NEVER);
    tr__deadlines_dispose(&deadlines);
}

static void moved_and_taken_out(void)
{
    tr_deadlines deadlines;
    tr__deadlines_init(&deadlines, 4);
    tr__deadlines_set(&deadlines, 0, 30);
    tr__deadlines_set(&deadlines, 1, 20);
    tr__deadlines_set(&deadlines, 3, 20);
    CHECK_EQ(20, tr__deadlines_next(&deadlines));
    tr__deadlines_set(&deadlines, 0, 10);
    CHECK_EQ(10, tr__deadlines_next(&deadlines));
    CHECK_EQ(10, tr__deadlines_at(&deadlines, 0));
    tr__deadlines_set(&deadlines, 0, 40);
    CHECK_EQ(20, tr__deadlines_next(&deadlines));
    tr__deadlines_set(&deadlines, 1, TR_DEADLINES_NEVER);
    tr__deadlines_set(&deadlines, 3, TR_DEADLINES_NEVER);
    CHECK_EQ(40, tr__deadlines_next(&deadlines));
    tr__deadlines_set(&deadlines, 0, TR_DEADLINES_NEVER);
    CHECK(tr__deadlines_next(&deadlines) == TR_DEADLINES_NEVER);
    tr__deadlines_dispose(&deadlines);
}

/* Against the plain search through all of them. */
static void as_a_search_would_find(void)
{
    static uint64_t expected[MANY];
    tr_deadlines deadlines;
    tr__deadlines_init(&deadlines, MANY);
    for (int i = 0; i < MANY; i++) expected[i] = TR_DEADLINES_NEVER;
    for (int step = 0; step < 20000; step++) {
        uint32_t index = random_below(MANY);
        uint64_t at = random_below(4) ? random_below(1000) : TR_DEADLINES_NEVER;
        expected[index] = at;
        tr__deadlines_set(&deadlines, index, at);
        uint64_t earliest = TR_DEADLINES_NEVER;
        for (int i = 0; i < MANY; i++)
            if (expected[i] < earliest) earliest = expected[i];
        CHECK(tr__deadlines_next(&deadlines) == earliest);
        uint32_t due[MANY], all = 0, few = random_below(8);
        for (int i = 0; i < MANY; i++) all += expected[i] <= 300;
        CHECK_EQ(all, tr__deadlines_due(&deadlines, 300, due, MANY));
        for (uint32_t i = 0; i < all; i++) CHECK(expected[due[i]] <= 300);
        CHECK_EQ(all < few ? all : few, tr__deadlines_due(&deadlines, 300, due, few));
    }
    tr__deadlines_dispose(&deadlines);
}

static const check_test tests[] = {
    TEST(empty_is_never),
    TEST(moved_and_taken_out),
    TEST(as_a_search_would_find),
};
CHECK_MAIN("test_deadlines", tests)
