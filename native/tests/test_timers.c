/* timers: the earliest first, whatever is set, moved and taken out. */
#include "timers.h"

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
    tr_timers timers;
    CHECK_EQ(TR_OK, tr__timers_init(&timers, 4));
    CHECK(tr__timers_next(&timers) == TR_TIMERS_NEVER);
    tr__timers_set(&timers, 2, TR_TIMERS_NEVER); /* taking out what is not there */
    CHECK(tr__timers_next(&timers) == TR_TIMERS_NEVER);
    tr__timers_dispose(&timers);
}

static void moved_and_taken_out(void)
{
    tr_timers timers;
    tr__timers_init(&timers, 4);
    tr__timers_set(&timers, 0, 30);
    tr__timers_set(&timers, 1, 20);
    tr__timers_set(&timers, 3, 20);
    CHECK_EQ(20, tr__timers_next(&timers));
    tr__timers_set(&timers, 0, 10);
    CHECK_EQ(10, tr__timers_next(&timers));
    CHECK_EQ(10, tr__timers_at(&timers, 0));
    tr__timers_set(&timers, 0, 40);
    CHECK_EQ(20, tr__timers_next(&timers));
    tr__timers_set(&timers, 1, TR_TIMERS_NEVER);
    tr__timers_set(&timers, 3, TR_TIMERS_NEVER);
    CHECK_EQ(40, tr__timers_next(&timers));
    tr__timers_set(&timers, 0, TR_TIMERS_NEVER);
    CHECK(tr__timers_next(&timers) == TR_TIMERS_NEVER);
    tr__timers_dispose(&timers);
}

/* Against the plain search through all of them. */
static void as_a_search_would_find(void)
{
    static uint64_t expected[MANY];
    tr_timers timers;
    tr__timers_init(&timers, MANY);
    for (int i = 0; i < MANY; i++) expected[i] = TR_TIMERS_NEVER;
    for (int step = 0; step < 20000; step++) {
        uint32_t index = random_below(MANY);
        uint64_t at = random_below(4) ? random_below(1000) : TR_TIMERS_NEVER;
        expected[index] = at;
        tr__timers_set(&timers, index, at);
        uint64_t earliest = TR_TIMERS_NEVER;
        for (int i = 0; i < MANY; i++)
            if (expected[i] < earliest) earliest = expected[i];
        CHECK(tr__timers_next(&timers) == earliest);
    }
    tr__timers_dispose(&timers);
}

static const check_test tests[] = {
    TEST(empty_is_never),
    TEST(moved_and_taken_out),
    TEST(as_a_search_would_find),
};
CHECK_MAIN("test_timers", tests)
