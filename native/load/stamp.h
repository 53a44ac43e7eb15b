/* stamp: what the end of every media payload says: which packet of which stream this is, and when it left; and the
 * filler before it, which can be made again and compared.
 * Pure. Engine thread.
 *
 * The server may rewrite RTP headers and payload descriptors, so the stamp lies at the end and the filler counts from
 * there. Payloads look like VP8, H.264 or Opus to a server (payload.h), but nothing would decode them. */
#ifndef TL_STAMP_H
#define TL_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "splitmix.h"

#define TL_STAMP_SIZE 44   /* bytes */
#define TL_STAMP_HEAD 64   /* bytes at a payload's front that are not compared: descriptors may be rewritten */
#define TL_STAMP_FILL 2048 /* the most filler there can be in a payload, bytes */

typedef struct tl_stamp {
    uint32_t stream;
    uint64_t counter; /* of the stream's packets, from 0 */
    uint64_t sent_ns; /* CLOCK_REALTIME, of the first sending */
    uint32_t frame;   /* of the stream's frames, from 0 */
    uint16_t part, parts;
    bool is_keyframe;
} tl_stamp;

typedef enum tl_stamp_verdict {
    TL_STAMP_OK,
    TL_STAMP_ABSENT, /* not of this engine: somebody else's media */
    TL_STAMP_CORRUPT /* the checksum does not match, or the filler is not what was sent */
} tl_stamp_verdict;

/* Fill payload[head .. size) with filler and the stamp; size - head >= TL_STAMP_SIZE. `engine` tells one engine's
 * packets from another's in the same room. */
void tl__stamp_write(uint8_t *payload, size_t head, size_t size, uint32_t engine, const tl_stamp *stamp);
tl_stamp_verdict tl__stamp_read(const uint8_t *payload, size_t size, uint32_t engine, tl_stamp *stamp);

/* The first number from this seed. */
static inline uint64_t tl__mix(uint64_t seed) { return tr__splitmix(&seed); }

#endif
