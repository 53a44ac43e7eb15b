/* codec: what a codec's clear header says of a packet, and nothing more: keyframes, frame starts, layers.
 * VP8 RFC 7741, VP9 RFC 9628, H.264 RFC 6184, AV1 by its aggregation header, H.265 RFC 7798.
 * Pure: total, bounded, no state. A payload that cannot be read is opaque, never an error. Worker thread. */
#ifndef TR_CODEC_H
#define TR_CODEC_H

#include "telerelay.h"
#include "wire.h"

/* References of a frame of VP9 at the most (RFC 9628, 4.2). */
#define TR_VP9_DIFFS 3

typedef struct tr_codec_info {
    bool is_readable; /* false: opaque (encrypted, unknown codec, cut short) */
    bool is_keyframe; /* this packet begins, or belongs to the start of, a keyframe */
    bool is_frame_start;
    /* H.264, H.265: a keyframe's, and none of its parameter sets (of H.265: no VPS) is in front of it in this packet:
     * they may have come before it, on their own */
    bool begins_before;
    uint8_t temporal_layer, spatial_layer;
    bool has_layers;
    bool is_sync; /* VP8, Y: of the layers below its own the frame needs the lowest alone. VP9, U: what comes behind
                   * it of higher temporal layers needs nothing of those from before it */
    bool is_frame_end; /* VP9, E; AV1, VP8 by descriptor: the last packet of its (layer) frame */
    /* AV1, VP8: its layers, and indications for decode targets, are by the structure of this number; 0: by none. VP9:
     * its dependency descriptor is */
    uint8_t structure;
    bool is_spatial; /* AV1: that structure has several spatial layers */
    uint64_t indications;
    /* What of a payload descriptor is counted up, and has to go on where frames are left out or another encoding begins
     * (VP8, VP9). Places count from the payload's start; 0: it is not there. */
    uint8_t picture_at, tl0_at;
    uint8_t layers_at; /* VP9: the layer indices, the last bit of which is D */
    /* VP9, D; AV1, the frame just before it: the frame is predicted from that of the same picture one spatial layer
     * below */
    bool needs_layer_below;
    /* VP9, flexible mode, P_DIFF: the frame is predicted from pictures so far back */
    uint8_t diffs_at, diff_count;
    uint8_t diffs[TR_VP9_DIFFS];
    uint8_t picture_bits; /* 7 or 15 */
    uint8_t tl0;          /* TL0PICIDX */
    uint16_t picture;     /* PictureID */
} tr_codec_info;

tr_codec_info tr__codec_inspect(tr_codec codec, const uint8_t *payload, size_t size);
/* Is this, the first packet of a keyframe, in the clear for certain? What a cipher wrote may look like a descriptor; it
 * does not look like the start code behind one. */
bool tr__codec_is_open(tr_codec codec, const uint8_t *payload, size_t size);

/* The same, and what follows that start code. */
typedef struct tr_open {
    tr_cursor rest;      /* behind the start code */
    uint8_t first;       /* VP9: the first byte of the frame */
    tr_cursor structure; /* VP9: a scalability structure and what follows it; nothing where there is none */
} tr_open;

bool tr__codec_open(tr_codec codec, const uint8_t *payload, size_t size, tr_open *open);

#endif
