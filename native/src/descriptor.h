/* descriptor: dependency descriptors (AV1 RTP specification, A.8), the header extension that tells frames, keyframes
 * and layers apart where the payload is closed or does not say: the fixed part; the structure that comes with a
 * keyframe; what a structure says of a frame; and one that says of its frame that it needs the one before it, too. Of a
 * structure layers, decode targets and frame differences are kept. Chain differences are read past: they tell which
 * frames a loss takes with it, which is the receiver's to find out, who asks for a keyframe then.
 * Pure: every walk ends with the bytes it is given. Worker. */
#ifndef TR_DESCRIPTOR_H
#define TR_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TR_DESCRIPTOR_MIN 3      /* bytes of the mandatory fields */
#define TR_DESCRIPTOR_FRAME_AT 1 /* the frame number: 16 bits */

typedef struct tr_descriptor {
    bool is_frame_start, is_frame_end;
    bool is_keyframe; /* the first packet of a frame that brings a structure: a decoder may begin here */
    uint16_t frame;   /* counts up by one a frame, over all layers */
} tr_descriptor;

/* False: too short to be one. */
bool tr__descriptor_read(tr_descriptor *descriptor, const uint8_t *data, size_t size);

/* As many as the fields can say. */
#define TR_STRUCTURE_TEMPLATES 64
#define TR_STRUCTURE_TARGETS 32
#define TR_STRUCTURE_SPATIAL 4
#define TR_STRUCTURE_TEMPORAL 8

/* Decode target indications, two bits each. */
typedef enum tr_indication {
    TR_TARGET_NOT_PRESENT = 0,
    TR_TARGET_DISCARDABLE = 1,
    TR_TARGET_SWITCH = 2, /* who decodes this frame can decode all that follows of the target */
    TR_TARGET_REQUIRED = 3
} tr_indication;

typedef struct tr_structure {
    uint8_t id_offset, template_count, target_count, chain_count;
    struct {
        uint8_t spatial, temporal;
    } targets[TR_STRUCTURE_TARGETS]; /* the highest layers of each */
    uint8_t spatial[TR_STRUCTURE_TEMPLATES], temporal[TR_STRUCTURE_TEMPLATES];
    uint64_t indications[TR_STRUCTURE_TEMPLATES]; /* of target t: bits 2t and 2t + 1 */
    uint16_t needs[TR_STRUCTURE_TEMPLATES];       /* frame differences: bit n, the frame n + 1 before it */
} tr_structure;

/* The structure of a descriptor that brings one. False: it brings none, or it is cut short or says what cannot be. */
bool tr__structure_read(tr_structure *structure, const uint8_t *data, size_t size);

/* How large pictures are, by spatial layer: pixels on the shorter side, 0 where it does not say. False: the descriptor
 * brings no structure. */
bool tr__structure_sizes(uint16_t sizes[TR_STRUCTURE_SPATIAL], const uint8_t *data, size_t size);

/* Has it more than one? Templates are in the order of their spatial layers (A.8.3.4). */
static inline bool tr__structure_is_spatial(const tr_structure *structure)
{
    return structure->template_count && structure->spatial[structure->template_count - 1];
}

/* What a frame is, by its descriptor and the structure in force. */
typedef struct tr_frame_layers {
    uint8_t spatial, temporal;
    bool needs_before; /* the frame just before it is among those it needs; told of upper spatial layers alone */
    uint64_t indications;
} tr_frame_layers;

/* False: of another structure, or cut short. */
bool tr__structure_look_up(const tr_structure *structure, const uint8_t *data, size_t size, tr_frame_layers *frame);

/* What a descriptor that is made longer may come to: more fits no header extension of one byte. */
#define TR_DESCRIPTOR_TIED 16
/* The same descriptor, which also says that its frame needs the frame just before it. Its size; 0: it says so, or that
 * cannot be said: it brings a structure, or libwebrtc would not have so many differences. */
size_t tr__descriptor_tie(const tr_structure *structure, uint8_t out[TR_DESCRIPTOR_TIED], const uint8_t *data,
                          size_t size);
/* The best target within these layers: first by spatial, then by temporal ones; -1: none. */
int tr__structure_target(const tr_structure *structure, uint8_t spatial, uint8_t temporal);

static inline tr_indication tr__indication(uint64_t indications, int target)
{
    return (tr_indication)(indications >> 2 * target & 3);
}

#endif
