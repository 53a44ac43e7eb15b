/* delivered: at what rate packets have arrived, over the last so many milliseconds of the receiver's clock.
 * Pure. Worker thread. */
#ifndef TR_DELIVERED_H
#define TR_DELIVERED_H

#include <stdbool.h>
#include <stdint.h>

/* Bins of 25 ms, 64 of them: 1.6 s, more than any window that is asked for. A bin is shorter than any frame's gap, so
 * that a window of 200 ms is cut to an eighth. */
#define TR_DELIVERED_BIN_US 25000
#define TR_DELIVERED_BINS 64

typedef struct tr_delivered {
    int64_t newest;    /* bin number, -1: nothing yet */
    int64_t newest_us; /* when it began; before that: a bin earlier than any */
    int64_t first;     /* bin of the very first arrival since init */
    uint32_t old;      /* arrivals in a row that were older than the bins hold */
    uint32_t bytes[TR_DELIVERED_BINS];
} tr_delivered;

void tr__delivered_init(tr_delivered *d);
/* received_us: not negative. What is older than the bins hold is left out. */
void tr__delivered_on_packet(tr_delivered *d, int64_t received_us, uint32_t size_bytes);
/* Bit/s over the last whole bins before the newest one; 0: not that many yet, and nothing is known. */
double tr__delivered_bps(const tr_delivered *d, int64_t window_us);

#endif
