/* registry: what is found by an id, and the inventory in pages. With things that are no more than their ids: where they
 * are real, test_attach.c asks for the inventory of a worker. */
#include "registry.h"

#include "check.h"

static tr_registry registry;
static tr_transport transports[300];
static tr_ring ring;
static uint8_t ring_memory[1 << 20] __attribute__((aligned(64)));

static void begin(void)
{
    memset(transports, 0, sizeof transports);
    CHECK_EQ(TR_OK, tr__registry_init(&registry, 300));
    tr__ring_create(&ring, ring_memory, 1 << 19);
}

static void add(uint32_t index, uint32_t generation)
{
    transports[index].id = generation << 16 | index;
    registry.transports[index] = &transports[index];
}

static void what_is_gone_is_not_found_though_its_place_is_taken_again(void)
{
    begin();
    CHECK(!tr__registry_transport(&registry, 0x10005));
    add(5, 1);
    CHECK(tr__registry_transport(&registry, 0x10005) == &transports[5]);
    add(5, 2);
    CHECK(!tr__registry_transport(&registry, 0x10005));
    CHECK(tr__registry_transport(&registry, 0x20005) == &transports[5]);
    CHECK(!tr__registry_transport(&registry, 0x20000 + 300)); /* there is no such place */
    CHECK(!tr__registry_transport(&registry, 0x2ffff));
    tr__registry_dispose(&registry);
}

static void a_stream_leads_to_its_transport(void)
{
    begin();
    add(7, 1);
    int something;
    registry.receivers[65535] = (tr_stream_slot){&something, 7, 0x4ffff};
    const tr_stream_slot *slot = tr__registry_receiver(&registry, 0x4ffff);
    if (!slot) abort();
    CHECK(slot->object == &something);
    CHECK(tr__registry_owner(&registry, slot) == &transports[7]);
    CHECK(!tr__registry_receiver(&registry, 0x3ffff));
    CHECK(!tr__registry_sender(&registry, 0x4ffff)); /* ids of the two are apart */
    CHECK(!tr__registry_receiver(&registry, TR_NONE));
    tr__registry_dispose(&registry);
}

/* How many of a kind the page from a place on tells of; *next: where the next page begins. */
static int page(uint8_t kind, uint32_t *next)
{
    tr_get_inventory wanted = {.kind = kind, .from = *next};
    CHECK_EQ(TR_OK, tr__registry_tell(&registry, &wanted, &ring));
    uint16_t type;
    uint64_t tag;
    uint8_t body[4096];
    size_t size;
    int count = 0;
    while (tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size) == 1 && type == TR_EVENT_INVENTORY) count++;
    CHECK_EQ(TR_EVENT_INVENTORY_END, type);
    memcpy(next, &((tr_inventory_end *)body)->next, sizeof *next);
    return count;
}

static void the_inventory_comes_in_pages_of_128_and_looks_at_a_quarter_of_the_places(void)
{
    begin();
    for (uint32_t i = 0; i < 300; i++) add(i, 1);
    uint32_t next = 0;
    CHECK_EQ(128, page(TR_INVENTORY_TRANSPORT, &next));
    CHECK_EQ(128, next);
    CHECK_EQ(128, page(TR_INVENTORY_TRANSPORT, &next));
    CHECK_EQ(44, page(TR_INVENTORY_TRANSPORT, &next));
    CHECK_EQ(0, next); /* that was all */
    int something;
    registry.receivers[20000] = (tr_stream_slot){&something, 7, 0x10000 + 20000};
    CHECK_EQ(0, page(TR_INVENTORY_RECEIVER, &next));
    CHECK_EQ(16384, next);
    CHECK_EQ(1, page(TR_INVENTORY_RECEIVER, &next));
    CHECK_EQ(32768, next);
    tr__registry_dispose(&registry);
}

static void what_is_no_kind_or_no_place_is_refused(void)
{
    begin();
    static const tr_get_inventory bad[] = {
        {.kind = TR_INVENTORY_TRANSPORT - 1},
        {.kind = TR_INVENTORY_SENDER + 1},
        {.kind = TR_INVENTORY_TRANSPORT, .from = 300},
        {.kind = TR_INVENTORY_RECEIVER, .from = 65536},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_EQ(TR_ERR_ARGUMENT, tr__registry_tell(&registry, &bad[i], &ring));
    CHECK(tr__ring_is_empty(&ring));
    tr__registry_dispose(&registry);
}

static const check_test tests[] = {
    TEST(what_is_gone_is_not_found_though_its_place_is_taken_again),
    TEST(a_stream_leads_to_its_transport),
    TEST(the_inventory_comes_in_pages_of_128_and_looks_at_a_quarter_of_the_places),
    TEST(what_is_no_kind_or_no_place_is_refused),
};
CHECK_MAIN("test_registry", tests)
