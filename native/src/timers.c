/* timers: see timers.h. Touches only its own memory. Worker thread. */
#include "timers.h"

#include <stdlib.h>
#include <string.h>

#include "telerelay.h"

int tr__timers_init(tr_timers *timers, uint32_t capacity)
{
    *timers = (tr_timers){.at = malloc(capacity * sizeof *timers->at),
                          .place = malloc(capacity * sizeof *timers->place),
                          .heap = malloc(capacity * sizeof *timers->heap),
                          .capacity = capacity};
    if (!timers->at || !timers->place || !timers->heap) {
        tr__timers_dispose(timers);
        return TR_ERR_NO_MEMORY;
    }
    memset(timers->at, 0xff, capacity * sizeof *timers->at);
    return TR_OK;
}

void tr__timers_dispose(tr_timers *timers)
{
    free(timers->at);
    free(timers->place);
    free(timers->heap);
    *timers = (tr_timers){0};
}

static void put(tr_timers *timers, uint32_t place, uint32_t index)
{
    timers->heap[place] = index;
    timers->place[index] = place;
}

static void rise(tr_timers *timers, uint32_t place, uint32_t index)
{
    uint64_t at = timers->at[index];
    while (place) {
        uint32_t parent = (place - 1) / 2;
        if (timers->at[timers->heap[parent]] <= at) break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, index);
}

static void sink(tr_timers *timers, uint32_t place, uint32_t index)
{
    uint64_t at = timers->at[index];
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= timers->count) break;
        if (child + 1 < timers->count && timers->at[timers->heap[child + 1]] < timers->at[timers->heap[child]]) child++;
        if (at <= timers->at[timers->heap[child]]) break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, index);
}

void tr__timers_set(tr_timers *timers, uint32_t index, uint64_t at_us)
{
    uint64_t before = timers->at[index];
    if (before == at_us) return;
    timers->at[index] = at_us;
    if (before == TR_TIMERS_NEVER) {
        rise(timers, timers->count++, index);
    } else if (at_us == TR_TIMERS_NEVER) {
        uint32_t hole = timers->place[index], last = timers->heap[--timers->count];
        if (last == index) return;
        uint32_t parent = hole ? (hole - 1) / 2 : 0;
        if (hole && timers->at[last] < timers->at[timers->heap[parent]])
            rise(timers, hole, last);
        else
            sink(timers, hole, last);
    } else if (at_us < before) {
        rise(timers, timers->place[index], index);
    } else {
        sink(timers, timers->place[index], index);
    }
}
