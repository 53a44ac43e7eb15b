/* codec: what a codec's clear header says of a packet, and nothing more: keyframes, frame starts, layers.
 * VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, AV1 by its aggregation header, H.265 RFC 7798.
 * Pure: total, bounded, no state. A payload that cannot be read is opaque, never an error. Worker thread. */
#ifndef TR_CODEC_H
#define TR_CODEC_H

#include "telerelay.h"
#include "wire.h"

typedef struct tr_codec_info {
    bool is_readable; /* false: opaque (encrypted, unknown codec, cut short) */
    bool is_keyframe; /* this packet begins, or belongs to the start of, a keyframe */
    bool is_frame_start;
    uint8_t temporal_layer, spatial_layer;
    bool has_layers;
} tr_codec_info;

tr_codec_info tr__codec_inspect(tr_codec codec, const uint8_t *payload, size_t size);

#endif
