/* codec: reads the clear descriptor or NAL header at the front of a payload: keyframes, frame starts, layers.
 * Touches only the payload it is given; every walk has an end. Worker thread.
 *
 * A frame start is where a packet may begin a (layer) frame; a keyframe is where a decoder that knows nothing may
 * begin. Nothing behind the headers named here is looked at, so that media encrypted end to end passes as well. */
#include "codec.h"

/* Units read from one aggregate: an access unit of a call has a handful, more is an attack. */
#define MAX_UNITS 64

static const tr_codec_info OPAQUE = {0};

/* ------------------------------------------------------------------ VP8, VP9 */

static uint8_t place(const tr_cursor *c, const uint8_t *payload) { return (uint8_t)(c->at - payload); }

/* PictureID of 7 or 15 bits (RFC 7741, 4.2; RFC 9628, 4.2). */
static inline void take_picture_id(tr_codec_info *info, tr_cursor *c, const uint8_t *payload)
{
    info->picture_at = place(c, payload);
    uint8_t high = tr__take8(c);
    info->picture_bits = high & 0x80 ? 15 : 7;
    info->picture = high;
    if (high & 0x80) info->picture = (uint16_t)((high & 0x7fu) << 8 | tr__take8(c));
}

/* RFC 7741, 4.2 and 4.3. The cursor is left behind the first byte of the frame. False: cut short. */
static inline bool read_vp8(tr_codec_info *info, tr_cursor *c, const uint8_t *payload)
{
    uint8_t required = tr__take8(c);
    uint8_t optional = required & 0x80 ? tr__take8(c) : 0;
    if (optional & 0x80) take_picture_id(info, c, payload);
    if (optional & 0x40) {
        info->tl0_at = place(c, payload);
        info->tl0 = tr__take8(c);
    }
    if (optional & 0x30) {
        uint8_t layer = tr__take8(c);
        info->has_layers = optional & 0x20;
        if (info->has_layers) info->temporal_layer = layer >> 6;
        info->is_sync = info->has_layers && layer & 0x20;
    }
    uint8_t frame = tr__take8(c);
    if (!tr__cursor_ok(c)) return false;
    info->is_readable = true;
    info->is_frame_start = (required & 0x10) && (required & 0x07) == 0; /* S, partition 0 */
    info->is_keyframe = info->is_frame_start && !(frame & 0x01);        /* P: inverse key frame flag */
    return true;
}

static tr_codec_info inspect_vp8(const uint8_t *payload, size_t size)
{
    tr_codec_info info = {0};
    tr_cursor c = tr__cursor(payload, size);
    return read_vp8(&info, &c, payload) ? info : OPAQUE;
}

/* P_DIFF and N, three at the most. */
static inline void take_diffs(tr_codec_info *info, tr_cursor *c, const uint8_t *payload)
{
    info->diffs_at = place(c, payload);
    for (bool is_more = true; is_more && info->diff_count < TR_VP9_DIFFS;) {
        uint8_t diff = tr__take8(c);
        info->diffs[info->diff_count++] = diff >> 1;
        is_more = diff & 1;
    }
}

/* RFC 9628, 4.2. The scalability structure behind the references is of no use for forwarding. The cursor is left before
 * it. False: cut short. */
static inline bool read_vp9(tr_codec_info *info, tr_cursor *c, const uint8_t *payload)
{
    uint8_t flags = tr__take8(c);
    if (flags & 0x80) take_picture_id(info, c, payload);
    info->has_layers = flags & 0x20;
    if (info->has_layers) {
        info->layers_at = place(c, payload);
        uint8_t layers = tr__take8(c);
        info->temporal_layer = layers >> 5;
        info->spatial_layer = layers >> 1 & 7;
        info->is_sync = layers & 0x10;
        info->needs_layer_below = layers & 0x01;
        if (!(flags & 0x10)) { /* non-flexible mode */
            info->tl0_at = place(c, payload);
            info->tl0 = tr__take8(c);
        }
    }
    if ((flags & 0x50) == 0x50) take_diffs(info, c, payload); /* P and F */
    if (!tr__cursor_ok(c) || !tr__cursor_left(c)) return false;
    info->is_readable = true;
    info->is_frame_start = flags & 0x08;                                                     /* B */
    info->is_frame_end = flags & 0x04;                                                       /* E */
    info->is_keyframe = info->is_frame_start && !(flags & 0x40) && info->spatial_layer == 0; /* P: predicted */
    return true;
}

static tr_codec_info inspect_vp9(const uint8_t *payload, size_t size)
{
    tr_codec_info info = {0};
    tr_cursor c = tr__cursor(payload, size);
    return read_vp9(&info, &c, payload) ? info : OPAQUE;
}

/* The rest of the descriptor: the scalability structure. */
static void skip_vp9(tr_cursor *c, uint8_t flags)
{
    if (!(flags & 0x02)) return; /* V */
    uint8_t structure = tr__take8(c);
    if (structure & 0x10) tr__take(c, 4u * (1u + (structure >> 5))); /* Y: width and height of N_S + 1 layers */
    for (int n = structure & 0x08 ? tr__take8(c) : 0; n > 0; n--)    /* G: N_G pictures */
        tr__take(c, tr__take8(c) >> 2 & 3);                          /* R references each */
}

