/* timers: see timers.h. Touches only the heap and the nodes. Engine thread. */
#include "timers.h"

#include <stdlib.h>

bool tl__timers_init(tl_timers *timers, uint32_t capacity)
{
    *timers = (tl_timers){0};
    return tl__timers_reserve(timers, capacity);
}

void tl__timers_dispose(tl_timers *timers)
{
    free(timers->heap);
    *timers = (tl_timers){0};
}

bool tl__timers_reserve(tl_timers *timers, uint32_t capacity)
{
    if (capacity <= timers->capacity) return true;
    uint32_t wanted = timers->capacity * 2 > capacity ? timers->capacity * 2 : capacity;
    tl_timer **heap = realloc(timers->heap, wanted * sizeof *heap);
    if (!heap) return false;
    timers->heap = heap;
    timers->capacity = wanted;
    return true;
}

static void put(tl_timers *timers, tl_timer *timer, uint32_t at)
{
    timers->heap[at] = timer;
    timer->at = at;
}

static void rise(tl_timers *timers, tl_timer *timer)
{
    uint32_t at = timer->at;
    while (at && timers->heap[(at - 1) / 2]->due_ns > timer->due_ns) {
        put(timers, timers->heap[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    put(timers, timer, at);
}

static void sink(tl_timers *timers, tl_timer *timer)
{
    uint32_t at = timer->at;
    for (uint32_t child; (child = 2 * at + 1) < timers->count; at = child) {
        if (child + 1 < timers->count && timers->heap[child + 1]->due_ns < timers->heap[child]->due_ns) child++;
        if (timers->heap[child]->due_ns >= timer->due_ns) break;
        put(timers, timers->heap[child], at);
    }
    put(timers, timer, at);
}

static void take_out(tl_timers *timers, tl_timer *timer)
{
    uint32_t at = timer->at;
    tl_timer *last = timers->heap[--timers->count];
    timer->at = TL_TIMER_IDLE;
    if (last == timer) return;
    put(timers, last, at);
    rise(timers, last);
    sink(timers, last);
}

void tl__timers_set(tl_timers *timers, tl_timer *timer, uint64_t due_ns)
{
    if (due_ns == UINT64_MAX) {
        if (timer->at != TL_TIMER_IDLE) take_out(timers, timer);
        timer->due_ns = due_ns;
        return;
    }
    if (timer->at == TL_TIMER_IDLE) {
        if (timers->count == timers->capacity) return; /* reserve sees to it that this cannot be */
        put(timers, timer, timers->count++);
    }
    timer->due_ns = due_ns;
    rise(timers, timer);
    sink(timers, timer);
}
