/* history: the latest packets of one stream, opened, for resends: a byte ring and an index by sequence number.
 * Kept once for each stream received, however many it is sent to. Bounded in bytes and in packets; of its bytes it
 * uses about as many as hold TR_HISTORY_US at the stream's rate, so a slow stream touches little memory. After a burst
 * it may hold less for a moment, until it has grown.
 * Pure: its memory is given at init. Worker thread. */
#ifndef TR_HISTORY_H
#define TR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TR_HISTORY_PACKETS 1024 /* index entries, a power of two: over a second of the fastest stream we expect */
#define TR_HISTORY_US                                                                                                  \
    1000000 /* what a resend may reach back: three round trips of a bad line, and a keyframe's age                     \
             */

typedef struct tr_history {
    uint8_t *ring;
    uint32_t size;      /* bytes there are */
    uint32_t limit;     /* bytes in use so far: where a lap ends */
    uint32_t head;      /* where the next packet goes, if it fits before the limit */
    uint16_t lap;       /* how often the ring has begun again */
    uint64_t lap_at_us; /* when this lap began */
    struct {
        uint32_t index, offset; /* index: its low 32 bits */
        uint16_t lap, bytes;    /* bytes 0: none */
    } packets[TR_HISTORY_PACKETS];
} tr_history;

void tr__history_init(tr_history *history, uint8_t *ring, uint32_t size);
void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size, uint64_t now_us);
/* The plain RTP packet as it was received, or NULL. Valid until the next put. It never crosses the ring's end. */
const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size);
bool tr__history_has(const tr_history *history, uint64_t index);

#endif
