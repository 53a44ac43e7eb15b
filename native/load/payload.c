/* payload: see payload.h. Touches only what it is given. Engine thread. */
#include "payload.h"

#include <string.h>

#include "wire.h"

/* RFC 6716, 3.1: CELT, full band, 20 ms, mono, one frame in the packet. */
#define OPUS_TOC 0xf8

enum { NAL_SLICE = 0x41, NAL_IDR = 0x65, NAL_SEI = 0x06, NAL_STAP_A = 0x78, NAL_FU_A = 0x7c };
#define FU_START 0x80
#define FU_END 0x40

/* ------------------------------------------------------------------ parameter sets (H.264, 7.3.2.1) */

typedef struct bits {
    uint8_t *data;
    size_t at; /* bit */
} bits;

static void put_bits(bits *b, uint32_t value, unsigned count)
{
    while (count--) {
        if (value >> count & 1) b->data[b->at / 8] |= (uint8_t)(0x80 >> b->at % 8);
        b->at++;
    }
}

static void put_ue(bits *b, uint32_t value) /* Exp-Golomb, 9.1 */
{
    unsigned length = 32u - (unsigned)__builtin_clz(value + 1);
    put_bits(b, 0, length - 1);
    put_bits(b, value + 1, length);
}

/* Constrained baseline, level 3.1. Sizes keep it clear of start codes, so no byte is escaped. */
static size_t write_sps(uint8_t *out, uint16_t width, uint16_t height)
{
    uint32_t columns = (width + 15u) / 16, rows = (height + 15u) / 16;
    uint32_t right = (columns * 16 - width) / 2, bottom = (rows * 16 - height) / 2;
    static const uint8_t HEAD[] = {0x67, 0x42, 0xe0, 0x1f};
    memcpy(out, HEAD, sizeof HEAD);
    bits b = {out, 8 * sizeof HEAD};
    put_ue(&b, 0); /* id */
    put_ue(&b, 0); /* frame numbers of 4 bits */
    put_ue(&b, 2); /* output in decoding order */
    put_ue(&b, 1); /* one reference frame */
    put_bits(&b, 0, 1);
    put_ue(&b, columns - 1);
    put_ue(&b, rows - 1);
    put_bits(&b, 3, 2); /* frames only, direct 8x8 */
    put_bits(&b, right || bottom, 1);
    if (right || bottom) {
        put_ue(&b, 0);
        put_ue(&b, right);
        put_ue(&b, 0);
        put_ue(&b, bottom);
    }
    put_bits(&b, 1, 2); /* no VUI; the stop bit */
    return (b.at + 7) / 8;
}

static void make_parameter_sets(tl_payload_maker *maker)
{
    static const uint8_t PPS[] = {0x68, 0xce, 0x3c, 0x80};
    uint8_t sps[24] = {0};
    size_t sps_size = write_sps(sps, maker->width, maker->height);
    tr_pen pen = tr__pen(maker->parameter_sets, sizeof maker->parameter_sets);
    tr__put8(&pen, NAL_STAP_A);
    tr__put16(&pen, (uint16_t)sps_size);
    tr__put_bytes(&pen, sps, sps_size);
    tr__put16(&pen, sizeof PPS);
    tr__put_bytes(&pen, PPS, sizeof PPS);
    tr__put16(&pen, 0); /* of what follows: the size is the packet's affair */
    maker->parameter_sets_size = (uint8_t)tr__pen_size(&pen);
}

void tl__payload_init(tl_payload_maker *maker, tl_codec codec, uint16_t width, uint16_t height)
{
    *maker = (tl_payload_maker){.codec = codec, .width = width ? width : 1280, .height = height ? height : 720};
    if (codec == TL_CODEC_H264) make_parameter_sets(maker);
}

/* ------------------------------------------------------------------ heads */

/* Descriptor with a picture id of 15 bits, as libwebrtc sends it; then, in a frame's first packet, the frame tag
 * (RFC 6386, 9.1), of which a keyframe's is longer. */
static size_t vp8_head(const tl_payload_maker *maker, uint8_t *out, uint32_t frame, uint16_t part, bool is_keyframe)
{
    out[0] = part ? 0x80 : 0x90;
    out[1] = 0x80;
    tr__store16(out + 2, (uint16_t)(0x8000 | (frame & 0x7fff)));
    if (part) return 4;
    uint32_t first_partition = 1000; /* bytes, as if; a relay does not look */
    uint32_t tag = (is_keyframe ? 0 : 1) | 1u << 4 | first_partition << 5;
    out[4] = (uint8_t)tag;
    out[5] = (uint8_t)(tag >> 8);
    out[6] = (uint8_t)(tag >> 16);
    if (!is_keyframe) return 7;
    static const uint8_t START[] = {0x9d, 0x01, 0x2a};
    memcpy(out + 7, START, sizeof START);
    out[10] = (uint8_t)maker->width;
    out[11] = (uint8_t)(maker->width >> 8 & 0x3f);
    out[12] = (uint8_t)maker->height;
    out[13] = (uint8_t)(maker->height >> 8 & 0x3f);
    return 14;
}

/* A keyframe's first packet is a STAP-A of SPS, PPS and what is left of the packet: an SEI, or the slice itself if
 * there is no second packet. Slices that fill several packets are FU-A. */
static size_t h264_head(const tl_payload_maker *maker, uint8_t *out, uint16_t part, uint16_t parts, bool is_keyframe,
                        size_t size)
{
    uint8_t slice = is_keyframe ? NAL_IDR : NAL_SLICE;
    if (is_keyframe && part == 0) {
        size_t head = maker->parameter_sets_size;
        memcpy(out, maker->parameter_sets, head);
        tr__store16(out + head - 2, (uint16_t)(size - head));
        out[head] = parts == 1 ? NAL_IDR : NAL_SEI;
        return head + 1;
    }
    uint16_t first = is_keyframe ? 1 : 0;
    if (parts - first == 1) {
        out[0] = slice;
        return 1;
    }
    out[0] = NAL_FU_A;
    out[1] = (uint8_t)((part == first ? FU_START : 0) | (part == parts - 1 ? FU_END : 0) | (slice & 0x1f));
    return 2;
}

size_t tl__payload_head(const tl_payload_maker *maker, uint8_t *out, uint32_t frame, uint16_t part, uint16_t parts,
                        bool is_keyframe, size_t size)
{
    switch (maker->codec) {
    case TL_CODEC_VP8:
        return vp8_head(maker, out, frame, part, is_keyframe);
    case TL_CODEC_H264:
        return h264_head(maker, out, part, parts, is_keyframe, size);
    case TL_CODEC_OPUS:
        break;
    }
    out[0] = OPUS_TOC;
    return 1;
}
