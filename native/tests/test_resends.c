/* resends: which transport-wide number a packet leaves under again. */
#include "resends.h"

#include "check.h"
#include "telerelay.h"

/* 1,024 numbers share no place; one that is late by as many keeps out of the newer one's, whose bytes hang on it. */
static void a_late_packet_does_not_take_the_place_of_a_newer_one(void)
{
    tr_resends resends;
    uint16_t number = 0;
    CHECK(tr__resends_init(&resends, TR_VIDEO, true));
    uint64_t late = 5, newer = late + resends.mask + 1;
    tr__resends_set_number(&resends, newer, 700);
    tr__resends_set_number(&resends, late, 701);
    CHECK(tr__resends_number(&resends, newer, &number));
    CHECK_EQ(700, number);
    CHECK(!tr__resends_number(&resends, late, &number));
    CHECK(!tr__resends_reach(&resends, late, newer + 1)); /* nor is it ever resent */
    tr__resends_set_number(&resends, newer + resends.mask + 1, 702);
    CHECK(!tr__resends_number(&resends, newer, &number));
    tr__resends_dispose(&resends);
}

static void what_waits_to_leave_again_waits_once(void)
{
    tr_resends resends;
    CHECK(tr__resends_init(&resends, TR_VIDEO, false));
    tr__resends_on_sent(&resends, 40000);
    CHECK(tr__resends_wait(&resends, 5));
    CHECK(!tr__resends_wait(&resends, 5));
    CHECK(tr__resends_wait(&resends, 6));
    tr__resends_waited(&resends, 5);
    CHECK(tr__resends_may(&resends, 5, 1000, 50000, 1000000));
    CHECK(tr__resends_wait(&resends, 5));
    tr__resends_waited(&resends, 5);
    CHECK(!tr__resends_may(&resends, 5, 1000, 50000, 1020000)); /* when it left is not forgotten */
    /* Another number in its place: the older one has left for good. */
    CHECK(tr__resends_wait(&resends, 6 + resends.mask + 1));
    tr__resends_waited(&resends, 6);
    CHECK(!tr__resends_wait(&resends, 6 + resends.mask + 1));
    tr__resends_dispose(&resends);
}

static const check_test tests[] = {
    TEST(what_waits_to_leave_again_waits_once),
    TEST(a_late_packet_does_not_take_the_place_of_a_newer_one),
};
CHECK_MAIN("test_resends", tests)
