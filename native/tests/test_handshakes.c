/* handshakes: datagrams that wait in the order they came, so many of one transport and so many in all. */
#include "handshakes.h"

#include "check.h"

static tr_handshakes handshakes;
static const tr_path path = {.remote = {.family = 4, .ip = {192, 0, 2, 1}, .port = 5000}};

static bool put(uint32_t index, uint8_t first)
{
    uint8_t data[100] = {first};
    return tr__handshakes_put(&handshakes, index, 0x10000 + index, &path, data, sizeof data);
}

static void they_leave_in_the_order_they_came(void)
{
    CHECK_EQ(TR_OK, tr__handshakes_init(&handshakes, 4));
    CHECK(!tr__handshakes_take(&handshakes));
    /* More often than the queue has places, so that its end is passed. */
    for (uint32_t i = 0; i < 3 * TR_HANDSHAKES_QUEUE; i++) {
        CHECK(put(1, (uint8_t)i));
        CHECK(put(2, (uint8_t)(i + 1)));
        for (uint32_t index = 1; index <= 2; index++) {
            tr_handshake *datagram = tr__handshakes_take(&handshakes);
            if (!datagram) abort();
            CHECK_EQ(0x10000 + index, datagram->transport);
            CHECK_EQ((uint8_t)(i + index - 1), datagram->data[0]);
            CHECK_EQ(100, datagram->size);
            CHECK(tr__path_equal(&path, &datagram->path));
            tr__handshakes_taken(&handshakes, index);
        }
    }
    CHECK(!tr__handshakes_take(&handshakes));
    tr__handshakes_dispose(&handshakes);
}

static void of_one_transport_only_eight_wait(void)
{
    CHECK_EQ(TR_OK, tr__handshakes_init(&handshakes, 4));
    for (int i = 0; i < TR_HANDSHAKES_PER_TRANSPORT; i++) CHECK(put(1, 0));
    CHECK(!put(1, 0));
    CHECK(put(2, 0));
    CHECK(tr__handshakes_take(&handshakes) != NULL);
    tr__handshakes_taken(&handshakes, 1);
    CHECK(put(1, 0));
    CHECK(!put(1, 0));
    tr__handshakes_forget(&handshakes, 1); /* it is gone, and another has its index */
    CHECK(put(1, 0));
    tr__handshakes_dispose(&handshakes);
}

static void in_all_five_hundred_and_twelve_wait(void)
{
    CHECK_EQ(TR_OK, tr__handshakes_init(&handshakes, 100));
    for (uint32_t i = 0; i < TR_HANDSHAKES_QUEUE; i++) CHECK(put(i % 100, 0));
    CHECK(!put(99, 0));
    tr__handshakes_dispose(&handshakes);
}

/* Ahead of their time are those of whom media is here already: two in a turn, and none where more wait. */
static void a_turn_works_off_two_ahead_of_their_time(void)
{
    CHECK_EQ(TR_OK, tr__handshakes_init(&handshakes, 4));
    CHECK_EQ(0, tr__handshakes_early(&handshakes, 1)); /* nothing waits */
    put(1, 0);
    CHECK_EQ(0, tr__handshakes_early(&handshakes, 2)); /* nothing of this one */
    CHECK_EQ(1, tr__handshakes_early(&handshakes, 1));
    CHECK_EQ(1, tr__handshakes_early(&handshakes, 1));
    CHECK_EQ(0, tr__handshakes_early(&handshakes, 1));
    tr__handshakes_turn(&handshakes);
    put(2, 0);
    CHECK_EQ(2, tr__handshakes_early(&handshakes, 1));
    tr__handshakes_turn(&handshakes);
    put(3, 0);
    CHECK_EQ(0, tr__handshakes_early(&handshakes, 1)); /* three: they wait their turn */
    tr__handshakes_dispose(&handshakes);
}

static const check_test tests[] = {
    TEST(they_leave_in_the_order_they_came),
    TEST(of_one_transport_only_eight_wait),
    TEST(in_all_five_hundred_and_twelve_wait),
    TEST(a_turn_works_off_two_ahead_of_their_time),
};
CHECK_MAIN("test_handshakes", tests)
