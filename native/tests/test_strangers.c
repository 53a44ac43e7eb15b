/* strangers: how many SSRCs that lead nowhere are looked at, and how soon again. */
#include "strangers.h"

#include "check.h"

#define S 1000000u

static void thirty_two_come_at_once_and_two_a_second_after_that(void)
{
    tr_strangers strangers = {0};
    uint64_t now = 100 * S;
    for (uint32_t ssrc = 1; ssrc <= TR_STRANGERS_MAX; ssrc++) {
        CHECK(tr__strangers_may(&strangers, ssrc, now));
        tr__strangers_note(&strangers, ssrc, now);
    }
    CHECK(!tr__strangers_may(&strangers, 33, now));
    CHECK(!tr__strangers_may(&strangers, 33, now + S / 2 - 1));
    CHECK(tr__strangers_may(&strangers, 33, now + S / 2));
    tr__strangers_note(&strangers, 33, now + S / 2);
    CHECK(!tr__strangers_may(&strangers, 34, now + S / 2));
    CHECK(tr__strangers_may(&strangers, 34, now + S));
}

static void who_is_known_is_no_new_one(void)
{
    tr_strangers strangers = {0};
    uint64_t now = 100 * S;
    for (int i = 0; i < 1000; i++) tr__strangers_note(&strangers, 7, now);
    CHECK_EQ(1, strangers.count);
    for (uint32_t ssrc = 100; ssrc < 100 + TR_STRANGERS_MAX - 1; ssrc++) tr__strangers_note(&strangers, ssrc, now);
    CHECK(tr__strangers_may(&strangers, 7, now));
    CHECK(!tr__strangers_may(&strangers, 8, now));
}

/* The oldest is forgotten, and is a new one then. */
static void only_the_last_thirty_two_are_known(void)
{
    tr_strangers strangers = {0};
    uint64_t now = 100 * S;
    for (uint32_t ssrc = 1; ssrc <= TR_STRANGERS_MAX + 1; ssrc++, now += S / 2)
        tr__strangers_note(&strangers, ssrc, now);
    strangers.at_us = UINT64_MAX; /* no new ones: who may come is known */
    CHECK(!tr__strangers_may(&strangers, 1, now));
    CHECK(tr__strangers_may(&strangers, 2, now));
    CHECK(tr__strangers_may(&strangers, TR_STRANGERS_MAX + 1, now));
}

static void after_a_quiet_time_there_is_room_for_thirty_two_and_no_more(void)
{
    tr_strangers strangers = {0};
    uint64_t now = 100 * S;
    for (uint32_t ssrc = 1; ssrc <= TR_STRANGERS_MAX; ssrc++) tr__strangers_note(&strangers, ssrc, now);
    now += 3600 * (uint64_t)S;
    uint32_t count = 0;
    for (uint32_t ssrc = 1000; tr__strangers_may(&strangers, ssrc, now); ssrc++, count++)
        tr__strangers_note(&strangers, ssrc, now);
    CHECK_EQ(TR_STRANGERS_MAX, count);
}

static const check_test tests[] = {
    TEST(thirty_two_come_at_once_and_two_a_second_after_that),
    TEST(who_is_known_is_no_new_one),
    TEST(only_the_last_thirty_two_are_known),
    TEST(after_a_quiet_time_there_is_room_for_thirty_two_and_no_more),
};
CHECK_MAIN("test_strangers", tests)
