/* timers: which of many things is due next: a binary heap of times by index.
 * The heap may know an earlier time than the thing itself by now: then it is looked at once too often, never too late.
 * So a time that moves back costs nothing, and one that moves forward a few comparisons.
 * Pure: one allocation at init, none after. Worker thread. */
#ifndef TR_TIMERS_H
#define TR_TIMERS_H

#include <stdint.h>

#define TR_TIMERS_NEVER UINT64_MAX

typedef struct tr_timers {
    uint64_t *at;    /* by index; NEVER: not in the heap */
    uint32_t *place; /* by index: where in the heap */
    uint32_t *heap;  /* indices, the earliest first */
    uint32_t count, capacity;
} tr_timers;

int tr__timers_init(tr_timers *timers, uint32_t capacity); /* TR_OK or TR_ERR_NO_MEMORY */
void tr__timers_dispose(tr_timers *timers);

/* From now on `index` is due at `at_us`, earlier or later than before; NEVER takes it out. */
void tr__timers_set(tr_timers *timers, uint32_t index, uint64_t at_us);
/* The earliest time, NEVER when there is none. */
static inline uint64_t tr__timers_next(const tr_timers *timers)
{
    return timers->count ? timers->at[timers->heap[0]] : TR_TIMERS_NEVER;
}
static inline uint64_t tr__timers_at(const tr_timers *timers, uint32_t index) { return timers->at[index]; }

#endif
