/* ring: order, wrap, full, broken; two threads. */
#include "ring.h"

#include <pthread.h>

#include "check.h"

static tr_ring make(void **memory, uint32_t size)
{
    tr_ring ring;
    *memory = aligned_alloc(64, tr__ring_footprint(size));
    tr__ring_create(&ring, *memory, size);
    return ring;
}

static void empty_ring_gives_nothing(void)
{
    void *memory;
    tr_ring ring = make(&memory, 4096);
    uint16_t type;
    uint64_t tag;
    uint8_t body[64];
    size_t size;
    CHECK_EQ(0, tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size));
    CHECK(tr__ring_is_empty(&ring));
    free(memory);
}

static void records_come_out_in_order_across_many_laps(void)
{
    void *memory;
    tr_ring ring = make(&memory, 4096);
    uint8_t body[600], out[TR_RING_MAX_BODY];
    uint64_t put = 0, taken = 0, random = 1;
    for (int step = 0; step < 200000; step++) {
        if (check_random(&random) & 1) {
            size_t size = 8 + put * 37 % 590;
            memset(body, (int)(put & 0xff), size);
            int status = tr__ring_push(&ring, (uint16_t)(put % 60000), put, body, size);
            CHECK(status == TR_OK || status == TR_ERR_FULL);
            if (status == TR_OK) put++;
        } else {
            uint16_t type;
            uint64_t tag;
            size_t size;
            int got = tr__ring_pop(&ring, &type, &tag, out, sizeof out, &size);
            if (got == 0) {
                CHECK_EQ(put, taken);
                continue;
            }
            CHECK_EQ(1, got);
            CHECK_EQ(taken, tag);
            CHECK_EQ(taken % 60000, type);
            CHECK_EQ(8 + taken * 37 % 590, size);
            CHECK_EQ(taken & 0xff, out[size - 1]);
            taken++;
        }
    }
    CHECK(put > 10000);
    free(memory);
}

static void full_ring_refuses_and_loses_nothing(void)
{
    void *memory;
    tr_ring ring = make(&memory, 4096);
    uint8_t body[1000] = {0};
    int put = 0;
    while (tr__ring_push(&ring, 1, (uint64_t)put, body, sizeof body) == TR_OK) put++;
    CHECK_EQ(4, put);
    CHECK(tr__ring_used_percent(&ring) > 95);
    uint16_t type;
    uint64_t tag;
    size_t size;
    for (int i = 0; i < put; i++) {
        CHECK_EQ(1, tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size));
        CHECK_EQ(i, tag);
    }
    CHECK(tr__ring_is_empty(&ring));
    free(memory);
}

static void too_large_a_body_is_refused(void)
{
    void *memory;
    tr_ring ring = make(&memory, 8192);
    uint8_t body[TR_RING_MAX_BODY + 1] = {0};
    CHECK_EQ(TR_ERR_ARGUMENT, tr__ring_push(&ring, 1, 1, body, sizeof body));
    CHECK_EQ(TR_OK, tr__ring_push(&ring, 1, 1, body, TR_RING_MAX_BODY));
    free(memory);
}

/* Whatever the other side wrote, reading stays inside and ends. */
static void broken_memory_is_never_believed(void)
{
    uint64_t random = 7;
    for (int round = 0; round < 5000; round++) {
        void *memory;
        tr_ring ring = make(&memory, 4096);
        uint8_t body[TR_RING_MAX_BODY];
        memset(body, 1, sizeof body);
        for (int i = 0; i < 4; i++) tr__ring_push(&ring, 1, 1, body, 8 + check_random(&random) % 700);
        for (int i = 0; i < 8; i++) ring.bytes[check_random(&random) % 4096] = (uint8_t)check_random(&random);
        if (round % 3 == 0) atomic_store(&ring.head->written, check_random(&random));
        uint16_t type;
        uint64_t tag;
        size_t size;
        int taken = 0;
        while (tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size) == 1 && ++taken < 100000) {}
        CHECK(taken < 100000);
        free(memory);
    }
}

static void attach_refuses_what_does_not_fit(void)
{
    void *memory;
    tr_ring ring = make(&memory, 4096), other;
    CHECK_EQ(TR_OK, tr__ring_attach(&other, memory, tr__ring_footprint(4096)));
    CHECK_EQ(TR_ERR_VERSION, tr__ring_attach(&other, memory, tr__ring_footprint(4096) - 1));
    ring.head->size = 5000;
    CHECK_EQ(TR_ERR_VERSION, tr__ring_attach(&other, memory, tr__ring_footprint(8192)));
    ring.head->size = 4096;
    ring.head->version++;
    CHECK_EQ(TR_ERR_VERSION, tr__ring_attach(&other, memory, tr__ring_footprint(4096)));
    free(memory);
}

#define THREAD_RECORDS 200000

static void *writer(void *argument)
{
    tr_ring *ring = argument;
    for (uint64_t i = 0; i < THREAD_RECORDS;) {
        uint64_t body[4] = {i, i + 1, i + 2, i + 3};
        if (tr__ring_push(ring, 3, i, body, 8 + i % 4 * 8) == TR_OK) i++;
    }
    return NULL;
}

static void two_threads_see_the_same_records(void)
{
    void *memory;
    tr_ring ring = make(&memory, 8192);
    pthread_t thread;
    pthread_create(&thread, NULL, writer, &ring);
    uint64_t body[8], wrong = 0;
    for (uint64_t i = 0; i < THREAD_RECORDS;) {
        uint16_t type;
        uint64_t tag;
        size_t size;
        if (tr__ring_pop(&ring, &type, &tag, body, sizeof body, &size) != 1) continue;
        if (tag != i || body[0] != i || size != 8 + i % 4 * 8) wrong++;
        i++;
    }
    pthread_join(thread, NULL);
    CHECK_EQ(0, wrong);
    free(memory);
}

static const check_test tests[] = {
    TEST(empty_ring_gives_nothing),
    TEST(records_come_out_in_order_across_many_laps),
    TEST(full_ring_refuses_and_loses_nothing),
    TEST(too_large_a_body_is_refused),
    TEST(broken_memory_is_never_believed),
    TEST(attach_refuses_what_does_not_fit),
    TEST(two_threads_see_the_same_records),
};
CHECK_MAIN("test_ring", tests)
