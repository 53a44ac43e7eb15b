/* history: the latest packets of one stream, opened, for resends: a byte ring and an index by sequence number.
 * Kept once for each stream received, however many it is sent to. Bounded in bytes and in packets; of its bytes it
 * uses about as many as hold TR_HISTORY_US at the stream's rate, and of its index as many entries as those packets
 * need, so a slow stream touches little memory. In a burst it may hold less for a moment, until it has grown; after one
 * it gives back what it took.
 * Its memory is given at init, and is touched as far as it is used. Pure but for pages that it lets go, once a lap at
 * the most. Worker thread. */
#ifndef TR_HISTORY_H
#define TR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Index entries, powers of two. Video: over a second of the fastest stream we expect. Audio has 50 packets a second,
 * 100 at the most: two seconds of those. */
#define TR_HISTORY_VIDEO_PACKETS 1024
#define TR_HISTORY_AUDIO_PACKETS 256
/* What an index begins with: a second of audio, or of slow video. */
#define TR_HISTORY_FIRST_PACKETS 64
#define TR_HISTORY_US                                                                                                  \
    1000000 /* what a resend may reach back: three round trips of a bad line, and a keyframe's age                     \
             */

typedef struct tr_history_packet {
    uint32_t index, offset; /* index: its low 32 bits */
    uint16_t lap, bytes;    /* bytes 0: none */
} tr_history_packet;

typedef struct tr_history {
    uint8_t *ring;               /* borrowed */
    tr_history_packet *packets;  /* borrowed; by index & mask */
    uint32_t mask, last_mask;    /* entries in use, and those there are, less one */
    uint32_t size;               /* bytes there are */
    uint32_t limit;              /* bytes in use: where a lap ends */
    uint32_t touched;            /* bytes that laps before reached */
    uint32_t head;               /* where the next packet goes, if it fits before the limit */
    uint16_t lap;                /* how often the ring has begun again */
    uint64_t lap_at_us;          /* when this lap began */
    uint64_t mark_us, before_us; /* a quarter of a second ago at the most, and a quarter before that */
    uint32_t mark, before;       /* where the head was then */
} tr_history;

/* count: entries at `packets`, a power of two, TR_HISTORY_FIRST_PACKETS at least. */
void tr__history_init(tr_history *history, tr_history_packet *packets, uint32_t count, uint8_t *ring, uint32_t size);
void tr__history_put(tr_history *history, uint64_t index, const uint8_t *data, size_t size, uint64_t now_us);
/* Fetch where the packet of this sequence number will be noted, and where the next one goes. */
void tr__history_near(const tr_history *history, uint16_t seq);
/* The plain RTP packet as it was received, or NULL. Valid until the next put. It never crosses the ring's end. */
const uint8_t *tr__history_get(const tr_history *history, uint64_t index, size_t *size);
bool tr__history_has(const tr_history *history, uint64_t index);

#endif
