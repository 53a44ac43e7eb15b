/* pages: zeroed, writable to the last byte, and taken only as far as they are touched. */
#include "pages.h"

#include <stdio.h>
#include <unistd.h>

#include "check.h"

#define MIB ((size_t)1 << 20)

/* Resident bytes of this process. */
static size_t resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long total = 0, pages = 0;
    CHECK(file && fscanf(file, "%lu %lu", &total, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void pages_are_zeroed_and_writable_to_their_end(void)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 557056};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *pages = tr__pages_new(sizes[i]);
        CHECK(pages != NULL);
        CHECK_EQ(0, (uintptr_t)pages % 16);
        for (size_t k = 0; k < sizes[i]; k++) CHECK_EQ(0, pages[k]);
        memset(pages, 0xff, sizes[i]);
        tr__pages_free(pages, sizes[i]);
    }
    CHECK(tr__pages_new(0) == NULL);
    tr__pages_free(NULL, 0);
}

/* However often such blocks were used and freed before: the C library's calloc would take them from its heap then, and
 * zero, and so touch, all of them. */
static void what_is_not_touched_takes_no_memory(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return; /* they keep books of their own in memory */
#endif
    enum { BLOCKS = 64 };
    uint8_t *blocks[BLOCKS];
    size_t before = resident();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < BLOCKS; i++) {
            blocks[i] = tr__pages_new(MIB / 2);
            CHECK(blocks[i] != NULL);
            blocks[i][0] = 1;
            if (round % 2) memset(blocks[i], 1, MIB / 2);
        }
        size_t taken = resident() - before;
        if (round % 2)
            CHECK(taken >= BLOCKS * MIB / 2);
        else
            CHECK(taken < BLOCKS * MIB / 2 / 16);
        for (int i = 0; i < BLOCKS; i++) tr__pages_free(blocks[i], MIB / 2);
    }
    CHECK(resident() < before + MIB);
}

static void what_is_forgotten_takes_none_any_more(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return;
#endif
    uint8_t *pages = tr__pages_new(4 * MIB);
    CHECK(pages != NULL);
    memset(pages, 1, 4 * MIB);
    size_t before = resident();
    tr__pages_forget(pages + 100, 4 * MIB - 200);
    CHECK(before - resident() >= 4 * MIB - 2 * 4096 - MIB / 4);
    for (size_t i = 0; i < 4096; i++) CHECK_EQ(1, pages[i]); /* what lies only partly within stays */
    CHECK_EQ(1, pages[4 * MIB - 1]);
    CHECK_EQ(0, pages[4096]);
    tr__pages_forget(pages, 100); /* no whole page */
    CHECK_EQ(1, pages[0]);
    tr__pages_free(pages, 4 * MIB);
}

static const check_test tests[] = {
    TEST(pages_are_zeroed_and_writable_to_their_end),
    TEST(what_is_not_touched_takes_no_memory),
    TEST(what_is_forgotten_takes_none_any_more),
};
CHECK_MAIN("test_pages", tests)
