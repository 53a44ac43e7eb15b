/* red: the block headers at the front of a RED payload (RFC 2198, 3): what was said before, and what is said now.
 * Pure: total, bounded, no state. Blocks are never unfolded into RED again. Worker thread. */
#ifndef TR_RED_H
#define TR_RED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Browsers write two to three; what is more is an attack. */
#define TR_RED_MAX_BLOCKS 5
#define TR_RED_HEADER                                                                                                  \
    4 /* bytes of a block's header; the last one, of the primary block, has only the first of them                     \
       */

/* A RED payload; count 0: none. The payload type of block i is the low seven bits at TR_RED_HEADER * i. */
typedef struct tr_red {
    uint8_t count;
    uint16_t primary_at, primary_size; /* the last block: what this packet says itself; from the payload's start */
} tr_red;

/* False: cut short, more than TR_RED_MAX_BLOCKS, or a primary block that is empty. */
bool tr__red_parse(tr_red *red, const uint8_t *payload, size_t size);

#endif
