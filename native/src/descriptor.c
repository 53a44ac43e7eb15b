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

/* ns(n): one of n values, in as few bits as that takes (A.8.1). n of 1 at least. */
static uint32_t take_of(tr_bits *b, uint32_t n)
{
    unsigned width = 0;
    for (uint32_t x = n; x; x >>= 1) width++;
    uint32_t short_ones = (1u << width) - n, value = tr__take_bits(b, width - 1);
    return value < short_ones ? value : (value << 1) - short_ones + tr__take_bits(b, 1);
}

/* ------------------------------------------------------------------ the structure */

static bool read_layers(tr_structure *s, tr_bits *b)
{
    enum { SAME_LAYER, NEXT_TEMPORAL, NEXT_SPATIAL, NO_MORE };
    uint8_t spatial = 0, temporal = 0;
    uint32_t next = SAME_LAYER;
    while (next != NO_MORE) {
        if (s->template_count == TR_STRUCTURE_TEMPLATES) return false;
        s->spatial[s->template_count] = spatial;
        s->temporal[s->template_count++] = temporal;
        next = tr__take_bits(b, 2);
        if (next == NEXT_TEMPORAL && ++temporal == TR_STRUCTURE_TEMPORAL) return false;
        if (next == NEXT_SPATIAL) {
            temporal = 0;
            if (++spatial == TR_STRUCTURE_SPATIAL) return false;
        }
        if (b->failed) return false;
    }
    return true;
}

static uint64_t read_indications(tr_bits *b, uint32_t targets)
{
    uint64_t indications = 0;
    for (uint32_t t = 0; t < targets; t++) indications |= (uint64_t)tr__take_bits(b, 2) << 2 * t;
    return indications;
}

static void read_frame_differences(tr_structure *s, tr_bits *b)
{
    for (uint32_t i = 0; i < s->template_count; i++)
        while (tr__take_bits(b, 1)) /* fails at the end, and is 0 then */
            s->needs[i] = (uint16_t)(s->needs[i] | 1u << tr__take_bits(b, 4));
}

