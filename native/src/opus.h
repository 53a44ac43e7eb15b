/* opus: what an Opus packet is made of, as far as its own headers say, and several packets joined into one, without
 * decoding (RFC 6716, 3): the frames stay as they are, their sizes are written anew.
 * Pure: total, bounded, no state. Worker thread. */
#ifndef TR_OPUS_H
#define TR_OPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define TR_OPUS_RATE 48000    /* Hz: timestamps of Opus always count so (RFC 7587, 4.1) */
#define TR_OPUS_FRAMES 48     /* of one packet: 120 ms of the shortest (RFC 6716, 3.2.5) */
#define TR_OPUS_TICKS 5760    /* of one packet at most: 120 ms */
#define TR_OPUS_MAX_SIZE 1275 /* bytes of one frame (RFC 6716, 3.4) */

/* A packet that keeps the rules. Its frames lie one behind the other. */
typedef struct tr_opus {
    uint8_t toc; /* as it came: configuration, channels, and how the frames are packed */
    uint8_t count;
    uint16_t ticks; /* its length, of TR_OPUS_RATE */
    uint16_t sizes[TR_OPUS_FRAMES];
    const uint8_t *frames;
    uint16_t bytes; /* of all frames */
} tr_opus;

/* False: it breaks one of the rules of RFC 6716, 3.4. */
bool tr__opus_parse(tr_opus *opus, const uint8_t *data, size_t size);

/* May the frames of both lie in one packet: the same configuration and channels? */
static inline bool tr__opus_is_alike(uint8_t toc, uint8_t other) { return ((toc ^ other) & 0xfc) == 0; }

/* The frames of all, in order, as one packet, without padding. They are alike, and together no more than TR_OPUS_FRAMES
 * and TR_OPUS_TICKS; else the pen fails. */
void tr__opus_put(tr_pen *pen, const tr_opus *packets, size_t count);

#endif
