/* timers: who is due next, of thousands: a binary heap of nodes that lie in their owners.
 * Pure: one allocation at init, none after. Engine thread. */
#ifndef TL_TIMERS_H
#define TL_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TL_TIMER_IDLE UINT32_MAX

typedef struct tl_timer {
    uint64_t due_ns;
    uint32_t at;  /* in the heap, TL_TIMER_IDLE: not in it */
    uint8_t kind; /* the owner's word for what it is */
} tl_timer;

typedef struct tl_timers {
    tl_timer **heap;
    uint32_t count, capacity;
} tl_timers;

bool tl__timers_init(tl_timers *timers, uint32_t capacity); /* false: no memory */
void tl__timers_dispose(tl_timers *timers);
bool tl__timers_reserve(tl_timers *timers, uint32_t capacity); /* at set-up of a peer or a stream */
/* UINT64_MAX takes it out. A timer has been set idle before its first use. */
void tl__timers_set(tl_timers *timers, tl_timer *timer, uint64_t due_ns);
static inline tl_timer *tl__timers_first(const tl_timers *timers) { return timers->count ? timers->heap[0] : NULL; }

#endif