/* ------------------------------------------------------------------ H.264, H.265 */

enum {
    H264_SLICE = 1,
    H264_IDR = 5,
    H264_SEI = 6,
    H264_SPS = 7,
    H264_PPS = 8,
    H264_AUD = 9,
    H264_STAP_A = 24,
    H264_FU_A = 28
};

/* What one NAL unit (or the first fragment of one) says. `second` is the byte behind its header, -1: none. */
static void note_h264(tr_codec_info *info, unsigned type, int second, bool is_first)
{
    if (type == H264_IDR && !info->is_keyframe) info->begins_before = true;
    if (type == H264_IDR || type == H264_SPS) info->is_keyframe = true;
    if (!is_first) return;
    /* first_mb_in_slice is zero: the Exp-Golomb code is a single 1 bit (H.264, 7.3.3). */
    bool begins_picture = (type == H264_SLICE || type == H264_IDR) && second >= 0 && (second & 0x80);
    info->is_frame_start = begins_picture || (type >= H264_SEI && type <= H264_AUD);
}

/* RFC 6184, 5.3 to 5.8; packetization modes 0 and 1, which is all that browsers negotiate. */
static tr_codec_info inspect_h264(const uint8_t *payload, size_t size)
{
    tr_codec_info info = {.is_readable = true};
    tr_cursor c = tr__cursor(payload, size);
    uint8_t head = tr__take8(&c);
    unsigned type = head & 0x1f;
    if (!tr__cursor_ok(&c) || head & 0x80) return OPAQUE;
    if (type >= 1 && type <= 23) {
        note_h264(&info, type, size > 1 ? payload[1] : -1, true);
    } else if (type == H264_STAP_A) {
        unsigned units = 0;
        for (; tr__cursor_left(&c); units++) {
            uint16_t unit_size = tr__take16(&c);
            const uint8_t *unit = tr__take(&c, unit_size);
            if (units == MAX_UNITS || !unit || unit_size == 0) return OPAQUE;
            unsigned inner = unit[0] & 0x1f;
            if (inner == 0 || inner > 23) return OPAQUE; /* aggregates do not nest */
            note_h264(&info, inner, unit_size > 1 ? unit[1] : -1, units == 0);
        }
        if (units == 0) return OPAQUE;
    } else if (type == H264_FU_A) {
        uint8_t fragment = tr__take8(&c), second = tr__take8(&c);
        if (!tr__cursor_ok(&c)) return OPAQUE;
        if (fragment & 0x80) note_h264(&info, fragment & 0x1f, second, true); /* S */
    } else {
        return OPAQUE;
    }
    return info;
}

enum { H265_VPS = 32, H265_SPS = 33, H265_AUD = 35, H265_PREFIX_SEI = 39, H265_AP = 48, H265_FU = 49 };

static void note_h265(tr_codec_info *info, unsigned type, int third, bool is_first)
{
    bool is_irap = type >= 16 && type <= 23; /* H.265, 7.4.2.2 */
    bool is_key = is_irap || type == H265_VPS || type == H265_SPS;
    if (is_key && type != H265_VPS && !info->is_keyframe) info->begins_before = true;
    if (is_key) info->is_keyframe = true;
    if (!is_first) return;
    /* first_slice_segment_in_pic_flag is the first bit of a slice (H.265, 7.3.6.1). */
    bool begins_picture = type < 32 && third >= 0 && (third & 0x80);
    info->is_frame_start = begins_picture || (type >= H265_VPS && type <= H265_AUD) || type == H265_PREFIX_SEI;
}

/* RFC 7798, 4.4, without decoding-order numbers: sprop-max-don-diff is 0 in calls. */
static tr_codec_info inspect_h265(const uint8_t *payload, size_t size)
{
    tr_codec_info info = {.is_readable = true, .has_layers = true};
    tr_cursor c = tr__cursor(payload, size);
    uint16_t head = tr__take16(&c);
    unsigned type = head >> 9 & 0x3f, tid_plus1 = head & 7;
    if (!tr__cursor_ok(&c) || head & 0x8000 || tid_plus1 == 0) return OPAQUE;
    info.temporal_layer = (uint8_t)(tid_plus1 - 1);
    info.spatial_layer = (uint8_t)(head >> 3 & 0x3f);
    if (type < H265_AP) {
        note_h265(&info, type, size > 2 ? payload[2] : -1, true);
    } else if (type == H265_AP) {
        unsigned units = 0;
        for (; tr__cursor_left(&c); units++) {
            uint16_t unit_size = tr__take16(&c);
            const uint8_t *unit = tr__take(&c, unit_size);
            if (units == MAX_UNITS || !unit || unit_size < 2) return OPAQUE;
            unsigned inner = unit[0] >> 1 & 0x3f;
            if (inner >= H265_AP) return OPAQUE;
            note_h265(&info, inner, unit_size > 2 ? unit[2] : -1, units == 0);
        }
        if (units == 0) return OPAQUE;
    } else if (type == H265_FU) {
        uint8_t fragment = tr__take8(&c), third = tr__take8(&c);
        if (!tr__cursor_ok(&c)) return OPAQUE;
        if (fragment & 0x80) note_h265(&info, fragment & 0x3f, third, true);
    } else {
        return OPAQUE;
    }
    return info;
}

