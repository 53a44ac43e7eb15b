/* payload: the front of a media payload, so that a server reads it as VP8 (RFC 7741), H.264 (RFC 6184) or Opus
 * (RFC 7587): descriptors, frame headers, parameter sets. What follows is filler and stamp (stamp.h).
 * Pure. Engine thread. */
#ifndef TL_PAYLOAD_H
#define TL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "telerelay_load.h"

#define TL_PAYLOAD_MAX_HEAD 64 /* bytes; within TL_STAMP_HEAD */

typedef struct tl_payload_maker {
    tl_codec codec;
    uint16_t width, height;
    uint8_t parameter_sets[48]; /* H.264: a STAP-A of SPS, PPS and the begin of an SEI, its size still open */
    uint8_t parameter_sets_size;
} tl_payload_maker;

void tl__payload_init(tl_payload_maker *maker, tl_codec codec, uint16_t width, uint16_t height);

/* The head of part `part` of `parts` of a frame, for a payload of `size` bytes altogether; its size, at most
 * TL_PAYLOAD_MAX_HEAD. */
size_t tl__payload_head(const tl_payload_maker *maker, uint8_t *out, uint32_t frame, uint16_t part, uint16_t parts,
                        bool is_keyframe, size_t size);

#endif
