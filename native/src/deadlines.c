/* deadlines: see deadlines.h. Touches only its own memory. Its owner's thread. */
#include "deadlines.h"

#include <stdlib.h>
#include <string.h>

#include "telerelay.h"

int tr__deadlines_init(tr_deadlines *deadlines, uint32_t capacity)
{
    *deadlines = (tr_deadlines){.at = malloc(capacity * sizeof *deadlines->at),
                                .place = malloc(capacity * sizeof *deadlines->place),
                                .heap = malloc(capacity * sizeof *deadlines->heap)};
    if (!deadlines->at || !deadlines->place || !deadlines->heap) {
        tr__deadlines_dispose(deadlines);
        return TR_ERR_NO_MEMORY;
    }
    memset(deadlines->at, 0xff, capacity * sizeof *deadlines->at);
    return TR_OK;
}

void tr__deadlines_dispose(tr_deadlines *deadlines)
{
    free(deadlines->at);
    free(deadlines->place);
    free(deadlines->heap);
    *deadlines = (tr_deadlines){0};
}

static void put(tr_deadlines *deadlines, uint32_t place, uint32_t index)
{
    deadlines->heap[place] = index;
    deadlines->place[index] = place;
}

static void rise(tr_deadlines *deadlines, uint32_t place, uint32_t index)
{
    uint64_t at = deadlines->at[index];
    while (place) {
        uint32_t parent = (place - 1) / 2;
        if (deadlines->at[deadlines->heap[parent]] <= at) break;
        put(deadlines, place, deadlines->heap[parent]);
        place = parent;
    }
    put(deadlines, place, index);
}

static void sink(tr_deadlines *deadlines, uint32_t place, uint32_t index)
{
    uint64_t at = deadlines->at[index];
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= deadlines->count) break;
        if (child + 1 < deadlines->count &&
            deadlines->at[deadlines->heap[child + 1]] < deadlines->at[deadlines->heap[child]])
            child++;
        if (at <= deadlines->at[deadlines->heap[child]]) break;
        put(deadlines, place, deadlines->heap[child]);
        place = child;
    }
    put(deadlines, place, index);
}

void tr__deadlines_set(tr_deadlines *deadlines, uint32_t index, uint64_t at)
{
    uint64_t before = deadlines->at[index];
    if (before == at) return;
    deadlines->at[index] = at;
    if (before == TR_DEADLINES_NEVER) {
        rise(deadlines, deadlines->count++, index);
    } else if (at == TR_DEADLINES_NEVER) {
        uint32_t hole = deadlines->place[index], last = deadlines->heap[--deadlines->count];
        if (last == index) return;
        uint32_t parent = hole ? (hole - 1) / 2 : 0;
        if (hole && deadlines->at[last] < deadlines->at[deadlines->heap[parent]])
            rise(deadlines, hole, last);
        else
            sink(deadlines, hole, last);
    } else if (at < before) {
        rise(deadlines, deadlines->place[index], index);
    } else {
        sink(deadlines, deadlines->place[index], index);
    }
}

/* Whose parent is not due is not due either. What is found serves as the list of where to look on. */
uint32_t tr__deadlines_due(const tr_deadlines *deadlines, uint64_t at, uint32_t *indices, uint32_t max)
{
    uint32_t count = 0;
    if (max && deadlines->count && deadlines->at[deadlines->heap[0]] <= at) indices[count++] = deadlines->heap[0];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t child = 2 * deadlines->place[indices[i]] + 1;
        for (uint32_t end = child + 2; child < end && child < deadlines->count && count < max; child++)
            if (deadlines->at[deadlines->heap[child]] <= at) indices[count++] = deadlines->heap[child];
    }
    return count;
}
