/* picture: see picture.h. Touches only the picture and the bytes it is given; every walk has an end. Worker thread. */
#include "picture.h"

#include "descriptor.h"

_Static_assert(TR_MAX_SPATIAL == TR_STRUCTURE_SPATIAL, "one size for each layer of a structure");

static uint16_t shorter(uint64_t width, uint64_t height)
{
    uint64_t least = width < height ? width : height;
    return least <= UINT16_MAX ? (uint16_t)least : 0;
}

/* ------------------------------------------------------------------ VP8, VP9 */

static uint16_t take_le14(tr_cursor *c)
{
    uint8_t low = tr__take8(c);
    return (uint16_t)(low | (tr__take8(c) & 0x3f) << 8); /* the other two bits say how to scale what is shown */
}

static void read_vp8(tr_picture *picture, tr_cursor *c)
{
    uint16_t width = take_le14(c), height = take_le14(c);
    if (tr__cursor_ok(c)) picture->heights[0] = shorter(width, height);
}

/* color_config and frame_size (VP9 bitstream, 6.2.2 and 6.2.3). */
static uint16_t read_vp9_header(const tr_cursor *rest, uint8_t first)
{
    enum { RGB = 7 };
    tr_bits b = {.data = rest->at, .end = 8 * tr__cursor_left(rest)};
    bool is_odd = first & 0x20, is_deep = first & 0x10; /* profile_low_bit, profile_high_bit */
    if (is_deep) tr__take_bits(&b, 1);                  /* 10 or 12 bits */
    if (tr__take_bits(&b, 3) != RGB)
        tr__take_bits(&b, is_odd ? 4 : 1); /* range; how colours are sampled, reserved */
    else
        tr__take_bits(&b, is_odd ? 1 : 0);
    uint32_t width = tr__take_bits(&b, 16) + 1, height = tr__take_bits(&b, 16) + 1;
    return b.failed ? 0 : shorter(width, height);
}

/* The scalability structure has the sizes of all layers, where it has any. */
static void read_vp9(tr_picture *picture, tr_open *open)
{
    tr_cursor *c = &open->structure;
    uint8_t head = c->at ? tr__take8(c) : 0;
    if (!(head & 0x10)) { /* Y */
        picture->heights[0] = read_vp9_header(&open->rest, open->first);
        return;
    }
    for (uint32_t i = 0; i <= head >> 5; i++) {
        uint16_t width = tr__take16(c), height = tr__take16(c);
        if (i < TR_MAX_SPATIAL && tr__cursor_ok(c)) picture->heights[i] = shorter(width, height);
    }
}

/* ------------------------------------------------------------------ H.264 */

enum { SPS = 7, STAP_A = 24 };
/* Bytes of a parameter set that are read: with scaling lists it has some hundred; one that is longer has no size. */
#define MAX_SPS 256
/* A code of more zeros than this is above 2^16, which nothing here may be. */
#define MAX_ZEROS 16
/* Macroblocks on a side: 16,384 pixels, more than any level allows. */
#define MAX_BLOCKS 1024

/* ue(v) (H.264, 9.1). */
static uint32_t take_ue(tr_bits *b)
{
    unsigned zeros = 0;
    while (!tr__take_bits(b, 1)) {
        if (b->failed || ++zeros > MAX_ZEROS) {
            b->failed = true;
            return 0;
        }
    }
    return (1u << zeros) - 1 + tr__take_bits(b, zeros);
}

static int32_t take_se(tr_bits *b)
{
    uint32_t code = take_ue(b);
    return code & 1 ? (int32_t)(code / 2 + 1) : -(int32_t)(code / 2);
}

/* A value may take 32 bits here, and says nothing about the size. */
static void skip_long(tr_bits *b)
{
    unsigned zeros = 0;
    while (!tr__take_bits(b, 1) && !b->failed && zeros < 32) zeros++;
    tr__take_bits(b, zeros);
}

static void skip_scaling_list(tr_bits *b, int size)
{
    int32_t last = 8, next = 8;
    for (int i = 0; i < size && !b->failed; i++) {
        if (next) next = (last + take_se(b) + 256) & 0xff;
        if (next) last = next;
    }
}

/* What profiles above Main say of colours and scaling (7.3.2.1.1). Returns ChromaArrayType. */
static uint32_t take_high(tr_bits *b)
{
    uint32_t chroma = take_ue(b);
    bool is_apart = chroma == 3 && tr__take_bits(b, 1);
    take_ue(b); /* bits of luma and of chroma, transform bypass */
    take_ue(b);
    tr__take_bits(b, 1);
    if (tr__take_bits(b, 1))
        for (int i = 0; i < (chroma == 3 ? 12 : 8); i++)
            if (tr__take_bits(b, 1)) skip_scaling_list(b, i < 6 ? 16 : 64);
    return is_apart ? 0 : chroma;
}

