/* check: the smallest harness that names what failed. A test file lists its tests in a table and calls run.
 * The closing line of each program is "name: N passed, N failed". */
#ifndef TR_CHECK_H
#define TR_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "splitmix.h"

static int check__failures;
static unsigned long check__count;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        check__count++;                                                                                                \
        if (!(condition)) {                                                                                            \
            check__failures++;                                                                                         \
            fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);                    \
        }                                                                                                              \
    } while (0)

#define CHECK_EQ(expected, actual)                                                                                     \
    do {                                                                                                               \
        long long check__e = (long long)(expected), check__a = (long long)(actual);                                    \
        check__count++;                                                                                                \
        if (check__e != check__a) {                                                                                    \
            check__failures++;                                                                                         \
            fprintf(stderr, "%s:%d: %s: %s: expected %lld, is %lld\n", __FILE__, __LINE__, __func__, #actual,          \
                    check__e, check__a);                                                                               \
        }                                                                                                              \
    } while (0)

#define CHECK_STR(expected, actual)                                                                                    \
    do {                                                                                                               \
        const char *check__e = (expected), *check__a = (actual);                                                       \
        check__count++;                                                                                                \
        if (strcmp(check__e, check__a) != 0) {                                                                         \
            check__failures++;                                                                                         \
            fprintf(stderr, "%s:%d: %s: %s: expected \"%s\", is \"%s\"\n", __FILE__, __LINE__, __func__, #actual,      \
                    check__e, check__a);                                                                               \
        }                                                                                                              \
    } while (0)

#define CHECK_BYTES(expected, actual, size)                                                                            \
    do {                                                                                                               \
        check__count++;                                                                                                \
        if (memcmp((expected), (actual), (size)) != 0) {                                                               \
            check__failures++;                                                                                         \
            fprintf(stderr, "%s:%d: %s: bytes differ: %s\n", __FILE__, __LINE__, __func__, #actual);                   \
        }                                                                                                              \
    } while (0)

typedef struct check_test {
    const char *name;
    void (*run)(void);
} check_test;
#define TEST(function)                                                                                                 \
    {                                                                                                                  \
#function, function                                                                                            \
    }

static inline int check_main(const char *name, const check_test *tests, size_t count)
{
    int passed = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        int before = check__failures;
        tests[i].run();
        if (check__failures == before)
            passed++;
        else {
            failed++;
            fprintf(stderr, "%s: %s failed\n", name, tests[i].name);
        }
    }
    printf("%s: %d passed, %d failed\n", name, passed, failed);
    return failed ? 1 : 0;
}

#define CHECK_MAIN(name, tests)                                                                                        \
    int main(void) { return check_main(name, tests, sizeof tests / sizeof *tests); }

/* Seeded numbers for tests. */
static inline uint64_t check_random(uint64_t *state) { return tr__splitmix(state); }

#endif
