/* owners: entries that share a place, a hash, the end of the table; what is found after others went. */
#include "owners.h"

#include "check.h"
#include "telerelay.h"

static tr_owners owners;

/* How many transports the hash leads to, and the first two of them. */
static int find(uint32_t hash, uint32_t *transports)
{
    uint32_t at = hash, transport;
    int count = 0;
    while (tr__owners_next(&owners, hash, &at, &transport)) {
        if (count < 2) transports[count] = transport;
        count++;
    }
    return count;
}

static bool is_found(uint32_t hash, uint32_t transport)
{
    uint32_t found[2];
    return find(hash, found) == 1 && found[0] == transport;
}

static bool is_gone(uint32_t hash)
{
    uint32_t found[2];
    return find(hash, found) == 0;
}

static void a_transport_is_found_by_its_hash(void)
{
    CHECK_EQ(TR_OK, tr__owners_init(&owners, 32));
    CHECK_EQ(63, owners.mask);
    CHECK(is_gone(5));
    tr__owners_add(&owners, 5, 0);
    tr__owners_add(&owners, 6, 7);
    CHECK(is_found(5, 0));
    CHECK(is_found(6, 7));
    CHECK_EQ(1, tr__owners_bucket(&owners, 5)->transport); /* the index and one */
    tr__owners_remove(&owners, 5, 0);
    CHECK(is_gone(5));
    tr__owners_remove(&owners, 5, 0); /* none is no error */
    CHECK(is_found(6, 7));
    tr__owners_dispose(&owners);
}

static void of_two_with_one_hash_both_are_found(void)
{
    uint32_t found[2];
    CHECK_EQ(TR_OK, tr__owners_init(&owners, 32));
    tr__owners_add(&owners, 0xabcd0005, 1);
    tr__owners_add(&owners, 0xabcd0005, 2);
    CHECK_EQ(2, find(0xabcd0005, found));
    CHECK_EQ(1, found[0]);
    CHECK_EQ(2, found[1]);
    tr__owners_remove(&owners, 0xabcd0005, 1);
    CHECK(is_found(0xabcd0005, 2));
    tr__owners_dispose(&owners);
}

/* Places 62, 63, 0, 1: the run goes over the end, and one in it is at home where it is. */
static void a_run_closes_up_over_the_end_of_the_table(void)
{
    CHECK_EQ(TR_OK, tr__owners_init(&owners, 32));
    tr__owners_add(&owners, 62, 1);
    tr__owners_add(&owners, 64 + 62, 2);
    tr__owners_add(&owners, 128 + 62, 3);
    tr__owners_add(&owners, 128 + 1, 4); /* at home */
    tr__owners_add(&owners, 192 + 62, 5);
    tr__owners_remove(&owners, 64 + 62, 2);
    CHECK(is_found(62, 1));
    CHECK(is_gone(64 + 62));
    CHECK(is_found(128 + 62, 3));
    CHECK(is_found(128 + 1, 4));
    CHECK(is_found(192 + 62, 5));
    CHECK_EQ(5, tr__owners_bucket(&owners, 1)->transport); /* the one at home did not move */
    tr__owners_dispose(&owners);
}

/* Against a list that keeps everything, over hashes that crowd into few places. */
static void whatever_comes_and_goes_the_rest_is_found(void)
{
    static struct {
        uint32_t hash, transport;
        bool is_in;
    } all[200];
    uint64_t seed = 7;
    uint32_t count = 0;
    CHECK_EQ(TR_OK, tr__owners_init(&owners, 100));
    for (uint32_t i = 0; i < 200; i++) {
        all[i].hash = (uint32_t)(check_random(&seed) & 0xff) | i << 16;
        all[i].transport = i;
    }
    for (int step = 0; step < 20000; step++) {
        uint32_t i = (uint32_t)(check_random(&seed) % 200);
        if (all[i].is_in)
            tr__owners_remove(&owners, all[i].hash, all[i].transport);
        else if (count < 100)
            tr__owners_add(&owners, all[i].hash, all[i].transport);
        else
            continue;
        count += all[i].is_in ? -1 : 1;
        all[i].is_in = !all[i].is_in;
        uint32_t other = (uint32_t)(check_random(&seed) % 200);
        CHECK(all[i].is_in ? is_found(all[i].hash, i) : is_gone(all[i].hash));
        CHECK(all[other].is_in ? is_found(all[other].hash, other) : is_gone(all[other].hash));
    }
    tr__owners_dispose(&owners);
}

static const check_test tests[] = {
    TEST(a_transport_is_found_by_its_hash),
    TEST(of_two_with_one_hash_both_are_found),
    TEST(a_run_closes_up_over_the_end_of_the_table),
    TEST(whatever_comes_and_goes_the_rest_is_found),
};
CHECK_MAIN("test_owners", tests)
