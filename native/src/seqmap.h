/* seqmap: what number a packet leaves with, and which packet a number was: across switches of source.
 * A sender's outgoing sequence is one unbroken line; each source it forwarded is a range of it with its own offset.
 * Gaps in a source stay gaps, so that the peer asks for what is missing; packets left out on purpose close up.
 * Pure. Worker thread. Indices are 64-bit: they never wrap. */
#ifndef TR_SEQMAP_H
#define TR_SEQMAP_H

#include <stdbool.h>
#include <stdint.h>

/* Switches and omissions remembered for resends: more than a second of either, also where of each frame that is kept
 * the next one is left out. */
#define TR_SEQMAP_RANGES 64

/* What is done to the packets of a range: one packet leaves under one number as the same bytes, however often, because
 * nothing else has a say in it. Opaque to the map. */
typedef struct tr_rewrite {
    uint32_t ts_offset;        /* out timestamp = in + this (mod 2^32) */
    uint16_t frame_offset;     /* the same of frame numbers in dependency descriptors (mod 2^16) */
    uint16_t picture_offset;   /* of picture ids (mod 2^15, or 2^7 where they have 7 bits) */
    uint8_t tl0_offset;        /* of TL0PICIDX (mod 2^8) */
    uint8_t encoding;          /* of the receiver, whose packets these are */
    uint8_t spatial, temporal; /* layers above these are left out; TR_LAYER_ANY: none is */
    uint8_t structure;         /* by which structure that is told, 0: nothing is left out, nor tied in descriptors */
    bool ties_layers;          /* VP9, AV1: a picture's spatial layers are said to need those below */
    uint8_t diff, diff_out;    /* VP9: a P_DIFF that names a picture left out, and what is written instead; 0: none */
} tr_rewrite;

typedef struct tr_seqmap_range {
    uint64_t in_first; /* source index from which this offset holds */
    uint64_t out_first;
    uint32_t source; /* which source: an epoch of the sender's, counted up at each switch */
    tr_rewrite rewrite;
} tr_seqmap_range;

typedef struct tr_seqmap {
    uint32_t count, oldest;
    uint64_t next_out; /* one past the highest number given out */
    tr_seqmap_range ranges[TR_SEQMAP_RANGES];
} tr_seqmap;

void tr__seqmap_init(tr_seqmap *map, uint64_t first_out);
/* From in_index on, source `source` continues the line at next_out. */
void tr__seqmap_switch(tr_seqmap *map, uint32_t source, uint64_t in_index, const tr_rewrite *rewrite);
/* From in_index on, which is newer than all that left, the current source goes on by another rewrite. */
void tr__seqmap_change(tr_seqmap *map, uint64_t in_index, const tr_rewrite *rewrite);
/* in_index of the current source is left out: what follows closes up, and is rewritten as `after` says (NULL: as
 * before). Only in order, only for the newest. */
void tr__seqmap_omit(tr_seqmap *map, uint64_t in_index, const tr_rewrite *after);
/* The number a packet of the current source leaves with, and how it is rewritten; false if it lies before the range
 * begins or was omitted. *rewrite is valid until the map changes. */
bool tr__seqmap_out(tr_seqmap *map, uint64_t in_index, uint64_t *out_index, const tr_rewrite **rewrite);
/* How the newest of the current source are rewritten; NULL: there is no source yet. */
const tr_rewrite *tr__seqmap_latest(const tr_seqmap *map);
/* Which packet a number was. False: never given out, or too old. */
bool tr__seqmap_in(const tr_seqmap *map, uint64_t out_index, uint32_t *source, uint64_t *in_index,
                   const tr_rewrite **rewrite);

#endif
