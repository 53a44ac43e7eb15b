/* picture: how large the pictures are that begin with a keyframe, and whether it is one for certain, by what its first
 * packet says in the clear: the start code and header of VP8 (RFC 6386, 9.1) and VP9 (bitstream, 6.2; RFC 9628, 4.2.1),
 * the sequence parameter set of H.264 (7.3.2.1.1), and any codec's dependency descriptor.
 * Sizes are those of the shorter side, which is what "720p" names however a phone is held.
 * Pure: total, bounded, believes nothing. Read at keyframes alone. Worker thread. */
#ifndef TR_PICTURE_H
#define TR_PICTURE_H

#include "codec.h"

typedef struct tr_picture {
    uint16_t heights[TR_MAX_SPATIAL]; /* by spatial layer, pixels; 0: not known */
    uint8_t told;                     /* tr_keyframes */
} tr_picture;

/* A packet that seems to belong to a keyframe. Of H.264 the size lasts until another parameter set comes, as these do;
 * of others it is this keyframe's. descriptor_size 0: there is no dependency descriptor. False: it is none that one
 * could rely on; nothing is known of it then. */
bool tr__picture_read(tr_picture *picture, tr_codec codec, const uint8_t *payload, size_t size,
                      const uint8_t *descriptor, size_t descriptor_size);

#endif
