/* near: fetches memory ahead of its use. A worker's transports fit no cache: untold, each structure a packet needs is
 * waited for in turn, a hundred nanoseconds each.
 * Pure. Worker thread. */
#ifndef TR_NEAR_H
#define TR_NEAR_H

#include <stddef.h>
#include <stdint.h>

#define TR_LINE 64 /* bytes of a cache line, on every processor we know */

/* The lines of [at, at + size); any address will do. */
static inline void tr__near(const void *at, size_t size)
{
    uintptr_t line = (uintptr_t)at & ~(uintptr_t)(TR_LINE - 1), end = (uintptr_t)at + size;
    for (; line < end; line += TR_LINE) __builtin_prefetch((const void *)line);
}

#endif
