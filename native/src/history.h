/* history: the latest packets of one stream, opened, for resends: a byte ring and an index by sequence number.
 * Kept once for each stream received, however many it is sent to. Bounded in bytes and in packets.
 * Pure: its memory is given at init. Worker thread. */
#ifndef TR_HISTORY_H
#define TR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TR_HISTORY_PACKETS 1024 /* index entries, a power of two: over a second of the fastest stream we expect */

typedef struct tr_history {
    uint8_t *ring;
    uint32_t size; /* bytes, a power of two */
    uint64_t head; /* bytes ever written */
    struct {
        uint64_t index, at;
        uint16_t bytes;
    } packets[TR_HISTORY_PACKETS];
} tr_history;

void tr__history_init(tr_history *history, uint8_t *ring, uint32_t size);
void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size);
/* The plain RTP packet as it was received, or NULL. Valid until the next put. It never crosses the ring's end. */
const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size);
bool tr__history_has(const tr_history *history, uint64_t index);

#endif