static void skip_chains(tr_structure *s, tr_bits *b)
{
    s->chain_count = (uint8_t)take_of(b, s->target_count + 1u);
    if (!s->chain_count) return;
    for (uint32_t t = 0; t < s->target_count; t++) take_of(b, s->chain_count);
    for (uint32_t i = 0; i < (uint32_t)s->template_count * s->chain_count && !b->failed; i++) tr__take_bits(b, 4);
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

/* Resolutions of each spatial layer; the last template has the highest. sizes: NULL, or where their shorter sides go.
 */
static void take_resolutions(const tr_structure *s, tr_bits *b, uint16_t sizes[TR_STRUCTURE_SPATIAL])
{
    for (uint32_t i = 0; i <= s->spatial[s->template_count - 1]; i++) {
        uint32_t width = tr__take_bits(b, 16) + 1, height = tr__take_bits(b, 16) + 1;
        uint32_t shorter = width < height ? width : height;
        if (sizes) sizes[i] = shorter <= UINT16_MAX ? (uint16_t)shorter : 0;
    }
}

static bool take_structure(tr_structure *s, tr_bits *b, uint16_t sizes[TR_STRUCTURE_SPATIAL])
{
    memset(s, 0, sizeof *s); /* padding too: structures are compared */
    s->id_offset = (uint8_t)tr__take_bits(b, 6);
    s->target_count = (uint8_t)(tr__take_bits(b, 5) + 1);
    if (!read_layers(s, b)) return false;
    for (uint32_t i = 0; i < s->template_count; i++) s->indications[i] = read_indications(b, s->target_count);
    read_frame_differences(s, b);
    skip_chains(s, b);
    if (tr__take_bits(b, 1)) take_resolutions(s, b, sizes);
    if (b->failed) return false;
    find_targets(s);
    return true;
}

static tr_bits extended(const uint8_t *data, size_t size)
{
    return (tr_bits){.data = data, .at = FLAGS_AT, .end = 8 * size, .failed = size <= TR_DESCRIPTOR_MIN};
}

bool tr__structure_read(tr_structure *structure, const uint8_t *data, size_t size)
{
    tr_bits b = extended(data, size);
    if (!(tr__take_bits(&b, FLAGS) & 0x10)) return false;
    return take_structure(structure, &b, NULL);
}

bool tr__structure_sizes(uint16_t sizes[TR_STRUCTURE_SPATIAL], const uint8_t *data, size_t size)
{
    tr_structure structure;
    tr_bits b = extended(data, size);
    memset(sizes, 0, TR_STRUCTURE_SPATIAL * sizeof *sizes);
    if (!(tr__take_bits(&b, FLAGS) & 0x10)) return false;
    if (take_structure(&structure, &b, sizes)) return true;
    memset(sizes, 0, TR_STRUCTURE_SPATIAL * sizeof *sizes);
    return true;
}

/* ------------------------------------------------------------------ a frame */

/* The extended fields, by flags in this order (A.8.3.3). */
#define HAS_STRUCTURE 0x10u
#define HAS_ACTIVE 0x08u
#define HAS_INDICATIONS 0x04u
#define HAS_DIFFERENCES 0x02u
#define HAS_CHAINS 0x01u

/* One frame difference of its own, less one; false: there is none left. */
static bool take_difference(tr_bits *b, uint32_t *before)
{
    uint32_t size = tr__take_bits(b, 2);
    if (size) *before = tr__take_bits(b, 4 * size);
    return size && !b->failed;
}

static bool has_before(tr_bits *b)
{
    bool has = false;
    for (uint32_t before; take_difference(b, &before);) has |= before == 0;
    return has;
}

static uint8_t template_of(const tr_structure *structure, const uint8_t *data)
{
    return (uint8_t)((data[0] - structure->id_offset) & (TR_STRUCTURE_TEMPLATES - 1));
}

bool tr__structure_look_up(const tr_structure *structure, const uint8_t *data, size_t size, tr_frame_layers *frame)
{
    if (size < TR_DESCRIPTOR_MIN) return false;
    uint8_t i = template_of(structure, data);
    if (i >= structure->template_count) return false;
    *frame = (tr_frame_layers){.spatial = structure->spatial[i],
                               .temporal = structure->temporal[i],
                               .needs_before = structure->spatial[i] && structure->needs[i] & 1,
                               .indications = structure->indications[i]};
    if (size == TR_DESCRIPTOR_MIN) return true;
    tr_bits b = extended(data, size);
    uint32_t flags = tr__take_bits(&b, FLAGS);
    bool has_own = flags & HAS_DIFFERENCES && frame->spatial;
    if (!(flags & HAS_INDICATIONS) && !has_own) return !b.failed;
    tr_structure own;
    if (flags & HAS_STRUCTURE && !take_structure(&own, &b, NULL)) return false;
    if (flags & HAS_ACTIVE) tr__take_bits(&b, structure->target_count);
    if (flags & HAS_INDICATIONS) frame->indications = read_indications(&b, structure->target_count);
    if (has_own) frame->needs_before = has_before(&b);
    return !b.failed;
}

/* ------------------------------------------------------------------ a frame that needs the one before it */

/* libwebrtc drops a frame that needs more than these (EncodedFrame::kMaxFrameReferences). */
#define MOST_DIFFERENCES 5

typedef struct bit_pen {
    uint8_t *data; /* zeroed behind `at` */
    size_t at, end;
    bool failed;
} bit_pen;

static void put_bits(bit_pen *pen, uint32_t value, unsigned n)
{
    pen->failed |= pen->end - pen->at < n;
    if (pen->failed) return;
    while (n > 0) {
        unsigned room = 8 - (unsigned)(pen->at & 7), count = n < room ? n : room;
        uint32_t part = value >> (n - count) & ((1u << count) - 1);
        pen->data[pen->at >> 3] = (uint8_t)(pen->data[pen->at >> 3] | part << (room - count));
        pen->at += count;
        n -= count;
    }
}

static void copy_bits(bit_pen *pen, tr_bits *b, uint32_t n)
{
    for (; n > 0; n--) put_bits(pen, tr__take_bits(b, 1), 1);
}

static void put_difference(bit_pen *pen, uint32_t before)
{
    unsigned size = before < 1u << 4 ? 1 : before < 1u << 8 ? 2 : 3;
    put_bits(pen, size, 2);
    put_bits(pen, before, 4 * size);
}

size_t tr__descriptor_tie(const tr_structure *structure, uint8_t out[TR_DESCRIPTOR_TIED], const uint8_t *data,
                          size_t size)
{
    if (size < TR_DESCRIPTOR_MIN || template_of(structure, data) >= structure->template_count) return 0;
    uint32_t needs = structure->needs[template_of(structure, data)], flags = 0, count = 1;
    tr_bits b = {0};
    if (size > TR_DESCRIPTOR_MIN) {
        b = extended(data, size);
        flags = tr__take_bits(&b, FLAGS);
    }
    if (flags & HAS_STRUCTURE) return 0;
    memset(out, 0, TR_DESCRIPTOR_TIED);
    memcpy(out, data, TR_DESCRIPTOR_MIN);
    bit_pen pen = {.data = out, .at = FLAGS_AT, .end = 8 * TR_DESCRIPTOR_TIED};
    put_bits(&pen, flags | HAS_DIFFERENCES, FLAGS);
    if (flags & HAS_ACTIVE) copy_bits(&pen, &b, structure->target_count);
    if (flags & HAS_INDICATIONS) copy_bits(&pen, &b, 2u * structure->target_count);
    put_difference(&pen, 0);
    if (flags & HAS_DIFFERENCES) {
        for (uint32_t before; take_difference(&b, &before); count++) {
            put_difference(&pen, before);
            pen.failed |= before == 0; /* it says so, and nothing is to be said twice */
        }
    } else {
        pen.failed |= needs & 1;
        for (; needs; needs &= needs - 1, count++) put_difference(&pen, (uint32_t)__builtin_ctz(needs));
    }
    put_bits(&pen, 0, 2);
    if (flags & HAS_CHAINS) copy_bits(&pen, &b, 8u * structure->chain_count);
    if (pen.failed || b.failed || count > MOST_DIFFERENCES) return 0;
    return (pen.at + 7) / 8;
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
