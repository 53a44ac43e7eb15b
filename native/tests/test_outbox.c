/* outbox: slots, in order, until it is full. */
#include "outbox.h"

#include "check.h"

static void a_slot_is_given_again_until_it_is_committed(void)
{
    tr_outbox outbox;
    CHECK_EQ(TR_OK, tr__outbox_init(&outbox, 4));
    uint8_t *slot = tr__outbox_reserve(&outbox);
    CHECK(slot != NULL);
    CHECK(slot == tr__outbox_reserve(&outbox));
    CHECK_EQ(0, outbox.count);
    tr_path path = {.socket = 3, .remote = {.family = 4, .ip = {127, 0, 0, 1}, .port = 9}};
    tr__outbox_commit(&outbox, &path, 42, 1200);
    CHECK(slot != tr__outbox_reserve(&outbox));
    CHECK_EQ(1, outbox.count);
    CHECK_EQ(42, outbox.items[0].owner);
    CHECK_EQ(1200, outbox.items[0].size);
    CHECK(outbox.items[0].data == slot);
    CHECK(tr__path_equal(&path, &outbox.items[0].path));
    tr__outbox_dispose(&outbox);
}

static void a_full_outbox_gives_nothing_and_is_whole_again_when_cleared(void)
{
    tr_outbox outbox;
    tr_path path = {0};
    CHECK_EQ(TR_OK, tr__outbox_init(&outbox, 16));
    for (int round = 0; round < 3; round++) {
        for (uint8_t i = 0; i < 16; i++) {
            uint8_t *slot = tr__outbox_reserve(&outbox);
            CHECK(slot != NULL);
            memset(slot, i, TR_OUTBOX_SLOT); /* the whole slot is there, and is nobody else's */
            tr__outbox_commit(&outbox, &path, i, TR_OUTBOX_SLOT);
        }
        CHECK(tr__outbox_reserve(&outbox) == NULL);
        for (uint8_t i = 0; i < 16; i++) {
            CHECK_EQ(i, outbox.items[i].owner);
            CHECK_EQ(i, outbox.items[i].data[0]);
            CHECK_EQ(i, outbox.items[i].data[TR_OUTBOX_SLOT - 1]);
        }
        tr__outbox_clear(&outbox);
    }
    tr__outbox_dispose(&outbox);
    CHECK_EQ(0, outbox.capacity);
    CHECK(tr__outbox_reserve(&outbox) == NULL);
}

static const check_test tests[] = {
    TEST(a_slot_is_given_again_until_it_is_committed),
    TEST(a_full_outbox_gives_nothing_and_is_whole_again_when_cleared),
};
CHECK_MAIN("test_outbox", tests)
