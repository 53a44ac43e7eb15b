/* seqmap: what number a packet leaves with, and which packet a number was: across switches of source.
 * A sender's outgoing sequence is one unbroken line; each source it forwarded is a range of it with its own offset.
 * Gaps in a source stay gaps, so that the peer asks for what is missing; packets left out on purpose close up.
 * Pure. Worker thread. Indices are 64-bit: they never wrap. */
#ifndef TR_SEQMAP_H
#define TR_SEQMAP_H

#include <stdbool.h>
#include <stdint.h>

#define TR_SEQMAP_RANGES 64 /* switches and omissions remembered for resends: more than a second of either */

typedef struct tr_seqmap_range {
    uint64_t in_first; /* source index from which this offset holds */
    uint64_t out_first;
    uint32_t source;    /* which source: an epoch of the sender's, counted up at each switch */
    uint32_t ts_offset; /* out timestamp = in + this (mod 2^32) */
} tr_seqmap_range;

typedef struct tr_seqmap {
    uint32_t count, oldest;
    uint64_t next_out; /* one past the highest number given out */
    tr_seqmap_range ranges[TR_SEQMAP_RANGES];
} tr_seqmap;

void tr__seqmap_init(tr_seqmap *map, uint64_t first_out);
/* From in_index on, source `source` continues the line at next_out. */
void tr__seqmap_switch(tr_seqmap *map, uint32_t source, uint64_t in_index, uint32_t ts_offset);
/* in_index of the current source is left out: what follows closes up. Only in order, only for the newest. */
void tr__seqmap_omit(tr_seqmap *map, uint64_t in_index);
/* The number a packet of the current source leaves with; false if it lies before the range begins or was omitted. */
bool tr__seqmap_out(tr_seqmap *map, uint64_t in_index, uint64_t *out_index, uint32_t *ts_offset);
/* Which packet a number was. False: never given out, or too old. */
bool tr__seqmap_in(const tr_seqmap *map, uint64_t out_index, uint32_t *source, uint64_t *in_index, uint32_t *ts_offset);

#endif
