/* history: see history.h. Touches only the ring it was given. Worker thread.
 *
 * The ring is written lap after lap. What the lap before left behind the head is still whole; what it left before the
 * head has been overwritten. */
#include "history.h"

#include <string.h>

/* Bytes more that are taken into use at a time: a few pages, and more than a datagram. */
#define STEP 16384u

void tr__history_init(tr_history *history, uint8_t *ring, uint32_t size)
{
    memset(history, 0, sizeof *history);
    history->ring = ring;
    history->size = size;
    history->limit = size < STEP ? size : STEP;
}

/* Room for `size` bytes at the head: further on while this lap is young, else from the ring's start. */
static void make_room(tr_history *history, uint32_t size, uint64_t now_us)
{
    while (history->limit - history->head < size && history->limit < history->size &&
           now_us - history->lap_at_us < TR_HISTORY_US)
        history->limit = history->size - history->limit < STEP ? history->size : history->limit + STEP;
    if (history->limit - history->head >= size) return;
    history->head = 0;
    history->lap++;
    history->lap_at_us = now_us;
}

void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size, uint64_t now_us)
{
    if (!size || size > history->limit) return;
    uint64_t slot = index % TR_HISTORY_PACKETS;
    /* A late packet does not push out the newer one that has its slot. */
    if (history->packets[slot].bytes && (int32_t)(history->packets[slot].index - (uint32_t)index) > 0) return;
    if (!history->lap_at_us) history->lap_at_us = now_us;
    if (history->limit - history->head < size) make_room(history, (uint32_t)size, now_us);
    memcpy(history->ring + history->head, data, size);
    history->packets[slot].index = (uint32_t)index;
    history->packets[slot].offset = history->head;
    history->packets[slot].lap = history->lap;
    history->packets[slot].bytes = (uint16_t)size;
    history->head += (uint32_t)size;
}

bool tr__history_has(const tr_history *history, uint64_t index)
{
    uint64_t slot = index % TR_HISTORY_PACKETS;
    if (!history->packets[slot].bytes || history->packets[slot].index != (uint32_t)index) return false;
    uint16_t laps = (uint16_t)(history->lap - history->packets[slot].lap);
    return laps == 0 || (laps == 1 && history->packets[slot].offset >= history->head);
}

const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size)
{
    if (!tr__history_has(history, index)) return NULL;
    uint64_t slot = index % TR_HISTORY_PACKETS;
    *size = history->packets[slot].bytes;
    return history->ring + history->packets[slot].offset;
}
