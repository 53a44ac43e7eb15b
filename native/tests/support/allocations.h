/* allocations: malloc and its kin interposed for the whole process, ours and libraries' calls, counted on a thread
 * while it says so. A sanitizer brings an allocator of its own: there the count is its. Once in a program. */
#ifndef TR_TEST_ALLOCATIONS_H
#define TR_TEST_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* volatile: the compiler knows what malloc does, and that is neither to read nor to write these. */
static _Thread_local volatile bool counting;
static volatile unsigned long allocations;

#if defined(__SANITIZE_ADDRESS__)
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
static void on_malloc(const volatile void *p, size_t n)
{
    (void)p, (void)n;
    allocations += counting;
}
static void on_free(const volatile void *p) { (void)p; }
static void allocations_interpose(void) { __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free); }
#elif defined(__SANITIZE_THREAD__)
#define CANNOT_COUNT_ALLOCATIONS /* its allocator has no hooks; the other builds count */
static void allocations_interpose(void) {}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n)
{
    allocations += counting;
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
    allocations += counting;
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
    allocations += counting;
    return __libc_realloc(p, n);
}
static void allocations_interpose(void) {}
#endif

/* That the counter counts: for tests to begin with, since a count of none proves little. */
static inline bool allocations_are_counted(void)
{
    counting = true;
    void *volatile p = malloc(10);
    counting = false;
    free(p);
    bool has_counted = allocations == 1;
    allocations = 0;
    return has_counted;
}

#endif