static void skip_order_count(tr_bits *b)
{
    uint32_t type = take_ue(b);
    if (type == 0) take_ue(b);
    if (type != 1) return;
    tr__take_bits(b, 1);
    skip_long(b);
    skip_long(b);
    for (uint32_t n = take_ue(b); n > 0 && !b->failed; n--) skip_long(b);
}

static bool is_high(uint32_t profile)
{
    static const uint8_t profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    return memchr(profiles, (int)profile, sizeof profiles) != NULL;
}

/* Behind the NAL header, emulation prevention taken out. 0: it says what cannot be. */
static uint16_t read_sps(const uint8_t *data, size_t size)
{
    tr_bits b = {.data = data, .end = 8 * size};
    uint32_t profile = tr__take_bits(&b, 8), chroma = 1;
    tr__take_bits(&b, 16); /* constraints, level */
    take_ue(&b);
    if (is_high(profile)) chroma = take_high(&b);
    take_ue(&b); /* log2_max_frame_num */
    skip_order_count(&b);
    take_ue(&b); /* reference frames, gaps allowed */
    tr__take_bits(&b, 1);
    uint32_t across = take_ue(&b) + 1, down = take_ue(&b) + 1, frames_only = tr__take_bits(&b, 1);
    if (!frames_only) tr__take_bits(&b, 1);
    tr__take_bits(&b, 1);
    uint32_t cut_across = 0, cut_down = 0;
    if (tr__take_bits(&b, 1)) { /* cropping, in units of what a colour sample covers (7.4.2.1.1) */
        cut_across = take_ue(&b);
        cut_across += take_ue(&b);
        cut_down = take_ue(&b);
        cut_down += take_ue(&b);
        if (chroma == 1 || chroma == 2) cut_across *= 2;
        if (chroma == 1) cut_down *= 2;
        cut_down *= 2 - frames_only;
    }
    if (b.failed || across > MAX_BLOCKS || down > MAX_BLOCKS) return 0;
    uint32_t width = 16 * across, height = 16 * down * (2 - frames_only);
    return cut_across < width && cut_down < height ? shorter(width - cut_across, height - cut_down) : 0;
}

static void read_unit(tr_picture *picture, const uint8_t *unit, size_t size)
{
    if ((unit[0] & 0x1f) != SPS) return;
    uint8_t plain[MAX_SPS];
    size_t count = 0, zeros = 0;
    for (size_t i = 1; i < size && count < MAX_SPS; i++) {
        bool is_prevention = zeros >= 2 && unit[i] == 3; /* H.264, 7.4.1 */
        zeros = unit[i] ? 0 : zeros + 1;
        if (!is_prevention) plain[count++] = unit[i];
    }
    picture->heights[0] = read_sps(plain, count);
}

static void read_h264(tr_picture *picture, const uint8_t *payload, size_t size)
{
    tr_cursor c = tr__cursor(payload, size);
    if ((tr__take8(&c) & 0x1f) != STAP_A) {
        read_unit(picture, payload, size);
        return;
    }
    while (tr__cursor_left(&c)) {
        size_t unit_size = tr__take16(&c);
        const uint8_t *unit = tr__take(&c, unit_size);
        if (!unit || !unit_size) return;
        read_unit(picture, unit, unit_size);
    }
}

/* ------------------------------------------------------------------ any */

bool tr__picture_read(tr_picture *picture, tr_codec codec, const uint8_t *payload, size_t size,
                      const uint8_t *descriptor, size_t descriptor_size)
{
    tr_open open;
    bool lasts = codec == TR_CODEC_H264;
    bool is_open = (codec == TR_CODEC_VP8 || codec == TR_CODEC_VP9) && tr__codec_open(codec, payload, size, &open);
    if (!lasts) memset(picture->heights, 0, sizeof picture->heights);
    picture->told = TR_KEYFRAMES_UNTOLD;
    if (size == 0) return false;
    /* The publisher's word: its payload may be closed. */
    if (descriptor_size && tr__structure_sizes(picture->heights, descriptor, descriptor_size)) {
        picture->told = TR_KEYFRAMES_FOR_CERTAIN;
        if (picture->heights[0] || !is_open) return true;
    }
    switch (codec) {
    case TR_CODEC_VP8:
    case TR_CODEC_VP9:
        if (!is_open) return picture->told != TR_KEYFRAMES_UNTOLD;
        picture->told = TR_KEYFRAMES_FOR_CERTAIN;
        if (codec == TR_CODEC_VP8)
            read_vp8(picture, &open.rest);
        else
            read_vp9(picture, &open);
        return true;
    case TR_CODEC_H264:
        read_h264(picture, payload, size);
        picture->told = TR_KEYFRAMES_BY_LOOKS;
        return true;
    case TR_CODEC_H265:
    case TR_CODEC_AV1:
        picture->told = TR_KEYFRAMES_BY_LOOKS;
        return true;
    default:
        return false;
    }
}
