/* deadlines: which of many things is due next: a binary heap of times by index. The unit is the owner's: microseconds
 * in the relay, nanoseconds in the load tester.
 * The heap may know an earlier time than the thing itself by now: then it is looked at once too often, never too late.
 * So a time that moves back costs nothing, and one that moves forward a few comparisons.
 * Pure: one allocation each at init, none after. Worker thread; in the load tester its engine's. */
#ifndef TR_DEADLINES_H
#define TR_DEADLINES_H

#include <stdint.h>

#define TR_DEADLINES_NEVER UINT64_MAX

typedef struct tr_deadlines {
    uint64_t *at;    /* by index; NEVER: not in the heap */
    uint32_t *place; /* by index: where in the heap */
    uint32_t *heap;  /* indices, the earliest first */
    uint32_t count;
} tr_deadlines;

int tr__deadlines_init(tr_deadlines *deadlines, uint32_t capacity); /* TR_OK or TR_ERR_NO_MEMORY */
void tr__deadlines_dispose(tr_deadlines *deadlines);

/* From now on `index` is due `at` then, earlier or later than before; NEVER takes it out. */
void tr__deadlines_set(tr_deadlines *deadlines, uint32_t index, uint64_t at);
/* The earliest time, NEVER when there is none. */
static inline uint64_t tr__deadlines_next(const tr_deadlines *deadlines)
{
    return deadlines->count ? deadlines->at[deadlines->heap[0]] : TR_DEADLINES_NEVER;
}
/* Whose that is; only while there is one. */
static inline uint32_t tr__deadlines_first(const tr_deadlines *deadlines) { return deadlines->heap[0]; }
/* Some of those that are due at `at`, `max` at the most, in no order: to fetch what they will touch. How many. */
uint32_t tr__deadlines_due(const tr_deadlines *deadlines, uint64_t at, uint32_t *indices, uint32_t max);
static inline uint64_t tr__deadlines_at(const tr_deadlines *deadlines, uint32_t index) { return deadlines->at[index]; }

#endif
