/* history: see history.h. Touches only the ring it was given. Worker thread. */
#include "history.h"

#include <string.h>

void tr__history_init(tr_history *history, uint8_t *ring, uint32_t size)
{
    memset(history, 0, sizeof *history);
    history->ring = ring;
    history->size = size;
}

void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size)
{
    if (!size || size > history->size || size > UINT16_MAX) return;
    uint64_t slot = index % TR_HISTORY_PACKETS;
    /* A late packet does not push out the newer one that has its slot. */
    if (history->packets[slot].bytes && history->packets[slot].index > index) return;
    uint64_t left = history->size - (history->head & (history->size - 1));
    if (left < size) history->head += left;
    memcpy(history->ring + (history->head & (history->size - 1)), data, size);
    history->packets[slot].index = index;
    history->packets[slot].at = history->head;
    history->packets[slot].bytes = (uint16_t)size;
    history->head += size;
}

bool tr__history_has(const tr_history *history, uint64_t index)
{
    uint64_t slot = index % TR_HISTORY_PACKETS;
    return history->packets[slot].bytes && history->packets[slot].index == index &&
           history->head - history->packets[slot].at <= history->size;
}

const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size)
{
    if (!tr__history_has(history, index)) return NULL;
    uint64_t slot = index % TR_HISTORY_PACKETS;
    *size = history->packets[slot].bytes;
    return history->ring + (history->packets[slot].at & (history->size - 1));
}
