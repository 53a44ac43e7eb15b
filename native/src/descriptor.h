/* descriptor: the fixed part of a dependency descriptor (AV1 RTP specification, A.8.2), the header extension that tells
 * frames and keyframes apart where the payload is closed or does not say.
 * Pure: no state. Templates and structures are not read, so that no state of one packet bears on another. Worker. */
#ifndef TR_DESCRIPTOR_H
#define TR_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TR_DESCRIPTOR_MIN 3      /* bytes of the mandatory fields */
#define TR_DESCRIPTOR_FRAME_AT 1 /* the frame number: 16 bits */

typedef struct tr_descriptor {
    bool is_frame_start;
    bool is_keyframe; /* the first packet of a frame that brings a structure: a decoder may begin here */
    uint16_t frame;   /* counts up by one a frame, over all layers */
} tr_descriptor;

/* False: too short to be one. */
bool tr__descriptor_read(tr_descriptor *descriptor, const uint8_t *data, size_t size);

#endif
