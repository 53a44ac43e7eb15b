/* descriptor: see descriptor.h. Touches only the bytes and the structure it is given. Worker thread. */
#include "descriptor.h"

#include <string.h>

#include "wire.h"

#define FLAGS_AT (8 * TR_DESCRIPTOR_MIN) /* the extended fields, in bits */
#define FLAGS 5

bool tr__descriptor_read(tr_descriptor *descriptor, const uint8_t *data, size_t size)
{
    if (size < TR_DESCRIPTOR_MIN) return false;
    *descriptor = (tr_descriptor){
        .is_frame_start = data[0] & 0x80,
        .is_frame_end = data[0] & 0x40,
        .frame = tr__load16(data + TR_DESCRIPTOR_FRAME_AT),
    };
    /* template_dependency_structure_present_flag: the first of the extended fields. Encoders write a structure where a
     * coded video sequence begins, and only there. */
    descriptor->is_keyframe = descriptor->is_frame_start && size > TR_DESCRIPTOR_MIN && (data[3] & 0x80);
    return true;
}

/* ------------------------------------------------------------------ bits */

typedef struct bits {
    const uint8_t *data;
    size_t at, end; /* in bits */
    bool failed;
} bits;

/* f(n), the first bit the most significant; 0 once it has failed. */
static uint32_t take(bits *b, unsigned n)
{
    uint32_t value = 0;
    if (b->failed || b->end - b->at < n) {
        b->failed = true;
        return 0;
    }
    for (; n > 0; n--, b->at++) value = value << 1 | (b->data[b->at >> 3] >> (7 - (b->at & 7)) & 1u);
    return value;
}

/* ns(n): one of n values, in as few bits as that takes (A.8.1). n of 1 at least. */
static uint32_t take_of(bits *b, uint32_t n)
{
    unsigned width = 0;
    for (uint32_t x = n; x; x >>= 1) width++;
    uint32_t short_ones = (1u << width) - n, value = take(b, width - 1);
    return value < short_ones ? value : (value << 1) - short_ones + take(b, 1);
}

/* ------------------------------------------------------------------ the structure */

static bool read_layers(tr_structure *s, bits *b)
{
    enum { SAME_LAYER, NEXT_TEMPORAL, NEXT_SPATIAL, NO_MORE };
    uint8_t spatial = 0, temporal = 0;
    uint32_t next = SAME_LAYER;
    while (next != NO_MORE) {
        if (s->template_count == TR_STRUCTURE_TEMPLATES) return false;
        s->spatial[s->template_count] = spatial;
        s->temporal[s->template_count++] = temporal;
        next = take(b, 2);
        if (next == NEXT_TEMPORAL && ++temporal == TR_STRUCTURE_TEMPORAL) return false;
        if (next == NEXT_SPATIAL) {
            temporal = 0;
            if (++spatial == TR_STRUCTURE_SPATIAL) return false;
        }
        if (b->failed) return false;
    }
    return true;
}

static uint64_t read_indications(bits *b, uint32_t targets)
{
    uint64_t indications = 0;
    for (uint32_t t = 0; t < targets; t++) indications |= (uint64_t)take(b, 2) << 2 * t;
    return indications;
}

static void skip_frame_differences(const tr_structure *s, bits *b)
{
    for (uint32_t i = 0; i < s->template_count; i++)
        while (take(b, 1)) take(b, 4); /* fails at the end, and is 0 then */
}

static void skip_chains(tr_structure *s, bits *b)
{
    s->chain_count = (uint8_t)take_of(b, s->target_count + 1u);
    if (!s->chain_count) return;
    for (uint32_t t = 0; t < s->target_count; t++) take_of(b, s->chain_count);
    for (uint32_t i = 0; i < (uint32_t)s->template_count * s->chain_count && !b->failed; i++) take(b, 4);
}

static void find_targets(tr_structure *s)
{
    for (int t = 0; t < s->target_count; t++)
        for (uint32_t i = 0; i < s->template_count; i++) {
            if (tr__indication(s->indications[i], t) == TR_TARGET_NOT_PRESENT) continue;
            if (s->spatial[i] > s->targets[t].spatial) s->targets[t].spatial = s->spatial[i];
            if (s->temporal[i] > s->targets[t].temporal) s->targets[t].temporal = s->temporal[i];
        }
}

static bool take_structure(tr_structure *s, bits *b)
{
    memset(s, 0, sizeof *s); /* padding too: structures are compared */
    s->id_offset = (uint8_t)take(b, 6);
    s->target_count = (uint8_t)(take(b, 5) + 1);
    if (!read_layers(s, b)) return false;
    for (uint32_t i = 0; i < s->template_count; i++) s->indications[i] = read_indications(b, s->target_count);
    skip_frame_differences(s, b);
    skip_chains(s, b);
    if (take(b, 1)) /* resolutions, of each spatial layer; the last template has the highest */
        for (uint32_t i = 0; i <= s->spatial[s->template_count - 1]; i++) take(b, 32);
    if (b->failed) return false;
    find_targets(s);
    return true;
}

static bits extended(const uint8_t *data, size_t size)
{
    return (bits){.data = data, .at = FLAGS_AT, .end = 8 * size, .failed = size <= TR_DESCRIPTOR_MIN};
}

bool tr__structure_read(tr_structure *structure, const uint8_t *data, size_t size)
{
    bits b = extended(data, size);
    if (!(take(&b, FLAGS) & 0x10)) return false;
    return take_structure(structure, &b);
}

/* ------------------------------------------------------------------ a frame */

bool tr__structure_look_up(const tr_structure *structure, const uint8_t *data, size_t size, tr_frame_layers *frame)
{
    if (size < TR_DESCRIPTOR_MIN) return false;
    uint8_t i = (uint8_t)((data[0] - structure->id_offset) & (TR_STRUCTURE_TEMPLATES - 1));
    if (i >= structure->template_count) return false;
    *frame = (tr_frame_layers){structure->spatial[i], structure->temporal[i], structure->indications[i]};
    if (size == TR_DESCRIPTOR_MIN) return true;
    bits b = extended(data, size);
    uint32_t flags = take(&b, FLAGS); /* structure, active targets; own indications, frame and chain differences */
    if (!(flags & 0x04)) return !b.failed;
    tr_structure own;
    if (flags & 0x10 && !take_structure(&own, &b)) return false;
    if (flags & 0x08) take(&b, structure->target_count);
    frame->indications = read_indications(&b, structure->target_count);
    return !b.failed;
}

int tr__structure_target(const tr_structure *structure, uint8_t spatial, uint8_t temporal)
{
    int best = -1;
    for (int t = 0; t < structure->target_count; t++) {
        uint8_t s = structure->targets[t].spatial, l = structure->targets[t].temporal;
        if (s > spatial || l > temporal) continue;
        if (best >= 0 && (s < structure->targets[best].spatial ||
                          (s == structure->targets[best].spatial && l <= structure->targets[best].temporal)))
            continue;
        best = t;
    }
    return best;
}