/* ------------------------------------------------------------------ AV1 */

/* A leb128 number of at most 4 bytes: no OBU element of a datagram needs more. */
static uint32_t take_leb128(tr_cursor *c)
{
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = tr__take8(c);
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
    c->failed = true;
    return 0;
}

/* The aggregation header and the header of the first OBU (AV1 RTP specification, 4.4; AV1, 5.3). */
static tr_codec_info inspect_av1(const uint8_t *payload, size_t size)
{
    enum { SEQUENCE_HEADER = 1, TEMPORAL_DELIMITER = 2, FRAME_HEADER = 3, METADATA = 5, FRAME = 6 };
    tr_codec_info info = {.is_readable = true};
    tr_cursor c = tr__cursor(payload, size);
    uint8_t aggregation = tr__take8(&c);
    bool is_continued = aggregation & 0x80, begins_sequence = aggregation & 0x08; /* Z, N */
    unsigned elements = aggregation >> 4 & 3;                                     /* W */
    if (!tr__cursor_left(&c) || (is_continued && begins_sequence)) return OPAQUE;
    info.is_keyframe = begins_sequence;
    if (is_continued) return info; /* what follows is the middle of an OBU */

    /* With W of 1 the only element has no length before it. */
    uint32_t element_size = elements == 1 ? (uint32_t)tr__cursor_left(&c) : take_leb128(&c);
    const uint8_t *obu = tr__take(&c, element_size);
    if (!obu || element_size == 0 || obu[0] & 0x80) return OPAQUE; /* forbidden bit */
    unsigned type = obu[0] >> 3 & 0x0f;
    info.is_frame_start = type == SEQUENCE_HEADER || type == TEMPORAL_DELIMITER || type == FRAME_HEADER ||
                          type == METADATA || type == FRAME;
    info.has_layers = obu[0] & 0x04;
    if (info.has_layers) {
        if (element_size < 2) return OPAQUE;
        info.temporal_layer = obu[1] >> 5;
        info.spatial_layer = obu[1] >> 3 & 3;
    }
    return info;
}

tr_codec_info tr__codec_inspect(tr_codec codec, const uint8_t *payload, size_t size)
{
    if (size == 0) return OPAQUE;
    switch (codec) {
    case TR_CODEC_VP8:
        return inspect_vp8(payload, size);
    case TR_CODEC_VP9:
        return inspect_vp9(payload, size);
    case TR_CODEC_H264:
        return inspect_h264(payload, size);
    case TR_CODEC_H265:
        return inspect_h265(payload, size);
    case TR_CODEC_AV1:
        return inspect_av1(payload, size);
    /* Every packet of sound can be decoded on its own; RED (RFC 2198) carries sound here, and stays closed. */
    case TR_CODEC_OPUS:
    case TR_CODEC_RED:
        return (tr_codec_info){.is_readable = true, .is_keyframe = true, .is_frame_start = true};
    default:
        return OPAQUE;
    }
}

/* RFC 6386, 9.1: the rest of the frame tag, then the start code. */
static bool open_vp8(tr_open *open, const uint8_t *payload)
{
    tr_codec_info info = {0};
    tr_cursor *c = &open->rest;
    if (!read_vp8(&info, c, payload) || !info.is_keyframe) return false;
    tr__take(c, 2);
    return tr__take24(c) == 0x9d012a && tr__cursor_ok(c);
}

/* VP9 bitstream, 6.2: frame_marker, profile, show_existing_frame and frame_type of 0, then frame_sync_code; of profile
 * 3, which no browser negotiates, it is a bit further on. */
static bool open_vp9(tr_open *open, const uint8_t *payload, size_t size)
{
    tr_codec_info info = {0};
    tr_cursor *c = &open->rest;
    if (!read_vp9(&info, c, payload) || !info.is_keyframe) return false;
    if (payload[0] & 0x02) open->structure = tr__cursor(c->at, (size_t)(payload + size - c->at));
    skip_vp9(c, payload[0]);
    open->first = tr__take8(c);
    return (open->first & 0xcc) == 0x80 && tr__take24(c) == 0x498342 && tr__cursor_ok(c);
}

bool tr__codec_open(tr_codec codec, const uint8_t *payload, size_t size, tr_open *open)
{
    if (size == 0) return false;
    *open = (tr_open){.rest = tr__cursor(payload, size)};
    return codec == TR_CODEC_VP8 ? open_vp8(open, payload) : codec == TR_CODEC_VP9 && open_vp9(open, payload, size);
}

bool tr__codec_is_open(tr_codec codec, const uint8_t *payload, size_t size)
{
    tr_open open;
    return tr__codec_open(codec, payload, size, &open);
}
