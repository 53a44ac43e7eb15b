/* rtp: the RTP header and its extension block, read into a view and written through a pen (RFC 3550, RFC 8285).
 * Touches only the bytes it is given. Worker thread. */
#include "rtp.h"

#define FIXED_HEADER 12
#define ONE_BYTE_PROFILE 0xbede
#define TWO_BYTE_PROFILE 0x1000 /* the low four bits belong to the application (RFC 8285, 4.3) */

static bool is_two_byte(uint16_t profile) { return (profile & 0xfff0) == TWO_BYTE_PROFILE; }

tr_drop tr__rtp_parse(tr_rtp *rtp, const uint8_t *data, size_t size)
{
    if (size < FIXED_HEADER || size > UINT16_MAX) return TR_DROP_RTP_MALFORMED;
    if (data[0] >> 6 != 2) return TR_DROP_RTP_MALFORMED;

    *rtp = (tr_rtp){
        .data = data,
        .size = (uint16_t)size,
        .csrc_count = data[0] & 0x0f,
        .has_extension = data[0] & 0x10,
        .marker = data[1] & 0x80,
        .pt = data[1] & 0x7f,
        .seq = tr__load16(data + 2),
        .ts = tr__load32(data + 4),
        .ssrc = tr__load32(data + 8),
    };

    tr_cursor c = tr__cursor(data, size);
    tr__take(&c, FIXED_HEADER + 4u * rtp->csrc_count);
    if (!tr__cursor_ok(&c)) return TR_DROP_RTP_MALFORMED;
    if (rtp->has_extension) {
        rtp->extension_profile = tr__take16(&c);
        size_t elements = 4u * tr__take16(&c);
        const uint8_t *at = tr__take(&c, elements);
        if (!at) return TR_DROP_RTP_EXTENSION;
        rtp->extension_at = (uint16_t)(at - data);
        rtp->extension_size = (uint16_t)elements;
    }

    size_t left = tr__cursor_left(&c);
    if (data[0] & 0x20) {
        /* RFC 3550, 5.1: the last byte counts itself, so zero is as wrong as more than there is. */
        if (left == 0) return TR_DROP_RTP_MALFORMED;
        rtp->padding_size = data[size - 1];
        if (rtp->padding_size == 0 || rtp->padding_size > left) return TR_DROP_RTP_MALFORMED;
    }
    rtp->header_size = (uint16_t)(size - left);
    rtp->payload_size = (uint16_t)(left - rtp->padding_size);
    return TR_DROP_NONE;
}

static void note_element(const uint8_t ids[TR_EXT_COUNT], tr_rtp_extensions *found, uint8_t id, size_t at, uint8_t size)
{
    for (int ext = 0; ext < TR_EXT_COUNT; ext++) {
        /* An id stands once in a block; of two, the first counts, so that nothing appended can replace it. */
        if (ids[ext] != id || found->of[ext].at) continue;
        found->of[ext].at = (uint16_t)at;
        found->of[ext].size = size;
        return;
    }
}

tr_drop tr__rtp_find_extensions(const tr_rtp *rtp, const uint8_t ids[TR_EXT_COUNT], tr_rtp_extensions *found)
{
    *found = (tr_rtp_extensions){0};
    bool two_byte = is_two_byte(rtp->extension_profile);
    /* Another profile is another protocol's block: there is nothing in it for us. */
    if (!rtp->has_extension || (!two_byte && rtp->extension_profile != ONE_BYTE_PROFILE)) return TR_DROP_NONE;

    tr_cursor c = tr__cursor(rtp->data + rtp->extension_at, rtp->extension_size);
    unsigned elements = 0;
    while (tr__cursor_left(&c)) {
        uint8_t head = tr__take8(&c), id, size;
        if (head == 0) continue; /* padding between or behind elements */
        if (two_byte) {
            id = head;
            size = tr__take8(&c);
        } else {
            id = head >> 4;
            size = (uint8_t)((head & 0x0f) + 1);
            /* RFC 8285, 4.2: id 15, and id 0 with a length, end the block; what came before them stands. */
            if (id == 0 || id == 15) break;
        }
        if (++elements > TR_RTP_MAX_EXTENSIONS) return TR_DROP_RTP_EXTENSION;
        const uint8_t *at = tr__take(&c, size);
        if (!at) return TR_DROP_RTP_EXTENSION;
        note_element(ids, found, id, (size_t)(at - rtp->data), size);
    }
    return TR_DROP_NONE;
}

void tr__rtp_put_header(tr_pen *pen, bool has_extension, bool marker, uint8_t pt, uint16_t seq, uint32_t ts,
                        uint32_t ssrc)
{
    tr__put8(pen, (uint8_t)(0x80 | (has_extension ? 0x10 : 0)));
    tr__put8(pen, (uint8_t)((marker ? 0x80 : 0) | (pt & 0x7f)));
    tr__put16(pen, seq);
    tr__put32(pen, ts);
    tr__put32(pen, ssrc);
}

tr_rtp_block tr__rtp_begin_block(tr_pen *pen, bool two_byte)
{
    tr_rtp_block block = {.begin = tr__put(pen, 4), .two_byte = two_byte};
    if (block.begin) {
        tr__store16(block.begin, two_byte ? TWO_BYTE_PROFILE : ONE_BYTE_PROFILE);
        tr__store16(block.begin + 2, 0);
    }
    return block;
}

void tr__rtp_put_element(tr_pen *pen, const tr_rtp_block *block, uint8_t id, const void *data, uint8_t size)
{
    bool fits_one_byte = id <= 14 && size >= 1 && size <= 16;
    if (id == 0 || (!block->two_byte && !fits_one_byte)) {
        pen->failed = true;
        return;
    }
    if (block->two_byte) {
        tr__put8(pen, id);
        tr__put8(pen, size);
    } else {
        tr__put8(pen, (uint8_t)(id << 4 | (size - 1)));
    }
    tr__put_bytes(pen, data, size);
}

void tr__rtp_end_block(tr_pen *pen, const tr_rtp_block *block, size_t min_size)
{
    if (!tr__pen_ok(pen)) return;
    size_t used = (size_t)(pen->at - block->begin) - 4;
    size_t words = ((used > min_size ? used : min_size) + 3) / 4;
    if (words > UINT16_MAX) {
        pen->failed = true;
        return;
    }
    uint8_t *padding = tr__put(pen, words * 4 - used);
    if (!padding) return;
    memset(padding, 0, words * 4 - used);
    tr__store16(block->begin + 2, (uint16_t)words);
}
